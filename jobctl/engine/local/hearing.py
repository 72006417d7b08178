"""What workers and keepers say, and what follows from it.

A new daemon hears a worker in a fixed order: hello with what it is working on, the outcomes that nobody
has acknowledged, then ``settled``. What it has named in none of them was never begun, or has left its
outcome as a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.clock import SECOND
from jobctl.engine.base import Settled
from jobctl.engine.local import burial, messages
from jobctl.logs import fields, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobctl.engine.local.house import House
    from jobctl.engine.local.worker import Worker


class Hearing:
    """See the module.

    ``on_output`` is called when a followed command has written, as
    `jobctl.engine.local.engine.LocalEngine.on_output` says; ``on_idle`` when a keeper has nothing to do
    any more; ``on_serving`` when a worker takes work from now on; ``on_worn`` when one asks to be replaced.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self.on_output: Callable[[int, Mapping[str, int]], None] = lambda _token, _lengths: None
        self.on_idle: Callable[[Worker], None] = lambda _worker: None
        self.on_serving: Callable[[Worker], None] = lambda _worker: None
        self.on_worn: Callable[[Worker], None] = lambda _worker: None

    def hear(self, worker: Worker, message: dict[str, Any]) -> None:
        """Take one message. Raises ProtocolError: it cannot be understood."""
        match messages.text(message, "is"):
            case "hello":
                self._hello(worker, messages.worker_hello(message))
            case "settled":
                self._settled(worker)
            case "outcomes":
                outcomes = worker.take_outcomes(message, self._house.clock.monotonic())
                self._house.outbox.emit(outcomes)
            case "forgot":
                worker.is_forgetting = False
            case "clear":
                worker.has_leftovers = False
                self.on_idle(worker)
            case "wrote":
                self.on_output(messages.number(message, "token"), messages.lengths(message))
            case "paused":
                worker.answer_pause(
                    messages.number(message, "token"), messages.text(message, "error")
                )
            case "worn":
                self._worn(worker, message)
            case "blocked":
                logger.warning(
                    "a coroutine held up every other job of its worker",
                    extra=fields(
                        job=messages.number(message, "job_id"),
                        task=messages.text(message, "task"),
                        seconds=round(messages.number(message, "us") / SECOND, 3),
                        pid=worker.pid,
                        group=worker.group,
                    ),
                )
            case unknown:
                logger.warning("a worker says what is not known", extra=fields(kind=unknown))

    def _worn(self, worker: Worker, message: dict[str, Any]) -> None:
        about: dict[str, Any] = {"pid": worker.pid, "group": worker.group}
        if "stubborn_job" in message:
            about["job"] = messages.number(message, "stubborn_job")
            logger.warning(
                "a job does not let itself be cancelled; its worker is replaced",
                extra=fields(**about),
            )
        else:
            about["resident_bytes"] = messages.number(message, "resident_bytes")
            logger.info(
                "a worker has grown beyond max_memory_per_child and is replaced",
                extra=fields(**about),
            )
        self.on_worn(worker)

    def _hello(self, worker: Worker, hello: messages.WorkerHello) -> None:
        if hello.protocol is None:
            # It finishes what it has, leaves records, and goes.
            logger.warning(
                "a worker of another version is left to finish", extra=fields(pid=worker.pid)
            )
            worker.is_retiring = True
            return
        worker.has_leftovers = hello.has_leftovers
        worker.made = max(worker.made, hello.made)
        worker.is_forgetting = False
        for token in hello.running & worker.stopping.keys() & worker.attempts.keys():
            # Asked for before it could be heard, perhaps by a daemon that is dead.
            worker.stop(token, worker.stopping[token], worker.attempts[token].stop)
        worker.not_running = [token for token in worker.attempts if token not in hello.running]

    def _settled(self, worker: Worker) -> None:
        """It has said all it knows."""
        outbox = self._house.outbox
        now = self._house.clock.now()
        outcomes = []
        for token in worker.not_running:
            attempt = worker.attempts.get(token)
            if attempt is not None and not outbox.has(token):
                record = outbox.read_record(worker.directory.parent / "outcomes", token)
                outcomes.append(record or burial.released(attempt, now))
        worker.not_running = []
        outbox.emit(Settled(worker.instance, (), outcomes))
        try:
            worker.serve()
        except OSError as error:
            logger.error("a worker's tickets cannot be opened", extra=fields(reason=str(error)))
            worker.retire()
            return
        self.on_serving(worker)
        if worker.kind == "keeper" and not worker.attempts:
            self.on_idle(worker)
