"""Schedules: ``schedule list``, ``schedule next`` (also as ``next``), ``history``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import complete, options, shapes, times
from jobctl.cli.render import Column
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from jobctl.cli.session import Session

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Schedules and what they will do."
)


@app.command("list")
def list_schedules(ctx: typer.Context, as_json: options.Json = False) -> int:
    """List the schedules in force.

    Also answers when no daemon runs, and says so.
    """
    from jobctl.protocol.requests import Schedules

    session = session_of(ctx, as_json=as_json)
    with session.reader() as client:
        found = client.call(Schedules())["schedules"]
    if session.as_json:
        session.screen.json(shapes.schedules(found))
        return 0
    columns = [
        Column("NAME", may_be_cut=True),
        Column("TASK", may_be_cut=True),
        Column("SCHEDULE", may_be_cut=True),
        Column("TIMEZONE", may_be_cut=True),
        Column("NEXT"),
        Column("FATE"),
        Column("LAST", may_be_cut=True),
    ]
    session.screen.table(
        columns,
        (
            (
                one["name"],
                one.get("task"),
                one.get("expression"),
                one.get("timezone"),
                _moment(session, one.get("next")) if one.get("enabled", True) else "disabled",
                *_last(session, one.get("last")),
            )
            for one in found
        ),
        empty="no schedules",
        caption=_zone(session),
    )
    return 0


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
        help="Only this schedule.",
        autocompletion=complete.schedule_names,
    ),
]


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
        fires = client.call(Next(schedule=schedule, limit=limit, within_s=within_s))["fires"]
    if session.as_json:
        session.screen.json(shapes.agenda(fires))
        return 0
    session.screen.table(
        [Column("AT"), Column("SCHEDULE", may_be_cut=True), Column("TASK", may_be_cut=True)],
        ((_moment(session, fire["at"]), fire["schedule"], fire.get("task")) for fire in fires),
        empty="nothing comes",
        caption=_zone(session),
    )
    return 0


def history(
    ctx: typer.Context,
    schedule: Annotated[
        str,
        typer.Argument(
            metavar="SCHEDULE",
            help="The schedule; a task's own has the task's name.",
            autocompletion=complete.schedule_names,
        ),
    ],
    limit: options.Limit = 50,
    before: Annotated[
        str | None, typer.Option("--before", metavar="WHEN", help="Only instants before that.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Show what became of a schedule's instants, newest first.

    Each instant has one fate: submitted, skipped, missed, coalesced or held. Also answers when no daemon
    runs, and says so.
    """
    from jobctl.protocol.requests import History

    session = session_of(ctx, as_json=as_json)
    before_us = (
        None
        if before is None
        else times.parse_moment(before, option="--before", now_us=session.clock.now())
    )
    with session.reader() as client:
        request = History(schedule=schedule, before=before_us, limit=limit)
        fires = client.call(request)["fires"]
    if session.as_json:
        session.screen.json(shapes.history(fires))
        return 0
    columns = [
        Column("AT"),
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
                fire.get("fate"),
                fire.get("count"),
                _moment(session, fire["last"]) if fire.get("last") != fire["at"] else None,
                fire.get("job_id"),
                fire.get("reason"),
            )
            for fire in fires
        ),
        empty="no instant yet",
        caption=_zone(session),
    )
    return 0


def _moment(session: Session, moment_us: int | None) -> str | None:
    if moment_us is None:
        return None
    return times.shown(moment_us) if session.screen.is_terminal else times.iso(moment_us)


def _zone(session: Session) -> str:
    return f"times: {times.zone_shown(session.clock.now())}"
