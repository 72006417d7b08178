"""What every engine promises, on the local engine with real processes and on the fake one.

The suite drives an engine the way the dispatcher does: it starts attempts, collects what ended,
acknowledges, and starts another daemon's engine on what the last one left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.result import Verdict
from tests.support.engines import Driver, FakeDriver, LocalDriver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.engine.base import Attempt, Settled


@pytest.fixture(params=[FakeDriver, LocalDriver], ids=["fake", "local"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    made: Driver = request.param()
    try:
        made.begin()
        yield made
    finally:
        made.end()


def settled_tokens(events: list[Settled]) -> list[int]:
    found = [row.token for event in events for row in event.done]
    return found + [outcome.token for event in events for outcome in event.outcomes]


def test_an_idle_engine_has_slots_of_both_kinds(driver: Driver) -> None:
    kinds = {slot.kind for slot in driver.slots("command") + driver.slots("function")}
    assert kinds == {"command", "function"}
    assert all(slot.room >= 1 for slot in driver.engine.slots())


def test_a_command_ends_in_exactly_one_outcome_with_its_exit_code(driver: Driver) -> None:
    attempt = driver.command("exit 3")
    driver.start(attempt)
    (event,) = driver.until_settled(attempt.token)
    (outcome,) = event.outcomes
    assert outcome.verdict is Verdict.FAILURE
    assert outcome.exit_code == 3
    assert outcome.job_id == attempt.job_id
    driver.acknowledge(event)
    assert driver.quiet() == []


def test_a_function_ends_with_what_it_returned(driver: Driver) -> None:
    attempt = driver.function("double", 21)
    driver.start(attempt)
    (event,) = driver.until_settled(attempt.token)
    (row,) = event.done
    assert (row.token, row.result) == (attempt.token, "42")
    assert row.started_at <= row.finished_at


def test_a_slot_that_is_taken_has_no_room_until_its_outcome_is_known(driver: Driver) -> None:
    attempt = driver.command("hold")
    worker = driver.start_and_begin(attempt)
    assert worker not in [slot.worker for slot in driver.engine.slots()]
    driver.let_go()
    driver.until_settled(attempt.token)


def test_an_outcome_is_repeated_to_the_next_daemon_until_it_is_acknowledged(
    driver: Driver,
) -> None:
    attempt = driver.command("exit 5")
    worker = driver.start(attempt)
    driver.until_settled(attempt.token)

    driver.restart({worker: [attempt]})

    (event,) = driver.until_settled(attempt.token)
    assert event.outcomes[0].exit_code == 5
    driver.acknowledge(event)
    # The worker has read the acknowledgement when it has done what came after it.
    second = driver.command("exit 6")
    driver.engine.start(worker, [second])
    driver.engine.flush()
    driver.until_settled(second.token)
    driver.restart({worker: [second]})
    (event,) = driver.until_settled(second.token)
    driver.acknowledge(event)
    assert attempt.token not in settled_tokens(driver.quiet())


def test_a_running_attempt_is_adopted_and_not_reported_before_it_ends(driver: Driver) -> None:
    attempt = driver.command("hold")
    worker = driver.start_and_begin(attempt)

    driver.restart({worker: [attempt]})

    assert driver.quiet() == []
    assert worker not in [slot.worker for slot in driver.engine.slots()]
    driver.let_go()
    (event,) = driver.until_settled(attempt.token)
    assert event.outcomes[0].verdict is Verdict.SUCCESS


def test_an_attempt_that_was_never_handed_over_is_released(driver: Driver) -> None:
    """The daemon died between its commit and the start."""
    slot = driver.slots("command")[0]
    attempt = driver.command("exit 0")

    driver.restart({slot.worker: [attempt]})

    (event,) = driver.until_settled(attempt.token)
    assert event.outcomes[0].verdict in (Verdict.RELEASED, Verdict.LOST)
    driver.acknowledge(event)


def test_an_attempt_for_a_worker_that_is_gone_is_released(driver: Driver) -> None:
    attempt = driver.command("exit 0")
    driver.engine.start("0123456789abcdef", [attempt])
    driver.engine.flush()
    (event,) = driver.until_settled(attempt.token)
    assert event.outcomes[0].verdict is Verdict.RELEASED


@pytest.mark.parametrize("verdict", [Verdict.CANCELLED, Verdict.TIMEOUT])
def test_a_stopped_attempt_carries_the_verdict_of_whoever_stopped_it(
    driver: Driver, verdict: Verdict
) -> None:
    attempt = driver.command("hold")
    worker = driver.start_and_begin(attempt)

    driver.engine.stop(worker, attempt.token, verdict.value)

    (event,) = driver.until_settled(attempt.token)
    assert event.outcomes[0].verdict is verdict
    assert event.outcomes[0].proof


def test_stopping_what_has_ended_or_never_was_changes_nothing(driver: Driver) -> None:
    attempt = driver.command("exit 0")
    worker = driver.start(attempt)
    (event,) = driver.until_settled(attempt.token)
    driver.acknowledge(event)
    driver.engine.stop(worker, attempt.token, "cancelled")
    driver.engine.stop("0123456789abcdef", 1, "cancelled")
    assert driver.quiet() == []


def test_many_functions_given_at_once_end_once_each(driver: Driver) -> None:
    slot = driver.slots("function")[0]
    attempts: list[Attempt] = [driver.function("double", n) for n in range(slot.room)]
    driver.engine.start(slot.worker, attempts)
    driver.engine.flush()
    events = driver.until_settled(*[attempt.token for attempt in attempts])
    assert sorted(settled_tokens(events)) == sorted(attempt.token for attempt in attempts)
