"""How long the attempts of a task usually take, for limits that are a share of that.

Only tasks with such a limit are counted, from the day on which they got it. The last run times of each are
one small row of the store, written in the transaction that settles an attempt and read once: a claim never
looks through attempts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobctl.clock import SECOND
from jobctl.protocol.compact import dumps
from jobctl.store import meta
from jobctl.task import Share
from jobctl.task.usual import LEAST_SAMPLES, MOST_SAMPLES

if TYPE_CHECKING:
    from jobctl.store.database import Database
    from jobctl.task import Task


class RunTimes:
    """The last run times of tasks, in microseconds, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, list[int]] = {}

    def refresh(self) -> None:
        """Forget what was read: a transaction was rolled back."""
        self._known.clear()

    def note(self, task: Task, span_us: int) -> None:
        """An attempt of a task succeeded after this time."""
        spans = [*self._of(task), max(span_us, 0)][-MOST_SAMPLES:]
        self._known[task.name] = spans
        meta.set(self._database, _row(task), dumps(spans))

    def limit_s(self, task: Task) -> float | None:
        """How long an attempt may take; None: as long as it likes, or nothing is usual yet."""
        if not isinstance(task.timeout_s, Share):
            return task.timeout_s
        spans = self._of(task)
        if len(spans) < LEAST_SAMPLES:
            return None
        # Imported where it is needed: with it come fractions and decimal numbers.
        from statistics import median

        return task.timeout_s.of(median(spans) / SECOND)

    def _of(self, task: Task) -> list[int]:
        if task.name not in self._known:
            text = meta.get(self._database, _row(task))
            self._known[task.name] = json.loads(text) if text is not None else []
        return self._known[task.name]


def _row(task: Task) -> str:
    return f"run_times/{task.name}"
