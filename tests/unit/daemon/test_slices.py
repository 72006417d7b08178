"""Long answers: one at a time for each client, and no client waits for all answers of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from jobctl.daemon.slices import Slices
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Generator

    from jobctl.daemon.server import Call


@dataclass(eq=False)
class FakeConnection:
    is_open: bool = True
    is_congested: bool = False


@dataclass
class FakeCall:
    connection: FakeConnection
    answers: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, data: dict[str, Any]) -> None:
        self.answers.append(data)


def walk(begun: list[str], name: str, slices: int) -> Generator[None, None, dict[str, Any]]:
    begun.append(name)
    for _ in range(slices):
        yield
    return {"of": name}


def add(slices: Slices, call: FakeCall, work: Generator[None, None, dict[str, Any]]) -> None:
    slices.add(cast("Call", call), work)


def test_a_second_answer_of_a_client_is_not_begun_before_its_first_is_whole() -> None:
    slices, begun = Slices(FakeClock()), list[str]()
    call = FakeCall(FakeConnection())
    for name in ("first", "second"):
        add(slices, call, walk(begun, name, 2))

    slices.step()
    slices.step()
    assert begun == ["first"]
    for _ in range(4):
        slices.step()

    assert call.answers == [{"of": "first"}, {"of": "second"}]
    assert not slices.wants_turn


def test_a_client_does_not_wait_for_the_many_answers_of_another() -> None:
    slices, begun = Slices(FakeClock()), list[str]()
    greedy, modest = FakeCall(FakeConnection()), FakeCall(FakeConnection())
    for number in range(900):
        add(slices, greedy, walk(begun, f"greedy {number}", 3))
    add(slices, modest, walk(begun, "modest", 1))

    slices.step()
    slices.step()

    assert modest.answers == [{"of": "modest"}]
    assert begun == ["greedy 0", "modest"]


def test_a_client_that_does_not_read_gets_no_slice_and_asks_for_no_turn() -> None:
    slices, begun = Slices(FakeClock()), list[str]()
    call = FakeCall(FakeConnection(is_congested=True))
    add(slices, call, walk(begun, "only", 0))

    slices.step()
    wanted = [slices.wants_turn]
    assert begun == []
    call.connection.is_congested = False
    wanted.append(slices.wants_turn)
    slices.step()

    assert wanted == [False, True]
    assert call.answers == [{"of": "only"}]


def test_everything_that_a_client_asked_for_goes_with_it() -> None:
    slices, begun = Slices(FakeClock()), list[str]()
    call = FakeCall(FakeConnection())
    for name in ("first", "second"):
        add(slices, call, walk(begun, name, 5))
    slices.step()

    call.connection.is_open = False
    assert slices.wants_turn
    slices.step()

    assert begun == ["first"]
    assert call.answers == []
    assert not slices.wants_turn
