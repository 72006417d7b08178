"""Whole workflows, where a request about a job names one: their ids are of the same numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobctl.job import FINAL, State
from jobctl.store import jobs as job_rows
from jobctl.store import workflows as workflow_rows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from jobctl.daemon.station import Station
    from jobctl.store.workflows import Stand


SLICE_JOBS: Final = 1000
"""Jobs of a workflow that are read in one turn."""


def stands_of(station: Station, id: int) -> list[Stand] | None:
    """The jobs of the workflow with this id, None when it is not the id of one."""
    is_workflow = (
        job_rows.state(station.database, id) is None
        and workflow_rows.get(station.database, id) is not None
    )
    if not is_workflow:
        return None
    return workflow_rows.jobs_of(station.database, id)


def state_of_all(states: Iterable[str]) -> State:
    """The state of a workflow whose jobs are in these states.

    It goes on as long as one of them does. It has failed, or was revoked, when none does and one of them has.
    """
    found = frozenset(map(State, states))
    if not found <= FINAL:
        return State.PENDING if found == {State.PENDING} else State.STARTED
    for state in (State.FAILURE, State.REVOKED):
        if state in found:
            return state
    return State.SUCCESS


def describe_whole(station: Station, id: int) -> Generator[None, None, dict[str, Any]] | None:
    """A workflow by its id, as `jobctl.protocol.requests.Workflow` answers, in slices; None when it is not the id
    of one."""
    if job_rows.state(station.database, id) is not None:
        return None
    found = workflow_rows.get(station.database, id)
    return None if found is None else describe_workflow(station, found)


def describe_workflow(
    station: Station, found: workflow_rows.Workflow
) -> Generator[None, None, dict[str, Any]]:
    """The same of one that was found."""
    jobs: list[dict[str, Any]] = []
    after = 0
    while True:
        stands = workflow_rows.jobs_of(station.database, found.id, after=after, limit=SLICE_JOBS)
        jobs += [stand._asdict() for stand in stands]
        if len(stands) < SLICE_JOBS:
            break
        after = stands[-1].id
        yield
    return {
        "id": found.id,
        "state": state_of_all(job["state"] for job in jobs).value,
        "submitted_at": found.submitted_at,
        "shape": json.loads(found.shape),
        "jobs": jobs,
    }
