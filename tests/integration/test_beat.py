"""The beat over a real store, with a clock that tests move: every instant gets one fate."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.beat.beat import jitter_us
from jobctl.clock import SECOND
from jobctl.errors import UsageError
from jobctl.store import fires
from tests.support.beating import Beating, every
from tests.support.builders import a_schedule
from tests.support.clock import START

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


def test_of_several_that_are_due_at_once_each_is_judged_by_its_own_jobs(beating: Beating) -> None:
    beating.take(a_schedule("free", every="2m"), a_schedule("busy", every="1m"))
    beating.after(60)

    # Now the job of one of them is unfinished, and both are due.
    beating.after(60)

    assert beating.fates("free") == [("submitted", 1)]
    assert beating.fates("busy") == [("submitted", 1), ("skipped", 1)]


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
    real = beating.beat._serving._make_job

    def refuse(spec: Any, schedule: int, instant: int, *, waits: bool) -> Any:
        if spec.name == "bad":
            raise UsageError("no such user")
        return real(spec, schedule, instant, waits=waits)

    monkeypatch.setattr(beating.beat._serving, "_make_job", refuse)
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
