"""Segments of zones against the zone files themselves."""

from __future__ import annotations

import struct
from bisect import bisect_right
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH, available_timezones

import pytest

from jobctl.schedule.zone import zone_named

ZONES = sorted(available_timezones() - {"Factory", "localtime", "posixrules"})
SINCE = int(datetime(1970, 1, 1, tzinfo=UTC).timestamp())
UNTIL = int(datetime(2041, 1, 1, tzinfo=UTC).timestamp())


def zone_file(zone: str) -> bytes:
    for folder in TZPATH:
        path = Path(folder) / zone
        if path.is_file():
            return path.read_bytes()
    tzdata = pytest.importorskip("tzdata")
    return (Path(tzdata.__file__).parent / "zoneinfo" / zone).read_bytes()


def written_changes(data: bytes) -> tuple[list[int], list[int]]:
    """Moments and the offsets from them on, as the file's 64-bit table has them (RFC 8536)."""

    def header(at: int) -> tuple[int, ...]:
        assert data[at : at + 4] == b"TZif"
        return struct.unpack(">6l", data[at + 20 : at + 44])

    utc_count, std_count, leap_count, time_count, type_count, char_count = header(0)
    second = 44 + time_count * 5 + type_count * 6 + char_count + leap_count * 8
    second += std_count + utc_count
    _, _, _, time_count, type_count, _ = header(second)
    at = second + 44
    moments = list(struct.unpack(f">{time_count}q", data[at : at + 8 * time_count]))
    at += 8 * time_count
    indexes = data[at : at + time_count]
    at += time_count
    types = [struct.unpack(">lBB", data[at + 6 * n : at + 6 * n + 6])[0] for n in range(type_count)]
    return moments, [types[index] for index in indexes]


@pytest.mark.slow
# Both sides of each change that the file writes down: a pair of changes that is missed because they
# lie close together would show here.
def test_every_written_change_is_known() -> None:
    checked = 0
    for name in ZONES:
        moments, offsets = written_changes(zone_file(name))
        zone = zone_named(name)
        for number, moment in enumerate(moments):
            if number == 0 or not SINCE < moment < UNTIL:
                continue
            assert zone.segment_at(moment).offset == offsets[number], (name, moment)
            assert zone.segment_at(moment - 1).offset == offsets[number - 1], (name, moment)
            checked += 1
    assert checked > 10_000


def test_segments_follow_each_other_without_holes() -> None:
    for name in ZONES[::7]:
        zone = zone_named(name)
        segment = zone.segment_at(SINCE)
        furthest = segment.reached
        while segment.start < UNTIL:
            assert segment.start < segment.end
            assert zone.offset_at(segment.start) == segment.offset
            assert zone.offset_at(segment.end - 1) == segment.offset
            furthest = max(furthest, segment.local_end)
            following = zone.segment_at(segment.end)
            assert following.start == segment.end
            assert following.reached == furthest, (name, following)
            segment = following


def test_changes_are_the_ones_that_skip_or_repeat() -> None:
    zone = zone_named("Europe/Berlin")
    since, until = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2026, 2028))
    found = [
        (
            datetime.fromtimestamp(change.start, UTC).isoformat()[:16],
            change.local_start - change.reached,
        )
        for change in zone.changes(since, until)
    ]
    assert found == [
        ("2026-03-29T01:00", 3600),
        ("2026-10-25T01:00", -3600),
        ("2027-03-28T01:00", 3600),
        ("2027-10-31T01:00", -3600),
    ]


def test_written_tables_are_read_right() -> None:
    moments, offsets = written_changes(zone_file("Europe/Berlin"))
    spring = int(datetime(1990, 3, 25, 1, tzinfo=UTC).timestamp())
    assert offsets[bisect_right(moments, spring) - 1] == 7200
    assert offsets[bisect_right(moments, spring - 1) - 1] == 3600
