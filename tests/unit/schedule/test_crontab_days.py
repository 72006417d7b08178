from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobctl.schedule import parse_schedule

US = 10**6


def dates(text: str, since: str, count: int, **options: str) -> list[str]:
    schedule = parse_schedule("crontab", text, **options)  # type: ignore[arg-type]
    at = int(datetime.fromisoformat(since).replace(tzinfo=UTC).timestamp()) * US
    found = []
    for _ in range(count):
        following = schedule.next_after(at)
        assert following is not None
        at = following
        found.append(f"{datetime.fromtimestamp(at / US, UTC):%Y-%m-%d}")
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0 0 L * *", ["2027-01-31", "2027-02-28", "2027-03-31"]),
        ("0 0 L-2 * *", ["2027-01-29", "2027-02-26", "2027-03-29"]),
        ("0 0 LW * *", ["2027-01-29", "2027-02-26", "2027-03-31"]),
        ("0 0 15W * *", ["2027-01-15", "2027-02-15", "2027-03-15"]),
        ("0 0 16W * *", ["2027-01-15", "2027-02-16", "2027-03-16"]),
        ("0 0 1W 5,8 *", ["2027-05-03", "2027-08-02", "2028-05-01"]),
        ("0 0 31W * *", ["2027-01-29", "2027-03-31", "2027-05-31"]),
        ("0 0 * * 5#3", ["2027-01-15", "2027-02-19", "2027-03-19"]),
        ("0 0 * * 5#5", ["2027-01-29", "2027-04-30", "2027-07-30"]),
        ("0 0 * * 5L", ["2027-01-29", "2027-02-26", "2027-03-26"]),
        ("0 0 13 * 5", ["2027-01-01", "2027-01-08", "2027-01-13"]),
        ("0 0 */13 * 5", ["2027-01-01", "2027-05-14", "2027-08-27"]),
        ("0 0 31 * *", ["2027-01-31", "2027-03-31", "2027-05-31"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 1 1 *", ["2027-01-01", "2028-01-01", "2029-01-01"]),
    ],
)
def test_days(text: str, wanted: list[str]) -> None:
    assert dates(text, "2026-12-31T12:00", 3) == wanted


def test_leap_day_skips_a_century() -> None:
    assert dates("0 0 29 2 *", "2096-03-01T00:00", 2) == ["2104-02-29", "2108-02-29"]


def test_leap_day_on_one_weekday_waits_for_decades() -> None:
    found = dates("0 0 29 2 mon", "2000-01-01T00:00", 3, dialect="celery")
    assert found == ["2016-02-29", "2044-02-29", "2072-02-29"]


def test_at_boot_has_no_instants() -> None:
    schedule = parse_schedule("crontab", "@reboot")
    assert schedule.is_at_boot
    assert schedule.next_after(0) is None
    assert schedule.previous_before(10**18) is None
    assert list(schedule.between(0, 10**18)) == []
    assert schedule.count_between(0, 10**18) == 0


def test_ends_of_the_calendar_are_quiet() -> None:
    schedule = parse_schedule("crontab", "* * * * *", timezone="Europe/Berlin")
    for far in (10**30, -(10**30)):
        assert schedule.next_after(far) is None
        assert schedule.previous_before(far) is None
    leap = parse_schedule("crontab", "0 0 29 2 *", timezone="Europe/Berlin")
    assert leap.next_after(253_299_000_000 * US) is None
    assert leap.previous_before(-62_060_000_000 * US) is None
    assert schedule.count_between(-(10**30), 0) > 0


def test_equal_schedules_are_equal_and_hash_alike() -> None:
    one = parse_schedule("crontab", "0-59/15 * * * *", timezone="Europe/Berlin")
    two = parse_schedule("crontab", "*/15  * * * *", timezone="Europe/Berlin")
    assert one == two
    assert hash(one) == hash(two)
    assert one != parse_schedule("crontab", "*/15 * * * *", timezone="Europe/Paris")
    assert one != parse_schedule(
        "crontab", "*/15 * * * *", timezone="Europe/Berlin", dialect="celery"
    )


def test_instants_are_strictly_after_and_before_to_the_microsecond() -> None:
    schedule = parse_schedule("crontab", "* * * * *")
    minute = 60 * US
    assert schedule.next_after(minute - 1) == minute
    assert schedule.next_after(minute) == 2 * minute
    assert schedule.next_after(minute + 1) == 2 * minute
    assert schedule.previous_before(minute + 1) == minute
    assert schedule.previous_before(minute) == 0
    assert list(schedule.between(minute, 3 * minute)) == [2 * minute, 3 * minute]
    assert schedule.count_between(minute, 3 * minute) == 2
    assert schedule.count_between(minute, minute) == 0
    assert schedule.count_between(3 * minute, minute) == 0
