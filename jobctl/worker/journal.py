"""A copy of a command's output lines to the journal, in its native protocol.

Each line is one datagram of ``FIELD=value`` lines (systemd.io/JOURNAL_NATIVE_PROTOCOL), with the job it belongs
to. It is a copy: what the journal does not take in time is missing there, is counted, and the command goes
on. What is kept of an output with its attempt does not depend on it.
"""

from __future__ import annotations

import _socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.worker.output import Output

JOURNAL = "/run/systemd/journal/socket"

_LONGEST_LINE = 48 * 1024
"""As journald itself splits what comes over a stream (LineMax= in journald.conf(5))."""

_SEND_BYTES = 8 << 20

_PATIENCE_S = 0.1
"""How long one line may wait for a journal that takes nothing."""
_LONGEST_S = 2.0
"""How long the lines of one read may take, with a journal that is slow: the keeper does nothing else then."""


class Journal:
    """One stream's way to the journal. None of its methods fails."""

    __slots__ = ("_fields", "_lost", "_path", "_refusal", "_rest", "_socket")

    def __init__(self, fields: dict[str, str], path: str = JOURNAL) -> None:
        self._path = path
        text = "".join(f"{name}={_plain(value)}\n" for name, value in fields.items())
        self._fields = text.encode(errors="replace")
        self._socket: _socket.socket | None = None
        self._rest = b""
        self._lost = 0
        self._refusal = ""

    def write(self, data: bytes) -> None:
        """Take more output."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) >= _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        self._send(lines)

    def close(self) -> None:
        """The attempt has ended: send what has no end of line."""
        if self._rest:
            self._send([self._rest])
            self._rest = b""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def trouble(self) -> str:
        """What is missing there, as a sentence; empty when nothing is."""
        if not self._lost:
            return ""
        return f"{self._lost} lines did not reach the journal: {self._refusal}"

    def _send(self, lines: list[bytes]) -> None:
        pieces = [piece for line in lines for piece in _pieces(line)]
        begun = time.monotonic()
        for position, piece in enumerate(pieces):
            try:
                if time.monotonic() - begun > _LONGEST_S:
                    raise TimeoutError("timed out")
                if self._socket is None:
                    self._socket = self._connect()
                self._socket.send(self._fields + b"MESSAGE=" + piece + b"\n")
            except OSError as error:
                # Not one by one: each would wait as long. A restarted journal has another socket.
                self._refusal = error.strerror or str(error)
                self._lost += len(pieces) - position
                if self._socket is not None:
                    self._socket.close()
                    self._socket = None
                return

    def _connect(self) -> _socket.socket:
        made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            # As libsystemd asks for; the kernel gives less to whoever is not root (socket(7), wmem_max).
            made.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, _SEND_BYTES)
            made.settimeout(_PATIENCE_S)
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made


class Tee:
    """What is written to it goes to an output and to the journal."""

    __slots__ = ("_journal", "_output")

    def __init__(self, output: Output, journal: Journal) -> None:
        self._output = output
        self._journal = journal

    def write(self, data: bytes) -> None:
        """Take more output."""
        self._output.write(data)
        self._journal.write(data)


def _plain(value: str) -> str:
    return value.replace("\n", " ")


def _pieces(line: bytes) -> list[bytes]:
    return [line[begin : begin + _LONGEST_LINE] for begin in range(0, len(line), _LONGEST_LINE)]
