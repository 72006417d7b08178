"""The tables of a configuration besides tasks: the daemon, worker groups, queues, schedules.

As with `jobctl.task.Task`, the fields of each type are the keys of its table, described once. The
constant `TABLES` lists every table with its keys; the loader, the JSON Schema and the reference page
walk it.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jobctl.task import (
    BODIES,
    MISSED_LIMIT,
    ON_MISSED,
    ON_OVERLAP,
    UNKNOWN_SOURCE,
    Source,
    Task,
    task_faults,
)
from jobctl.task.keys import (
    ARGS,
    ENVIRONMENT,
    FLAG,
    FOLDER,
    KWARGS,
    LATITUDE,
    LONGITUDE,
    MODULE,
    NAME,
    POSITIVE_SPAN,
    RATE,
    SIZE,
    SPAN,
    TEXT,
    UMASK,
    USER,
    ZONE,
    BoundKey,
    Json,
    Mark,
    choice,
    key,
    keys_of,
    list_of,
    read_values,
    whole,
    write_some,
    write_values,
)
from jobctl.task.units import Fault, InvalidValue, Rate, format_span, parse_span, shown
from jobctl.task.world import GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODULES: Final = list_of(MODULE, distinct=True)
_COUNT: Final = whole(1, 1_000_000)
DEFAULT_GROUP: Final = "default"


def available_cpus() -> int:
    """How many processors this process may use; at least 1."""
    return max(1, len(os.sched_getaffinity(0)))


@dataclass(frozen=True, kw_only=True)
class DaemonSettings:
    """The ``[daemon]`` table. None means that the daemon finds the value out when it starts."""

    state_dir: str | None = field(
        default=None,
        metadata=key(
            "state_dir",
            FOLDER,
            "Where jobs, outputs and running attempts are kept; on a local file system. "
            "Cannot change by reload.",
            default_text="`/var/lib/jobctl` for root, else `~/.local/state/jobctl`",
        ),
    )
    socket: str | None = field(
        default=None,
        metadata=key(
            "socket",
            FOLDER,
            "The socket on which commands reach the daemon. Cannot change by reload.",
            default_text="`/run/jobctl/jobctl.sock` for root, else in `$XDG_RUNTIME_DIR/jobctl`",
        ),
    )
    timezone: str | None = field(
        default=None,
        metadata=key(
            "timezone",
            ZONE,
            "The zone of every schedule that names none, and of what is shown.",
            default_text="the host's",
        ),
    )
    imports: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "imports", _MODULES, "Modules with `@task` functions, imported by every worker group."
        ),
    )
    shutdown: str = field(
        default="keep",
        metadata=key(
            "shutdown",
            choice("keep", "drain", "kill"),
            "What TERM does to running jobs: `keep` lets them run for the next daemon to adopt, `drain` "
            "waits for them, `kill` stops them.",
        ),
    )
    log_format: str = field(
        default="text",
        metadata=key("log_format", choice("text", "json"), "The form of the daemon's log lines."),
    )
    log_level: str = field(
        default="info",
        metadata=key(
            "log_level", choice("debug", "info", "warning", "error"), "The least that is logged."
        ),
    )
    keep_s: float = field(
        default=30 * 86400.0,
        metadata=key(
            "keep", POSITIVE_SPAN, "How long a finished job is kept, with its attempts and output."
        ),
    )
    keep_jobs: int = field(
        default=1_000_000,
        metadata=key(
            "keep_jobs",
            whole(0, 1_000_000_000),
            "How many finished jobs are kept; the oldest go first.",
        ),
    )
    result_expires_s: float | None = field(
        default=None,
        metadata=key(
            "result_expires",
            POSITIVE_SPAN,
            "How long the results of functions are kept, where their task does not say it.",
            default_text="as long as the job",
        ),
    )
    keep_output_s: float | None = field(
        default=None,
        metadata=key(
            "keep_output",
            POSITIVE_SPAN,
            "How long the output of a finished job is kept.",
            default_text="as long as the job",
        ),
    )
    keep_output_bytes: int = field(
        default=10 << 30,
        metadata=key(
            "keep_output_size",
            SIZE,
            "How much of the disk the outputs of finished jobs may take; the oldest go first. It is looked "
            "at once an hour. Outputs up to 16 KiB, which are kept with their jobs, do not count.",
        ),
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)


POOLS: Final = ("prefork", "async", "threads")


def _read_pool(value: object) -> str:
    if value not in POOLS:
        raise InvalidValue(
            f"{shown(value)} is not a pool",
            hint='Write pool = "prefork", "async" or "threads".',
        )
    return str(value)


def _write_text(value: str) -> Json:
    return value


_POOL: Final = Mark(
    word='`"prefork"`, `"async"` or `"threads"`',
    read=_read_pool,
    write=_write_text,
    schema={"enum": [*POOLS]},
)


@dataclass(frozen=True, kw_only=True)
class WorkerGroup:
    """A ``[workers.X]`` table: workers that share an interpreter, a user and an environment."""

    name: str
    queues: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "queues",
            list_of(NAME, at_least=1, distinct=True, hint='Name the queues: ["default"].'),
            "The queues that it serves.",
            default_text="every queue that no other group names",
        ),
    )
    processes: int = field(
        default_factory=available_cpus,
        metadata=key(
            "processes",
            whole(1, 4096),
            "How many workers run functions. Each runs one at once, or `concurrency` of them unless "
            '`pool = "prefork"`.',
            default_text="the number of processors",
        ),
    )
    commands: int = field(
        default=32, metadata=key("commands", whole(1, 65536), "How many commands run at once.")
    )
    python: str | None = field(
        default=None,
        metadata=key(
            "python",
            FOLDER,
            "The interpreter of the functions, usually of the application's environment; it needs to "
            "find jobctl's own code only, nothing that jobctl depends on.",
            default_text="the daemon's",
        ),
    )
    cwd: str | None = field(
        default=None,
        metadata=key("cwd", FOLDER, "The directory of the workers.", default_text="`/`"),
    )
    user: str | None = field(
        default=None,
        metadata=key(
            "user",
            USER,
            "The user as whom its workers run. A daemon of root imports no module as root unless this "
            'is `"root"`.',
            default_text="the daemon's",
        ),
    )
    group: str | None = field(
        default=None,
        metadata=key(
            "group",
            GROUP,
            "The group of its workers, in place of their user's own; only a daemon of root can change it.",
            default_text="the user's",
        ),
    )
    umask: int = field(
        default=0o022,
        metadata=key(
            "umask",
            UMASK,
            "The permissions that new files of its functions do not get. Those of the owner cannot be "
            "taken away: workers need files of their own.",
        ),
    )
    pythonpath: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "pythonpath",
            list_of(FOLDER, distinct=True),
            "Folders that are searched first for modules.",
        ),
    )
    env: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,
        metadata=key(
            "env", ENVIRONMENT, "Variables that are added to the environment of its workers."
        ),
    )
    imports: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "imports", _MODULES, "Further modules with `@task` functions, for this group."
        ),
    )
    max_tasks_per_child: int | None = field(
        default=None,
        metadata=key(
            "max_tasks_per_child",
            _COUNT,
            "After how many functions a worker is replaced; another one is there before it goes.",
            default_text='`1000` where `pool = "prefork"`, else no limit',
        ),
    )
    max_memory_bytes: int | None = field(
        default=None,
        metadata=key(
            "max_memory_per_child",
            SIZE,
            "A worker of which more is resident when its functions have ended is replaced, once another one "
            "serves; what it shares with others counts.",
            default_text="no limit",
        ),
    )
    pool: str = field(
        default="prefork",
        metadata=key(
            "pool",
            _POOL,
            'How functions run: `"prefork"`, one after the other in each forked process; `"async"`, '
            'coroutine functions side by side in one; `"threads"`, functions side by side in threads of one.',
        ),
    )
    concurrency: int | None = field(
        default=None,
        metadata=key(
            "concurrency",
            whole(1, 10_000),
            'How many functions each worker runs side by side; not where `pool = "prefork"`.',
            default_text='`1000` where `pool = "async"`, `16` where `pool = "threads"`',
        ),
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    @property
    def is_async(self) -> bool:
        """Whether it runs coroutine functions side by side."""
        return self.pool == "async"

    @property
    def side_by_side(self) -> int:
        """How many functions one of its workers runs side by side; 0: one after the other."""
        if self.pool == "prefork":
            return 0
        return self.concurrency or (1000 if self.is_async else 16)

    @property
    def most_tasks(self) -> int:
        """How many functions one of its workers runs in its life, at most."""
        if self.max_tasks_per_child is not None:
            return self.max_tasks_per_child
        return 1000 if self.pool == "prefork" else sys.maxsize


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A ``[queues.X]`` table. A queue without one exists as soon as something names it."""

    name: str
    concurrency: int | None = field(
        default=None,
        metadata=key(
            "concurrency", _COUNT, "How many of its jobs run at once.", default_text="no limit"
        ),
    )
    rate_limit: Rate | None = field(
        default=None,
        metadata=key(
            "rate_limit",
            RATE,
            "How many attempts of its jobs may begin in a span; spread evenly.",
            default_text="no limit",
        ),
    )
    rate_burst: int | None = field(
        default=None,
        metadata=key(
            "rate_burst",
            _COUNT,
            "How many of them may begin at once after a pause.",
            default_text="what the rate gives in 0.1 s, at least 1",
        ),
    )
    description: str = field(
        default="", metadata=key("description", TEXT, "What the queue is for, for people.")
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)


