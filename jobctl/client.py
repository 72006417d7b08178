"""Typed calls to the daemon over its socket. Standard library only, no user interface.

One `Client` is one connection, used by one thread; requests are answered in any order, but this client
makes one at a time. It never repeats a request by itself: with a ``key`` a submit may be repeated after
any failure (P8), and whoever repeats it decides so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jobctl import __version__, errors
from jobctl.errors import DaemonNotRunning, JobctlError, ProtocolError, Unreachable, VersionMismatch
from jobctl.paths import connect_unix
from jobctl.protocol.framing import MAX_FRAME_BYTES, FrameBuffer
from jobctl.protocol.key import make_key as make_key
from jobctl.protocol.requests import PROTOCOLS, Hello, Request, write

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from types import TracebackType

_RECEIVE_BYTES = 1 << 16
_dumps = json.JSONEncoder(separators=(",", ":")).encode


class Client:
    """A connection to a daemon (or to its stand-in when none runs).

    Raises, from every method:
        DaemonNotRunning: nobody listens.
        Unreachable: the connection broke, or what answered is not a daemon of jobctl.
        JobctlError: the daemon refused; the type tells why.
    """

    def __init__(self, path: Path, *, timeout_s: float | None = None) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._connection: socket.socket | None = None
        self._frames: list[bytes] = []
        self._buffer = FrameBuffer(limit=1 << 30)
        self._count = 0
        self.hello: dict[str, Any] = {}

    @classmethod
    def over(cls, connection: socket.socket) -> Client:
        """A client over a connection that exists already."""
        client = cls(Path("(inherited)"))
        client._connection = connection
        client._greet()
        return client

    def connect(self) -> None:
        """Connect and greet unless that has happened."""
        if self._connection is not None:
            return
        try:
            self._connection = connect_unix(self.path, timeout_s=self._timeout_s)
        except OSError as error:
            raise connection_error(self.path, error) from error
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        # Without `call`, which would greet first.
        self._send(greeting())
        for answer in self._answers(0):
            self.hello = answer
        check_greeting(self.hello)

    def call(self, request: Request) -> dict[str, Any]:
        """Make a request; gives back its final answer."""
        *_, answer = self.stream(request)
        return answer

    def stream(self, request: Request) -> Iterator[dict[str, Any]]:
        """Make a request; gives back every answer as it comes, the final one last."""
        self.connect()
        self._count += 1
        number = self._count
        self._send({"id": number, **write(request)})
        yield from self._answers(number)

    def _send(self, frame: dict[str, Any]) -> None:
        assert self._connection is not None
        data = encode(frame)
        try:
            self._connection.sendall(data)
        except TimeoutError as error:
            raise Unreachable("the daemon does not read; it may be stopped") from error
        except OSError as error:
            # The daemon may have said why before it closed; the answer is read next.
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise Unreachable(f"the connection broke: {error}") from error

    def _answers(self, number: int) -> Iterator[dict[str, Any]]:
        while True:
            answer = self._receive()
            if answer.get("id") not in (number, None):
                continue
            if "error" in answer:
                raise read_error(answer["error"])
            if "more" in answer:
                yield answer["more"]
                continue
            yield answer["ok"]
            return

    def _receive(self) -> dict[str, Any]:
        assert self._connection is not None
        while not self._frames:
            try:
                data = self._connection.recv(_RECEIVE_BYTES)
            except TimeoutError as error:
                raise Unreachable(
                    "the daemon does not answer",
                    hint="It may be stopped or very busy; see its log.",
                ) from error
            except OSError as error:
                raise Unreachable(f"the connection broke: {error}") from error
            if not data:
                raise Unreachable(
                    "the daemon ended the connection without an answer",
                    hint="If this was a submit, repeat it with the same --key: it is not done twice.",
                )
            self._frames.extend(self._buffer.feed(data))
        return decode(self._frames.pop(0), self.path)

    def wait_closed(self) -> None:
        """Wait until the daemon ends the connection; what it still sends is dropped.

        After a `Stop` that is when the daemon has ended. Blocks for as long as the client's time limit
        for one answer allows. Raises Unreachable when that is over.
        """
        assert self._connection is not None
        try:
            while self._connection.recv(_RECEIVE_BYTES):
                pass
        except TimeoutError as error:
            raise Unreachable("the daemon is still there") from error
        except ConnectionResetError:
            pass

    def close(self) -> None:
        """End the connection. Safe to repeat."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def greeting() -> dict[str, Any]:
    """The first frame of a connection; its answer is number 0."""
    return {"id": 0, **write(Hello(protocol=list(PROTOCOLS), version=__version__))}


