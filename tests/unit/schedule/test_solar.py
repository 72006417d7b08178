from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import astral
import astral.sun
import pytest

from jobctl.schedule import ScheduleError, parse_schedule
from jobctl.schedule.solar import SolarEvent

US = 10**6
DAY = 86_400 * US


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * US


# Published times (timeanddate.com and the almanac of the US Naval Observatory), to the minute.
@pytest.mark.parametrize(
    ("text", "since", "wanted"),
    [
        ("sunrise 51.48 0", "2026-06-21T00:00", "2026-06-21T03:43"),
        ("sunset 51.48 0", "2026-06-21T00:00", "2026-06-21T20:21"),
        ("sunrise 51.48 0", "2026-12-21T00:00", "2026-12-21T08:04"),
        ("solar_noon 51.48 0", "2026-11-03T00:00", "2026-11-03T11:44"),
    ],
)
def test_published_times(text: str, since: str, wanted: str) -> None:
    following = parse_schedule("solar", text).next_after(at(since))
    assert following is not None
    assert abs(following - at(wanted)) <= 60 * US


@pytest.mark.parametrize("longitude", [-30, 0, 13, 60])
@pytest.mark.parametrize("latitude", [-50, 0, 35, 52])
@pytest.mark.parametrize("event", ["sunset", "sunrise"])
def test_agrees_with_astral(event: str, latitude: int, longitude: int) -> None:
    schedule = parse_schedule("solar", f"{event} {latitude} {longitude}")
    observer = astral.Observer(latitude, longitude)
    for number in range(0, 365, 13):
        day = date(2026, 1, 1) + timedelta(days=number)
        theirs = getattr(astral.sun, event)(observer, day)
        around = round(theirs.timestamp() * US)
        ours = schedule.next_after(around - 12 * 3600 * US)
        assert ours is not None
        assert abs(ours - around) < 60 * US, (day, theirs)


# astral gives events of calendar days in UTC; where they drift over midnight, a day has none.
@pytest.mark.parametrize("longitude", range(-180, 181, 20))
@pytest.mark.parametrize("event", list(SolarEvent))
def test_each_solar_day_has_its_event(event: str, longitude: int) -> None:
    schedule = parse_schedule("solar", f"{event} 40 {longitude}")
    since = at("2026-01-01T00:00")
    found = list(schedule.between(since, since + 366 * DAY))
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert 365 <= len(found) <= 367
    assert all(abs(gap - DAY) < 300 * US for gap in gaps)


def test_polar_days_and_nights_have_none() -> None:
    schedule = parse_schedule("solar", "sunrise 69.65 18.96")  # Tromsø
    night = schedule.next_after(at("2026-12-01T00:00"))
    assert night is not None
    assert at("2027-01-10T00:00") < night < at("2027-01-20T00:00")
    day = schedule.next_after(at("2026-06-01T00:00"))
    assert day is not None
    assert at("2026-07-20T00:00") < day < at("2026-08-01T00:00")
    assert schedule.count_between(at("2026-06-01T00:00"), at("2026-07-15T00:00")) == 0


def test_order_of_a_day() -> None:
    since = at("2026-03-01T00:00")
    moments = [parse_schedule("solar", f"{event} 45 0").next_after(since) for event in SolarEvent]
    assert moments == sorted(moment for moment in moments if moment is not None)


@pytest.mark.parametrize(
    "text",
    ["sunset 52.52 13.4", "sunset@52.52,13.4", "sunset 52.520, 13.40",
     '{"event": "sunset", "latitude": 52.52, "longitude": 13.4}'],
)  # fmt: skip
def test_ways_to_write_it(text: str) -> None:
    assert parse_schedule("solar", text).normal == "sunset 52.52 13.4"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("sunst 1 2", 'unknown solar event "sunst"', '"sunset"'),
        ("sunset 91 0", "latitude: 91.0 is out of range", ""),
        ("sunset 0 181", "longitude: 181.0 is out of range", ""),
        ("sunset", "does not name an event and a place", "sunset 52.52"),
        ('{"event": "sunset"}', "keys must be", ""),
        ('{"event": "sunset", "latitude": "a", "longitude": 1}', "'a' is not a number", ""),
        ('{"event": "sunset", "latitude": true, "longitude": 1}', "not a number", ""),
        ('{"event": "sunset", "latitude": NaN, "longitude": 1}', "out of range", ""),
        ("{", "not JSON", ""),
    ],
)
def test_what_is_no_event_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("solar", text)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_missing_package_is_told_when_the_schedule_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "astral", None)
    monkeypatch.setitem(sys.modules, "astral.sun", None)
    with pytest.raises(ScheduleError, match="astral") as refused:
        parse_schedule("solar", "sunset 1 2")
    assert "jobctl[solar]" in refused.value.hint
