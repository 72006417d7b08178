"""What follows an attempt that did not succeed."""

from __future__ import annotations

import random

import pytest

from jobctl.job import Change, Reason
from jobctl.result import Verdict
from jobctl.retry import Decision, RetryRule, backoff_s, decide

STEADY = {"jitter": False}


def after(verdict: Verdict, rule: RetryRule, *, failures: int = 0, losses: int = 0) -> Decision:
    return decide(verdict, rule, failures=failures, losses=losses, rng=random.Random(1))


def test_success_ends_the_job_whatever_came_before() -> None:
    assert after(Verdict.SUCCESS, RetryRule(), failures=7).change is Change.SUCCEED


def test_a_failure_without_retries_ends_the_job() -> None:
    decision = after(Verdict.FAILURE, RetryRule(), failures=1)

    assert (decision.change, decision.reason) == (Change.FAIL, Reason.FAILED)


def test_a_time_out_without_retries_ends_the_job_and_says_so() -> None:
    decision = after(Verdict.TIMEOUT, RetryRule(), failures=1)

    assert (decision.change, decision.reason) == (Change.FAIL, Reason.TIMEOUT)


@pytest.mark.parametrize("verdict", [Verdict.FAILURE, Verdict.TIMEOUT])
@pytest.mark.parametrize(("failures", "change"), [(2, Change.TRY_AGAIN), (3, Change.FAIL)])
def test_the_nth_retry_is_the_last(verdict: Verdict, failures: int, change: Change) -> None:
    assert after(verdict, RetryRule(retries=2), failures=failures).change is change


def test_a_loss_ends_an_at_most_once_job_even_with_retries_left() -> None:
    decision = after(Verdict.LOST, RetryRule(retries=9), losses=1)

    assert (decision.change, decision.reason) == (Change.FAIL, Reason.LOST)


def test_a_loss_of_an_at_least_once_job_uses_up_no_retry() -> None:
    rule = RetryRule(retries=0, on_lost="retry")

    assert after(Verdict.LOST, rule, failures=0, losses=1).change is Change.TRY_AGAIN


@pytest.mark.parametrize(("losses", "change"), [(2, Change.TRY_AGAIN), (3, Change.FAIL)])
def test_a_job_that_kills_its_worker_again_and_again_stops(losses: int, change: Change) -> None:
    decision = after(Verdict.LOST, RetryRule(on_lost="retry", max_lost=3), losses=losses)

    assert decision.change is change
    assert change is not Change.FAIL or decision.reason is Reason.MAX_LOST


def test_what_never_began_is_released() -> None:
    assert after(Verdict.RELEASED, RetryRule()).change is Change.RELEASE


def test_a_cancelled_attempt_is_not_tried_again() -> None:
    decision = after(Verdict.CANCELLED, RetryRule(retries=9, on_lost="retry"))

    assert (decision.change, decision.reason) == (Change.REVOKE, Reason.CANCELLED)


def test_backoff_doubles_up_to_its_limit() -> None:
    rule = RetryRule(delay_s=2.0, backoff=2.0, max_delay_s=20.0, jitter=False)

    assert [backoff_s(rule, nth, random.Random(1)) for nth in range(1, 6)] == [2, 4, 8, 16, 20]


def test_backoff_zero_keeps_the_delay() -> None:
    rule = RetryRule(delay_s=5.0, backoff=0.0, jitter=False)

    assert [backoff_s(rule, nth, random.Random(1)) for nth in (1, 2, 50)] == [5, 5, 5]


def test_a_job_with_thousands_of_retries_waits_the_longest_delay() -> None:
    rule = RetryRule(delay_s=1.0, backoff=10.0, max_delay_s=600.0, jitter=False)

    assert backoff_s(rule, 100_000, random.Random(1)) == 600.0


def test_jitter_draws_from_zero_to_the_whole_delay() -> None:
    rule = RetryRule(delay_s=8.0, backoff=0.0)
    rng = random.Random(7)

    drawn = [backoff_s(rule, 1, rng) for _ in range(500)]

    assert all(0.0 <= delay <= 8.0 for delay in drawn)
    assert min(drawn) < 0.5
    assert max(drawn) > 7.5
