"""What the dispatcher asks for when a step of a workflow ends: jobs on errors, and other work in its place.

All of it happens in the transaction that writes that end (`jobctl.dispatcher.dispatcher.Workflows`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jobctl.arguments import ParameterKind
from jobctl.daemon.handlers.jobs import announce, new_task_row
from jobctl.daemon.handlers.jobs.rows import given_of
from jobctl.daemon.handlers.workflows import Made, make_steps, shape_of
from jobctl.dispatcher.handing_on import sources_of
from jobctl.errors import JobctlError
from jobctl.logs import fields, logger
from jobctl.protocol.compact import dumps
from jobctl.protocol.requests import NewJob
from jobctl.result import Verdict
from jobctl.store import attempts as attempt_rows
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store import workflows as workflow_rows
from jobctl.store.jobs import AFTER_LINE
from jobctl.store.workflows import Step
from jobctl.task import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.arguments import Parameter
    from jobctl.clock import Moment
    from jobctl.daemon.station import Station
    from jobctl.result import Outcome
    from jobctl.store.jobs import Running, Standing
    from jobctl.task import Task

_BY_POSITION = (ParameterKind.POSITIONAL_ONLY, ParameterKind.EITHER)


# Jobs on errors.


def fail(station: Station, step: Step) -> None:
    """Make the jobs that a step wants when it fails; none when it was revoked for another reason, or when
    another one's failure does not concern it."""
    cause: int | None = step.job_id
    if job_rows.state(station.database, step.job_id) != "FAILURE":
        cause = dependency_rows.cause(station.database, step.job_id) if step.joins else None
    if cause is None or step.on_error is None:
        return
    last = attempt_rows.get(station.database, cause)
    error = json.loads(last["error"]) if last and last["error"] else {}
    for data in json.loads(step.on_error):
        try:
            _make_on_error(station, step, data, error)
        except JobctlError as refused:
            # The plan was changed meanwhile, or the task cannot be given what is known.
            logger.error(
                "a job on an error could not be made",
                extra=fields(job=step.job_id, to=data["task"], why=refused.message),
            )


def _make_on_error(
    station: Station, step: Step, data: dict[str, Any], error: Mapping[str, Any]
) -> None:
    is_immutable = data.pop("immutable", False)
    job = NewJob(**data)
    assert job.task is not None
    task = station.plan.task(job.task)
    told: list[Any] = []
    if not is_immutable:
        told = [step.job_id]
        if wants_error(task, station.plan.parameters.get(task.name)):
            text = {name: error.get(name, "") for name in ("type", "message")}
            told = [_request_of(station, step), text, error.get("traceback", "")]
    job = replace(job, args=[*told, *(job.args or ())])
    now = station.clock.now()
    row = new_task_row(station, task, given_of(job), now, uid=_uid_of(station, step), options=job)
    if len(told) > 1:
        payload = json.loads(row.payload)
        row = row._replace(payload=dumps({**payload, "on_error": True}))
    job_rows.submit(station.database, [row])
    workflow_rows.add_steps(station.database, [Step(row.id, step.workflow)])
    announce(station, row)
    station.counters.submitted += 1


def _uid_of(station: Station, step: Step) -> int:
    row = job_rows.get(station.database, step.job_id, longest_bytes=0)
    assert row is not None
    return int(row["uid"])


def _request_of(station: Station, step: Step) -> dict[str, Any]:
    """What a job on an error knows of the step that failed, under the names of `jobctl.api.Request`."""
    row = job_rows.get(station.database, step.job_id)
    assert row is not None
    payload = json.loads(row["payload"])
    return {
        "id": row["id"],
        "task": row["task"],
        "args": payload.get("args", []),
        "kwargs": payload.get("kwargs", {}),
        "headers": payload.get("headers", {}),
        "retries": row["failures"],
        "number": row["number"],
        "queue": row["queue"],
        "priority": row["priority"],
        "labels": json.loads(row["labels"]) if row["labels"] else {},
    }


# Other work.


def replace_job(
    station: Station, running: Running, outcome: Outcome, now: Moment
) -> tuple[Outcome, Standing | None]:
    """See `jobctl.dispatcher.dispatcher.Workflows`."""
    asked = _replacement_of(outcome)
    if asked is None:
        return outcome, None
    try:
        standing = _replace(station, running, asked, now)
    except (JobctlError, KeyError, TypeError, ValueError) as refused:
        message = refused.message if isinstance(refused, JobctlError) else repr(refused)
        error = {
            "type": "InvalidReplacement",
            "message": f"the function asked to be replaced, which cannot be done: {message}",
            "traceback": "",
        }
        return replace(outcome, error=dumps(error), retry='{"max_retries":0}'), None
    return replace(outcome, verdict=Verdict.SUCCESS, error=None, retry=None), standing


