"""What a task is: a command or a Python function, with its options.

A `Task` is a plain value. Its fields are the keys of a ``[tasks.X]`` table, each described once by the
`Key` in its metadata (`jobctl.task.keys`); the file, the options of ``@task``, the JSON between
processes and the reference page all follow from them. What a task cannot be in spite of correct keys
(two bodies, options that contradict each other) is told by `task_faults`. When a task runs is a
matter of schedules, and not said here.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from jobctl.task.contradictions import RETRY_LISTS, faults_between
from jobctl.task.failures import EXCEPTIONS, RETRY_ON
from jobctl.task.keys import (
    ARGS,
    ENVIRONMENT,
    FLAG,
    FOLDER,
    FUNCTION,
    GROWTH,
    KWARGS,
    LOAD,
    NAME,
    POSITIVE_SPAN,
    RATE,
    SIZE,
    SPAN,
    TEXT,
    UMASK,
    USER,
    Json,
    Mark,
    choice,
    key,
    keys_of,
    list_of,
    read_values,
    whole,
    write_values,
)
from jobctl.task.stop import (
    DEFAULT_STOP,
    Send,
    StopStep,
    Wait,
    format_signal,
    format_stop,
    parse_signal,
    parse_stop,
)
from jobctl.task.template import read_template
from jobctl.task.units import Fault, InvalidValue, Rate, shown
from jobctl.task.usual import LEAST_LIMIT_S, LEAST_SAMPLES, MOST_SAMPLES, TIME_LIMIT, Share
from jobctl.task.world import (
    ADDRESS_SPACE,
    CPU_TIME,
    ENV_FILES,
    ENV_FROM_FILE,
    GROUP,
    INPUT,
    IONICE,
    MEMORY,
)
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Kind",
    "Send",
    "Share",
    "Source",
    "StopStep",
    "Task",
    "Wait",
    "format_stop",
    "make_task",
    "parse_stop",
    "task_faults",
]

DEFAULT_QUEUE: Final = "default"
DEFAULT_MISSED_LIMIT: Final = 100
DEFAULT_OUTPUT_CAP_BYTES: Final = 1 << 20
UNIQUE_WORDS: Final = ("args", "task")

ON_LOST: Final = choice("fail", "retry")
ON_OVERLAP: Final = choice("skip", "queue", "replace", "allow")
ON_MISSED: Final = choice("skip", "once", "all")
MISSED_LIMIT: Final = whole(1, 10_000)

_COMMAND: Final = list_of(
    TEXT,
    at_least=1,
    hint='A command is a list of words: ["tar", "-xf", "a.tar"]. For a shell line write shell = "…".',
)
_NAMES: Final = list_of(NAME, distinct=True)
_CODES: Final = list_of(whole(0, 255, word="exit codes"), at_least=1, distinct=True)
_STOP: Final = Mark(
    word="stop sequence",
    read=parse_stop,
    write=format_stop,
    schema={"type": "string", "examples": ["TERM,30s,KILL"]},
)


_SIGNAL: Final = Mark(
    word="signal",
    read=parse_signal,
    write=format_signal,
    schema={"type": "string", "examples": ["TERM", "USR1"]},
)


def _read_key(value: object) -> str:
    text: str = TEXT.read(value)
    read_template(text)
    return text


_KEY: Final = Mark(
    word="text with `{name}` or `{1}`",
    read=_read_key,
    write=TEXT.write,
    schema={"type": "string", "examples": ["{customer}", "{1}"]},
)


def _read_unique(value: object) -> str:
    text = _read_key(value)
    if text not in UNIQUE_WORDS and not read_template(text).places:
        raise InvalidValue(
            f"{shown(text)} says nothing of what is unique",
            hint='Write "args", "task", or a key such as "{customer}".',
        )
    return text


_UNIQUE: Final = Mark(
    word='`"args"` \\| `"task"` \\| text with `{name}` or `{1}`',
    read=_read_unique,
    write=TEXT.write,
    schema={"type": "string", "examples": ["args", "task", "{customer}"]},
)


class Kind(StrEnum):
    """What makes the attempts of a task."""

    COMMAND = "command"
    """A keeper runs a program or a shell line."""
    FUNCTION = "function"
    """A worker calls a Python function."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where something was declared. ``line`` and ``column`` count from 1; 0 when they are unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    def to_json(self) -> dict[str, Json]:
        """Give ``file``, ``line``, ``column``."""
        return {"file": self.file, "line": self.line, "column": self.column}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Source:
        """Take what `to_json` gave."""
        # One text for all that stands in a file: there may be a hundred thousand sources.
        return cls(file=sys.intern(data["file"]), line=data["line"], column=data["column"])


