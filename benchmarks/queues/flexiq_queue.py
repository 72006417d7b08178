"""FlexiQ on SQLite, whose scheduler is written in Rust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flexiq import Queue as FlexiqApp  # type: ignore[import-not-found]

from benchmarks.queues.queue import FOLDER, FUNCTIONS, Queue, program

if TYPE_CHECKING:
    from collections.abc import Sequence

app = FlexiqApp(
    db_path=str(FOLDER / "flexiq.db"),
    workers=2,
    # As they come, it looks every 50 ms and takes one job at a time.
    scheduler_poll_interval_ms=5,
    scheduler_batch_size=64,
)

_TASKS: Final[dict[str, Any]] = {
    name: app.task(name=name)(function) for name, function in FUNCTIONS.items()
}


class FlexiqQueue(Queue[Any]):
    """Jobs that have completed are counted, not looked up."""

    has_bulk = True

    def __init__(self) -> None:
        self._completed_before = 0

    def workers(self) -> list[list[str]]:
        """One scheduler; its workers are processes."""
        return [[program("flexiq"), "worker", "--app", f"{__name__}:app", "--pool", "prefork"]]

    def start_counting(self) -> None:
        """Jobs that have completed are kept."""
        self._completed_before = self._completed()

    def submit(self, function: str) -> Any:
        """What ``delay`` does."""
        return _TASKS[function].delay()

    def submit_many(self, function: str, count: int) -> list[Any]:
        """In one request."""
        jobs: list[Any] = _TASKS[function].map([()] * count)
        return jobs

    def ended(self, jobs: Sequence[Any]) -> int:
        """Those that others have left are known."""
        return min(self._completed() - self._completed_before, len(jobs))

    def have_ended(self, jobs: Sequence[Any]) -> bool:
        """One request says it."""
        return self.ended(jobs) == len(jobs)

    @staticmethod
    def _completed() -> int:
        completed: int = app.stats()["completed"]
        return completed

    def result(self, job: Any, limit_s: float) -> int:
        """It polls, by default less and less often."""
        stamp: int = job.result(timeout=limit_s, poll_interval=0.001, max_poll_interval=0.001)
        return stamp


queue = FlexiqQueue()
