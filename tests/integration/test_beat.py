"""The beat over a real store, with a clock that tests move: every instant gets one fate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.beat.beat import SLICE, jitter_us
from jobctl.clock import SECOND
from jobctl.errors import NotFound, UsageError
from jobctl.store import fires
from jobctl.store.database import open_database
from tests.support.beating import Beating
from tests.support.builders import a_schedule, a_task
from tests.support.clock import START
from tests.support.zone_files import zone_file, zones_from

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def beating(tmp_path: Path) -> Iterator[Beating]:
    database = open_database(tmp_path / "jobctl.db")
    yield Beating(database)
    database.close()


def every(span: str, **others: Any) -> Any:
    return a_schedule(every=span, **others)


# -- one instant after the other --------------------------------------------------------------------


def test_a_new_schedule_waits_for_its_first_instant(beating: Beating) -> None:
    beating.take(every("1m"))

    beating.after(59.999999)

    assert beating.fires() == []
    beating.after(0.000001)
    assert beating.fates() == [("submitted", 1)]


def test_each_instant_makes_one_job_however_often_one_looks(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))

    for _ in range(25):
        beating.after(12)

    assert beating.fates() == [("submitted", 1)] * 5
    assert len({row["job_id"] for row in beating.fires()}) == 5


def test_the_nominal_instant_is_recorded_not_when_it_was_noticed(beating: Beating) -> None:
    beating.take(every("1m"))

    beating.after(75)

    assert beating.fires()[0]["first"] == START + 60 * SECOND


def test_the_anchor_survives_a_restart(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.after(60)
    beating.clock.advance(35)
    beating.start()
    beating.take_again()

    beating.after(25)

    assert [row["first"] - START for row in beating.fires()] == [60 * SECOND, 120 * SECOND]


def test_a_restart_serves_no_instant_again(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.after(60)

    beating.start()
    beating.take_again()
    beating.step()

    assert beating.fates() == [("submitted", 1)]


def test_after_stop_nothing_is_due(beating: Beating) -> None:
    beating.take(every("1m"))

    beating.beat.stop()
    beating.after(3600)

    assert beating.fires() == []
    assert beating.beat.next_due() is None


def test_what_is_due_next_is_the_first_instant(beating: Beating) -> None:
    beating.take(every("1m"), every("45s", name="other"))

    assert beating.beat.next_due() == START + 45 * SECOND


def test_a_hundred_schedules_due_at_once_are_all_served(beating: Beating) -> None:
    beating.take(*(every("1m", name=f"s{n}") for n in range(100)))

    beating.after(60)

    assert [beating.fates(f"s{n}") for n in range(100)] == [[("submitted", 1)]] * 100


# -- the clock --------------------------------------------------------------------------------------


def test_a_turn_serves_no_more_than_a_slice(beating: Beating) -> None:
    """What is due beyond that waits for the next turns, also when one schedule makes up for it all."""
    on_missed = {"on_missed": "all", "missed_limit": 3 * SLICE, "on_overlap": "allow"}
    beating.take(every("1m", **on_missed), *(every("1h", name=f"s{n}") for n in range(SLICE)))
    beating.clock.advance(2 * SLICE * 60 + 1)

    turns = []
    while beating.beat.is_due(beating.clock.now()):
        before = beating.database.total_changes()
        with beating.database.transaction():
            beating.beat.step(beating.clock.now())
        turns.append(beating.database.total_changes() - before)

    assert len(turns) > 2
    # Each fate is a row with a job and a watermark at most; the schedule that is under way is finished.
    assert max(turns) <= 3 * (SLICE + 2)
    assert beating.fates() == [("submitted", 1)] * (2 * SLICE)
    for n in range(SLICE):
        assert beating.fates(f"s{n}") == [("missed", 2 * SLICE // 60)]


def test_a_clock_set_back_repeats_nothing(beating: Beating) -> None:
    beating.take(a_schedule(cron="* * * * *", on_overlap="allow"))
    for _ in range(5):
        beating.after(60)

    beating.clock.step(-240)
    for _ in range(3):
        beating.after(60)

    assert len(beating.fires()) == 5
    beating.after(60)
    beating.after(60)
    assert beating.fates() == [("submitted", 1)] * 6


def test_a_clock_set_forward_is_no_storm(beating: Beating) -> None:
    beating.take(a_schedule(cron="* * * * *", on_overlap="allow"))

    beating.clock.step(4 * 3600 + 30)
    beating.step()

    assert beating.fates() == [("missed", 239), ("submitted", 1)]
    assert beating.fires()[0]["reason"] == "the clock was set forward over it"


def test_a_clock_set_forward_by_years_is_one_row_and_one_job(beating: Beating) -> None:
    beating.take(a_schedule(cron="* * * * * *", on_missed="once"))

    beating.clock.step(5 * 365 * 86_400)
    beating.step()

    assert beating.fates() == [("coalesced", 5 * 365 * 86_400 - 1), ("submitted", 1)]


def test_a_clock_set_to_1970_waits_without_a_second_run(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.after(60)

    beating.clock.set(0)
    beating.step()
    beating.take_again()
    beating.step()

    assert beating.fates() == [("submitted", 1)]


# -- no daemon --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_missed", "fates"),
    [
        ("skip", [("missed", 10)]),
        ("once", [("coalesced", 9), ("submitted", 1)]),
        ("all", [("submitted", 1)] * 10),
    ],
)
def test_what_passes_while_no_daemon_runs(
    beating: Beating, on_missed: str, fates: list[tuple[str, int]]
) -> None:
    beating.take(every("10m", on_missed=on_missed, on_overlap="allow"))

    beating.clock.advance(10 * 600 + 300)
    beating.start()
    beating.take_again()
    beating.step()

    assert beating.fates() == fates


@pytest.mark.parametrize(
    ("on_missed", "fates"),
    [
        ("skip", [("missed", 259_140), ("coalesced", 60), ("submitted", 1)]),
        ("once", [("coalesced", 259_200), ("submitted", 1)]),
        ("all", [("missed", 259_101), *[("submitted", 1)] * 100]),
    ],
)
def test_three_days_of_seconds_without_a_daemon_are_no_storm(
    beating: Beating, on_missed: str, fates: list[tuple[str, int]]
) -> None:
    beating.take(every("1s", on_missed=on_missed, on_overlap="allow"))

    beating.clock.advance(3 * 86_400)
    beating.start()
    beating.take_again()
    beating.after(1)

    assert beating.fates() == fates


def test_a_daemon_that_was_away_for_a_moment_misses_nothing(beating: Beating) -> None:
    beating.take(every("10m"))

    beating.clock.advance(600 + 59)
    beating.start()
    beating.take_again()
    beating.step()

    assert beating.fates() == [("submitted", 1)]


# -- overlap ----------------------------------------------------------------------------------------


def test_skip_makes_no_job_beside_an_unfinished_one(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.after(60)
    beating.begin_all()

    beating.after(60)
    beating.after(60)

    assert beating.fates() == [("submitted", 1), ("skipped", 2)]
    assert "STARTED" in beating.fires()[1]["reason"]
    assert beating.fires()[1]["earlier_job"] == beating.fires()[0]["job_id"]
    beating.end_all()
    beating.after(60)
    assert beating.fates() == [("submitted", 1), ("skipped", 2), ("submitted", 1)]


def test_an_hour_of_skipped_instants_is_one_row(beating: Beating) -> None:
    beating.take(every("1s"))
    beating.after(1)

    for _ in range(600):
        beating.after(1)

    assert beating.fates() == [("submitted", 1), ("skipped", 600)]


def test_another_schedule_of_the_task_does_not_overlap(beating: Beating) -> None:
    beating.take(every("1m"), every("1m", name="other"))

    beating.after(60)

    assert beating.fates("backup") == beating.fates("other") == [("submitted", 1)]


def test_allow_does_not_look(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))

    for _ in range(3):
        beating.after(60)

    assert len(beating.unfinished()) == 3


def test_queue_lets_one_job_wait_and_coalesces_further_instants(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="queue"))
    beating.after(60)
    beating.begin_all()

    for _ in range(3):
        beating.after(60)

    assert beating.fates() == [("submitted", 1), ("submitted", 1), ("coalesced", 2)]
    running, waiting = beating.unfinished()
    assert running.state == "STARTED"
    assert waiting.is_held_back
    assert beating.fires()[2]["earlier_job"] == waiting.id


def test_the_waiting_job_cannot_be_claimed_until_the_earlier_one_is_gone(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="queue"))
    beating.after(60)
    beating.begin_all()
    beating.after(60)

    beating.begin_all()

    assert [job.state for job in beating.unfinished()] == ["STARTED", "PENDING"]
    beating.end_all()
    beating.begin_all()
    assert [job.state for job in beating.unfinished()] == ["STARTED"]


def test_queue_without_an_earlier_job_starts_at_once(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="queue"))

    beating.after(60)

    (job,) = beating.unfinished()
    assert job.line == "c/default"


def test_replace_cancels_a_waiting_job_and_the_new_one_is_ready(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="replace"))
    beating.after(60)
    (first,) = beating.unfinished()

    beating.after(60)

    assert beating.cancelled == [first.id]
    (second,) = beating.unfinished()
    assert second.line == "c/default"
    assert beating.fates() == [("submitted", 1), ("submitted", 1)]


def test_replace_stops_a_running_job_and_the_new_one_waits_for_its_end(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="replace"))
    beating.after(60)
    beating.begin_all()

    beating.after(60)

    running, waiting = beating.unfinished()
    assert running.is_stopping
    assert waiting.is_held_back


def test_replace_replaces_the_one_that_waits_and_stops_the_running_one_once(
    beating: Beating,
) -> None:
    beating.take(every("1m", on_overlap="replace"))
    beating.after(60)
    beating.begin_all()
    (running,) = beating.unfinished()
    beating.after(60)
    waiting = beating.unfinished()[1]

    beating.after(60)

    assert beating.cancelled == [running.id, waiting.id]
    still, newest = beating.unfinished()
    assert (still.id, newest.is_held_back) == (running.id, True)


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


# -- what goes wrong --------------------------------------------------------------------------------


def test_a_refused_transaction_is_served_once_when_it_is_tried_again(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.clock.advance(60)

    beating.spoil()

    assert beating.fires() == []
    beating.step()
    assert beating.fates() == [("submitted", 1)]


def test_a_range_that_was_rolled_back_is_not_prolonged(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.after(60)
    beating.clock.advance(60)
    beating.spoil()

    beating.step()
    beating.after(60)

    assert beating.fates() == [("submitted", 1), ("skipped", 2)]


def test_a_range_that_retention_has_removed_is_not_prolonged(beating: Beating) -> None:
    beating.take(every("1m"))
    for _ in range(3):
        beating.after(60)
    with beating.database.transaction():
        fires.prune(beating.database, schedule=1, before=beating.clock.now() + 1, limit=9)

    beating.after(60)

    assert beating.fates() == [("skipped", 1)]


def test_a_job_that_cannot_be_made_holds_its_instant_and_no_other(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = beating.beat._make_job

    def refuse(spec: Any, schedule: int, instant: int, *, waits: bool) -> Any:
        if spec.name == "bad":
            raise UsageError("no such user")
        return real(spec, schedule, instant, waits=waits)

    monkeypatch.setattr(beating.beat, "_make_job", refuse)
    beating.take(every("1m", name="bad"), every("1m"))

    beating.after(60)

    assert beating.fates("bad") == [("held", 1)]
    assert beating.fires("bad")[0]["reason"] == "no such user"
    assert beating.fates() == [("submitted", 1)]


# -- jitter and boot --------------------------------------------------------------------------------


def test_jitter_puts_off_the_job_and_not_the_instant(beating: Beating) -> None:
    delay_s = jitter_us("backup", "host", 30.0) / SECOND
    beating.take(every("1m", jitter="30s"))

    beating.after(60 + delay_s - 0.000001)

    assert beating.fires() == []
    beating.after(0.000001)
    assert beating.fires()[0]["first"] == START + 60 * SECOND


def test_jitter_is_the_same_each_time_and_differs_between_schedules() -> None:
    drawn = [jitter_us(f"s{n}", "host", 60.0) for n in range(200)]

    assert drawn == [jitter_us(f"s{n}", "host", 60.0) for n in range(200)]
    assert all(0 <= delay < 60 * SECOND for delay in drawn)
    assert len(set(drawn)) == 200
    assert jitter_us("s1", "host", 60.0) != jitter_us("s1", "other host", 60.0)
    assert jitter_us("s1", "host", 0.0) == 0


def at_boot() -> Any:
    return a_schedule(cron="@reboot")


def test_a_schedule_at_boot_does_not_run_when_it_is_new(beating: Beating) -> None:
    beating.take(at_boot())

    beating.after(3600)

    assert beating.fires() == []


def test_a_schedule_at_boot_runs_once_for_each_boot(beating: Beating) -> None:
    beating.take(at_boot())
    beating.clock.advance(60)

    for boot in ("boot-2", "boot-2", "boot-3"):
        beating.boot_id = boot
        beating.start()
        beating.take_again()
        beating.after(1)
        beating.take_again()
        beating.after(1)
        beating.begin_all()
        beating.end_all()

    assert beating.fates() == [("submitted", 1)] * 2


def test_a_boot_is_not_forgotten_when_its_turn_is_refused(beating: Beating) -> None:
    beating.take(at_boot())
    beating.clock.advance(60)
    beating.boot_id = "boot-2"
    beating.start()
    beating.take_again()

    beating.spoil()

    assert beating.fates() == []
    beating.step()
    assert beating.fates() == [("submitted", 1)]
    beating.start()
    beating.take_again()
    beating.after(1)
    assert beating.fates() == [("submitted", 1)]


# -- intervals and the clock --------------------------------------------------------------------------


@pytest.mark.parametrize("by_s", [-7 * 86_400.0, -3600.0, -59.5, 61.25, 3600.0, 5 * 365 * 86_400.0])
def test_an_interval_does_not_look_at_a_clock_that_is_set(beating: Beating, by_s: float) -> None:
    beating.take(every("1m", on_overlap="allow", on_missed="all"))
    for _ in range(3):
        beating.after(60)
    beating.clock.advance(20)

    beating.clock.step(by_s)
    beating.step()
    beating.step()
    assert len(beating.fires()) == 3
    beating.after(39.999999)
    assert len(beating.fires()) == 3
    beating.after(0.000001)

    assert beating.fates() == [("submitted", 1)] * 4
    assert beating.beat.entries()["backup"].number == 2


def test_an_interval_does_not_look_at_a_clock_that_was_set_while_no_daemon_ran(
    beating: Beating,
) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.after(60)
    beating.clock.advance(20)
    beating.clock.step(-86_400)
    beating.start()
    beating.take_again()

    beating.after(40)

    assert beating.fates() == [("submitted", 1)] * 2


def test_a_first_plan_that_was_refused_leaves_intervals_as_they_are(beating: Beating) -> None:
    beating.plan = beating.plan.with_schedule(every("1m", on_overlap="allow"))
    beating.database.begin()
    beating.beat.prepare(beating.plan, beating.clock.now())
    beating.database.rollback()
    beating.beat.recover()
    beating.take_again()

    beating.clock.step(3600)
    beating.step()
    beating.after(60)

    assert beating.fates() == [("submitted", 1)]


def test_after_a_reboot_the_wall_clock_is_right(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.after(60)
    beating.clock.step(86_430)
    beating.boot_id = "boot-2"
    beating.start()
    beating.take_again()
    beating.step()

    assert beating.fates() == [("submitted", 1), ("missed", 1439), ("submitted", 1)]


def test_an_interval_with_a_start_follows_the_clock(beating: Beating) -> None:
    beating.take(every("1h", start="2027-01-01", on_overlap="allow"))
    beating.after(1800)

    beating.clock.step(1800)
    beating.step()

    assert [row["first"] - START for row in beating.fires()] == [3600 * SECOND]


def test_small_corrections_of_the_clock_add_up(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    for _ in range(5):
        beating.clock.step(0.3)
        beating.step()

    assert beating.beat.entries()["backup"].number == 2
    beating.after(59.7)
    assert beating.fates() == [("submitted", 1)]


def test_time_that_the_host_sleeps_is_time_for_an_interval(beating: Beating) -> None:
    beating.take(every("10m", on_overlap="allow"))

    beating.clock.suspend(3605)
    beating.step()

    assert beating.fates() == [("missed", 5), ("submitted", 1)]
    assert beating.fires()[0]["reason"] == "the host was suspended"


def test_a_clock_that_is_set_in_a_refused_turn_moves_intervals_once(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.clock.advance(20)
    beating.clock.step(-3600)

    beating.spoil()
    beating.step()
    beating.after(40)

    assert beating.fates() == [("submitted", 1)]
    assert beating.beat.entries()["backup"].number == 2


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


# -- bounds -------------------------------------------------------------------------------------------


def test_only_instants_between_start_and_end_count(beating: Beating) -> None:
    beating.take(
        a_schedule(
            cron="*/10 * * * *",
            start="2027-01-15 08:20",
            end="2027-01-15 08:40",
            on_overlap="allow",
        )
    )

    for _ in range(12):
        beating.after(600)

    assert [(row["first"] - START) // (600 * SECOND) for row in beating.fires()] == [2, 3, 4]
    assert beating.beat.entries()["backup"].state == "done"


def test_an_interval_is_counted_from_its_start(beating: Beating) -> None:
    beating.take(every("1h", start="2027-01-01 00:15"))

    assert beating.beat.next_due() == START + 900 * SECOND


def test_a_schedule_is_done_after_so_many_jobs(beating: Beating) -> None:
    beating.take(every("1m", max_runs=2))
    beating.after(60)
    beating.after(60)
    assert beating.fates() == [("submitted", 1), ("skipped", 1)]
    beating.end_all()
    beating.begin_all()
    beating.end_all()
    for _ in range(5):
        beating.after(60)

    assert beating.fates() == [("submitted", 1), ("skipped", 1), ("submitted", 1)]
    entry = beating.beat.entries()["backup"]
    assert (entry.state, entry.next_at, entry.runs) == ("done", None, 2)


def test_no_more_jobs_are_made_up_for_than_are_left(beating: Beating) -> None:
    beating.take(every("1m", max_runs=3, on_missed="all", on_overlap="allow"))
    beating.clock.advance(600)
    beating.start()
    beating.take_again()

    beating.step()
    beating.start()
    beating.take_again()
    beating.after(600)

    assert beating.fates() == [("submitted", 1)] * 3


def test_more_runs_are_added_to_those_that_were(beating: Beating) -> None:
    beating.take(every("1m", max_runs=2, on_overlap="allow"))
    for _ in range(5):
        beating.after(60)

    beating.take(every("1m", max_runs=3, on_overlap="allow"))
    for _ in range(5):
        beating.after(60)

    assert [(row["first"] - START) // (60 * SECOND) for row in beating.fires()] == [1, 2, 6]


def test_another_rule_counts_anew(beating: Beating) -> None:
    beating.take(every("1m", max_runs=1, on_overlap="allow"))
    beating.after(60)
    beating.after(60)

    beating.take(every("2m", max_runs=1, on_overlap="allow"))
    beating.after(120)

    assert [(row["first"] - START) // (60 * SECOND) for row in beating.fires()] == [1, 4]


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


def test_the_heap_does_not_grow_with_the_changes(beating: Beating) -> None:
    beating.take(every("1m"))

    for n in range(2000):
        beating.add(every(f"{n + 60}s"))

    assert len(beating.beat._heap) < 1100
    assert beating.beat.next_due() == START + 2059 * SECOND


# -- the zone data of the host ------------------------------------------------------------------------


def test_new_zone_data_is_followed_while_the_daemon_runs(beating: Beating, tmp_path: Path) -> None:
    with zones_from(tmp_path):
        (tmp_path / "MovedByDay").write_bytes(zone_file(3600))
        (tmp_path / "Still").write_bytes(zone_file(3600))
        moved = a_schedule(cron="0 12 * * *", timezone="MovedByDay", on_overlap="allow")
        still = a_schedule("still", cron="0 12 * * *", timezone="Still")
        beating.take(moved, still)
        beating.after(3 * 3600)

        (tmp_path / "MovedByDay").write_bytes(zone_file(7200))
        (tmp_path / "Still").write_bytes(zone_file(3600))
        beating.after(600)

        entries = beating.beat.entries()
        assert {name: entry.number for name, entry in entries.items()} == {"backup": 2, "still": 1}
        day = 86_400 * SECOND
        assert entries["backup"].next_at == START + 2 * 3600 * SECOND + day
        assert entries["still"].next_at == START + 3 * 3600 * SECOND + day
        beating.after(23 * 3600 - 600)
        assert beating.fates() == [("submitted", 1)] * 2


def test_new_zone_data_loses_no_instant_that_passed_without_a_daemon(
    beating: Beating, tmp_path: Path
) -> None:
    with zones_from(tmp_path):
        (tmp_path / "MovedWhileDown").write_bytes(zone_file(3600))
        beating.take(a_schedule(cron="0 12 * * *", timezone="MovedWhileDown", on_missed="once"))
        beating.clock.advance(3 * 86_400)

        (tmp_path / "MovedWhileDown").write_bytes(zone_file(7200))
        beating.start()
        beating.take_again()
        beating.step()

        assert beating.fates() == [("coalesced", 2), ("submitted", 1)]


def test_new_zone_data_in_a_refused_turn_is_followed_in_the_next(
    beating: Beating, tmp_path: Path
) -> None:
    with zones_from(tmp_path):
        (tmp_path / "MovedUnserved").write_bytes(zone_file(3600))
        beating.take(a_schedule(cron="0 12 * * *", timezone="MovedUnserved"))
        (tmp_path / "MovedUnserved").write_bytes(zone_file(7200))
        beating.clock.advance(600)
        assert beating.beat.is_due(beating.clock.now())

        beating.spoil()
        assert beating.beat.entries()["backup"].number == 1
        beating.step()

        assert beating.beat.entries()["backup"].number == 2
        assert beating.beat.next_due() == START + 2 * 3600 * SECOND


def test_a_schedule_whose_zone_is_gone_is_held_and_stops_no_other(
    beating: Beating, tmp_path: Path
) -> None:
    beating.take(every("1m"))
    beating.plan = beating.plan.with_schedule(
        a_schedule("lost", cron="0 12 * * *", timezone="Europe/Atlantis")
    )
    beating.take_again()

    beating.after(60)

    lost = beating.beat.entries()["lost"]
    assert (lost.state, lost.next_at) == ("held", None)
    assert "Atlantis" in (lost.held_because or "")
    assert beating.fates() == [("submitted", 1)]
