"""Changing jobs that are there: cancel, forget, retry."""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING, Any

from jobctl.daemon.handlers.jobs.looking import MAX_AFTER, found
from jobctl.daemon.handlers.jobs.rows import deadline_of
from jobctl.daemon.handlers.jobs.submitting import twin_of
from jobctl.daemon.handlers.jobs.wholes import stands_of, state_of_all
from jobctl.errors import Conflict, InvalidArguments, UsageError
from jobctl.job import FINAL, State
from jobctl.plan.gates import unique_key_of
from jobctl.store import attempts as attempt_rows
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store import workflows as workflow_rows
from jobctl.store.jobs import AFTER_LINE, ALL
from jobctl.task.stop import parse_signal
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests
    from jobctl.store.jobs import Standing
    from jobctl.store.workflows import Stand


def cancel(
    station: Station, call: Call, request: requests.Cancel
) -> dict[str, Any] | Callable[[], None]:
    """End a job, or all jobs of a workflow; answered when nothing of it is left."""
    whole = stands_of(station, request.job)
    if whole is not None:
        return _cancel_whole(station, call, request, whole)
    row = found(station, request.job)
    number = _signal_of(row, request.signal) if request.signal is not None else None
    how = station.dispatcher.cancel(request.job, station.clock.now(), signal=number)
    if how != "stopping":
        return _describe_cancelled(station, request.job)

    def answer(_is_complete: bool) -> None:
        call.answer(_describe_cancelled(station, request.job))

    return lambda: station.waiters.add(call, [request.job], answer)


def _cancel_whole(
    station: Station, call: Call, request: requests.Cancel, whole: Sequence[Stand]
) -> dict[str, Any] | Callable[[], None]:
    """End what of a workflow has not ended."""
    if request.signal is not None:
        raise UsageError(
            f"{request.job} is a workflow, and a signal is for one command",
            hint="Name a job of it.",
        )
    now = station.clock.now()
    unfinished = [stand.id for stand in whole if State(stand.state) not in FINAL]
    stopping = station.dispatcher.cancel_many(unfinished, now)
    if not stopping:
        return _describe_whole(station, request.job)

    def answer(_is_complete: bool) -> None:
        call.answer(_describe_whole(station, request.job))

    return lambda: station.waiters.add(call, stopping, answer)


def _describe_whole(station: Station, workflow: int) -> dict[str, Any]:
    """The same keys as of a job; what remains of its jobs together."""
    stands = stands_of(station, workflow) or []
    # Of those that never began nothing can be left.
    parts = [
        _describe_cancelled(station, stand.id)
        for stand in stands
        if stand.state == State.REVOKED and stand.started_at is not None
    ]
    return {
        "id": workflow,
        "state": state_of_all(stand.state for stand in stands).value,
        "reason": None,
        "gone": all(part["gone"] for part in parts),
        "proof": None,
        "remaining": [pid for part in parts for pid in part["remaining"]],
    }


def _signal_of(row: Mapping[str, Any], name: str) -> int:
    """Raises UsageError."""
    try:
        number = parse_signal(name, may_kill=True)
    except InvalidValue as error:
        raise UsageError(error.message, hint=error.hint) from None
    if row["kind"] != "command":
        raise UsageError(
            f"job {row['id']} calls a function: its worker is ended at once, without a signal before",
            hint=f"jobctl cancel {row['id']} ends it.",
        )
    return number


def _describe_cancelled(station: Station, job_id: int) -> dict[str, Any]:
    row = found(station, job_id)
    last = attempt_rows.get(station.database, job_id, longest_bytes=0)
    proof = (last["proof"] or "") if last else ""
    remaining = [int(word) for word in proof.replace(",", " ").split() if word.isdecimal()]
    return {
        "id": job_id,
        "state": row["state"],
        "reason": row["reason"],
        "gone": not remaining and not proof.startswith("unproved"),
        "proof": proof or None,
        "remaining": remaining,
    }


def forget(station: Station, call: Call, request: requests.Forget) -> dict[str, Any]:
    """Remove what a job that has ended has returned; as `result_expires` does when it is time."""
    row = found(station, request.job)
    if State(row["state"]) not in FINAL:
        raise Conflict(
            f"job {request.job} is {row['state']}: it has no result yet",
            hint="Forget it when it has ended, or say ignore_result on its task.",
        )
    attempt_rows.drop_results(station.database, [request.job])
    return {"id": request.job, "state": row["state"]}


def retry(station: Station, call: Call, request: requests.Retry) -> dict[str, Any]:
    """Begin a fresh round of a job that has ended, and of those that were revoked because of it; of a workflow
    of all jobs that have not succeeded."""
    whole = stands_of(station, request.job)
    if whole is not None:
        return _retry_whole(station, request.job, whole)
    row = found(station, request.job)
    if State(row["state"]) not in FINAL:
        raise Conflict(
            f"job {request.job} is {row['state']}: it has not ended",
            hint=f"jobctl cancel {request.job} ends it.",
        )
    now = station.clock.now()
    renewed: dict[int, str | None] = {request.job: _free_unique_key(station, row)}
    if request.with_dependents:
        _find_dependents(station, call, renewed)
    _check_takes(station, renewed)
    _renew(station, renewed, now)
    dependents = [job_id for job_id in renewed if job_id != request.job]
    return {"id": request.job, "state": State.PENDING.value, "dependents": dependents}


