"""The beat when its schedules are changed, paused and resumed."""

from __future__ import annotations

import pytest

from jobctl.clock import SECOND
from jobctl.errors import NotFound, UsageError
from tests.support.beating import Beating, every
from tests.support.builders import a_schedule, a_task
from tests.support.clock import START

# -- changes of the plan ----------------------------------------------------------------------------


def test_an_edited_schedule_begins_now_and_what_the_old_rule_left_is_missed(
    beating: Beating,
) -> None:
    beating.take(every("1m"))
    beating.clock.advance(150)
    beating.start()

    beating.take(every("2m"))
    beating.step()

    assert beating.fates() == [("missed", 2)]
    assert "changed" in beating.fires()[0]["reason"]
    beating.after(120)
    assert beating.fires()[-1]["first"] == START + 270 * SECOND


def test_a_change_of_anything_but_the_rule_keeps_anchor_and_watermark(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.after(90)

    beating.take(every("1m", on_overlap="allow", on_missed="all", args=["x"]))
    beating.after(30)

    assert [row["first"] - START for row in beating.fires()] == [60 * SECOND, 120 * SECOND]


def test_a_removed_schedule_keeps_its_history_and_begins_anew_when_it_returns(
    beating: Beating,
) -> None:
    beating.take(every("1m"))
    beating.after(60)
    beating.take()
    beating.after(600)

    beating.take(every("1m"))
    beating.after(60)

    assert [row["first"] - START for row in beating.fires()] == [60 * SECOND, 720 * SECOND]


def test_the_instants_of_a_disabled_schedule_are_held(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.after(60)
    beating.end_all()
    beating.take(every("1m", enabled=False))
    beating.after(300)

    beating.take(every("1m", on_overlap="allow", on_missed="all"))
    beating.after(60)

    assert beating.fates() == [("submitted", 1), ("held", 5), ("submitted", 1)]
    assert beating.fires()[1]["reason"] == "the schedule was disabled"


def test_a_disabled_schedule_keeps_its_phase(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.clock.advance(10)
    beating.take(every("1m", enabled=False))
    beating.clock.advance(100)

    beating.take(every("1m"))
    beating.after(10)

    assert beating.fires()[-1]["first"] == START + 120 * SECOND


def test_the_instants_of_a_task_that_is_gone_are_held(beating: Beating) -> None:
    beating.take(every("1m", task="missing"), tasks=[a_task("missing")])
    plan = beating.plan
    beating.plan = type(plan)(**{**plan.__dict__, "tasks": {}, "aliases": {}})
    beating.take_again()

    beating.after(60)

    assert beating.fates() == [("held", 1)]
    assert "no such task" in beating.fires()[0]["reason"]


def test_a_plan_that_was_not_brought_into_force_changes_nothing(beating: Beating) -> None:
    beating.take(every("1m"))
    other = Beating(beating.database, beating.clock)
    other.take(every("5m"))
    beating.database.begin()
    beating.beat.prepare(other.plan, beating.clock.now())
    beating.database.rollback()

    assert beating.beat.entries()["backup"].spec.expression == "1m"


# -- pauses -------------------------------------------------------------------------------------------


def test_the_instants_of_a_pause_are_held_and_the_rest_goes_on(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.after(60)

    beating.pause(until_s=150)
    assert beating.beat.entries()["backup"].state == "paused"
    assert beating.beat.next_due() == beating.clock.now() + 150 * SECOND
    for _ in range(5):
        beating.after(60)

    assert beating.fates() == [("submitted", 1), ("held", 2), *[("submitted", 1)] * 3]
    assert beating.fires()[1]["reason"].startswith("paused until 2027-01-15T08:03:30")
    assert beating.beat.entries()["backup"].state == "active"


def test_a_pause_without_an_end_lasts_over_restarts_until_it_is_ended(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.pause()
    beating.after(150)
    beating.start()
    beating.take_again()
    beating.after(150)

    assert beating.fires() == []
    assert beating.beat.entries()["backup"].next_at is None
    beating.resume()

    assert beating.fates() == [("held", 5)]
    assert beating.fires()[0]["reason"] == "paused"
    beating.after(60)
    assert beating.fates() == [("held", 5), ("submitted", 1)]


def test_a_pause_that_ends_while_no_daemon_runs_holds_up_to_its_end(beating: Beating) -> None:
    beating.take(every("10m", on_overlap="allow", on_missed="once"))
    beating.pause(until_s=1500)
    beating.clock.advance(3600)
    beating.start()
    beating.take_again()

    beating.step()

    assert beating.fates() == [("held", 2), ("coalesced", 3), ("submitted", 1)]


def test_an_instant_at_the_very_end_of_a_pause_makes_a_job(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.pause(until_s=120)
    assert beating.beat.entries()["backup"].next_at == beating.clock.now() + 120 * SECOND

    beating.after(60)
    beating.after(60)

    assert beating.fates() == [("held", 1), ("submitted", 1)]


def test_an_edit_after_the_end_of_a_pause_holds_no_more_than_the_pause(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.pause(until_s=120)
    beating.clock.advance(180)
    beating.start()

    beating.take(every("2m", on_overlap="allow"))

    assert beating.fates() == [("held", 1), ("missed", 2)]


def test_what_is_due_when_a_pause_begins_is_served(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.clock.advance(60)

    beating.pause()
    beating.step()

    assert beating.fates() == [("submitted", 1)]


def test_a_paused_schedule_that_is_edited_stays_paused(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.pause()
    beating.after(120)

    beating.take(every("5m"))
    beating.after(600)
    beating.resume()

    assert beating.fates() == [("held", 2), ("held", 2)]


def test_a_schedule_that_is_removed_is_not_paused_when_it_returns(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.pause()
    beating.take()

    beating.take(every("1m"))

    assert beating.beat.entries()["backup"].state == "active"


def test_a_pause_ends_in_the_future(beating: Beating) -> None:
    beating.take(every("1m"))

    with pytest.raises(UsageError, match="ends in the future"):
        beating.pause(until_s=0)
    with pytest.raises(NotFound, match='no schedule "other"'):
        beating.pause("other")
    with pytest.raises(NotFound, match='no schedule "other"'):
        beating.resume("other")


def test_a_refused_pause_is_none(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.clock.advance(60)
    beating.database.begin()
    beating.beat.pause("backup", None, beating.clock.now())
    beating.beat.step(beating.clock.now())
    beating.database.rollback()
    beating.beat.recover()

    beating.step()

    assert beating.fates() == [("submitted", 1)]
    assert beating.beat.entries()["backup"].state == "active"


# -- one schedule changes -----------------------------------------------------------------------------


def test_a_schedule_that_is_added_serves_the_first_instant_after_it(beating: Beating) -> None:
    beating.take(a_schedule(name="other", cron="0 0 1 1 *"))
    beating.clock.advance(59.9)

    beating.add(a_schedule(cron="* * * * *"))

    assert beating.beat.next_due() == START + 60 * SECOND
    beating.after(0.1)
    assert beating.fates() == [("submitted", 1)]


def test_what_is_due_when_a_schedule_is_edited_is_served_by_the_old_rule(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.clock.advance(60)

    beating.add(every("30s", on_overlap="allow"))
    beating.after(30)

    assert beating.fates() == [("submitted", 1), ("submitted", 1)]
    assert [row["rule"] for row in beating.fires()] == [1, 2]


def test_an_edit_in_the_turn_in_which_an_instant_is_due_gives_it_one_fate(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.clock.advance(60)
    plan = beating.plan.with_schedule(every("5m"))
    with beating.database.transaction():
        bring_into_force = beating.beat.change(plan, ["backup"], beating.clock.now())
        beating.beat.step(beating.clock.now())
    bring_into_force()
    beating.step()

    assert beating.fates() == [("submitted", 1)]
    assert beating.beat.next_due() == START + 360 * SECOND


def test_a_schedule_that_is_removed_makes_no_more_jobs(beating: Beating) -> None:
    beating.take(every("1m"), every("1m", name="other"))

    beating.drop("backup")
    beating.after(60)

    assert beating.fates() == []
    assert beating.fates("other") == [("submitted", 1)]
    assert set(beating.beat.entries()) == {"other"}


def test_a_change_that_was_refused_is_none(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.clock.advance(60)
    beating.database.begin()
    beating.beat.change(beating.plan.without_schedule("backup"), ["backup"], beating.clock.now())
    beating.database.rollback()
    beating.beat.recover()

    beating.step()

    assert beating.fates() == [("submitted", 1)]


@pytest.mark.slow
def test_the_heap_does_not_grow_with_the_changes(beating: Beating) -> None:
    beating.take(every("1m"))

    for n in range(2000):
        beating.add(every(f"{n + 60}s"))

    assert len(beating.beat._heap) < 1100
    assert beating.beat.next_due() == START + 2059 * SECOND
