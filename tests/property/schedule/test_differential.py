"""The same crontabs by cronsim and by croniter: equal, but for a list of known differences.

Each difference is one that the documentation explains (`docs/reference/schedules.md`), lies within a
day of a clock change, and has an example below that fails as soon as the other library changes its
mind.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim

from jobctl.schedule import parse_schedule
from tests.property.schedule.expressions import DAYS, HOURS, MINUTES
from tests.property.schedule.walker import changes

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe",
    "Asia/Kathmandu",
]  # fmt: skip
NEAR = [
    (2017, 10, 14), (2018, 2, 17), (2026, 3, 7), (2026, 3, 28), (2026, 4, 4), (2026, 10, 3),
    (2026, 10, 24), (2026, 10, 31), (2027, 6, 1),
]  # fmt: skip
COUNT = 14

# Grammar that the others do not have, or read otherwise in every season.
CRONSIM_WITHOUT = ("15W", "L-2")
CRONITER_WITHOUT = ("15W", "L-2", "LW", "0L")


def ours(text: str, zone: str, after: datetime) -> list[int]:
    schedule = parse_schedule("crontab", text, timezone=zone)
    found: list[int] = []
    following = schedule.next_after(int(after.timestamp()) * 10**6)
    while following is not None and len(found) < COUNT:
        found.append(following // 10**6)
        following = schedule.next_after(following)
    return found


def by_cronsim(text: str, zone: str, after: datetime) -> list[int]:
    walk = CronSim(text, after.astimezone(ZoneInfo(zone)))
    return [int(moment.timestamp()) for moment in islice(walk, COUNT)]


def by_croniter(text: str, zone: str, after: datetime) -> list[int]:
    # The option makes it AND the day fields when one begins with a star, as every cron does.
    walk = croniter(text, after.astimezone(ZoneInfo(zone)), implement_cron_bug=True)
    return [int(walk.get_next(datetime).timestamp()) for _ in range(COUNT)]


def why_cronsim_differs(text: str, zone: str) -> str:
    minute, hour = text.split()[:2]
    if zone == "Australia/Lord_Howe":
        return "it walks by hours and loses the minute where a zone shifts by half an hour"
    if zone == "America/Sao_Paulo":
        return "it begins a day without midnight at the wrong hour"
    if minute.startswith("*") and not hour.startswith("*"):
        return "a star in the minutes makes it follow real time; here the hours alone decide"
    return ""


def why_croniter_differs(text: str, zone: str) -> str:
    hour = text.split()[1]
    if zone == "Australia/Lord_Howe":
        return "it shifts by whole hours"
    if zone == "America/Sao_Paulo":
        return "it begins a day without midnight at the wrong hour"
    if not hour.startswith("*"):
        return "it runs fixed times twice when clocks go back"
    return ""


def random_cases(count: int) -> list[tuple[str, str, datetime]]:
    draw = random.Random(3)
    return [
        (
            " ".join(draw.choice(choices) for choices in (MINUTES, HOURS, DAYS)),
            draw.choice(ZONES),
            datetime(*draw.choice(NEAR), tzinfo=UTC) + timedelta(minutes=draw.randrange(1440)),
        )
        for _ in range(count)
    ]


def is_near_a_change(zone: str, moments: set[int]) -> bool:
    since, until = (datetime.fromtimestamp(moment, UTC) for moment in (min(moments), max(moments)))
    day = timedelta(days=1, hours=2)
    found = changes(ZoneInfo(zone), since - day, until + day)
    return any(
        abs(moment - change.timestamp()) < day.total_seconds()
        for change in found
        for moment in moments
    )


@pytest.mark.parametrize("peer", ["cronsim", "croniter"])
def test_random_crontabs_agree_but_for_the_known(peer: str) -> None:
    theirs_of, why_differs, without = {
        "cronsim": (by_cronsim, why_cronsim_differs, CRONSIM_WITHOUT),
        "croniter": (by_croniter, why_croniter_differs, CRONITER_WITHOUT),
    }[peer]
    seen: Counter[str] = Counter()
    for text, zone, after in random_cases(1500):
        if any(word in text for word in without):
            continue
        found, theirs = ours(text, zone, after), theirs_of(text, zone, after)
        end = min(found[-1], theirs[-1])  # one more or less shifts what is still in sight
        apart = {moment for moment in set(found) ^ set(theirs) if moment <= end}
        if not apart:
            seen["equal"] += 1
            continue
        why = why_differs(text, zone)
        assert why, (text, zone, after, sorted(apart))
        assert is_near_a_change(zone, apart), (text, zone, after, sorted(apart))
        seen[why] += 1
    assert seen["equal"] > 1000
    assert seen.total() - seen["equal"] < 60


# One example of each known difference: ours first, then theirs.
@pytest.mark.parametrize(
    ("peer", "text", "zone", "day", "wanted", "theirs"),
    [
        ("croniter", "30 2 * * *", "Europe/Berlin", (2026, 10, 25), ["02:30+02"], ["02:30+02", "02:30+01"]),
        ("cronsim", "*/30 2 * * *", "Europe/Berlin", (2026, 3, 29), ["03:00+02"], []),
        ("cronsim", "*/30 2 * * *", "Europe/Berlin", (2026, 10, 25), ["02:00+02", "02:30+02"],
         ["02:00+02", "02:30+02", "02:00+01", "02:30+01"]),
        ("cronsim", "*/20 13 4 * *", "Australia/Lord_Howe", (2026, 10, 4),
         ["13:00+11", "13:20+11", "13:40+11"], ["13:40+11"]),
        ("cronsim", "0 */2 15 * *", "America/Sao_Paulo", (2017, 10, 15), ["02:00-02"],
         ["01:00-02", "02:00-02"]),
        ("croniter", "0 */2 15 * *", "America/Sao_Paulo", (2017, 10, 15), ["02:00-02"],
         ["01:00-02", "02:00-02"]),
    ],
)  # fmt: skip
def test_known_difference_is_still_there(
    peer: str, text: str, zone: str, day: tuple[int, int, int], wanted: list[str], theirs: list[str]
) -> None:
    after = datetime(*day, tzinfo=ZoneInfo(zone)) - timedelta(minutes=1)

    def told(moments: list[int]) -> list[str]:
        local = [datetime.fromtimestamp(moment, ZoneInfo(zone)) for moment in moments]
        of_day = [
            f"{moment:%H:%M%z}"[:-2]
            for moment in local
            if moment.date() == datetime(*day, tzinfo=UTC).date()
        ]
        return of_day[: max(len(wanted), len(theirs))] if wanted else of_day

    walk = by_cronsim if peer == "cronsim" else by_croniter
    if text.startswith("0 */2"):
        found, peers = told(ours(text, zone, after))[:1], told(walk(text, zone, after))[:2]
    else:
        found, peers = told(ours(text, zone, after)), told(walk(text, zone, after))
    assert (found, peers) == (wanted, theirs)


def test_croniter_forgets_the_weekday_beside_a_working_day() -> None:
    after = datetime(2026, 8, 1, tzinfo=UTC)
    first_friday = datetime(2026, 8, 7, tzinfo=UTC).timestamp()
    working_day = datetime(2026, 8, 14, tzinfo=UTC).timestamp()
    assert ours("0 0 15W * fri", "UTC", after)[:2] == [first_friday, working_day]
    assert by_croniter("0 0 15W * fri", "UTC", after)[0] == working_day


def test_croniter_ors_star_steps_unless_told() -> None:
    after = datetime(2026, 8, 1, 12, tzinfo=UTC)
    plain = croniter("0 0 */2 * 1", after).get_next(datetime)
    assert plain == datetime(2026, 8, 3, tzinfo=UTC)
    assert croniter("0 0 */2 * 2", after).get_next(datetime).day == 3  # a Monday, only odd
    assert ours("0 0 */2 * 2", "UTC", after)[0] == datetime(2026, 8, 11, tzinfo=UTC).timestamp()


def test_croniter_takes_a_single_value_range_for_everything() -> None:
    assert croniter.expand("5-5 * * * *")[0][0] == ["*"]
    schedule = parse_schedule("crontab", "5-5 * * * *")
    assert schedule.normal == "5 * * * *"