def _retry_whole(station: Station, workflow: int, whole: Sequence[Stand]) -> dict[str, Any]:
    """Go on from the steps that have failed or were revoked."""
    state = state_of_all(stand.state for stand in whole)
    if state not in FINAL:
        raise Conflict(
            f"workflow {workflow} is {state.value}: it has not ended",
            hint=f"jobctl cancel {workflow} ends it; jobctl retry of one job of it goes on from that one.",
        )
    renewed = {
        stand.id: _free_unique_key(station, found(station, stand.id))
        for stand in whole
        if stand.state != State.SUCCESS
    }
    if not renewed:
        raise Conflict(
            f"workflow {workflow} has succeeded: there is no step to go on from",
            hint="jobctl retry of one job of it does that one again.",
        )
    _renew(station, renewed, station.clock.now())
    return {"id": workflow, "state": State.PENDING.value, "dependents": list(renewed)}


def _check_takes(station: Station, renewed: Mapping[int, str | None]) -> None:
    """Refuse a step that would be given nothing where it takes a result. Raises Conflict."""
    for job_id in workflow_rows.steps_of(station.database, [*renewed]):
        for one in dependency_rows.of_job(station.database, job_id, limit=ALL):
            if one.until == "success" and one.on_job not in renewed:
                state = job_rows.state(station.database, one.on_job)
                if state in ("FAILURE", "REVOKED"):
                    raise Conflict(
                        f"job {job_id} is a step after job {one.on_job}, which is {state}",
                        hint=f"jobctl retry {one.on_job} --with-dependents begins there, and the id of the "
                        "workflow all of it that has not succeeded.",
                    )


def _renew(station: Station, renewed: Mapping[int, str | None], now: Moment) -> None:
    """Begin fresh rounds of jobs, by id with what is unique of them. Everything that can be refused has been."""
    standing: dict[int, Standing] = {}
    for job_id, unique_key in renewed.items():
        deadline_at = _renewed_deadline_at(station, job_id, now)
        found = job_rows.renew(
            station.database, id=job_id, unique_key=unique_key, deadline_at=deadline_at
        )
        assert found is not None
        standing[job_id] = found
        if deadline_at is not None:
            station.dispatcher.note_deadline(deadline_at)
    # When all of them have begun: a job may wait for one that is newer, which has replaced its work.
    free = []
    for job_id, job in standing.items():
        # What it waited for in vain, and nobody renews, holds it back no more: somebody wants it to run.
        if dependency_rows.reopen(station.database, job_id):
            move = (AFTER_LINE, job.queue, None, None, job_id, job.line)
            job_rows.move(station.database, [move])
            station.dispatcher.note_ready(AFTER_LINE)
        else:
            free.append(job)
    station.dispatcher.note_let_go(free, now)


def _renewed_deadline_at(station: Station, job_id: int, now: Moment) -> Moment | None:
    """The deadline of a fresh round, which has as long as the first one: counted from now."""
    row = found(station, job_id)
    asked = json.loads(row["overrides"]) if row["overrides"] else {}
    task = station.plan.find(row["task"]) if row["task"] is not None else None
    deadline_s = asked.get("deadline_s", task.deadline_s if task is not None else None)
    return deadline_of(deadline_s, now, None)


def _find_dependents(station: Station, call: Call, renewed: dict[int, str | None]) -> None:
    """Add the jobs that waited in vain for those that begin a fresh round, and for nobody else.

    By rising id: a job only waits for older ones, so all of these are decided when its turn comes. Raises
    Conflict.
    """
    candidates = dependency_rows.broken_by(station.database, next(iter(renewed)))
    heapq.heapify(candidates)
    while candidates:
        job_id = heapq.heappop(candidates)
        row = job_rows.get(station.database, job_id, longest_bytes=0)
        if job_id in renewed or row is None or row["state"] != State.REVOKED:
            continue
        waits = dependency_rows.of_job(station.database, job_id, limit=MAX_AFTER)
        if any(one.status == "broken" and one.on_job not in renewed for one in waits):
            continue
        if not call.changes_all and row["uid"] != call.uid:
            # It is not his to begin anew, and who could has not asked.
            continue
        renewed[job_id] = _free_unique_key(station, row)
        for further in dependency_rows.broken_by(station.database, job_id):
            heapq.heappush(candidates, further)


def _free_unique_key(station: Station, row: Mapping[str, Any]) -> str | None:
    """What is unique of a job, if no other job stands in its way. Raises Conflict."""
    unique_key = _unique_key_now(station, row)
    if unique_key is None:
        return None
    twin = twin_of(station, station.plan.task(row["task"]).name, unique_key)
    if twin is not None:
        raise Conflict(
            f'task "{row["task"]}" is unique, and job {twin[0]} is {twin[1]}',
            hint=f"Wait for it: jobctl wait {twin[0]}.",
        )
    return unique_key


def _unique_key_now(station: Station, row: Mapping[str, Any]) -> str | None:
    """What is unique of a job by the plan in force, None when nothing is."""
    task = station.plan.find(row["task"]) if row["task"] is not None else None
    if task is None or task.unique is None:
        return None
    given = json.loads(job_rows.payload(station.database, row["id"]))
    try:
        return unique_key_of(
            task, given["args"], given["kwargs"], station.plan.parameters.get(task.name)
        )
    except InvalidArguments:
        # Submitted before the key named an argument that it has not: it is like no other.
        return None
