"""The history of a time zone as segments of one offset each.

``zoneinfo`` answers "which offset now?" but not "when does it change?", and its ``fold`` knows two
readings of a local time while a day that a zone leaves out, or two changes close together, need
more. So the changes are looked for once (a look at every day, then halving) and kept as segments.
Everything that depends on daylight saving is decided from a segment's four numbers.

Zone data may change under a running daemon: `reread_zones` forgets what was learned, and every
schedule that exists follows the new data from then on.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from jobctl.digest import blake2b
from jobctl.schedule.base import ScheduleError
from jobctl.values import dataclass

DAY_S = 86_400

# A block is what is learned at once: about 388 days. A power of two makes its number a shift.
_BLOCK_BITS = 25

# Looking back this far before a block finds every change that still matters at its start: a local
# time can only have been shown before within the widest span of offsets (-16 h to +16 h).
_LOOK_BACK_S = 3 * DAY_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The calendar of Python ends with the year 9999; a year is left at both ends for offsets and blocks.
FIRST_S = -62_070_000_000
LAST_S = 253_300_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of real time with one offset. Seconds since the epoch; local ones as if in UTC.

    It holds the moments ``start <= t < end``, whose local time is ``t + offset``. ``reached`` is
    the local time that clocks had reached before it (not included): equal to ``start + offset``
    where nothing changes, less before a gap, more after a fold.
    """

    start: int
    end: int
    offset: int
    reached: int

    @property
    def local_start(self) -> int:
        """The first local time of the segment."""
        return self.start + self.offset

    @property
    def local_end(self) -> int:
        """The first local time after the segment, as its own clock would have shown it."""
        return self.end + self.offset


