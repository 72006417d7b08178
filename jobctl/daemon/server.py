"""The socket server: connections, frames, peers. It reads requests and sends answers; it decides nothing.

Memory is bounded whatever clients do. A frame has a limit, and all unfinished frames together have one. A
client that does not read its answers, or has too many requests open, is not read from; what is produced a
slice at a time (lists, outputs) waits for it, and what is not is bounded by ending the connection.
Connections over the limit are closed, those first that never said who they are. Other clients notice
nothing of it.
"""

from __future__ import annotations

import errno
import json
import os
import resource
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from jobctl import __version__
from jobctl.daemon.roles import Access, Peer, Role, peer_of
from jobctl.errors import (
    JobctlError,
    NotAllowed,
    ProtocolError,
    StateDirectoryUnusable,
    UsageError,
    VersionMismatch,
)
from jobctl.logs import fields, logger
from jobctl.paths import bind_unix, bind_unix_for, connect_unix
from jobctl.protocol.compact import loads
from jobctl.protocol.framing import FrameBuffer
from jobctl.protocol.requests import PROTOCOLS, REQUESTS, Hello, Request, read
from jobctl.values import dataclass

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from jobctl.daemon.loop import Loop

_RECEIVE_BYTES = 1 << 16
_CONGESTED_BYTES = 1 << 20
_UNREAD_LIMIT_BYTES = 64 << 20
_UNREAD_IN_ALL_BYTES = 256 << 20
_HALF_FRAMES_BYTES = 256 << 20
_BACKLOG = 1024
_SPARE_DESCRIPTORS: Final = 512
_MESSAGE_CHARACTERS: Final = 1000

OPEN_REQUESTS: Final = 1000
"""Requests of one connection that may wait for their answers; no more is read from it until some have
been given."""
_dumps = json.JSONEncoder(separators=(",", ":")).encode


