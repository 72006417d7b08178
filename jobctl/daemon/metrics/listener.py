"""A small HTTP server for scrapes, on a loopback address. It knows ``GET`` and ``HEAD`` of ``/metrics`` and
nothing else, answers each connection once and closes it (RFC 9112, ``Connection: close``).

Whoever can connect is a user of this host: so connections, requests and patience are bounded, and a client that
does not read loses its connection, not the daemon its time.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from jobctl.exposition import OPENMETRICS, TEXT
from jobctl.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jobctl.clock import Clock
    from jobctl.daemon.loop import Loop

    Expose = Callable[[bool], Generator[None, None, str]]

MOST_CONNECTIONS: Final = 16
PATIENCE_S: Final = 10.0
"""How long a connection may take for its request, and for reading its answer."""
_BACKLOG: Final = 128
_MOST_REQUEST_BYTES: Final = 8192
_ABOUT: Final = "jobctl: metrics are at /metrics\n"


class Listener:
    """Listens at ``address`` (``127.0.0.1:9750``). Raises OSError."""

    def __init__(self, address: str, *, loop: Loop, clock: Clock, expose: Expose) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, int(port)))
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self._loop = loop
        self._clock = clock
        self._expose = expose
        # The oldest first.
        self._scrapes: dict[_Scrape, None] = {}
        loop.watch(self._socket.fileno(), self._accept)

    @property
    def port(self) -> int:
        """The port that is listened at."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def wants_turn(self) -> bool:
        """Some answer is being put together."""
        return any(scrape.work is not None for scrape in self._scrapes)

    def step(self, monotonic: float) -> None:
        """A slice of each answer; the end of those who took too long."""
        for scrape in list(self._scrapes):
            if monotonic >= scrape.ends_at:
                scrape.close()
            else:
                scrape.step()

    def deadline(self) -> float | None:
        """When the first connection has taken too long."""
        return min((scrape.ends_at for scrape in self._scrapes), default=None)

    def forget(self, scrape: _Scrape) -> None:
        """A connection has ended."""
        self._scrapes.pop(scrape, None)

    def close(self) -> None:
        """End everything."""
        for scrape in list(self._scrapes):
            scrape.close()
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self._scrapes) >= MOST_CONNECTIONS:
            next(iter(self._scrapes)).close()
        ends_at = self._clock.monotonic() + PATIENCE_S
        self._scrapes[_Scrape(connection, ends_at, self, self._loop, self._expose)] = None


class _Scrape:
    """One connection: a request, an answer."""

    def __init__(
        self,
        connection: socket.socket,
        ends_at: float,
        listener: Listener,
        loop: Loop,
        expose: Expose,
    ) -> None:
        self.ends_at = ends_at
        self.work: Generator[None, None, str] | None = None
        self._connection = connection
        self._listener = listener
        self._loop = loop
        self._expose = expose
        self._received = b""
        self._unsent = b""
        self._kind = TEXT
        self._is_head = False
        loop.watch(connection.fileno(), self._read)

    def close(self) -> None:
        """End the connection."""
        self._listener.forget(self)
        if self.work is not None:
            self.work.close()
            self.work = None
        self._loop.unwatch(self._connection.fileno())
        self._connection.close()

    def _read(self) -> None:
        try:
            data = self._connection.recv(2 * _MOST_REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if len(self._received) > _MOST_REQUEST_BYTES:
            self._loop.watch(self._connection.fileno(), self._drop)
            self._send("431 Request Header Fields Too Large", "")
        elif end:
            # What follows is no business of ours; without reading it, its end would be noticed too late.
            self._loop.watch(self._connection.fileno(), self._drop)
            self._received = b""
            self._answer(head.decode("latin-1").split("\r\n"))

    def _drop(self) -> None:
        try:
            if self._connection.recv(_MOST_REQUEST_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()

    def _answer(self, lines: list[str]) -> None:
        method, _, rest = lines[0].partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            self._send("400 Bad Request", "")
            return
        self._is_head = method == "HEAD"
        path = target.partition("?")[0]
        if method not in {"GET", "HEAD"}:
            self._send("405 Method Not Allowed", "", "Allow: GET, HEAD\r\n")
        elif path == "/metrics":
            is_open = any(
                line.lower().startswith("accept:") and "application/openmetrics-text" in line
                for line in lines[1:]
            )
            self._kind = OPENMETRICS if is_open else TEXT
            self.work = self._expose(is_open)
        elif path == "/":
            self._send("200 OK", _ABOUT)
        else:
            self._send("404 Not Found", _ABOUT)

    def step(self) -> None:
        """A slice of the answer."""
        if self.work is None:
            return
        try:
            next(self.work)
        except StopIteration as end:
            self.work = None
            self._send("200 OK", end.value)
        except Exception:  # noqa: BLE001 -- a fault of ours in a metric must not end the daemon
            self.work = None
            logger.exception("metrics cannot be put together")
            self._send("500 Internal Server Error", "")

    def _send(self, status: str, text: str, more: str = "") -> None:
        body = text.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {self._kind}\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n"
        )
        self._unsent = head.encode() + (b"" if self._is_head else body)
        self._loop.watch(self._connection.fileno(), self._write, write=True, read=False)

    def _write(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self.close()
