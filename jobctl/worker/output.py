"""What a command writes: all of it read, the first and the last part of it kept.

Up to `ROW_BYTES` stay in memory and end up in the attempt's row. More goes to the attempt's file, in
which every byte stands at its place in the stream and the middle is given back to the file system as
the stream grows: memory and disk are bounded by the cap, whoever reads the file needs no index, and
following it is reading on from an offset.

On a file system that cannot punch holes the last part is kept in memory until the end; if it knows no
holes at all, whoever reads the middle sees zeros.
"""

from __future__ import annotations

import os

from jobctl.worker.kernel import punch_hole

ROW_BYTES = 16 * 1024
"""Output up to this size lives in the attempt's row."""

_PUNCH_STEP = 1 << 20


class Output:
    """The output of one attempt. ``cap_bytes`` is the most that is kept of it, on disk or in memory."""

    __slots__ = ("_cap", "_file", "_kept", "_path", "_punched", "_tail", "total")

    def __init__(self, path: str, cap_bytes: int) -> None:
        self._path = path
        self._cap = max(cap_bytes, ROW_BYTES)
        self._kept = bytearray()
        self._file = -1
        self._tail: bytearray | None = None
        self._punched = self._cap // 2
        self.total = 0

    def write(self, data: bytes) -> None:
        """Take more output.

        Raises:
            OSError: the disk refuses. What is kept so far stays, and of this what fits into a row.
        """
        if self._file < 0 and self.total + len(data) <= ROW_BYTES:
            self._kept += data
            self.total += len(data)
            return
        try:
            self.spill()
        except OSError:
            self._kept += data[: ROW_BYTES - len(self._kept)]
            self.total = len(self._kept)
            raise
        self._append(data)

    def spill(self) -> None:
        """Move to the file now: somebody wants to read while the command runs. Safe to repeat.

        Raises:
            OSError: the disk refuses; what was kept so far stays in memory, the file is gone again.
        """
        if self._file >= 0:
            return
        try:
            # Only the last folder: a state directory that was moved away is not made again.
            os.mkdir(self._path.rpartition("/")[0], mode=0o700)
        except FileExistsError:
            pass
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        try:
            self._write_at(bytes(self._kept), 0)
        except OSError:
            os.close(self._file)
            self._file = -1
            os.unlink(self._path)
            raise
        self._kept = bytearray()

    def _append(self, data: bytes) -> None:
        half = self._cap // 2
        if self._tail is not None:
            room = max(half - self.total, 0)
            head, rest = data[:room], data[room:]
            if head:
                self._write_at(head, self.total)
            self._tail += rest
            del self._tail[: max(len(self._tail) - half, 0)]
            self.total += len(data)
            return
        self._write_at(data, self.total)
        self.total += len(data)
        middle_end = (self.total - half) & ~4095
        if middle_end - self._punched >= _PUNCH_STEP:
            try:
                punch_hole(self._file, self._punched, middle_end - self._punched)
                self._punched = middle_end
            except OSError:
                self._keep_tail_in_memory(half)

    def _keep_tail_in_memory(self, half: int) -> None:
        start = max(self.total - half, half)
        self._tail = bytearray(os.pread(self._file, half, start))
        os.ftruncate(self._file, min(self.total, half))

    def _write_at(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, offset)
            view = view[written:]
            offset += written

    def _punch_rest(self, end: int) -> None:
        try:
            punch_hole(self._file, self._punched, end - self._punched)
        except OSError:
            # No holes here; what stays is less than a step beyond the cap.
            return

    @property
    def is_in_file(self) -> bool:
        """The kept output lies in the attempt's file."""
        return self._file >= 0

    def finish(self) -> bytes:
        """Make what is kept durable and let go of the file; gives back the bytes for the row.

        The row's bytes are empty when the output lies in the file.

        Raises:
            OSError: the disk refused; the file holds what it could take.
        """
        if self._file < 0:
            return bytes(self._kept)
        try:
            half = self._cap // 2
            if self._tail is not None:
                self._write_at(bytes(self._tail), max(self.total - len(self._tail), 0))
            elif self.total > self._cap and self.total - half > self._punched:
                self._punch_rest(self.total - half)
            os.fdatasync(self._file)
        finally:
            os.close(self._file)
            self._file = -1
            self._kept = bytearray()
        return b""
