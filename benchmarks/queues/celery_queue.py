"""Celery: ``BENCH_VARIANT`` is its broker, ``redis`` or ``rabbitmq``, with ``-late`` after it for late
acknowledgement."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from celery import Celery

from benchmarks.naps import NAP_S
from benchmarks.queues import redis_keys
from benchmarks.queues.queue import FUNCTIONS, NAME, Queue, program
from benchmarks.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery.result import AsyncResult

_BROKER, _, _VARIANT = os.environ["BENCH_VARIANT"].partition("-")
_PREFIX: Final = {"global_keyprefix": f"{NAME}:"}

_URL: Final = redis_keys.URL if _BROKER == "redis" else os.environ["BENCH_AMQP_URL"]

# In RabbitMQ results are messages too.
app = Celery(
    "benchmarks.queues.celery_queue",
    broker=_URL,
    backend=_URL if _BROKER == "redis" else "rpc://",
)
app.conf.task_default_queue = NAME
# What its manual advises for many short tasks; the default is 4.
app.conf.worker_prefetch_multiplier = 64
# These declare exchanges that would stay behind on the server.
app.conf.worker_enable_remote_control = False
app.conf.event_exchange = NAME
if _BROKER == "redis":
    app.conf.broker_transport_options = app.conf.result_backend_transport_options = _PREFIX
else:
    # So long the queue of results outlives a driver that was killed.
    app.conf.result_expires = 600
if _VARIANT == "late":
    app.conf.task_acks_late = app.conf.task_reject_on_worker_lost = True

_TASKS: Final[dict[str, Any]] = {
    name: app.task(name=name)(function) for name, function in FUNCTIONS.items()
}


def _nap() -> None:
    # In a greenlet to sleep is to let others run.
    pause(NAP_S)


_TASKS["nap"] = app.task(name="nap")(_nap)


class CeleryQueue(Queue[Any]):
    """Without what serves several hosts only: gossip, mingle, heartbeats."""

    def __init__(self) -> None:
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self._worker = [program("celery"), "-A", __name__, "worker", "-l", "ERROR", *alone]
        self._results_before = 0

    def workers(self) -> list[list[str]]:
        """One worker; its pool has two processes."""
        return [[*self._worker, "-c", "2"]]

    def nappers(self, count: int) -> list[list[str]]:
        """Greenlets in one process."""
        return [[*self._worker, "-P", "gevent", "-c", str(count)]]

    def submit(self, function: str) -> AsyncResult[Any]:
        """What ``delay`` does."""
        job: AsyncResult[Any] = _TASKS[function].delay()
        return job

    def start_counting(self) -> None:
        """Results that nobody has fetched stay."""
        if _BROKER != "redis":
            self._results_before = self._waiting_results()

    def ended(self, jobs: Sequence[Any]) -> int:
        """By their results: keys in Redis, messages in a queue of this process in RabbitMQ."""
        backend: Any = app.backend
        if _BROKER == "redis":
            keys = [backend.get_key_for_task(job.id) for job in jobs]
            return redis_keys.count_existing(backend.client, keys)
        return min(self._waiting_results() - self._results_before, len(jobs))

    def have_ended(self, jobs: Sequence[Any]) -> bool:
        """In RabbitMQ one request says it."""
        if _BROKER == "redis":
            return super().have_ended(jobs)
        return self.ended(jobs) == len(jobs)

    def failed(self, jobs: Sequence[Any]) -> int:
        """Of a worker that was killed it says so."""
        return sum(job.failed() for job in jobs)

    def result(self, job: Any, limit_s: float) -> int:
        """It is told, it does not poll."""
        stamp: int = job.get(timeout=limit_s)
        return stamp

    def close(self) -> None:
        """The queue of results is this process's own."""
        if _BROKER != "redis":
            backend: Any = app.backend
            with app.connection_for_write() as connection:
                channel: Any = connection.default_channel
                channel.queue_delete(backend.oid)

    def clean(self) -> None:
        """Keys, or the queues and what routes messages to them."""
        if _BROKER == "redis":
            redis_keys.remove()
            return
        with app.connection_for_write() as connection:
            channel: Any = connection.default_channel
            channel.queue_delete(NAME)
            channel.exchange_delete(NAME)

    @staticmethod
    def _waiting_results() -> int:
        backend: Any = app.backend
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            # As the first submit declares it.
            waiting: int = backend.binding(channel).queue_declare(channel=channel)[1]
            return waiting


queue = CeleryQueue()
