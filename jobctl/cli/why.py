"""``why``: what became of an instant, or how a job stands, told in sentences."""

from __future__ import annotations

from typing import Annotated

import typer

from jobctl.cli import complete, options, shapes, times
from jobctl.cli.session import session_of


def why(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="TASK|SCHEDULE|ID",
            help="A task, a schedule, or the id of a job.",
            autocompletion=complete.schedule_or_task_names,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="WHEN",
            help='The instant then, or the last one before: "02:30", "2026-11-20 02:30", "8h" ago.',
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Tell why something ran, or did not.

    Of a schedule the last instant that was due, or the one at --at: what became of it and why, which job
    stood in its way, since when no daemon ran. A time without an offset is meant in the schedule's own
    timezone. Of a job: why it waits, or how it ended. Also answers when no daemon runs, and says so.
    """
    from jobctl.protocol.requests import Why

    session = session_of(ctx, as_json=as_json)
    moment, local = None, None
    if at is not None:
        moment, local = times.parse_asked(at, option="--at", now_us=session.clock.now())
    with session.reader() as client:
        answer = client.call(Why(name=name, at=moment, local=local))
    if session.as_json:
        session.screen.json(shapes.why(answer))
        return 0
    screen = session.screen
    told = 0
    for fire in answer["fires"]:
        if told and screen.is_terminal:
            screen.line("")
        screen.prose(fire["sentences"])
        told += len(fire["sentences"])
    screen.prose(answer["sentences"][told:])
    return 0
