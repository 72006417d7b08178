"""What a schedule of ours does when it is due, apart from how another scheduler writes it. Pure."""

from __future__ import annotations

import shlex
from dataclasses import field
from typing import TYPE_CHECKING, Final

from jobctl.arguments import SHELL, Given, build_argv, build_env, texts, with_defaults
from jobctl.errors import InvalidArguments
from jobctl.plan.tables import TASK_KEYS
from jobctl.schedule import Schedule, ScheduleError, bounded, moment_of, parse_schedule
from jobctl.task import Kind, Share, Task
from jobctl.task.keys import write_values
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobctl.plan.file import FilePlan
    from jobctl.plan.schedule_table import ScheduleSpec

OUR_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUR_LANG: Final = "C.UTF-8"
_UNSAID: Final = (
    "retries", "on_lost", "success_codes", "stop", "leftover", "max_output", "expires", "deadline", "max_load", "min_free_memory", "concurrency", "concurrency_key",
    "rate_limit", "unique", "missed_within", "env_file", "env_from_file", "stdin_file", "nice", "ionice", "cpu_time",
    "open_files", "max_processes", "address_space", "core_size", "soft_timeout",
    "memory", "processes", "on_success", "on_failure", "on_retry",
)  # fmt: skip
"""Options of tasks that other schedulers have no word for."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One schedule with what it runs. Exactly one of ``line`` and ``argv`` is set: a shell line, or words.

    ``stdin`` is what it reads, ``env`` what the command is given beside PATH and LANG,
    ``unsaid`` what is lost whatever the other scheduler is.
    """

    name: str
    spec: ScheduleSpec
    schedule: Schedule
    line: str | None = None
    argv: tuple[str, ...] | None = None
    description: str = ""
    stdin: str = field(default="", repr=False)
    user: str | None = None
    group: str | None = None
    cwd: str | None = None
    umask: int | None = None
    timeout_s: float | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    on_overlap: str = "skip"
    on_missed: str = "skip"
    unsaid: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What is executed, as a list of words."""
        return self.argv if self.argv is not None else (SHELL, "-c", self.line or "")

    @property
    def shell_line(self) -> str:
        """What is executed, as a line for a shell."""
        return self.line if self.line is not None else shlex.join(self.argv or ())


@dataclass(frozen=True, kw_only=True)
class Unable:
    """A schedule of which nothing can be said elsewhere, and why."""

    name: str
    why: str


def works_of(plan: FilePlan, *, host_timezone: str) -> Iterator[Work | Unable]:
    """What the schedules of a configuration do, in its order. The configuration must have been found right.

    What the code of an application declares is not in a file; a function that a file names runs elsewhere by
    ``jobctl submit``.
    """
    tasks = {task.name: task for task in plan.tasks}
    zone = plan.settings.timezone or host_timezone
    for spec in plan.schedules:
        try:
            schedule = _schedule(spec, spec.timezone or zone)
            yield _work(spec, schedule, tasks.get(spec.task))
        except (ScheduleError, InvalidArguments) as error:
            yield Unable(name=spec.name, why=error.message)


def _schedule(spec: ScheduleSpec, zone: str) -> Schedule:
    rule = parse_schedule(
        spec.kind, spec.expression, timezone=zone, dialect=spec.dialect, host_seed=spec.name
    )
    start, end = (
        None if text is None else moment_of(text, timezone=zone) for text in (spec.start, spec.end)
    )
    return bounded(rule, start_us=start, end_us=end)


def _work(spec: ScheduleSpec, schedule: Schedule, task: Task | None) -> Work:
    unsaid = list(_unsaid(spec, task))
    if task is None or task.kind is Kind.FUNCTION:
        words = ["jobctl", "submit", spec.task]
        if spec.args or spec.kwargs:
            unsaid.append("its arguments")
        unsaid.append("that it is a function: it still needs the daemon, and is submitted to it")
        return Work(
            name=spec.name, spec=spec, schedule=schedule, argv=tuple(words), unsaid=tuple(unsaid)
        )
    given = texts(
        with_defaults(
            Given.exact(spec.args or (), spec.kwargs),
            task.args,
            {**task.kwargs, **(spec.kwargs or {})},
        )
    )
    argv = line = None
    if task.shell is None:
        argv = build_argv(task.command or (), given)
    elif given.args:
        argv = (SHELL, "-c", task.shell, SHELL, *given.args)
    else:
        line = task.shell
    return Work(
        name=spec.name,
        spec=spec,
        schedule=schedule,
        line=line,
        argv=argv,
        description=task.description,
        stdin=task.stdin,
        user=task.user,
        group=task.group,
        cwd=task.cwd,
        umask=task.umask,
        timeout_s=None if isinstance(task.timeout_s, Share) else task.timeout_s,
        env={**task.env, **build_env(given.args, given.kwargs)},
        on_overlap=spec.on_overlap or task.on_overlap,
        on_missed=spec.on_missed or task.on_missed,
        unsaid=tuple(unsaid),
    )


def _unsaid(spec: ScheduleSpec, task: Task | None) -> Iterator[str]:
    if spec.start is not None:
        yield f"start = {spec.start}"
    if spec.end is not None:
        yield f"end = {spec.end}"
    if spec.max_runs is not None:
        yield f"max_runs = {spec.max_runs}"
    if task is not None:
        if isinstance(task.timeout_s, Share):
            yield f"timeout = {task.timeout_s}"
        written = write_values(task, brief=True)
        for name in _UNSAID:
            if name in TASK_KEYS and name in written:
                yield f"{name} = {written[name]}"
