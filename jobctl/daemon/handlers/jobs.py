"""Requests about jobs: submit, status, list, wait, result, cancel, retry."""

from __future__ import annotations

import heapq
import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from jobctl import reports
from jobctl.arguments import Call as Bound
from jobctl.arguments import (
    Exact,
    Given,
    Texts,
    Typed,
    bind,
    build_argv,
    takes,
    texts,
    with_defaults,
)
from jobctl.clock import SECOND, Moment
from jobctl.daemon.following import read_chunks
from jobctl.daemon.station import Pattern
from jobctl.errors import Conflict, InvalidArguments, NotAllowed, NotFound, UsageError
from jobctl.job import FINAL, Reason, State
from jobctl.plan.gates import gate_of, is_paced, key_of_gate, task_of_gate, unique_key_of
from jobctl.protocol.requests import NewJob, check
from jobctl.store import attempts as attempt_rows
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store import keys as key_rows
from jobctl.store.jobs import (
    AFTER_LINE,
    ALL,
    ETA_LINE,
    gate_line,
    gate_of_line,
    is_ready_line,
    parked_line,
    ready_line,
    schedule_line,
)
from jobctl.task import DEFAULT_QUEUE, Kind, Task
from jobctl.task.keys import ENVIRONMENT, FOLDER, NAME
from jobctl.task.stop import parse_signal
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.plan import ScheduleSpec
    from jobctl.protocol import requests
    from jobctl.task.keys import Json

SLICE_ROWS: Final = 1000
"""Rows of a long walk that are read in one turn."""

SLICE_ENDS: Final = 200
"""Ends of jobs that are described in one turn."""

MAX_LIST: Final = 1000
MAX_SUBMIT: Final = 10_000
MAX_AFTER: Final = 1000
MAX_WAIT: Final = 10_000
MAX_LABELS: Final = 32
MAX_RETRIES: Final = 1_000_000

# An answer is bounded whatever its jobs hold: what is longer than these is left out of it, is not read
# from the disk either, and is named in ``left_out``. The worst answers have some 50 MiB: a thousand jobs of
# a list, each with all its labels; a hundred attempts that have all failed with the longest error.
LISTED_BYTES: Final = 8 * 1024
"""The arguments of a job among many."""

SHOWN_BYTES: Final = 4 * 1024 * 1024
"""The arguments and the result of a job that is shown whole."""

ATTEMPTS_SHOWN: Final = 100
AFTER_SHOWN: Final = 100
ATTEMPT_TEXT_BYTES: Final = 160 * 1024
"""The error of one attempt among them; one of our own workers is rarely longer."""

REASON_CHARACTERS: Final = 1000
BRIEF_CHARACTERS: Final = 200
"""Type and message of an error among the ends of many jobs."""

LAST_MOMENT: Final = 253_402_300_799 * SECOND
"""The end of the year 9999: what lies later has no date."""

TAIL_BYTES: Final = 2000
_dumps = json.JSONEncoder(separators=(",", ":")).encode

# -- submit ---------------------------------------------------------------------------------------


def submit(station: Station, call: Call, request: requests.Submit) -> dict[str, Any]:
    """Add jobs, all or none. A key that was used for the same request gives its job again."""
    if len(request.jobs) > MAX_SUBMIT:
        raise UsageError(
            f"one request may hold {MAX_SUBMIT} jobs, this one holds {len(request.jobs)}",
            hint="Submit them in several requests.",
        )
    now = station.clock.now()
    rows: list[job_rows.NewJob] = []
    bound: dict[str, tuple[int, bytes]] = {}
    answers: list[dict[str, Any]] = []
    unique: dict[str, tuple[int, str]] = {}
    waits: dict[int, list[tuple[int, str]]] = {}
    keys = [key for data in request.jobs if isinstance(key := data.get("key"), str)]
    used = key_rows.find(
        station.database, uid=call.uid, keys=[key for key in keys if key.isprintable()]
    )
    digest_of = _Digests()
    for data in request.jobs:
        check(NewJob, data)
        task = data.get("task")
        if task is not None and task not in station.plan.tasks:
            # Judged before anybody looks for a similar name, which takes a while with a long one.
            _check_name("task", task)
        key = data.get("key")
        digest = b""
        if key is not None:
            digest = digest_of(data)
            known = bound.get(_checked_key(key))
            if known is not None:
                answers.append(_duplicate(key, known, digest, State.PENDING.value))
                continue
            known = used.get(key)
            if known is not None:
                state = job_rows.state(station.database, known[0])
                answers.append(_duplicate(key, known, digest, state))
                continue
        row = _plain_row(station, call.uid, data, now)
        if row is None:
            row = _new_row(station, call, NewJob(**data), now)
        twin = unique.get(row.unique_key) if row.unique_key is not None else None
        if twin is None and row.unique_key is not None:
            twin = twin_of(station, row.task, row.unique_key)
            unique[row.unique_key] = twin or (row.id, State.PENDING.value)
        if twin is not None:
            # The key is bound to it too: when this request is repeated, it means the same job again.
            if key is not None:
                bound[key] = (twin[0], digest)
            answers.append(_twin_answer(row.task, twin))
            continue
        state = State.PENDING
        if row.line == AFTER_LINE:
            waits[row.id], state = _dependencies_of(station, data)
        rows.append(row)
        if key is not None:
            bound[key] = (row.id, digest)
        answers.append({"id": row.id, "state": state.value, "duplicate": False})
    # Everything that can be refused has been; from here on the request is written whole.
    job_rows.submit(station.database, rows)
    _add_dependencies(station, waits)
    key_rows.add(
        station.database,
        [(call.uid, key, job_id, digest) for key, (job_id, digest) in bound.items()],
    )
    for line in {row.line for row in rows}:
        station.dispatcher.note_ready(line)
    for row in rows:
        if row.eta is not None or row.expires_at is not None:
            announce(station, row)
    station.counters.submitted += len(rows)
    return {"jobs": answers}


