"""Queues: what is remembered of them between restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


def all(database: Database) -> dict[str, Moment | None]:
    """Name and moment of the pause (None: not paused) of every remembered queue."""
    return {row[0]: row[1] for row in database.rows(statement("queues/all"))}


def pause(database: Database, *, name: str, now: Moment) -> None:
    """Pause a queue; repeating it keeps the first moment."""
    database.execute(statement("queues/pause"), {"name": name, "now": now})


def resume(database: Database, *, name: str) -> None:
    """Let a queue go on; harmless when it is not paused."""
    database.execute(statement("queues/resume"), {"name": name})
