"""Looking at jobs: one whole, lists, results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobctl import reports
from jobctl.clock import SECOND
from jobctl.daemon.following import read_chunks
from jobctl.daemon.handlers.jobs.wholes import describe_whole, stands_of
from jobctl.errors import NotFound, UsageError
from jobctl.job import Reason, State
from jobctl.plan.gates import key_of_gate, task_of_gate
from jobctl.plan.senders import QUEUE as MESSAGES
from jobctl.plan.senders import is_ours
from jobctl.store import attempts as attempt_rows
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store import workflows as workflow_rows
from jobctl.store.jobs import (
    AFTER_LINE,
    gate_of_line,
    is_ready_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

SLICE_ROWS: Final = 1000
"""Rows of a long walk that are read in one turn."""

MAX_LIST: Final = 1000
MAX_AFTER: Final = 1000
# An answer is bounded whatever its jobs hold: what is longer than these is left out of it, is not read
# from the disk either, and is named in ``left_out``. The worst answers have some 50 MiB: a thousand jobs of
# a list, each with all its labels; a hundred attempts that have all failed with the longest error.
LISTED_BYTES: Final = 8 * 1024
"""The arguments of a job among many."""

SHOWN_BYTES: Final = 4 * 1024 * 1024
"""The arguments and the result of a job that is shown whole."""

ATTEMPTS_SHOWN: Final = 100
AFTER_SHOWN: Final = 100
ATTEMPT_TEXT_BYTES: Final = 160 * 1024
"""The error of one attempt among them; one of our own workers is rarely longer."""

REASON_CHARACTERS: Final = 1000
TAIL_BYTES: Final = 2000


def found(station: Station, job_id: int, *, longest_bytes: int = 0) -> dict[str, Any]:
    """The row of a job; a ``payload`` that is longer is None. Raises NotFound."""
    row = job_rows.get(station.database, job_id, longest_bytes=longest_bytes)
    if row is None and stands_of(station, job_id) is not None:
        raise NotFound(
            f"{job_id} is a workflow, and this is asked of a job",
            hint=f"jobctl status {job_id} shows its jobs.",
        )
    if row is None:
        raise NotFound(
            f"there is no job {job_id}",
            hint="It may have been removed by retention; jobctl list shows what there is.",
        )
    return row


def state_of(station: Station, job_id: int) -> State:
    """The state of a job. Raises NotFound."""
    state = job_rows.state(station.database, job_id)
    return State(found(station, job_id)["state"] if state is None else state)


def describe(station: Station, row: Mapping[str, Any]) -> dict[str, Any]:
    """A job for people, without its attempts. ``left_out`` names what would have been too long."""
    payload = json.loads(row["payload"] or "{}")
    left_out = [] if row["payload"] else ["args", "kwargs"] if row["task"] else ["command"]
    return {
        "id": row["id"],
        "task": row["task"],
        "command": payload.get("command"),
        "state": row["state"],
        "reason": _reason(station, row),
        "queue": row["queue"],
        "priority": row["priority"],
        "args": payload.get("args", []),
        "kwargs": payload.get("kwargs", {}),
        "labels": json.loads(row["labels"]) if row["labels"] else {},
        "uid": row["uid"],
        "submitted_at": row["submitted_at"],
        "eta": row["eta"],
        "expires_at": row["expires_at"],
        "deadline_at": row["deadline_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "result": None,
        "error": None,
        "progress": _without_own_state(_progress(station, row)),
        "paused": is_paused(station, row),
        "workflow": None,
        "left_out": left_out,
    }


def _progress(station: Station, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """How far a running job has come, if it says so: as `jobctl.reports.read` gives it."""
    if row["state"] != State.STARTED or row["token"] is None:
        return None
    worker = job_rows.worker_of(row["line"])
    try:
        templates = [path.name for path in station.state.run.iterdir()]
    except OSError:
        return None
    paths = (
        reports.path_of(f"{station.state.run}/{name}/{worker}", row["token"]) for name in templates
    )
    return next((found for path in paths if (found := reports.read(path)) is not None), None)


def is_paused(station: Station, row: Mapping[str, Any]) -> bool:
    """A job that runs stands still because somebody has paused it."""
    if row["state"] != State.STARTED or row["kind"] != "command":
        return False
    return station.engine.is_paused(job_rows.worker_of(row["line"]))


def _without_own_state(progress: dict[str, Any] | None) -> dict[str, Any] | None:
    """What everybody sees of it; `result` gives the rest."""
    if progress is None:
        return None
    return {name: value for name, value in progress.items() if name not in ("state", "meta")}


def _reason(station: Station, row: Mapping[str, Any]) -> str | None:
    """Why a job is where it is. What holds a whole queue back is not written into each of its rows."""
    if row["reason"]:
        return cut(row["reason"], REASON_CHARACTERS)
    if row["stop_asked"]:
        return "is being stopped"
    line = row["line"]
    if line is None:
        return None
    if is_paused(station, row):
        return "is paused"
    if line == AFTER_LINE:
        return _why_after(station, row["id"])
    gate = gate_of_line(line)
    if gate is not None:
        return _why_gated(station, gate)
    return station.dispatcher.holds_back(line) if is_ready_line(line) else None


def _why_after(station: Station, job_id: int) -> str:
    found = dependency_rows.of_job(station.database, job_id, limit=MAX_AFTER)
    waits = [one for one in found if one.status == "open"]
    if not waits:
        return Reason.AFTER.value
    first = waits[0]
    more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
    return f"waits for the {first.until} of job {first.on_job}{more}"


def _why_gated(station: Station, gate: str) -> str:
    task = station.plan.find(task_of_gate(gate))
    most = task.per_key if task is not None else 1
    jobs = "job" if most == 1 else "jobs"
    return f'{most} {jobs} with the key "{key_of_gate(gate)}" may run at once'


def status(
    station: Station, call: Call, request: requests.Status
) -> dict[str, Any] | Generator[None, None, dict[str, Any]]:
    """One job whole, with its newest attempts; or a workflow with its jobs."""
    whole = describe_whole(station, request.job)
    if whole is not None:
        return whole
    row = found(station, request.job, longest_bytes=SHOWN_BYTES)
    described = describe(station, row)
    _name_workflows(station, [described])
    last = attempt_rows.get(station.database, request.job, longest_bytes=SHOWN_BYTES)
    described |= end_of(last)
    described["left_out"] += [
        name
        for name in ("result", "error")
        if last and last[name] is None and last[f"{name}_bytes"]
    ]
    attempts = attempt_rows.of_job(
        station.database,
        request.job,
        limit=ATTEMPTS_SHOWN + 1,
        longest_bytes=ATTEMPT_TEXT_BYTES,
    )
    if len(attempts) > ATTEMPTS_SHOWN:
        described["left_out"].append("attempts")
    described["after"] = [
        {"id": on_job, "until": until, "status": status}
        for on_job, until, status in dependency_rows.of_job(
            station.database, request.job, limit=AFTER_SHOWN
        )
    ]
    described["attempts"] = [
        describe_attempt(station, attempt) for attempt in attempts[-ATTEMPTS_SHOWN:]
    ]
    return described


def _name_workflows(station: Station, described: Sequence[dict[str, Any]]) -> None:
    """Say of which workflows jobs are."""
    steps = workflow_rows.steps_of(station.database, [job["id"] for job in described])
    for job in described:
        if job["id"] in steps:
            job["workflow"] = steps[job["id"]].workflow


def end_of(last: Mapping[str, Any] | None) -> dict[str, Any]:
    """``result`` and ``error`` of a job whose newest attempt is this one."""
    return {
        name: json.loads(last[name]) if last and last[name] else None
        for name in ("result", "error")
    }


def cut(text: object, characters: int) -> str:
    """A text, or its beginning with an ellipsis where it is longer."""
    whole = str(text)
    return whole if len(whole) <= characters else f"{whole[:characters]}…"


def describe_attempt(station: Station, row: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt that has ended, for people, with the end of its output."""
    started_at = row["started_at"] or row["claimed_at"]
    return {
        "number": row["number"],
        "outcome": row["verdict"],
        "exit_code": row["exit_code"],
        "signal": row["signal"],
        "started_at": started_at,
        "finished_at": row["finished_at"],
        "duration_s": max(row["finished_at"] - started_at, 0) / SECOND,
        "error": json.loads(row["error"]) if row["error"] else None,
        "output_bytes": row["output_bytes"],
        "output_tail": _tail(station, row, "output"),
        "stderr_bytes": row["stderr_bytes"],
        "stderr_tail": _tail(station, row, "stderr"),
        "user_s": row["user_s"],
        "system_s": row["system_s"],
        "max_rss_bytes": row["max_rss_bytes"],
        "peak_memory_bytes": row["peak_memory_bytes"],
        "worker": row["worker"],
        "proof": row["proof"],
        "ran_with": json.loads(row["ran_with"]) if row["ran_with"] else None,
        "late": json.loads(row["late"]) if row["late"] else None,
    }


