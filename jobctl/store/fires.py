"""Fires: the fate of every instant of a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Fire:
    """One instant with its job, or a closed range of ``count`` instants that share a fate. ``rule`` is the
    number of the rule that gave them."""

    schedule: int
    rule: int
    first: Moment
    last: Moment
    count: int
    fate: str
    job_id: int | None = None
    reason: str | None = None


def add(database: Database, fire: Fire) -> None:
    """Write a fate."""
    database.execute(
        statement("fires/add"),
        (
            fire.schedule,
            fire.first,
            fire.rule,
            fire.last,
            fire.count,
            fire.fate,
            fire.job_id,
            fire.reason,
        ),
    )


def prolong(
    database: Database, *, schedule: int, rule: int, first: Moment, last: Moment, count: int
) -> None:
    """Add ``count`` instants up to ``last`` to the newest range of a rule, which begins at ``first``."""
    bindings = {
        "schedule": schedule,
        "rule": rule,
        "first": first,
        "last": last,
        "count": count,
    }
    database.execute(statement("fires/prolong"), bindings)


def of_schedule(
    database: Database, *, name: str, before: Moment, limit: int
) -> list[dict[str, Any]]:
    """Fates of a schedule before a moment, newest first."""
    return database.dicts(
        statement("fires/of_schedule"), {"name": name, "before": before, "limit": limit}
    )


def page(database: Database, *, schedule: int, before: Moment, limit: int) -> list[dict[str, Any]]:
    """A slice of a schedule's fates that begin before a moment, newest first; the caller filters."""
    bindings = {"schedule": schedule, "before": before, "limit": limit}
    return database.dicts(statement("fires/page"), bindings)


def prune(database: Database, *, schedule: int, before: Moment, limit: int) -> int:
    """Remove old fates of a schedule; how many."""
    database.execute(
        statement("fires/prune"), {"schedule": schedule, "before": before, "limit": limit}
    )
    return database.changes()
