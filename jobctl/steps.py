"""Long work that is done a little at a time, because somebody else must not wait for all of it.

Such work is a generator: it yields after each little part, and what it returns is the result. Whoever has a
loop takes some parts a turn; whoever has nothing else to do takes them `at_once`. Both run the same code, so
that they cannot come to different results.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]
"""Yields after each part, of a millisecond or so; returns the result."""

PART: Final = 100
"""Tasks or schedules that are one part of the work on all of them."""


def parts(of: Iterable[T], size: int = PART) -> Iterator[tuple[T, ...]]:
    """Give the items in order, ``size`` at a time; the last part may be shorter, none is empty."""
    left = iter(of)
    while part := tuple(islice(left, size)):
        yield part


def at_once(steps: Steps[T]) -> T:
    """Do all of the work; its result, or whatever it raises."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
