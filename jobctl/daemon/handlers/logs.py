"""Requests about the output of attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.daemon.following import CHUNK_BYTES, Follower, part, read_chunks
from jobctl.daemon.handlers.jobs import found
from jobctl.errors import NotFound, UsageError
from jobctl.job import FINAL, State
from jobctl.store import attempts as attempt_rows
from jobctl.store.jobs import worker_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def logs(
    station: Station, call: Call, request: requests.Logs
) -> Generator[None, None, dict[str, Any]] | dict[str, Any] | None:
    """The output of an attempt that has ended, or of the one that runs."""
    _streams(request)
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
        return _nothing(None, row["state"])
    return _ended(station, call, request, chosen, row["state"])


def _ended(
    station: Station,
    call: Call,
    request: requests.Logs,
    attempt: Mapping[str, Any],
    state: str,
) -> Generator[None, None, dict[str, Any]]:
    for stream in _streams(request):
        if attempt[f"{_COLUMN[stream]}_bytes"] is not None:
            yield from _stream(station, call, request, attempt, stream)
    return {
        "attempt": attempt["number"],
        "bytes": attempt["output_bytes"],
        "stderr_bytes": attempt["stderr_bytes"],
        "state": state,
    }


def _stream(
    station: Station, call: Call, request: requests.Logs, attempt: Mapping[str, Any], stream: str
) -> Generator[None, None, None]:
    column = _COLUMN[stream]
    start = request.stderr_offset if stream == "stderr" else request.offset
    total = attempt[f"{column}_bytes"]
    if request.tail_bytes is not None:
        start = max(start, total - request.tail_bytes)
    if attempt[f"{column}_file"]:
        path = _path(station, attempt["job_id"], attempt["number"], stream)
        for offset, data in read_chunks(path, start, total):
            call.more(part(stream, offset, data))
            if len(data) == CHUNK_BYTES:
                yield
        return
    # The row's bytes are the stream, or its head and tail when it was longer than a row holds.
    data = bytes(attempt[column] or b"")
    if total > len(data):
        half = len(data) // 2
        parts = [(0, data[:half]), (total - (len(data) - half), data[half:])]
    else:
        parts = [(0, data)]
    for offset, piece in parts:
        skip = max(start - offset, 0)
        if piece[skip:]:
            call.more(part(stream, offset + skip, piece[skip:]))


_COLUMN: Final = {"stdout": "output", "stderr": "stderr"}
"""Streams, and what their columns in an attempt's row begin with."""


def _streams(request: requests.Logs) -> tuple[str, ...]:
    """The streams that are asked for."""
    if request.stream is None:
        return tuple(_COLUMN)
    if request.stream not in _COLUMN:
        raise UsageError('a stream is "stdout" or "stderr"', hint="Leave it out to get both.")
    return (request.stream,)


def _path(station: Station, job_id: int, number: int, stream: str) -> Path:
    return station.state.output_file(job_id, number, stderr=stream == "stderr")


def _running(
    station: Station, call: Call, request: requests.Logs, row: Mapping[str, Any]
) -> dict[str, Any] | None:
    worker = worker_of(row["line"])
    streams = _streams(request)
    if not station.engine.follow(worker, row["token"]):
        # A function's output comes with its outcome; a keeper that is stopped cannot say anything.
        if request.follow:
            _await_start(station, call, request)
            return None
        return _nothing(row["number"], row["state"])
    paths = {stream: _path(station, row["id"], row["number"], stream) for stream in streams}
    station.followers.add(
        Follower(call, request, number=row["number"], token=row["token"], paths=paths)
    )
    return None


def _nothing(number: int | None, state: str) -> dict[str, Any]:
    return {"attempt": number, "bytes": 0, "stderr_bytes": None, "state": state}


def _await_start(station: Station, call: Call, request: requests.Logs) -> None:
    """Nothing to show yet: show it when an attempt starts, or when the job has ended."""
    station.followers.await_start(call, request)
