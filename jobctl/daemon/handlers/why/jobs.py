"""Looking up how a job stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.daemon.handlers import jobs as handlers
from jobctl.daemon.handlers.why.facts import JobFacts
from jobctl.job import WAITING, State
from jobctl.store import attempts as attempt_rows
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import queues as queue_rows
from jobctl.store.jobs import ETA_LINE, is_ready_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.clock import Moment
    from jobctl.daemon.station import Station

LONGEST_BYTES: Final = 1 << 20
"""Of a longer payload or error nothing is told."""

_SAID_CHARACTERS: Final = 200


def job_facts(station: Station, job_id: int) -> JobFacts | None:
    """How a job stands; None: there is none."""
    row = job_rows.get(station.database, job_id, longest_bytes=LONGEST_BYTES)
    if row is None:
        return None
    described = handlers.describe(station, row)
    last = attempt_rows.get(station.database, job_id, longest_bytes=LONGEST_BYTES)
    state = State(row["state"])
    line = row["line"] if state in WAITING else None
    return JobFacts(
        id=job_id,
        what=str(row["task"] or " ".join(described["command"] or ["a command"])),
        state=state,
        queue=row["queue"],
        submitted_at=row["submitted_at"],
        reason=described["reason"],
        eta=row["eta"] if line == ETA_LINE else None,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        attempts=last["number"] if last else 0,
        verdict=last["verdict"] if last else None,
        exit_code=last["exit_code"] if last else None,
        signal=last["signal"] if last else None,
        said=_said(station, last) if last else "",
        is_stopping=row["stop_asked"] is not None,
        is_paused=described["paused"],
        is_begun=_is_begun(station, row),
        earlier=_earlier(station, row),
        paused_at=_paused_at(station, row["queue"]) if line and is_ready_line(line) else None,
        made_for=fire_rows.of_job(station.database, job_id),
    )


def _paused_at(station: Station, queue: str) -> Moment | None:
    return queue_rows.all(station.database).get(queue)


def _is_begun(station: Station, row: Mapping[str, Any]) -> bool | None:
    if station.ask_stop is None:
        return None
    return row["token"] is None or row["token"] in station.engine.begun()


def _earlier(station: Station, row: Mapping[str, Any]) -> tuple[int, ...]:
    """The unfinished jobs of its schedule that a job waits for."""
    if not str(row["line"]).startswith("schedule/"):
        return ()
    unfinished = job_rows.unfinished_of_schedule(station.database, schedule=row["schedule"])
    return tuple(job.id for job in unfinished if job.id < row["id"])


def _said(station: Station, attempt: Mapping[str, Any]) -> str:
    """The last line of an attempt's error, else of what it wrote, to standard error if that was kept apart;
    cut where it is too long."""
    described = handlers.describe_attempt(station, attempt)
    error = described["error"]
    text = ""
    if isinstance(error, dict):
        text = ": ".join(str(error[name]) for name in ("type", "message") if error.get(name))
    if not text.strip():
        tail = str(described.get("stderr_tail") or described["output_tail"])
        text = tail.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    return said if len(said) <= _SAID_CHARACTERS else f"{said[: _SAID_CHARACTERS - 1]}…"
