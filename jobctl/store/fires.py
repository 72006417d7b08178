"""Fires: the fate of every instant of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.clock import Moment
    from jobctl.store.database import Database


class Fire(NamedTuple):
    """One instant with its job, or a closed range of ``count`` instants that share a fate. ``rule`` is the
    number of the rule that gave them, ``earlier_job`` the unfinished job because of which they made none.

    In the order of the statement that writes it. A tuple, because one is made for every instant.
    """

    schedule: int
    rule: int
    first: Moment
    last: Moment
    count: int  # type: ignore[assignment]  # of no use here: what a tuple calls so
    fate: str
    job_id: int | None = None
    earlier_job: int | None = None
    reason: str | None = None


def add(database: Database, fire: Fire) -> None:
    """Write a fate."""
    database.execute(statement("fires/add"), fire)


def add_all(database: Database, fires: Iterable[Fire]) -> None:
    """Write many fates."""
    database.executemany(statement("fires/add"), fires)


def prolong(
    database: Database, *, schedule: int, rule: int, first: Moment, last: Moment, count: int
) -> bool:
    """Add ``count`` instants up to ``last`` to the newest range of a rule, which begins at ``first``.

    False when that range is gone: retention has removed it.
    """
    bindings = {
        "schedule": schedule,
        "rule": rule,
        "first": first,
        "last": last,
        "count": count,
    }
    database.execute(statement("fires/prolong"), bindings)
    return database.changes() == 1


def of_schedule(
    database: Database, *, name: str, before: Moment, limit: int
) -> list[dict[str, Any]]:
    """Fates of a schedule before a moment, newest first."""
    return database.dicts(
        statement("fires/of_schedule"), {"name": name, "before": before, "limit": limit}
    )


def page(
    database: Database, *, schedule: int, before: tuple[Moment, int], limit: int
) -> list[dict[str, Any]]:
    """A slice of a schedule's fates before the row of this first instant and rule, newest first; the caller
    filters."""
    bindings = {"schedule": schedule, "first": before[0], "rule": before[1], "limit": limit}
    return database.dicts(statement("fires/page"), bindings)


def newest(database: Database, *, schedule: int, rule: int, at: Moment) -> dict[str, Any] | None:
    """The newest row of a rule that begins no later than a moment, or None."""
    bindings = {"schedule": schedule, "rule": rule, "at": at}
    rows = database.dicts(statement("fires/newest"), bindings)
    return rows[0] if rows else None


def following(
    database: Database, *, schedule: int, rule: int, after: Moment
) -> dict[str, Any] | None:
    """The row of a rule that follows a moment, or None."""
    bindings = {"schedule": schedule, "rule": rule, "after": after}
    rows = database.dicts(statement("fires/following"), bindings)
    return rows[0] if rows else None


def of_job(database: Database, job_id: int) -> tuple[str, Moment] | None:
    """``(schedule, instant)`` that a job was made for; None: it was made for no instant."""
    row = database.row(statement("fires/of_job"), (job_id,))
    return None if row is None else (str(row[0]), int(row[1]))


def with_jobs(
    database: Database, *, schedule: int, after: tuple[Moment, int], limit: int
) -> list[dict[str, Any]]:
    """A slice of a schedule's fates after the row of this first instant and rule, oldest first.

    ``found`` is None when the row's job is not there; ``job_schedule`` is the schedule that it is of.
    """
    bindings = {"schedule": schedule, "first": after[0], "rule": after[1], "limit": limit}
    return database.dicts(statement("fires/with_jobs"), bindings)


def prune(database: Database, *, schedule: int, before: Moment, limit: int) -> int:
    """Remove old fates of a schedule; how many."""
    database.execute(
        statement("fires/prune"), {"schedule": schedule, "before": before, "limit": limit}
    )
    return database.changes()
