"""Revoking everything that waits in a queue, a slice a request.

There is no index by queue: nothing else ever asks which jobs wait somewhere for one. So every line but those
of workers is looked through, each job once, by line, priority and id. Where it goes on is told to the client
and comes back with the next slice: a daemon that is killed meanwhile has forgotten nothing, and the client
goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from jobctl.store import jobs as job_rows
from jobctl.store.jobs import is_ready_line, owner_of

if TYPE_CHECKING:
    from jobctl.store.database import Database

SLICE: Final = 500
"""Jobs that are looked at in one turn."""

HIGHEST: Final = 2**62
_WORKERS: Final = "w/"
"""The lines of workers come after all others."""


class Position(NamedTuple):
    """Where a walk goes on: in ``line``, behind the job ``id`` of ``priority``."""

    line: str = ""
    priority: int = HIGHEST
    id: int = 0


def waiting_in(
    database: Database, *, queue: str, until: int, position: Position
) -> tuple[list[int], Position | None]:
    """The jobs up to the id ``until`` of a slice that wait for a queue, and where to go on; None: nowhere."""
    found: list[int] = []
    budget = SLICE
    line, priority, after = position
    while budget > 0:
        is_foreign = is_ready_line(line) and owner_of(line)[0] != queue
        if line and not is_foreign:
            jobs = job_rows.standing(
                database, line=line, priority=priority, after=after, limit=budget
            )
            budget -= max(len(jobs), 1)
            found += [job.id for job in jobs if job.queue == queue and job.id <= until]
            if jobs:
                after = jobs[-1].id
                continue
            below = job_rows.next_priority(database, line=line, below=priority)
            if below is not None:
                priority, after = below, 0
                continue
        following = job_rows.next_line(database, after=line, below=_WORKERS)
        budget -= 1
        if following is None:
            return found, None
        line, priority, after = following, HIGHEST, 0
    return found, Position(line, priority, after)