def _replace(station: Station, running: Running, asked: Mapping[str, Any], now: Moment) -> Standing:
    """The last of the jobs asked for becomes this one; with ``gathers`` it ends as soon as the others have,
    with their results. Raises what a submit of them does."""
    before = job_rows.get(station.database, running.id, longest_bytes=0)
    assert before is not None
    step = workflow_rows.steps_of(station.database, [running.id]).get(running.id)
    workflow = station.ids.take() if step is None else step.workflow
    # Whoever submitted the job asks for what takes its place, too.
    uid = int(before["uid"])
    jobs, steps = asked["jobs"], asked["steps"]
    made = make_steps(station, uid, workflow, jobs, steps[: len(jobs)], now, is_replacement=True)
    if asked.get("gathers"):
        _add_gatherer(made, before, workflow, steps[-1])
    ids = [row.id for row in made.rows]
    # The last one does not get an id of its own.
    old, ids[-1] = ids[-1], running.id
    last = made.rows.pop()._replace(id=running.id)
    made.waits = [(_as(w[0], old, running.id), *w[1:]) for w in made.waits]
    tree = shape_of(asked["shape"], ids)
    last_step = made.steps[-1]
    on_error = [*_listed(step.on_error if step else None), *_listed(last_step.on_error)]
    made.steps[-1] = last_step._replace(
        job_id=running.id,
        on_error=dumps(on_error) if on_error else None,
    )
    found = workflow_rows.get(station.database, workflow)
    if found is None:
        workflow_rows.add(station.database, id=workflow, uid=uid, shape=dumps(tree), now=now)
    else:
        shape = _put_in(json.loads(found.shape), running.id, tree)
        workflow_rows.reshape(station.database, id=workflow, shape=dumps(shape))
    dependency_rows.forget(station.database, running.id)
    standing = job_rows.replace(station.database, last, token=running.token)
    assert standing is not None
    made.write(station)
    return standing


def _add_gatherer(
    made: Made, before: Mapping[str, Any], workflow: int, step: Mapping[str, Any]
) -> None:
    """Add the job that replaces one by what several others return: nobody runs it."""
    ids = [row.id for row in made.rows]
    takes = shape_of(step["takes"], ids)
    row = made.rows[0]._replace(
        # It has the highest id only until it gets that of the job that it replaces.
        id=ids[-1] + 1,
        **{name: before[name] for name in ("kind", "task", "queue", "priority", "overrides")},
        line=AFTER_LINE,
        payload='{"args":[null],"kwargs":{}}',
        eta=None,
        expires_at=None,
        reason=None,
    )
    made.rows.append(row)
    made.waits += [(row.id, id, "success", "open") for id in dict.fromkeys(sources_of(takes))]
    made.steps.append(
        Step(job_id=row.id, workflow=workflow, takes=dumps(takes), joins=1, gathers=1)
    )


def wants_error(task: Task, parameters: Sequence[Parameter] | None) -> bool:
    """A function that takes more than one positional argument is given the request, the exception and the
    traceback of what failed; any other the id. Celery's rule."""
    if task.kind is not Kind.FUNCTION or parameters is None:
        return False
    has_rest = any(p.kind is ParameterKind.VAR_POSITIONAL for p in parameters)
    return has_rest or sum(p.kind in _BY_POSITION for p in parameters) > 1


def _replacement_of(outcome: Outcome) -> dict[str, Any] | None:
    try:
        asked = json.loads(outcome.retry or "{}").get("replace")
    except (ValueError, AttributeError):
        return None
    return asked if isinstance(asked, dict) else None


def _listed(text: str | None) -> list[Any]:
    return json.loads(text) if text else []


def _as(id: int, old: int, new: int) -> int:
    return new if id == old else id


def _put_in(shape: Any, leaf: int, tree: Any) -> Any:
    """The shape with a tree in the place of a job."""
    if isinstance(shape, list):
        return [_put_in(part, leaf, tree) for part in shape]
    return tree if type(shape) is int and shape == leaf else shape
