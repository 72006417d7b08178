"""The tables of a configuration besides tasks: the daemon, worker groups, queues, schedules.

As with `jobctl.task.Task`, the fields of each type are the keys of its table, described once. The
constant `TABLES` lists every table with its keys; the loader, the JSON Schema and the reference page
walk it.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from jobctl.plan.routes import ROUTE_KEYS
from jobctl.plan.schedule_table import (
    SCHEDULE_KEYS,
    TIMING,
    ScheduleSpec,
    When,
    build_schedule,
    faults_of_when,
)
from jobctl.task import (
    UNKNOWN_SOURCE,
    Source,
    Task,
    task_faults,
)
from jobctl.task.contradictions import BODIES
from jobctl.task.keys import (
    ENVIRONMENT,
    FOLDER,
    LOAD,
    MODULE,
    NAME,
    PERSON,
    POSITIVE_SPAN,
    RATE,
    SIZE,
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
)
from jobctl.task.units import Fault, InvalidValue, Rate, shown
from jobctl.task.world import GROUP
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


def _read_loopback(value: object) -> str:
    hint = 'Write it as "127.0.0.1:9750" or "[::1]:9750".'
    host, sign, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not sign or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise InvalidValue(f"{shown(value)} is no address with a port", hint=hint)
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    # A name could be given another address by anybody who answers for names.
    is_loopback = plain == "::1" if ":" in plain else _LOOPBACK_V4.fullmatch(plain) is not None
    if not is_loopback or (":" in plain) is (plain == host):
        raise InvalidValue(
            f"{shown(value)} is no loopback address",
            hint=f"{hint} For scrapes from elsewhere use textfile, or a proxy that asks who comes.",
        )
    return str(value)


_LOOPBACK_V4: Final = re.compile(r"127(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}")
_LOOPBACK: Final = Mark(
    word="loopback address",
    read=_read_loopback,
    write=str,
    schema={"type": "string", "examples": ["127.0.0.1:9750"]},
)
_MODULES: Final = list_of(MODULE, distinct=True)
_PEOPLE: Final = list_of(PERSON, distinct=True, hint='Write a list: ["alice", "@operators"].')
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
    socket_group: str | None = field(
        default=None,
        metadata=key(
            "socket_group",
            GROUP,
            "Whose members may connect too: they submit jobs, and see and end those of their own. "
            "Cannot change by reload.",
            default_text="nobody but the daemon's user and root",
        ),
    )
    socket_mode: str | None = field(
        default=None,
        metadata=key(
            "socket_mode",
            choice("0600", "0660", "0666"),
            "The mode of the socket's file: `0660` lets its group connect, `0666` everybody on this host. "
            "Cannot change by reload.",
            default_text="`0660` with `socket_group`, else `0600`",
        ),
    )
    allow_see: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "allow_see",
            _PEOPLE,
            "Who, of those that may connect, sees the jobs of everybody: users, and groups as `@group`.",
        ),
    )
    allow_administer: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "allow_administer",
            _PEOPLE,
            "Who, of those that may connect, may do whatever the daemon's user may.",
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
    max_load: float | None = field(
        default=None,
        metadata=key(
            "max_load",
            LOAD,
            "Jobs of any queue begin while the host's load average of a minute is below this; what has just begun counts too.",
            default_text="no limit",
        ),
    )
    min_free_memory_bytes: int | None = field(
        default=None,
        metadata=key(
            "min_free_memory",
            SIZE,
            "Jobs of any queue begin while the host has this much memory to give, one at a time.",
            default_text="no limit",
        ),
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    @property
    def has_load_limit(self) -> bool:
        """How busy the host is says when jobs begin, whatever their queue."""
        return self.max_load is not None or self.min_free_memory_bytes is not None


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    """The ``[metrics]`` table."""

    listen: str | None = field(
        default=None,
        metadata=key(
            "listen",
            _LOOPBACK,
            "Where Prometheus finds `/metrics`: a loopback address and a port, such as `127.0.0.1:9750`. "
            "Every user of the host can read it.",
            default_text="no listener",
        ),
    )
    textfile: str | None = field(
        default=None,
        metadata=key(
            "textfile",
            FOLDER,
            "A file for the textfile collector of node_exporter, ending in `.prom`.",
            default_text="no file",
        ),
    )
    textfile_every_s: float = field(
        default=60.0,
        metadata=key("textfile_every", POSITIVE_SPAN, "How often the file is written."),
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


_POOL: Final = Mark(
    word='`"prefork"`, `"async"` or `"threads"`',
    read=_read_pool,
    write=str,
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
    max_load: float | None = field(
        default=None,
        metadata=key(
            "max_load",
            LOAD,
            "Its jobs begin while the host's load average of a minute is below this; what has just begun counts too.",
            default_text="no limit",
        ),
    )
    min_free_memory_bytes: int | None = field(
        default=None,
        metadata=key(
            "min_free_memory",
            SIZE,
            "Its jobs begin while the host has this much memory to give, one at a time.",
            default_text="no limit",
        ),
    )
    description: str = field(
        default="", metadata=key("description", TEXT, "What the queue is for, for people.")
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    @property
    def has_load_limit(self) -> bool:
        """How busy the host is says when its jobs begin."""
        return self.max_load is not None or self.min_free_memory_bytes is not None


TASK_KEYS: Final[Mapping[str, BoundKey]] = {
    **keys_of(Task),
    **keys_of(When),
    **{name: keys_of(ScheduleSpec)[name] for name in TIMING},
}


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
        ),
        Table(
            name="metrics",
            noun="[metrics]",
            named=False,
            help="Metrics for Prometheus. `jobctl metrics` prints them without any of this.",
            keys=keys_of(MetricsSettings),
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
                    "after",
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
        Table(
            name="notify",
            noun="route",
            named=True,
            help="Routes: who is told what of which jobs, by mail, webhook, ping or a command. A job is told of "
            "by every route that chooses its task and its queue, or by those that its task names. "
            "[How to](../how-to/notifications.md).",
            keys=ROUTE_KEYS,
        ),
    )
}

LATER_TABLES: Final = frozenset({"web"})
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
        faults = faults_of_when(values, required=False)
        if faults:
            raise InvalidValue(faults=faults)
        override = Override(name=name, options=write_some(TASK_KEYS, values), source=source)
        return TaskTable(override=override)
    task_fields = {bound.field for bound in keys_of(Task).values()}
    own = {field: value for field, value in values.items() if field in task_fields}
    rest = {field: value for field, value in values.items() if field not in task_fields}
    faults = (*task_faults(own), *faults_of_when(rest, required=bool(rest)))
    if faults:
        raise InvalidValue(faults=faults)
    task = Task(name=name, source=source, **own)
    schedule = build_schedule(name, {**rest, "task": name}, source=source) if rest else None
    return TaskTable(task=task, schedule=schedule)


def implicit_queue(name: str) -> Queue:
    """Give the queue that exists because something names it."""
    return Queue(name=name)


def implicit_group() -> WorkerGroup:
    """Give the worker group of a configuration that declares none: it serves every queue."""
    return WorkerGroup(name=DEFAULT_GROUP)