def check_greeting(hello: Mapping[str, Any]) -> None:
    """Judge the answer to it. Raises VersionMismatch."""
    if hello.get("protocol") not in PROTOCOLS:
        raise VersionMismatch(
            f"the daemon speaks protocol {hello.get('protocol')}, this client {PROTOCOLS}",
            hint="Use the jobctl command of the daemon's version.",
        )


def encode(frame: dict[str, Any]) -> bytes:
    """A frame as it is sent. Raises UsageError for one that is too long."""
    data = _dumps(frame).encode() + b"\n"
    if len(data) > MAX_FRAME_BYTES:
        # The daemon would end the connection in the middle of it, and what it said might be lost with that.
        raise _too_long(frame, len(data))
    return data


def decode(frame: bytes, path: Path) -> dict[str, Any]:
    """An answer of what listens at ``path``. Raises ProtocolError."""
    try:
        answer = json.loads(frame)
    except ValueError as error:
        raise ProtocolError(f'what listens on "{path}" is not a daemon of jobctl') from error
    if not isinstance(answer, dict) or not answer.keys() & {"ok", "more", "error"}:
        raise ProtocolError(f'what listens on "{path}" is not a daemon of jobctl')
    return answer


def connection_error(path: Path, error: OSError) -> JobctlError:
    """What it means that nothing could be connected to at ``path``."""
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)):
        return DaemonNotRunning(
            f'no daemon listens on "{path}"',
            hint="Start it: jobctl daemon, or: systemctl start jobctl",
        )
    if isinstance(error, PermissionError):
        return errors.NotAllowed(
            f'the socket "{path}" belongs to another user',
            hint="Use the account that the daemon runs as, or root.",
        )
    return Unreachable(f'the socket "{path}" cannot be used: {error}')


def _too_long(frame: Mapping[str, Any], size_bytes: int) -> JobctlError:
    """The error about a request over the limit; about a submit it names the longest argument."""
    hint = "Put large data into a file and submit its name."
    message = f"the request has {size_bytes} bytes, and one may have {MAX_FRAME_BYTES}"
    lengths = [
        (len(_dumps(value)), name)
        for job in frame.get("jobs", ())
        for name, value in _arguments_of(job)
    ]
    if not lengths:
        return errors.UsageError(message, hint=hint)
    longest_bytes, name = max(lengths)
    told = f"{name} is {longest_bytes} bytes long: {message}"
    return errors.InvalidArguments(told, hint=hint)


def _arguments_of(job: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What a job of a submit is given, each with a name for people."""
    for position, value in enumerate(job.get("args") or (), start=1):
        yield f"argument {position}", value
    for position, word in enumerate(job.get("command") or (), start=1):
        yield f"word {position} of the command", word
    for name, value in (job.get("kwargs") or {}).items():
        yield f'argument "{name}"', value


def read_error(data: dict[str, Any]) -> JobctlError:
    """The error that the daemon described, as its type."""
    if data["code"] == "config":
        problems = tuple(errors.Problem(**problem) for problem in data.get("problems", ()))
        if problems:
            return errors.ConfigError(problems)
    kind = _ERRORS.get(data["code"], JobctlError)
    if kind is errors.ConfigError:
        kind = errors.PlanError
    return kind(data["message"], hint=data.get("hint", ""))


def _all_errors(kind: type[JobctlError]) -> Iterator[type[JobctlError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all_errors(child)


_ERRORS: dict[str, type[JobctlError]] = {
    kind.code: kind for kind in _all_errors(JobctlError) if kind.__module__ == errors.__name__
}