def submit_one(
    station: Station,
    uid: int,
    key: str | None,
    asked: Mapping[str, Any],
    make: Callable[[], job_rows.NewJob],
    place: Callable[[job_rows.NewJob], job_rows.NewJob],
) -> dict[str, Any]:
    """Add a job, as `submit` does with one, for requests that make it in a way of their own.

    ``asked`` is what they say, without the key. ``make`` gives the row. ``place`` is called when nothing is
    there that forbids the job; it may give it another line, and may write. Both refuse by raising. Answer:
    ``id``, ``state``, ``duplicate``.
    """
    digest = b""
    if key is not None:
        digest = _Digests()(asked)
        known = key_rows.find(station.database, uid=uid, keys=[_checked_key(key)]).get(key)
        if known is not None:
            state = job_rows.state(station.database, known[0])
            return _duplicate(key, known, digest, state)
    row = make()
    twin = twin_of(station, row.task, row.unique_key) if row.unique_key is not None else None
    if twin is None:
        row = place(row)
        job_rows.submit(station.database, [row])
        announce(station, row)
        station.counters.submitted += 1
        answer: dict[str, Any] = {
            "id": row.id,
            "state": State.PENDING.value,
            "duplicate": False,
        }
    else:
        answer = _twin_answer(row.task, twin)
    if key is not None:
        key_rows.add(station.database, [(uid, key, answer["id"], digest)])
    return answer


_TEXTS: Final = frozenset({"task", "queue"})
"""Fields that hold texts: two requests with these fields alone are the same when they are equal."""

_PLAIN: Final = frozenset({"task", "args", "kwargs", "typed", "key"})


def _plain_row(
    station: Station, uid: int, data: Mapping[str, Any], now: Moment
) -> job_rows.NewJob | None:
    """The row of a job that says nothing but its task and typed arguments; None for any other.

    Most jobs are like that, and bulk submits consist of them.
    """
    if not data.keys() <= _PLAIN or not (data.get("typed") or not data.keys() & {"args", "kwargs"}):
        return None
    name = data.get("task")
    if name is None:
        return None
    task = station.plan.task(name)
    return plain_task_row(
        station, task, data.get("args") or (), data.get("kwargs") or {}, now, uid=uid
    )


def plain_task_row(
    station: Station,
    task: Task,
    args: Sequence[Json],
    kwargs: Mapping[str, Json],
    now: Moment,
    *,
    uid: int,
    schedule: int | None = None,
) -> job_rows.NewJob | None:
    """The row of a job that says nothing but its task and arguments that are values already.

    What follows from the task alone is worked out once for each task and plan: the row of its first job is
    the pattern of all others. None: more than the task decides about its jobs; `new_task_row` knows. Raises
    what that one raises.
    """
    if task.expires_s is not None or task.name in station.plan.unavailable:
        return None
    if task.concurrency_key is not None or task.unique is not None:
        # What follows from the arguments is worked out for each job.
        return None
    pattern = station.patterns.get(task.name)
    if pattern is None:
        given = Given.exact(args, kwargs)
        row = new_task_row(station, task, given, now, uid=uid, schedule=schedule)
        without_arguments = None if args or kwargs else row.payload
        station.patterns[task.name] = Pattern(row, without_arguments)
        return row
    if args or kwargs:
        payload = _payload_of_values(station, task, args, kwargs)
    elif pattern.payload is None:
        payload = _payload_of_values(station, task, (), {})
        station.patterns[task.name] = Pattern(pattern.row, payload)
    else:
        payload = pattern.payload
    return pattern.row._replace(
        id=station.ids.take(), uid=uid, payload=payload, schedule=schedule, submitted_at=now
    )


def _payload_of_values(
    station: Station, task: Task, args: Sequence[Json], kwargs: Mapping[str, Json]
) -> str:
    """The arguments as the task takes them, as JSON. Raises InvalidArguments."""
    args = args or task.args
    is_simple = task.kind is Kind.FUNCTION and not kwargs and not task.kwargs
    if is_simple and takes(station.plan.parameters.get(task.name), args):
        return _dumps({"args": args, "kwargs": {}})
    return _payload(station, task, with_defaults(Given.exact(args, kwargs), (), task.kwargs))


