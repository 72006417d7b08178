"""Queues: what is remembered of them between restarts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobctl.protocol.compact import dumps
from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def limits(database: Database) -> dict[str, dict[str, Any]]:
    """By name of a queue, the keys of its table that a command has set; None as a value: no limit."""
    return {row[0]: json.loads(row[1]) for row in database.rows(statement("queues/limits"))}


def limit(database: Database, *, name: str, limits: Mapping[str, Any] | None) -> None:
    """Set the limits of a queue in place of those of the file; None: those of the file again."""
    told = None if limits is None else dumps(dict(limits))
    database.execute(statement("queues/limit"), {"name": name, "limits": told})
