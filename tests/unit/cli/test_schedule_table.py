"""What a line of ``schedule add`` says, as keys of a table: moments and the one rule."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.cli.schedule_table import WHEN, moment_text, read_when, with_moments
from jobctl.errors import UsageError
from jobctl.schedule import ScheduleError

NOW = 1_795_141_800_000_000 + 250_000
"""2026-11-20 02:30:00.25 UTC."""


def moment(text: str, timezone: str = "Europe/Berlin") -> str:
    return moment_text(text, option="--at", now_us=NOW, timezone=timezone)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in 2h", "2026-11-20T05:30:01+01:00"),
        ("In 90 minutes", "2026-11-20T05:00:01+01:00"),
        ("+1d", "2026-11-21T03:30:01+01:00"),
        ("+ 10s", "2026-11-20T03:30:11+01:00"),
        ("18:00", "2026-11-20T18:00:00+01:00"),
        ("03:30", "2026-11-21T03:30:00+01:00"),
        ("3:31", "2026-11-20T03:31:00+01:00"),
        ("03:30:01", "2026-11-20T03:30:01+01:00"),
    ],
)
def test_what_depends_on_now_becomes_a_moment_that_does_not(text: str, expected: str) -> None:
    assert moment(text) == expected


def test_the_zone_that_was_named_decides_what_a_clock_shows() -> None:
    assert moment("18:00", "America/New_York") == "2026-11-20T18:00:00-05:00"
    assert moment("21:29", "America/New_York") == "2026-11-20T21:29:00-05:00"


def test_a_clock_time_in_a_gap_is_the_first_moment_after_it() -> None:
    before_the_gap = 1_806_188_400_000_000  # 2027-03-28 00:00 in Berlin
    told = moment_text("02:30", option="--at", now_us=before_the_gap, timezone="Europe/Berlin")
    assert told == "2027-03-28T03:00:00+02:00"


@pytest.mark.parametrize(
    "text", ["2026-12-24 18:00", "2026-12-24T18:00+01:00", "soon", "", "12-24"]
)
def test_any_other_text_is_left_to_the_daemon(text: str) -> None:
    assert moment(text) == text


@pytest.mark.parametrize("text", ["2h", "30s", "1h30m"])
def test_a_span_is_no_moment(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        moment(text)
    assert f'"in {text}"' in caught.value.hint
    assert f"--every {text}" in caught.value.hint


def test_an_unknown_zone_is_told_with_the_nearest_one() -> None:
    with pytest.raises(ScheduleError, match="Europe/Berlni") as caught:
        moment("18:00", "Europe/Berlni")
    assert "Europe/Berlin" in caught.value.hint


def test_only_keys_that_are_moments_are_looked_at() -> None:
    table = {"at": "in 1h", "start": "in 2h", "end": "in 3h", "expires": "in 4h", "max_runs": 3}

    told = with_moments(table, now_us=NOW, timezone=None, host_zone="UTC")

    assert told == {
        "at": "2026-11-20T03:30:01+00:00",
        "start": "2026-11-20T04:30:01+00:00",
        "end": "2026-11-20T05:30:01+00:00",
        "expires": "in 4h",
        "max_runs": 3,
    }


def when(*, reboot: bool = False, needed: bool = True, **said: str) -> dict[str, str]:
    return read_when({name: said.get(name) for name in WHEN}, reboot=reboot, needed=needed)


def test_one_rule_is_a_key_of_the_table() -> None:
    assert when(cron="@daily") == {"cron": "@daily"}
    assert when(every="30s") == {"every": "30s"}
    assert when(reboot=True) == {"cron": "@reboot"}
    assert when(needed=False) == {}


def test_an_empty_text_is_a_rule_that_the_daemon_refuses() -> None:
    assert when(cron="") == {"cron": ""}


@pytest.mark.parametrize(
    "said", [{"cron": "@daily", "every": "1h"}, {"at": "18:00", "reboot": True}]
)
def test_two_rules_exclude_each_other(said: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        when(**said)


def test_no_rule_is_told_with_every_way_to_write_one() -> None:
    with pytest.raises(UsageError, match="nothing says when") as caught:
        when()
    for option in ("--cron", "--every", "--at", "--solar", "--reboot"):
        assert option in caught.value.hint
