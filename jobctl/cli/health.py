"""``status --check``: is all well, in one line and an exit code, as monitoring systems ask it.

Written after the guidelines of the Monitoring Plugins project (https://www.monitoring-plugins.org): one line
``JOBCTL STATE - text | figures`` on standard output; 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. It is a check
from outside: what it finds first is that no daemon runs, and then the store is read without one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobctl.cli import complete, times
from jobctl.errors import DaemonNotRunning, JobctlError, StorageError, Unreachable, UsageError
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.cli.session import Session
    from jobctl.client import Client
    from jobctl.protocol.requests import Health

OK: Final = 0
WARNING: Final = 1
CRITICAL: Final = 2
UNKNOWN: Final = 3
_WORDS: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

LATE: Final = "5m"
WAITING: Final = "10m"
PATIENCE: Final = "10s"
_MOST_NAMED: Final = 3
_SECOND: Final = 1_000_000


class Kind(StrEnum):
    """What can be found."""

    DAEMON = "daemon"
    """No daemon runs, or it does not answer."""
    STORE = "store"
    """The store takes no writes: nothing begins any more."""
    LATE = "late"
    """An instant of a schedule was due, and nothing became of it."""
    MISSED = "missed"
    """The newest instant of a schedule passed while no daemon ran."""
    FAILED = "failed"
    """The last run of a schedule failed."""
    WAITING = "waiting"
    """A job waits in a queue for too long."""
    UNAVAILABLE = "unavailable"
    """A task of the plan cannot run: its code cannot be imported."""


_ALWAYS_CRITICAL: Final = frozenset({Kind.DAEMON, Kind.STORE, Kind.LATE})

Late = Annotated[
    str,
    typer.Option(
        "--late",
        metavar="SPAN",
        help="With --check: a schedule is late when it was due so long ago.",
    ),
]
Waiting = Annotated[
    str,
    typer.Option(
        "--waiting", metavar="SPAN", help="With --check: a ready job has waited too long then."
    ),
]
Patience = Annotated[
    str,
    typer.Option(
        "--patience", metavar="SPAN", help="With --check: how long the daemon may take to answer."
    ),
]
Only = Annotated[
    list[Kind] | None, typer.Option("--only", help="With --check: look for nothing else.")
]
Critical = Annotated[
    list[Kind] | None,
    typer.Option("--critical", help="With --check: this is critical too, not only a warning."),
]
Schedules = Annotated[
    list[str] | None,
    typer.Option(
        "--schedule",
        metavar="NAME",
        help="With --check: only this schedule, or those of this task; no tasks and queues.",
        autocompletion=complete.schedule_or_task_names,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of a check as they were written."""

    late: str = LATE
    waiting: str = WAITING
    patience: str = PATIENCE
    only: Sequence[Kind] | None = None
    critical: Sequence[Kind] | None = None
    schedules: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check comes to: its exit code, the text of its line, its figures and what was found."""

    code: int
    text: str
    figures: Mapping[str, str]
    daemon: str | None = None
    counts: Mapping[str, int]
    findings: Sequence[Mapping[str, Any]] = ()

    @property
    def line(self) -> str:
        """The line that is printed."""
        figures = " ".join(f"{name}={value}" for name, value in self.figures.items())
        # A bar begins the figures, and only the first line is shown by most.
        text = " ".join(self.text.replace("|", "/").split())
        return f"JOBCTL {_WORDS[self.code]} - {text}" + (f" | {figures}" if figures else "")


def is_check(argv: Sequence[str]) -> bool:
    """The line asks for a check: whatever is wrong with it, 2 would be taken for something critical."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    return "status" in words and "--check" in words


def refuse_without_check(asked: Asked) -> None:
    """Options of a check mean nothing without one. Raises UsageError."""
    if asked != Asked():
        raise UsageError(
            "--late, --waiting, --patience, --only, --critical and --schedule belong to --check",
            hint="Add --check, or leave them out.",
        )


def check(session: Session, ids: Sequence[int], asked: Asked) -> int:
    """Print the line of a check; gives back its exit code. Raises nothing of ours."""
    try:
        if ids:
            raise UsageError("--check is about everything, not about single jobs")
        verdict = _look(session, asked)
    except JobctlError as error:
        verdict = Verdict(code=UNKNOWN, text=error.message, figures={}, counts={})
    if session.as_json:
        session.screen.json(_shape(verdict))
    else:
        session.screen.line(verdict.line)
    return verdict.code


def _shape(verdict: Verdict) -> dict[str, Any]:
    keys = ("kind", "name", "at", "job_id", "said")
    return {
        "status": _WORDS[verdict.code].lower(),
        "exit_code": verdict.code,
        "text": verdict.text,
        "daemon": verdict.daemon,
        "counts": dict(verdict.counts),
        "findings": [
            {name: found.get(name) for name in keys} | {"at": times.iso_or_none(found["at"])}
            for found in verdict.findings
        ],
    }


