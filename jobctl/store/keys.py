"""Idempotency keys: which request of whom made which job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.clock import Moment
    from jobctl.store.database import Database


def add(database: Database, bindings: Sequence[tuple[int, str, int, bytes]]) -> bool:
    """Bind keys to jobs by ``(uid, key, job_id, digest)``; False when one was bound already."""
    before = database.total_changes()
    database.executemany(statement("keys/add"), bindings)
    return database.total_changes() - before == len(bindings)


def find(database: Database, *, uid: int, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """``(job_id, digest)`` of those keys that are bound: one statement for a whole request."""
    if len(keys) <= 1:
        # Mostly: the list for SQLite to take apart would cost more than all else.
        return {key: found for key in keys if (found := get(database, uid=uid, key=key))}
    rows = database.rows(statement("keys/find"), {"uid": uid, "keys": json.dumps(keys)})
    return {row[0]: (row[1], row[2]) for row in rows}


def get(database: Database, *, uid: int, key: str) -> tuple[int, bytes] | None:
    """``(job_id, digest)`` of a key, or None."""
    row = database.row(statement("keys/get"), (uid, key))
    return None if row is None else (row[0], row[1])


def prune(
    database: Database, *, after: tuple[int, str], before: Moment, limit: int
) -> tuple[int, str] | None:
    """Drop the keys of the next ``limit`` whose jobs are gone or ended before ``before``.

    Gives back where the next slice begins; None when the walk is over.
    """
    uid, key = after
    end = database.row(statement("keys/slice"), {"uid": uid, "key": key, "skip": limit - 1})
    until = (end[0], end[1]) if end else (2**62, "")
    bindings = {
        "uid": uid,
        "key": key,
        "until_uid": until[0],
        "until_key": until[1],
        "before": before,
    }
    database.execute(statement("keys/prune"), bindings)
    return until if end else None
