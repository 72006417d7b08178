"""Every request that a client may make, as types; closed schemas, one set for each protocol number.

A frame is ``{"id": n, "do": "<name>", …fields}``; ``id`` is the client's, any integer, and comes back
in every answer to it. Answers: ``{"id": n, "ok": {…}}``, ``{"id": n, "error": {"code", "message",
"hint", "exit_code"}}``, and before one of these any number of ``{"id": n, "more": {…}}`` where the
request asks for a stream. A connection begins with the request `Hello`; what follows it may be sent at
once. An unknown field is an error, and so is a missing or a mistyped one: data never names code, and
nothing is guessed.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    TypeAlias,
    get_args,
    get_origin,
    get_type_hints,
)

from jobctl.errors import ProtocolError
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROTOCOLS: Final = (1,)
"""Numbers of the client protocol that this version speaks, oldest first."""

Json: TypeAlias = Any
"""Any JSON value: data of jobs, never looked into by the protocol."""


class Request:
    """Base of all requests; ``do`` is the name on the wire."""

    do: ClassVar[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hello(Request):
    """First on every connection. Answer: ``protocol``, ``version``, ``pid``, ``daemon``
    (``"up"`` or ``"down"``)."""

    do: ClassVar[str] = "hello"
    protocol: list[int]
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Submit(Request):
    """Submit jobs, all or none. Answer: ``jobs``, a list of ``id``, ``state``, ``duplicate``
    and, where that is because a task is unique, ``reason``.

    The answer is sent after the commit is on stable storage. Each job is a mapping with the fields of
    `NewJob`.
    """

    do: ClassVar[str] = "submit"
    jobs: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob(Request):
    """One job of a `Submit`: either ``task`` or ``command``.

    Attributes:
        task: name of a task.
        command: argument vector of an ad-hoc command; it runs as the submitter, in ``cwd``.
        args, kwargs: arguments. With ``typed`` true they are values as they shall arrive; otherwise they
            are texts as somebody typed them and the daemon converts (DESIGN section 8, Arguments).
        raw: the names of those ``kwargs`` that hold JSON values although ``typed`` is false
            (``name:=JSON``).
        key: idempotency key, 1-200 bytes: the same key gives the same job again.
        eta, expires_at: moments in µs; ``delay_s``: seconds from now, instead of ``eta``.
        queue, priority, retries, timeout_s, soft_timeout_s, deadline_s: instead of the task's own.
        after, after_any: ids of jobs that must have succeeded, or ended in any way, before it starts; when
            one of the first cannot succeed any more, it is revoked.
        labels: name → value, shown and filtered by.
        cwd, env, umask: of an ad-hoc command.
        stderr: of a command, ``"merge"`` or ``"separate"``: instead of the task's own.
        headers: of a function, any names and values: its request has them.
        ignore_result: keep nothing of what the function returns.
        each: the function is called in one job for each member of a list, which is the only argument:
            ``"one"`` with it as its argument, ``"star"`` with it as its arguments; the result is a list.
    """

    do: ClassVar[str] = "job"
    task: str | None = None
    command: list[str] | None = None
    args: list[Json] | None = None
    kwargs: dict[str, Json] | None = None
    typed: bool = False
    raw: list[str] | None = None
    key: str | None = None
    eta: int | None = None
    delay_s: float | None = None
    expires_at: int | None = None
    queue: str | None = None
    priority: int | None = None
    retries: int | None = None
    timeout_s: float | None = None
    soft_timeout_s: float | None = None
    deadline_s: float | None = None
    after: list[int] | None = None
    after_any: list[int] | None = None
    labels: dict[str, str] | None = None
    cwd: str | None = None
    env: dict[str, str] | None = None
    umask: int | None = None
    stderr: str | None = None
    headers: dict[str, Json] | None = None
    ignore_result: bool = False
    each: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmitWorkflow(Request):
    """Add jobs that belong together, all or none. Answer: ``id`` (of the workflow), ``jobs`` (their ids, in
    order), ``duplicate``.

    ``jobs`` are mappings with the fields of `NewJob`, without a key; ``steps`` as many with those of
    `NewStep`. ``shape``: as in the store, with places in ``jobs`` (from 0) for ids. ``key``: as that of a job,
    for all of it.
    """

    do: ClassVar[str] = "submit_workflow"
    jobs: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    shape: list[Json]
    key: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewStep(Request):
    """How one job of a `SubmitWorkflow` belongs to the others. Places count from 0 and are lower than its own.

    Attributes:
        after: places of the jobs that it waits for.
        until: ``"success"``: it is revoked when one of them does not succeed; ``"end"``.
        takes: the place of the job whose result is its first argument, or a list of such; its arguments hold
            null there.
        delay_s: how long it waits when its turn has come.
        on_error: jobs, with the fields of `NewJob`, that are made when it fails. A function gets what is known
            of the failure before their arguments, unless they are ``immutable``.
        joins: they are made also when it is revoked because another one failed.
    """

    do: ClassVar[str] = "step"
    after: list[int] | None = None
    until: str = "success"
    takes: Json = None
    delay_s: float | None = None
    on_error: list[dict[str, Any]] | None = None
    joins: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow(Request):
    """A workflow by its id, or by that of one of its jobs. Answer: ``id``, ``state``, ``submitted_at``,
    ``shape``, ``jobs``: ``id``, ``state``, ``task``, ``reason``, ``submitted_at``, ``started_at``,
    ``finished_at``, by id."""

    do: ClassVar[str] = "workflow"
    workflow: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflows(Request):
    """Workflows, newest first. Answer: ``workflows`` (each as `Workflow` answers), ``next`` (cursor for
    ``before``, or None)."""

    do: ClassVar[str] = "workflows"
    before: int | None = None
    limit: int = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Status(Request):
    """One job whole. Answer: the keys of ``status --json``."""

    do: ClassVar[str] = "status"
    job: int


@dataclass(frozen=True, kw_only=True, slots=True)
class List(Request):
    """Jobs, newest first. Answer: ``jobs``, ``next`` (cursor for ``before``, or None).

    ``count`` true: answer ``count`` alone. Filters combine; ``limit`` is at most 1,000.
    """

    do: ClassVar[str] = "list"
    states: list[str] | None = None
    task: str | None = None
    queue: str | None = None
    labels: dict[str, str] | None = None
    before: int | None = None
    limit: int = 100
    count: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Logs(Request):
    """Output of an attempt. Answers: ``more`` with ``data`` (Latin-1 text), ``offset`` (its place in
    the stream), ``stream`` (``"stderr"``, only for standard error that is kept apart), then ``ok`` with
    ``attempt``, ``bytes`` (in all), ``stderr_bytes`` (None where it is part of the output), ``state``.

    ``attempt`` None is the newest. ``stream``: ``"stdout"`` or ``"stderr"`` alone. ``offset`` and
    ``stderr_offset``: from there on. ``tail_bytes``: only the last part of each. ``follow``: until the job
    ends.
    """

    do: ClassVar[str] = "logs"
    job: int
    attempt: int | None = None
    stream: str | None = None
    offset: int = 0
    stderr_offset: int = 0
    tail_bytes: int | None = None
    follow: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait(Request):
    """Wait until jobs have ended, at most 10,000. Answer: ``jobs``, a list of ``id``, ``state``,
    ``reason``, ``kind``, ``exit_code``, ``signal``, ``verdict``, ``cause``, ``error``, ``result``, in the
    order asked for; ``timed_out``. ``cause`` is the job that failed because of which it was
    revoked: ``id``, ``reason``, ``error``, ``exit_code``, ``signal``. Of several jobs the ``result`` is None and the ``error`` is short."""

    do: ClassVar[str] = "wait"
    jobs: list[int]
    timeout_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Result(Request):
    """What a job came to, now. Answer: ``id``, ``state``, ``task``, ``finished_at``, ``retries`` (failed attempts
    of this round), ``result`` (JSON value), ``error``, ``reason``, ``cause`` (as in `Wait`); of a running function that calls
    ``update_state`` ``own_state`` and ``meta``."""

    do: ClassVar[str] = "result"
    job: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel(Request):
    """End a job. Answer, when nothing of it is left: ``id``, ``state``, ``gone``, ``remaining``.

    ``signal``: its name; takes the place of the first one of the command's stop sequence. Asked for again,
    the sequence begins anew.
    """

    do: ClassVar[str] = "cancel"
    job: int
    signal: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PauseJob(Request):
    """Let a command that runs stand still, or go on. Answer, when it does: ``id``, ``state``, ``paused``."""

    do: ClassVar[str] = "pause_job"
    job: int
    paused: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Forget(Request):
    """Remove what a job that has ended has returned. Answer: ``id``, ``state``. Errors are kept."""

    do: ClassVar[str] = "forget"
    job: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry(Request):
    """Begin a fresh round of a job that has ended. Answer: ``id``, ``state``, ``dependents``.

    ``with_dependents``: also of the jobs that were revoked because it did not succeed, and of those that
    were revoked because of these; ``dependents`` are their ids.
    """

    do: ClassVar[str] = "retry"
    job: int
    with_dependents: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspect(Request):
    """Look into the daemon. ``what``: ping, active, reserved, scheduled, registered, queues, workers,
    groups, stats, conf. Answer: see the handler of that name."""

    do: ClassVar[str] = "inspect"
    what: str
    limit: int = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Health(Request):
    """What of schedules and queues is not as it should be, for a monitoring system.

    ``late_s``: an instant that was due so long ago and has no fate is late; ``waiting_s``: a job that is
    ready has waited too long then; ``schedules``: only these, of tasks and queues then nothing is told.
    Answer: ``daemon``, ``stopped_at``, ``schedules``, ``running``, ``ready``, ``oldest_s``,
    ``counts`` (kind → how many) and ``findings``, the first of each kind: ``kind``, ``name``, ``at``,
    ``job_id``, ``said``.
    """

    do: ClassVar[str] = "health"
    late_s: float
    waiting_s: float
    schedules: list[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics(Request):
    """What the daemon counts, for Prometheus. Answer: ``content_type``, ``text``.

    ``openmetrics``: in OpenMetrics 1.0 instead of the text format 0.0.4.
    """

    do: ClassVar[str] = "metrics"
    openmetrics: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedules(Request):
    """The schedules in force, by name. Answer: ``schedules``: ``name``, ``task``, ``kind``,
    ``expression``, ``normal``, ``timezone``, ``enabled``, ``state``, ``paused_until``, ``next``, ``last``
    (a fire or None), ``source``; and ``next`` (cursor for ``after``, or None).

    ``prefix`` narrows it to names that begin so.
    """

    do: ClassVar[str] = "schedules"
    after: str | None = None
    limit: int = 1000
    prefix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Next(Request):
    """The agenda. Answer: ``fires``: ``schedule``, ``task``, ``at``; by time; ``more``, whether there are
    others within the time asked for. ``schedule``, or a task with all of its schedules, narrows it."""

    do: ClassVar[str] = "next"
    schedule: str | None = None
    limit: int = 10
    within_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class History(Request):
    """Fires of a schedule, or of all schedules of a task, newest first. Answer: ``fires``: ``schedule``,
    ``task``, ``at``, ``last``, ``count``, ``fate``, ``job_id``, ``reason``; ``next`` (``cursor`` of the
    next page, or None).

    ``is_schedule``: a schedule is meant, although a task may have the same name. ``since`` and ``before``
    are moments; a range of instants counts as long as its last one is not before ``since``.
    """

    do: ClassVar[str] = "history"
    schedule: str
    before: int | None = None
    limit: int = 100
    since: int | None = None
    fates: list[str] | None = None
    is_schedule: bool = False
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Why(Request):
    """What became of an instant, or how a job stands. ``name`` is a task, a schedule or the id of a job.

    Of a schedule it is the last instant that was due, or the one at or before ``at`` (a moment in µs) or
    ``local`` (a local time in the zone of the schedule: ``02:30``, ``2026-11-20``, ``2026-11-20 02:30``).
    Answer: ``name``, ``fires``, ``job``, ``sentences``.
    """

    do: ClassVar[str] = "why"
    name: str
    at: int | None = None
    local: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit(Request):
    """Prove that every instant has one fate: of a schedule, of those of a task, or (None) of all, those that
    were removed included. Answer: ``schedules``, ``rows``, ``instants`` (how many were judged),
    ``violations``, ``count`` (of them; a thousand are told), ``unjudged``."""

    do: ClassVar[str] = "audit"
    schedule: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShowSchedule(Request):
    """Everything about one schedule. Answer: the keys of ``schedule show --json``; ``count`` is how many
    next instants and how many of the newest fires it holds, at most 100."""

    do: ClassVar[str] = "show_schedule"
    name: str
    count: int = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class AddSchedule(Request):
    """Add a schedule that the store keeps. Answer: ``schedule`` (as `ShowSchedule`), ``duplicate``.

    ``table`` holds the keys of a ``[schedules.X]`` table with the values that a file may give them. Safe to
    repeat: the same table under the same name again changes nothing and says ``duplicate``.

    ``typed`` false: the ``args`` and ``kwargs`` of the table are texts as somebody typed them, but for the
    ``kwargs`` named in ``raw``, and the daemon converts, as in `NewJob`.
    """

    do: ClassVar[str] = "add_schedule"
    name: str
    table: dict[str, Json]
    typed: bool = False
    raw: list[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EditSchedule(Request):
    """Change a schedule that a command added. Answer: ``schedule`` (as `ShowSchedule`), ``changes``, a
    list of texts, empty when nothing differs.

    Only the keys in ``table`` change, and those in ``unset``, which get their default again. A key that
    says when it is due replaces the one that did; ``kwargs`` change one by one. Safe to repeat.
    """

    do: ClassVar[str] = "edit_schedule"
    name: str
    table: dict[str, Json]
    unset: list[str] | None = None
    typed: bool = False
    raw: list[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveSchedule(Request):
    """Remove a schedule that a command added; its history stays. Answer: ``name``, ``task``."""

    do: ClassVar[str] = "remove_schedule"
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DisableSchedule(Request):
    """Make no jobs of a schedule, until a moment in µs or until it is enabled. Safe to repeat.

    It survives restarts and reloads, whoever declared the schedule. Answer: ``name``, ``state``,
    ``paused_until``, ``next``.
    """

    do: ClassVar[str] = "disable_schedule"
    name: str
    until: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EnableSchedule(Request):
    """Make jobs of a schedule again, from now on. Safe to repeat. Answer: as `DisableSchedule`."""

    do: ClassVar[str] = "enable_schedule"
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSchedule(Request):
    """Submit a job of a schedule now, with its arguments. Answer: ``id``, ``state``, ``duplicate``.

    What its ``on_overlap`` says about unfinished jobs holds, unless ``force``. ``key`` as in `NewJob`.
    """

    do: ClassVar[str] = "run_schedule"
    name: str
    key: str | None = None
    force: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause(Request):
    """Pause or resume a queue; it survives restarts. Answer: ``queue``, ``paused``."""

    do: ClassVar[str] = "pause"
    queue: str
    paused: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit(Request):
    """Set limits of a queue in place of those of the file; it survives restarts and reloads. Answer:
    ``queue``, ``concurrency``, ``rate_limit``, ``rate_burst``, ``set`` (which of them a command has set).

    ``limits`` are some of these three; null: no limit. None: change nothing. ``reset``: those of the file
    again.
    """

    do: ClassVar[str] = "limit"
    queue: str
    limits: dict[str, Json] | None = None
    reset: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Purge(Request):
    """Revoke what waits in a queue, one slice of it. Answer: ``queue``, ``revoked`` (how many), ``until``,
    ``next``; the next slice is asked for with these two, until ``next`` is None.

    ``until`` None: up to the newest job of now; what is submitted later is left alone.
    """

    do: ClassVar[str] = "purge"
    queue: str
    until: int | None = None
    next: list[Json] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale(Request):
    """Set how much a worker group runs at once, in place of what the file says; it survives restarts and
    reloads. Answer: ``group``, ``processes``, ``commands``, ``set`` (which of them a command has set).

    None: do not change it. ``reset``: the numbers of the file again, but for what is said here.
    """

    do: ClassVar[str] = "scale"
    group: str
    processes: int | None = None
    commands: int | None = None
    reset: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRoute(Request):
    """Send a message by routes that says that it is a test. Answer: ``messages``: ``route``, ``kind``, ``id``
    (of the job that sends it, and is not tried again).

    ``route`` None: by each.
    """

    __test__: ClassVar[bool] = False  # no class of tests, whatever pytest makes of its name
    do: ClassVar[str] = "test_route"
    route: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Restart(Request):
    """Replace the processes of a worker group, with its code as it is now. Answer, when the code has been
    imported: ``group``, ``replaced`` (how many workers), ``template`` (the pid of the new one); an error
    changes nothing."""

    do: ClassVar[str] = "restart"
    group: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes(Request):
    """Who has changed what, newest first. Answer: ``changes``: ``id``, ``at``, ``uid``, ``request``, ``subject``,
    ``detail``; ``next`` (cursor for ``before``, or None)."""

    do: ClassVar[str] = "changes"
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup(Request):
    """Copy the store into a file, a slice a turn. Answer, when all of it is copied: ``path`` (the name that it
    gets once it is verified, which is the client's work), ``unfinished`` (where it is), ``pages``.

    ``path`` is absolute; None: a file of its own in the state directory.
    """

    do: ClassVar[str] = "backup"
    path: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prune(Request):
    """Remove old jobs that have ended now, in small batches. Answer, when all of them are gone: ``removed``
    (how many).

    ``keep_s``: those that ended longer ago; ``keep_jobs``: all but so many. None, or more than the
    configuration keeps: as configured.
    """

    do: ClassVar[str] = "prune"
    keep_s: float | None = None
    keep_jobs: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreStats(Request):
    """How much is in the store. Answer: ``file_bytes``, ``free_bytes``, ``log_bytes``, ``page_bytes``,
    ``disk_free_bytes``, ``tables`` (rows by name), ``jobs`` (by state), ``submitted_in_day``,
    ``submitted_in_week``, ``bytes_per_job``, ``growth_bytes_per_day``."""

    do: ClassVar[str] = "store_stats"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reload(Request):
    """Read the configuration again. Answer: ``changes``, a list of texts; an error changes nothing."""

    do: ClassVar[str] = "reload"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop(Request):
    """Stop the daemon. ``mode``: keep, drain, kill, or None for the configured one. Answer: ``mode``,
    ``running``; the connection ends when the daemon has."""

    do: ClassVar[str] = "stop"
    mode: str | None = None


REQUESTS: Final[dict[str, type[Request]]] = {
    kind.do: kind
    for kind in (
        Hello,
        Submit,
        SubmitWorkflow,
        Workflow,
        Workflows,
        Status,
        List,
        Logs,
        Wait,
        Result,
        Cancel,
        PauseJob,
        Forget,
        Retry,
        Inspect,
        Health,
        Metrics,
        Schedules,
        Next,
        History,
        Why,
        Audit,
        ShowSchedule,
        AddSchedule,
        EditSchedule,
        RemoveSchedule,
        DisableSchedule,
        EnableSchedule,
        RunSchedule,
        Pause,
        Limit,
        Purge,
        Scale,
        TestRoute,
        Restart,
        Changes,
        Backup,
        Prune,
        StoreStats,
        Reload,
        Stop,
    )
}
"""Every request by its name on the wire."""


Checker: TypeAlias = "Callable[[Any], bool]"

Field: TypeAlias = "tuple[frozenset[type], Checker]"
"""The types of which every value fits; and the test for a value of any other type."""

_tables: dict[type[Request], tuple[dict[str, Field], frozenset[str]]] = {}


def _table(kind: type[Request]) -> tuple[dict[str, Field], frozenset[str]]:
    """What each field may hold, and which fields must be there. Worked out once for each request."""
    if kind not in _tables:
        hints = get_type_hints(kind)
        known = fields(kind)  # type: ignore[arg-type]
        checked = {
            field.name: (_plain_types(hints[field.name]), _checker(hints[field.name]))
            for field in known
        }
        required = frozenset(
            field.name
            for field in known
            if field.default is MISSING and field.default_factory is MISSING
        )
        _tables[kind] = (checked, required)
    return _tables[kind]


def check(kind: type[Request], data: Mapping[str, Any]) -> None:
    """Judge the fields of a frame without making a request of them.

    Raises:
        ProtocolError: an unknown, missing or mistyped field; the text names it.
    """
    checked, required = _table(kind)
    for name, value in data.items():
        field = checked.get(name)
        if field is None:
            raise ProtocolError(
                f'request "{kind.do}" has no field "{name}"',
                hint="Client and daemon may be of different versions.",
            )
        plain, fits = field
        if type(value) not in plain and not fits(value):
            raise ProtocolError(f'request "{kind.do}": field "{name}" has a value of a wrong type')
    if not required <= data.keys():
        missing = required - data.keys()
        raise ProtocolError(f'request "{kind.do}" lacks the field "{min(missing)}"')


def read(kind: type[Request], data: Mapping[str, Any]) -> Any:
    """An instance of ``kind`` from the fields of a frame. Raises ProtocolError as `check` does."""
    check(kind, data)
    return kind(**data)


def _plain_types(hint: Any) -> frozenset[type]:
    """Those types of a hint that say all: most values of most requests need no other look."""
    hints = get_args(hint) if NoneType in get_args(hint) else (hint,)
    return frozenset({str, bool, NoneType}.intersection(hints))


def _checker(hint: Any) -> Checker:
    """A test whether a JSON value is of a type. ``True`` is no integer, an integer is a float."""
    if hint is Any:
        return lambda _value: True
    origin, parts = get_origin(hint), get_args(hint)
    if origin is UnionType or (origin is not None and NoneType in parts):
        checkers = [_checker(part) for part in parts]
        return lambda value: any(fits(value) for fits in checkers)
    if hint is NoneType:
        return lambda value: value is None
    if origin is list:
        item = _checker(parts[0])
        if parts[0] is Any:
            return lambda value: type(value) is list
        return lambda value: type(value) is list and all(map(item, value))
    if origin is dict:
        entry = _checker(parts[1])
        if parts[1] is Any:
            return lambda value: type(value) is dict
        return lambda value: type(value) is dict and all(map(entry, value.values()))
    if hint is int:
        return lambda value: type(value) is int and -(2**63) <= value < 2**63
    if hint is float:
        # All of them are seconds: more than thirty thousand years, infinity and NaN are none.
        return lambda value: type(value) in (int, float) and -1e12 <= value <= 1e12
    return lambda value: type(value) is hint


_defaults: dict[type[Request], tuple[tuple[str, Any], ...]] = {}


def write(request: Request) -> dict[str, Any]:
    """The fields of a frame for a request; those at their defaults are left out."""
    kind = type(request)
    if kind not in _defaults:
        known = fields(kind)  # type: ignore[arg-type]
        _defaults[kind] = tuple((field.name, field.default) for field in known)
    data: dict[str, Any] = {"do": request.do}
    for name, default in _defaults[kind]:
        value = getattr(request, name)
        if value != default:
            data[name] = value
    return data
