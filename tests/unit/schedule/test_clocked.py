from __future__ import annotations

from datetime import datetime

import pytest

from jobctl.schedule import ScheduleError, parse_schedule

US = 10**6


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * US)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2027-03-01T02:30", "2027-03-01T01:30+00:00"),
        ("2027-03-01 02:30:15", "2027-03-01T01:30:15+00:00"),
        ("2027-03-01T02:30:15.5", "2027-03-01T01:30:15.500000+00:00"),
        ("2027-03-01T02:30Z", "2027-03-01T02:30+00:00"),
        ("2027-03-01T02:30+05:30", "2027-02-28T21:00+00:00"),
        ("2027-03-01t02:30-0800", "2027-03-01T10:30+00:00"),
        ("2027-07-01", "2027-06-30T22:00+00:00"),
        ("2027-03-28T02:30", "2027-03-28T01:00+00:00"),  # skipped: the end of the gap
        ("2026-10-25T02:30", "2026-10-25T00:30+00:00"),  # repeated: the first one
        ("2026-10-25T02:59:59", "2026-10-25T00:59:59+00:00"),
        ("2026-10-25T03:00", "2026-10-25T02:00+00:00"),
    ],
)
def test_moment_in_berlin(text: str, wanted: str) -> None:
    schedule = parse_schedule("clocked", text, timezone="Europe/Berlin")
    at = moment(wanted)
    assert schedule.next_after(at - 1) == at
    assert schedule.next_after(at) is None
    assert schedule.previous_before(at + 1) == at
    assert schedule.previous_before(at) is None
    assert list(schedule.between(at - 1, at)) == [at]
    assert schedule.count_between(at - 1, at) == 1
    assert schedule.count_between(at, at + 1) == 0


def test_normal_form_has_the_offset() -> None:
    schedule = parse_schedule("clocked", "2027-03-28T02:30", timezone="Europe/Berlin")
    assert schedule.normal == "2027-03-28T03:00:00+02:00"
    assert parse_schedule("clocked", schedule.normal, timezone="Europe/Berlin") == schedule


@pytest.mark.parametrize(
    "text",
    ["tomorrow", "2027-13-01T00:00", "2027-02-30", "2027-03-01T25:00", "20270301T0230",
     "2027-03-01T02", "2027-W09-1", "9999-12-31T00:00", "0001-01-01T00:00"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("clocked", text)
    assert refused.value.hint
