"""Counting what commits make true."""

from __future__ import annotations

import random
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.daemon import counts as counting
from jobctl.daemon.counts import AD_HOC, MOST, OTHERS, RUN_BOUNDS_S, Counts, Histogram
from jobctl.dispatcher.dispatcher import Effects
from jobctl.engine.base import Done
from jobctl.job import Change
from jobctl.result import Outcome, Verdict
from jobctl.store.jobs import Claimed

if TYPE_CHECKING:
    from jobctl.clock import Moment

T0 = 1_800_000_000 * SECOND


def done(task: str | None, begin: Moment, end: Moment) -> Done:
    return Done(
        token=1,
        job_id=1,
        started_at=begin,
        finished_at=end,
        result="1",
        number=1,
        claimed_at=begin,
        task=task,
    )


def outcome(verdict: Verdict, **others: Any) -> Outcome:
    return Outcome(token=1, job_id=1, verdict=verdict, finished_at=T0 + 2 * SECOND, **others)


def claimed(ready_at: Moment) -> Claimed:
    values: dict[str, Any] = dict.fromkeys(Claimed._fields) | {"ready_at": ready_at}
    return Claimed(**values)


def test_the_columns_are_those_that_their_places_say() -> None:
    row = done("t", T0, T0 + 1)

    assert (counting._STARTED(row), counting._FINISHED(row), counting._TASK(row)) == (
        T0,
        T0 + 1,
        "t",
    )
    assert counting._READY(claimed(T0)) == T0


@pytest.mark.parametrize("seed", range(20))
def test_a_histogram_agrees_with_one_that_looks_at_each_span(seed: int) -> None:
    rng = random.Random(seed)
    spans = [
        round(rng.choice([*RUN_BOUNDS_S, rng.expovariate(1 / 30)]) * SECOND)
        for _ in range(rng.randrange(1, 200))
    ]
    expected = [0] * (len(RUN_BOUNDS_S) + 1)
    for span in spans:
        expected[bisect_left(RUN_BOUNDS_S, span / SECOND)] += 1
    histogram = Histogram(RUN_BOUNDS_S)

    histogram.note(list(spans))

    assert histogram.counts == expected
    assert histogram.total_us == sum(spans)


def test_a_clock_that_was_set_back_makes_no_span_shorter_than_nothing() -> None:
    histogram = Histogram((1.0,))

    histogram.note([-5 * SECOND, 2 * SECOND])

    assert (histogram.counts, histogram.total_us) == ([1, 1], 2 * SECOND)


def test_functions_that_returned_are_counted_by_task() -> None:
    counts = Counts()

    counts.take(Effects(done=[[done("a", T0, T0 + 5), done("b", T0, T0 + 2 * SECOND)]]))
    counts.take(Effects(done=[[done("a", T0, T0 + SECOND)]]))
    counts.count()

    assert counts.runs == {("a", "succeeded"): 2, ("b", "succeeded"): 1}
    assert counts.last["a"].finished_at == counts.last_success_at["a"] == T0 + SECOND
    assert counts.durations["b"].total_us == 2 * SECOND
    assert sum(counts.durations["a"].counts) == 2


def test_other_attempts_are_counted_by_how_they_ended() -> None:
    counts = Counts()
    failed = outcome(
        Verdict.FAILURE,
        started_at=T0,
        exit_code=3,
        user_s=1.0,
        system_s=0.5,
        max_rss_bytes=4096,
        output=b"long",
    )

    counts.take(
        Effects(
            runs=[
                (None, Change.SUCCEED, outcome(Verdict.SUCCESS, started_at=T0)),
                ("backup", Change.TRY_AGAIN, failed),
                ("backup", Change.FAIL, outcome(Verdict.LOST)),
                ("backup", Change.RELEASE, outcome(Verdict.RELEASED)),
            ]
        )
    )
    assert counts._pile.runs[1][2].output == b""
    counts.count()

    assert counts.runs == {
        (AD_HOC, "succeeded"): 1,
        ("backup", "failed"): 1,
        ("backup", "lost"): 1,
    }
    assert counts.retries == {"backup": 1}
    assert (counts.cpu_s["backup"], counts.max_rss_bytes["backup"]) == (1.5, 4096)
    assert not counts.last["backup"].is_success
    assert "backup" not in counts.last_success_at


def test_waits_are_counted_by_queue() -> None:
    counts = Counts()

    counts.take(Effects(claims=[("mail", T0, [claimed(T0 - SECOND), claimed(T0 - 3 * SECOND)])]))
    counts.count()

    assert counts.waits["mail"].total_us == 4 * SECOND


def test_a_pile_that_grows_is_counted_by_itself() -> None:
    counts = Counts()

    for _ in range(300):
        counts.take(Effects(done=[[done("a", T0, T0)]]))

    assert counts.runs["a", "succeeded"] >= 256


def test_the_number_of_series_is_bounded() -> None:
    counts = Counts()

    labels = {counts.task(f"task-{number}") for number in range(10 * MOST)}

    assert len(labels) <= MOST + 1
    assert counts.task("one more") == OTHERS
    assert counts.task("task-0") == "task-0"


def test_what_is_remembered_counts_less_than_what_has_happened_since() -> None:
    counts = Counts()
    counts.take(Effects(runs=[("a", Change.FAIL, outcome(Verdict.FAILURE, started_at=T0))]))
    counts.count()

    counts.remember("a", counting.LastRun(T0, None, None, is_success=True))

    assert not counts.last["a"].is_success
    assert counts.last_success_at["a"] == T0
