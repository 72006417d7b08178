"""Workflows: jobs that are submitted as one, looked at as one, cancelled and tried again as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.daemon.handlers.jobs import announce, new_row
from jobctl.daemon.handlers.jobs.submitting import (
    Digests,
    checked_key,
    dependencies_of,
    duplicate_of,
    twin_of,
)
from jobctl.daemon.handlers.jobs.wholes import describe_workflow
from jobctl.errors import Conflict, InvalidArguments, NotFound, UsageError
from jobctl.protocol.compact import dumps
from jobctl.protocol.requests import NewJob, NewStep, check, read
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store import keys as key_rows
from jobctl.store import workflows as workflow_rows
from jobctl.store.jobs import AFTER_LINE
from jobctl.store.workflows import Step
from jobctl.task import Kind

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

MAX_JOBS: Final = 10_000
MAX_WAITS: Final = 100_000
"""Of all jobs together for each other: a group of 300 after another one of 300 has 90,000 of them."""

DEEPEST: Final = 50
MAX_LISTED: Final = 100


def submit_workflow(
    station: Station, call: Call, request: requests.SubmitWorkflow
) -> dict[str, Any]:
    """Add the jobs of a workflow, all or none."""
    if not 1 <= len(request.jobs) <= MAX_JOBS or len(request.jobs) != len(request.steps):
        raise UsageError(
            f"a workflow has 1 to {MAX_JOBS} jobs and a step for each, this one {len(request.jobs)}",
            hint="Make it of larger jobs: chunks() puts many calls into one.",
        )
    digest = b""
    if request.key is not None:
        asked = {"jobs": request.jobs, "steps": request.steps, "shape": request.shape}
        digest = Digests()(asked)
        bound = key_rows.find(station.database, uid=call.uid, keys=[checked_key(request.key)])
        if request.key in bound:
            return _again(station, request, bound[request.key], digest)
    now = station.clock.now()
    workflow = station.ids.take()
    made = make_steps(station, call.uid, workflow, request.jobs, request.steps, now)
    shape = shape_of(request.shape, [row.id for row in made.rows])
    # Everything that can be refused has been; from here on it is written whole.
    workflow_rows.add(station.database, id=workflow, uid=call.uid, shape=dumps(shape), now=now)
    made.write(station)
    ids = [row.id for row in made.rows]
    if request.key is not None:
        # By the last job, because keys are kept as long as their jobs.
        key_rows.add(station.database, [(call.uid, request.key, ids[-1], digest)])
    return {"id": workflow, "jobs": ids, "duplicate": False}


def _again(
    station: Station, request: requests.SubmitWorkflow, known: tuple[int, bytes], digest: bytes
) -> dict[str, Any]:
    """The answer for a key that was used before. Raises Conflict."""
    key = request.key or ""
    duplicate_of(key, known, digest, job_rows.state(station.database, known[0]))
    step = workflow_rows.steps_of(station.database, known[:1]).get(known[0])
    jobs = [] if step is None else workflow_rows.jobs_of(station.database, step.workflow)
    # Without those that came later: what is made on errors, and what replaces a job.
    ids = [stand.id for stand in jobs if stand.id <= known[0]]
    if step is None or len(ids) != len(request.jobs):
        raise Conflict(
            f'the key "{key}" was used for a workflow of which jobs have ended and were removed',
            hint="Use a new key to do it again.",
        )
    return {"id": step.workflow, "jobs": ids, "duplicate": True}


class Made:
    """Jobs of a workflow, judged and not yet written."""

    def __init__(self) -> None:
        self.rows: list[job_rows.NewJob] = []
        self.steps: list[Step] = []
        self.waits: list[tuple[int, int, str, str]] = []
        self.others: list[int] = []

    def write(self, station: Station) -> None:
        """Add them, in the transaction of this turn."""
        job_rows.submit(station.database, self.rows)
        dependency_rows.add(station.database, self.waits)
        workflow_rows.add_steps(station.database, self.steps)
        for row in self.rows:
            announce(station, row)
        if self.others:
            # Some may have ended before: they are followed in this transaction, as if they ended now.
            station.dispatcher.note_ended(self.others)
        station.counters.submitted += len(self.rows)


def make_steps(
    station: Station,
    uid: int,
    workflow: int,
    jobs: Sequence[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]],
    now: Moment,
    *,
    is_replacement: bool = False,
) -> Made:
    """Judge the jobs of a workflow. Raises as `submit` does, and for places that are none."""
    made = Made()
    ids: list[int] = []
    unique: set[str] = set()
    for place, (data, said) in enumerate(zip(jobs, steps, strict=True)):
        check(NewJob, data)
        step: NewStep = read(NewStep, said)
        if is_replacement:
            _refuse_others(data)
        try:
            row = new_row(station, uid, NewJob(**data), now)
        except InvalidArguments as refused:
            where = f'task "{data.get("task")}", job {place + 1} of the workflow'
            raise InvalidArguments(f"{where}: {refused.message}", hint=refused.hint) from None
        _check_alone(station, row, data, step, unique)
        waits = _waits(step, place)
        takes = None if step.takes is None else shape_of(step.takes, ids)
        if not {*_leaves(takes)} <= {ids[other] for other in waits}:
            raise UsageError("a step takes results of jobs only that it waits for")
        wanted: list[tuple[int, str]] = []
        if row.line == AFTER_LINE:
            wanted, _ = dependencies_of(station, data)
            made.others += [on_job for on_job, _ in wanted]
        made.waits += [(row.id, on_job, until, "open") for on_job, until in wanted]
        made.waits += [(row.id, ids[other], step.until, "open") for other in waits]
        if len(made.waits) > MAX_WAITS:
            raise UsageError(
                f"the jobs of a workflow wait for each other more than {MAX_WAITS} times",
                hint="Put a job between two large groups: it takes all results and hands one on.",
            )
        ids.append(row.id)
        made.rows.append(row._replace(line=AFTER_LINE, reason=None) if waits else row)
        made.steps.append(
            Step(
                job_id=row.id,
                workflow=workflow,
                takes=None if takes is None else dumps(takes),
                delay_s=step.delay_s,
                on_error=check_on_error(station, step.on_error),
                joins=int(step.joins),
            )
        )
    return made


def _check_alone(
    station: Station,
    row: job_rows.NewJob,
    data: Mapping[str, Any],
    step: NewStep,
    unique: set[str],
) -> None:
    """Judge one job of a workflow. Raises UsageError, Conflict."""
    if data.get("key") is not None:
        raise UsageError(
            "a job of a workflow has no key of its own", hint="Give it to the workflow."
        )
    if step.until not in ("success", "end"):
        raise UsageError('until is "success" or "end"')
    if step.delay_s is not None and not step.delay_s >= 0:
        raise UsageError("a delay cannot be negative")
    task = station.plan.find(row.task) if row.task is not None else None
    if step.takes is not None:
        if task is None or task.kind is not Kind.FUNCTION:
            raise UsageError(
                f'"{row.task or "a command"}" is a command and takes no result of an earlier step',
                hint="Make its signature immutable: si(…).",
            )
        if not data.get("args") or data["args"][0] is not None or data.get("each"):
            raise UsageError("a step that takes results holds null for them as its first argument")
        if task.unique is not None:
            raise UsageError(
                f'task "{task.name}" is unique, which cannot be judged before its arguments are known',
                hint="Make its signature immutable: si(…).",
            )
    if row.unique_key is not None:
        twin = twin_of(station, row.task, row.unique_key)
        if twin is not None or row.unique_key in unique:
            which = f"job {twin[0]} is {twin[1]}" if twin else "the workflow holds it twice"
            raise Conflict(
                f'task "{row.task}" is unique, and {which}: nothing of the workflow was submitted',
                hint="Submit it again when that one has ended.",
            )
        unique.add(row.unique_key)


def check_on_error(station: Station, jobs: Sequence[Mapping[str, Any]] | None) -> str | None:
    """Judge the jobs that a step wants when it fails, as far as they are known; as JSON. Raises as a submit."""
    if not jobs:
        return None
    for data in jobs:
        said = {name: value for name, value in data.items() if name != "immutable"}
        check(NewJob, said)
        if said.get("task") is None or not said.get("typed") or said.get("key") is not None:
            raise UsageError(
                "a job on an error is of a task, with typed arguments and without a key"
            )
        _refuse_others(said)
        station.plan.task(said["task"])
    return dumps(list(jobs))


def _refuse_others(data: Mapping[str, Any]) -> None:
    """Refuse to wait for jobs outside where nobody could see the ring that it may make. Raises UsageError."""
    if data.get("after") or data.get("after_any"):
        raise UsageError(
            "a job on an error, or in the place of another one, waits for no others",
            hint="Leave out after and after_any.",
        )


def _waits(step: NewStep, place: int) -> list[int]:
    waits = list(dict.fromkeys(step.after or ()))
    if not all(0 <= other < place for other in waits):
        raise UsageError("a step waits for jobs only that stand before it")
    return waits


def shape_of(shape: Any, ids: Sequence[int], depth: int = 0) -> Any:
    """The same with ids for places. Raises UsageError."""
    if type(shape) is int:
        if not 0 <= shape < len(ids):
            raise UsageError(f"there is no job {shape} of the workflow before this one")
        return ids[shape]
    if isinstance(shape, str) and shape in ("chain", "group", "chord", "link"):
        return shape
    if not isinstance(shape, list) or depth > DEEPEST:
        raise UsageError(f"a workflow is made of lists and jobs, at most {DEEPEST} in each other")
    return [shape_of(part, ids, depth + 1) for part in shape]


def _leaves(shape: Any) -> Iterator[int]:
    if isinstance(shape, int):
        yield shape
    elif isinstance(shape, list):
        for part in shape:
            yield from _leaves(part)


# Looking at them.


def workflow(
    station: Station, call: Call, request: requests.Workflow
) -> Generator[None, None, dict[str, Any]]:
    """A workflow by its id, or by that of one of its jobs."""
    found = workflow_rows.get(station.database, request.workflow)
    if found is None:
        step = workflow_rows.steps_of(station.database, [request.workflow]).get(request.workflow)
        found = workflow_rows.get(station.database, step.workflow) if step is not None else None
    if found is None:
        raise NotFound(
            f"there is no workflow {request.workflow}, and no job {request.workflow} of one",
            hint="It may have been removed by retention; jobctl list --workflows shows what there is.",
        )
    return describe_workflow(station, found)


def list_workflows(
    station: Station, call: Call, request: requests.Workflows
) -> Generator[None, None, dict[str, Any]]:
    """Workflows, newest first."""
    if not 1 <= request.limit <= MAX_LISTED:
        raise UsageError(f"limit lies between 1 and {MAX_LISTED}")
    before = request.before if request.before is not None else 2**62
    whose = None if call.sees_all else call.uid
    found = workflow_rows.page(station.database, before=before, limit=request.limit + 1, uid=whose)
    return _describe_each(station, found[: request.limit], has_more=len(found) > request.limit)


def _describe_each(
    station: Station, shown: Sequence[workflow_rows.Workflow], *, has_more: bool
) -> Generator[None, None, dict[str, Any]]:
    described = []
    for one in shown:
        described.append((yield from describe_workflow(station, one)))
        yield
    return {"workflows": described, "next": shown[-1].id if has_more else None}
