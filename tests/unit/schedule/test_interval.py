from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobctl.schedule import ScheduleError, parse_schedule
from jobctl.schedule.span import parse_span, span_text

US = 10**6


@pytest.mark.parametrize(
    ("text", "seconds", "normal"),
    [
        ("30s", 30, "30s"),
        ("90", 90, "1m30s"),
        ("1.5", 1.5, "1.5s"),
        ("1h30m", 5400, "1h30m"),
        ("1 h 30 m", 5400, "1h30m"),
        ("2 hours and 5 minutes", 7500, "2h5m"),
        ("1 day, 2 hours", 93_600, "1d2h"),
        ("1w", 604_800, "1w"),
        ("10d", 864_000, "1w3d"),
        ("3 weeks", 1_814_400, "3w"),
        ("1.5h", 5400, "1h30m"),
        ("0.25s", 0.25, "0.25s"),
        ("5 MIN", 300, "5m"),
        ("1s500ms", 1.5, "1.5s"),
    ],
)
def test_span(text: str, seconds: float, normal: str) -> None:
    assert parse_span(text) == seconds * US
    assert span_text(parse_span(text)) == normal
    assert parse_span(normal) == parse_span(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("abc", "not a span", "1h30m"),
        ("5 parsecs", 'unknown unit "parsecs"', "w, d, h, m, s and ms"),
        ("1mo", "no fixed length", "0 0 1 * *"),
        ("1M", "no fixed length", ""),
        ("2 years", "no fixed length", ""),
        ("PT5M", "ISO 8601", "1h30m"),
        ("0", "no time at all", ""),
        ("0s", "no time at all", ""),
        ("-5s", "not a span", ""),
        ("5m 3", "not a span", ""),
        ("5m 3min", "names a unit twice", ""),
        ("0.5s", "shorter than a second", "one second"),
        ("200000w", "hundred years", ""),
    ],
)
def test_interval_that_cannot_be_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("interval", text)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_anchor_sets_the_phase_for_all_time() -> None:
    schedule = parse_schedule("interval", "10m", anchor_at=7 * US)
    assert schedule.next_after(7 * US) == 607 * US
    assert schedule.next_after(7 * US - 1) == 7 * US
    assert schedule.previous_before(7 * US) == -593 * US
    assert schedule.count_between(7 * US, 607 * US) == 1
    assert schedule.count_between(607 * US, 7 * US) == 0


def test_three_days_of_seconds_are_counted_without_listing() -> None:
    schedule = parse_schedule("interval", "1s")
    assert schedule.count_between(0, 3 * 86_400 * US) == 3 * 86_400


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("30s", "2026-11-20T04:05:30"),
        ("15m", "2026-11-20T04:15:00"),
        ("1h", "2026-11-20T05:00:00"),
        ("1d", "2026-11-21T00:00:00"),
        ("1w", "2026-11-23T00:00:00"),  # a Monday
    ],
)
def test_without_an_anchor_it_is_aligned(text: str, wanted: str) -> None:
    at = int(datetime(2026, 11, 20, 4, 5, 6, tzinfo=UTC).timestamp()) * US
    following = parse_schedule("interval", text, timezone="Asia/Tokyo").next_after(at)
    assert following is not None
    assert datetime.fromtimestamp(following / US, UTC).isoformat()[:19] == wanted


def test_clock_changes_do_not_move_it() -> None:
    schedule = parse_schedule("interval", "1h", timezone="Europe/Berlin", anchor_at=0)
    autumn = int(datetime(2026, 10, 25, tzinfo=UTC).timestamp()) * US
    found = list(schedule.between(autumn, autumn + 4 * 3600 * US))
    assert [b - a for a, b in zip([autumn, *found], found, strict=False)] == [3600 * US] * 4
