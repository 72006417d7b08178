"""Many jobs that wait for one: its end is followed in slices, and in whole whatever comes between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.dispatcher.dependencies import SLICE
from jobctl.job import Reason
from jobctl.plan import Queue
from jobctl.result import Verdict
from jobctl.store import dependencies
from jobctl.store import jobs as job_rows
from jobctl.store.database import open_database
from tests.support.builders import a_job, a_plan
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.engine.base import Attempt

MANY = 2 * SLICE + 200
FIRST = 10
"""The id of the first of many."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Dispatching]:
    database = open_database(tmp_path / "jobctl.db")
    yield Dispatching(database, tmp_path)
    database.close()


def wait_for_one(bench: Dispatching, until: str = "success") -> Attempt:
    """Many jobs wait for one that runs; its attempt."""
    attempt = bench.begin(a_job(id=1))
    bench.engine.room = {}
    ids = range(FIRST, FIRST + MANY)
    bench.submit(*(a_job(id=n, line="after") for n in ids))
    with bench.database.transaction():
        dependencies.add(bench.database, [(n, 1, until, "open") for n in ids])
    return attempt


def count(bench: Dispatching, state: str, line: str | None) -> int:
    row = bench.database.row(
        "SELECT count(*) FROM jobs WHERE id >= ? AND state = ? AND line IS ?", (FIRST, state, line)
    )
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("verdict", "end"),
    [(Verdict.SUCCESS, ("PENDING", "c/default")), (Verdict.FAILURE, ("REVOKED", None))],
)
@pytest.mark.parametrize("between", ["nothing", "kill", "spoil"])
def test_an_end_that_concerns_many_is_followed_in_slices_to_the_last(
    bench: Dispatching, verdict: Verdict, end: tuple[str, str | None], between: str
) -> None:
    bench.end(wait_for_one(bench), verdict)
    assert count(bench, *end) == SLICE
    # The others wait where no claim looks.
    assert count(bench, "PENDING", "after") == MANY - SLICE
    assert bench.dispatcher.has_chores

    if between == "kill":
        bench.start(a_plan())
    elif between == "spoil":
        bench.spoil()
    bench.turns()

    assert count(bench, *end) == MANY
    assert not bench.dispatcher.has_chores


def test_those_who_are_told_of_an_end_are_told_of_each_once(bench: Dispatching) -> None:
    told = bench.end(wait_for_one(bench), Verdict.FAILURE).ended
    while bench.dispatcher.has_chores:
        told += bench.turn().ended

    assert sorted(told) == [1, *range(FIRST, FIRST + MANY)]


def test_a_job_that_begins_anew_is_waited_for_again_by_those_that_were_not_reached(
    bench: Dispatching,
) -> None:
    bench.end(wait_for_one(bench), Verdict.FAILURE)
    with bench.database.transaction():
        job_rows.renew(bench.database, id=1)

    bench.turns()

    assert count(bench, "REVOKED", None) == SLICE
    assert count(bench, "PENDING", "after") == MANY - SLICE
    waits = dependencies.of_job(bench.database, FIRST + MANY - 1, limit=1)
    assert [one.status for one in waits] == ["open"]


def test_a_chain_longer_than_a_slice_is_revoked_to_its_end(bench: Dispatching) -> None:
    attempt = bench.begin(a_job(id=1))
    ids = range(2, SLICE + 100)
    bench.submit(*(a_job(id=n, line="after") for n in ids))
    with bench.database.transaction():
        dependencies.add(bench.database, [(n, n - 1, "success", "open") for n in ids])

    bench.end(attempt, Verdict.FAILURE)
    assert bench.job(ids[-1])["state"] == "PENDING"
    bench.turns()

    assert bench.job(ids[-1])["reason"] == f"job {ids[-2]} is REVOKED"


def test_a_job_that_waits_for_two_is_let_go_by_neither_alone(bench: Dispatching) -> None:
    bench.take(a_plan(queues=[Queue(name="default", concurrency=2)]))
    bench.engine.room = {("k1", "command"): 2}
    bench.submit(a_job(id=1), a_job(id=2))
    bench.turn()
    first, second = bench.engine.started["k1"]
    bench.engine.room = {}
    bench.submit(a_job(id=FIRST, line="after", reason=Reason.AFTER.value))
    with bench.database.transaction():
        rows = [(FIRST, 1, "success", "open"), (FIRST, 2, "success", "open")]
        dependencies.add(bench.database, rows)

    bench.end(first, Verdict.SUCCESS)
    assert bench.job(FIRST)["line"] == "after"
    bench.end(second, Verdict.FAILURE)

    assert bench.job(FIRST)["reason"] == "job 2 is FAILURE"
