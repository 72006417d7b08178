"""The socket server: connections, frames, peers. It reads requests and sends answers; it decides nothing.

Memory is bounded whatever clients do: a frame has a limit, a connection whose answers are not read is
not read from either and is ended when too much waits for it, and connections over the limit are closed.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobctl import __version__
from jobctl.errors import (
    JobctlError,
    NotAllowed,
    ProtocolError,
    StateDirectoryUnusable,
    VersionMismatch,
)
from jobctl.logs import fields, logger
from jobctl.paths import bind_unix, connect_unix
from jobctl.protocol.framing import FrameBuffer
from jobctl.protocol.requests import PROTOCOLS, REQUESTS, Hello, Request, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobctl.engine.base import Poller

_RECEIVE_BYTES = 1 << 18
_UNREAD_PAUSE_BYTES = 1 << 20
_UNREAD_LIMIT_BYTES = 64 << 20
_BACKLOG = 1024
_SPARE_DESCRIPTORS: Final = 512
_dumps = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel says."""

    uid: int
    gid: int
    pid: int


class Connection:
    """One client."""

    __slots__ = ("_poller", "_server", "buffer", "is_greeted", "is_open", "peer", "sock", "unsent")

    def __init__(self, sock: socket.socket, peer: Peer, server: Server, poller: Poller) -> None:
        self.sock = sock
        self.peer = peer
        self.buffer = FrameBuffer()
        self.unsent = bytearray()
        self.is_greeted = False
        self.is_open = True
        self._server = server
        self._poller = poller

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
        if len(self.unsent) > _UNREAD_LIMIT_BYTES:
            # It asks and does not read: nobody else shall pay for it.
            self.close()
            return
        self._poller.watch(self.sock.fileno(), self._ready, write=True)

    def _ready(self) -> None:
        if self.unsent:
            try:
                sent = self.sock.send(self.unsent)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            del self.unsent[:sent]
            if not self.unsent:
                self._poller.watch(self.sock.fileno(), self._ready)
        if len(self.unsent) < _UNREAD_PAUSE_BYTES:
            self.read()

    def read(self) -> None:
        """Take what has arrived."""
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
            for frame in self.buffer.feed(data):
                self._server.hear(self, frame)
        except ProtocolError as error:
            self.refuse(None, error)
            self.close()

    def refuse(self, number: int | None, error: JobctlError) -> None:
        """Answer a request with an error."""
        described: dict[str, Any] = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
        problems = getattr(error, "problems", None)
        if problems is not None:
            described["problems"] = [
                {name: getattr(problem, name) for name in problem.__dataclass_fields__}
                for problem in problems
            ]
        self.send({"id": number, "error": described})

    def close(self) -> None:
        """End the connection. Safe to repeat."""
        if self.is_open:
            self.is_open = False
            self._poller.unwatch(self.sock.fileno())
            self.sock.close()
            self._server.forget(self)


@dataclass(frozen=True, slots=True)
class Call:
    """A request and where its answer goes."""

    connection: Connection
    number: int
    request: Request

    def answer(self, data: dict[str, Any]) -> None:
        """The final answer."""
        self.connection.send({"id": self.number, "ok": data})

    def more(self, data: dict[str, Any]) -> None:
        """A part of a stream."""
        self.connection.send({"id": self.number, "more": data})

    def refuse(self, error: JobctlError) -> None:
        """An error as the final answer."""
        self.connection.refuse(self.number, error)

    @property
    def uid(self) -> int:
        """Who asks."""
        return self.connection.peer.uid


class Server:
    """Listens, reads requests into `take`, and ends connections."""

    def __init__(self, poller: Poller, *, allowed_uids: frozenset[int], mode: str = "up") -> None:
        self._poller = poller
        self._allowed = allowed_uids
        self._mode = mode
        self._listener: socket.socket | None = None
        self._path: Path | None = None
        self._inode = 0
        self._connections: set[Connection] = set()
        self._calls: deque[Call] = deque()
        self._on_close: Callable[[Connection], None] = lambda _connection: None
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._limit = max(min(hard, 65_536) - _SPARE_DESCRIPTORS, 64)

    def listen(self, path: Path) -> None:
        """Listen at ``path``, in place of what an earlier daemon left there.

        Raises:
            StateDirectoryUnusable: the folder cannot be written, or somebody else listens there.
        """
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if path.is_socket():
                _refuse_living(path)
                path.unlink()
            self._listener = bind_unix(path, backlog=_BACKLOG)
        except OSError as error:
            raise StateDirectoryUnusable(
                f'the socket "{path}" cannot be made: {error.strerror or error}',
                hint="Set socket to a path in a folder that the daemon's user may write.",
            ) from error
        self._path = path
        self._inode = path.stat().st_ino
        self._poller.watch(self._listener.fileno(), self._accept)

    def serve(self, connection: socket.socket, peer: Peer) -> Connection:
        """Serve one connection that exists already."""
        connection.setblocking(False)
        served = Connection(connection, peer, self, self._poller)
        self._connections.add(served)
        self._poller.watch(connection.fileno(), served._ready)
        return served

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(256):
            try:
                connection, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                logger.warning("a client was not accepted", extra=fields(reason=str(error)))
                return
            if len(self._connections) >= self._limit:
                connection.close()
                continue
            self.serve(connection, _peer(connection))

    def hear(self, connection: Connection, frame: bytes) -> None:
        """One frame: a request for the next turn, or an error at once.

        Raises:
            ProtocolError: the frame is not one of ours; the connection cannot be used any more.
        """
        try:
            data = json.loads(frame)
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
            connection.refuse(number, ProtocolError(f'there is no request "{name}"'))
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
        if connection.peer.uid not in self._allowed:
            error_ = NotAllowed(
                f"uid {connection.peer.uid} may not speak to this daemon",
                hint="Use the account that the daemon runs as, or root.",
            )
            connection.refuse(number, error_)
            connection.close()
            return
        connection.is_greeted = True
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
        """Call back when a client has gone."""
        self._on_close = callback

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._on_close(connection)

    @property
    def is_alone(self) -> bool:
        """No client is connected."""
        return not self._connections

    def close(self) -> None:
        """End every connection and remove the socket, unless another daemon has put its own there."""
        for connection in list(self._connections):
            connection.close()
        if self._listener is None or self._path is None:
            return
        self._poller.unwatch(self._listener.fileno())
        self._listener.close()
        try:
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass


def _peer(connection: socket.socket) -> Peer:
    """Who connected, when it connected (unix(7), SO_PEERCRED)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", data)
    return Peer(uid, gid, pid)


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
