"""Workflows without a daemon: made in place, one job after the other, and compiled into jobs."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl import FunctionTask, chain, chord, group, signature, task, xmap
from jobctl.api import tasks
from jobctl.api.compiling import compile_workflow
from jobctl.api.eager import eager
from jobctl.errors import NotFound, RemoteError, UsageError
from tests.support.clock import START


@pytest.fixture(autouse=True)
def shop(monkeypatch: pytest.MonkeyPatch) -> dict[str, FunctionTask[..., Any]]:
    """Tasks of a registry of this test's own."""
    monkeypatch.setattr(tasks, "_tasks", {})
    noted: list[Any] = []

    @task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @task(name="total")
    def total(numbers: list[int]) -> int:
        return sum(n or 0 for n in numbers)

    @task(name="fail")
    def fail(*_: Any) -> None:
        raise ValueError("refused")

    @task(name="note")
    def note(value: Any) -> Any:
        noted.append(value)
        return noted[:]

    @task(name="instead", bind=True)
    def instead(self: FunctionTask[..., Any], x: int) -> Any:
        raise self.replace(signature("add", (x, 10)))

    @task(name="by_group", bind=True)
    def by_group(self: FunctionTask[..., Any], x: int) -> Any:
        raise self.replace(group(signature("add", (x, n)) for n in range(2)))

    @task(name="by_failure", bind=True)
    def by_failure(self: FunctionTask[..., Any]) -> Any:
        raise self.replace(signature("fail") | signature("add", (1,)))

    return {one.name: one for one in (add, total, fail, note, instead, by_group, by_failure)}


def s(name: str, *args: Any) -> Any:
    return signature(name, args)


@pytest.mark.parametrize(
    ("make", "comes_to"),
    [
        (lambda: s("add", 1, 2) | s("add", 10), 13),
        (lambda: group(s("add", 1, 1), s("add", 2, 2)), [2, 4]),
        (lambda: chord([s("add", 1, 1), s("add", 2, 2)], s("total")), 6),
        (lambda: s("add", 1, 1) | group(s("add", 1), s("add", 2)) | s("total"), 7),
        (lambda: chord([], s("total")), 0),
        (lambda: chord([s("add", 1, 1), s("fail")], s("total"), until="end"), 2),
        (lambda: xmap(s("total"), [[1, 1], [2]]), [2, 2]),
        (lambda: s("instead", 1) | s("add", 100), 111),
        (lambda: s("by_group", 1) | s("total"), 3),
    ],
)
def test_a_workflow_in_place_comes_to_what_it_does_with_a_daemon(make: Any, comes_to: Any) -> None:
    with eager():
        assert make().delay().get() == comes_to
    assert make().apply().get() == comes_to


def test_what_follows_a_failure_is_not_made_in_place(shop: Any) -> None:
    with eager():
        result = (s("fail") | s("note") | s("add", 1)).apply_async(link_error=s("note"))
        assert (result.state, result.parent.state) == ("REVOKED", "REVOKED")
        with pytest.raises(ValueError, match=r"was not made: job .* failed: ValueError: refused"):
            result.get()
        # The job on the error was told the id of the one that failed, and is the only one that was made.
        assert shop["note"]("end") == [result.parent.parent.id, "end"]
        with pytest.raises(RemoteError, match="refused"):
            s("by_failure").delay().get()


def test_links_follow_in_place(shop: Any) -> None:
    with eager():
        assert shop["add"].apply_async((1, 2), link=[s("note"), s("note")]).get() == 3
        assert shop["note"]("end") == [3, 3, "end"]


def test_calling_a_signature_needs_its_function_here() -> None:
    assert s("add", 2)(1) == 3
    with pytest.raises(NotFound, match="gone"):
        s("gone")()
    with pytest.raises(NotFound, match="gone"):
        (s("add", 1, 1) | s("gone")).apply()


def compiled(sig: Any) -> tuple[list[dict[str, Any]], Any]:
    workflow, came = compile_workflow(sig, now=START)
    return workflow.steps, came.shape


def test_each_step_waits_for_those_before_it_and_takes_what_they_come_to() -> None:
    steps, shape = compiled(s("add", 1, 1) | group(s("add", 1), s("add", 2)) | s("total"))

    assert steps == [
        {},
        {"after": [0], "takes": 0},
        {"after": [0], "takes": 0},
        {"after": [1, 2], "takes": [1, 2]},
    ]
    assert shape == ["chain", 0, ["group", 1, 2], 3]


def test_an_immutable_step_waits_and_takes_nothing() -> None:
    steps, _ = compiled(chain(s("add", 1, 1), s("add", 2, 2).set(immutable=True)))
    assert steps == [{}, {"after": [0]}]


def test_a_step_after_an_empty_group_waits_for_what_came_before_that() -> None:
    steps, _ = compiled(chain(s("add", 1, 1), group(), s("total")))
    assert steps == [{}, {"after": [0]}]


def test_a_countdown_counts_from_the_turn_of_a_later_step() -> None:
    workflow, _ = compile_workflow(
        s("add", 1, 1).set(countdown=3) | s("add", 1).set(countdown=5), now=START
    )
    assert workflow.jobs[0]["delay_s"] == 3
    assert (workflow.steps[1]["delay_s"], "delay_s" in workflow.jobs[1]) == (5, False)


def test_what_is_wanted_on_errors_of_a_chain_is_wanted_by_each_step() -> None:
    both = s("add", 1, 1) | group(s("add", 1)) | s("total")
    steps, _ = compiled(both.on_error(s("note")))
    assert [len(step["on_error"]) for step in steps] == [1, 1, 1]
    assert [step.get("joins", False) for step in steps] == [False, False, True]


def test_parts_too_deep_in_each_other_are_refused() -> None:
    deep = s("add", 1, 1)
    for _ in range(60):
        deep = chord([deep], s("total"))
    with pytest.raises(UsageError, match="40 parts in each other"):
        compiled(deep)
