"""Daemons: which one served from when to when, so that somebody can be told that none did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database

KEPT: Final = 1000
"""So many of the newest are remembered."""


class Served(NamedTuple):
    """One daemon. ``stopped_at`` is None while it serves, and for ever if it was killed."""

    began_at: Moment
    stopped_at: Moment | None


def begin(database: Database, *, now: Moment) -> int:
    """Note that a daemon serves from now on; gives back its number, for `stop`."""
    row = database.row(statement("daemons/begin"), {"now": now})
    assert row is not None
    database.execute(statement("daemons/prune"), {"keep": KEPT})
    return int(row[0])


def stop(database: Database, *, id: int, now: Moment) -> None:
    """Note that a daemon makes no more jobs. A second call changes nothing."""
    database.execute(statement("daemons/stop"), {"id": id, "now": now})


def around(database: Database, at: Moment) -> tuple[Served | None, Served | None]:
    """The newest daemon that had begun at a moment, and the first that began after it; None: not known."""
    found = [
        database.row(statement(f"daemons/{which}"), {"at": at}) for which in ("before", "after")
    ]
    before, after = (None if row is None else Served._make(row) for row in found)
    return before, after