def _dependencies_of(
    station: Station, data: Mapping[str, Any]
) -> tuple[list[tuple[int, str]], State]:
    """``(id, until)`` of the jobs that a new one waits for, and the state in which it is when its submit is
    answered. Raises NotFound, UsageError."""
    wanted = [(job_id, "success") for job_id in data.get("after") or ()]
    wanted += [(job_id, "end") for job_id in data.get("after_any") or ()]
    if len(wanted) > MAX_AFTER:
        raise UsageError(f"a job waits for {MAX_AFTER} others at most")
    found: dict[int, str] = {}
    state = State.PENDING
    for job_id, until in wanted:
        if found.setdefault(job_id, until) != until:
            raise UsageError(
                f"job {job_id} is named with --after and with --after-any", hint="Keep one of them."
            )
        other = _state(station, job_id)
        if until == "success" and other in FINAL and other is not State.SUCCESS:
            # It is made all the same: whether the other one failed a moment before or after makes no
            # difference to whoever looks at this one.
            state = State.REVOKED
    return list(found.items()), state


def _add_dependencies(station: Station, waits: Mapping[int, list[tuple[int, str]]]) -> None:
    for job_id, wanted in waits.items():
        rows = [(job_id, on_job, until, "open") for on_job, until in wanted]
        dependency_rows.add(station.database, rows)
        # Some may have ended before: they are followed in this transaction, as if they ended now.
        station.dispatcher.note_ended([on_job for on_job, _ in wanted])


def twin_of(station: Station, task: str | None, unique_key: str) -> tuple[int, str] | None:
    """``(id, state)`` of the job that waits or runs and of which there may be only one, or None."""
    found = job_rows.unfinished_with(station.database, unique_key=unique_key)
    if found is not None or task is None:
        return found
    # Jobs that were submitted before the task was renamed.
    kind, _, rest = unique_key.partition("/")
    for alias in station.plan.tasks[task].aliases:
        before = f"{kind}/{alias}{rest.removeprefix(task)}"
        found = found or job_rows.unfinished_with(station.database, unique_key=before)
    return found


def _twin_answer(task: str | None, twin: tuple[int, str]) -> dict[str, Any]:
    job_id, state = twin
    reason = f'task "{task}" is unique, and job {job_id} is {state}'
    return {"id": job_id, "state": state, "duplicate": True, "reason": reason}


