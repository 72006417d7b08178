"""taskiq on a list of Redis, its results too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from taskiq_redis import (  # type: ignore[import-not-found]
    ListQueueBroker,
    RedisAsyncResultBackend,
)

from benchmarks.naps import nap
from benchmarks.queues import redis_keys
from benchmarks.queues.queue import FUNCTIONS, NAME, Queue, program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_backend = RedisAsyncResultBackend(redis_keys.URL, prefix_str=NAME)
broker = ListQueueBroker(redis_keys.URL, queue_name=NAME).with_result_backend(_backend)
_redis = redis_keys.connect()


def _coroutine(function: Callable[[], Any]) -> Callable[[], Any]:
    # It would call a plain function in a thread, which costs more.
    async def call() -> Any:
        return function()

    return call


_TASKS: Final[dict[str, Any]] = {
    name: broker.register_task(_coroutine(function), task_name=name)
    for name, function in FUNCTIONS.items()
}
_TASKS["nap"] = broker.register_task(nap, task_name="nap")


class TaskiqQueue(Queue[Any]):
    """It is for coroutines; a loop of this process calls them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def workers(self) -> list[list[str]]:
        """One parent of two processes."""
        return [self._worker("--workers", "2")]

    def nappers(self, count: int) -> list[list[str]]:
        """One parent of one process."""
        return [self._worker("--workers", "1", "--max-async-tasks", str(count))]

    @staticmethod
    def _worker(*options: str) -> list[str]:
        worker = [program("taskiq"), "worker", "--log-level", "ERROR"]
        return [*worker, *options, f"{__name__}:broker"]

    def submit(self, function: str) -> Any:
        """One ``kiq``."""
        return self._loop.run_until_complete(_TASKS[function].kiq())

    def submit_many(self, function: str, count: int) -> list[Any]:
        """One after the other, in one run of the loop."""

        async def submit() -> list[Any]:
            return [await _TASKS[function].kiq() for _ in range(count)]

        return self._loop.run_until_complete(submit())

    def ended(self, jobs: Sequence[Any]) -> int:
        """By their results."""
        return redis_keys.count_existing(_redis, [f"{NAME}:{job.task_id}" for job in jobs])

    def result(self, job: Any, limit_s: float) -> int:
        """It polls."""
        found = job.wait_result(check_interval=0.001, timeout=limit_s)
        stamp: int = self._loop.run_until_complete(found).return_value
        return stamp

    def clean(self) -> None:
        """All keys begin with the name."""
        redis_keys.remove()


queue = TaskiqQueue()
