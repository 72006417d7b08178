"""What a monitoring system is told: over a real store, with a clock that tests move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.daemon.handlers import health
from jobctl.errors import NotFound, UsageError
from jobctl.protocol import requests
from jobctl.store import daemons as daemon_rows
from jobctl.store import jobs as job_rows
from jobctl.store import queues as queue_rows
from tests.support.beating import every
from tests.support.builders import a_job, a_plan, a_schedule, submitted

if TYPE_CHECKING:
    from tests.support.asking import Asking
    from tests.support.beating import Beating

MINUTE = 60
HOUR = 3600


def told(asking: Asking, **fields: Any) -> dict[str, Any]:
    return asking.ask(requests.Health(**{"late_s": 300.0, "waiting_s": 600.0} | fields))


def kinds(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(found["kind"], found["name"]) for found in answer["findings"]]


def end(beating: Beating, change: str, **options: Any) -> None:
    """Everything that runs ends in this way."""
    beating.begin_all()
    with beating.database.transaction():
        for job in job_rows.started(beating.database):
            getattr(job_rows, change)(
                beating.database, id=job.id, token=job.token, now=beating.clock.now(), **options
            )


def fail(beating: Beating) -> None:
    end(beating, "fail", failures=1, losses=0, reason="failed")


def test_all_is_well_while_instants_are_served(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.after(HOUR)
    beating.begin_all()
    beating.end_all()

    answer = told(asking)

    assert answer["findings"] == []
    assert set(answer["counts"]) == set(health.KINDS)
    assert not any(answer["counts"].values())
    assert (answer["daemon"], answer["schedules"], answer["running"]) == ("up", 1, 0)


def test_a_schedule_is_late_from_the_limit_on(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.clock.advance(HOUR + 299)
    before = told(asking)
    beating.clock.advance(1)

    answer = told(asking)

    assert kinds(before) == []
    assert kinds(answer) == [("late", "backup")]
    assert answer["findings"][0]["at"] == beating.clock.now() - 300_000_000


def test_what_was_paused_is_not_late(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.pause()
    beating.clock.advance(3 * HOUR)

    assert kinds(told(asking)) == []


def test_the_last_run_has_failed_until_one_succeeds(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.after(HOUR)
    fail(beating)
    failed = told(asking)
    beating.after(HOUR)
    beating.begin_all()
    while_running = told(asking)
    beating.end_all()

    assert kinds(failed) == kinds(while_running) == [("failed", "backup")]
    assert failed["findings"][0]["job_id"] == 1
    assert failed["findings"][0]["said"] == "failed"
    assert while_running["running"] == 1
    assert kinds(told(asking)) == []


def test_a_run_that_somebody_cancelled_did_not_fail(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.after(HOUR)
    end(beating, "revoke_started", reason="cancelled")

    assert kinds(told(asking)) == []


def test_a_run_that_expired_has_failed(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.after(HOUR)
    end(beating, "revoke_started", reason="expired")

    assert [found["said"] for found in told(asking)["findings"]] == ["expired"]


def test_an_instant_that_was_missed_is_told_until_the_next_run(
    beating: Beating, asking: Asking
) -> None:
    beating.take(every("1h"))
    beating.start()
    beating.clock.advance(90 * MINUTE)
    beating.take_again()
    beating.step()
    missed = told(asking)
    beating.after(30 * MINUTE)
    beating.begin_all()
    beating.end_all()

    assert kinds(missed) == [("missed", "backup")]
    assert kinds(told(asking)) == []


def test_a_queue_waits_from_the_limit_on_and_says_when_it_is_paused(
    beating: Beating, asking: Asking
) -> None:
    beating.take()
    now = beating.clock.now()
    submitted(beating.database, a_job(id=1, queue="mail", now=now))
    beating.clock.advance(599)
    before = told(asking)
    with beating.database.transaction():
        queue_rows.pause(beating.database, name="mail", now=now)
    beating.clock.advance(1)

    answer = told(asking)

    assert (kinds(before), before["oldest_s"], before["ready"]) == ([], 599, 1)
    assert kinds(answer) == [("waiting", "mail")]
    assert answer["findings"][0]["said"] == "paused"


def test_a_job_of_low_priority_that_never_starts_is_found(beating: Beating, asking: Asking) -> None:
    beating.take()
    submitted(beating.database, a_job(id=1, now=beating.clock.now()))
    beating.clock.advance(HOUR)
    submitted(beating.database, a_job(id=2, priority=9, now=beating.clock.now()))

    assert told(asking)["oldest_s"] == HOUR


def test_only_some_schedules_are_told_about(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"), every("2h", name="other"))
    submitted(beating.database, a_job(id=1, now=beating.clock.now()))
    beating.clock.advance(3 * HOUR)

    answer = told(asking, schedules=["other"])

    assert kinds(answer) == [("late", "other")]
    assert "ready" not in answer


def test_an_unknown_schedule_is_an_error(beating: Beating, asking: Asking) -> None:
    beating.take()

    with pytest.raises(NotFound):
        told(asking, schedules=["nothing"])


@pytest.mark.parametrize("limit", ["late_s", "waiting_s"])
def test_a_negative_limit_is_an_error(beating: Beating, asking: Asking, limit: str) -> None:
    with pytest.raises(UsageError):
        told(asking, **{limit: -1.0})


def test_of_many_only_the_first_are_named_and_the_loop_is_not_held(
    beating: Beating, asking: Asking
) -> None:
    beating.take(*(a_schedule(name=f"s{number}", every="1h") for number in range(250)))
    beating.clock.advance(2 * HOUR)

    answer = told(asking)

    assert answer["counts"]["late"] == 250
    assert len(answer["findings"]) == health.MOST_NAMED
    assert asking.slices > 2


def test_without_a_daemon_the_end_of_the_last_one_is_told(beating: Beating, asking: Asking) -> None:
    beating.take()
    now = beating.clock.now()
    with beating.database.transaction():
        number = daemon_rows.begin(beating.database, now=now)
        daemon_rows.stop(beating.database, id=number, now=now + 5)
    beating.clock.advance(1)
    asking.is_up = False

    answer = told(asking)

    assert (answer["daemon"], answer["stopped_at"]) == ("down", now + 5)


def test_without_a_daemon_the_rules_of_the_store_are_judged(
    beating: Beating, asking: Asking
) -> None:
    beating.take(
        every("1h"),
        every("1h", name="of-the-code"),
        every("1h", name="off", enabled=False),
        every("1h", name="paused"),
        every("1h", name="once", max_runs=1),
    )
    beating.pause("paused")
    beating.after(HOUR)
    beating.begin_all()
    beating.end_all()
    beating.clock.advance(3 * HOUR)
    # What a stand-in finds in the file: not the code's, and another rule that was never in force.
    beating.plan = a_plan(schedules=[every("5h")])
    beating.start()
    asking.is_up = False

    answer = told(asking)

    assert kinds(answer) == [("late", "backup"), ("late", "of-the-code")]
    assert kinds(told(asking, schedules=["of-the-code"])) == [("late", "of-the-code")]
