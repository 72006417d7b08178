"""What the end of an attempt means beyond its job's state: what is stored of its result, who is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from jobctl.job import Change
from jobctl.plan.handover import LONGEST_MESSAGE
from jobctl.protocol.compact import dumps
from jobctl.result import Verdict
from jobctl.task.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.result import Outcome
    from jobctl.store.jobs import Running
    from jobctl.task import Task
    from jobctl.task.keys import Json


def result_as_asked(outcome: Outcome, task: Task, *, is_taken: Callable[[], bool]) -> Outcome:
    """The outcome of a function that returned, as its task wants it stored: without its result, unless a step
    of its workflow takes it, or as a failure because that is too long."""
    if task.ignore_result and not is_taken():
        return replace(outcome, result=None)
    assert outcome.result is not None
    size, longest = len(outcome.result.encode()), task.max_result_bytes
    if longest is None or size <= longest:
        return outcome
    message = (
        f"the function returned a value that is too long: it has {size} bytes as JSON, "
        f"max_result is {format_size(longest)}"
    )
    error = {"type": "InvalidResult", "message": message, "traceback": ""}
    return replace(outcome, verdict=Verdict.FAILURE, result=None, error=dumps(error))


def follower_of(task: Task, change: Change) -> str | None:
    """The name of the task that gets a job after such a change, or None."""
    if change is Change.SUCCEED:
        return task.on_success
    if change is Change.FAIL:
        return task.on_failure
    return task.on_retry if change is Change.TRY_AGAIN else None


def facts_of(running: Running, change: Change, outcome: Outcome) -> dict[str, Json]:
    """What the follower is told: `jobctl.plan.handover.FACTS`."""
    error = json.loads(outcome.error) if outcome.error else {}
    message = error.get("message")
    return {
        "job_id": running.id,
        "task": running.task,
        "state": change.target.value,
        "attempt": running.number,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "error_type": error.get("type"),
        "error_message": message[:LONGEST_MESSAGE] if isinstance(message, str) else None,
    }
