"""Clients that wait for jobs: each is answered once, when all its jobs have ended or its time is over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from jobctl.daemon.waiting import Waiters


class Answers(list[bool]):
    """What a wait was answered."""


def call(connection: object = None) -> Any:
    return SimpleNamespace(connection=connection or object())


def waiting(waiters: Waiters, *jobs: int, **others: Any) -> Answers:
    answers = Answers()
    waiters.add(others.pop("call", call()), jobs, answers.append, **others)
    return answers


def test_a_wait_is_answered_with_its_last_job() -> None:
    waiters = Waiters()
    answers = waiting(waiters, 1, 2)

    waiters.end([1])
    assert answers == []
    waiters.end([2])

    assert answers == [True]
    assert len(waiters) == 0


def test_a_job_named_twice_ends_once() -> None:
    waiters = Waiters()
    answers = waiting(waiters, 1, 1)

    waiters.end([1, 1])

    assert answers == [True]


def test_everybody_who_waits_for_a_job_is_answered() -> None:
    waiters = Waiters()
    several = [waiting(waiters, 1) for _ in range(3)]

    waiters.end([1])

    assert several == [[True]] * 3


def test_a_wait_whose_time_is_over_is_answered_and_forgotten() -> None:
    waiters = Waiters()
    answers = waiting(waiters, 1, deadline=10.0)

    assert waiters.step(9.99) == 10.0
    assert waiters.step(10.0) is None
    waiters.end([1])

    assert answers == [False]
    assert len(waiters) == 0


def test_a_wait_that_was_answered_has_no_deadline_left() -> None:
    waiters = Waiters()
    waiting(waiters, 1, deadline=10.0)
    late = waiting(waiters, 2, deadline=20.0)

    waiters.end([1])

    assert waiters.step(0.0) == 20.0
    assert late == []


def test_a_client_that_has_gone_is_asked_nothing() -> None:
    waiters = Waiters()
    connection: Any = object()
    answers = waiting(waiters, 1, 2, call=call(connection), deadline=5.0)
    other = waiting(waiters, 1)

    waiters.forget(connection)
    waiters.end([1, 2])

    assert (answers, other) == ([], [True])
    assert waiters.step(100.0) is None
