"""A disk that remembers: what SQLite wrote and flushed, and what a crash at any moment could have left.

`Recording` is a VFS around SQLite's own. It notes each write, truncation, flush, creation, deletion and
renaming, in order. `states` builds from that record what may lie on the disk after a power cut:

* what was flushed is there, whole;
* of what was written since, each write is there, is missing, or is torn at a multiple of 512 bytes,
  each independently of the others and across files;
* creations, deletions and renamings since the last flush of the folder have happened up to one of them,
  in their order, as file systems with a journal keep it.

After each noted event: nothing of the unflushed, all of it (this is also what ``kill -9`` leaves), every
single one missing, every single one torn, every pair missing, and random subsets. Where more than
`PAIRS` pairs exist, so many of them are drawn. Each content is built once.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

SECTOR = 512
PAIRS = 1000
"""At most so many pairs of missing writes after one event."""


def memory() -> str | None:
    """Where files cost no disk: thousands of stores are written and opened."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


class Event(NamedTuple):
    """``what``: create, write, truncate, sync, delete, rename, sync_folder or ack. ``file`` is a number that
    stays with a file when its name changes; ``name`` and ``other`` are names in the folder."""

    what: str
    file: int = 0
    name: str = ""
    other: str = ""
    offset: int = 0
    data: bytes = b""


class Image(NamedTuple):
    """What lies on the disk after a crash: the files by name, and how many steps were acknowledged."""

    files: dict[str, bytes]
    acknowledged: int


