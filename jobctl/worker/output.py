"""What a command writes: all of it read, the first and the last part of it kept.

Up to `ROW_BYTES` stay in memory and end up in the attempt's row. More goes to the attempt's file, in
which every byte stands at its place in the stream and the middle is given back to the file system as
the stream grows: memory and disk are bounded by the cap, whoever reads the file needs no index, and
following it is reading on from an offset.

A full disk costs what is written meanwhile, and no more: each write tries again, the newest part waits
in memory, and what had to be given up leaves a hole in the file and is counted in `Output.lost`.

On a file system that cannot punch holes the last part is kept in memory until the end; if it knows no
holes at all, whoever reads the middle sees zeros.
"""

from __future__ import annotations

import os

from jobctl.worker.kernel import punch_hole

ROW_BYTES = 16 * 1024
"""Output up to this size lives in the attempt's row."""

_HALF_ROW = ROW_BYTES // 2
_PUNCH_STEP = 1 << 20
_BLOCK = 4096


class Output:
    """The output of one attempt. ``cap_bytes`` is the most that is kept of it, on disk or in memory.

    None of its methods fails: a command must not stop because the disk does.

    Attributes:
        total: how much was written in all.
        in_file: up to where the file holds what it will hold, for who reads it while the command runs.
        lost: how much was given up because the disk refused.
    """

    __slots__ = (
        "_cap",
        "_file",
        "_head",
        "_holds_tail",
        "_is_unsafe",
        "_path",
        "_punched",
        "_refusal",
        "_rest",
        "_wants_file",
        "in_file",
        "lost",
        "total",
    )

    def __init__(self, path: str, cap_bytes: int) -> None:
        self._path = path
        self._cap = max(cap_bytes, ROW_BYTES)
        # What is not in the file: the newest part, up to `total`; and, while there is no file but should
        # be one, the first part.
        self._head = bytearray()
        self._rest = bytearray()
        self._file = -1
        self._wants_file = False
        self._holds_tail = False
        self._punched = self._cap // 2
        self._refusal = ""
        self._is_unsafe = False
        self.in_file = 0
        self.lost = 0
        self.total = 0

    def write(self, data: bytes) -> None:
        """Take more output."""
        self._rest += data
        self.total += len(data)
        if self._holds_tail:
            half = self._cap // 2
            del self._rest[: max(len(self._rest) - half, 0)]
        elif self._wants_file or self.total > ROW_BYTES:
            self.spill()

    def spill(self) -> None:
        """Have everything in the file from now on, as far as the disk takes it: it is too long for a row,
        or somebody wants to read while the command runs. Safe to repeat."""
        self._wants_file = True
        if self._holds_tail:
            return
        try:
            if self._file < 0:
                self._create()
            self._store_rest()
            self._punch()
        except OSError as error:
            self._refusal = error.strerror or str(error)
            self._give_up_excess()

    def _create(self) -> None:
        try:
            # Only the last folder: a state directory that was moved away is not made again.
            os.mkdir(self._path.rpartition("/")[0], mode=0o700)
        except FileExistsError:
            pass
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        try:
            self._write_at(bytes(self._head or self._rest), 0)
        except OSError:
            # All of it is in memory still, and may end up in the row.
            os.close(self._file)
            self._file = -1
            os.unlink(self._path)
            raise
        if self._head:
            self.in_file = len(self._head)
            self._head.clear()
        else:
            self.in_file = self.total
            self._rest.clear()

    def _store_rest(self) -> None:
        """Write what is in memory at its place. Raises OSError; what was written then is forgotten."""
        offset = self.total - len(self._rest)
        if offset > self.in_file:
            # Behind a hole it begins with a block, or the rest of that block would read as zeros.
            skipped = min(-offset % _BLOCK, len(self._rest))
            del self._rest[:skipped]
            self.lost += skipped
        while self._rest:
            offset = self.total - len(self._rest)
            written = os.pwrite(self._file, self._rest, offset)
            del self._rest[:written]
            self.in_file = offset + written

    def _give_up_excess(self) -> None:
        """The disk refuses: keep as much as a row holds, the first and the last half of it."""
        if self._file < 0 and not self._head:
            if len(self._rest) <= ROW_BYTES:
                return
            self._head = self._rest[:_HALF_ROW]
            del self._rest[:_HALF_ROW]
        excess = max(len(self._rest) - _HALF_ROW, 0)
        del self._rest[:excess]
        self.lost += excess

    def _punch(self) -> None:
        half = self._cap // 2
        middle_end = (self.in_file - half) & ~(_BLOCK - 1)
        if middle_end - self._punched < _PUNCH_STEP:
            return
        try:
            punch_hole(self._file, self._punched, middle_end - self._punched)
            self._punched = middle_end
        except OSError:
            self._keep_tail_in_memory(half)

    def _keep_tail_in_memory(self, half: int) -> None:
        tail = os.pread(self._file, half, max(self.total - half, half))
        os.ftruncate(self._file, half)
        self._holds_tail = True
        self._rest += tail
        self.in_file = half

    def _write_at(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, offset)
            view = view[written:]
            offset += written

    @property
    def is_in_file(self) -> bool:
        """The kept output lies in the attempt's file."""
        return self._file >= 0

    @property
    def trouble(self) -> str:
        """What the disk has cost, as a sentence; empty when it cost nothing."""
        if self.lost:
            return f"{self.lost} bytes of output could not be kept: {self._refusal}"
        return f"output may not be whole: {self._refusal}" if self._is_unsafe else ""

    def finish(self) -> bytes:
        """Make what is kept durable and let go of the file; gives back the bytes for the row.

        The row's bytes are empty when the output lies in the file. `trouble` is final afterwards.
        """
        if self._file < 0:
            return bytes(self._head + self._rest)
        try:
            if self._holds_tail:
                self._write_at(bytes(self._rest), self.total - len(self._rest))
                self._rest.clear()
            else:
                self._store_rest()
                self._punch_rest(self.total - self._cap // 2)
            os.fdatasync(self._file)
        except OSError as error:
            self._refusal = error.strerror or str(error)
            self._is_unsafe = True
            self.lost += len(self._rest)
        finally:
            os.close(self._file)
            self._file = -1
            self._rest.clear()
        return b""

    def _punch_rest(self, end: int) -> None:
        if self.total <= self._cap or end <= self._punched:
            return
        try:
            punch_hole(self._file, self._punched, end - self._punched)
        except OSError:
            # No holes here; what stays is less than a step beyond the cap.
            return
