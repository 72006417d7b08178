"""Dramatiq on Redis, its results too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import dramatiq  # type: ignore[import-not-found]
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]
from dramatiq.results import Results  # type: ignore[import-not-found]
from dramatiq.results.backends import RedisBackend  # type: ignore[import-not-found]

from benchmarks.queues import redis_keys
from benchmarks.queues.queue import FUNCTIONS, NAME, Queue, program

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Backend(RedisBackend):  # type: ignore[misc]
    def build_message_key(self, message: Any) -> str:
        """It would be a digest, and nobody could tell whose it is."""
        return f"{NAME}:result:{message.message_id}"


_backend = _Backend(url=redis_keys.URL)
broker = RedisBroker(url=redis_keys.URL, namespace=NAME)
broker.add_middleware(Results(backend=_backend, store_results=True))
dramatiq.set_broker(broker)

_ACTORS: Final[dict[str, Any]] = {
    name: dramatiq.actor(function, actor_name=name, queue_name=NAME)
    for name, function in FUNCTIONS.items()
}


class DramatiqQueue(Queue[Any]):
    """Its workers are threads; one in each process suffices for functions that do not wait."""

    def workers(self) -> list[list[str]]:
        """One parent of two processes."""
        options = ["-p", "2", "-t", "1", "--skip-logging"]
        return [[program("dramatiq"), f"{__name__}:broker", *options]]

    def submit(self, function: str) -> Any:
        """One ``send``."""
        return _ACTORS[function].send()

    def ended(self, jobs: Sequence[Any]) -> int:
        """By their results."""
        keys = [_backend.build_message_key(job) for job in jobs]
        return redis_keys.count_existing(_backend.client, keys)

    def result(self, job: Any, limit_s: float) -> int:
        """It is told, it does not poll."""
        stamp: int = job.get_result(backend=_backend, block=True, timeout=int(limit_s * 1000))
        return stamp

    def clean(self) -> None:
        """All keys begin with the name."""
        redis_keys.remove()


queue = DramatiqQueue()