class Connection:
    """One client."""

    __slots__ = (
        "_loop",
        "_server",
        "_watched",
        "buffer",
        "held_bytes",
        "is_greeted",
        "is_open",
        "open_requests",
        "peer",
        "role",
        "sock",
        "unsent",
    )

    def __init__(self, sock: socket.socket, peer: Peer, server: Server, loop: Loop) -> None:
        self.sock = sock
        self.peer = peer
        self.role = server.access.role_of(peer)
        self.buffer = FrameBuffer()
        self.unsent = bytearray()
        self.is_greeted = False
        self.is_open = True
        self.open_requests = 0
        self.held_bytes = 0
        self._watched = (True, False)
        self._server = server
        self._loop = loop

    @property
    def is_congested(self) -> bool:
        """It does not read what it is sent."""
        return len(self.unsent) >= _CONGESTED_BYTES

    # -- sending ------------------------------------------------------------------------------------

    def send(self, frame: dict[str, Any]) -> None:
        """Send a frame; what the socket does not take waits."""
        self.send_bytes(_dumps(frame).encode() + b"\n")

    def send_bytes(self, data: bytes) -> None:
        """Send whole frames that are JSON already."""
        if not self.is_open:
            return
        if not self.unsent:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            data = data[sent:]
        self.unsent += data
        self._server.unread_bytes += len(data)
        if len(self.unsent) > _UNREAD_LIMIT_BYTES or (
            self._server.unread_bytes > _UNREAD_IN_ALL_BYTES and self.is_congested
        ):
            # It asks and does not read: nobody else shall pay for it.
            self.close()
            return
        self.watch()

    def _flush(self) -> None:
        try:
            sent = self.sock.send(self.unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        del self.unsent[:sent]
        self._server.unread_bytes -= sent

    # -- reading ------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Wait for what can be dealt with: the readiness of the rest would call for turn after turn."""
        if not self.is_open:
            return
        read = not self.is_congested and self.open_requests < OPEN_REQUESTS
        wanted = (read, bool(self.unsent))
        if wanted != self._watched:
            self._watched = wanted
            self._loop.watch(self.sock.fileno(), self.ready, read=read, write=wanted[1])

    def ready(self) -> None:
        """The socket can be written or read, or the client has gone."""
        read, write = self._watched
        if write:
            self._flush()
        if read:
            self._read()
        elif not write:
            # Neither was asked for: the other end has gone. What it had asked for has no reader.
            self.close()
        self.watch()

    def _read(self) -> None:
        """Take what has arrived."""
        if not self.is_open:
            return
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            frames = self.buffer.feed(data)
            grown_bytes = self.buffer.size - self.held_bytes
            self.held_bytes += grown_bytes
            self._server.note_half_frames(grown_bytes)
            for frame in frames:
                if self.sock.fileno() < 0:
                    # What it said in an earlier frame has ended it.
                    return
                self._server.hear(self, frame)
        except ProtocolError as error:
            self.refuse(None, error)
            self.close()

    def refuse(self, number: int | None, error: JobctlError) -> None:
        """Answer a request with an error."""
        self.send({"id": number, "error": describe(error)})

    def close(self) -> None:
        """End the connection. Safe to repeat."""
        if self.is_open:
            self.is_open = False
            self._loop.unwatch(self.sock.fileno())
            self.sock.close()
            self._server.forget(self)
            self.unsent.clear()
            self.buffer = FrameBuffer()


class Encoded(str):
    """An answer that is JSON already."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A request and where its answer goes."""

    connection: Connection
    number: int
    request: Request

    def answer(self, data: dict[str, Any] | Encoded) -> None:
        """The final answer. One that no client could be sent is refused instead."""
        text = data if isinstance(data, Encoded) else _dumps(data)
        frame = f'{{"id":{self.number},"ok":{text}}}\n'.encode()
        if len(frame) >= _UNREAD_LIMIT_BYTES:
            size = f"{len(frame) >> 20} MiB"
            self.refuse(UsageError(f"the answer has {size}", hint="Ask for less at once."))
            return
        self._end()
        self.connection.send_bytes(frame)

    def more(self, data: dict[str, Any]) -> None:
        """A part of a stream."""
        self.connection.send({"id": self.number, "more": data})

    def refuse(self, error: JobctlError) -> None:
        """An error as the final answer."""
        self._end()
        self.connection.refuse(self.number, error)

    def _end(self) -> None:
        connection = self.connection
        connection.open_requests -= 1
        if connection.open_requests == OPEN_REQUESTS - 1:
            connection.watch()

    @property
    def uid(self) -> int:
        """Who asks."""
        return self.connection.peer.uid

    @property
    def sees_all(self) -> bool:
        """Who asks sees the jobs of everybody."""
        return self.connection.role in (Role.ADMINISTRATOR, Role.SEER)

    @property
    def changes_all(self) -> bool:
        """Who asks may end and begin the jobs of everybody."""
        return self.connection.role is Role.ADMINISTRATOR


class Server:
    """Listens, reads requests into `take`, and ends connections."""

    def __init__(self, loop: Loop, *, access: Access, mode: str = "up") -> None:
        self._loop = loop
        self.access = access
        self._mode = mode
        self._listener: socket.socket | None = None
        self._path: Path | None = None
        self._place = (0, 0)
        self._connections: set[Connection] = set()
        self._strangers: dict[Connection, None] = {}
        self._half_frames_bytes = 0
        self.unread_bytes = 0
        # Given up for a moment when there are no descriptors left, to turn a client away in order.
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._calls: deque[Call] = deque()
        self._on_close: list[Callable[[Connection], None]] = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._limit = max(min(hard, 65_536) - _SPARE_DESCRIPTORS, 64)

    def inspect(self, path: Path) -> None:
        """Find out early whether `listen` would be refused. Raises as it does; changes nothing."""
        if path.is_socket():
            _refuse_living(path)
        elif path.is_symlink() or path.exists():
            raise StateDirectoryUnusable(
                f'"{path}" is there and is no socket',
                hint="Move it away, or set socket to another path.",
            )

    def listen(self, path: Path, *, gid: int | None = None, mode: int = 0o600) -> None:
        """Listen at ``path``, in place of what an earlier daemon left there; for a group where one is given.

        Raises:
            StateDirectoryUnusable: the folder cannot be written, or somebody else listens there.
        """
        self.inspect(path)
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if gid is None and mode == 0o600:
                self._listener = bind_unix(path, backlog=_BACKLOG)
            else:
                self._listener = bind_unix_for(path, backlog=_BACKLOG, gid=gid, mode=mode)
        except OSError as error:
            raise StateDirectoryUnusable(
                f'the socket "{path}" cannot be made: {error.strerror or error}',
                hint="Set socket to a path in a folder that the daemon's user may write.",
            ) from error
        self._path = path
        found = path.stat()
        self._place = (found.st_dev, found.st_ino)
        self._loop.watch(self._listener.fileno(), self._accept)

    def take_over(self, listener: socket.socket) -> None:
        """Listen at a socket that a service manager made: it is neither closed nor removed at the end."""
        self._listener = listener
        self._loop.watch(listener.fileno(), self._accept)

    def take_access(self, access: Access) -> None:
        """Judge by this from now on, those who are connected too."""
        self.access = access
        for connection in list(self._connections):
            connection.role = access.role_of(connection.peer)
            if connection.role is Role.STRANGER and connection.is_greeted:
                connection.close()

    def serve(self, connection: socket.socket, peer: Peer) -> Connection:
        """Serve one connection that exists already."""
        connection.setblocking(False)
        served = Connection(connection, peer, self, self._loop)
        self._connections.add(served)
        self._strangers[served] = None
        self._loop.watch(connection.fileno(), served.ready)
        return served

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(256):
            try:
                connection, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._turn_one_away()
                    continue
                logger.warning("a client was not accepted", extra=fields(reason=str(error)))
                return
            if len(self._connections) >= self._limit and not self._end_a_stranger():
                connection.close()
                continue
            self.serve(connection, peer_of(connection))

    def _end_a_stranger(self) -> bool:
        """Make room: end the oldest connection that never said hello. False when there is none."""
        for stranger in self._strangers:
            stranger.close()
            return True
        return False

    def _turn_one_away(self) -> None:
        """There is no descriptor for a client. Left in the backlog it would call for turn after turn."""
        assert self._listener is not None
        os.close(self._spare)
        try:
            self._listener.accept()[0].close()
        except OSError as error:
            logger.warning("a client was not turned away", extra=fields(reason=str(error)))
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def note_half_frames(self, grown_bytes: int) -> None:
        """Unfinished frames hold this much more. Raises ProtocolError when it is too much for all."""
        self._half_frames_bytes += grown_bytes
        if grown_bytes > 0 and self._half_frames_bytes > _HALF_FRAMES_BYTES:
            raise ProtocolError(
                "too many clients send too much at once", hint="Try again in a moment."
            )

    def hear(self, connection: Connection, frame: bytes) -> None:
        """One frame: a request for the next turn, or an error at once.

        Raises:
            ProtocolError: the frame is not one of ours; the connection cannot be used any more.
        """
        try:
            data = loads(frame.decode())
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"a frame is not JSON: {error}") from None
        if not isinstance(data, dict):
            raise ProtocolError("a frame is not a JSON object")
        number = data.pop("id", None)
        name = data.pop("do", None)
        if type(number) is not int:
            raise ProtocolError('a frame lacks its "id", an integer')
        kind = REQUESTS.get(name) if isinstance(name, str) else None
        if kind is None:
            connection.refuse(number, ProtocolError(f"there is no request {_cut(repr(name))}"))
            return
        try:
            request = read(kind, data)
        except ProtocolError as error:
            connection.refuse(number, error)
            return
        if isinstance(request, Hello):
            self._greet(connection, number, request)
        elif not connection.is_greeted:
            raise ProtocolError("a connection begins with a hello")
        else:
            connection.open_requests += 1
            self._calls.append(Call(connection, number, request))

    def _greet(self, connection: Connection, number: int, hello: Hello) -> None:
        common = max((p for p in PROTOCOLS if p in hello.protocol), default=None)
        if common is None:
            error = VersionMismatch(
                f"this daemon is jobctl {__version__} and speaks protocol "
                f"{', '.join(map(str, PROTOCOLS))}; the client is {hello.version}",
                hint="Use the jobctl command of the daemon's version.",
            )
            connection.refuse(number, error)
            return
        if connection.role is Role.STRANGER:
            error_ = NotAllowed(
                f"uid {connection.peer.uid} may not speak to this daemon",
                hint="Use the account that the daemon runs as, root, or a member of its socket_group.",
            )
            connection.refuse(number, error_)
            connection.close()
            return
        connection.is_greeted = True
        self._strangers.pop(connection, None)
        answer = {
            "protocol": common,
            "version": __version__,
            "pid": os.getpid(),
            "daemon": self._mode,
        }
        connection.send({"id": number, "ok": answer})

    def take(self) -> list[Call]:
        """The requests that came since the last call."""
        calls = list(self._calls)
        self._calls.clear()
        return calls

    @property
    def has_calls(self) -> bool:
        """Requests wait for a turn."""
        return bool(self._calls)

    def on_close(self, callback: Callable[[Connection], None]) -> None:
        """Call back when a client has gone; each of those that ask."""
        self._on_close.append(callback)

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._strangers.pop(connection, None)
        self._half_frames_bytes -= connection.held_bytes
        self.unread_bytes -= len(connection.unsent)
        for callback in self._on_close:
            callback(connection)

    @property
    def is_alone(self) -> bool:
        """No client is connected."""
        return not self._connections

    def close(self) -> None:
        """End every connection and remove the socket, unless another daemon has put its own there."""
        for connection in list(self._connections):
            connection.close()
        os.close(self._spare)
        if self._listener is None:
            return
        self._loop.unwatch(self._listener.fileno())
        if self._path is None:
            return
        # While the listener is open nobody else's socket can have its number.
        with suppress(FileNotFoundError):
            found = self._path.stat()
            if (found.st_dev, found.st_ino) == self._place:
                self._path.unlink()
        self._listener.close()


def describe(error: JobctlError) -> dict[str, Any]:
    """An error as the protocol carries it."""
    described: dict[str, Any] = {
        "code": error.code,
        # A client may have written what is quoted in it, sixteen MiB of it.
        "message": _cut(error.message),
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    problems = getattr(error, "problems", None)
    if problems is not None:
        described["problems"] = [
            {name: getattr(problem, name) for name in problem.__dataclass_fields__}
            for problem in problems
        ]
    return described


def _cut(text: str) -> str:
    if len(text) <= _MESSAGE_CHARACTERS:
        return text
    return f"{text[:_MESSAGE_CHARACTERS]}… ({len(text)} characters)"


def _refuse_living(path: Path) -> None:
    """Another daemon with another state directory may listen there."""
    try:
        connect_unix(path).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return
    except BlockingIOError:
        pass
    raise StateDirectoryUnusable(
        f'another process listens on "{path}"',
        hint="Stop that daemon, or give this one another socket.",
    )
