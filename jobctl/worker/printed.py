"""What functions print, and what the processes that they start write: kept with the attempt.

Descriptors 1 and 2 of a worker are a pipe, and its template reads it: a worker that is busy in user code
reads nothing, and a full pipe would stop it. ``sys.stdout`` and ``sys.stderr`` are one ordinary text stream
on top of descriptor 1, so that they do all that such a stream does. Each line that ends goes into the pipe
at once: a worker that is killed cannot say any more what it had printed, and that is what somebody wants to
know who asks why it hung. A job that prints nothing costs nothing.

At the end of a job whose output has passed through the pipe, its worker writes an end mark into the pipe,
a secret of the two, and the template answers with what came before it. Whether anything has passed is
known by asking how much the pipe holds, and then how often the template has read: it counts *before* it
reads, so that nothing can be in neither place.

A worker that died in a job cannot ask. Its template leaves what came since the last mark in the worker's
folder (`leave_last_words`), before it notes how the worker ended: whoever buries it finds it there
(`read_last_words`), also a daemon that starts later. When the template is dead too, nobody has it.

What a process writes that outlives its job belongs to the job that comes next.
"""

from __future__ import annotations

import errno
import fcntl
import io
import mmap
import os
import stat
import struct
import sys
import termios
from typing import Any

from jobctl.worker.output import ROW_BYTES

_HALF = ROW_BYTES // 2
_READ_BYTES = 65_536
_count = struct.Struct("@Q")
_answer = struct.Struct("@QI")
"""The template's answer: how much was written in all, and how many bytes of it follow."""

_LAST_WORDS = "last_words"
_MOST_BYTES = (1 << 63) - 1


class Ends:
    """The first and the last part of what is written: bounded, whatever comes."""

    __slots__ = ("_head", "_tail", "_total")

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def write(self, data: bytes) -> None:
        """Take more."""
        self._total += len(data)
        room = _HALF - len(self._head)
        self._head += data[:room]
        self._tail += data[max(room, len(data) - _HALF) :]
        if len(self._tail) > 2 * _HALF:
            del self._tail[:-_HALF]

    def take(self) -> tuple[bytes, int]:
        """What was kept, and how much was written in all; begins anew."""
        found = bytes(self._head + self._tail[-_HALF:]), self._total
        self._head.clear()
        self._tail.clear()
        self._total = 0
        return found


class Pipes:
    """What a worker and its template share: made by the template before it forks.

    Raises:
        OSError: there are too many descriptors; nothing is left open.
    """

    __slots__ = (
        "_known",
        "answers_read",
        "answers_write",
        "end",
        "output_read",
        "output_write",
        "reads",
    )

    def __init__(self) -> None:
        self.output_read, self.output_write = os.pipe2(os.O_CLOEXEC)
        try:
            self.answers_read, self.answers_write = os.pipe2(os.O_CLOEXEC)
        except OSError:
            self._close(self.output_read, self.output_write)
            raise
        self.end = os.urandom(16)
        self.reads = mmap.mmap(-1, mmap.PAGESIZE)
        self._known = self._identities()

    def _identities(self) -> list[tuple[int, int]]:
        found = map(os.fstat, (self.output_write, self.answers_read))
        return [(status.st_dev, status.st_ino) for status in found]

    def are_whole(self) -> bool:
        """The worker's descriptors are still these: user code may have closed them, and opened others."""
        try:
            return self._identities() == self._known
        except OSError:
            return False

    @staticmethod
    def _close(*fds: int) -> None:
        for fd in fds:
            os.close(fd)

    def close(self) -> None:
        """Nobody was forked."""
        self._close(self.output_read, self.output_write, self.answers_read, self.answers_write)

    def keep_template_end(self) -> None:
        """In the template, after the fork."""
        self._close(self.output_write, self.answers_read)
        os.set_blocking(self.output_read, False)
        os.set_blocking(self.answers_write, False)

    def close_template_end(self) -> None:
        """Only what `keep_template_end` has left."""
        self._close(self.output_read, self.answers_write)

    def keep_worker_end(self) -> None:
        """In the worker: from here on descriptors 1 and 2 lead to the template."""
        self.close_template_end()
        self.restore()

    def restore(self) -> None:
        """Let 1 and 2 lead there again, wherever user code has led them."""
        os.dup2(self.output_write, 1)
        os.dup2(self.output_write, 2)


class Reader:
    """The template's side of one worker's output."""

    def __init__(self, pipes: Pipes, pid: int) -> None:
        self._pipes = pipes
        self.pid = pid
        self.has_ended = False
        self._count = 0
        self._ends = Ends()
        self._rest = b""
        self.fd = pipes.output_read

    def read(self) -> bool:
        """Take what has come; False when nobody can write any more."""
        try:
            data = self._take()
        except BlockingIOError:
            return True
        if not data:
            self.has_ended = True
            return False
        *ended, rest = (self._rest + data).split(self._pipes.end)
        for part in ended:
            self._ends.write(part)
            self._answer()
        # The mark may have come in part.
        cut = max(len(rest) - len(self._pipes.end) + 1, 0)
        self._ends.write(rest[:cut])
        self._rest = rest[cut:]
        return True

    def _take(self) -> bytes:
        self._count += 1
        _count.pack_into(self._pipes.reads, 0, self._count)
        return os.read(self.fd, _READ_BYTES)

    def _answer(self) -> None:
        kept, total = self._ends.take()
        try:
            os.write(self._pipes.answers_write, _answer.pack(total, len(kept)) + kept)
        except OSError:
            return  # User code plays with the secret, or the worker is dead.

    def last_words(self) -> tuple[bytes, int]:
        """What a dead worker wrote and nobody has asked for, its first and last part, and how much in all:
        mostly why it died."""
        self._ends.write(self._rest)
        self._rest = b""
        try:
            # As much as a pipe holds: what it left running may go on to write.
            self._ends.write(self._take())
        except BlockingIOError:
            pass
        return self._ends.take()

    def close(self) -> None:
        """Let go of the pipes; whoever still writes is told that nobody reads (EPIPE)."""
        self._pipes.close_template_end()