def _tail(station: Station, row: Mapping[str, Any], stream: str) -> str:
    """The end of an attempt's ``"output"`` or ``"stderr"``."""
    if not row[f"{stream}_file"]:
        return bytes(row[stream] or b"")[-TAIL_BYTES:].decode("latin-1")
    is_stderr = stream == "stderr"
    path = station.state.output_file(row["job_id"], row["number"], stderr=is_stderr)
    end = row[f"{stream}_bytes"]
    try:
        parts = read_chunks(path, max(end - TAIL_BYTES, 0), end)
        return b"".join(data for _, data in parts).decode("latin-1")
    except OSError:
        return ""


def list_jobs(
    station: Station, call: Call, request: requests.List
) -> Generator[None, None, dict[str, Any]]:
    """Jobs that fit, newest first; a long walk goes in slices."""
    if not 1 <= request.limit <= MAX_LIST:
        raise UsageError(f"limit lies between 1 and {MAX_LIST}")
    for state in request.states or ():
        if state not in State.__members__:
            raise UsageError(
                f'there is no state "{state}"', hint=f"States: {', '.join(State.__members__)}"
            )
    return _walk(station, request, None if call.sees_all else call.uid)


def _walk(
    station: Station, request: requests.List, uid: int | None
) -> Generator[None, None, dict[str, Any]]:
    """The jobs of a uid, or (None) of everybody."""
    fits = _filter(request, uid)
    before = request.before if request.before is not None else 2**62
    chosen: list[dict[str, Any]] = []
    count = 0
    while True:
        rows = job_rows.page(
            station.database,
            before=before,
            limit=SLICE_ROWS,
            longest_bytes=0 if request.count else LISTED_BYTES,
        )
        for row in rows:
            before = row["id"]
            if not fits(row):
                continue
            if request.count:
                count += 1
            elif len(chosen) == request.limit:
                _name_workflows(station, chosen)
                return {"jobs": chosen, "next": chosen[-1]["id"]}
            else:
                chosen.append(describe(station, row))
        if len(rows) < SLICE_ROWS:
            _name_workflows(station, chosen)
            return {"count": count} if request.count else {"jobs": chosen, "next": None}
        yield


