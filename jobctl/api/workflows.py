"""Submitting signatures that are more than one job, and the results that programs are given of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from jobctl.api.calls import Plain, instead
from jobctl.api.compiling import Came, compile_workflow
from jobctl.api.group_results import GroupResult
from jobctl.api.results import AsyncResult
from jobctl.api.session import session
from jobctl.errors import NotFound, UsageError
from jobctl.protocol.key import make_key
from jobctl.protocol.requests import SubmitWorkflow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobctl.api.calls import Call
    from jobctl.api.options import CallOptions

    Result = AsyncResult[Any] | GroupResult


def is_one_job(sig: Mapping[str, Any]) -> bool:
    """It is one call, and nothing follows it."""
    options = sig["options"]
    return sig["subtask_type"] is None and not (options.get("link") or options.get("link_error"))


def first_task(sig: Mapping[str, Any]) -> str:
    """The name of a task of which it has jobs; empty for one without any."""
    kind, parts = sig.get("subtask_type"), sig.get("kwargs") or {}
    if kind not in ("chain", "group", "chord"):
        return str(sig["task"])
    header = parts.get("header")
    tasks = parts["tasks"] if kind != "chord" else [header, parts.get("body")]
    named = (first_task(part) for part in tasks if isinstance(part, dict))
    return next(filter(None, named), "")


def submit(sig: Mapping[str, Any]) -> Result:
    """Submit a workflow; gives the result of its last step. Raises as `jobctl.api.send_task` does."""
    if (here := instead()) is not None:
        return _run(sig, here)
    came, request = _request_of(sig)
    if request is None:
        return GroupResult([], id=0)
    return _results_of(came, session.call(request))


async def asubmit(sig: Mapping[str, Any]) -> Result:
    """`submit` for coroutines: other tasks of the loop go on meanwhile."""
    if (here := instead()) is not None:
        import asyncio

        return await asyncio.to_thread(_run, sig, here)
    from jobctl.api import loops

    came, request = _request_of(sig)
    if request is None:
        return GroupResult([], id=0)
    return _results_of(came, await loops.call(request))


def _request_of(sig: Mapping[str, Any]) -> tuple[Came, SubmitWorkflow | None]:
    """What is asked of the daemon; None: a workflow without a job."""
    whole = {**sig, "options": dict(sig["options"])}
    key = whole["options"].pop("task_id", None)
    workflow, came = compile_workflow(whole, now=session.clock.now())
    if not workflow.jobs:
        return came, None
    shape = came.shape if isinstance(came.shape, list) else ["chain", came.shape]
    # The key is made once for each call, and the same when it is repeated after a broken connection.
    request = SubmitWorkflow(
        jobs=workflow.jobs, steps=workflow.steps, shape=shape, key=key or make_key()
    )
    return came, request


def _results_of(came: Came, answer: Mapping[str, Any]) -> Result:
    ids: Sequence[int] = answer["jobs"]
    made: dict[int, Result] = {}
    return _result_of(came.tree, ids, answer, made)


def _result_of(
    tree: Any, ids: Sequence[int], answer: Mapping[str, Any], made: dict[int, Result]
) -> Result:
    """The result of a part; those before it as its ``parent``."""
    if id(tree) in made:
        return made[id(tree)]
    here, before = tree
    parent = None if before is None else _result_of(before, ids, answer, made)
    result: Result
    if isinstance(here, list):
        parts = [_result_of(part, ids, answer, made) for part in here]
        result = GroupResult(parts, id=answer["id"], parent=parent)
    else:
        result = AsyncResult(ids[here], duplicate=answer["duplicate"])
        result.parent = parent
        result.workflow = answer["id"]
    made[id(tree)] = result
    return result


def work_of(sig: Mapping[str, Any]) -> dict[str, Any]:
    """What `jobctl.raised.Replaced` carries. Raises UsageError, InvalidArguments."""
    workflow, came = compile_workflow(sig, now=session.clock.now())
    if not workflow.jobs:
        raise UsageError("there is nothing in it that could take the place of a job")
    work: dict[str, Any] = {"jobs": workflow.jobs, "steps": workflow.steps, "shape": came.shape}
    last = len(workflow.jobs) - 1
    if came.value == last:
        return work
    # What it comes to is a list, or that of a job before the last: one more step takes it, and nobody runs that.
    kind = "chord" if isinstance(came.value, list) else "chain"
    work["steps"] = [*workflow.steps, {"takes": came.value}]
    return {**work, "shape": [kind, came.shape, last + 1], "gathers": True}


# In place.


def apply(sig: Mapping[str, Any], find_task: Callable[[str], Any]) -> Result:
    """Make the jobs of a signature here and now, one after the other."""
    from jobctl.api import inplace

    def here(call: Call[Any]) -> AsyncResult[Any]:
        task = find_task(call.task)
        if task is None:
            raise NotFound(
                f'there is no function task "{call.task}" to run in place',
                hint="Import the module that declares it; commands run with a daemon only.",
            )
        made: AsyncResult[Any] = inplace.apply(task, call.args, call.kwargs, **call.options)
        return made

    return _run(sig, here)


_IN_PLACE: Final = ("retries", "queue", "priority", "labels", "headers", "ignore_result")


def _run(sig: Mapping[str, Any], here: Callable[[Call[Any]], AsyncResult[Any]]) -> Result:
    """Let another one make the jobs, in their order; what a step takes is what the others came to."""
    workflow, came = compile_workflow(
        {**sig, "options": {**sig["options"], "task_id": None}}, now=session.clock.now()
    )
    ended: list[AsyncResult[Any]] = []
    for job, step in zip(workflow.jobs, workflow.steps, strict=True):
        before = [ended[place] for place in step.get("after", ())]
        lost = next((one for one in before if not one.successful()), None)
        if lost is not None and step.get("until") != "end":
            result: AsyncResult[Any] = _unmade(lost)
            errbacks = step.get("on_error", ()) if step.get("joins") else ()
        else:
            args = list(job.get("args", ()))
            if "takes" in step:
                args[0] = _taken(step["takes"], ended)
            result = _make_here(job, args, here)
            errbacks = () if result.successful() else step.get("on_error", ())
        ended.append(result)
        for errback in errbacks:
            own = list(errback.get("args", ()))
            told = [] if errback.get("immutable") else [result.id]
            _make_here(errback, [*told, *own], here)
    return _in_place_of(came.tree, ended)


def _make_here(
    job: Mapping[str, Any], args: list[Any], here: Callable[[Call[Any]], AsyncResult[Any]]
) -> AsyncResult[Any]:
    options = cast("CallOptions", {name: job[name] for name in _IN_PLACE if name in job})
    name, kwargs = job["task"], job.get("kwargs", {})
    if "each" not in job:
        return here(Plain(name, tuple(args), kwargs, options))
    from jobctl.api.inplace import EagerResult

    parts = []
    for member in args[0]:
        given = tuple(member) if job["each"] == "star" else (member,)
        parts.append(here(Plain(name, given, {}, options)))
        if not parts[-1].successful():
            return parts[-1]
    values = [part.get() for part in parts]
    answer = {"id": parts[-1].id if parts else 1 << 62, "task": name, "state": "SUCCESS"}
    return EagerResult({**answer, "result": values, "error": None, "reason": None}, None)


def _unmade(lost: AsyncResult[Any]) -> AsyncResult[Any]:
    """The result of a job that is not made because another one did not succeed."""
    from jobctl.api.inplace import EagerResult, new_id

    told = lost._ask()
    cause = told.get("cause") or {name: told.get(name) for name in ("id", "reason", "error")}
    answer = {"id": new_id(), "task": None, "state": "REVOKED", "result": None, "error": None}
    reason = f"job {lost.id} is {told['state']}"
    return EagerResult({**answer, "reason": reason, "cause": cause}, None)


def _taken(takes: Any, ended: Sequence[AsyncResult[Any]]) -> Any:
    if isinstance(takes, int):
        one = ended[takes]
        return one.get() if one.successful() else None
    return [_taken(part, ended) for part in takes]


def _in_place_of(tree: Any, ended: Sequence[AsyncResult[Any]]) -> Result:
    here, before = tree
    parent = None if before is None else _in_place_of(before, ended)
    if isinstance(here, list):
        return GroupResult([_in_place_of(part, ended) for part in here], id=0, parent=parent)
    result: AsyncResult[Any] = ended[here]
    result.parent = parent
    return result
