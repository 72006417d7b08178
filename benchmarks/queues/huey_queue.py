"""Huey: ``BENCH_VARIANT`` is where its queue is, ``sqlite``, ``sqlite-unsynced`` or ``redis``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from huey import RedisHuey, SqliteHuey  # type: ignore[import-not-found]

from benchmarks.queues import redis_keys
from benchmarks.queues.queue import FOLDER, FUNCTIONS, NAME, Queue, program

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARIANT: Final = os.environ["BENCH_VARIANT"]


def _huey() -> Any:
    # Without store_none a function that returns None leaves nothing, and nobody could wait for it.
    if _VARIANT == "redis":
        return RedisHuey(NAME, url=redis_keys.URL, store_none=True)
    # None is Huey's default and leaves SQLite's: FULL.
    fsync = False if _VARIANT == "sqlite-unsynced" else None
    return SqliteHuey(filename=str(FOLDER / "huey.db"), fsync=fsync, store_none=True)


huey = _huey()
"""What ``huey_consumer`` is given."""

_TASKS: Final = {name: huey.task()(function) for name, function in FUNCTIONS.items()}


class HueyQueue(Queue[Any]):
    """Results are counted, not looked up: there is one request for that."""

    def __init__(self) -> None:
        self._results_before = 0

    def workers(self) -> list[list[str]]:
        """One consumer; its workers are processes."""
        options = ["-w", "2", "-k", "process", "-q", "--max-delay", "0.1"]
        return [[program("huey_consumer"), "benchmarks.queues.huey_queue.huey", *options]]

    def submit(self, function: str) -> Any:
        """One call of the task."""
        return _TASKS[function]()

    def start_counting(self) -> None:
        """Results that nobody has fetched stay."""
        self._results_before = huey.result_count()

    def ended(self, jobs: Sequence[Any]) -> int:
        """Those that others have left are known."""
        results: int = huey.result_count()
        return min(results - self._results_before, len(jobs))

    def have_ended(self, jobs: Sequence[Any]) -> bool:
        """One request says it."""
        return self.ended(jobs) == len(jobs)

    def result(self, job: Any, limit_s: float) -> int:
        """It polls, by default less and less often."""
        stamp: int = job(blocking=True, timeout=limit_s, backoff=1.0, max_delay=0.01)
        return stamp

    def clean(self) -> None:
        """On SQLite there is nothing but a file."""
        if _VARIANT == "redis":
            redis_keys.remove(f"*{NAME}*")


queue = HueyQueue()
