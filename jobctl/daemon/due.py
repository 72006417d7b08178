"""The jobs of due instants: what the beat asks for, made of the plan in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.beat import DuplicateJob
from jobctl.daemon.handlers.jobs import announce, behind_earlier, scheduled_row, twin_of

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.daemon.station import Station
    from jobctl.plan import ScheduleSpec
    from jobctl.store import jobs as job_rows


def due_row(
    station: Station, spec: ScheduleSpec, schedule: int, instant: Moment, *, waits: bool
) -> job_rows.NewJob:
    """The row of the job of an instant, for the beat to write in this transaction; the dispatcher has heard
    of it. With ``waits`` it stands in the line of its schedule until somebody lets it go.

    Raises:
        DuplicateJob: its task is unique, and a job that does the same waits or runs.
        JobctlError: there can be no such job now.
    """
    row = scheduled_row(station, spec, schedule, instant, uid=station.uid)
    twin = None if row.unique_key is None else twin_of(station, row.task, row.unique_key)
    if twin is not None:
        raise DuplicateJob(twin[0])
    if waits:
        row = behind_earlier(row, schedule)
    announce(station, row)
    station.notifications.scheduled(row.task, row.id, instant)
    return row
