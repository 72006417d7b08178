"""How much work the parts of a long work are, counted in calls: time says little on a busy machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from types import FrameType

    from jobctl.steps import Steps

T = TypeVar("T")


def largest_part(steps: Steps[T]) -> tuple[int, T]:
    """Do all of the work; the calls of its largest part, of Python and of C, and its result."""
    largest = calls = 0

    def count(_frame: FrameType, event: str, _about: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    while True:
        calls = 0
        sys.setprofile(count)
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return max(largest, calls), result
        finally:
            sys.setprofile(None)
        largest = max(largest, calls)
