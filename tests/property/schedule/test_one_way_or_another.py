"""Whatever the schedule and the moments: forward, backward, one by one and counted agree."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from jobctl.schedule import Schedule, ScheduleError, parse_schedule
from tests.property.schedule.walker import Named, looks, utc, walk
from tests.property.schedule.walker import changes as walked_changes

US = 10**6
DAY = 86_400 * US
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
    "Pacific/Apia", "Antarctica/Troll", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Gaza",
    "Asia/Kathmandu", "America/Nuuk", "Africa/Cairo", "Asia/Pyongyang", "Africa/Monrovia",
]  # fmt: skip


def items(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    ends = st.tuples(value, value).map(sorted)
    step = st.integers(1, high + 5)
    return st.one_of(
        value.map(str),
        st.just("*"),
        step.map(lambda step: f"*/{step}"),
        ends.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(ends, step).map(lambda drawn: f"{drawn[0][0]}-{drawn[0][1]}/{drawn[1]}"),
    )


def fields(low: int, high: int, *extra: str) -> st.SearchStrategy[str]:
    item = items(low, high)
    if extra:
        item = st.one_of(item, st.sampled_from(extra))
    return st.lists(item, min_size=1, max_size=3).map(",".join)


@st.composite
def crontab_texts(draw: st.DrawFn, *, with_seconds: bool = True) -> str:
    parts = [
        draw(fields(0, 59)),
        draw(st.one_of(st.just("*"), fields(0, 23))),
        draw(st.one_of(st.just("*"), fields(1, 31, "L", "LW", "15W", "L-2", "1W", "31W"))),
        draw(st.one_of(st.just("*"), fields(1, 12))),
        draw(st.one_of(st.just("*"), fields(0, 6, "sun", "7", "5#3", "0L", "mon#5"))),
    ]
    if with_seconds and draw(st.integers(0, 4)) == 0:
        parts.append(draw(fields(0, 59)))
    return " ".join(parts)


def crontab_unless_never(text: str, zone: str, dialect: str) -> Schedule | None:
    """The schedule; None when no such day ever comes, the one reason to refuse these texts."""
    try:
        return parse_schedule("crontab", text, timezone=zone, dialect=dialect)
    except ScheduleError as refused:
        if "never fires" not in refused.message:
            raise
        return None


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    zone = draw(st.sampled_from(ZONES))
    match draw(st.sampled_from(["crontab", "crontab", "crontab", "interval", "clocked", "solar"])):
        case "interval":
            every = draw(st.integers(1, 4 * 604_800))
            anchor = draw(st.one_of(st.none(), st.integers(-DAY, 60 * 365 * DAY)))
            return parse_schedule("interval", f"{every}s", timezone=zone, anchor_at=anchor)
        case "clocked":
            moment = draw(
                st.datetimes(utc(1999).replace(tzinfo=None), utc(2041).replace(tzinfo=None))
            )
            return parse_schedule("clocked", moment.isoformat(), timezone=zone)
        case "solar":
            event = draw(st.sampled_from(["sunrise", "sunset", "dawn_civil", "solar_noon"]))
            latitude = draw(st.integers(-90, 90))
            longitude = draw(st.integers(-180, 180))
            return parse_schedule("solar", f"{event} {latitude} {longitude}", timezone=zone)
        case _:
            dialect = draw(st.sampled_from(["cronie", "celery"]))
            schedule = crontab_unless_never(draw(crontab_texts()), zone, dialect)
            assume(schedule is not None)
            assert schedule is not None
            return schedule


# Half of the moments lie where something happens.
MOMENTS = st.one_of(
    st.integers(int(utc(2000).timestamp()) * US, int(utc(2041).timestamp()) * US),
    st.tuples(
        st.sampled_from(
            [
                moment
                for zone in ZONES
                for moment in walked_changes(ZoneInfo(zone), utc(2009, 6), utc(2012))
            ]
        ),
        st.integers(-2 * DAY, DAY),
    ).map(lambda drawn: int(drawn[0].timestamp()) * US + drawn[1]),
)


def span_for(schedule: Schedule, after: int) -> int:
    """A stretch with a few hundred instants at most."""
    until = after
    for _ in range(300):
        following = schedule.next_after(until)
        if following is None or following > after + 800 * DAY:
            return after + 800 * DAY
        until = following
    return until


@pytest.mark.slow
@settings(max_examples=400)
@given(schedule=schedules(), after=MOMENTS, part=st.floats(0, 1))
def test_all_ways_give_the_same_instants(schedule: Schedule, after: int, part: float) -> None:
    until = span_for(schedule, after)
    forward = list(schedule.between(after, until))

    assert forward == sorted(set(forward))
    assert all(after < instant <= until for instant in forward)

    backward = []
    at = schedule.previous_before(until + 1)
    while at is not None and at > after:
        backward.append(at)
        at = schedule.previous_before(at)
    assert backward[::-1] == forward

    for instant in forward[:40] + forward[-40:]:
        assert schedule.next_after(instant - 1) == instant
        assert schedule.previous_before(instant + 1) == instant

    assert schedule.count_between(after, until) == len(forward)
    cut = after + int((until - after) * part)
    assert list(schedule.between(after, cut)) + list(schedule.between(cut, until)) == forward
    assert schedule.count_between(after, cut) + schedule.count_between(cut, until) == len(forward)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    text=crontab_texts(),
    zone=st.sampled_from(ZONES),
    minutes=st.integers(-3000, 600),
    change=st.integers(0, 10_000),
    is_celery=st.booleans(),
)
@example(text="*/20 13 * * *", zone="Australia/Lord_Howe", minutes=0, change=3, is_celery=False)
def test_random_crontab_is_walked_alike(
    text: str, zone: str, minutes: int, change: int, is_celery: bool
) -> None:
    schedule = crontab_unless_never(text, zone, "celery" if is_celery else "cronie")
    if schedule is None:
        return
    known = walked_changes(ZoneInfo(zone), utc(2009), utc(2013)) or [utc(2010)]
    start_s = int(known[change % len(known)].timestamp()) + 60 * minutes
    after, until = (
        utc(1970) + (utc(1970, 1, 2) - utc(1970)) * (moment / 86_400)
        for moment in (start_s, start_s + 86_400)
    )
    seen = list(looks(ZoneInfo(zone), after, until))
    wanted = walk(Named.of(text, is_celery=is_celery), seen, until_s=start_s + 86_400)
    found = schedule.between((start_s + 59) * US, (start_s + 86_400) * US)
    assert [instant // US for instant in found] == wanted


@settings(max_examples=300)
@given(text=crontab_texts(), dialect=st.sampled_from(["cronie", "celery"]))
def test_normal_form_means_the_same(text: str, dialect: str) -> None:
    schedule = crontab_unless_never(text, "UTC", dialect)
    if schedule is None:
        return
    again = parse_schedule("crontab", schedule.normal, dialect=dialect)
    assert again == schedule
    after = int(utc(2026).timestamp()) * US
    until = span_for(schedule, after)
    assert list(again.between(after, until)) == list(schedule.between(after, until))


@settings(max_examples=300)
@given(text=st.text(alphabet='0123456789*/-,~#LWHmonsunjan@? \t:.PTZ+{}"e', max_size=40))
def test_any_text_is_a_schedule_or_refused_with_a_sentence(text: str) -> None:
    for kind in ("crontab", "interval", "clocked", "solar"):
        try:
            schedule = parse_schedule(kind, text)
        except ScheduleError as refused:
            told = refused.message
        else:
            told = schedule.normal
            assert parse_schedule(kind, told).normal == told
        assert told.replace("\t", " ").isprintable()
