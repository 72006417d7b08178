"""Small values that the store remembers under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.store.database import Database


def get(database: Database, name: str) -> str | None:
    """The value, or None when it was never set."""
    row = database.row(statement("meta/get"), (name,))
    return None if row is None else str(row[0])


def set(database: Database, name: str, value: str) -> None:
    """Remember a value."""
    database.execute(statement("meta/set"), (name, value))
