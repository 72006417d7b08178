"""Why: what is told about instants and jobs of a real store, in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.daemon.handlers import why as handler
from jobctl.errors import NotFound, UsageError
from jobctl.protocol import requests
from jobctl.store import daemons as daemon_rows
from jobctl.store import queues as queue_rows
from tests.support.builders import a_job, a_schedule, in_state, submitted
from tests.support.clock import START

if TYPE_CHECKING:
    from tests.support.asking import Asking
    from tests.support.beating import Beating

HOUR = 3600
DAY = 24 * HOUR
NIGHTLY = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}


def us(text: str) -> int:
    """The moment of an ISO text with an offset."""
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


def told(asking: Asking, name: str = "backup", **fields: Any) -> list[str]:
    return list(asking.ask(requests.Why(name=name, **fields))["sentences"])


def at(beating: Beating, text: str) -> None:
    """Time passes until a moment, then a turn is taken."""
    beating.clock.advance((us(text) - beating.clock.now()) / SECOND)
    beating.step()


# -- what became of it --------------------------------------------------------------------------------


def test_an_instant_that_became_a_job(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(**NIGHTLY))
    at(beating, "2027-01-16 02:30:00+01:00")
    beating.begin_all()
    beating.clock.advance(90)
    beating.end_all()

    assert told(asking) == [
        '"backup" was due at 2027-01-16 02:30:00+01:00 (Europe/Berlin): at 02:30, every day.',
        "It became job 1.",
        "Job 1 succeeded at 2027-01-16 02:31:30+01:00 after 1m30s.",
    ]


def test_an_instant_whose_job_was_removed(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.after(60)
    with beating.database.transaction():
        beating.database.execute("DELETE FROM jobs")

    assert told(asking)[1:] == ["It became job 1.", "Job 1 has ended and was removed."]


def test_a_skipped_instant_names_the_job_in_its_way_and_what_it_does(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(**NIGHTLY))
    at(beating, "2027-01-16 02:30:00+01:00")
    beating.begin_all()
    at(beating, "2027-01-17 02:30:00+01:00")

    expected = [
        '"backup" was due at 2027-01-17 02:30:00+01:00 (Europe/Berlin): at 02:30, every day.',
        'It was skipped, because job 1 of this schedule had not ended and on_overlap is "skip".',
        "Job 1 was made for the instant 2027-01-16 02:30:00+01:00.",
    ]
    asking.begin_all()
    assert told(asking) == [*expected, "Job 1 has been running since 2027-01-16 02:30:00+01:00."]
    beating.end_all()
    ended = "Job 1 succeeded at 2027-01-17 02:30:00+01:00 after 1d."
    assert told(asking) == [*expected, ended]


def test_a_missed_instant_says_when_no_daemon_served(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(**NIGHTLY))
    with beating.database.transaction():
        number = daemon_rows.begin(beating.database, now=START)
        daemon_rows.stop(beating.database, id=number, now=us("2027-01-15 20:00+01:00"))
    beating.clock.advance(us("2027-01-18 09:00+01:00") // SECOND - START // SECOND)
    beating.start()
    beating.take_again()
    with beating.database.transaction():
        daemon_rows.begin(beating.database, now=beating.clock.now())
    beating.step()

    assert told(asking, local="2027-01-17") == [
        '"backup" was due at 2027-01-17 02:30:00+01:00 (Europe/Berlin): at 02:30, every day.',
        "It was missed: no daemon was running.",
        "No daemon served from 2027-01-15 20:00:00+01:00 to 2027-01-18 09:00:00+01:00.",
        'It is not made up for, because on_missed is "skip".',
        "The same holds for 2 more, from 2027-01-16 02:30:00+01:00 to 2027-01-18 02:30:00+01:00.",
    ]


def test_a_daemon_that_was_killed_is_named(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    with beating.database.transaction():
        daemon_rows.begin(beating.database, now=START)
    beating.clock.advance(HOUR)
    beating.start()
    beating.take_again()
    with beating.database.transaction():
        daemon_rows.begin(beating.database, now=beating.clock.now())
    beating.step()

    assert told(asking, at=START + 600 * SECOND)[2] == (
        "The daemon that served since 2027-01-15 08:00:00+00:00 was killed; the next one served from "
        "2027-01-15 09:00:00+00:00 on."
    )


def test_a_daemon_that_ran_is_not_said_to_have_been_away(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(every="1h"))
    with beating.database.transaction():
        daemon_rows.begin(beating.database, now=START)
    beating.after(HOUR + 120)

    assert told(asking)[1:] == [
        "It was missed: it was noticed too late: the daemon could not work.",
        'It is not made up for, because on_missed is "skip".',
    ]


def test_a_coalesced_instant_names_the_job_that_it_shares(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(every="1h", on_missed="once"))
    beating.clock.advance(3 * HOUR + 60)
    beating.start()
    beating.take_again()
    beating.step()

    assert told(asking, at=START + HOUR * SECOND)[1] == (
        "It shares job 1 with the instant 2027-01-15 11:00:00+00:00."
    )


def test_a_coalesced_instant_whose_successor_was_skipped_says_so(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(every="1h", on_missed="once"))
    beating.after(HOUR)
    beating.begin_all()
    beating.clock.advance(3 * HOUR)
    beating.start()
    beating.take_again()
    beating.step()

    assert told(asking, at=START + 2 * HOUR * SECOND)[1:3] == [
        "It made no job of its own: coalesced into the next instant.",
        "That was 2027-01-15 12:00:00+00:00, which was skipped: job 1 of this schedule is STARTED.",
    ]


def test_an_instant_beside_a_waiting_job_names_it(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(on_overlap="queue"))
    for _ in range(3):
        beating.after(60)
        beating.begin_all()

    assert told(asking)[1:] == [
        "It made no job of its own: job 2 of this schedule waited already.",
        "Job 2 was made for the instant 2027-01-15 08:02:00+00:00.",
        "Job 2 waits until job 1 of its schedule has ended.",
    ]


def test_an_instant_of_a_schedule_without_its_task_was_held(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule("nightly"))
    plan = beating.plan
    beating.plan = type(plan)(**{**plan.__dict__, "tasks": {}, "aliases": {}})
    beating.take_again()
    beating.after(60)

    assert told(asking, "nightly")[1] == 'It was held: no such task "backup".'


def test_a_paused_schedule_says_since_when_and_how_to_go_on(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule())
    beating.pause()
    beating.after(60)

    assert told(asking)[1:] == [
        "It is held: the schedule is paused since 2027-01-15 08:00:00+00:00.",
        "jobctl schedule enable backup ends the pause.",
    ]


def test_an_instant_in_a_pause_that_is_over_was_held(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.pause(until_s=90)
    beating.after(100)

    assert told(asking)[1].startswith("It was held: paused until 2027-01-15")


def test_a_disabled_schedule_says_so(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(enabled=False))
    beating.after(60)

    assert told(asking)[1:] == ["It is held: the schedule is disabled."]


def test_a_jittered_instant_says_when_it_is_served(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(every="1h", jitter="30m"))
    beating.after(HOUR)

    (sentence,) = told(asking)[1:]
    assert sentence.startswith("It is to be served at 2027-01-15 09:")
    assert "jitter" in sentence


def test_what_retention_has_taken_is_not_known_any_more(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.after(60)
    with beating.database.transaction():
        beating.database.execute("DELETE FROM fires")
        beating.database.execute("UPDATE schedules SET pruned_until = ?", (START + 3600 * SECOND,))

    assert told(asking)[1:] == [
        "What became of it is not known any more: fates before 2027-01-15 09:00:00+00:00 were removed."
    ]


def test_an_instant_without_a_fate_leads_to_the_audit(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.after(60)
    with beating.database.transaction():
        beating.database.execute("DELETE FROM fires")

    assert "jobctl schedule audit backup" in told(asking)[1]


@pytest.mark.parametrize(
    ("on_missed", "word"), [("skip", "not make it up"), ("once", "one job"), ("all", "a job for")]
)
def test_without_a_daemon_it_is_told_what_the_next_one_will_do(
    beating: Beating, asking: Asking, on_missed: str, word: str
) -> None:
    beating.take(a_schedule(on_missed=on_missed))
    beating.clock.advance(HOUR)
    asking.is_up = False

    undecided, then = told(asking)[1:]

    assert undecided == "Nothing has been decided about it: no daemon is running."
    assert word in then
    assert f'"{on_missed}"' in then


# -- moments that are none ----------------------------------------------------------------------------


def test_a_moment_without_an_instant_has_neighbours(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(**NIGHTLY))
    at(beating, "2027-01-16 02:30:00+01:00")
    at(beating, "2027-01-16 12:00:00+01:00")

    assert told(asking, local="02:45") == [
        '"backup" was not due at 2027-01-16 02:45:00+01:00 (Europe/Berlin): its rule is at 02:30, every '
        "day.",
        "The next instant is 2027-01-17 02:30:00+01:00.",
        "The last instant before was 2027-01-16 02:30:00+01:00.",
        "It became job 1.",
        'Job 1 is ready, and waits for a free worker of queue "default".',
    ]


def test_a_moment_to_the_second_is_the_instant_of_that_second(
    beating: Beating, asking: Asking
) -> None:
    beating.clock.advance(0.25)
    beating.take(a_schedule(every="10s"))
    beating.after(10)

    fires = asking.ask(requests.Why(name="backup", at=START + 10 * SECOND))["fires"]

    assert (fires[0]["at"], fires[0]["is_exact"]) == (START + 10_250_000, True)


def test_a_schedule_that_has_not_been_due(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())

    assert told(asking) == [
        '"backup" has not been due yet (UTC): its rule is every minute of real time.',
        "The next instant is 2027-01-15 08:01:00+00:00.",
    ]


def test_a_moment_before_the_schedule_was_made(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.after(60)

    assert told(asking, local="2027-01-14 02:30") == [
        '"backup" did not exist then: it was made at 2027-01-15 08:00:00+00:00.',
        "Its first instant was 2027-01-15 08:01:00+00:00.",
    ]


def test_a_removed_schedule_is_still_answered_for(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule("nightly"))
    beating.after(60)
    beating.take()
    beating.clock.advance(HOUR)

    assert told(asking, "nightly") == [
        '"nightly" is not in force any more: it was removed at 2027-01-15 08:01:00+00:00.',
        "Its last instant before was 2027-01-15 08:01:00+00:00.",
        "It became job 1.",
        'Job 1 is ready, and waits for a free worker of queue "default".',
    ]


def test_a_moment_between_removal_and_return(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.after(60)
    beating.take()
    beating.clock.advance(HOUR)
    beating.take(a_schedule())

    assert told(asking, local="08:30")[0] == (
        '"backup" was not in force then: it was removed at 2027-01-15 08:01:00+00:00 and put back at '
        "2027-01-15 09:01:00+00:00."
    )


def test_a_moment_that_a_clock_was_set_over(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.after(60)
    beating.clock.step(HOUR)
    beating.step()

    assert told(asking, local="08:30")[0] == (
        'The host never had that time: its clock was set forward, over "backup".'
    )


def test_an_instant_is_told_by_the_rule_of_its_time(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(**NIGHTLY))
    at(beating, "2027-01-16 02:30:00+01:00")
    at(beating, "2027-01-16 12:00:00+01:00")
    beating.take(a_schedule(every="1h"))
    beating.after(600)

    assert told(asking, local="2027-01-16 02:30")[:2] == [
        '"backup" was due at 2027-01-16 02:30:00+01:00 (Europe/Berlin): at 02:30, every day.',
        "That was its rule until 2027-01-16 12:00:00+01:00; since then it is: every hour of real time "
        "(UTC).",
    ]


def test_a_schedule_that_is_done_has_no_further_instant(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(max_runs=1))
    beating.after(60)
    beating.clock.advance(HOUR)

    assert told(asking)[0].startswith('"backup" was due at 2027-01-15 08:01:00+00:00')
    assert told(asking, local="08:30")[1] == "There is no instant after it."


# -- clocks -------------------------------------------------------------------------------------------


def test_a_time_that_the_clocks_skipped_is_told_and_where_it_ran(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(**NIGHTLY))
    for day in range(27, 30):
        offset = "+01:00" if day < 28 else "+02:00"
        at(beating, f"2027-03-{day} 12:00:00{offset}")

    assert told(asking, local="2027-03-28 02:30")[:3] == [
        '"backup" was due at 2027-03-28 03:00:00+02:00 (Europe/Berlin): at 02:30, every day.',
        "Clocks in Europe/Berlin never showed 2027-03-28 02:30:00: they were put forward over it, to "
        "2027-03-28 03:00:00+02:00.",
        "Fixed hours that fall into such a gap run once, right after it.",
    ]
    assert told(asking, local="2027-03-28")[1] == (
        "It stands for 2027-03-28 02:30:00, which the clocks skipped that day."
    )


def test_a_time_that_the_clocks_skipped_has_no_instant_of_each_hour(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(cron="30 * * * *", timezone="Europe/Berlin"))
    at(beating, "2027-03-28 12:00:00+02:00")

    sentences = told(asking, local="2027-03-28 02:30")

    assert sentences[0].startswith('"backup" was not due at 2027-03-28 03:00:00+02:00')
    assert sentences[2] == "With * in its hour field, a rule has no instant in such a gap."


def test_a_time_that_came_twice_counts_once_for_fixed_hours(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(**NIGHTLY))
    at(beating, "2027-10-31 12:00:00+01:00")

    sentences = told(asking, local="2027-10-31 02:30")

    assert sentences[1:3] == [
        "Clocks in Europe/Berlin showed 2027-10-31 02:30:00 twice: 2027-10-31 02:30:00+02:00 and "
        "2027-10-31 02:30:00+01:00.",
        "Of fixed hours the first time counts.",
    ]
    assert "The last instant before was 2027-10-31 02:30:00+02:00." in sentences


# -- tasks and jobs -----------------------------------------------------------------------------------


def test_a_task_is_told_with_all_of_its_schedules_the_latest_first(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(every="3m"), a_schedule("other", every="2m"))
    beating.after(180)

    fires = asking.ask(requests.Why(name="backup"))["fires"]

    assert [fire["schedule"] for fire in fires] == ["backup", "other"]


def test_of_many_schedules_only_the_latest_are_told(beating: Beating, asking: Asking) -> None:
    beating.take(*(a_schedule(f"s{number:02}") for number in range(50)))
    beating.after(60)

    answer = asking.ask(requests.Why(name="backup"))

    assert len(answer["fires"]) == handler.MOST
    assert answer["sentences"][-1] == "Task backup has 30 more schedules: name one of them."
    assert asking.slices > 50 / handler.SLICE


def test_a_task_without_a_schedule(beating: Beating, asking: Asking) -> None:
    assert told(asking) == ['Task "backup" has no schedule: it runs when somebody submits it.']


def test_a_job_tells_what_it_was_made_for_in_the_zone_of_its_schedule(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(**NIGHTLY))
    at(beating, "2027-01-16 02:30:00+01:00")

    answer = asking.ask(requests.Why(name="1"))

    assert answer["sentences"] == [
        'Job 1 (backup) was made for the instant 2027-01-16 02:30:00+01:00 of schedule "backup".',
        'Job 1 is ready, and waits for a free worker of queue "default".',
    ]
    assert (answer["fires"], answer["job"]["id"]) == ([], 1)


def test_a_job_of_a_paused_queue(beating: Beating, asking: Asking) -> None:
    (job,) = submitted(beating.database, a_job())
    with beating.database.transaction():
        queue_rows.pause(beating.database, name="default", now=START)

    assert told(asking, str(job))[1:] == [
        f'Job {job} has not begun: its queue "default" is paused since 2027-01-15 08:00:00+00:00.',
        "jobctl queue resume default lets it go on.",
    ]


def test_a_job_of_a_task_that_is_gone(beating: Beating, asking: Asking) -> None:
    new = a_job(task="gone", line="task/gone", reason="no such task")
    (job,) = submitted(beating.database, new)

    assert told(asking, str(job))[1:] == [f"Job {job} has not begun: no such task."]


def test_a_failed_job_of_nobody(beating: Beating, asking: Asking) -> None:
    job = in_state(beating.database, "FAILURE", now=START)

    assert told(asking, str(job)) == [
        f"Job {job} (backup) was submitted at 2027-01-15 08:00:00+00:00.",
        f"Job {job} failed at 2027-01-15 08:00:00+00:00.",
    ]


def test_a_schedule_goes_before_a_job_of_that_number(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule("1"))
    beating.after(60)

    assert told(asking, "1")[0].startswith('"1" was due at')


@pytest.mark.parametrize("name", ["nothing", "77", "1" * 30, "٣"])
def test_what_is_none_of_these_is_not_found(asking: Asking, name: str) -> None:
    with pytest.raises(NotFound, match="no schedule, no task and no job"):
        told(asking, name)


def test_a_job_has_no_instants_to_ask_about(beating: Beating, asking: Asking) -> None:
    (job,) = submitted(beating.database, a_job())

    with pytest.raises(UsageError, match="is a job"):
        told(asking, str(job), local="02:30")


@pytest.mark.parametrize("text", ["", "soon", "02:30+01:00", "2026-13-01", "2026-11-20T02:30Z"])
def test_what_is_no_local_time_is_refused(beating: Beating, asking: Asking, text: str) -> None:
    beating.take(a_schedule())

    with pytest.raises(UsageError):
        told(asking, local=text)


def test_a_moment_too_far_away_is_refused(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())

    for text in ("9999-12-31", "0001-01-01 00:00"):
        with pytest.raises(UsageError, match="too far"):
            told(asking, local=text)
