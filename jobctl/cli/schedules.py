"""Looking at schedules: ``schedule list``, ``schedule next`` and ``history`` (also without ``schedule``)."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import complete, options, shapes, times
from jobctl.cli.render import Column
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobctl.cli.session import Session
    from jobctl.client import Client
    from jobctl.protocol.requests import History

_PAGE = 1000


class Fate(StrEnum):
    """What can become of an instant."""

    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    MISSED = "missed"
    COALESCED = "coalesced"
    HELD = "held"


app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Schedules and what they will do."
)


@app.command("list")
def list_schedules(ctx: typer.Context, as_json: options.Json = False) -> int:
    """List the schedules in force.

    Also answers when no daemon runs, and says so.
    """
    session = session_of(ctx, as_json=as_json)
    with session.reader() as client:
        found = list(_all_schedules(client))
    if session.as_json:
        session.screen.json(shapes.schedules(found))
        return 0
    columns = [
        Column("NAME", may_be_cut=True),
        Column("TASK", may_be_cut=True, may_be_left_out=True),
        Column("SCHEDULE", may_be_cut=True),
        Column("TIMEZONE", may_be_cut=True, may_be_left_out=True),
        Column("NEXT"),
        Column("FATE"),
        Column("LAST"),
    ]
    session.screen.table(
        columns,
        (
            (
                one["name"],
                one.get("task"),
                one.get("expression"),
                one.get("timezone"),
                _next(session, one),
                *_last(session, one.get("last")),
            )
            for one in found
        ),
        empty="no schedules",
        caption=_zone(session),
    )
    return 0


def _all_schedules(client: Client) -> Iterator[dict[str, Any]]:
    """Every schedule in force, by name, asked for page by page."""
    from jobctl.protocol.requests import Schedules

    after: str | None = None
    while True:
        answer = client.call(Schedules(after=after, limit=_PAGE))
        yield from answer["schedules"]
        after = answer.get("next")
        if after is None:
            return


def _next(session: Session, schedule: dict[str, Any]) -> str | None:
    """The next instant, or why none makes a job; of a pause with an end the first one after it."""
    moment = _moment(session, schedule.get("next"))
    if schedule.get("state") in (None, "active"):
        return moment
    return moment if schedule.get("paused_until") is not None else schedule["state"]


def _last(session: Session, fire: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """The fate of the newest instant that has one, and that instant."""
    if fire is None:
        return None, None
    moment = fire.get("last") if fire.get("last") is not None else fire.get("at")
    return fire.get("fate"), _moment(session, moment)


Schedule = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        metavar="NAME",
        help="Only this schedule, or those of this task.",
        autocompletion=complete.schedule_or_task_names,
    ),
]
Before = Annotated[
    str | None, typer.Option("--before", metavar="WHEN", help="Only instants before that.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Only instants since then.")
]
Fates = Annotated[
    list[Fate] | None,
    typer.Option("--fate", case_sensitive=False, help="Only these fates."),
]
Cursor = Annotated[
    str | None,
    typer.Option("--cursor", metavar="TEXT", help="Go on where the page before ended."),
]
Everything = Annotated[bool, typer.Option("--all", help="All of them, without a limit.")]


@app.command("next")
def next_fires(
    ctx: typer.Context,
    schedule: Schedule = None,
    limit: options.Limit = 10,
    within: Annotated[
        str | None, typer.Option("--within", metavar="SPAN", help='No later than that: "24h".')
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Show what comes next, by time.

    Also answers when no daemon runs, and says so.
    """
    from jobctl.protocol.requests import Next

    session = session_of(ctx, as_json=as_json)
    within_s = None if within is None else times.parse_span(within, option="--within")
    with session.reader() as client:
        answer = client.call(Next(schedule=schedule, limit=limit, within_s=within_s))
    fires = answer["fires"]
    if session.as_json:
        session.screen.json(shapes.agenda(fires))
        return 0
    session.screen.table(
        [Column("AT"), Column("SCHEDULE", may_be_cut=True), Column("TASK", may_be_cut=True)],
        ((_moment(session, fire["at"]), fire["schedule"], fire.get("task")) for fire in fires),
        empty="nothing comes",
        caption=_zone(session),
    )
    if within is not None and answer.get("more"):
        session.screen.note(f"there are more within {within}: -n {_PAGE} shows up to so many")
    return 0


@app.command("history")
def history_of_schedule(
    ctx: typer.Context,
    schedule: Annotated[
        str,
        typer.Argument(
            metavar="SCHEDULE", help="Its name.", autocompletion=complete.schedule_names
        ),
    ],
    limit: options.Limit = 50,
    before: Before = None,
    since: Since = None,
    fates: Fates = None,
    cursor: Cursor = None,
    everything: Everything = False,
    as_json: options.Json = False,
) -> int:
    """Show what became of one schedule's instants, newest first.

    Each instant has one fate: submitted, skipped, missed, coalesced or held. A schedule that was removed
    keeps its history. Also answers when no daemon runs, and says so.
    """
    session = session_of(ctx, as_json=as_json)
    request = _history(session, schedule, limit, before, since, fates, cursor)
    return _show_history(session, replace(request, is_schedule=True), everything=everything)