def _filter(request: requests.List, uid: int | None) -> Callable[[Mapping[str, Any]], bool]:
    states = set(request.states) if request.states else None

    # Messages to people are jobs of ours: shown to whoever asks for them.
    hides = not (is_ours(request.queue or "") or is_ours(request.task or ""))

    def fits(row: Mapping[str, Any]) -> bool:
        if hides and row["queue"] == MESSAGES:
            return False
        if uid is not None and row["uid"] != uid:
            return False
        if states is not None and row["state"] not in states:
            return False
        if request.task is not None and row["task"] != request.task:
            return False
        if request.queue is not None and row["queue"] != request.queue:
            return False
        if request.labels:
            labels = json.loads(row["labels"]) if row["labels"] else {}
            return all(labels.get(name) == value for name, value in request.labels.items())
        return True

    return fits


def cause_of(station: Station, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The job that failed because of which this one was revoked, and how; None for any other reason."""
    if row["state"] != State.REVOKED:
        return None
    cause = dependency_rows.cause(station.database, row["id"])
    if cause is None:
        return None
    last = attempt_rows.get(station.database, cause, longest_bytes=ATTEMPT_TEXT_BYTES)
    return {
        "id": cause,
        "reason": found(station, cause)["reason"],
        "error": json.loads(last["error"]) if last and last["error"] else None,
        "exit_code": last["exit_code"] if last else None,
        "signal": last["signal"] if last else None,
    }


def result(station: Station, call: Call, request: requests.Result) -> dict[str, Any]:
    """What a job came to, now: the one answer that holds a result of any length."""
    row = found(station, request.job)
    last = attempt_rows.get(station.database, request.job)
    own = _progress(station, row) or {}
    return {
        "id": row["id"],
        "state": row["state"],
        "task": row["task"],
        "finished_at": row["finished_at"],
        "retries": row["failures"],
        **end_of(last),
        "reason": _reason(station, row),
        "cause": cause_of(station, row),
        "own_state": own.get("state"),
        "meta": own.get("meta"),
    }
