"""Idempotency keys: which request of whom made which job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


def add(database: Database, *, uid: int, key: str, job_id: int, digest: bytes) -> bool:
    """Bind a key to a job; False when it is bound already."""
    return database.row(statement("keys/add"), (uid, key, job_id, digest)) is not None


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
