"""What follows an attempt that did not succeed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobctl.clock import SECOND
from jobctl.job import Change, Reason
from jobctl.raised import Retry
from jobctl.result import Outcome, Verdict
from jobctl.retry import Decision, RetryRule, backoff_s, decide

STEADY = {"jitter": False}
NOW = 10 * SECOND


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


def by_deadline(verdict: Verdict, left_s: float, *, failures: int = 1) -> Decision:
    """What becomes of a job that waits 5 s before its retry and has so long until its deadline."""
    rule = RetryRule(retries=1, on_lost="retry", delay_s=5, jitter=False)
    rng, deadline_at = random.Random(1), NOW + int(left_s * SECOND)
    return decide(
        verdict, rule, failures=failures, losses=1, rng=rng, now=NOW, deadline_at=deadline_at
    )


@pytest.mark.parametrize("verdict", [Verdict.FAILURE, Verdict.TIMEOUT, Verdict.LOST])
def test_a_job_whose_next_attempt_would_come_at_its_deadline_has_failed(verdict: Verdict) -> None:
    late = by_deadline(verdict, 5)

    assert (late.change, late.reason) == (Change.FAIL, Reason.DEADLINE)
    assert by_deadline(verdict, 5.000001).change is Change.TRY_AGAIN


def test_an_end_at_the_deadline_is_told_from_one_at_the_limit_of_the_attempt() -> None:
    assert by_deadline(Verdict.TIMEOUT, 0, failures=2).reason is Reason.DEADLINE
    assert by_deadline(Verdict.TIMEOUT, 0.000001, failures=2).reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("verdict", "reason"), [(Verdict.FAILURE, Reason.FAILED), (Verdict.CANCELLED, Reason.CANCELLED)]
)
def test_a_job_that_ends_by_itself_after_its_deadline_says_how(
    verdict: Verdict, reason: Reason
) -> None:
    assert by_deadline(verdict, -1, failures=2).reason is reason
    assert by_deadline(Verdict.SUCCESS, -1).change is Change.SUCCEED


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


# -- which failures are tried again ---------------------------------------------------------------


def ended(verdict: Verdict = Verdict.FAILURE, **facts: Any) -> Outcome:
    return Outcome(token=1, job_id=1, verdict=verdict, finished_at=NOW, **facts)


def follows(outcome: Outcome, *, failures: int = 1, **options: Any) -> Decision:
    rule = RetryRule(**{"retries": 5, "delay_s": 7.0, "jitter": False, **options})
    return decide(
        outcome.verdict,
        rule,
        failures=failures,
        losses=0,
        rng=random.Random(1),
        outcome=outcome,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("outcome", "is_retried"),
    [
        (ended(exit_code=75), True),
        (ended(exit_code=1), True),
        (ended(exit_code=3), True),
        (ended(exit_code=4), False),
        (ended(signal=9), False),
        (ended(), False),
        (ended(Verdict.TIMEOUT, signal=15), False),
    ],
)
def test_exit_codes_that_are_not_named_end_the_job(outcome: Outcome, is_retried: bool) -> None:
    decision = follows(outcome, retry_on=(75, "1-3"))

    assert (decision.change is Change.TRY_AGAIN) is is_retried


@pytest.mark.parametrize(
    ("outcome", "is_retried"),
    [
        (ended(signal=9), True),
        (ended(Verdict.TIMEOUT, signal=9), True),
        (ended(Verdict.TIMEOUT, exit_code=1), True),
        (ended(exit_code=137), False),
    ],
)
def test_signals_and_time_limits_can_be_named(outcome: Outcome, is_retried: bool) -> None:
    decision = follows(outcome, retry_on=("signal", "timeout"))

    assert (decision.change is Change.TRY_AGAIN) is is_retried


KINDS = ("shop.Busy", "ConnectionError", "OSError", "Exception", "BaseException")


@pytest.mark.parametrize(
    ("options", "is_retried"),
    [
        ({}, True),
        ({"autoretry_for": ("shop.Busy",)}, True),
        ({"autoretry_for": ("KeyError", "OSError")}, True),
        ({"autoretry_for": ("KeyError",)}, False),
        ({"autoretry_for": ("Busy",)}, False),
        ({"dont_autoretry_for": ("ConnectionError",)}, False),
        ({"dont_autoretry_for": ("KeyError",)}, True),
        ({"autoretry_for": ("OSError",), "dont_autoretry_for": ("shop.Busy",)}, False),
    ],
)
def test_an_exception_is_judged_by_all_its_classes(
    options: dict[str, Any], is_retried: bool
) -> None:
    decision = follows(ended(kinds=KINDS), **options)

    assert (decision.change is Change.TRY_AGAIN) is is_retried


@pytest.mark.parametrize(
    ("named", "is_retried"), [("TimeoutError", True), ("Exception", True), ("OSError", False)]
)
def test_the_time_limit_counts_as_an_exception(named: str, is_retried: bool) -> None:
    timed_out = ended(Verdict.TIMEOUT)

    assert (follows(timed_out, autoretry_for=(named,)).change is Change.TRY_AGAIN) is is_retried


def test_what_is_no_exception_of_the_function_is_none_of_the_named_ones() -> None:
    assert follows(ended(), autoretry_for=("Exception",)).change is Change.FAIL


def asked(**wish: Any) -> Outcome:
    return ended(retry=Retry(**wish).to_json())


def test_a_function_that_asks_for_a_retry_says_when() -> None:
    moment = datetime(1970, 1, 1, 0, 1, 30, tzinfo=UTC)

    assert follows(asked(countdown=90)).delay_s == 90
    assert follows(asked(countdown=timedelta(minutes=2))).delay_s == 120
    assert follows(asked(eta=moment)).delay_s == 90 - NOW / SECOND
    assert follows(asked(eta=datetime(1969, 1, 1, tzinfo=UTC))).delay_s == 0
    assert follows(asked(), failures=2).delay_s == 14


def test_a_function_that_asks_for_a_retry_is_not_judged_by_its_exceptions() -> None:
    assert follows(asked(), autoretry_for=("KeyError",)).change is Change.TRY_AGAIN


@pytest.mark.parametrize(
    ("retries", "max_retries", "granted"),
    [(5, None, 5), (0, None, 3), (5, 2, 2), (1, 4, 4), (5, 0, 0)],
)
def test_a_function_gets_as_many_retries_as_it_or_its_task_says(
    retries: int, max_retries: int | None, granted: int
) -> None:
    wish = asked(max_retries=max_retries)

    assert granted == sum(
        follows(wish, retries=retries, failures=n).change is Change.TRY_AGAIN for n in range(1, 20)
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"delay_s": -1, "at": "x", "max_retries": "x"}', '{"delay_s": NaN}']
)
def test_a_wish_that_makes_no_sense_is_one_for_another_attempt(text: str) -> None:
    assert follows(ended(retry=text or "null")).delay_s == 7


@pytest.mark.parametrize(
    "wish",
    [
        {"countdown": -1},
        {"countdown": float("nan")},
        {"countdown": float("inf")},
        {"countdown": 1, "eta": datetime(2030, 1, 1, tzinfo=UTC)},
        {"eta": datetime(2030, 1, 1)},  # noqa: DTZ001 -- what is refused
        {"max_retries": -1},
    ],
)
def test_a_wish_that_cannot_be_is_refused_where_it_is_made(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Retry: "):
        Retry(**wish)


def test_a_wait_for_ages_ends_before_dates_do() -> None:
    wish = ended(retry='{"delay_s": 1e300}')

    assert follows(wish).delay_s == 253_402_300_799 - NOW / SECOND