class _Digests:
    """Digests of what was asked for, without its key; remembers the last one.

    A bulk request often asks for the same thing a thousand times.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Any] | None = None
        self._digest = b""

    def __call__(self, data: Mapping[str, Any]) -> bytes:
        asked = {name: value for name, value in data.items() if name != "key"}
        # By text: 1, 1.0 and True are equal, but not the same request.
        if asked != self._asked or not asked.keys() <= _TEXTS:
            text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
            self._asked, self._digest = asked, blake2b(text.encode(), digest_size=16).digest()
        return self._digest


def _checked_key(key: str) -> str:
    if not 1 <= len(key.encode(errors="surrogatepass")) <= 200 or not key.isprintable():
        raise UsageError(
            "a key has 1 to 200 bytes and no control characters", hint="Choose another --key."
        )
    return key


def _duplicate(
    key: str, known: tuple[int, bytes], digest: bytes, state: str | None
) -> dict[str, Any]:
    """The answer for a key that is bound already. Raises Conflict: to another request, or to a job that
    has ended and was removed, which must not be done a second time."""
    job_id, known_digest = known
    if known_digest != digest:
        raise Conflict(
            f'the key "{key}" was used for another request: job {job_id}',
            hint="Use a new key for a new job; the same key means the same job.",
        )
    if state is None:
        raise Conflict(
            f'the key "{key}" was used for job {job_id}, which has ended and was removed',
            hint="Use a new key to do it again.",
        )
    return {"id": job_id, "state": state, "duplicate": True}


def _new_row(station: Station, call: Call, job: NewJob, now: Moment) -> job_rows.NewJob:
    """Judge one job and make its row.

    Raises:
        NotFound: no such task. InvalidArguments, UsageError, NotAllowed: it cannot be done like that.
    """
    if (job.task is None) == (job.command is None):
        raise UsageError("a job is either of a task or a command of its own")
    if job.task is not None:
        return new_task_row(
            station,
            station.plan.task(job.task),
            _given(job),
            now,
            uid=call.uid,
            options=job,
        )
    return _new_command_row(station, call, job, now)


def new_task_row(
    station: Station,
    task: Task,
    given: Given,
    now: Moment,
    *,
    uid: int,
    options: NewJob | None = None,
    schedule: int | None = None,
) -> job_rows.NewJob:
    """The row of a new job of a task."""
    job = options or NewJob(task=task.name)
    call = _call(station, task, with_defaults(given, task.args, task.kwargs))
    parameters = station.plan.parameters.get(task.name)
    timeout_s = job.timeout_s if job.timeout_s is not None else task.timeout_s
    queue = job.queue if job.queue is not None else task.queue
    kind = task.kind.value
    has_limit = timeout_s is not None or task.soft_timeout_s is not None
    is_alone = has_limit or is_paced(station.plan, queue, task)
    if task.kind is Kind.FUNCTION and is_alone:
        kind = "limited"
    unavailable = station.plan.unavailable.get(task.name)
    return _row(
        station,
        job,
        now,
        uid=uid,
        kind=kind,
        task=task.name,
        payload=_text_of(call),
        own_line=task.name if task.has_own_line else None,
        gate=gate_of(task, call.args, call.kwargs, parameters),
        unique_key=unique_key_of(task, call.args, call.kwargs, parameters),
        queue=queue,
        priority=job.priority if job.priority is not None else task.priority,
        expires_s=task.expires_s,
        schedule=schedule,
        unavailable=unavailable,
    )


def scheduled_row(
    station: Station, spec: ScheduleSpec, schedule: int, instant: Moment, *, uid: int
) -> job_rows.NewJob:
    """The row of a job that a schedule makes, with its arguments; ``schedule`` is the schedule's id.

    It expires as counted from its instant. Raises NotFound: no such task; and as `submit` does.
    """
    plan, now = station.plan, station.clock.now()
    task = plan.task(spec.task)
    args, kwargs = plan.arguments_of(spec)
    options = None
    if spec.expires_s is None:
        row = plain_task_row(station, task, args, kwargs, now, uid=uid, schedule=schedule)
        if row is not None:
            return row
    else:
        expires_at = instant + round(spec.expires_s * SECOND)
        options = NewJob(task=spec.task, expires_at=expires_at)
    given = Given.exact(args, kwargs)
    return new_task_row(station, task, given, now, uid=uid, options=options, schedule=schedule)


def behind_earlier(row: job_rows.NewJob, schedule: int) -> job_rows.NewJob:
    """The row in the line of its schedule, until an earlier job is gone; where its task cannot run anyway it
    stays as it is."""
    if row.task is not None and row.line == parked_line(row.task):
        return row
    return row._replace(line=schedule_line(schedule), reason=Reason.EARLIER.value)


def _new_command_row(station: Station, call: Call, job: NewJob, now: Moment) -> job_rows.NewJob:
    assert job.command is not None
    if not job.command or not job.command[0]:
        raise UsageError("the command is empty", hint="jobctl submit -- PROGRAM [ARGUMENT…]")
    if job.args or job.kwargs:
        raise UsageError("a command of its own takes no further arguments")
    if station.uid != 0 and call.uid != station.uid:
        # It would have to run as somebody that this daemon cannot become.
        raise NotAllowed(
            f"this daemon runs as uid {station.uid} and cannot run a command as uid {call.uid}",
            hint="Submit as the daemon's user, or define a task.",
        )
    try:
        env, cwd = ENVIRONMENT.read(job.env or {}), FOLDER.read(job.cwd or "/")
    except InvalidValue as error:
        raise UsageError(error.message, hint=error.hint) from None
    if job.umask is not None and not 0 <= job.umask <= 0o777:
        raise UsageError("a umask lies between 0 and 0777")
    # The same limits as for the arguments of a task's command.
    texts(Given.exact([*job.command, *env.values(), cwd]))
    payload = {
        "command": job.command,
        "env": env,
        "cwd": cwd,
        "umask": job.umask if job.umask is not None else 0o022,
    }
    return _row(
        station,
        job,
        now,
        uid=call.uid,
        kind="command",
        task=None,
        payload=_dumps(payload),
        own_line=None,
        gate=None,
        unique_key=None,
        queue=job.queue if job.queue is not None else DEFAULT_QUEUE,
        priority=job.priority or 0,
        expires_s=None,
        schedule=None,
        unavailable=None,
    )


def _row(
    station: Station,
    job: NewJob,
    now: Moment,
    *,
    uid: int,
    kind: str,
    task: str | None,
    payload: str,
    own_line: str | None,
    gate: str | None,
    unique_key: str | None,
    queue: str,
    priority: int,
    expires_s: float | None,
    schedule: int | None,
    unavailable: str | None,
) -> job_rows.NewJob:
    _check_name("queue", queue)
    if not station.plan.groups_serving(queue):
        raise UsageError(
            f'no worker group serves the queue "{queue}"',
            hint="jobctl inspect queues lists the queues that are served.",
        )
    if not 0 <= (job.retries or 0) <= MAX_RETRIES:
        raise UsageError(f"retries lies between 0 and {MAX_RETRIES}")
    if (job.timeout_s or 0) < 0:
        raise UsageError("a timeout cannot be negative")
    if job.stderr is not None:
        _check_stderr(job.stderr, kind)
    names = ("retries", "timeout_s", "queue", "stderr")
    overrides = {name: value for name in names if (value := getattr(job, name)) is not None}
    if not -32768 <= priority <= 32767:
        raise UsageError("a priority lies between -32768 and 32767; higher goes first")
    if job.labels is not None:
        if len(job.labels) > MAX_LABELS:
            raise UsageError(f"a job has {MAX_LABELS} labels at most")
        for name, value in job.labels.items():
            _check_label(name)
            _check_label(value)
    eta = job.eta
    if job.delay_s is not None:
        eta = now + int(job.delay_s * SECOND)
    expires_at = job.expires_at
    if expires_at is None and expires_s is not None:
        expires_at = (eta or now) + int(expires_s * SECOND)
    if not all(0 <= moment <= LAST_MOMENT for moment in (eta or 0, expires_at or 0)):
        raise UsageError("a moment lies between 1970 and the year 9999")
    if expires_at is not None and expires_at <= now:
        raise UsageError("the job would expire before it could start")
    reason: str | None = None
    if job.after or job.after_any:
        line = AFTER_LINE
    elif unavailable is not None and task is not None:
        line, reason = parked_line(task), unavailable
    elif eta is not None and eta > now:
        line, reason = ETA_LINE, Reason.ETA.value
    elif gate is not None:
        # The dispatcher lets it go on from there, in this very transaction if the gate has room.
        line = gate_line(gate)
    else:
        line = ready_line(kind, queue, own_line)
    return job_rows.NewJob(
        id=station.ids.take(),
        kind=kind,
        task=task,
        queue=queue,
        priority=priority,
        line=line,
        payload=payload,
        overrides=_dumps(overrides) if overrides else None,
        labels=_dumps(job.labels) if job.labels else None,
        uid=uid,
        schedule=schedule,
        submitted_at=now,
        eta=eta,
        expires_at=expires_at,
        reason=reason,
        unique_key=unique_key,
    )


def _check_stderr(stderr: str, kind: str) -> None:
    if kind != Kind.COMMAND.value:
        raise UsageError(
            "stderr is for commands; what a function prints is kept together",
            hint="Leave it out, or make the task a command.",
        )
    if stderr not in ("merge", "separate"):
        raise UsageError(
            'stderr is "merge" or "separate"', hint='Write "separate" to keep it apart.'
        )


def _given(job: NewJob) -> Given:
    if job.typed:
        return Given.exact(job.args or (), job.kwargs)
    raw = set(job.raw or ())
    return Given(
        args=tuple(_typed(value) for value in job.args or ()),
        kwargs={
            name: Exact(value) if name in raw else _typed(value)
            for name, value in (job.kwargs or {}).items()
        },
    )


def _typed(value: Any) -> Typed:
    if not isinstance(value, str):
        raise UsageError("an argument that is not typed is a text")
    return Typed(value)


def _payload(station: Station, task: Task, given: Given) -> str:
    """The stored arguments: what the task cannot take is refused here, not when it runs."""
    return _text_of(_call(station, task, given))


def _call(station: Station, task: Task, given: Given) -> Bound | Texts:
    """The arguments as the task takes them. Raises InvalidArguments."""
    if task.kind is Kind.FUNCTION:
        return bind(station.plan.parameters.get(task.name), given)
    found = texts(given)
    if task.command is not None:
        build_argv(task.command, found)
    return found


def _text_of(call: Bound | Texts) -> str:
    return _dumps({"args": list(call.args), "kwargs": dict(call.kwargs)})


def _check_name(what: str, name: str) -> None:
    try:
        NAME.read(name)
    except InvalidValue as error:
        hint = error.hint or "Letters, digits, _, . and -; at most 200 of them."
        raise UsageError(f"{what}: {error}", hint=hint) from None


def _check_label(text: str) -> None:
    if not 1 <= len(text.encode(errors="surrogatepass")) <= 200 or not text.isprintable():
        raise UsageError("labels and their values have 1 to 200 bytes and no control characters")


def announce(station: Station, row: job_rows.NewJob) -> None:
    """Tell the dispatcher what the new row means for it: hints, true or not."""
    station.dispatcher.note_ready(row.line)
    if row.line == ETA_LINE and row.eta is not None:
        station.dispatcher.note_eta(row.eta)
    if row.expires_at is not None:
        station.dispatcher.note_expiry(row.expires_at)


# -- looking --------------------------------------------------------------------------------------


def found(station: Station, job_id: int, *, longest_bytes: int = 0) -> dict[str, Any]:
    """The row of a job; a ``payload`` that is longer is None. Raises NotFound."""
    row = job_rows.get(station.database, job_id, longest_bytes=longest_bytes)
    if row is None:
        raise NotFound(
            f"there is no job {job_id}",
            hint="It may have been removed by retention; jobctl list shows what there is.",
        )
    return row


def describe(station: Station, row: Mapping[str, Any]) -> dict[str, Any]:
    """A job for people, without its attempts. ``left_out`` names what would have been too long."""
    payload = json.loads(row["payload"] or "{}")
    left_out = [] if row["payload"] else ["args", "kwargs"] if row["task"] else ["command"]
    return {
        "id": row["id"],
        "task": row["task"],
        "command": payload.get("command"),
        "state": row["state"],
        "reason": _reason(station, row),
        "queue": row["queue"],
        "priority": row["priority"],
        "args": payload.get("args", []),
        "kwargs": payload.get("kwargs", {}),
        "labels": json.loads(row["labels"]) if row["labels"] else {},
        "uid": row["uid"],
        "submitted_at": row["submitted_at"],
        "eta": row["eta"],
        "expires_at": row["expires_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "result": None,
        "error": None,
        "progress": _progress(station, row),
        "left_out": left_out,
    }


def _progress(station: Station, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """How far a running job has come, if it says so: as `jobctl.reports.read` gives it."""
    if row["state"] != State.STARTED or row["token"] is None:
        return None
    worker = job_rows.worker_of(row["line"])
    try:
        templates = [path.name for path in station.state.run.iterdir()]
    except OSError:
        return None
    paths = (
        reports.path_of(f"{station.state.run}/{name}/{worker}", row["token"]) for name in templates
    )
    return next((found for path in paths if (found := reports.read(path)) is not None), None)


def _reason(station: Station, row: Mapping[str, Any]) -> str | None:
    """Why a job is where it is. What holds a whole queue back is not written into each of its rows."""
    if row["reason"]:
        return _cut(row["reason"], REASON_CHARACTERS)
    if row["stop_asked"]:
        return "is being stopped"
    line = row["line"]
    if line is None:
        return None
    if line == AFTER_LINE:
        return _why_after(station, row["id"])
    gate = gate_of_line(line)
    if gate is not None:
        return _why_gated(station, gate)
    return station.dispatcher.holds_back(line) if is_ready_line(line) else None


def _why_after(station: Station, job_id: int) -> str:
    found = dependency_rows.of_job(station.database, job_id, limit=MAX_AFTER)
    waits = [one for one in found if one.status == "open"]
    if not waits:
        return Reason.AFTER.value
    first = waits[0]
    more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
    return f"waits for the {first.until} of job {first.on_job}{more}"


def _why_gated(station: Station, gate: str) -> str:
    task = station.plan.find(task_of_gate(gate))
    most = task.per_key if task is not None else 1
    jobs = "job" if most == 1 else "jobs"
    return f'{most} {jobs} with the key "{key_of_gate(gate)}" may run at once'


def status(station: Station, call: Call, request: requests.Status) -> dict[str, Any]:
    """One job whole, with its newest attempts."""
    row = found(station, request.job, longest_bytes=SHOWN_BYTES)
    described = describe(station, row)
    last = attempt_rows.get(station.database, request.job, longest_bytes=SHOWN_BYTES)
    described |= _end_of(last)
    described["left_out"] += [
        name
        for name in ("result", "error")
        if last and last[name] is None and last[f"{name}_bytes"]
    ]
    attempts = attempt_rows.of_job(
        station.database,
        request.job,
        limit=ATTEMPTS_SHOWN + 1,
        longest_bytes=ATTEMPT_TEXT_BYTES,
    )
    if len(attempts) > ATTEMPTS_SHOWN:
        described["left_out"].append("attempts")
    described["after"] = [
        {"id": on_job, "until": until, "status": status}
        for on_job, until, status in dependency_rows.of_job(
            station.database, request.job, limit=AFTER_SHOWN
        )
    ]
    described["attempts"] = [
        describe_attempt(station, attempt) for attempt in attempts[-ATTEMPTS_SHOWN:]
    ]
    return described


def _end_of(last: Mapping[str, Any] | None) -> dict[str, Any]:
    """``result`` and ``error`` of a job whose newest attempt is this one."""
    return {
        name: json.loads(last[name]) if last and last[name] else None
        for name in ("result", "error")
    }


def _cut(text: object, characters: int) -> str:
    whole = str(text)
    return whole if len(whole) <= characters else f"{whole[:characters]}…"


def describe_attempt(station: Station, row: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt that has ended, for people, with the end of its output."""
    started_at = row["started_at"] or row["claimed_at"]
    return {
        "number": row["number"],
        "outcome": row["verdict"],
        "exit_code": row["exit_code"],
        "signal": row["signal"],
        "started_at": started_at,
        "finished_at": row["finished_at"],
        "duration_s": max(row["finished_at"] - started_at, 0) / SECOND,
        "error": json.loads(row["error"]) if row["error"] else None,
        "output_bytes": row["output_bytes"],
        "output_tail": _tail(station, row, "output"),
        "stderr_bytes": row["stderr_bytes"],
        "stderr_tail": _tail(station, row, "stderr"),
        "user_s": row["user_s"],
        "system_s": row["system_s"],
        "max_rss_bytes": row["max_rss_bytes"],
        "worker": row["worker"],
        "proof": row["proof"],
        "ran_with": json.loads(row["ran_with"]) if row["ran_with"] else None,
        "late": json.loads(row["late"]) if row["late"] else None,
    }