def history(
    ctx: typer.Context,
    schedule: Annotated[
        str,
        typer.Argument(
            metavar="TASK|SCHEDULE",
            help="A task, for all of its schedules; or a schedule.",
            autocompletion=complete.schedule_or_task_names,
        ),
    ],
    limit: options.Limit = 50,
    before: Before = None,
    since: Since = None,
    fates: Fates = None,
    cursor: Cursor = None,
    everything: Everything = False,
    as_json: options.Json = False,
) -> int:
    """Show what became of a task's instants, newest first.

    Each instant has one fate: submitted, skipped, missed, coalesced or held. "jobctl why" tells more about
    one of them. Also answers when no daemon runs, and says so.
    """
    session = session_of(ctx, as_json=as_json)
    request = _history(session, schedule, limit, before, since, fates, cursor)
    return _show_history(session, request, everything=everything)


def _history(
    session: Session,
    schedule: str,
    limit: int,
    before: str | None,
    since: str | None,
    fates: list[Fate] | None,
    cursor: str | None,
) -> History:
    from jobctl.protocol.requests import History

    now_us = session.clock.now()
    return History(
        schedule=schedule,
        limit=limit,
        before=times.parse_past(before, option="--before", now_us=now_us) if before else None,
        since=times.parse_past(since, option="--since", now_us=now_us) if since else None,
        fates=[fate.value for fate in fates] if fates else None,
        cursor=cursor,
    )


def _show_history(session: Session, request: History, *, everything: bool) -> int:
    with session.reader() as client:
        if everything:
            fires = list(_all_fires(client, request))
            following = None
        else:
            answer = client.call(request)
            fires, following = answer["fires"], answer.get("next")
    if session.as_json:
        session.screen.json(shapes.history(fires, following))
        return 0
    # A name on each line says nothing while there is one schedule only.
    are_several = any(fire["schedule"] != request.schedule for fire in fires)
    columns = [
        Column("AT"),
        *([Column("SCHEDULE", may_be_cut=True)] if are_several else []),
        Column("FATE"),
        Column("COUNT", is_number=True),
        Column("UNTIL"),
        Column("JOB", is_number=True),
        Column("REASON", may_be_cut=True),
    ]
    session.screen.table(
        columns,
        (
            (
                _moment(session, fire["at"]),
                *([fire["schedule"]] if are_several else []),
                fire.get("fate"),
                fire.get("count"),
                _moment(session, fire["last"]) if fire.get("last") != fire["at"] else None,
                fire.get("job_id"),
                fire.get("reason"),
            )
            for fire in fires
        ),
        empty="no instant yet" if request.fates is None and request.since is None else "none",
        caption=_zone(session),
    )
    if following is not None:
        session.screen.note(f"there are more: --cursor {following}, or --all")
    return 0


def _all_fires(client: Client, request: History) -> Iterable[dict[str, Any]]:
    request = replace(request, limit=_PAGE)
    while True:
        answer = client.call(request)
        yield from answer["fires"]
        if answer.get("next") is None:
            return
        request = replace(request, cursor=answer["next"])


@app.command("audit")
def audit(
    ctx: typer.Context,
    schedule: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK|SCHEDULE]",
            help="Only this one; else all, those that were removed included.",
            autocompletion=complete.schedule_or_task_names,
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Prove that every instant of the schedules has one fate.

    Each rule that a schedule ever had is replayed and laid beside what is recorded: instants without a
    fate or with two, wrong counts, jobs that are not there. Exits with 1 when something is wrong. Also
    answers when no daemon runs, and says so.
    """
    from jobctl.protocol.requests import Audit

    session = session_of(ctx, as_json=as_json)
    with session.reader(timeout_s=None) as client:
        answer = client.call(Audit(schedule=schedule))
    code = 1 if answer["count"] else 0
    screen = session.screen
    if session.as_json:
        screen.json(shapes.audit(answer))
        return code
    if answer["count"]:
        _show_violations(session, answer)
    for one in answer["unjudged"]:
        screen.note(f'not judged: rule {one["rule"]} of "{one["schedule"]}": {one["why"]}')
    many = answer["schedules"] != 1
    told = f"{answer['schedules']} schedule{'s' if many else ''}, {answer['instants']} instants"
    if answer["count"]:
        screen.note(f"{told}: {answer['count']} faults")
    else:
        screen.line(f"{told}: each has one fate")
    return code


def _show_violations(session: Session, answer: dict[str, Any]) -> None:
    columns = [
        Column("SCHEDULE", may_be_cut=True),
        Column("WRONG"),
        Column("FIRST"),
        Column("LAST"),
        Column("COUNT", is_number=True),
        Column("DETAIL", may_be_cut=True),
    ]
    session.screen.table(
        columns,
        (
            (
                one["schedule"],
                one["wrong"],
                _moment(session, one["first"]),
                _moment(session, one["last"]) if one["last"] != one["first"] else None,
                one["count"],
                one["detail"],
            )
            for one in answer["violations"]
        ),
        caption=_zone(session),
    )


def _moment(session: Session, moment_us: int | None) -> str | None:
    if moment_us is None:
        return None
    return times.shown(moment_us) if session.screen.is_terminal else times.iso(moment_us)


def _zone(session: Session) -> str:
    return f"times: {times.zone_shown(session.clock.now())}"
