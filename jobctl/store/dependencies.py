"""Dependencies: which job waits for which others, until when, and what came of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobctl.protocol.compact import dumps
from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobctl.store.database import Database


class Dependency(NamedTuple):
    """A job that another waits for. ``until``: ``"success"`` or ``"end"``; ``status``: ``"open"``, ``"met"``
    or ``"broken"``."""

    on_job: int
    until: str
    status: str


def add(database: Database, rows: Iterable[tuple[int, int, str, str]]) -> None:
    """Let jobs wait for others, by ``(job, on job, until, status)``."""
    database.executemany(statement("dependencies/add"), rows)


def close(database: Database, ended: Sequence[int], *, limit: int) -> list[tuple[int, int, bool]]:
    """Note for up to ``limit`` of those that wait for some of these jobs how they have ended:
    ``(job, on job, as it wanted)``. Fewer than that: nobody else waits for one that has ended."""
    bindings = {"ended": dumps([*ended]), "limit": limit}
    rows = database.rows(statement("dependencies/close"), bindings)
    return [(row[0], row[1], bool(row[2])) for row in rows]


def reopen(database: Database, job_id: int) -> bool:
    """Judge again what a job waits for; True when some of it has not ended."""
    rows = database.rows(statement("dependencies/reopen"), (job_id,))
    return any(row[0] == "open" for row in rows)


def of_job(database: Database, job_id: int, *, limit: int) -> list[Dependency]:
    """What a job waits for, or waited for, by id; may be empty."""
    rows = database.rows(statement("dependencies/of_job"), {"job_id": job_id, "limit": limit})
    return [Dependency._make(row) for row in rows]


def broken_by(database: Database, job_id: int) -> list[int]:
    """The jobs that waited for this one in vain, by id."""
    return [row[0] for row in database.rows(statement("dependencies/broken_by"), (job_id,))]


def cause(database: Database, job_id: int) -> int | None:
    """The job that failed because of which this one was revoked, or None: it has another reason."""
    row = database.row(statement("dependencies/cause"), {"job_id": job_id})
    return None if row is None else int(row[0])


def open_after(database: Database, *, after: int, limit: int) -> list[int]:
    """A slice of the jobs for which others wait, by id."""
    bindings = {"after": after, "limit": limit}
    return [row[0] for row in database.rows(statement("dependencies/open_after"), bindings)]


def wanted(database: Database, job_ids: Sequence[int]) -> set[int]:
    """Those of these jobs that an unfinished job waits for or has waited for."""
    return {row[0] for row in database.rows(statement("dependencies/wanted"), (dumps([*job_ids]),))}


def forget(database: Database, job_id: int) -> None:
    """Forget what a job waited for, before it waits for something else."""
    database.execute(statement("dependencies/prune"), (job_id,))


def prune(database: Database, job_ids: Sequence[int]) -> None:
    """Forget what jobs that are removed waited for, and who waited for them."""
    database.executemany(statement("dependencies/prune"), ((id,) for id in job_ids))
    database.executemany(statement("dependencies/prune_on"), ((id,) for id in job_ids))
