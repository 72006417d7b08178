"""A client that says anything: bytes on the daemon's socket, and the frames that come back."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Self

from jobctl import __version__
from jobctl.paths import connect_unix
from jobctl.protocol.requests import PROTOCOLS
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

HELLO = {"id": 0, "do": "hello", "protocol": list(PROTOCOLS), "version": __version__}


class Wire:
    """One connection. Reading waits, with a generous limit."""

    def __init__(self, path: Path, *, greets: bool = True) -> None:
        self.socket = connect_unix(path, timeout_s=20 * PATIENCE)
        self._received = b""
        if greets:
            assert self.ask(HELLO)["ok"]["pid"]

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def say(self, *frames: object) -> None:
        """Send values as frames, all at once."""
        self.send(b"".join(json.dumps(frame).encode() + b"\n" for frame in frames))

    def ask(self, frame: dict[str, Any]) -> Any:
        """Send a frame and give back the next one that comes."""
        self.say(frame)
        return self.hear()

    def hear(self) -> Any:
        """The next frame; None when the daemon has ended the connection."""
        while b"\n" not in self._received:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._received += data
        frame, _, self._received = self._received.partition(b"\n")
        return json.loads(frame)

    def is_ended(self) -> bool:
        """The daemon ends the connection, whatever it still says."""
        while self.hear() is not None:
            pass
        return True

    def close(self) -> None:
        """Go without a word."""
        self.socket.close()

    def half_close(self) -> None:
        """Say that nothing more will be said, and go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
