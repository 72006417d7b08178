"""The same calls for coroutines: one connection for each event loop, on which all its requests go.

Answers come in any order and find their request by its number. A wait for a job is asked for again after
`SLICE_S`, so that one that nobody waits for any more costs the daemon nothing for long. What is said of
repeating requests in `jobctl.api.session` holds here too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from jobctl.api.session import session
from jobctl.client import check_greeting, connection_error, decode, encode, greeting, read_error
from jobctl.errors import DaemonNotRunning, JobctlError, Unreachable
from jobctl.protocol import requests

if TYPE_CHECKING:
    from pathlib import Path

SLICE_S: Final = 60.0
_LONGEST_ANSWER_BYTES: Final = 1 << 30


async def call(request: requests.Request) -> dict[str, Any]:
    """Make a request that is answered at once; gives back its answer.

    Raises:
        DaemonNotRunning, Unreachable: patience is over.
        JobctlError: the daemon refused.
    """
    outage = session.outage()
    while True:
        try:
            return await _ask(request, session.answer_limit_s)
        except (DaemonNotRunning, Unreachable) as error:
            await asyncio.sleep(outage.next_pause_s(error))


async def wait(job: int, timeout_s: float | None) -> dict[str, Any] | None:
    """Wait until a job has ended; gives back its end (see `requests.Wait`), None on time-out.

    The wait outlives restarts of the daemon. Raises as `call` does.
    """
    clock = session.clock
    ends_at = None if timeout_s is None else clock.monotonic() + timeout_s
    outage = None
    while True:
        left_s = None if ends_at is None else max(ends_at - clock.monotonic(), 0.0)
        slice_s = SLICE_S if left_s is None else min(left_s, SLICE_S)
        try:
            request = requests.Wait(jobs=[job], timeout_s=slice_s)
            answer = await _ask(request, slice_s + session.answer_limit_s)
        except (DaemonNotRunning, Unreachable) as error:
            outage = outage or session.outage(left_s)
            await asyncio.sleep(outage.next_pause_s(error))
            continue
        outage = None
        if not answer["timed_out"]:
            (end,) = answer["jobs"]
            return dict(end)
        if left_s is not None and left_s <= SLICE_S:
            return None


async def _ask(request: requests.Request, limit_s: float) -> dict[str, Any]:
    connection = await _connection()
    try:
        async with asyncio.timeout(limit_s):
            return await connection.ask(request)
    except TimeoutError as error:
        connection.close()
        raise Unreachable(
            "the daemon does not answer", hint="It may be stopped or very busy; see its log."
        ) from error


async def _connection() -> _Connection:
    """That of this loop, made anew when it has ended or the daemon is to be found elsewhere."""
    loop, path = asyncio.get_running_loop(), session.socket
    opening = _connections.get(loop)
    if opening is None or _is_over(opening, path):
        # A connection holds its loop: weak keys would let go of none.
        for other in [known for known in list(_connections) if known.is_closed()]:
            _connections.pop(other, None)
        opening = _connections[loop] = loop.create_task(_Connection.open(path))
    # Somebody who gives up must not take it from the others who wait for it.
    return await asyncio.shield(opening)


def _is_over(opening: asyncio.Task[_Connection], path: Path) -> bool:
    if not opening.done():
        return False
    if opening.cancelled() or opening.exception() is not None:
        return True
    connection = opening.result()
    return connection.is_closed or connection.path != path


class _Connection:
    """One connection to the daemon, as long as it lasts."""

    def __init__(
        self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.path = path
        self.is_closed = False
        self._reader = reader
        self._writer = writer
        self._count = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path) -> _Connection:
        """Connect and greet. Raises as `jobctl.client.Client.connect` does."""
        try:
            streams = await asyncio.open_unix_connection(str(path), limit=_LONGEST_ANSWER_BYTES)
        except OSError as error:
            raise connection_error(path, error) from error
        connection = cls(path, *streams)
        try:
            connection._writer.write(encode(greeting()))
            async with asyncio.timeout(session.answer_limit_s):
                answer = decode(await connection._reader.readline(), path)
            check_greeting(_ok_of(answer))
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):  # A TimeoutError, too.
                raise Unreachable(f"the connection broke: {error}") from error
            raise
        connection._reading = asyncio.create_task(connection._read())
        return connection

    async def ask(self, request: requests.Request) -> dict[str, Any]:
        """Make a request; gives back its answer. Raises Unreachable when the connection ends before it."""
        self._count += 1
        number = self._count
        data = encode({"id": number, **requests.write(request)})
        if self.is_closed:
            raise Unreachable("the daemon ended the connection")
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(data)
            await self._writer.drain()
            return await answer
        except OSError as error:
            raise Unreachable(f"the connection broke: {error}") from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        """Hand out answers until the connection ends."""
        why: JobctlError = Unreachable("the daemon ended the connection without an answer")
        try:
            while line := await self._reader.readline():
                self._take(decode(line, self.path))
        except OSError as error:
            why = Unreachable(f"the connection broke: {error}")
        except JobctlError as error:
            why = error
        finally:
            self.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(why)

    def _take(self, answer: dict[str, Any]) -> None:
        waiting = self._waiting.get(answer.get("id", 0))
        if waiting is None or waiting.done():
            return
        try:
            waiting.set_result(_ok_of(answer))
        except JobctlError as error:
            waiting.set_exception(error)

    def close(self) -> None:
        """End it; what waits for an answer is told so. Safe to repeat."""
        if not self.is_closed:
            self.is_closed = True
            self._writer.close()


def _ok_of(answer: dict[str, Any]) -> dict[str, Any]:
    """What a request came to. Raises the error that the daemon described."""
    if "error" in answer:
        raise read_error(answer["error"])
    found: dict[str, Any] = answer.get("ok", {})
    return found


_connections: Final[dict[asyncio.AbstractEventLoop, asyncio.Task[_Connection]]] = {}