def _tail(station: Station, row: Mapping[str, Any], stream: str) -> str:
    """The end of an attempt's ``"output"`` or ``"stderr"``."""
    if not row[f"{stream}_file"]:
        return bytes(row[stream] or b"")[-TAIL_BYTES:].decode("latin-1")
    is_stderr = stream == "stderr"
    path = station.state.output_file(row["job_id"], row["number"], stderr=is_stderr)
    end = row[f"{stream}_bytes"]
    try:
        parts = read_chunks(path, max(end - TAIL_BYTES, 0), end)
        return b"".join(data for _, data in parts).decode("latin-1")
    except OSError:
        return ""


def list_jobs(
    station: Station, call: Call, request: requests.List
) -> Generator[None, None, dict[str, Any]]:
    """Jobs that fit, newest first; a long walk goes in slices."""
    if not 1 <= request.limit <= MAX_LIST:
        raise UsageError(f"limit lies between 1 and {MAX_LIST}")
    for state in request.states or ():
        if state not in State.__members__:
            raise UsageError(
                f'there is no state "{state}"', hint=f"States: {', '.join(State.__members__)}"
            )
    return _walk(station, request)


def _walk(station: Station, request: requests.List) -> Generator[None, None, dict[str, Any]]:
    fits = _filter(request)
    before = request.before if request.before is not None else 2**62
    chosen: list[dict[str, Any]] = []
    count = 0
    while True:
        rows = job_rows.page(
            station.database,
            before=before,
            limit=SLICE_ROWS,
            longest_bytes=0 if request.count else LISTED_BYTES,
        )
        for row in rows:
            before = row["id"]
            if not fits(row):
                continue
            if request.count:
                count += 1
            elif len(chosen) == request.limit:
                return {"jobs": chosen, "next": chosen[-1]["id"]}
            else:
                chosen.append(describe(station, row))
        if len(rows) < SLICE_ROWS:
            return {"count": count} if request.count else {"jobs": chosen, "next": None}
        yield


