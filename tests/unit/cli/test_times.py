"""Moments and spans as people read and write them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from jobctl.cli import times
from jobctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = ZoneInfo("Europe/Berlin")


def us(text: str) -> int:
    """The moment of an ISO text; without an offset it is Berlin's time."""
    when = datetime.fromisoformat(text)
    when = when if when.tzinfo else when.replace(tzinfo=BERLIN)
    return round(when.timestamp()) * 1_000_000


NOW = us("2026-11-20 12:00:00")


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_moment_is_local_with_its_offset() -> None:
    winter, summer = us("2026-11-20 04:00:00") + 5, us("2026-07-01 04:00:00")

    assert times.iso(winter) == "2026-11-20T04:00:00.000005+01:00"
    assert times.iso(summer) == "2026-07-01T04:00:00.000000+02:00"
    assert times.shown(winter) == "2026-11-20 04:00:00"
    assert times.zone_shown(winter) == "CET (+01:00)"
    assert times.iso_or_none(None) is None
    assert datetime.fromisoformat(times.iso(-1)).timestamp() == -1e-06


def test_an_offset_with_seconds_is_kept_whole() -> None:
    # Berlin's local mean time, before 1893-04-01.
    assert times.iso(us("1890-01-01T00:00:00+00:00")) == "1890-01-01T00:53:28.000000+00:53:28"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.004, "4ms"),
        (0.52, "0.52s"),
        (9.999, "10.0s"),
        (12.34, "12.3s"),
        (59.99, "1m00s"),
        (92, "1m32s"),
        (3599.7, "1h00m"),
        (3725, "1h02m"),
        (100_000, "1d03h"),
        (-92, "-1m32s"),
    ],
)
def test_a_span_is_shown_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert times.span_shown(seconds) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21 02:30", us("2026-11-21 02:30")),
        ("2026-11-21T02:30:05", us("2026-11-21 02:30:05")),
        ("2026-11-21T02:30:00+05:00", us("2026-11-21T02:30:00+05:00")),
        ("2026-11-21T02:30:00Z", us("2026-11-21T02:30:00+00:00")),
        ("2026-07-01 12:00", us("2026-07-01 12:00")),
        ("2026-11-21", us("2026-11-21 00:00")),
        ("13:00", us("2026-11-20 13:00")),
        ("12:00:01", us("2026-11-20 12:00:01")),
        ("12:00", us("2026-11-21 12:00")),
        ("02:30", us("2026-11-21 02:30")),
        (" 02:30 ", us("2026-11-21 02:30")),
    ],
)
def test_a_moment_without_an_offset_is_local_time(text: str, expected: int) -> None:
    assert times.parse_moment(text, option="--at", now_us=NOW) == expected


def test_a_time_that_happens_twice_is_refused_and_both_are_named() -> None:
    with pytest.raises(UsageError) as refused:
        times.parse_moment("2026-10-25 02:30", option="--at", now_us=NOW)

    assert str(refused.value).startswith('--at: "2026-10-25 02:30" happens twice')
    assert '"2026-10-25 02:30:00+02:00" or "2026-10-25 02:30:00+01:00"' in refused.value.hint


def test_a_time_that_is_skipped_is_refused() -> None:
    with pytest.raises(UsageError, match=r"does not exist here"):
        times.parse_moment("2027-03-28 02:30", option="--at", now_us=NOW)


def test_a_time_of_day_whose_next_turn_is_skipped_is_refused() -> None:
    with pytest.raises(UsageError, match=r"does not exist here"):
        times.parse_moment("02:30", option="--at", now_us=us("2027-03-27 12:00"))


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "2026-13-01", "20261121", "10", "02:30+01:00", "0001-01-01", "9:30"],
)
def test_what_is_no_moment_is_refused_and_named(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        times.parse_moment(text, option="--at", now_us=NOW)

    assert str(refused.value).startswith(f'--at: "{text}"')
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", NOW + 600_000_000),
        ("1h30m", NOW + 5_400_000_000),
        ("13:00", us("2026-11-20 13:00")),
        ("2026-11-21T02:30:00Z", us("2026-11-21T02:30:00+00:00")),
    ],
)
def test_an_expiry_is_a_moment_or_a_span(text: str, expected: int) -> None:
    assert times.parse_moment_or_span(text, option="--expires", now_us=NOW) == expected


@pytest.mark.parametrize("text", ["10", "20261121", "1.5", "10x", "m"])
def test_an_expiry_that_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--expires: "):
        times.parse_moment_or_span(text, option="--expires", now_us=NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12:00", NOW),
        ("12:00:01", us("2026-11-19 12:00:01")),
        ("02:30", us("2026-11-20 02:30")),
        ("2026-11-21 02:30", us("2026-11-21 02:30")),
        ("2026-11-19", us("2026-11-19 00:00")),
        ("2h", us("2026-11-20 10:00")),
        ("1d12h", us("2026-11-19 00:00")),
        ("2026-11-19T02:30:00Z", us("2026-11-19T02:30:00+00:00")),
    ],
)
def test_a_moment_of_the_past_is_the_last_one_that_fits(text: str, expected: int) -> None:
    assert times.parse_past(text, option="--since", now_us=NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "10", "20261121", "2x"])
def test_what_is_no_moment_of_the_past_is_refused_and_names_the_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--since: "):
        times.parse_past(text, option="--since", now_us=NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("02:30", (None, "02:30")),
        (" 2026-11-20 ", (None, "2026-11-20")),
        ("2026-03-29 02:30", (None, "2026-03-29 02:30")),
        ("2026-11-20T02:30:00+01:00", (us("2026-11-20 02:30"), None)),
        ("8h", (us("2026-11-20 04:00"), None)),
    ],
)
def test_a_moment_that_is_asked_about_stays_local_without_an_offset(
    text: str, expected: tuple[int | None, str | None]
) -> None:
    assert times.parse_asked(text, option="--at", now_us=NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "20261121", "2026-13-01", "8x"])
def test_what_nobody_can_ask_about_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--at: "):
        times.parse_asked(text, option="--at", now_us=NOW)


def test_a_span_that_is_none_names_the_option() -> None:
    assert times.parse_span("1h30m", option="--in") == 5400.0
    with pytest.raises(UsageError, match=r"^--in: "):
        times.parse_span("later", option="--in")
