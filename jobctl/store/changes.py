"""Changes: who has asked for what, newest last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database

KEPT: Final = 100_000
"""So many of the newest are remembered."""


class Change(NamedTuple):
    """One request that has changed something."""

    id: int
    at: Moment
    uid: int
    request: str
    subject: str
    detail: str


def add(
    database: Database, *, at: Moment, uid: int, request: str, subject: str, detail: str
) -> None:
    """Note a change, and forget the oldest one beyond those that are kept."""
    row = database.row(statement("changes/add"), (at, uid, request, subject, detail))
    assert row is not None
    database.execute(statement("changes/prune"), (int(row[0]) - KEPT,))


def page(database: Database, *, before: int, limit: int) -> list[Change]:
    """The newest changes below a number, newest first."""
    rows = database.rows(statement("changes/page"), {"before": before, "limit": limit})
    return [Change._make(row) for row in rows]
