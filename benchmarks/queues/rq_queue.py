"""RQ, with the worker that does not fork for each job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rq import Queue as RqQueue  # type: ignore[import-not-found]
from rq.registry import FinishedJobRegistry  # type: ignore[import-not-found]

from benchmarks.queues import redis_keys
from benchmarks.queues.queue import FUNCTIONS, NAME, Queue, program

if TYPE_CHECKING:
    from collections.abc import Sequence

_redis = redis_keys.connect()
_queue = RqQueue(NAME, connection=_redis)
_finished = FinishedJobRegistry(NAME, connection=_redis)
_PART: Final = 1_000


class RQueue(Queue[Any]):
    """Its keys begin with a name that is the same for everybody; ours are in their middle."""

    has_bulk = True

    def __init__(self) -> None:
        self._finished_before = 0
        self._submitted = 0

    def workers(self) -> list[list[str]]:
        """One pool with two workers."""
        options = ["-n", "2", "-w", "rq.worker.SimpleWorker", "-q", "-u", redis_keys.URL]
        return [[program("rq"), "worker-pool", *options, NAME]]

    def start_counting(self) -> None:
        """Jobs that have finished are kept for a while."""
        self._finished_before = self._finished()

    def submit(self, function: str) -> Any:
        """One ``enqueue``."""
        return _queue.enqueue(FUNCTIONS[function], job_id=self._new_id())

    def submit_many(self, function: str, count: int) -> list[Any]:
        """In pipelines."""
        jobs: list[Any] = []
        while len(jobs) < count:
            size = min(_PART, count - len(jobs))
            data = [
                RqQueue.prepare_data(FUNCTIONS[function], job_id=self._new_id())
                for _ in range(size)
            ]
            jobs += _queue.enqueue_many(data)
        return jobs

    def _new_id(self) -> str:
        self._submitted += 1
        return f"{NAME}-{id(self)}-{self._submitted}"

    def ended(self, jobs: Sequence[Any]) -> int:
        """A registry holds those that ended well."""
        return min(self._finished() - self._finished_before, len(jobs))

    def have_ended(self, jobs: Sequence[Any]) -> bool:
        """One request says it."""
        return self.ended(jobs) == len(jobs)

    @staticmethod
    def _finished() -> int:
        count: int = _finished.get_job_count(cleanup=False)
        return count

    def result(self, job: Any, limit_s: float) -> int:
        """It is told, it does not poll."""
        stamp: int = job.latest_result(timeout=int(limit_s)).return_value
        return stamp

    def clean(self) -> None:
        """The keys, and the names in those that are everybody's."""
        # That of a worker which has ended stays for a minute.
        for key in _redis.scan_iter(match="rq:worker:*"):
            if _redis.hget(key, "queues") == NAME.encode():
                _redis.srem("rq:workers", key)
                _redis.delete(key, key.replace(b"rq:worker:", b"rq:scheduler:"))
        _redis.srem("rq:queues", _queue.key)
        redis_keys.remove(f"rq:*{NAME}*")


queue = RQueue()
