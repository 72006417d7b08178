"""P7: at every change of the clocks, crontabs do what a walk over every minute says.

The quick run takes a few zones with one change of each kind; the slow one takes every zone of the
database with all its changes from 2000 to 2040.
"""

from __future__ import annotations

import pickle
import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from filelock import FileLock

from jobctl.schedule import Schedule, parse_schedule
from tests.property.schedule.expressions import all_shapes
from tests.property.schedule.walker import Look, Named, changes, looks, utc, walk

AROUND = timedelta(hours=26)
EXPRESSIONS = all_shapes(240)
SINCE, UNTIL = utc(2000), utc(2041)

# Each line a kind of change that others get wrong.
ODD_CHANGES = [
    ("Europe/Berlin", utc(2026, 3, 29, 1), "an hour skipped at 02:00"),
    ("Europe/Berlin", utc(2026, 10, 25, 1), "an hour repeated at 03:00"),
    ("America/New_York", utc(2037, 11, 1, 6), "far ahead, from the rule and not from the table"),
    ("Australia/Lord_Howe", utc(2026, 10, 3, 15, ), "half an hour skipped"),
    ("Australia/Lord_Howe", utc(2026, 4, 4, 15), "half an hour repeated"),
    ("Antarctica/Troll", utc(2026, 3, 29, 1), "two hours skipped"),
    ("Antarctica/Troll", utc(2026, 10, 25, 1), "two hours repeated"),
    ("America/Sao_Paulo", utc(2018, 11, 4, 3), "midnight skipped"),
    ("America/Sao_Paulo", utc(2018, 2, 18, 2), "the hour before midnight repeated"),
    ("America/St_Johns", utc(2010, 11, 7, 2), "a minute past midnight back into the day before"),
    ("America/St_Johns", utc(2010, 3, 14, 3), "skipped from a minute past midnight"),
    ("Pacific/Apia", utc(2011, 12, 30, 10), "a whole day left out"),
    ("Asia/Pyongyang", utc(2015, 8, 14, 15), "half an hour repeated over midnight"),
    ("America/Caracas", utc(2007, 12, 9, 7), "a zone that moved"),
    ("Africa/Casablanca", utc(2026, 2, 15, 2), "an hour repeated for Ramadan"),
    ("Africa/Cairo", utc(2026, 4, 23, 22), "midnight skipped on a Friday"),
    ("America/Nuuk", utc(2026, 3, 29, 1), "skipped over midnight into Sunday"),
    ("Asia/Gaza", utc(2026, 3, 27, 23), "skipped on a Saturday"),
]  # fmt: skip


@cache
def parsed(expression: str, zone: str) -> Schedule:
    return parse_schedule("crontab", expression, timezone=zone)


@cache
def named(expression: str) -> Named:
    return Named.of(expression)


def bounds(middle: datetime) -> tuple[int, int]:
    """After and until in microseconds: from just before the first look, so with all its seconds."""
    assert middle.second == 0
    return (
        int((middle - AROUND).timestamp() + 59) * 10**6,
        int((middle + AROUND).timestamp()) * 10**6,
    )


