"""Schedules: identity, anchor and watermark of each that is in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule's row.

    ``identity`` is the text of its rule: when it differs from the plan's, the schedule was edited and
    begins anew. Every instant up to ``watermark`` has its fate.
    """

    id: int
    name: str
    identity: str
    anchor_at: Moment
    watermark: Moment
    created_at: Moment
    stored: str | None


def all(database: Database) -> dict[str, StoredSchedule]:
    """Every schedule in force, by name."""
    return {row[1]: StoredSchedule(*row) for row in database.rows(statement("schedules/all"))}


def add(
    database: Database,
    *,
    name: str,
    identity: str,
    anchor_at: Moment,
    now: Moment,
    stored: str | None = None,
) -> StoredSchedule:
    """Put a schedule in force from ``now`` on, or give an existing one a new rule from ``now`` on."""
    bindings = {
        "name": name,
        "identity": identity,
        "anchor_at": anchor_at,
        "now": now,
        "stored": stored,
    }
    row = database.row(statement("schedules/add"), bindings)
    assert row is not None
    return StoredSchedule(row[0], name, identity, row[1], row[2], now, stored)


def remove(database: Database, *, name: str, now: Moment) -> None:
    """Take a schedule out of force; its history stays."""
    database.execute(statement("schedules/remove"), {"name": name, "now": now})


def advance(database: Database, *, id: int, watermark: Moment) -> bool:
    """Move a watermark forward; False when it stands there already."""
    row = database.row(statement("schedules/advance"), {"id": id, "watermark": watermark})
    return row is not None


def find(database: Database, *, name: str) -> int | None:
    """The id of a schedule, also of one that was removed; None: there never was one of that name."""
    row = database.row(statement("schedules/find"), {"name": name})
    return None if row is None else int(row[0])


def ids(database: Database, *, after: int, limit: int) -> list[int]:
    """A slice of the ids of all schedules, those that were removed included."""
    bindings = {"after": after, "limit": limit}
    return [row[0] for row in database.rows(statement("schedules/ids"), bindings)]
