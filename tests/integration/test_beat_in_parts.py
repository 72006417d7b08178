"""A new plan for the beat, prepared a part at a time while the old one goes on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jobctl.clock import SECOND
from jobctl.steps import PART
from jobctl.store.database import open_database
from tests.support.beating import Beating
from tests.support.builders import a_plan, a_schedule
from tests.support.parts import largest_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jobctl.beat import Prepared
    from jobctl.plan import Plan, ScheduleSpec

COUNT = 3 * PART
"""Schedules: more than one part of them."""


@contextmanager
def a_beating(path: Path) -> Iterator[Beating]:
    database = open_database(path)
    yield Beating(database)
    database.close()


def schedules(count: int = COUNT) -> list[ScheduleSpec]:
    """Many that are due each minute, each with another thing in it that matters."""
    shapes: list[dict[str, Any]] = [
        {"cron": "* * * * *"},
        {"every": "1m"},
        {"cron": "* * * * *", "jitter": "20s"},
        {"cron": "* * * * *", "max_runs": 2},
        {"cron": "* * * * *", "enabled": False},
        {"cron": "@reboot"},
    ]
    return [a_schedule(f"s{n}", **shapes[n % len(shapes)]) for n in range(count)]


def changed() -> list[ScheduleSpec]:
    """A third is removed, a third is as it was, a third is edited, and some are new."""
    kept = [spec for n, spec in enumerate(schedules()) if n % 3 == 1]
    edited = [a_schedule(f"s{n}", cron="*/2 * * * *") for n in range(COUNT) if n % 3 == 2]
    return [*kept, *edited, *(a_schedule(f"new{n}", cron="* * * * *") for n in range(PART + 1))]


def bring(beating: Beating, prepared: Prepared) -> None:
    with beating.database.transaction():
        bring_into_force = beating.beat.finish(prepared, beating.clock.now())
    bring_into_force()
    beating.plan = prepared.plan


def in_parts(beating: Beating, plan: Plan, after: dict[int, Callable[[], None]]) -> int:
    """Bring a plan into force part by part; ``after`` so many parts other things happen. How many parts."""
    steps = beating.beat.preparing(plan)
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            bring(beating, end.value)
            return count
        count += 1
        after.get(count, lambda: None)()


def everything(beating: Beating) -> dict[str, Any]:
    """What the store and the beat know of the schedules, but for the numbers of rows."""
    database = beating.database
    rows = {
        table: database.dicts(f"SELECT t.*, s.name FROM {table} t JOIN schedules s ON {on}")
        for table, on in (
            ("schedules", "s.id = t.id"),
            ("rules", "s.id = t.schedule"),
            ("fires", "s.id = t.schedule"),
        )
    }
    numbers = ("id", "schedule", "job_id", "earlier_job", "reason")
    told = {
        table: sorted(
            repr({key: value for key, value in row.items() if key not in numbers}) for row in found
        )
        for table, found in rows.items()
    }
    entries = {
        name: (
            entry.spec,
            entry.state,
            entry.due_at,
            entry.watermark,
            entry.runs,
            entry.number,
            entry.paused_until,
        )
        for name, entry in beating.beat.entries().items()
    }
    return {**told, "entries": entries}


def test_a_plan_in_parts_comes_to_what_it_comes_to_at_once(tmp_path: Path) -> None:
    with a_beating(tmp_path / "one") as one, a_beating(tmp_path / "other") as other:
        for beating in (one, other):
            beating.take(*schedules())
            beating.after(90)
            beating.clock.advance(45)

        plan = a_plan(schedules=changed())
        # What happens between the parts, also to schedules that were looked at already.
        one.step()
        one.pause("s4", until_s=600)
        one.pause("s298")
        one.plan = plan
        one.take_again()

        def pause_both() -> None:
            other.pause("s4", until_s=600)
            other.pause("s298")

        assert in_parts(other, plan, {1: other.step, 2: pause_both}) > 3
        assert everything(one) == everything(other)

        for beating in (one, other):
            beating.after(200)
        assert everything(one) == everything(other)


def test_the_old_plan_fires_until_the_new_one_is_in_force(beating: Beating) -> None:
    beating.take(a_schedule("old", cron="* * * * *"), *schedules())
    plan = a_plan(schedules=[a_schedule("new", cron="* * * * *")])

    in_parts(beating, plan, {2: lambda: beating.after(61)})
    beating.after(60)

    assert beating.fates("old") == [("submitted", 1)]
    assert beating.fates("new") == [("submitted", 1)]


def test_a_clock_that_is_set_meanwhile_moves_the_intervals_of_the_new_plan_too(
    beating: Beating,
) -> None:
    beating.take(*schedules(), a_schedule("interval", every="10m"))
    begun = beating.clock.now()

    def set_clock() -> None:
        beating.clock.step(3600)
        beating.step()

    in_parts(beating, beating.plan, {2: set_clock})

    entry = beating.beat.entries()["interval"]
    assert entry.due_at == begun + (3600 + 600) * SECOND


def test_what_is_given_up_on_the_way_has_changed_nothing(beating: Beating) -> None:
    beating.take(*schedules())
    before = everything(beating)

    steps = beating.beat.preparing(a_plan(schedules=changed()))
    next(steps)
    next(steps)
    steps.close()

    assert everything(beating) == before
    beating.after(61)
    assert beating.fates("s0") == [("submitted", 1)]


def test_no_part_grows_with_the_number_of_schedules(beating: Beating) -> None:
    found = {}
    for count in (COUNT, 4 * COUNT):
        plan = a_plan(schedules=[a_schedule(f"s{n}", every="1h") for n in range(count)])
        beating.plan = plan
        beating.take_again()
        found[count], prepared = largest_part(beating.beat.preparing(plan))
        assert not prepared.changed
        bring(beating, prepared)

    assert found[4 * COUNT] < 2 * found[COUNT]
