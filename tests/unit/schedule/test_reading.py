"""Local times on the days on which clocks change, against the tables of the zones and ``zoneinfo``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.clock import SECOND
from jobctl.schedule.reading import Reading, read_local
from jobctl.schedule.zone import zone_named

ZONES = ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Caracas", "UTC"]


def read(zone: str, text: str) -> Reading:
    local = datetime.fromisoformat(text).replace(tzinfo=UTC)
    found = read_local(zone_named(zone), round(local.timestamp()) * SECOND)
    assert found is not None
    return found


def utc(*texts: str) -> tuple[int, ...]:
    return tuple(
        round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND
        for text in texts
    )


@pytest.mark.parametrize(
    ("zone", "text", "moments"),
    [
        ("Europe/Berlin", "2026-11-20 02:30", utc("2026-11-20 01:30")),
        ("Europe/Berlin", "2026-10-25 02:30", utc("2026-10-25 00:30", "2026-10-25 01:30")),
        ("Europe/Berlin", "2026-10-25 03:00", utc("2026-10-25 02:00")),
        ("Europe/Berlin", "2026-03-29 01:59:59", utc("2026-03-29 00:59:59")),
        ("Europe/Berlin", "2026-03-29 03:00", utc("2026-03-29 01:00")),
        ("Australia/Lord_Howe", "2026-04-05 01:45", utc("2026-04-04 14:45", "2026-04-04 15:15")),
    ],
)
def test_a_local_time_that_comes(zone: str, text: str, moments: tuple[int, ...]) -> None:
    found = read(zone, text)

    assert (found.moments, found.skipped_at) == (moments, None)
    assert found.last == moments[-1]


@pytest.mark.parametrize(
    ("zone", "text", "change"),
    [
        ("Europe/Berlin", "2026-03-29 02:00", "2026-03-29 01:00"),
        ("Europe/Berlin", "2026-03-29 02:59:59", "2026-03-29 01:00"),
        # The day that Samoa left out.
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00"),
    ],
)
def test_a_local_time_that_clocks_skip(zone: str, text: str, change: str) -> None:
    found = read(zone, text)

    assert (found.moments, found.skipped_at) == ((), utc(change)[0])
    assert found.last == utc(change)[0]


def test_a_time_beyond_the_calendar_is_none() -> None:
    assert read_local(zone_named("UTC"), 253_402_300_799 * SECOND) is None


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001 -- local times
)
def test_every_moment_that_shows_it_is_found(zone: str, local: datetime) -> None:
    local = local.replace(microsecond=0)
    as_utc = round(local.replace(tzinfo=UTC).timestamp())
    found = read_local(zone_named(zone), as_utc * SECOND)
    assert found is not None

    expected = set()
    for offset in {
        (local.replace(tzinfo=UTC) + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset()
        for hours in range(-48, 49)
    }:
        assert offset is not None
        moment = local.replace(tzinfo=UTC) - offset
        if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local:
            expected.add(round(moment.timestamp()) * SECOND)
    assert set(found.moments) == expected
    assert (found.skipped_at is None) == bool(expected)
