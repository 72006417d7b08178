"""Begin and end marks: what a function worker leaves in a mapped file, for whoever buries it.

A worker may hold a batch of jobs. The file has a slot for each; its marks survive the worker and the
daemon (not the computer: after a reboot everything that was claimed counts as lost). The worker writes,
the daemon reads, both through memory.

====== =====  =====================================================================================
offset bytes  content
====== =====  =====================================================================================
0      8      token of the attempt; written last of the begin mark: a slot without it says nothing
8      8      id of the job
16     8      moment of the begin, µs
24     8      when its time is over, µs of the monotonic clock; 0: it has no limit
32     8      moment of the end, µs
40     4      length of the result's text
44     1      the end mark, written last of all: 0 running, 1 returned (the result follows),
              2 ended otherwise (the outcome is in the record of that token), 3 ended at its limit
              (written by the worker's template)
45     1      1: it has a soft limit, too
48            the result as JSON text
====== =====  =====================================================================================

Space is allocated, not left sparse: a mark that found the disk full would kill the worker (SIGBUS).

A worker of many jobs at once (`jobctl.worker.coroutines`) has as many slots as it may need, and before them
one in which it notes whose code runs at the moment (`Marks.step`): token 0, the job's id, and since when on
the monotonic clock, in the place of the begin. Only there it can be seen who keeps it from everything else.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container

SLOTS = 512
"""Most attempts that a worker may hold that makes one at a time, unacknowledged outcomes included."""

MOST_SLOTS = 20_001
"""What is read of a file at most: it lies where user code can make it longer."""

SLOT_BYTES = 256
RESULT_OFFSET = 48
RESULT_BYTES = SLOT_BYTES - RESULT_OFFSET
"""Longest result that has room in a slot; a longer one becomes a record."""

RUNNING, RETURNED, RECORDED, TIMED_OUT = 0, 1, 2, 3

_begin = struct.Struct("@QQQQQIBB")
_end = struct.Struct("@QI")
_token = struct.Struct("@Q")
_step = struct.Struct("@QQQ")
_END_OFFSET = 32
_MARK_OFFSET = 44
FILE_NAME = "marks"
TICKETS = "tickets"
"""The pipe beside it: a byte for each job, taken by the worker before it begins or by the daemon."""


class Mark(NamedTuple):
    """One slot, as it was found."""

    token: int
    job_id: int
    begun_at: int
    deadline: int
    ended_at: int
    how: int
    result: str
    is_soft: bool = False


class Marks:
    """The worker's side: writes marks into its own file."""

    __slots__ = ("_memory", "_next")

    def __init__(self, directory: str, *, slots: int = SLOTS) -> None:
        fd = os.open(f"{directory}/{FILE_NAME}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(fd, 0, slots * SLOT_BYTES)
            self._memory = mmap.mmap(fd, slots * SLOT_BYTES)
        finally:
            os.close(fd)
        self._next = 0

    def begin(
        self, token: int, job_id: int, now: int, deadline: int = 0, *, is_soft: bool = False
    ) -> int:
        """Mark the begin; gives back the slot's offset.

        Slots are taken in turn: there are more of them than attempts that a worker may hold.
        """
        offset = self._next
        self._next = (offset + SLOT_BYTES) % (SLOTS * SLOT_BYTES)
        self.begin_in(offset, token, job_id, now, deadline, is_soft=is_soft)
        return offset

    def begin_in(
        self,
        offset: int,
        token: int,
        job_id: int,
        now: int,
        deadline: int,
        *,
        is_soft: bool = False,
    ) -> None:
        """Mark the begin in a slot of the caller's choice, whose last attempt is over and acknowledged."""
        _begin.pack_into(self._memory, offset, 0, job_id, now, deadline, 0, 0, RUNNING, is_soft)
        _token.pack_into(self._memory, offset, token)

    def step(self, job_id: int, now: int) -> None:
        """Note whose code runs from now on, in microseconds of the monotonic clock; zeros: nobody's."""
        _step.pack_into(self._memory, 0, 0, job_id, now)

    def end(self, offset: int, now: int, result: bytes) -> None:
        """Mark the end of a function that returned; ``result`` is at most `RESULT_BYTES` long."""
        memory = self._memory
        size = len(result)
        memory[offset + RESULT_OFFSET : offset + RESULT_OFFSET + size] = result
        _end.pack_into(memory, offset + _END_OFFSET, now, size)
        memory[offset + _MARK_OFFSET] = RETURNED

    def end_recorded(self, offset: int, now: int) -> None:
        """Mark the end of an attempt whose outcome stands in its record."""
        _end.pack_into(self._memory, offset + _END_OFFSET, now, 0)
        self._memory[offset + _MARK_OFFSET] = RECORDED


def is_working(directory: str, tokens: Container[int]) -> bool:
    """The worker is in the middle of one of these attempts; False also when that cannot be read."""
    try:
        marks = read_marks(directory)
    except OSError:
        return False
    return any(mark.how == RUNNING and mark.token in tokens for mark in marks.values())


def read_marks(directory: str) -> dict[int, Mark]:
    """The marks of a worker, dead or alive, by token.

    Raises:
        OSError: they cannot be read. If they are not there, user code has removed them: a worker makes
            the file before it is given anything.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(f"{directory}/{FILE_NAME}", flags)
    try:
        data = os.pread(fd, MOST_SLOTS * SLOT_BYTES, 0)
    finally:
        os.close(fd)
    found: dict[int, Mark] = {}
    for offset in range(0, len(data) - SLOT_BYTES + 1, SLOT_BYTES):
        token, job_id, begun_at, deadline, ended_at, size, how, is_soft = _begin.unpack_from(
            data, offset
        )
        if token and how in (RUNNING, RETURNED, RECORDED, TIMED_OUT) and size <= RESULT_BYTES:
            start = offset + RESULT_OFFSET
            result = data[start : start + size].decode(errors="replace")
            found[token] = Mark(
                token, job_id, begun_at, deadline, ended_at, how, result, is_soft == 1
            )
    return found


def unreturned(directory: str) -> int | None:
    """The token of the attempt in the middle of which a worker has died; None: it was in none, or in several.

    Raises:
        OSError: the marks cannot be read.
    """
    marks = read_marks(directory).values()
    found = [mark.token for mark in marks if mark.how in (RUNNING, TIMED_OUT)]
    return found[0] if len(found) == 1 else None


class Step(NamedTuple):
    """Whose code a worker of many jobs runs: the job, and since when, µs of the monotonic clock."""

    job_id: int
    since: int


def read_step(directory: str) -> Step | None:
    """What `Marks.step` noted last; None: nobody's code runs, or that cannot be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(f"{directory}/{FILE_NAME}", flags)
    except OSError:
        return None
    try:
        data = os.pread(fd, _step.size, 0)
    except OSError:
        return None
    finally:
        os.close(fd)
    if len(data) < _step.size:
        return None
    token, job_id, since = _step.unpack(data)
    return Step(job_id, since) if token == 0 and job_id else None


def end_at_limit(directory: str, token: int, now: int) -> bool:
    """Mark that an attempt is ended at its limit, which its worker cannot do; False: it has no such mark.

    Its worker must stand still: from now on it runs no more.
    """
    try:
        fd = os.open(f"{directory}/{FILE_NAME}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        size = min(os.fstat(fd).st_size, MOST_SLOTS * SLOT_BYTES)
        for offset in range(0, size - SLOT_BYTES + 1, SLOT_BYTES):
            if os.pread(fd, _token.size, offset) == _token.pack(token):
                os.pwrite(fd, _end.pack(now, 0), offset + _END_OFFSET)
                os.pwrite(fd, bytes([TIMED_OUT]), offset + _MARK_OFFSET)
                return True
    finally:
        os.close(fd)
    return False
