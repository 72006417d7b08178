"""Calls that are made again when the connection breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.cli.repeat import PATIENCE_S, Repeater
from jobctl.errors import DaemonNotRunning, NotFound, ProtocolError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeClock:
    """Only `sleep` moves it."""

    def __init__(self) -> None:
        self.hand = 100.0

    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.hand

    def sleep(self, seconds: float) -> None:
        self.hand += seconds


class FakeClient:
    """A connection that does as its part of the story says."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def connect(self) -> None:
        if self.part is DaemonNotRunning:
            raise DaemonNotRunning("no daemon listens")

    def ask(self) -> Any:
        if isinstance(self.part, Exception):
            raise self.part
        return self.part


def told(*story: Any) -> tuple[Repeater, FakeClock, Callable[[], int]]:
    """A repeater for a story: what each connection comes to, the last one for ever."""
    clock = FakeClock()
    made: list[FakeClient] = []

    def connect() -> Any:
        made.append(FakeClient(story[min(len(made), len(story) - 1)]))
        return made[-1]

    return Repeater(connect, clock=clock, sleep=clock.sleep), clock, lambda: len(made)


def ask(client: Any) -> Any:
    return client.ask()


def test_an_answer_ends_it() -> None:
    repeater, clock, count = told("done")

    assert repeater.run(ask) == "done"
    assert (count(), clock.hand) == (1, 100.0)


def test_a_break_while_the_daemon_restarts_is_bridged() -> None:
    broke = Unreachable("the connection broke")
    repeater, _, count = told(broke, DaemonNotRunning, DaemonNotRunning, broke, "done")

    assert repeater.run(ask) == "done"
    assert count() == 5


def test_a_daemon_that_is_not_there_at_first_is_not_waited_for() -> None:
    repeater, clock, count = told(DaemonNotRunning, "done")

    with pytest.raises(DaemonNotRunning):
        repeater.run(ask)
    assert (count(), clock.hand) == (1, 100.0)


def test_a_daemon_that_stays_away_is_given_up_in_time() -> None:
    repeater, clock, _ = told(Unreachable("the connection broke"), DaemonNotRunning)

    with pytest.raises(DaemonNotRunning):
        repeater.run(ask)
    assert PATIENCE_S - 1.1 <= clock.hand - 100.0 <= PATIENCE_S


def test_a_connection_that_held_for_a_while_begins_the_patience_anew() -> None:
    # A wait for a long job, over many restarts of the daemon.
    broke = Unreachable("the connection broke")
    away = [DaemonNotRunning] * 20
    repeater, clock, _ = told(*[part for _ in range(5) for part in (broke, *away)], "done")

    def ask_for_long(client: Any) -> Any:
        clock.sleep(60)
        return client.ask()

    assert repeater.run(ask_for_long) == "done"
    assert clock.hand - 100.0 > 5 * 60 + 2 * PATIENCE_S


def test_a_daemon_that_ends_every_connection_at_once_is_given_up_too() -> None:
    repeater, clock, count = told(Unreachable("the daemon ended the connection"))

    with pytest.raises(Unreachable):
        repeater.run(ask)
    assert clock.hand - 100.0 <= PATIENCE_S
    assert count() < 50


@pytest.mark.parametrize("answer", [NotFound("no such task"), ProtocolError("what is this")])
def test_an_error_that_is_an_answer_is_not_repeated(answer: Exception) -> None:
    repeater, _, count = told(answer, "done")

    with pytest.raises(type(answer)):
        repeater.run(ask)
    assert count() == 1
