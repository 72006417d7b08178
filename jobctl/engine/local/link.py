"""The daemon's end of a channel to a template, worker or keeper: JSON lines, never blocking."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import ProtocolError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from jobctl.engine.base import Poller

PROTOCOLS: Final = (1,)
"""Numbers of the worker protocol that this side speaks, oldest first."""

_RECEIVE_BYTES = 1 << 16
"""Small enough that the allocator keeps the buffer: a larger one is mapped and unmapped each time."""

_RECEIVE_MOST_BYTES = 1 << 22
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_dumps = json.JSONEncoder(separators=(",", ":")).encode


class Link:
    """One connection. ``on_messages`` gets whole messages and may raise ProtocolError.

    ``on_fault`` is called once, after that or after what is no message at all; the connection is closed
    then. ``on_end`` is called once, when the other side has closed; that says nothing about its life: a
    pidfd tells when it has died. ``on_drained`` is called when all that had to wait has left this
    process.
    """

    def __init__(
        self,
        connection: socket.socket,
        poller: Poller,
        *,
        on_messages: Callable[[list[dict[str, Any]]], None],
        on_fault: Callable[[ProtocolError], None],
        on_end: Callable[[], None] | None = None,
        on_drained: Callable[[], None] | None = None,
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._poller = poller
        self._on_messages = on_messages
        self._on_fault = on_fault
        self._on_end = on_end
        self._on_drained = on_drained
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._unsent = b""
        self._later = b""
        self._size = _RECEIVE_BYTES
        self._is_open = True
        poller.watch(connection.fileno(), self._ready)

    @property
    def is_open(self) -> bool:
        """The other side has not ended the connection, as far as this side knows."""
        return self._is_open

    @property
    def is_drained(self) -> bool:
        """All that was sent has left this process."""
        return not self._unsent

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; what the socket does not take now is sent when it can."""
        self.send_bytes(_dumps(message).encode() + b"\n")

    def send_later(self, data: bytes) -> None:
        """Send whole lines together with the next message, or at the next `flush`.

        Every send wakes the other side: an acknowledgement and the next order shall wake it once.
        """
        self._later += data

    def flush(self) -> None:
        """Send what was left for later."""
        if self._later:
            self.send_bytes(b"")

    def send_bytes(self, data: bytes) -> None:
        """Send whole lines that are JSON already."""
        if not self._is_open:
            return
        data, self._later = self._later + data, b""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._connection.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # The end is read from the same socket, after what the other side still said.
        if sent < len(data):
            self._unsent = data[sent:]
            self._poller.watch(self._connection.fileno(), self._ready, write=True)

    def _ready(self) -> None:
        if self._unsent:
            self._flush()
        self.read()

    def _flush(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._unsent = b""
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._poller.watch(self._connection.fileno(), self._ready)
            if self._on_drained is not None:
                self._on_drained()

    def read(self) -> None:
        """Take everything that has arrived."""
        while self._is_open:
            try:
                data = self._connection.recv(self._size)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                if self._on_end is not None:
                    self._on_end()
                return
            try:
                self._take(data)
            except ProtocolError as error:
                self._fail(error)
                return
            if self._received_bytes > _MAX_MESSAGE_BYTES:
                self._fail(ProtocolError("a message is longer than any may be"))
                return
            if len(data) < self._size:
                self._size = _RECEIVE_BYTES
                return
            # There is much of it: take more at once, or joining the parts would cost their square.
            self._size = min(self._size * 4, _RECEIVE_MOST_BYTES)

    def _take(self, data: bytes) -> None:
        """Hand over the whole messages; the pieces of a long one are joined once, when it is whole."""
        if b"\n" not in data:
            self._received.append(data)
            self._received_bytes += len(data)
            return
        *lines, rest = b"".join([*self._received, data]).split(b"\n")
        self._received = [rest] if rest else []
        self._received_bytes = len(rest)
        self._on_messages([_message(line) for line in lines])

    def _fail(self, error: ProtocolError) -> None:
        self.close()
        self._on_fault(error)

    def close(self) -> None:
        """Close; nobody is called. Safe to repeat."""
        if self._is_open:
            self._is_open = False
            self._poller.unwatch(self._connection.fileno())
            self._connection.close()


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError("a message is not an object")
    return message
