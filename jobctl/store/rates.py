"""Rates: up to which moment what has started uses them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


def all(database: Database) -> dict[str, Moment]:
    """The moment of every rate that something was started by."""
    return {row[0]: row[1] for row in database.rows(statement("rates/all"))}


def use(database: Database, *, name: str, used_until: Moment) -> None:
    """Remember the moment of a rate."""
    database.execute(statement("rates/use"), {"name": name, "used_until": used_until})


def prune(database: Database, *, now: Moment) -> None:
    """Forget the rates of which nothing is used up."""
    database.execute(statement("rates/prune"), {"now": now})