def _filter(request: requests.List) -> Callable[[Mapping[str, Any]], bool]:
    states = set(request.states) if request.states else None

    def fits(row: Mapping[str, Any]) -> bool:
        if states is not None and row["state"] not in states:
            return False
        if request.task is not None and row["task"] != request.task:
            return False
        if request.queue is not None and row["queue"] != request.queue:
            return False
        if request.labels:
            labels = json.loads(row["labels"]) if row["labels"] else {}
            return all(labels.get(name) == value for name, value in request.labels.items())
        return True

    return fits


def result(station: Station, call: Call, request: requests.Result) -> dict[str, Any]:
    """What a job came to, now: the one answer that holds a result of any length."""
    row = found(station, request.job)
    last = attempt_rows.get(station.database, request.job)
    return {
        "id": row["id"],
        "state": row["state"],
        **_end_of(last),
        "reason": _reason(station, row),
    }


# -- waiting --------------------------------------------------------------------------------------


def wait(station: Station, call: Call, request: requests.Wait) -> None:
    """Answer when all jobs have ended, or when the time is over."""
    if not request.jobs:
        raise UsageError("there is nothing to wait for")
    if len(request.jobs) > MAX_WAIT:
        raise UsageError(
            f"one request may wait for {MAX_WAIT} jobs, this one names {len(request.jobs)}",
            hint="Wait for them in several requests.",
        )
    unfinished = [job for job in request.jobs if _state(station, job) not in FINAL]

    def answer(is_complete: bool) -> None:
        station.go_on(call, _describe_ends(station, request.jobs, is_complete=is_complete))

    if not unfinished:
        answer(True)
        return
    deadline = None
    if request.timeout_s is not None:
        deadline = station.clock.monotonic() + request.timeout_s
    station.waiters.add(call, unfinished, answer, deadline=deadline)


