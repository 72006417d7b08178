"""What the end of a step means for the next one, in the transaction that writes it: a dispatcher, a store, no
processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.dispatcher.handing_on import LONGEST_BYTES
from jobctl.result import Verdict
from jobctl.store import dependencies, workflows
from jobctl.store import jobs as job_rows
from jobctl.store.database import open_database
from jobctl.store.workflows import Step
from tests.support.builders import a_job
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Dispatching]:
    database = open_database(tmp_path / "jobctl.db")
    yield Dispatching(database, tmp_path)
    database.close()


def wait_for(bench: Dispatching, first: list[int], takes: Any, **step: Any) -> int:
    """A step that takes results of jobs that are there; its id."""
    payload = '{"args":[null,"own"],"kwargs":{"a":1},"headers":{"h":1}}'
    bench.submit(a_job(id=99, line="after", kind="function", task="body", payload=payload))
    with bench.database.transaction():
        workflows.add(bench.database, id=98, uid=0, shape="[]", now=bench.clock.now())
        text = None if takes is None else json.dumps(takes)
        workflows.add_steps(bench.database, [Step(99, 98, takes=text, **step)])
        dependencies.add(bench.database, [(99, id, "success", "open") for id in first])
    return 99


def begin(bench: Dispatching, *ids: int) -> list[Any]:
    return [bench.begin(a_job(id=id)) for id in ids]


def row(bench: Dispatching, id: int = 99) -> dict[str, Any]:
    found = job_rows.get(bench.database, id)
    assert found is not None
    return found


def test_results_become_the_first_argument_when_the_last_of_them_is_stored(
    bench: Dispatching,
) -> None:
    one, two = begin(bench, 1, 2)
    bench.engine.room = {}
    wait_for(bench, [1, 2], [2, [1, 2]])
    bench.end(two, Verdict.SUCCESS, result='{"x":2}')
    assert row(bench)["line"] == "after"
    assert json.loads(row(bench)["payload"])["args"] == [None, "own"]

    bench.end(one, Verdict.SUCCESS, result="1")

    assert row(bench)["line"] == "task/body"
    assert json.loads(row(bench)["payload"]) == {
        "args": [[{"x": 2}, [1, {"x": 2}]], "own"],
        "kwargs": {"a": 1},
        "headers": {"h": 1},
    }


def test_a_result_that_is_not_kept_is_taken_as_null(bench: Dispatching) -> None:
    (one,) = begin(bench, 1)
    wait_for(bench, [1], 1)
    bench.end(one, Verdict.SUCCESS)
    assert json.loads(row(bench)["payload"])["args"] == [None, "own"]


def test_a_step_with_a_delay_waits_for_it_when_its_turn_has_come(bench: Dispatching) -> None:
    (one,) = begin(bench, 1)
    wait_for(bench, [1], None, delay_s=60.0)
    bench.end(one, Verdict.SUCCESS)
    assert (row(bench)["line"], row(bench)["eta"]) == ("eta", bench.clock.now() + 60_000_000)
    assert bench.dispatcher.next_due() == row(bench)["eta"]


def test_a_step_that_gathers_ends_with_what_it_takes(bench: Dispatching) -> None:
    (one,) = begin(bench, 1)
    wait_for(bench, [1], [1], gathers=1)
    bench.end(one, Verdict.SUCCESS, result="7")
    assert (row(bench)["state"], row(bench)["number"]) == ("SUCCESS", 1)
    assert bench.database.row("SELECT result, verdict FROM attempts WHERE job_id = 99") == (
        "[7]",
        "success",
    )


def test_more_than_a_worker_can_be_given_revokes_the_step_and_says_so(bench: Dispatching) -> None:
    (one,) = begin(bench, 1)
    wait_for(bench, [1], 1)
    bench.end(one, Verdict.SUCCESS, result=json.dumps("x" * LONGEST_BYTES))
    assert row(bench)["state"] == "REVOKED"
    assert "the results that it takes have" in row(bench)["reason"]


def test_the_cause_of_a_revocation_is_the_job_that_failed_first(bench: Dispatching) -> None:
    (one,) = begin(bench, 1)
    bench.engine.room = {}
    wait_for(bench, [1], 1)
    bench.submit(a_job(id=100, line="after"))
    with bench.database.transaction():
        dependencies.add(bench.database, [(100, 99, "success", "open")])
    bench.end(one, Verdict.FAILURE)
    bench.turns()
    assert [row(bench, id)["state"] for id in (99, 100)] == ["REVOKED", "REVOKED"]
    assert dependencies.cause(bench.database, 100) == 1


def test_a_workflow_is_forgotten_with_the_last_of_its_jobs(bench: Dispatching) -> None:
    begin(bench, 1)
    wait_for(bench, [1], 1)
    with bench.database.transaction():
        workflows.add_steps(bench.database, [Step(1, 98)])
        workflows.prune(bench.database, [1])
        assert workflows.get(bench.database, 98) is not None
        workflows.prune(bench.database, [99, 500])
    assert workflows.get(bench.database, 98) is None
