"""``schedule show|add|edit|remove|disable|enable|run``: one schedule, looked at and changed while it runs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import complete, numbers, options, shapes, times
from jobctl.cli.schedule_page import changes_shown, instants, schedule_page, standing
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from jobctl.cli.session import Session
    from jobctl.protocol.requests import Request

_SHOWN_NEXT = 3
"""Next instants that a change shows; ``schedule show`` has more."""


class Overlap(StrEnum):
    """What a due instant does while an earlier job of the schedule is unfinished."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"
    ALLOW = "allow"


class Missed(StrEnum):
    """What follows instants that passed while no daemon ran."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class Dialect(StrEnum):
    """How a crontab joins its two day fields."""

    CRONIE = "cronie"
    CELERY = "celery"


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The schedule.", autocompletion=complete.schedule_names),
]
Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="Schedules.", autocompletion=complete.schedule_names),
]
Cron = Annotated[
    str | None,
    typer.Option(
        "--cron", metavar="EXPR", help='Local times, as in a crontab: "30 2 * * *", "@daily".'
    ),
]
Every = Annotated[
    str | None, typer.Option("--every", metavar="SPAN", help='Each such span: "30s", "1h30m".')
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="WHEN", help='Once: "2026-12-24 18:00", "18:00", "in 2h".'),
]
Solar = Annotated[
    str | None,
    typer.Option("--solar", metavar="TEXT", help='An event of the sun: "sunset 52.5 13.4".'),
]
Reboot = Annotated[bool, typer.Option("--reboot", help="Once after each boot of the host.")]
Timezone = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="Else the daemon's.")
]
DialectOption = Annotated[
    Dialect | None,
    typer.Option("--dialect", help="Either day field of a crontab must match, or both."),
]
Named = Annotated[
    list[str] | None,
    typer.Option(
        "-k", metavar="NAME=VALUE", help="A named argument; NAME:=JSON for an exact value."
    ),
]
ArgsJson = Annotated[
    str | None,
    typer.Option("--args-json", metavar="JSON", help="All positional arguments as a JSON list."),
]
Start = Annotated[
    str | None, typer.Option("--start", metavar="WHEN", help="No instants before that.")
]
End = Annotated[str | None, typer.Option("--end", metavar="WHEN", help="No instants after that.")]
MaxRuns = Annotated[
    int | None,
    typer.Option(
        "--max-runs",
        metavar="N",
        parser=numbers.parser(1, 1_000_000_000),
        help="So many jobs, then it is done.",
    ),
]
Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="SPAN", help="A job that has not begun by then is revoked."),
]
Jitter = Annotated[
    str | None,
    typer.Option("--jitter", metavar="SPAN", help="Put off by up to that, always by the same."),
]
OnOverlap = Annotated[
    Overlap | None,
    typer.Option("--on-overlap", help="While an earlier job is unfinished; else the task's."),
]
OnMissed = Annotated[
    Missed | None,
    typer.Option("--on-missed", help="After a time without a daemon; else the task's."),
]
MissedWithin = Annotated[
    str | None,
    typer.Option("--missed-within", metavar="SPAN", help="Older missed instants are left."),
]
MissedLimit = Annotated[
    int | None,
    typer.Option(
        "--missed-limit",
        metavar="N",
        parser=numbers.parser(1, 1_000_000),
        help='Most jobs that "--on-missed all" makes.',
    ),
]


def show(
    ctx: typer.Context,
    name: Name,
    count: Annotated[
        int,
        typer.Option(
            "-n",
            metavar="N",
            parser=numbers.parser(0, 100),
            help="So many next instants and newest fates, up to 100.",
        ),
    ] = 5,
    as_json: options.Json = False,
) -> int:
    """Show everything about one schedule.

    What it means, who declared it, where it stands, what comes next, and what became of its last instants.
    Also answers when no daemon runs, and says so.
    """
    from jobctl.protocol.requests import ShowSchedule

    session = session_of(ctx, as_json=as_json)
    with session.reader() as client:
        found = client.call(ShowSchedule(name=name, count=count))
    if session.as_json:
        session.screen.json(shapes.schedule_whole(found))
    else:
        session.screen.page(schedule_page(found, exact=not session.screen.is_terminal))
    return 0


def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it shall be called.")],
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help="The task whose jobs it makes.", autocompletion=complete.task_names
        ),
    ],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARG...]", help="Arguments of its jobs, by position."),
    ] = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    solar: Solar = None,
    reboot: Reboot = False,
    timezone: Timezone = None,
    dialect: DialectOption = None,
    named: Named = None,
    args_json: ArgsJson = None,
    start: Start = None,
    end: End = None,
    max_runs: MaxRuns = None,
    expires: Expires = None,
    jitter: Jitter = None,
    on_overlap: OnOverlap = None,
    on_missed: OnMissed = None,
    missed_within: MissedWithin = None,
    missed_limit: MissedLimit = None,
    disabled: Annotated[
        bool, typer.Option("--disabled", help="Make no jobs until it is enabled.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Add a schedule for a task.

    It is kept by the daemon, beside those of the file: it survives restarts and needs no reload. The first
    instant that counts is the next one from now.

    "jobctl schedule add nightly backup --cron '30 2 * * *'". Exactly one of --cron, --every, --at, --solar
    and --reboot says when. Arguments for the task are written as for "submit"; those that begin with a dash
    go behind "--".

    Repeating the same line is harmless: it changes nothing.
    """
    from jobctl.cli import schedule_table
    from jobctl.cli.arguments import read_arguments
    from jobctl.protocol.requests import AddSchedule

    session = session_of(ctx, as_json=as_json)
    when = {"cron": cron, "every": every, "at": at, "solar": solar}
    table: dict[str, Any] = {
        "task": task,
        **schedule_table.read_when(when, reboot=reboot, needed=True),
        **_further(
            timezone=timezone,
            dialect=dialect,
            start=start,
            end=end,
            max_runs=max_runs,
            expires=expires,
            jitter=jitter,
            on_overlap=on_overlap,
            on_missed=on_missed,
            missed_within=missed_within,
            missed_limit=missed_limit,
        ),
    }
    if disabled:
        table["enabled"] = False
    arguments = read_arguments(args, named, args_json)
    if arguments.args:
        table["args"] = arguments.args
    if arguments.kwargs:
        table["kwargs"] = arguments.kwargs
    table = _with_moments(session, table, timezone)
    answer = _change(session, AddSchedule(name=name, table=table, **arguments.fields()))
    if session.as_json:
        session.screen.json(shapes.schedule_added(answer))
        return 0
    _show_change(session, answer["schedule"])
    if answer.get("duplicate"):
        session.screen.note(f'jobctl: schedule "{name}" is there already, and the same')
    return 0