def _state(station: Station, job_id: int) -> State:
    state = job_rows.state(station.database, job_id)
    return State(found(station, job_id)["state"] if state is None else state)


def _describe_ends(
    station: Station, job_ids: Sequence[int], *, is_complete: bool
) -> Generator[None, None, dict[str, Any]]:
    """What jobs came to; many of them in slices.

    Only one alone comes with its result and its whole error: many together could hold any amount, and
    who waits for many asks for each by `result`.
    """
    ends = []
    for count, job_id in enumerate(job_ids, start=1):
        ends.append(_describe_end(station, job_id, is_whole=len(job_ids) == 1))
        if count % SLICE_ENDS == 0:
            yield
    return {"jobs": ends, "timed_out": not is_complete}


def _describe_end(station: Station, job_id: int, *, is_whole: bool) -> dict[str, Any]:
    row = job_rows.get(station.database, job_id, longest_bytes=0)
    if row is None:
        return {"id": job_id, "state": None, "reason": "removed"}
    longest = ALL if is_whole else ATTEMPT_TEXT_BYTES
    last = attempt_rows.get(station.database, job_id, longest_bytes=longest)
    if State(row["state"]) not in FINAL:
        last = None
    end = _end_of(last) if is_whole else {"error": _brief_error(last), "result": None}
    return {
        "id": job_id,
        "state": row["state"],
        "reason": _cut(row["reason"], REASON_CHARACTERS) if row["reason"] else None,
        "kind": "command" if row["kind"] == "command" else "function",
        "exit_code": last["exit_code"] if last else None,
        "signal": last["signal"] if last else None,
        "verdict": last["verdict"] if last else None,
        **end,
    }


