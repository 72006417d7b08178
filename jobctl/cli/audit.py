"""``audit``: who has changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 -- Typer reads the annotations

from jobctl.cli import options, times
from jobctl.cli.render import Column
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from jobctl.cli.session import Session


def audit(ctx: typer.Context, limit: options.Limit = 20, as_json: options.Json = False) -> int:
    """Tell who has changed what, newest first.

    Cancelling, pausing, limits, purges, changes of schedules, reloads and stops, with the user that the kernel
    names; the last 100,000. Who submitted a job is told by "status". Also answers when no daemon runs.
    """
    from jobctl.protocol.requests import Changes

    session = session_of(ctx, as_json=as_json)
    with session.reader() as client:
        answer = client.call(Changes(limit=limit))
    if session.as_json:
        session.screen.json(_with_iso(answer))
        return 0
    columns = [
        Column("AT"),
        Column("USER", may_be_cut=True),
        Column("REQUEST"),
        Column("SUBJECT", may_be_cut=True),
        Column("DETAIL", may_be_cut=True),
    ]
    rows = [
        (
            _moment(session, one["at"]),
            _user(one["uid"]),
            one["request"],
            one["subject"],
            one["detail"],
        )
        for one in answer["changes"]
    ]
    zone = f"times: {times.zone_shown(session.clock.now())}"
    session.screen.table(columns, rows, empty="no changes", caption=zone)
    return 0


def _with_iso(answer: dict[str, object]) -> dict[str, object]:
    found = answer["changes"]
    assert isinstance(found, list)
    return {**answer, "changes": [{**one, "at": times.iso(one["at"])} for one in found]}


def _moment(session: Session, moment_us: int) -> str:
    return times.shown(moment_us) if session.screen.is_terminal else times.iso(moment_us)


def _user(uid: int) -> str:
    """The name of a user of this host, else the number."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