def edit(
    ctx: typer.Context,
    name: Name,
    task: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="TASK", help="Another task.", autocompletion=complete.task_names
        ),
    ] = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    solar: Solar = None,
    reboot: Reboot = False,
    timezone: Timezone = None,
    dialect: DialectOption = None,
    named: Named = None,
    args_json: ArgsJson = None,
    start: Start = None,
    end: End = None,
    max_runs: MaxRuns = None,
    expires: Expires = None,
    jitter: Jitter = None,
    on_overlap: OnOverlap = None,
    on_missed: OnMissed = None,
    missed_within: MissedWithin = None,
    missed_limit: MissedLimit = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            "--unset", metavar="KEY", help='Back to the default: "end", "args", "on_overlap".'
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Change a schedule that "schedule add" made.

    Only what is given changes. It prints what was and what is now. Nothing of the past is replayed: the
    new rule counts from now on.

    Schedules of the file are changed in the file; any schedule can be disabled for a while.
    """
    from jobctl.cli import schedule_table
    from jobctl.cli.arguments import read_arguments
    from jobctl.errors import UsageError
    from jobctl.protocol.requests import EditSchedule

    session = session_of(ctx, as_json=as_json)
    when = {"cron": cron, "every": every, "at": at, "solar": solar}
    table: dict[str, Any] = {
        **({"task": task} if task is not None else {}),
        **schedule_table.read_when(when, reboot=reboot, needed=False),
        **_further(
            timezone=timezone,
            dialect=dialect,
            start=start,
            end=end,
            max_runs=max_runs,
            expires=expires,
            jitter=jitter,
            on_overlap=on_overlap,
            on_missed=on_missed,
            missed_within=missed_within,
            missed_limit=missed_limit,
        ),
    }
    arguments = read_arguments(None, named, args_json)
    if args_json is not None:
        table["args"] = arguments.args
    if arguments.kwargs:
        table["kwargs"] = arguments.kwargs
    if not table and not unset:
        raise UsageError(
            "nothing to change",
            hint=f"See: jobctl schedule edit --help, jobctl schedule show {name}",
        )
    table = _with_moments(session, table, timezone)
    request = EditSchedule(name=name, table=table, unset=unset or None, **arguments.fields())
    answer = _change(session, request)
    if session.as_json:
        session.screen.json(shapes.schedule_edited(answer))
        return 0
    for change in answer["changes"]:
        session.screen.line(change)
    if answer["changes"]:
        _show_change(session, answer["schedule"])
    else:
        session.screen.line("nothing changed")
    return 0


def remove(ctx: typer.Context, names: Names, as_json: options.Json = False) -> int:
    """Remove schedules that "schedule add" made.

    Jobs that they made go on. Their history stays, as long as that of jobs. Schedules of the file are
    removed in the file.
    """
    from jobctl.protocol.requests import RemoveSchedule

    session = session_of(ctx, as_json=as_json)
    answers = [_change(session, RemoveSchedule(name=name), is_gone_fine=True) for name in names]
    if session.as_json:
        session.screen.json(shapes.schedules_removed(answers))
        return 0
    for answer in answers:
        session.screen.row(answer["name"], "removed")
    return 0


def disable(
    ctx: typer.Context,
    names: Names,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="WHEN", help='It goes on then: "2026-11-21 08:00", "08:00".'
        ),
    ] = None,
    span: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help='It goes on after that: "2h".')
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Make no jobs of schedules for a while.

    Until the moment given, or until "schedule enable". For schedules of the file too; it survives restarts
    and reloads. Instants that pass meanwhile are recorded as held and are not made up for. Jobs that run
    go on.
    """
    from jobctl.errors import UsageError
    from jobctl.protocol.requests import DisableSchedule

    session = session_of(ctx, as_json=as_json)
    if until is not None and span is not None:
        raise UsageError("--until and --for exclude each other", hint="Use one of them.")
    now_us = session.clock.now()
    until_us: int | None = None
    if until is not None:
        until_us = times.parse_moment_or_span(until, option="--until", now_us=now_us)
        if until_us <= now_us:
            raise UsageError(f'--until: "{until}" has passed', hint="Name a later moment.")
    elif span is not None:
        until_us = now_us + round(times.parse_span(span, option="--for") * 1_000_000)
    return _switch(session, [DisableSchedule(name=name, until=until_us) for name in names])


