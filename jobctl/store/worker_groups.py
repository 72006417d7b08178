"""Worker groups: what is remembered of them between restarts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobctl.protocol.compact import dumps
from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.store.database import Database


def sizes(database: Database) -> dict[str, dict[str, Any]]:
    """By name of a group, the keys of its table that a command has set."""
    return {row[0]: json.loads(row[1]) for row in database.rows(statement("worker_groups/sizes"))}


def resize(database: Database, *, name: str, size: Mapping[str, Any]) -> None:
    """Set the size of a group in place of that of the file; empty: that of the file again."""
    if size:
        told = {"name": name, "size": dumps(dict(size))}
        database.execute(statement("worker_groups/resize"), told)
    else:
        database.execute(statement("worker_groups/reset"), {"name": name})