def _look(session: Session, asked: Asked) -> Verdict:
    from jobctl.protocol.requests import Health

    request = Health(
        late_s=times.parse_span(asked.late, option="--late"),
        waiting_s=times.parse_span(asked.waiting, option="--waiting"),
        schedules=list(asked.schedules) if asked.schedules else None,
    )
    patience_s = times.parse_span(asked.patience, option="--patience")
    if patience_s <= 0:
        raise UsageError("--patience is more than 0")
    try:
        with session.client(timeout_s=patience_s) as client:
            if asked.only is not None and set(asked.only) == {Kind.DAEMON}:
                # Whoever asks for nothing else asks often.
                client.connect()
                return _answers(client)
            answer = client.call(request)
    except DaemonNotRunning as absent:
        return _without_daemon(session, asked, request, absent)
    except StorageError as error:
        return Verdict(
            code=CRITICAL,
            text=f"the store takes no writes, and nothing begins: {error.message}",
            figures={},
            daemon="up",
            counts={Kind.STORE: 1},
        )
    except Unreachable as error:
        return Verdict(
            code=CRITICAL,
            text=f"the daemon does not answer as it should: {error.message}",
            figures={},
            daemon="unreachable",
            counts={Kind.DAEMON: 1},
        )
    return judge(answer, asked, request, session.clock.now())


def _answers(client: Client) -> Verdict:
    from jobctl.protocol.requests import Inspect

    uptime_s = client.call(Inspect(what="ping"))["uptime_s"]
    return Verdict(
        code=OK,
        text=f"daemon up for {times.span_shown(uptime_s)}",
        figures={"uptime": f"{uptime_s:.0f}s"},
        daemon="up",
        counts={Kind.DAEMON: 0},
    )


def _without_daemon(
    session: Session, asked: Asked, request: Health, absent: DaemonNotRunning
) -> Verdict:
    from jobctl.cli.offline import stand_in

    config = session.config_path()
    named = config if config.exists() else None
    try:
        with stand_in(session.state_dir(), named, absent=absent) as client:
            answer = client.call(request)
    except JobctlError as error:
        return Verdict(
            code=CRITICAL,
            text=error.message,
            figures={},
            daemon="down",
            counts={Kind.DAEMON: 1},
        )
    return judge(answer, asked, request, session.clock.now())


def judge(answer: Mapping[str, Any], asked: Asked, request: Health, now_us: int) -> Verdict:
    """What a daemon's answer, or its stand-in's, comes to."""
    wanted = set(asked.only or Kind)
    severe = _ALWAYS_CRITICAL | set(asked.critical or ())
    counts = {Kind.DAEMON: int(answer["daemon"] == "down")}
    # A daemon of another version may know more kinds.
    counts |= {kind: answer["counts"].get(kind, 0) for kind in Kind if kind is not Kind.DAEMON}
    found = {kind for kind in wanted if counts[kind]}
    code = OK
    if found:
        code = CRITICAL if found & severe else WARNING
    findings = [one for one in answer["findings"] if one["kind"] in found]
    texts = [
        _told(kind, counts[kind], [one for one in findings if one["kind"] == kind], answer, now_us)
        for kind in Kind
        if kind in found
    ]
    return Verdict(
        code=code,
        text="; ".join(texts) or _all_well(answer),
        figures=_figures(counts, answer, request),
        daemon=answer["daemon"],
        counts={str(kind): count for kind, count in counts.items()},
        findings=findings,
    )


def _all_well(answer: Mapping[str, Any]) -> str:
    told = [_many(answer["schedules"], "schedule"), f"{answer['running']} running"]
    if "ready" in answer:
        told.append(f"{answer['ready']} ready")
    if answer["daemon"] == "down":
        told.insert(0, "daemon down")
    return ", ".join(told)


def _told(
    kind: Kind,
    count: int,
    findings: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any],
    now_us: int,
) -> str:
    """One kind in words, with the first of what was found."""
    if kind is Kind.DAEMON:
        return _daemon_told(answer)
    names = [f"{one['name']}{_detail(kind, one, now_us)}" for one in findings[:_MOST_NAMED]]
    if count > len(names):
        names.append(f"{count - len(names)} more")
    what = {
        Kind.STORE: "the store takes no writes",
        Kind.LATE: f"{_many(count, 'schedule')} late",
        Kind.MISSED: f"{_many(count, 'schedule')} missed while no daemon ran",
        Kind.FAILED: f"{_many(count, 'schedule')} failed",
        Kind.WAITING: f"{_many(count, 'queue')} waiting too long",
        Kind.UNAVAILABLE: f"{_many(count, 'task')} unavailable",
    }[kind]
    return f"{what}: {', '.join(names)}" if names else what


def _daemon_told(answer: Mapping[str, Any]) -> str:
    text = "daemon down"
    if answer["stopped_at"] is not None:
        text += f" since {times.iso(answer['stopped_at'])}"
    return text


def _detail(kind: Kind, found: Mapping[str, Any], now_us: int) -> str:
    told = []
    if found["at"] is not None:
        age = times.span_shown(max(now_us - found["at"], 0) / _SECOND)
        told.append(age if kind in (Kind.LATE, Kind.WAITING) else f"{age} ago")
    if kind is Kind.FAILED:
        told.append(f"job {found['job_id']}")
    if found["said"] and kind in (Kind.FAILED, Kind.WAITING):
        told.append(found["said"])
    return f" ({', '.join(told)})" if told else ""


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _figures(
    counts: Mapping[Kind, int], answer: Mapping[str, Any], request: Health
) -> dict[str, str]:
    """Performance data: ``name=value[unit][;warn[;crit]]``."""
    figures = {
        "late": f"{counts[Kind.LATE]};;0",
        "missed": f"{counts[Kind.MISSED]};0",
        "failed": f"{counts[Kind.FAILED]};0",
        "running": str(answer["running"]),
    }
    if "ready" in answer:
        figures["ready"] = str(answer["ready"])
        figures["oldest"] = f"{answer['oldest_s']:.0f}s;{request.waiting_s:g}"
    return figures