def enable(ctx: typer.Context, names: Names, as_json: options.Json = False) -> int:
    """Make jobs of schedules again.

    From now on: nothing of the time in between is made up for.
    """
    from jobctl.protocol.requests import EnableSchedule

    session = session_of(ctx, as_json=as_json)
    return _switch(session, [EnableSchedule(name=name) for name in names])


def run(
    ctx: typer.Context,
    name: Name,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also beside an unfinished job, whatever on_overlap says."),
    ] = False,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="The same key gives the same job again."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end; exit with its code.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Submit a job of a schedule now and print its id.

    With the schedule's arguments, also while it is disabled. The schedule itself goes on as if nothing had
    been. While a job of it is unfinished, its on_overlap decides: "skip" refuses, "queue" lets the new one
    wait, "replace" cancels the old one.
    """
    from jobctl.errors import ProtocolError, Unreachable, VersionMismatch
    from jobctl.protocol.key import make_key
    from jobctl.protocol.requests import RunSchedule

    session = session_of(ctx, as_json=as_json)
    key = key if key is not None else make_key()
    try:
        job = _change(session, RunSchedule(name=name, key=key, force=force))
    except (ProtocolError, VersionMismatch):
        raise
    except Unreachable as error:
        raise Unreachable(
            f"{error.message}; it is not known whether the job was submitted",
            hint=f"Repeat the line with --key {key}: it is not submitted twice.",
        ) from error
    if session.as_json:
        session.screen.json(shapes.submitted(job))
    else:
        session.screen.line(str(job["id"]))
        if job.get("reason"):
            session.screen.note(f"jobctl: {job['reason']}; no other one was made")
    if not wait:
        return 0
    from jobctl.cli.waiting import wait_for

    session.screen.out.flush()
    try:
        return wait_for(session, [job["id"]])[1]
    except KeyboardInterrupt:
        session.screen.note(f"jobctl: job {job['id']} goes on; jobctl cancel {job['id']} ends it")
        raise


def _further(**said: Any) -> dict[str, Any]:
    """Options besides those that say when, as keys of the table; what was not said is left out."""
    return {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in said.items()
        if value is not None
    }


def _with_moments(session: Session, table: dict[str, Any], timezone: str | None) -> dict[str, Any]:
    from jobctl.cli.explain import host_zone
    from jobctl.cli.schedule_table import with_moments

    return with_moments(table, now_us=session.clock.now(), timezone=timezone, host_zone=host_zone())


def _change(session: Session, request: Request, *, is_gone_fine: bool = False) -> dict[str, Any]:
    """Ask for a change, again when the connection breaks: each of them may be repeated.

    With ``is_gone_fine`` a thing that cannot be found any more after a break was removed by the first try.
    """
    from jobctl.cli.repeat import Repeater
    from jobctl.errors import NotFound

    tries = 0

    def ask(client: Any) -> dict[str, Any]:
        nonlocal tries
        tries += 1
        try:
            answer: dict[str, Any] = client.call(request)
        except NotFound:
            if is_gone_fine and tries > 1:
                return {"name": getattr(request, "name", None), "task": None}
            raise
        return answer

    found: dict[str, Any] = Repeater(session.client).run(ask)
    return found


def _show_change(session: Session, schedule: dict[str, Any]) -> None:
    """What a schedule has become: its rule in words and its next instants; warnings beside it."""
    exact = not session.screen.is_terminal
    session.screen.page(changes_shown(schedule, exact=exact, count=_SHOWN_NEXT))
    for lint in schedule.get("lints") or ():
        session.screen.note(f"warning: {lint['message']} ({lint['code']})")


def _switch(session: Session, requests: list[Any]) -> int:
    answers = [_change(session, request) for request in requests]
    if session.as_json:
        session.screen.json(shapes.schedules_switched(answers))
        return 0
    exact = not session.screen.is_terminal
    for answer in answers:
        following = instants([answer["next"]], answer.get("timezone")) if answer.get("next") else []
        words = [f"next {moment}" for moment in following]
        session.screen.row(answer["name"], standing(answer, exact=exact), *words)
    return 0
