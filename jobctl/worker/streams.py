"""``sys.stdout`` and ``sys.stderr`` of a worker of many jobs: each line goes to the job that wrote it.

All jobs share one process and its descriptors 1 and 2, so the pipe of `jobctl.worker.printed` cannot tell
them apart. What Python code writes is kept by the job in whose context it runs (`contextvars`): its own
coroutine, the tasks that it starts, and what it hands to `asyncio.to_thread`. What is written past Python,
by C code or by other programs, belongs to no job; it goes through the pipe to the worker's template.

What is kept lies in the worker's memory until the job ends: a worker that is killed takes it along.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jobctl.worker.printed import Ends

current: Final[ContextVar[Ends | None]] = ContextVar("jobctl_printed", default=None)
"""Where the job of this context keeps what it writes; None outside of jobs."""


class _Bytes(io.RawIOBase):
    """What ``sys.stdout.buffer`` is here."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def fileno(self) -> int:
        """What processes that are started with this stream as their output inherit."""
        return self._fd

    def write(self, data: Any, /) -> int:
        """Give it to the job of this context; outside of jobs, to the descriptor."""
        whole = bytes(data)
        ends = current.get()
        if ends is not None:
            ends.write(whole)
        else:
            # Nobody must fail because nobody reads any more.
            with contextlib.suppress(OSError):
                os.write(self._fd, whole)
        return len(whole)


class JobStream(io.TextIOBase):
    """A text stream without a buffer: what two jobs write in turn must not meet in one."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, fd: int, name: str) -> None:
        self.buffer = _Bytes(fd)
        self.name = name
        self.mode = "w"

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def fileno(self) -> int:
        """What processes that are started with this stream as their output inherit."""
        return self.buffer.fileno()

    def write(self, text: str, /) -> int:
        """Write a text; any surrogates in it are written as escapes."""
        self.buffer.write(text.encode(self.encoding, self.errors))
        return len(text)

    def close(self) -> None:
        """Nothing: it is the stream of all the other jobs, too."""


_STDOUT: Final = JobStream(1, "<stdout>")
_STDERR: Final = JobStream(2, "<stderr>")


def install() -> None:
    """Let these be the streams of the process, whatever user code has put there."""
    sys.stdout, sys.stderr = _STDOUT, _STDERR
