"""Jobs that follow the end of others: `jobctl.plan.handover`, in the transaction that writes that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.arguments import Given
from jobctl.daemon.handlers.jobs import new_task_row, submit_one
from jobctl.errors import JobctlError
from jobctl.logs import fields, logger
from jobctl.plan.handover import arguments_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.daemon.station import Station
    from jobctl.store.jobs import NewJob
    from jobctl.task.keys import Json


def hand_over(station: Station, name: str, facts: Mapping[str, Json]) -> None:
    """Make the job of the task ``name``. Never raises: what ended has ended all the same.

    A task that is unique and has a job gets no second one.
    """
    now = station.clock.now()

    def make() -> NewJob:
        task = station.plan.task(name)
        kwargs = arguments_for(task, station.plan.parameters.get(task.name), facts)
        return new_task_row(station, task, Given.exact((), kwargs), now, uid=station.uid)

    try:
        submit_one(station, station.uid, None, {}, make, lambda row: row)
    except JobctlError as error:
        # The plan was changed by a reload that could not import everything.
        logger.error(
            "a job could not be handed over",
            extra=fields(job=facts["job_id"], to=name, why=error.message),
        )
