"""Requests about the output of attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.daemon.following import CHUNK_BYTES, Follower, read_chunks
from jobctl.daemon.handlers.jobs import found
from jobctl.errors import NotFound
from jobctl.job import FINAL, State
from jobctl.store import attempts as attempt_rows
from jobctl.store.jobs import worker_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def logs(
    station: Station, call: Call, request: requests.Logs
) -> Generator[None, None, dict[str, Any]] | dict[str, Any] | None:
    """The output of an attempt that has ended, or of the one that runs."""
    row = found(station, request.job)
    number = request.attempt
    if row["state"] == State.STARTED and number in (None, row["number"]):
        return _running(station, call, request, row)
    chosen = attempt_rows.get(station.database, request.job, number=number, longest_bytes=0)
    if chosen is None:
        if request.attempt is not None:
            raise NotFound(f"job {request.job} has no attempt {request.attempt}")
        if request.follow and State(row["state"]) not in FINAL:
            _await_start(station, call, request)
            return None
        return {"attempt": None, "bytes": 0, "state": row["state"]}
    return _ended(station, call, request, chosen, row["state"])


def _ended(
    station: Station,
    call: Call,
    request: requests.Logs,
    attempt: Mapping[str, Any],
    state: str,
) -> Generator[None, None, dict[str, Any]]:
    start = request.offset
    total = attempt["output_bytes"]
    if request.tail_bytes is not None:
        start = max(start, total - request.tail_bytes)
    if attempt["output_file"]:
        path = station.state.output_file(attempt["job_id"], attempt["number"])
        for offset, data in read_chunks(path, start, total):
            call.more({"data": data.decode("latin-1"), "offset": offset})
            if len(data) == CHUNK_BYTES:
                yield
    else:
        # The row's bytes are the stream, or its head and tail when it was longer than a row holds.
        data = bytes(attempt["output"] or b"")
        if total > len(data):
            half = len(data) // 2
            parts = [(0, data[:half]), (total - (len(data) - half), data[half:])]
        else:
            parts = [(0, data)]
        for offset, part in parts:
            skip = max(start - offset, 0)
            if part[skip:]:
                call.more({"data": part[skip:].decode("latin-1"), "offset": offset + skip})
    return {"attempt": attempt["number"], "bytes": total, "state": state}


def _running(
    station: Station, call: Call, request: requests.Logs, row: Mapping[str, Any]
) -> dict[str, Any] | None:
    worker = worker_of(row["line"])
    if not station.engine.follow(worker, row["token"]):
        # A function's output comes with its outcome; a keeper that is stopped cannot say anything.
        if request.follow:
            _await_start(station, call, request)
            return None
        return {"attempt": row["number"], "bytes": 0, "state": row["state"]}
    station.followers.add(
        Follower(
            call,
            job_id=row["id"],
            number=row["number"],
            token=row["token"],
            path=station.state.output_file(row["id"], row["number"]),
            offset=request.offset,
            is_once=not request.follow,
        )
    )
    return None


def _await_start(station: Station, call: Call, request: requests.Logs) -> None:
    """Nothing to show yet: show it when an attempt starts, or when the job has ended."""
    station.followers.await_start(call, request)
