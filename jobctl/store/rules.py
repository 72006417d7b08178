"""Rules: each that a schedule ever had, and from when to when it was in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.store.statements import statement
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredRule:
    """One rule of a schedule.

    Its instants are those that ``identity`` and ``anchor_at`` give (`jobctl.beat.rules.rule_of`) after
    ``begins_at`` and up to ``ends_at``, bound included; while it is in force (None) up to the schedule's
    watermark. ``zone_data`` names the zone data by which they were computed, None where zones do not
    matter.
    """

    number: int
    begins_at: Moment
    ends_at: Moment | None
    identity: str
    anchor_at: Moment
    zone_data: str | None


def of_schedule(database: Database, name: str) -> list[StoredRule]:
    """Every rule of a schedule, oldest first; also of one that was removed. Empty when there never was
    one, or when retention has taken them."""
    rows = database.rows(statement("rules/of_schedule"), {"name": name})
    return [StoredRule(*row) for row in rows]


def prune(database: Database, *, schedule: int, before: Moment) -> int:
    """Remove rules that ended before a moment and whose fates are gone; how many."""
    database.execute(statement("rules/prune"), {"schedule": schedule, "before": before})
    return database.changes()
