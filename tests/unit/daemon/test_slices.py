"""Long answers: a slice a turn, at the pace of their client, and a fault of one is not the others'."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jobctl.daemon.slices import TURN_S, Slices
from jobctl.errors import JobctlError, NotFound
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Generator


class FakeConnection:
    """A client that may be slow or gone."""

    is_open = True
    is_congested = False


class FakeCall:
    """A request of a client of its own."""

    def __init__(self) -> None:
        self.connection: Any = FakeConnection()
        self.request: Any = SimpleNamespace(do="list")
        self.answers: list[Any] = []

    def answer(self, data: dict[str, Any]) -> None:
        self.answers.append(data)

    def refuse(self, error: JobctlError) -> None:
        self.answers.append(error)


def counted(
    steps: list[int], count: int, *, clock: FakeClock | None = None, costs_s: float = 0.0
) -> Generator[None, None, dict[str, Any]]:
    for n in range(count):
        steps.append(n)
        if clock is not None:
            clock.advance(costs_s)
        yield
    return {"count": count}


def begun(slices: Slices, work: Generator[None, None, dict[str, Any]]) -> Any:
    call: Any = FakeCall()
    slices.add(call, work)
    return call


def test_one_slice_a_turn_then_the_answer() -> None:
    slices, steps = Slices(FakeClock()), list[int]()
    call = begun(slices, counted(steps, 2))

    slices.step()
    assert (steps, call.answers) == ([0], [])
    slices.step()
    slices.step()

    assert call.answers == [{"count": 2}]
    assert not slices.wants_turn


def test_an_empty_answer_is_somebody_elses() -> None:
    slices = Slices(FakeClock())

    def work() -> Generator[None, None, dict[str, Any]]:
        yield
        return {}

    call = begun(slices, work())
    slices.step()
    slices.step()

    assert call.answers == []
    assert not slices.wants_turn


def test_a_client_that_does_not_read_costs_no_slice_and_no_turn() -> None:
    slices, steps = Slices(FakeClock()), list[int]()
    call = begun(slices, counted(steps, 1))
    call.connection.is_congested = True

    slices.step()

    before = (list(steps), slices.wants_turn)
    call.connection.is_congested = False
    after = slices.wants_turn
    slices.step()
    assert (before, after, steps) == (([], False), True, [0])


def test_the_work_for_a_client_that_has_gone_is_ended() -> None:
    slices, ended = Slices(FakeClock()), list[str]()

    def work() -> Generator[None, None, dict[str, Any]]:
        try:
            yield
        finally:
            ended.append("closed")
        return {}

    call = begun(slices, work())
    slices.step()
    call.connection.is_open = False
    assert slices.wants_turn
    slices.step()

    assert ended == ["closed"]
    assert not slices.wants_turn


def test_a_refusal_and_a_fault_are_answers_and_the_others_go_on() -> None:
    slices, steps = Slices(FakeClock()), list[int]()

    def refuse() -> Generator[None, None, dict[str, Any]]:
        yield from ()
        raise NotFound("no such job")

    def fail() -> Generator[None, None, dict[str, Any]]:
        yield from ()
        raise KeyError("a fault of ours")

    refused, failed, fine = (begun(slices, w) for w in (refuse(), fail(), counted(steps, 0)))
    slices.step()

    assert isinstance(refused.answers[0], NotFound)
    assert type(failed.answers[0]) is JobctlError
    assert fine.answers == [{"count": 0}]


def test_a_turn_has_a_limit_and_everybody_has_a_turn() -> None:
    clock = FakeClock()
    slices = Slices(clock)
    steps: list[list[int]] = [[] for _ in range(5)]
    for mine in steps:
        begun(slices, counted(mine, 3, clock=clock, costs_s=TURN_S))

    for _ in range(5):
        slices.step()

    assert steps == [[0]] * 5