def _read_every(value: object) -> str:
    # The text is kept, so that listings show what was written; its meaning is the schedule's.
    span_s = parse_span(value)
    return value if isinstance(value, str) else format_span(span_s)


def _read_cron(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{shown(value)} is not text", hint='Write cron = "30 2 * * *".')
    return value


def _read_at(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    raise InvalidValue(f"{shown(value)} is not a moment", hint='Write at = "2030-01-31 12:00".')


@dataclass(frozen=True, kw_only=True)
class Sun:
    """The inline table ``solar = { event = …, latitude = …, longitude = … }``."""

    event: str = field(metadata=key("event", TEXT, 'Such as "sunrise" or "sunset".'))
    latitude: float = field(metadata=key("latitude", LATITUDE, "North is positive."))
    longitude: float = field(metadata=key("longitude", LONGITUDE, "East is positive."))


def _read_solar(value: object) -> str:
    hint = 'Write solar = { event = "sunset", latitude = 52.52, longitude = 13.40 }.'
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise InvalidValue(f"{shown(value)} is not a table", hint=hint)
    return json.dumps(read_values(keys_of(Sun), value), sort_keys=True)


_EVERY: Final = Mark(
    word="span",
    read=_read_every,
    write=_write_text,
    schema={"type": ["string", "number"], "examples": ["30s", "1h"]},
    unit="seconds",
)
_CRON: Final = Mark(
    word="crontab expression",
    read=_read_cron,
    write=_write_text,
    schema={"type": "string", "examples": ["30 2 * * *", "@daily"]},
)
_AT: Final = Mark(
    word="moment",
    read=_read_at,
    write=_write_text,
    schema={"type": "string", "examples": ["2030-01-31 12:00"]},
)
_MOMENT: Final = Mark(
    word="moment",
    read=_read_at,
    write=_write_text,
    schema={"type": "string", "examples": ["2030-01-31 12:00", "2030-01-31"]},
)
_SOLAR: Final = Mark(
    word="table of event, latitude, longitude",
    read=_read_solar,
    write=_write_text,
    schema={
        "type": "object",
        "properties": {name: dict(bound.key.mark.schema) for name, bound in keys_of(Sun).items()},
        "required": ["event", "latitude", "longitude"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, kw_only=True)
class When:
    """The keys that say when a schedule is due, of which it has exactly one."""

    every: str | None = field(
        default=None, metadata=key("every", _EVERY, "Due each time this span has passed.")
    )
    cron: str | None = field(
        default=None, metadata=key("cron", _CRON, "Due at the local times of a crontab expression.")
    )
    at: str | None = field(default=None, metadata=key("at", _AT, "Due once, at this moment."))
    solar: str | None = field(
        default=None, metadata=key("solar", _SOLAR, "Due at an event of the sun at a place.")
    )


STORED: Final = Source(file="jobctl schedule add")
"""Where a schedule comes from that a command has added."""

KINDS: Final[Mapping[str, str]] = {
    "every": "interval",
    "cron": "crontab",
    "at": "clocked",
    "solar": "solar",
}
"""The kind of schedule (`jobctl.schedule`) behind each key of `When`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleSpec:
    """A schedule as declared: of a ``[schedules.X]`` table, of a task's own table, or stored.

    ``kind`` and ``expression`` are what `jobctl.schedule.parse_schedule` takes; ``start`` and ``end`` are
    moments as `jobctl.schedule.moment_of` takes them. ``timezone`` None means the daemon's; in a
    `jobctl.plan.Plan` it is always set. ``args``, ``kwargs``, ``on_overlap``, ``on_missed``,
    ``missed_within_s`` and ``missed_limit`` None mean the task's. A schedule in a task's own table is
    named like the task.
    """

    name: str
    kind: str
    expression: str
    task: str = field(metadata=key("task", NAME, "The task whose jobs it makes."))
    timezone: str | None = field(
        default=None,
        metadata=key(
            "timezone", ZONE, "The zone in which it is meant.", default_text="that of `[daemon]`"
        ),
    )
    dialect: str = field(
        default="cronie",
        metadata=key(
            "dialect",
            choice("cronie", "celery"),
            "How a crontab expression joins its two day fields: `cronie` means either day, `celery` both.",
        ),
    )
    jitter_s: float = field(
        default=0.0,
        metadata=key(
            "jitter",
            SPAN,
            "Each instant is put off by up to this span, always by the same for one schedule and host.",
        ),
    )
    start: str | None = field(
        default=None,
        metadata=key(
            "start",
            _MOMENT,
            "No instant before this moment counts. An interval is counted from it.",
            default_text="at once",
        ),
    )
    end: str | None = field(
        default=None,
        metadata=key(
            "end",
            _MOMENT,
            "No instant after this moment counts; the moment itself does.",
            default_text="never",
        ),
    )
    max_runs: int | None = field(
        default=None,
        metadata=key(
            "max_runs",
            whole(1, 1_000_000_000),
            "After how many jobs it is done.",
            default_text="no limit",
        ),
    )
    args: tuple[Json, ...] | None = field(
        default=None,
        repr=False,
        metadata=key("args", ARGS, "Positional arguments of its jobs.", default_text="the task's"),
    )
    kwargs: Mapping[str, Json] | None = field(
        default=None,
        repr=False,
        metadata=key(
            "kwargs",
            KWARGS,
            "Named arguments; they replace the task's one by one.",
            default_text="the task's",
        ),
    )
    on_overlap: str | None = field(
        default=None,
        metadata=key("on_overlap", ON_OVERLAP, "As for tasks.", default_text="the task's"),
    )
    on_missed: str | None = field(
        default=None,
        metadata=key("on_missed", ON_MISSED, "As for tasks.", default_text="the task's"),
    )
    missed_within_s: float | None = field(
        default=None,
        metadata=key("missed_within", POSITIVE_SPAN, "As for tasks.", default_text="the task's"),
    )
    missed_limit: int | None = field(
        default=None,
        metadata=key("missed_limit", MISSED_LIMIT, "As for tasks.", default_text="the task's"),
    )
    expires_s: float | None = field(
        default=None,
        metadata=key(
            "expires",
            POSITIVE_SPAN,
            "How long after its instant a job may still start; later it is revoked.",
            default_text="that of the task, counted from the submission",
        ),
    )
    enabled: bool = field(
        default=True, metadata=key("enabled", FLAG, "Whether its instants make jobs.")
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    @property
    def is_stored(self) -> bool:
        """Whether a command has added it, not the file or the code."""
        return self.source == STORED

    @property
    def when_key(self) -> str:
        """The key of `When` that it was written with."""
        return next(name for name, kind in KINDS.items() if kind == self.kind)

    def to_json(self, *, brief: bool = False) -> dict[str, Json]:
        """Give ``name``, ``kind``, ``expression``, ``source`` and the keys of its table that have a value.

        With ``brief`` those that have their default are left out.
        """
        return {
            "name": self.name,
            "kind": self.kind,
            "expression": self.expression,
            "source": self.source.to_json(),
            **write_values(self, brief=brief),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScheduleSpec:
        """Take what `to_json` gave. Raises `InvalidValue` for other keys or values."""
        own = ("name", "kind", "expression", "source")
        written = {name: value for name, value in data.items() if name not in own}
        if data["kind"] not in KINDS.values():
            raise InvalidValue(f"{shown(data['kind'])} is not a kind of schedule")
        return cls(
            name=NAME.read(data["name"]),
            kind=sys.intern(data["kind"]),
            expression=sys.intern(str(data["expression"])),
            source=Source.from_json(data["source"]),
            **_shared(read_values(keys_of(cls), written)),
        )


def _shared(values: dict[str, Any]) -> dict[str, Any]:
    """The same values; texts that most schedules have in common are one object for all of them."""
    for name in ("task", "timezone", "dialect"):
        if isinstance(values.get(name), str):
            values[name] = sys.intern(values[name])
    return values


TIMING: Final = ("timezone", "dialect", "jitter", "start", "end", "max_runs", "enabled")
"""Keys of a schedule that may stand beside `When` in a task's own table."""

TASK_KEYS: Final[Mapping[str, BoundKey]] = {
    **keys_of(Task),
    **keys_of(When),
    **{name: keys_of(ScheduleSpec)[name] for name in TIMING},
}
SCHEDULE_KEYS: Final[Mapping[str, BoundKey]] = {**keys_of(When), **keys_of(ScheduleSpec)}


@dataclass(frozen=True, kw_only=True)
class Table:
    """One kind of table. ``named`` tables stand as ``[tasks.X]``, the other as ``[daemon]``.

    ``later`` are words that are known and refused: writing them is no slip, but nothing keeps them yet.
    """

    name: str
    noun: str
    named: bool
    help: str
    keys: Mapping[str, BoundKey]
    later: frozenset[str] = frozenset()

    def fault_of_unknown(self, name: str) -> Fault | None:
        """Give the fault of a key that is known and not available yet, else None."""
        if name not in self.later:
            return None
        hint = "Remove it for now."
        return Fault(path=(name,), message=f'"{name}" is not available yet', hint=hint, on_key=True)


TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table(
            name="daemon",
            noun="[daemon]",
            named=False,
            help="The daemon itself.",
            keys=keys_of(DaemonSettings),
            later=frozenset({"metrics", "max_load", "min_free_memory"}),
        ),
        Table(
            name="workers",
            noun="worker group",
            named=True,
            help="Groups of workers. Without any there is one, `default`, that serves every queue.",
            keys=keys_of(WorkerGroup),
        ),
        Table(
            name="queues",
            noun="queue",
            named=True,
            help="Limits of queues. A queue needs a table only to have options.",
            keys=keys_of(Queue),
            later=frozenset({"paused", "priority"}),
        ),
        Table(
            name="tasks",
            noun="task",
            named=True,
            help="What can be run. A task may carry one schedule of its own: the keys `every`, `cron`, "
            "`at`, `solar`, `timezone`, `dialect`, `jitter`, `start`, `end`, `max_runs`, `enabled`.",
            keys=TASK_KEYS,
            later=frozenset(
                {
                    "deadline",
                    "max_load",
                    "min_free_memory",
                    "after",
                    "memory",
                    "celery",
                }
            ),
        ),
        Table(
            name="schedules",
            noun="schedule",
            named=True,
            help="Further schedules of tasks, each with arguments of its own.",
            keys=SCHEDULE_KEYS,
        ),
    )
}

LATER_TABLES: Final = frozenset({"notify", "web"})
"""Whole tables that are known and not available yet."""


@dataclass(frozen=True, kw_only=True)
class Override:
    """A ``[tasks.X]`` table without a body: options for a task that the code declares.

    ``options`` are the keys that were written, as JSON, by name.
    """

    name: str
    options: Mapping[str, Json] = field(repr=False)
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)


@dataclass(frozen=True, kw_only=True)
class TaskTable:
    """What one ``[tasks.X]`` table declares: a task with its own schedule, or an override."""

    task: Task | None = None
    schedule: ScheduleSpec | None = None
    override: Override | None = None


def read_task_table(name: str, written: Mapping[str, object], *, source: Source) -> TaskTable:
    """Read a ``[tasks.X]`` table or the options of ``@task``. Raises `InvalidValue` with every fault."""
    return build_task_table(name, read_values(TASK_KEYS, written), source=source)


def build_task_table(name: str, values: Mapping[str, Any], *, source: Source) -> TaskTable:
    """Build from values by field, as `read_values` gives them. Raises `InvalidValue` with every fault."""
    if not any(values.get(body) is not None for body in BODIES):
        faults = _faults_of_when(values, required=False)
        if faults:
            raise InvalidValue(faults=faults)
        override = Override(name=name, options=write_some(TASK_KEYS, values), source=source)
        return TaskTable(override=override)
    task_fields = {bound.field for bound in keys_of(Task).values()}
    own = {field: value for field, value in values.items() if field in task_fields}
    rest = {field: value for field, value in values.items() if field not in task_fields}
    faults = (*task_faults(own), *_faults_of_when(rest, required=bool(rest)))
    if faults:
        raise InvalidValue(faults=faults)
    task = Task(name=name, source=source, **own)
    schedule = build_schedule(name, {**rest, "task": name}, source=source) if rest else None
    return TaskTable(task=task, schedule=schedule)


def read_schedule(name: str, written: Mapping[str, object], *, source: Source) -> ScheduleSpec:
    """Read a ``[schedules.X]`` table. Raises `InvalidValue` with every fault."""
    return build_schedule(name, read_values(SCHEDULE_KEYS, written), source=source)


def build_schedule(name: str, values: Mapping[str, Any], *, source: Source) -> ScheduleSpec:
    """Build from values by field. Raises `InvalidValue` unless exactly one key of `When` is there.

    Whether the expression means anything is judged by `jobctl.plan.check.schedule_faults`.
    """
    faults = _faults_of_when(values, required=True)
    if faults:
        raise InvalidValue(faults=faults)
    written = next(name for name in KINDS if values.get(name) is not None)
    rest = {field: value for field, value in values.items() if field not in KINDS}
    return ScheduleSpec(
        name=name, kind=KINDS[written], expression=values[written], source=source, **_shared(rest)
    )


def _faults_of_when(values: Mapping[str, Any], *, required: bool) -> tuple[Fault, ...]:
    written = [name for name in KINDS if values.get(name) is not None]
    if required and not written:
        hint = 'Write every = "5m", cron = "30 2 * * *", at = "2030-01-31 12:00" or solar = { … }.'
        beside = [name for name in TIMING if keys_of(ScheduleSpec)[name].field in values]
        path = (beside[0],) if beside else ()
        return (
            Fault(path=path, message="no every, cron, at or solar says when it is due", hint=hint),
        )
    hint = "Keep one of them; give the others a [schedules.NAME] table of their own."
    return tuple(
        Fault(path=(name,), message=f"{' and '.join(written)} are both set", hint=hint, on_key=True)
        for name in written[1:]
    )


def read_stored(name: str, table: str) -> ScheduleSpec:
    """Read the table of a stored schedule from its JSON text. Raises `InvalidValue` with every fault."""
    try:
        written = json.loads(table)
    except ValueError as error:
        raise InvalidValue(f"the stored table is not JSON: {error}") from None
    if not isinstance(written, dict):
        raise InvalidValue("the stored table is not a table")
    return read_schedule(name, written, source=STORED)


def implicit_queue(name: str) -> Queue:
    """Give the queue that exists because something names it."""
    return Queue(name=name)


def implicit_group() -> WorkerGroup:
    """Give the worker group of a configuration that declares none: it serves every queue."""
    return WorkerGroup(name=DEFAULT_GROUP)
