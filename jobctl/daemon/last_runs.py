"""Looking back at the runs of a schedule, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.store.database import Database

LOOKED_BACK: Final = 20
"""So many rows of a schedule's fates are searched: what lies before is old news."""

_NEVER: Final = 2**62


class Past(NamedTuple):
    """A row of fates, and its job, which has ended; without one the instants were missed."""

    fire: dict[str, Any]
    job: dict[str, Any] | None


def looking_back(database: Database, schedule: int) -> Iterator[Past]:
    """What became of a schedule's newest instants that were missed or whose jobs have ended. Jobs that still
    run, or were removed, are passed over."""
    before = (_NEVER, _NEVER)
    # Most are content with the first row.
    for limit in (1, LOOKED_BACK):
        for fire in fire_rows.page(database, schedule=schedule, before=before, limit=limit):
            before = fire["first"], fire["rule"]
            if fire["fate"] == "missed":
                yield Past(fire, None)
            elif fire["job_id"] is not None:
                job = job_rows.get(database, fire["job_id"], longest_bytes=0)
                if job is not None and job["finished_at"] is not None:
                    yield Past(fire, job)
