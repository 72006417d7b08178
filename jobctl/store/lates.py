"""Scheduled jobs that may become late. The functions have the names of their statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


class Late(NamedTuple):
    """A job that is late at ``due_at`` in the eyes of a route, and the instant that made it."""

    due_at: Moment
    job_id: int
    route: str
    instant_at: Moment


def add(database: Database, late: Late) -> None:
    """Remember when a scheduled job is late in the eyes of a route."""
    database.execute(statement("lates/add"), late._asdict())


def next(database: Database) -> Moment | None:
    """When the next one is due."""
    row = database.row(statement("lates/next"))
    return None if row is None else row[0]


def take(database: Database, *, now: Moment, limit: int) -> list[Late]:
    """Take some that are due, and forget them."""
    rows = database.rows(statement("lates/take"), {"now": now, "limit": limit})
    return sorted(Late._make(row) for row in rows)