class _Descriptor(io.RawIOBase):
    """Descriptor 1 as the lowest layer of a stream; never closed by the stream."""

    name = "<stdout>"
    mode = "wb"

    def __init__(self) -> None:
        self.held: list[bytes] | None = None
        self.unread: Ends | None = None

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def fileno(self) -> int:
        """What processes that are started with this stream as their output inherit."""
        return 1

    def write(self, data: Any, /) -> int:
        """Write through to the pipe or, at the end of a job, hold the rest back.

        A job must not fail because its template is dead, or something has closed descriptor 1.
        """
        if self.held is not None:
            self.held.append(bytes(data))
            return len(self.held[-1])
        try:
            return os.write(1, data)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EBADF):
                raise
            self.unread = self.unread or Ends()
            self.unread.write(bytes(data))
            return len(data)


class Printed:
    """The worker's side. ``stream`` is what ``sys.stdout`` and ``sys.stderr`` are during a job."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        self._reads = _count.pack(0)
        self._held = bytearray(4)
        self._make_stream()

    def _make_stream(self) -> None:
        self._raw = _Descriptor()
        self.stream = io.TextIOWrapper(
            io.BufferedWriter(self._raw),
            encoding="utf-8",
            errors="surrogateescape",
            line_buffering=True,
        )

    def begin(self) -> None:
        """For each job anew: the last one may have put something else there, or None."""
        sys.stdout = sys.stderr = self.stream

    def take(self) -> tuple[bytes, int]:
        """What was written since the last call, its first and last part, and how much in all.

        Waits for the template when something has passed through the pipe.
        """
        raw = self._raw
        raw.held = []
        try:
            self.stream.flush()
        except ValueError:
            # Closed, or taken apart; both flush first.
            self._make_stream()
        held, raw.held = b"".join(raw.held), None
        own = b"", 0
        if held or raw.unread:
            ends, raw.unread = raw.unread or Ends(), None
            ends.write(held)
            own = ends.take()
        return self._ask(own) if self._has_passed() else own

    def _has_passed(self) -> bool:
        try:
            fcntl.ioctl(self._pipes.output_write, termios.FIONREAD, self._held)
        except OSError:
            return False  # User code has closed it.
        return self._held != b"\0\0\0\0" or self._pipes.reads[: _count.size] != self._reads

    def _ask(self, own: tuple[bytes, int]) -> tuple[bytes, int]:
        """What has passed, and then the worker's ``own``, that has not; only that if nobody answers."""
        pipes = self._pipes
        if not pipes.are_whole():
            return own
        # asyncio, for one, may have changed that, and it is the same for all who share the pipe.
        os.set_blocking(pipes.output_write, True)
        try:
            data = own[0] + pipes.end
            while data:
                data = data[os.write(pipes.output_write, data) :]
            total, size = _answer.unpack(self._read(_answer.size))
            kept = self._read(size)
        except (BrokenPipeError, EOFError):
            # The template is dead, and what it had read with it.
            return own
        self._reads = pipes.reads[: _count.size]
        return kept, total + own[1] - len(own[0])

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            data = os.read(self._pipes.answers_read, size - len(found))
            if not data:
                raise EOFError
            found += data
        return found

    def restore(self) -> None:
        """Let descriptors 1 and 2 lead here again."""
        if self._pipes.are_whole():
            self._pipes.restore()

    def close(self) -> None:
        """In a fork of user code: only its descriptors 1 and 2 lead here."""
        os.closerange(self._pipes.output_write, self._pipes.output_write + 1)
        os.closerange(self._pipes.answers_read, self._pipes.answers_read + 1)


def leave_last_words(directory: str, token: int, words: tuple[bytes, int]) -> None:
    """In the template: leave what a dead worker wrote in the attempt ``token`` in the worker's folder.

    Raises:
        OSError: the disk refused.
    """
    kept, total = words
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(f"{directory}/{_LAST_WORDS}", flags, 0o600)
    try:
        # In one piece: a template that is killed leaves all of it or nothing.
        os.write(fd, b"%d %d\n" % (token, total) + kept)
    finally:
        os.close(fd)


def read_last_words(directory: str) -> tuple[int, bytes, int] | None:
    """What `leave_last_words` left: token, first and last part, how much in all; None when there is nothing
    of the kind. The folder may be another user's: whatever else lies there counts as nothing."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(f"{directory}/{_LAST_WORDS}", flags)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        head, _, kept = os.read(fd, ROW_BYTES + 64).partition(b"\n")
    except OSError:
        return None
    finally:
        os.close(fd)
    words = head.split()
    if len(words) != 2 or not all(word.isdigit() and len(word) < 20 for word in words):
        return None
    kept = kept[:ROW_BYTES]
    return int(words[0]), kept, min(max(int(words[1]), len(kept)), _MOST_BYTES)
