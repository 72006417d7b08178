"""What routes of ``[notify]`` gather until they tell it. The functions have the names of their statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


def add(database: Database, *, route: str, due_at: Moment, notice: str) -> None:
    """Let something wait with others of its route; ``due_at`` counts if it is the first."""
    database.execute(statement("notices/add"), {"route": route, "due_at": due_at, "notice": notice})


def due(database: Database) -> dict[str, Moment]:
    """When each route tells what waits with it."""
    return {row[0]: row[1] for row in database.rows(statement("notices/due"))}


def of_route(database: Database, *, route: str, limit: int) -> tuple[list[str], int]:
    """The first things that wait with a route, oldest first, and how many wait in all."""
    rows = database.rows(statement("notices/of_route"), {"route": route, "limit": limit})
    return [row[0] for row in rows], rows[0][1] if rows else 0


def end(database: Database, *, route: str) -> None:
    """Forget what waits with a route."""
    database.execute(statement("notices/end"), {"route": route})