class Zone:
    """One time zone. Made by `zone_named`, which gives the same object for the same name."""

    __slots__ = ("_blocks", "_last", "_stamp", "_tz", "data", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._tz = _load(name)
        self._stamp = _stamp_of(name)
        self.data = _data_of(name)
        """A digest of the zone data: two that are equal gave the same offsets at every moment."""
        self._blocks: dict[int, tuple[Segment, ...]] = {}
        self._last = Segment(0, 0, 0, 0)

    def segment_at(self, moment_s: int) -> Segment:
        """The segment that holds the moment, which must lie in FIRST_S .. LAST_S.

        A segment also ends where a block of what is kept ends; the next one then has the same
        offset and ``reached`` says that nothing happened.
        """
        last = self._last
        if last.start <= moment_s < last.end:
            return last
        number = moment_s >> _BLOCK_BITS
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = self._learn(number)
        for segment in block:
            if moment_s < segment.end:
                break
        self._last = segment
        return segment

    def changes(self, after_s: int, until_s: int) -> list[Segment]:
        """The segments that begin in (after, until] with a gap or a fold, in order."""
        found = []
        segment = self.segment_at(after_s)
        while segment.end <= until_s:
            segment = self.segment_at(segment.end)
            if segment.reached != segment.local_start:
                found.append(segment)
        return found

    def offset_at(self, moment_s: int) -> int:
        """Seconds east of UTC at the moment, straight from the zone data."""
        offset = (_EPOCH + timedelta(seconds=moment_s)).astimezone(self._tz).utcoffset()
        assert offset is not None
        return round(offset.total_seconds())

    @property
    def is_stale(self) -> bool:
        """Whether the file of the zone is another one than that which was read. Costs a look at the disk."""
        return _stamp_of(self.name) != self._stamp

    def reread(self) -> None:
        """Forget what was learned and load the zone data again."""
        # First: what cannot be read is not tried again until its file is another one.
        self._stamp = _stamp_of(self.name)
        self._tz = ZoneInfo.no_cache(self.name)
        self.data = _data_of(self.name)
        self._blocks.clear()
        self._last = Segment(0, 0, 0, 0)

    def _learn(self, number: int) -> tuple[Segment, ...]:
        start = number << _BLOCK_BITS
        end = (number + 1) << _BLOCK_BITS
        segments = []
        begun = start - _LOOK_BACK_S
        offset = self.offset_at(begun)
        reached = begun + offset
        for change in [*self._find_changes(begun, end), end]:
            if begun < start:
                # The part before the block is only read to learn what had been reached.
                reached = max(reached, min(start, change) + offset)
            if change > start:
                segments.append(Segment(max(begun, start), change, offset, reached))
            reached = max(reached, change + offset)
            begun = change
            offset = self.offset_at(change) if change < end else offset
        return tuple(segments)

    def _find_changes(self, start: int, end: int) -> list[int]:
        """The moments in (start, end) at which the offset differs from the second before."""
        found = []
        at, before = start, self.offset_at(start)
        while at < end - 1:
            ahead = min(at + DAY_S, end - 1)
            after = self.offset_at(ahead)
            if after != before:
                ahead = self._first_with_another_offset(at, ahead, before)
                after = self.offset_at(ahead)
                found.append(ahead)
            at, before = ahead, after
        return found

    def _first_with_another_offset(self, low: int, high: int, offset: int) -> int:
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset_at(middle) == offset:
                low = middle
            else:
                high = middle
        return high


_ZONES: dict[str, Zone] = {}
_readings = 1


def zone_named(name: str) -> Zone:
    """The zone of that IANA name. Raises ScheduleError with the nearest names for another."""
    zone = _ZONES.get(name)
    if zone is None:
        zone = _ZONES[name] = Zone(name)
    return zone


def reread_zones() -> None:
    """Read the zone data anew, for schedules that exist too: to be called when it has changed.

    A zone that has vanished from the data keeps what it was.
    """
    global _readings
    _readings += 1
    ZoneInfo.clear_cache()
    for zone in _ZONES.values():
        try:
            zone.reread()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue


def zone_readings() -> int:
    """How often zone data was read: whoever remembers a moment that follows from it asks again after that."""
    return _readings


def are_zones_stale() -> bool:
    """Whether the file of a zone that is in use has changed on disk since it was read.

    One look at the disk for each zone; nothing is read. `reread_zones` follows the change.
    """
    return any(zone.is_stale for zone in _ZONES.values())


def _load(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f'unknown time zone "{name}"', _nearest_zones(name)) from None


def _file_of(name: str) -> Path | None:
    """Where zoneinfo finds the data of a zone on this host; None: in the package tzdata."""
    for folder in zoneinfo.TZPATH:
        file = Path(folder, name)
        if file.is_file():
            return file
    return None


def _stamp_of(name: str) -> tuple[int, int, int] | None:
    """What tells one file from the one that replaces it; None while there is none."""
    file = _file_of(name)
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _data_of(name: str) -> str:
    file = _file_of(name)
    try:
        # The package changes with the installation only, and then a daemon starts anew.
        data = file.read_bytes() if file is not None else name.encode()
    except OSError:
        data = name.encode()
    return blake2b(data, digest_size=8).hexdigest()


def _nearest_zones(name: str) -> str:
    known = sorted(available_timezones())
    if not known:
        return "No zone data was found: install the package tzdata."
    folded = {zone.casefold(): zone for zone in known}
    tails = {zone.rpartition("/")[2].casefold(): zone for zone in known}
    asked = name.casefold().replace(" ", "_")
    tail = asked.rpartition("/")[2]
    if asked in folded:
        near = [folded[asked]]
    elif tail in tails:
        near = [tails[tail]]
    else:
        # Imported where it is needed: only on the way to an error.
        from difflib import get_close_matches

        near = [folded[zone] for zone in get_close_matches(asked, folded, n=3, cutoff=0.6)]
    if not near:
        return 'Use a name of the IANA database, such as "Europe/Berlin" or "UTC".'
    return "Did you mean " + " or ".join(f'"{zone}"' for zone in near) + "?"