class Bounds(NamedTuple):
    """How much is tried. ``subsets``: random ones after each event; ``pairs``: at most, after each event."""

    subsets: int = 100
    pairs: int = PAIRS
    every: int = 1
    """Only each so-manieth event is looked at; the last one before each flush always is."""
    recovered: int = 200
    """In one state of so many the recovery is crashed as well."""


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        is_new = path is not None and not Path(path).exists()
        super().__init__("unix", name, flags)
        self._disk, self._name = disk, Path(path).name if path else None
        self._is_log = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        self._flushes_folder = self._is_log and is_new
        if self._name is not None and is_new:
            disk.note_created(self._name)
        self._file = disk.number(self._name)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 -- apsw's name
        super().xWrite(data, offset)
        self._disk.note(Event("write", self._file, offset=offset, data=bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 -- apsw's name
        super().xTruncate(newsize)
        self._disk.note(Event("truncate", self._file, offset=newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 -- apsw's name
        super().xSync(flags)
        self._disk.note(Event("sync", self._file))
        if self._flushes_folder:
            # So does SQLite with the first flush of a journal or log that it has made (os_unix.c).
            self._flushes_folder = False
            self._disk.note(Event("sync_folder"))


class _Recorder(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        super().__init__("jobctl-recording", "unix", makedefault=True)
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 -- apsw's name
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 -- apsw's name
        super().xDelete(filename, syncdir)
        self._disk.note_deleted(Path(filename).name)
        if syncdir:
            self._disk.note(Event("sync_folder"))


class Disk:
    """The record of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.acknowledged = 0
        self._files: dict[str, int] = {}
        self._next = itertools.count(1)
        # What is there when the recording begins is whole and flushed.
        self.before: dict[str, bytes] = {}
        for path in sorted(folder.iterdir()):
            if path.is_file():
                self.before[path.name] = path.read_bytes()
                self._files[path.name] = next(self._next)
        self.names_before = dict(self._files)

    def note(self, event: Event) -> None:
        self.events.append(event)

    def number(self, name: str | None) -> int:
        return self._files.get(name or "", 0)

    def note_created(self, name: str) -> None:
        self._files[name] = next(self._next)
        self.note(Event("create", self._files[name], name))

    def note_deleted(self, name: str) -> None:
        self.note(Event("delete", self._files.pop(name, 0), name))

    def note_renamed(self, old: str, new: str) -> None:
        self._files[new] = self._files.pop(old)
        self.note(Event("rename", self._files[new], old, new))

    def acknowledge(self) -> None:
        """From here on whoever waited was told that a step has happened."""
        self.acknowledged += 1
        self.note(Event("ack"))


@contextlib.contextmanager
def recording(disk: Disk) -> Iterator[None]:
    """Record everything that is written into the folder meanwhile, by SQLite and by the store's own hand."""
    recorder = _Recorder(disk)
    rename, unlink, flush = Path.rename, Path.unlink, os.fsync

    def noted_rename(self: Path, target: Any) -> Path:
        found = rename(self, target)
        if self.parent == disk.folder:
            disk.note_renamed(self.name, Path(target).name)
        return found

    def noted_unlink(self: Path, missing_ok: bool = False) -> None:
        is_there = self.exists()
        unlink(self, missing_ok)
        if is_there and self.parent == disk.folder:
            disk.note_deleted(self.name)

    def noted_flush(fd: int) -> None:
        flush(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path == disk.folder:
            disk.note(Event("sync_folder"))
        elif path.parent == disk.folder:
            disk.note(Event("sync", disk.number(path.name)))

    Path.rename = noted_rename  # type: ignore[method-assign, assignment]
    Path.unlink = noted_unlink  # type: ignore[method-assign]
    os.fsync = noted_flush  # type: ignore[assignment]
    try:
        yield
    finally:
        Path.rename = rename  # type: ignore[method-assign]
        Path.unlink = unlink  # type: ignore[method-assign]
        os.fsync = flush
        recorder.unregister()


class _Known:
    """What is on the disk for certain, and what was done since."""

    def __init__(self, disk: Disk) -> None:
        self.names = dict(disk.names_before)
        self.contents = {self.names[name]: data for name, data in disk.before.items()}
        self.pending: list[Event] = []
        self.moves: list[Event] = []
        self.acknowledged = 0

    def take(self, event: Event) -> None:
        match event.what:
            case "write" | "truncate":
                self.pending.append(event)
            case "sync":
                for done in [e for e in self.pending if e.file == event.file]:
                    self.contents[done.file] = applied(self.contents.get(done.file, b""), done)
                self.pending = [e for e in self.pending if e.file != event.file]
            case "create" | "delete" | "rename":
                self.moves.append(event)
            case "sync_folder":
                for move in self.moves:
                    _move(self.names, move)
                self.moves = []
            case _:
                self.acknowledged += 1

    def image(self, kept: Sequence[Event | None], moves: int) -> Image:
        contents = dict(self.contents)
        for event in kept:
            if event is not None:
                contents[event.file] = applied(contents.get(event.file, b""), event)
        names = dict(self.names)
        for move in self.moves[:moves]:
            _move(names, move)
        files = {name: contents.get(number, b"") for name, number in names.items()}
        return Image(files, self.acknowledged)


def applied(content: bytes, event: Event) -> bytes:
    """A file's content after a write or a truncation."""
    if event.what == "truncate":
        return content[: event.offset].ljust(event.offset, b"\0")
    end = event.offset + len(event.data)
    return content[: event.offset].ljust(event.offset, b"\0") + event.data + content[end:]


def _move(names: dict[str, int], event: Event) -> None:
    match event.what:
        case "create":
            names[event.name] = event.file
        case "delete":
            names.pop(event.name, None)
        case _:
            names.pop(event.name, None)
            names[event.other] = event.file


def _torn(event: Event, rng: random.Random) -> Event | None:
    """The first or the last part of a write; one that fits into a sector is there or not."""
    sectors = len(event.data) // SECTOR
    if event.what == "truncate" or sectors < 2:
        return None
    cut = rng.randrange(1, sectors) * SECTOR
    if rng.random() < 0.5:
        return event._replace(data=event.data[:cut])
    return event._replace(offset=event.offset + cut, data=event.data[cut:])


def states(disk: Disk, bounds: Bounds, rng: random.Random) -> Iterator[Image]:
    """What a crash may leave, after each event; each content once for each number of acknowledged steps."""
    known = _Known(disk)
    seen: set[bytes] = set()
    for place, event in enumerate(disk.events):
        known.take(event)
        following = disk.events[place + 1].what if place + 1 < len(disk.events) else "sync"
        is_looked_at = place % bounds.every == 0 or following.startswith(("sync", "ack"))
        if not is_looked_at and event.what not in ("ack", "delete", "rename", "create"):
            continue
        for image in _left(known, bounds, rng):
            mark = _mark(image)
            if mark not in seen:
                seen.add(mark)
                yield image


def _mark(image: Image) -> bytes:
    mark = hashlib.blake2b(str(image.acknowledged).encode(), digest_size=16)
    for name in sorted(image.files):
        mark.update(f"\0{name}\0{len(image.files[name])}\0".encode())
        mark.update(image.files[name])
    return mark.digest()


def _left(known: _Known, bounds: Bounds, rng: random.Random) -> Iterator[Image]:
    pending, moves = known.pending, len(known.moves)
    for happened in range(moves + 1):
        yield known.image(pending, happened)
        yield known.image([], happened)
    numbers = range(len(pending))
    for missing in numbers:
        yield known.image([e for n, e in enumerate(pending) if n != missing], moves)
    for torn in numbers:
        kept = [_torn(e, rng) if n == torn else e for n, e in enumerate(pending)]
        yield known.image(kept, moves)
    for pair in _pairs(len(pending), bounds.pairs, rng):
        yield known.image([e for n, e in enumerate(pending) if n not in pair], moves)
    if len(pending) + moves < 2:
        return
    for _ in range(bounds.subsets):
        kept = [rng.choice((e, None, _torn(e, rng))) for e in pending]
        yield known.image(kept, rng.randint(0, moves))


def _pairs(count: int, most: int, rng: random.Random) -> Iterator[tuple[int, int]]:
    if count * (count - 1) // 2 <= most:
        yield from itertools.combinations(range(count), 2)
        return
    for _ in range(most):
        first, second = sorted(rng.sample(range(count), 2))
        yield first, second


def lay_out(image: Image, folder: Path) -> None:
    """Write an image into an empty folder; what lay there before is removed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                os.unlink(entry.path)  # noqa: PTH108 -- thousands of times
    for name, data in image.files.items():
        (folder / name).write_bytes(data)
