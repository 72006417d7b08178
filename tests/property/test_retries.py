"""Which failures are tried again, and when: compared with a judge that is written in another way."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from jobctl.job import Change
from jobctl.raised import kinds_of
from jobctl.result import Outcome, Verdict
from jobctl.retry import RetryRule, backoff_s, decide

codes = st.integers(0, 255)
ranges = st.tuples(codes, codes).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
listed = st.lists(codes | ranges | st.sampled_from(["signal", "timeout"]), min_size=1, max_size=5)

CLASSES: tuple[type[BaseException], ...] = (
    BaseException, Exception, OSError, ConnectionError, BrokenPipeError, LookupError, KeyError,
    SystemExit, ArithmeticError,
)  # fmt: skip
classes = st.lists(st.sampled_from(CLASSES), max_size=4).map(tuple)


def is_retried(rule: RetryRule, outcome: Outcome) -> bool:
    decision = decide(
        outcome.verdict, rule, failures=1, losses=0, rng=random.Random(1), outcome=outcome
    )
    return decision.change is Change.TRY_AGAIN


@given(listed, codes)
def test_an_exit_code_is_tried_again_when_an_item_holds_it(
    items: list[int | str], code: int
) -> None:
    outcome = Outcome(token=1, job_id=1, verdict=Verdict.FAILURE, finished_at=0, exit_code=code)
    by_hand = False
    for item in items:
        text = str(item)
        if "-" in text:
            low, high = text.split("-")
            by_hand |= int(low) <= code <= int(high)
        else:
            by_hand |= text == str(code)

    assert is_retried(RetryRule(retries=1, retry_on=tuple(items)), outcome) is by_hand


@given(st.sampled_from(CLASSES), classes, classes)
def test_an_exception_is_tried_again_when_it_is_one_of_the_named_ones(
    raised: type[BaseException],
    wanted: tuple[type[BaseException], ...],
    unwanted: tuple[type[BaseException], ...],
) -> None:
    rule = RetryRule(
        retries=1,
        autoretry_for=tuple(kind.__name__ for kind in wanted),
        dont_autoretry_for=tuple(kind.__name__ for kind in unwanted),
    )
    error = raised()
    by_python = isinstance(error, wanted or BaseException) and not isinstance(error, unwanted)
    outcome = Outcome(
        token=1, job_id=1, verdict=Verdict.FAILURE, finished_at=0, kinds=tuple(kinds_of(error))
    )

    assert is_retried(rule, outcome) is by_python


@given(
    st.integers(1, 1_000_000),
    st.floats(0, 1e9),
    st.sampled_from([0.0, 1.0, 1.5, 2.0, 1000.0]),
    st.floats(0.001, 1e9),
    st.booleans(),
)
def test_no_wait_is_longer_than_its_cap(
    nth: int, delay_s: float, backoff: float, cap_s: float, jitter: bool
) -> None:
    rule = RetryRule(delay_s=delay_s, backoff=backoff, max_delay_s=cap_s, jitter=jitter)

    waited_s = backoff_s(rule, nth, random.Random(nth))

    assert 0 <= waited_s <= cap_s
    if not jitter and nth == 1:
        assert waited_s == min(delay_s, cap_s)
