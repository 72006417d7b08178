"""The jobs of due instants: what the beat asks for, made of the plan in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.arguments import Given
from jobctl.beat import DuplicateJob
from jobctl.clock import SECOND
from jobctl.daemon.handlers.jobs import announce, new_task_row, plain_task_row, twin_of
from jobctl.job import Reason
from jobctl.protocol.requests import NewJob
from jobctl.store.jobs import schedule_line

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
    plan, now = station.plan, station.clock.now()
    task = plan.task(spec.task)
    args, kwargs = plan.arguments_of(spec)
    row, options = None, None
    if spec.expires_s is None:
        row = plain_task_row(station, task, args, kwargs, now, uid=station.uid, schedule=schedule)
    else:
        expires_at = instant + round(spec.expires_s * SECOND)
        options = NewJob(task=spec.task, expires_at=expires_at)
    if row is None:
        row = new_task_row(
            station,
            task,
            Given.exact(args, kwargs),
            now,
            uid=station.uid,
            options=options,
            schedule=schedule,
        )
    twin = None if row.unique_key is None else twin_of(station, row.task, row.unique_key)
    if twin is not None:
        raise DuplicateJob(twin[0])
    if waits and not row.line.startswith("task/"):
        row = row._replace(line=schedule_line(schedule), reason=Reason.EARLIER.value)
    announce(station, row)
    return row
