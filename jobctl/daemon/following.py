"""Clients that follow the output of running commands.

A keeper that is asked to writes its output to the attempt's file and says how long it has become; the
followers read the file from where they stand. Nothing is polled, and what a client does not read is not
read from the file either.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from jobctl.daemon.server import Call, Connection
    from jobctl.protocol.requests import Logs

CHUNK_BYTES = 256 * 1024
"""Most that is read from a file at once."""


class Follower:
    """One client at one running attempt.

    ``paths`` are the files of the streams that it wants, by ``"stdout"`` and ``"stderr"``; ``offsets`` its
    places in them. ``is_once``: it wants what is there now, no more.
    """

    __slots__ = ("call", "is_once", "number", "offsets", "paths", "request", "token")

    def __init__(
        self,
        call: Call,
        request: Logs,
        *,
        number: int,
        token: int,
        paths: Mapping[str, Path],
    ) -> None:
        self.call = call
        self.request = request
        self.number = number
        self.token = token
        self.paths = paths
        self.offsets = {"stdout": request.offset, "stderr": request.stderr_offset}
        self.is_once = not request.follow

    def send_until(self, ends: Mapping[str, int]) -> bool:
        """Send what the files hold from the follower's places up to ``ends``, as far as the client reads;
        True when it has all of it."""
        wanted = [stream for stream in self.paths if stream in ends]
        return all(self._send(stream, ends[stream]) for stream in wanted)

    def _send(self, stream: str, end: int) -> bool:
        chunks = read_chunks(self.paths[stream], self.offsets[stream], end)
        while self._reads():
            offset, data = next(chunks, (end, b""))
            if not data:
                self.offsets[stream] = max(self.offsets[stream], end)
                break
            self.call.more(part(stream, offset, data))
            self.offsets[stream] = offset + len(data)
        return self.offsets[stream] >= end

    def _reads(self) -> bool:
        return not self.call.connection.is_congested

    def finish(self, lengths: Mapping[str, int], state: str) -> None:
        """The final answer."""
        self.call.answer(
            {
                "attempt": self.number,
                "bytes": lengths["stdout"],
                "stderr_bytes": lengths.get("stderr"),
                "state": state,
            }
        )

    def rest(self) -> Logs:
        """The request for what it has not got yet."""
        return replace(
            self.request,
            attempt=self.number,
            offset=self.offsets["stdout"],
            stderr_offset=self.offsets["stderr"],
            tail_bytes=None,
        )


def part(stream: str, offset: int, data: bytes) -> dict[str, Any]:
    """A part of a stream as it is sent to a client."""
    sent = {"data": data.decode("latin-1"), "offset": offset}
    return {**sent, "stream": stream} if stream == "stderr" else sent


class Followers:
    """Everybody who follows, by the token of the attempt."""

    def __init__(self) -> None:
        self._by_token: dict[int, list[Follower]] = defaultdict(list)
        self._awaiting: dict[int, list[tuple[Call, Logs]]] = defaultdict(list)
        self._lagging: dict[int, Mapping[str, int]] = {}

    def await_start(self, call: Call, request: Logs) -> None:
        """This client wants the output of a job that has none yet."""
        self._awaiting[request.job].append((call, request))

    def started(self, job_ids: Iterable[int]) -> list[tuple[Call, Logs]]:
        """Who waited for output of these jobs: an attempt has started, or the job has ended."""
        if not self._awaiting:
            return []
        found: list[tuple[Call, Logs]] = []
        for job_id in job_ids:
            found.extend(self._awaiting.pop(job_id, ()))
        return found

    def add(self, follower: Follower) -> None:
        """Tell this client whatever its attempt writes."""
        self._by_token[follower.token].append(follower)

    def grown(self, token: int, lengths: Mapping[str, int]) -> None:
        """The files of an attempt's streams are so long now."""
        is_lagging = False
        for follower in list(self._by_token.get(token, ())):
            if not follower.send_until(lengths):
                is_lagging = True
            elif follower.is_once:
                self._by_token[token].remove(follower)
                follower.finish(lengths, "STARTED")
        if is_lagging:
            self._lagging[token] = lengths
        else:
            self._lagging.pop(token, None)

    def go_on(self) -> None:
        """Send more to clients that did not read fast enough; their sockets call for the turn."""
        for token, lengths in list(self._lagging.items()):
            self.grown(token, lengths)

    def take(self, tokens: Iterable[int]) -> list[Follower]:
        """The followers of attempts that have ended; whoever takes them answers them."""
        found: list[Follower] = []
        for token in tokens:
            found.extend(self._by_token.pop(token, ()))
            self._lagging.pop(token, None)
        return found

    @property
    def is_empty(self) -> bool:
        """Nobody follows anything."""
        return not self._by_token and not self._awaiting

    def forget(self, connection: Connection) -> None:
        """The client has gone."""
        for job_id in list(self._awaiting):
            kept = [w for w in self._awaiting[job_id] if w[0].connection is not connection]
            if kept:
                self._awaiting[job_id] = kept
            else:
                del self._awaiting[job_id]
        for token in list(self._by_token):
            left = [f for f in self._by_token[token] if f.call.connection is not connection]
            if left:
                self._by_token[token] = left
            else:
                del self._by_token[token]


def read_chunks(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """``(offset, bytes)`` of an output file between two places; its punched middle is left out."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        offset = start
        while offset < end:
            try:
                offset = os.lseek(fd, offset, os.SEEK_DATA)
                hole = os.lseek(fd, offset, os.SEEK_HOLE)
            except OSError:
                # Nothing but a hole up to the end of the file.
                return
            data = os.pread(fd, min(CHUNK_BYTES, hole - offset, end - offset), offset)
            if not data:
                return
            yield offset, data
            offset += len(data)
    finally:
        os.close(fd)
