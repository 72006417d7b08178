"""The same rules by ``systemd-analyze calendar``: equal in UTC but for one known bug, and different as
known in a zone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from jobctl.schedule import ScheduleError, parse_schedule

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None and "CI" not in os.environ,
        reason="needs systemd-analyze",
    ),
]

# systemd's form and ours. Steps from another start than 0 or 1 have no star in ours.
SAME = [
    ("*-*-* *:*:00", "* * * * *"),
    ("*-*-* *:00/5:00", "*/5 * * * *"),
    ("*-*-* *:00/15:00", "*/15 * * * *"),
    ("*-*-* *:03/10:00", "3-59/10 * * * *"),
    ("*-*-* 02:30:00", "30 2 * * *"),
    ("*-*-* 00..05:15:00", "15 0-5 * * *"),
    ("*-*-* 00/3:00:00", "0 */3 * * *"),
    ("*-*-* 01/6:00:00", "0 1-23/6 * * *"),
    ("*-*-* 06,18:00,30:00", "0,30 6,18 * * *"),
    ("*-*-01 00:00:00", "0 0 1 * *"),
    ("*-*-01,15 04:00:00", "0 4 1,15 * *"),
    ("*-*-31 00:00:00", "0 0 31 * *"),
    ("*-*-29..31 12:00:00", "0 12 29-31 * *"),
    ("*-02-29 00:00:00", "0 0 29 2 *"),
    ("*-01,04,07,10-01 00:00:00", "0 0 1 1,4,7,10 *"),
    ("*-*~01 00:00:00", "0 0 L * *"),
    ("*-*~03 00:00:00", "0 0 L-2 * *"),
    ("Mon *-*-* 09:00:00", "0 9 * * 1"),
    ("Mon..Fri *-*-* 09:00:00", "0 9 * * 1-5"),
    ("Sat,Sun *-*-* 09:00:00", "0 9 * * 6,7"),
    ("Mon *-*-01..07 09:00:00", "0 9 * * 1#1"),
    ("Fri *-*-15..21 09:00:00", "0 9 * * 5#3"),
    ("Fri *-*~07/1 09:00:00", "0 9 * * 5L"),
    ("Sun *-*-01/2 00:00:00", "0 0 */2 * 0"),
    ("Mon *-*-01..07 00:00:00", "0 0 */100,1-7 * mon"),
    ("*-*-* *:*:00/20", "* * * * * */20"),
    ("*-*-* 03:00:15", "0 3 * * * 15"),
    ("*-12-24 18:00:00", "0 18 24 dec *"),
]


def by_systemd(calendar: str, after: datetime, count: int) -> list[int]:
    printed = subprocess.run(
        ["systemd-analyze", "calendar", f"--base-time={after:%Y-%m-%d %H:%M:%S} UTC",
         f"--iterations={count}", calendar],
        check=True, capture_output=True, text=True, env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    # In UTC each line tells the moment once; with a zone in the calendar too, as TZ is UTC.
    told = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ ([0-9-]+ [0-9:]+) UTC", printed)
    return [int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) for moment in told]


def ours(text: str, zone: str, after: datetime, count: int) -> list[int]:
    schedule = parse_schedule("crontab", text, timezone=zone)
    found: list[int] = []
    following = schedule.next_after(int(after.timestamp()) * 10**6)
    while following is not None and len(found) < count:
        found.append(following // 10**6)
        following = schedule.next_after(following)
    return found


@pytest.mark.parametrize(("calendar", "text"), SAME)
@pytest.mark.parametrize("start", ["2026-02-27T23:00", "2027-12-31T12:34"])
def test_same_rule_gives_the_same_instants_in_utc(calendar: str, text: str, start: str) -> None:
    after = datetime.fromisoformat(start).replace(tzinfo=UTC)
    theirs = by_systemd(calendar, after, 12)
    assert len(theirs) == 12
    assert ours(text, "UTC", after, 12) == theirs


@pytest.mark.parametrize(("calendar", "text"), SAME)
def test_the_hint_for_a_calendar_is_the_same_rule(calendar: str, text: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("crontab", calendar)
    assert "systemd" in refused.value.message
    hint = re.fullmatch(r'Write "(.*)"\.', refused.value.hint)
    if hint is not None:
        after = datetime(2026, 2, 27, 23, tzinfo=UTC)
        assert ours(hint[1], "UTC", after, 12) == by_systemd(calendar, after, 12), text


# A step that does not divide its field runs over the end of the day, and the first value of the next
# day is lost: after 23:56 comes minute 63, which is 00:03, and then 00:00 is past.
def test_systemd_loses_the_first_value_after_an_uneven_step() -> None:
    after = datetime(2026, 3, 28, 23, 50, tzinfo=UTC)
    theirs = by_systemd("*-*-* *:00/7:00", after, 2)
    assert hours(theirs, "2026-03-29") == ["00:07"]
    assert hours(ours("*/7 * * * *", "UTC", after, 2), "2026-03-29") == ["00:00"]


def hours(moments: list[int], day: str) -> list[str]:
    local = [datetime.fromtimestamp(moment, UTC) for moment in moments]
    return [f"{moment:%H:%M}" for moment in local if f"{moment:%Y-%m-%d}" == day]


# Known differences, told in UTC: systemd skips what lies in a gap and loses an hour in a fold.
def test_systemd_skips_a_time_in_the_gap() -> None:
    after = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert hours(by_systemd("*-*-* 02:30:00 Europe/Berlin", after, 3), "2026-03-29") == []
    assert hours(ours("30 2 * * *", "Europe/Berlin", after, 3), "2026-03-29") == ["01:00"]


def test_systemd_loses_the_repeated_hour() -> None:
    after = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    theirs = by_systemd("*-*-* *:30:00 Europe/Berlin", after, 4)
    assert hours(theirs, "2026-10-25") == ["00:30", "02:30", "03:30"]
    assert hours(ours("30 * * * *", "Europe/Berlin", after, 5), "2026-10-25") == [
        "00:30", "01:30", "02:30", "03:30",
    ]  # fmt: skip


def test_systemd_and_we_run_a_fixed_time_once_in_the_fold() -> None:
    after = datetime(2026, 10, 24, 12, tzinfo=UTC)
    theirs = by_systemd("*-*-* 02:30:00 Europe/Berlin", after, 3)
    assert theirs == ours("30 2 * * *", "Europe/Berlin", after, 3)