UNKNOWN_SOURCE: Final = Source(file="?")


UNSTOPPABLE: Final = ("threads",)
"""Pools of workers whose functions nobody can stop at a limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A named definition. Exactly one of ``command``, ``shell`` and ``function`` is set.

    Arguments and environments may hold secrets and are left out of ``repr``.
    """

    name: str
    command: tuple[str, ...] | None = field(
        default=None,
        metadata=key(
            "command",
            _COMMAND,
            "The program and its arguments; no shell is involved. "
            "A whole argument `{1}` or `{name}` is replaced by an argument of the job.",
        ),
    )
    shell: str | None = field(
        default=None,
        metadata=key(
            "shell", TEXT, 'A line for `/bin/sh`. Arguments of the job are `"$1"` and following.'
        ),
    )
    function: str | None = field(
        default=None, metadata=key("function", FUNCTION, "The Python function to call.")
    )
    description: str = field(
        default="", metadata=key("description", TEXT, "What the task is for, for people.")
    )
    queue: str = field(
        default=DEFAULT_QUEUE, metadata=key("queue", NAME, "The queue in which its jobs wait.")
    )
    priority: int = field(
        default=0,
        metadata=key(
            "priority",
            whole(-32768, 32767),
            "Which of the jobs of a queue goes first: the higher one.",
        ),
    )
    args: tuple[Json, ...] = field(
        default=(),
        repr=False,
        metadata=key("args", ARGS, "Positional arguments of a job that is submitted without any."),
    )
    kwargs: Mapping[str, Json] = field(
        default_factory=dict,
        repr=False,
        metadata=key("kwargs", KWARGS, "Named arguments; those of a job replace them one by one."),
    )
    timeout_s: float | Share | None = field(
        default=None,
        metadata=key(
            "timeout",
            TIME_LIMIT,
            'How long one attempt may take before it is stopped. `"300%"` is three times the median of its '
            f"last {MOST_SAMPLES} successful attempts, {LEAST_LIMIT_S:g} s at least; there is no limit before "
            f"the {LEAST_SAMPLES}th.",
            default_text="no limit",
            not_in=UNSTOPPABLE,
        ),
    )
    soft_timeout_s: float | None = field(
        default=None,
        metadata=key(
            "soft_timeout",
            POSITIVE_SPAN,
            "After how long an attempt is told to come to an end: a function by the exception "
            "`jobctl.SoftTimeout`, which it may catch, a command by `soft_signal`.",
            default_text="no limit",
            not_in=UNSTOPPABLE,
        ),
    )
    soft_signal: signal.Signals = field(
        default=signal.SIGTERM,
        metadata=key(
            "soft_signal",
            _SIGNAL,
            "The signal that all processes of a command get at `soft_timeout`.",
            commands_only=True,
        ),
    )
    stop: tuple[StopStep, ...] = field(
        default=DEFAULT_STOP,
        metadata=key(
            "stop",
            _STOP,
            "How an attempt is stopped: signals and waits, ending with `KILL`. A function is ended with its "
            "worker, and a coroutine is cancelled.",
            commands_only=True,
        ),
    )
    retries: int = field(
        default=0,
        metadata=key("retries", whole(0, 1_000_000), "How many more attempts follow a failed one."),
    )
    retry_delay_s: float = field(
        default=1.0,
        metadata=key("retry_delay", SPAN, "The wait before the first of these attempts."),
    )
    retry_backoff: float = field(
        default=2.0,
        metadata=key(
            "retry_backoff",
            GROWTH,
            "The factor by which the wait grows with each failure; `true` is 2, `false` keeps it.",
        ),
    )
    retry_backoff_max_s: float = field(
        default=600.0,
        metadata=key("retry_backoff_max", POSITIVE_SPAN, "The longest wait that it grows to."),
    )
    retry_jitter: bool = field(
        default=True,
        metadata=key(
            "retry_jitter",
            FLAG,
            "Draw each wait evenly from zero to its length, so that jobs which failed together "
            "do not come back together.",
        ),
    )
    retry_on: tuple[int | str, ...] = field(
        default=(),
        metadata=key(
            "retry_on",
            RETRY_ON,
            "The only ends that are tried again.",
            default_text="every failure, and the end at `timeout`",
            commands_only=True,
        ),
    )
    autoretry_for: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "autoretry_for",
            EXCEPTIONS,
            "The only exceptions that are tried again, with those derived from them. "
            "An end at `timeout` counts as `TimeoutError`.",
            default_text="every exception, and the end at `timeout`",
            functions_only=True,
        ),
    )
    dont_autoretry_for: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "dont_autoretry_for",
            EXCEPTIONS,
            "Exceptions that are not tried again, with those derived from them, whatever `autoretry_for` says.",
            functions_only=True,
        ),
    )
    success_codes: tuple[int, ...] = field(
        default=(0,),
        metadata=key(
            "success_codes", _CODES, "The exit codes that count as success.", commands_only=True
        ),
    )
    on_lost: str = field(
        default="fail",
        metadata=key(
            "on_lost",
            ON_LOST,
            "What becomes of a job whose worker died or whose host went down: `fail` runs it at most "
            "once, `retry` at least once.",
        ),
    )
    max_lost: int = field(
        default=3,
        metadata=key(
            "max_lost",
            whole(1, 1_000_000),
            'After how many losses a job with `on_lost = "retry"` fails. A loss uses up no retry.',
        ),
    )
    on_success: str | None = field(
        default=None,
        metadata=key(
            "on_success",
            NAME,
            "The task that gets a job when one of this task has succeeded, told what is known of that one.",
            default_text="none",
        ),
    )
    on_failure: str | None = field(
        default=None,
        metadata=key(
            "on_failure", NAME, "Likewise, when it has failed for good.", default_text="none"
        ),
    )
    on_retry: str | None = field(
        default=None,
        metadata=key(
            "on_retry",
            NAME,
            "Likewise, each time when it will be tried again.",
            default_text="none",
        ),
    )
    notify: tuple[str, ...] | None = field(
        default=None,
        metadata=key(
            "notify",
            _NAMES,
            "The routes of `[notify]` that tell of it, in place of those that choose it; `[]` is none.",
            default_text="the routes that choose it",
        ),
    )
    ignore_result: bool = field(
        default=False,
        metadata=key(
            "ignore_result",
            FLAG,
            "Store nothing of what the function returns. Errors are kept all the same.",
            functions_only=True,
        ),
    )
    max_result_bytes: int | None = field(
        default=None,
        metadata=key(
            "max_result",
            SIZE,
            "The longest result, as JSON; an attempt with a longer one has failed.",
            default_text='`"16MiB"`, which is also the most',
            functions_only=True,
        ),
    )
    result_expires_s: float | None = field(
        default=None,
        metadata=key(
            "result_expires",
            POSITIVE_SPAN,
            "How long after the end of a job its result is kept; the job itself stays.",
            default_text="what `[daemon]` says",
            functions_only=True,
        ),
    )
    on_overlap: str = field(
        default="skip",
        metadata=key(
            "on_overlap",
            ON_OVERLAP,
            "What a due instant does while an earlier job of the same schedule is unfinished: `skip` "
            "makes no job, `queue` lets one wait, `replace` cancels the earlier one, `allow` does not look.",
        ),
    )
    on_missed: str = field(
        default="skip",
        metadata=key(
            "on_missed",
            ON_MISSED,
            "What follows instants that passed while no daemon ran: `skip` nothing, `once` one job for "
            "all of them, `all` one job for each.",
        ),
    )
    missed_within_s: float | None = field(
        default=None,
        metadata=key(
            "missed_within",
            POSITIVE_SPAN,
            "How long ago an instant that passed may have been for `on_missed` to make up for it; older "
            "ones stay missed.",
            default_text="no limit",
        ),
    )
    missed_limit: int = field(
        default=DEFAULT_MISSED_LIMIT,
        metadata=key(
            "missed_limit",
            MISSED_LIMIT,
            'The most jobs that `on_missed = "all"` makes at once, for the newest instants; older ones '
            "stay missed.",
        ),
    )
    leftover: str = field(
        default="leave",
        metadata=key(
            "leftover",
            choice("leave", "kill", "wait"),
            "What happens to processes that a command leaves running when its main process ends.",
            commands_only=True,
        ),
    )
    stderr: str = field(
        default="merge",
        metadata=key(
            "stderr",
            choice("merge", "separate"),
            "Where standard error is kept: `merge` together with standard output, in the order of "
            "writing, `separate` apart from it.",
            commands_only=True,
        ),
    )
    progress: bool = field(
        default=False,
        metadata=key(
            "progress",
            FLAG,
            "Whether the command says how far it has come: lines such as `3/10 copying` or `30%` on descriptor "
            "3, which `JOBCTL_PROGRESS_FD` names. Functions call `jobctl.progress`.",
            commands_only=True,
        ),
    )
    journal: bool = field(
        default=False,
        metadata=key(
            "journal",
            FLAG,
            "Whether each line of its output is copied to the host's journal as well, under the name of the "
            "task.",
            commands_only=True,
        ),
    )
    output_cap_bytes: int = field(
        default=DEFAULT_OUTPUT_CAP_BYTES,
        metadata=key(
            "max_output",
            SIZE,
            "How much output of one attempt is kept: the first and the last part within this size. "
            "If standard error is kept apart, it may be as long again.",
            commands_only=True,
        ),
    )
    user: str | None = field(
        default=None,
        metadata=key(
            "user",
            USER,
            "The user as whom the command runs; only a daemon of root can change it. "
            "For functions set it on their worker group.",
            default_text="the daemon's",
            commands_only=True,
        ),
    )
    cwd: str | None = field(
        default=None,
        metadata=key(
            "cwd",
            FOLDER,
            "The directory in which the command runs.",
            default_text="the user's home",
            commands_only=True,
        ),
    )
    umask: int | None = field(
        default=None,
        metadata=key(
            "umask",
            UMASK,
            "The permissions that new files do not get.",
            default_text='`"022"`',
            commands_only=True,
        ),
    )
    env: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,
        metadata=key(
            "env",
            ENVIRONMENT,
            "Variables that are added to the clean environment of the command.",
            commands_only=True,
        ),
    )
    group: str | None = field(
        default=None,
        metadata=key(
            "group",
            GROUP,
            "The group of the command, in place of its user's own; only a daemon of root can change it.",
            default_text="the user's",
            commands_only=True,
        ),
    )
    env_file: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "env_file",
            ENV_FILES,
            "Files of variables, read with the daemon's rights when the command starts; they replace what "
            "`env` says. One that begins with `-` may be missing.",
            commands_only=True,
        ),
    )
    env_from_file: Mapping[str, str] = field(
        default_factory=dict,
        metadata=key(
            "env_from_file",
            ENV_FROM_FILE,
            "Variables whose values are the contents of files: for secrets. `credential:NAME` is a "
            "credential of the service.",
            commands_only=True,
        ),
    )
    stdin: str = field(
        default="",
        repr=False,
        metadata=key(
            "stdin",
            INPUT,
            "What the command reads from its standard input; at most 1 MiB.",
            default_text="nothing: `/dev/null`",
            commands_only=True,
        ),
    )
    stdin_file: str | None = field(
        default=None,
        metadata=key(
            "stdin_file",
            FOLDER,
            "The file that is its standard input, opened with the rights of its user.",
            default_text="`/dev/null`",
            commands_only=True,
        ),
    )
    nice: int | None = field(
        default=None,
        metadata=key(
            "nice",
            whole(-20, 19),
            "Its priority on the processor: 19 goes last. Only root may go below the daemon's.",
            default_text="the daemon's",
            commands_only=True,
        ),
    )
    ionice: str | None = field(
        default=None,
        metadata=key(
            "ionice",
            IONICE,
            "Its priority on disks whose scheduler has any; `idle` goes last.",
            default_text="by `nice`",
            commands_only=True,
        ),
    )
    memory_bytes: int | None = field(
        default=None,
        metadata=key(
            "memory",
            MEMORY,
            "How much memory all of its processes may use together; at the limit the kernel ends it. Needs "
            "a control group.",
            default_text="no limit",
            commands_only=True,
        ),
    )
    processes: int | None = field(
        default=None,
        metadata=key(
            "processes",
            whole(1, 4_000_000),
            "How many processes and threads it may have at once, itself included, whoever its user is. Needs "
            "a control group.",
            default_text="no limit",
            commands_only=True,
        ),
    )
    cpu_time_s: float | None = field(
        default=None,
        metadata=key(
            "cpu_time",
            CPU_TIME,
            "How much processor time each of its processes may use, in whole seconds; then it is sent XCPU, "
            "and KILL five seconds of processor time later.",
            default_text="the daemon's limit",
            commands_only=True,
        ),
    )
    open_files: int | None = field(
        default=None,
        metadata=key(
            "open_files",
            whole(32, 1_000_000_000),
            "How many descriptors each of its processes may have.",
            default_text="the daemon's limit",
            commands_only=True,
        ),
    )
    max_processes: int | None = field(
        default=None,
        metadata=key(
            "max_processes",
            whole(1, 4_000_000),
            "It may start no process or thread while its user has this many, on the whole host; root is "
            "not bound, so it is refused for root.",
            default_text="the daemon's limit",
            commands_only=True,
        ),
    )
    address_space_bytes: int | None = field(
        default=None,
        metadata=key(
            "address_space",
            ADDRESS_SPACE,
            "How much each of its processes may map, which is more than the memory that it uses.",
            default_text="the daemon's limit",
            commands_only=True,
        ),
    )
    core_size_bytes: int | None = field(
        default=None,
        metadata=key(
            "core_size",
            SIZE,
            "How long a core file of it may be; `0` for none.",
            default_text="the daemon's limit",
            commands_only=True,
        ),
    )
    expires_s: float | None = field(
        default=None,
        metadata=key(
            "expires",
            POSITIVE_SPAN,
            "How long after its submission a job may still start; later it is revoked.",
            default_text="never",
        ),
    )
    deadline_s: float | None = field(
        default=None,
        metadata=key(
            "deadline",
            POSITIVE_SPAN,
            "How long after its submission the last attempt of a job must have ended: then an attempt that runs "
            "is stopped, and no further one begins.",
            default_text="no limit",
            not_in=UNSTOPPABLE,
        ),
    )
    concurrency: int | None = field(
        default=None,
        metadata=key(
            "concurrency",
            whole(1, 1_000_000),
            "How many of its jobs run at once, whatever their queues.",
            default_text="no limit",
        ),
    )
    concurrency_key: str | None = field(
        default=None,
        metadata=key(
            "concurrency_key",
            _KEY,
            "Jobs whose arguments give the same text here are limited by `concurrency_per_key`.",
            default_text="no key",
        ),
    )
    concurrency_per_key: int | None = field(
        default=None,
        metadata=key(
            "concurrency_per_key",
            whole(1, 10_000),
            "How many of its jobs with the same `concurrency_key` run at once.",
            default_text="`1`",
        ),
    )
    rate_limit: Rate | None = field(
        default=None,
        metadata=key(
            "rate_limit",
            RATE,
            "How many of its attempts may begin in a span, whatever their queues; spread evenly.",
            default_text="no limit",
        ),
    )
    rate_burst: int | None = field(
        default=None,
        metadata=key(
            "rate_burst",
            whole(1, 1_000_000),
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
    unique: str | None = field(
        default=None,
        metadata=key(
            "unique",
            _UNIQUE,
            "Whether a second job is made while one waits or runs: not with the same arguments, not of this "
            "task at all, or not with the same key. The submit gives the job that is there.",
            default_text="any number of them",
        ),
    )
    aliases: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "aliases", _NAMES, "Earlier names, so that jobs submitted under them still run."
        ),
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    @property
    def kind(self) -> Kind:
        """Whether a keeper runs it or a worker calls it. A shell line is a command."""
        return Kind.COMMAND if self.function is None else Kind.FUNCTION

    @property
    def per_key(self) -> int:
        """How many of its jobs with the same key run at once."""
        return self.concurrency_per_key or 1

    @property
    def has_own_line(self) -> bool:
        """Its ready jobs wait apart from those of other tasks: it may be at a limit when others are not."""
        return self.concurrency is not None or self.rate_limit is not None or self.has_load_limit

    @property
    def has_load_limit(self) -> bool:
        """How busy the host is says when its jobs begin."""
        return self.max_load is not None or self.min_free_memory_bytes is not None

    def to_json(self, *, brief: bool = False) -> dict[str, Json]:
        """Give ``name``, ``source`` and the keys of its table.

        Keys without a value are left out, and those that a task of its kind cannot have; with ``brief``
        also those that have their default.
        """
        keys = write_values(self, brief=brief)
        is_function = self.kind is Kind.FUNCTION
        for name, bound in keys_of(Task).items():
            # Empty lists of what is tried again are no values either: they cannot be written.
            is_unset = name in RETRY_LISTS and not getattr(self, name)
            if is_unset or (bound.key.commands_only if is_function else bound.key.functions_only):
                keys.pop(name, None)
        return {"name": self.name, "source": self.source.to_json(), **keys}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        """Take what `to_json` gave. Raises `InvalidValue` for anything else."""
        written = {name: value for name, value in data.items() if name not in ("name", "source")}
        return make_task(data["name"], written, source=Source.from_json(data["source"]))


def make_task(name: str, written: Mapping[str, object], *, source: Source = UNKNOWN_SOURCE) -> Task:
    """Make a task from the keys of its table. Raises `InvalidValue` with every fault."""
    values = read_values(keys_of(Task), written)
    faults = list(task_faults(values))
    try:
        NAME.read(name)
    except InvalidValue as invalid:
        faults.extend(invalid.faults)
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return Task(name=name, source=source, **values)


def task_faults(values: Mapping[str, object]) -> tuple[Fault, ...]:
    """Judge keys that were read against each other; ``values`` are by field, only those written."""
    return faults_between(values, keys_of(Task))
