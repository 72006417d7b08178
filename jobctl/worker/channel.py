"""The worker's end of a channel to the daemon: JSON lines, one daemon at a time.

A worker listens; the daemon connects. When another connection arrives, a new daemon has taken over:
the old channel is closed *before* anything is read from the new one, so that no order of a dead
daemon can follow the greeting of the living one.
"""

from __future__ import annotations

import os

from jobctl.protocol.compact import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

PROTOCOLS = (1,)
"""Numbers of the worker protocol that this side speaks, oldest first."""

_RECEIVE_BYTES = 1 << 16
"""Small enough that the allocator keeps the buffer: a larger one is mapped and unmapped each time."""

_RECEIVE_MOST_BYTES = 1 << 22


class Channel:
    """One connection to a daemon, non-blocking.

    Reads and writes its descriptor itself: a socket object with its enumerations costs every keeper
    memory of its own.
    """

    __slots__ = ("_buffer", "_size", "fd")

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._buffer = b""
        self._size = _RECEIVE_BYTES

    def receive(self) -> list[dict[str, Any]] | None:
        """Every whole message that has arrived; None when the daemon is gone."""
        messages: list[dict[str, Any]] = []
        while True:
            try:
                data = os.read(self.fd, self._size)
            except BlockingIOError:
                return messages
            except OSError:
                return messages or None
            if not data:
                return messages or None
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            messages.extend(loads(line.decode()) for line in lines)
            if len(data) < self._size:
                self._size = _RECEIVE_BYTES
                return messages
            # There is much of it: take more at once, or joining the parts would cost their square.
            self._size = min(self._size * 4, _RECEIVE_MOST_BYTES)

    def send(self, message: dict[str, Any]) -> bool:
        """Send one message whole; False when the daemon is gone."""
        return self.send_text(dumps(message))

    def send_text(self, text: str) -> bool:
        """Send one message that is JSON already; waits while the daemon reads other things."""
        data = text.encode() + b"\n"
        try:
            sent = os.write(self.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        return sent == len(data) or self._send_rest(data[sent:])

    def _send_rest(self, data: bytes) -> bool:
        # The daemon is busy, not gone: it drains every channel in each turn.
        try:
            os.set_blocking(self.fd, True)
            while data:
                data = data[os.write(self.fd, data) :]
            os.set_blocking(self.fd, False)
        except OSError:
            return False
        return True

    def hint(self, message: dict[str, Any]) -> bool:
        """Send one message if that needs no waiting; False when it was not sent."""
        data = dumps(message).encode() + b"\n"
        try:
            sent = os.write(self.fd, data)
        except OSError:
            return False
        # A part of a line would make the next one unreadable.
        return sent == len(data) or self._send_rest(data[sent:])

    def close(self) -> None:
        """Close. Only once: the number may be another descriptor's afterwards."""
        try:
            os.close(self.fd)
        except OSError:
            return  # User code has closed what was not its own.


def accept(listener: _socket.socket) -> Channel | None:
    """The newest connection that waits at ``listener``; older ones are closed. None when none is."""
    newest = -1
    while True:
        try:
            # What `socket.accept` does without making an object.
            fd, _ = listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return Channel(newest) if newest >= 0 else None
        if newest >= 0:
            os.close(newest)
        newest = fd


def common_protocol(offered: object) -> int | None:
    """The highest number that both sides speak, or None."""
    if not isinstance(offered, list):
        return None
    return max((number for number in PROTOCOLS if number in offered), default=None)