def _brief_error(last: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Type and message, without the traceback; None where there is no error, or one that is too long."""
    error = json.loads(last["error"]) if last and last["error"] else None
    if not isinstance(error, dict):
        return None
    return {name: _cut(error.get(name, ""), BRIEF_CHARACTERS) for name in ("type", "message")} | {
        "traceback": ""
    }


# -- changing -------------------------------------------------------------------------------------


def cancel(
    station: Station, call: Call, request: requests.Cancel
) -> dict[str, Any] | Callable[[], None]:
    """End a job; answered when nothing of it is left."""
    row = found(station, request.job)
    number = _signal_of(row, request.signal) if request.signal is not None else None
    how = station.dispatcher.cancel(request.job, station.clock.now(), signal=number)
    if how != "stopping":
        return _describe_cancelled(station, request.job)

    def answer(_is_complete: bool) -> None:
        call.answer(_describe_cancelled(station, request.job))

    return lambda: station.waiters.add(call, [request.job], answer)


def _signal_of(row: Mapping[str, Any], name: str) -> int:
    """Raises UsageError."""
    try:
        number = parse_signal(name, may_kill=True)
    except InvalidValue as error:
        raise UsageError(error.message, hint=error.hint) from None
    if row["kind"] != "command":
        raise UsageError(
            f"job {row['id']} calls a function: its worker is ended at once, without a signal before",
            hint=f"jobctl cancel {row['id']} ends it.",
        )
    return number


def _describe_cancelled(station: Station, job_id: int) -> dict[str, Any]:
    row = found(station, job_id)
    last = attempt_rows.get(station.database, job_id, longest_bytes=0)
    proof = (last["proof"] or "") if last else ""
    remaining = [int(word) for word in proof.replace(",", " ").split() if word.isdecimal()]
    return {
        "id": job_id,
        "state": row["state"],
        "reason": row["reason"],
        "gone": not remaining and not proof.startswith("unproved"),
        "proof": proof or None,
        "remaining": remaining,
    }


def retry(station: Station, call: Call, request: requests.Retry) -> dict[str, Any]:
    """Begin a fresh round of a job that has ended, and of those that were revoked because of it."""
    row = found(station, request.job)
    if State(row["state"]) not in FINAL:
        raise Conflict(
            f"job {request.job} is {row['state']}: it has not ended",
            hint=f"jobctl cancel {request.job} ends it.",
        )
    renewed: dict[int, str | None] = {request.job: _free_unique_key(station, row)}
    if request.with_dependents:
        _find_dependents(station, renewed)
    # Everything that can be refused has been.
    for job_id, unique_key in renewed.items():
        standing = job_rows.renew(station.database, id=job_id, unique_key=unique_key)
        assert standing is not None
        # What it waited for in vain, and nobody renews, holds it back no more: somebody wants it to run.
        if dependency_rows.reopen(station.database, job_id):
            move = (AFTER_LINE, standing.queue, None, None, job_id, standing.line)
            job_rows.move(station.database, [move])
            station.dispatcher.note_ready(AFTER_LINE)
        else:
            station.dispatcher.note_standing(standing)
    dependents = [job_id for job_id in renewed if job_id != request.job]
    return {"id": request.job, "state": State.PENDING.value, "dependents": dependents}


def _find_dependents(station: Station, renewed: dict[int, str | None]) -> None:
    """Add the jobs that waited in vain for those that begin a fresh round, and for nobody else.

    By rising id: a job only waits for older ones, so all of these are decided when its turn comes. Raises
    Conflict.
    """
    candidates = dependency_rows.broken_by(station.database, next(iter(renewed)))
    heapq.heapify(candidates)
    while candidates:
        job_id = heapq.heappop(candidates)
        row = job_rows.get(station.database, job_id, longest_bytes=0)
        if job_id in renewed or row is None or row["state"] != State.REVOKED:
            continue
        waits = dependency_rows.of_job(station.database, job_id, limit=MAX_AFTER)
        if any(one.status == "broken" and one.on_job not in renewed for one in waits):
            continue
        renewed[job_id] = _free_unique_key(station, row)
        for further in dependency_rows.broken_by(station.database, job_id):
            heapq.heappush(candidates, further)


def _free_unique_key(station: Station, row: Mapping[str, Any]) -> str | None:
    """What is unique of a job, if no other job stands in its way. Raises Conflict."""
    unique_key = _unique_key_now(station, row)
    if unique_key is None:
        return None
    twin = twin_of(station, station.plan.task(row["task"]).name, unique_key)
    if twin is not None:
        raise Conflict(
            f'task "{row["task"]}" is unique, and job {twin[0]} is {twin[1]}',
            hint=f"Wait for it: jobctl wait {twin[0]}.",
        )
    return unique_key


def _unique_key_now(station: Station, row: Mapping[str, Any]) -> str | None:
    """What is unique of a job by the plan in force, None when nothing is."""
    task = station.plan.find(row["task"]) if row["task"] is not None else None
    if task is None or task.unique is None:
        return None
    given = json.loads(job_rows.payload(station.database, row["id"]))
    try:
        return unique_key_of(
            task, given["args"], given["kwargs"], station.plan.parameters.get(task.name)
        )
    except InvalidArguments:
        # Submitted before the key named an argument that it has not: it is like no other.
        return None
