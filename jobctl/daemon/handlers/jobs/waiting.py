"""Waiting for the end of jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobctl.daemon.handlers.jobs.looking import (
    ATTEMPT_TEXT_BYTES,
    REASON_CHARACTERS,
    cause_of,
    cut,
    end_of,
    found,
)
from jobctl.daemon.handlers.jobs.wholes import stands_of, state_of_all
from jobctl.errors import UsageError
from jobctl.job import FINAL, State
from jobctl.store import attempts as attempt_rows
from jobctl.store import jobs as job_rows
from jobctl.store.jobs import (
    ALL,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

SLICE_ENDS: Final = 200
"""Ends of jobs that are described in one turn."""

MAX_WAIT: Final = 10_000
BRIEF_CHARACTERS: Final = 200
"""Type and message of an error among the ends of many jobs."""


def wait(station: Station, call: Call, request: requests.Wait) -> None:
    """Answer when all jobs have ended, or when the time is over."""
    if not request.jobs:
        raise UsageError("there is nothing to wait for")
    if len(request.jobs) > MAX_WAIT:
        raise UsageError(
            f"one request may wait for {MAX_WAIT} jobs, this one names {len(request.jobs)}",
            hint="Wait for them in several requests.",
        )
    unfinished = []
    for id in request.jobs:
        state = job_rows.state(station.database, id)
        if state is not None:
            if state not in FINAL:
                unfinished.append(id)
            continue
        whole = stands_of(station, id)
        if whole is None:
            found(station, id)  # raises what is said of a job that is not there
        unfinished += [stand.id for stand in whole or () if stand.state not in FINAL]

    def answer(is_complete: bool) -> None:
        station.go_on(call, _describe_ends(station, request.jobs, is_complete=is_complete))

    if not unfinished:
        answer(True)
        return
    deadline = None
    if request.timeout_s is not None:
        deadline = station.clock.monotonic() + request.timeout_s
    station.waiters.add(call, unfinished, answer, deadline=deadline)


def _describe_ends(
    station: Station, job_ids: Sequence[int], *, is_complete: bool
) -> Generator[None, None, dict[str, Any]]:
    """What jobs came to; many of them in slices.

    Only one alone comes with its result and its whole error: many together could hold any amount, and
    who waits for many asks for each by `result`.
    """
    ends = []
    for count, job_id in enumerate(job_ids, start=1):
        ends.append(_describe_end(station, job_id, is_whole=len(job_ids) == 1))
        if count % SLICE_ENDS == 0:
            yield
    return {"jobs": ends, "timed_out": not is_complete}


def _describe_end(station: Station, job_id: int, *, is_whole: bool) -> dict[str, Any]:
    row = job_rows.get(station.database, job_id, longest_bytes=0)
    if row is None:
        return _end_of_whole(station, job_id)
    longest = ALL if is_whole else ATTEMPT_TEXT_BYTES
    last = attempt_rows.get(station.database, job_id, longest_bytes=longest)
    if State(row["state"]) not in FINAL:
        last = None
    end = end_of(last) if is_whole else {"error": _brief_error(last), "result": None}
    return {
        "id": job_id,
        "state": row["state"],
        "reason": cut(row["reason"], REASON_CHARACTERS) if row["reason"] else None,
        "kind": "command" if row["kind"] == "command" else "function",
        "exit_code": last["exit_code"] if last else None,
        "signal": last["signal"] if last else None,
        "verdict": last["verdict"] if last else None,
        "cause": cause_of(station, row),
        **end,
    }


def _end_of_whole(station: Station, workflow: int) -> dict[str, Any]:
    stands = stands_of(station, workflow)
    if not stands:
        return {"id": workflow, "state": None, "reason": "removed"}
    return {
        "id": workflow,
        "state": state_of_all(stand.state for stand in stands).value,
        "reason": None,
        "kind": "workflow",
        **dict.fromkeys(("exit_code", "signal", "verdict", "cause", "error", "result")),
    }


def _brief_error(last: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Type and message, without the traceback; None where there is no error, or one that is too long."""
    error = json.loads(last["error"]) if last and last["error"] else None
    if not isinstance(error, dict):
        return None
    return {name: cut(error.get(name, ""), BRIEF_CHARACTERS) for name in ("type", "message")} | {
        "traceback": ""
    }