def compare(
    zone: str, expression: str, seen: list[Look], middle: datetime, walked: dict[str, list[int]]
) -> None:
    after_us, until_us = bounds(middle)
    wanted = walked.get(expression)
    if wanted is None:
        wanted = walked[expression] = walk(named(expression), seen, until_s=until_us // 10**6)
    schedule = parsed(expression, zone)
    found = [instant // 10**6 for instant in schedule.between(after_us, until_us)]
    assert found == wanted, (zone, expression, middle, told(found, wanted, zone))
    assert schedule.count_between(after_us, until_us) == len(wanted), (zone, expression, middle)


def compare_backward(zone: str, expression: str, seen: list[Look], middle: datetime) -> None:
    _, until_us = bounds(middle)
    wanted = walk(named(expression), seen, until_s=until_us // 10**6)
    schedule = parsed(expression, zone)
    at: int | None = until_us + 1
    for instant in reversed(wanted):
        assert at is not None
        at = schedule.previous_before(at)
        assert at == instant * 10**6, (zone, expression, middle)


def compare_from_anywhere(zone: str, expression: str, seen: list[Look], middle: datetime) -> None:
    """Asked at odd moments, between the instants and in the midst of folds."""
    after_us, until_us = bounds(middle)
    wanted = walk(named(expression), seen, until_s=until_us // 10**6)
    schedule = parsed(expression, zone)
    soon_after = int(middle.timestamp()) + 3 * 3600
    for moment_s in [
        *range(after_us // 10**6, until_us // 10**6, 7 * 60 + 13),
        *range(soon_after - 4 * 3600, soon_after, 17),
    ]:
        at = bisect_right(wanted, moment_s)
        if at < len(wanted):
            assert schedule.next_after(moment_s * 10**6) == wanted[at] * 10**6, (
                expression,
                moment_s,
            )
        at = bisect_left(wanted, moment_s)
        if at > 0:
            assert schedule.previous_before(moment_s * 10**6) == wanted[at - 1] * 10**6


def told(found: list[int], wanted: list[int], zone: str) -> str:
    def local(moments: set[int]) -> list[str]:
        return [str(datetime.fromtimestamp(at, ZoneInfo(zone))) for at in sorted(moments)][:5]

    missing, extra = set(wanted) - set(found), set(found) - set(wanted)
    return f"missing {local(missing)}, too many {local(extra)}"


def looks_around(zone: str, middle: datetime) -> list[Look]:
    return list(looks(ZoneInfo(zone), middle - AROUND, middle + AROUND))


@pytest.mark.parametrize(("zone", "change", "what"), ODD_CHANGES)
def test_odd_change_is_walked_alike(zone: str, change: datetime, what: str) -> None:
    near = changes(ZoneInfo(zone), change - timedelta(days=2), change + timedelta(days=2))
    assert near, f"{zone}: no change near {change} ({what})"
    for middle in near:
        seen = looks_around(zone, middle)
        for expression in EXPRESSIONS[::2]:
            compare(zone, expression, seen, middle, {})
        for expression in EXPRESSIONS[1::8]:
            compare_backward(zone, expression, seen, middle)
            compare_from_anywhere(zone, expression, seen, middle)
        for expression in ("59 * * * * */7", "0-59 1-3 * * * */11", "* 0,1,2,3,23 * * * 5,58"):
            compare_from_anywhere(zone, expression, seen, middle)


def test_shapes_are_many_and_all_parse() -> None:
    assert len(EXPRESSIONS) >= 200
    assert len({parsed(expression, "UTC").normal for expression in EXPRESSIONS}) > 150


def test_quiet_days_are_walked_alike() -> None:
    draw = random.Random(7)
    for _ in range(10):
        middle = utc(2000) + timedelta(days=draw.randrange(365 * 40), minutes=draw.randrange(1440))
        zone = draw.choice(["Asia/Kolkata", "Asia/Kathmandu", "UTC", "Pacific/Marquesas"])
        seen = looks_around(zone, middle)
        for expression in EXPRESSIONS[::5]:
            compare(zone, expression, seen, middle, {})


Changes = list[tuple[datetime, list[str]]]


@pytest.fixture(scope="session")
def all_changes(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Changes:
    """What `find_all_changes` finds, which takes a minute: found once for all processes of a run."""
    if worker_id == "master":
        return find_all_changes()
    kept = tmp_path_factory.getbasetemp().parent / "changes-of-all-zones"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(find_all_changes()))
    found: Changes = pickle.loads(kept.read_bytes())
    return found


def find_all_changes() -> Changes:
    """Every change of 2000-2040 with the zones that make it, links told once.

    What is around a change depends on nothing but the moments and offsets there, so zones that agree
    on those share one walk; the schedules are asked for each of them.
    """
    histories: dict[object, str] = {}
    shapes: dict[object, list[str]] = defaultdict(list)
    for zone in sorted(available_timezones()):
        if zone in {"Factory", "localtime", "posixrules"}:
            continue
        info = ZoneInfo(zone)
        found = changes(info, SINCE, UNTIL)
        first = SINCE.astimezone(info).utcoffset()
        history = tuple((moment, moment.astimezone(info).utcoffset()) for moment in found)
        if histories.setdefault((first, history), zone) != zone:
            continue
        for middle in found:
            near = tuple(change for change in history if abs(change[0] - middle) < 2 * AROUND)
            before = (near[0][0] - timedelta(seconds=1)).astimezone(info).utcoffset()
            shapes[(middle, before, near)].append(zone)
    assert len(histories) > 100
    return [(key[0], zones) for key, zones in shapes.items()]  # type: ignore[index]


PARTS = 60


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_zone_is_walked_alike(part: int, all_changes: Changes) -> None:
    for middle, zones in all_changes[part::PARTS]:
        seen = looks_around(zones[0], middle)
        walked: dict[str, list[int]] = {}
        for zone in zones:
            for expression in EXPRESSIONS:
                compare(zone, expression, seen, middle, walked)
