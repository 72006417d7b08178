"""Actions at moments of the monotonic clock."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.clock import Clock


class Timers:
    """What is due later. Nothing here waits: the loop asks for the next deadline."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` once, ``delay_s`` seconds from now; actions of one moment keep their order."""
        self._count += 1
        heapq.heappush(self._heap, (self._clock.monotonic() + delay_s, self._count, action))

    def step(self, monotonic: float) -> None:
        """Do what is due."""
        while self._heap and self._heap[0][0] <= monotonic:
            heapq.heappop(self._heap)[2]()

    @property
    def deadline(self) -> float | None:
        """When the next action is due; None: there is none."""
        return self._heap[0][0] if self._heap else None
