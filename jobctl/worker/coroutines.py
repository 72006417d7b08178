"""The worker of many jobs: coroutine functions, side by side on one loop (``pool = "async"``).

It is a function worker in all that concerns the daemon: batches, tickets, marks, outcomes, records
(`jobctl.worker.functions`). Only the making differs. A job begins as soon as it has a ticket, in a slot of
its own; ends come in any order, and those of one turn of the loop go to the daemon in one message.

Stopping a job, at its limit or on request, is `asyncio.Task.cancel`: it may clean up, and what it comes to
then does not matter, since somebody else has decided. Code that does not let itself be cancelled cannot be
ended without its process. After `CANCEL_S` the worker says that it is worn, so that another one takes its
place, and the other jobs have `DRAIN_S` to come to their end; then the process is ended: by its template,
if it was a limit (`jobctl.worker.limits`, the deadline in the begin mark is that later one), else by the
daemon.

A coroutine that computes, or waits without ``await``, holds up all the others. Whose code runs is noted
before each of its steps (`jobctl.worker.marks.Marks.step`), so that others can see it while it happens, and
a step that took long is told to the daemon afterwards. Known are the steps of the job's own coroutine; what
tasks do that it has started, and the callbacks of libraries, is nobody's.

With ``pool = "threads"`` a job is a plain function in a thread (`ThreadWorker`), and the loop only waits for
it. Nobody can end a thread: one that is to be stopped is waited for as a coroutine that does not let itself
be cancelled.

A fork of user code is a copy of the loop with all its jobs: it must not go on with any of them. It ends
where the step ends in which it was made, or begins another.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from jobctl import reports
from jobctl.protocol.compact import dumps
from jobctl.raised import SoftTimeout
from jobctl.worker import streams
from jobctl.worker.calls import FORMS, acall_as_asked, call_as_asked
from jobctl.worker.functions import (
    LONG_RESULT_BYTES,
    Function,
    FunctionWorker,
    Unacked,
    failed,
    outcome_json,
    quote,
    without_result,
    write_result,
)
from jobctl.worker.limits import CANCEL_S, HARD_S, deadline_us, set_alarm
from jobctl.worker.marks import RESULT_BYTES, SLOT_BYTES
from jobctl.worker.printed import Ends

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping

    from jobctl.worker.instance import Instance

BLOCKED_US: Final = 250_000
"""A step that took longer than this is told: so long nobody else's code ran."""

_WORDS: Final = {
    "timeout": ("Timeout", "stopped at its time limit"),
    "cancelled": ("Cancelled", "stopped on request"),
}


class CoroutineWorker(FunctionWorker):
    """One worker; `run` ends when it is retired or of no use to anybody."""

    def __init__(
        self,
        instance: Instance,
        outcomes_dir: str,
        functions: dict[str, Function],
        *,
        patience_s: float,
        max_memory_bytes: int,
        concurrency: int,
    ) -> None:
        # Those that have ended keep theirs until they are acknowledged. The first slot is for steps.
        slots = 1 + 2 * concurrency
        super().__init__(
            instance,
            outcomes_dir,
            functions,
            patience_s=patience_s,
            max_memory_bytes=max_memory_bytes,
            slots=slots,
        )
        self._free = list(range(SLOT_BYTES, slots * SLOT_BYTES, SLOT_BYTES))
        self._slot_of: dict[int, int] = {}
        self._running: dict[int, Running] = {}
        self._alarm_at = 0
        self._loop = asyncio.new_event_loop()
        self._context = contextvars.copy_context()
        self._awaits_tickets = False
        self._is_turn_due = False
        self._is_over = False
        self._patience: asyncio.TimerHandle | None = None

    def run(self) -> None:
        """Serve until retired, or idle without a daemon for long."""
        streams.install()
        asyncio.set_event_loop(self._loop)
        self._watch(self._instance.listener.fileno())
        self._end_turn_soon()
        while not self._is_over:
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # Raised by a task or a callback of user code; asyncio lets it through.
                self._leave_if_fork()

    # -- the loop ---------------------------------------------------------------------------------

    def _watch(self, fd: int) -> None:
        self._loop.add_reader(fd, self._ready, fd)

    def _unwatch(self, fd: int) -> None:
        self._loop.remove_reader(fd)

    def _ready(self, fd: int) -> None:
        self._leave_if_fork()
        if self._channel is not None and fd == self._channel.fd:
            self._obey()
        elif fd == self._instance.listener.fileno():
            self._meet_daemon()
        self._begin_waiting()
        self._end_turn_soon()

    def _end_turn_soon(self) -> None:
        """All that happens in this turn of the loop shall be told, and looked at, together."""
        if not self._is_turn_due:
            self._is_turn_due = True
            self._loop.call_soon(self._end_turn, context=self._context)

    def _end_turn(self) -> None:
        self._leave_if_fork()
        self._is_turn_due = False
        self._flush()
        if self._is_disturbed and not self._running:
            # What one of them has left behind can only be put back when it is nobody's surroundings.
            self._surroundings.restore()
            streams.install()
            self._tidy_up()
        self._weigh()
        if not self._running:
            self._consider_leaving()
        self._mind_absence()

    def _consider_leaving(self) -> None:
        is_alone = self._is_deaf and self._channel is None
        if (self._is_retiring or is_alone) and not self._waiting and not self._unacked:
            self._leave()
        elif self._absence.is_over_long:
            self._record_all()
            if self._unacked:
                self._absence.begin()
            else:
                self._leave()

    def _leave(self) -> None:
        self._is_over = True
        self._loop.stop()

    def _mind_absence(self) -> None:
        """Look around again when patience with a daemon that does not come is over."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        deadline = self._absence.deadline
        if deadline is not None and not self._running:
            self._patience = self._loop.call_at(deadline, self._end_turn_soon)

    def _leave_if_fork(self) -> None:
        """This process is a copy of the worker that user code has made: no job of the worker is its own."""
        if self._is_fork:
            os._exit(0)

    # -- the daemon -------------------------------------------------------------------------------

    def _running_tokens(self) -> list[int]:
        return list(self._running)

    def _lose_daemon(self) -> None:
        super()._lose_daemon()
        # With poll(2) a listener that user code has closed announces itself, with a loop it does not.
        self._check_listener()

    def _forget(self, tokens: list[int]) -> None:
        super()._forget(tokens)
        self._free_slots(tokens)

    def _record_all(self) -> None:
        held = list(self._unacked)
        super()._record_all()
        self._free_slots([token for token in held if token not in self._unacked])

    def _free_slots(self, tokens: list[int]) -> None:
        for token in tokens:
            slot = self._slot_of.pop(token, None)
            if slot is not None:
                self._free.append(slot)

    # -- many jobs --------------------------------------------------------------------------------

    def _begin_waiting(self) -> None:
        """Begin as many as have tickets and slots."""
        count = min(len(self._waiting), len(self._free))
        if count:
            try:
                count = len(os.read(self._tickets, count))
            except BlockingIOError:
                count = 0
            for _ in range(count):
                self._begin(self._waiting.popleft())
        awaits_tickets = bool(self._waiting and self._free)
        if awaits_tickets is not self._awaits_tickets:
            self._awaits_tickets = awaits_tickets
            (self._watch if awaits_tickets else self._unwatch)(self._tickets)

    def _begin(self, job: list[Any]) -> None:
        token, job_id, _, limit_us, soft_us, _ = job
        self._made += 1
        self._is_disturbed = True
        deadline = deadline_us(limit_us + int(HARD_S * 1e6)) if limit_us else 0
        running = Running(job, self._free.pop(), time.time_ns() // 1000, deadline)
        self._slot_of[token] = running.slot
        self._running[token] = running
        self._marks.begin_in(running.slot, token, job_id, running.begun_at, deadline)
        context = self._context.copy()
        context.run(streams.current.set, running.printed)
        context.run(_current.set, running)
        running.task = self._loop.create_task(self._make_one(running), context=context)
        running.task.add_done_callback(lambda _: self._end_unmade(running), context=self._context)
        if limit_us:
            self._set_alarm(deadline)
            running.timer = self._loop.call_later(
                min(limit_us / 1e6, _LONGEST_S), self._stop, token, "timeout", context=self._context
            )

        if soft_us:
            running.soft_timer = self._loop.call_later(
                min(soft_us / 1e6, _LONGEST_S),
                self._tell_soft_limit,
                running,
                context=self._context,
            )

    def _set_alarm(self, deadline: int) -> None:
        """Let the template look when the first of the deadlines is over.

        It sets the timer anew by itself when that is another's by then, so it is never stopped here.
        """
        if self._alarm_at <= time.monotonic_ns() // 1000:
            deadline = min(r.deadline for r in self._running.values() if r.deadline)
        elif deadline >= self._alarm_at:
            return
        self._alarm_at = deadline
        set_alarm(self._instance.timer, deadline)

    async def _make_one(self, running: Running) -> None:
        """Make one attempt: from its first step to its end mark."""
        _, _, task, _, _, payload = running.job
        try:
            function = self._functions[task]
            if FORMS.isdisjoint(payload):
                call: Callable[[], Any] = partial(
                    function, *payload.get("args", ()), **payload.get("kwargs", {})
                )
            else:
                call = self._asked(function, payload)
            value = await self._call(running, call)
        except BaseException as error:  # noqa: BLE001 -- whatever user code raises is its outcome
            self._leave_if_fork()
            if not running.verdict:
                running.failure = failed(error, is_loaded=task in self._functions, task=task)
            value = None
        try:
            result = "" if running.verdict or running.failure else write_result(value)
        except BaseException as error:  # noqa: BLE001 -- a value may be an object with code of its own
            running.failure = without_result(error)
            result = ""
        self._end_one(running, result)

    def _asked(self, function: Function, payload: Mapping[str, Any]) -> Callable[[], Any]:
        return partial(acall_as_asked, function, payload)

    async def _call(self, running: Running, call: Callable[[], Any]) -> Any:
        """What the function gives or raises."""
        value = call()
        if inspect.isawaitable(value):
            value = await _Steps(self, running, _wait_for(value))
        return value

    def _interrupt(self, running: Running) -> None:
        """Let it know that it shall end."""
        assert running.task is not None
        running.task.cancel()

    def _end_unmade(self, running: Running) -> None:
        """A task that is cancelled before its first step makes none, so nobody has told its end."""
        if running.job[0] in self._running:
            running.verdict = running.verdict or (
                "timeout" if running.is_told_soft else "cancelled"
            )
            self._end_one(running, "")

    def _stop(self, token: int, verdict: str) -> None:
        """Cancel a job; from now on its outcome is ``verdict``, whatever it comes to."""
        running = self._running.get(token)
        if running is None or running.verdict:
            return
        running.verdict = verdict
        running.is_told_soft = False
        self._interrupt(running)
        running.disarm()
        running.timer = self._loop.call_later(
            CANCEL_S, self._give_up_on, running, context=self._context
        )

    def _tell_soft_limit(self, running: Running) -> None:
        """Let its coroutine raise SoftTimeout where it awaits, once.

        Only what it awaits is cancelled; `_Steps` makes of that what the coroutine shall see.
        """
        running.soft_timer = None
        if running.verdict or running.task is None or running.task.done():
            return
        running.is_told_soft = True
        running.task.cancel()

    def _give_up_on(self, running: Running) -> None:
        """It does not let itself be cancelled: whoever waits for a worker shall have another one."""
        running.timer = None
        if self._channel is not None:
            self._channel.send({"is": "worn", "stubborn_job": running.job[1]})

    def _report(self, text: str) -> None:
        """The job of this context says how far it has come; nobody else, and nobody after its end."""
        running = _current.get()
        if self._is_fork or running is None or running.job[0] not in self._running:
            return
        running.reported = reports.path_of(self._instance.directory, running.job[0])
        reports.write(running.reported, text)

    def _current_job(self) -> list[Any] | None:
        running = _current.get()
        return None if running is None else running.job

    def _end_one(self, running: Running, result: str) -> None:
        token, job_id, *_ = running.job
        del self._running[token]
        running.disarm()
        if running.reported:
            reports.remove(running.reported)
        ended_at = time.time_ns() // 1000
        kept, total = running.printed.take()
        data = result.encode()
        is_compact = bool(result) and not total
        is_recorded = not is_compact or len(data) > RESULT_BYTES
        outcome = outcome_json(running.job, running.begun_at, ended_at, running.end(result))
        if total:
            outcome["output"] = kept.decode("latin-1")
            outcome["output_bytes"] = total
        if is_recorded:
            # The record first, then the mark, then the message: one of them is always there.
            self._write_record(token, dumps(outcome))
            self._marks.end_recorded(running.slot, ended_at)
        else:
            self._marks.end(running.slot, ended_at, data)
        text = (
            f"[{token},{job_id},{running.begun_at},{ended_at},{quote(result)}]"
            if is_compact
            else dumps(outcome)
        )
        self._unacked[token] = Unacked(text, is_compact=is_compact, is_recorded=is_recorded)
        self._unsent.append(token)
        if len(data) >= LONG_RESULT_BYTES:
            self._flush()
        self._end_turn_soon()

    # -- steps ------------------------------------------------------------------------------------

    def begin_step(self, running: Running) -> int:
        """Its code runs from now on; gives back now, in microseconds of the monotonic clock."""
        self._leave_if_fork()
        now = time.monotonic_ns() // 1000
        self._marks.step(running.job[1], now)
        return now

    def end_step(self, running: Running, begun: int) -> None:
        """It waits, or has ended: another's code may run."""
        self._leave_if_fork()
        self._marks.step(0, 0)
        spent_us = time.monotonic_ns() // 1000 - begun
        if spent_us > BLOCKED_US and not running.is_told and self._channel is not None:
            running.is_told = True
            _, job_id, task, *_ = running.job
            self._channel.send({"is": "blocked", "job_id": job_id, "task": task, "us": spent_us})


class ThreadWorker(CoroutineWorker):
    """The same with a thread for each job: for plain functions that wait for others."""

    def __init__(self, *args: Any, concurrency: int, **options: Any) -> None:
        super().__init__(*args, concurrency=concurrency, **options)
        # A thread is there for each that has begun: none ever waits for one.
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="job")

    def _asked(self, function: Function, payload: Mapping[str, Any]) -> Callable[[], Any]:
        return partial(call_as_asked, function, payload, asyncio.run)

    async def _call(self, running: Running, call: Callable[[], Any]) -> Any:
        context = contextvars.copy_context()
        ended = self._loop.run_in_executor(self._threads, context.run, self._call_here, call)
        value, error = await ended
        if error is not None:
            # Raised in a coroutine, a StopIteration would become something else.
            running.failure = failed(error, is_loaded=True, task=running.job[2])
        return value

    def _call_here(self, call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
        """In the thread: what the function gives, and what it raises."""
        error: BaseException | None = None
        value = None
        try:
            value = call()
            if type(value) is CoroutineType:
                value = asyncio.run(value)
        except BaseException as raised:  # noqa: BLE001 -- whatever user code raises is its outcome
            error = raised
        self._leave_if_fork()
        return value, error

    def _interrupt(self, running: Running) -> None:
        """Nobody can: it ends by itself, or with its worker."""


_LONGEST_S: Final = 10.0 * 365 * 86_400
"""A loop computes with seconds; a limit that is longer is none."""


class Running:
    """One job that has begun.

    ``verdict`` is what somebody has asked for, empty when nobody has; ``failure`` the parts of its outcome
    when it has not returned by itself.
    """

    __slots__ = (
        "begun_at",
        "deadline",
        "failure",
        "is_told",
        "is_told_soft",
        "job",
        "printed",
        "reported",
        "slot",
        "soft_timer",
        "task",
        "timer",
        "verdict",
    )

    def __init__(self, job: list[Any], slot: int, begun_at: int, deadline: int) -> None:
        self.job = job
        self.slot = slot
        self.begun_at = begun_at
        self.deadline = deadline
        self.verdict = ""
        self.failure: dict[str, Any] | None = None
        self.is_told = False
        self.printed = Ends()
        self.reported = ""
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.soft_timer: asyncio.TimerHandle | None = None
        self.is_told_soft = False

    def disarm(self) -> None:
        """Nothing is to happen by itself any more."""
        for timer in (self.timer, self.soft_timer):
            if timer is not None:
                timer.cancel()
        self.timer = self.soft_timer = None

    def what_is_thrown(self, error: BaseException) -> BaseException:
        """What the coroutine shall see of what the loop throws at it."""
        if not (self.is_told_soft and isinstance(error, asyncio.CancelledError)):
            return error
        self.is_told_soft = False
        assert self.task is not None
        self.task.uncancel()
        return SoftTimeout("the soft time limit of this attempt is over")

    def end(self, result: str) -> dict[str, Any]:
        """How it ended, as parts of an outcome."""
        if self.verdict:
            kind, message = _WORDS.get(self.verdict, (self.verdict.capitalize(), "stopped"))
            described = {"type": kind, "message": message, "traceback": ""}
            return {"verdict": self.verdict, "error": dumps(described)}
        if self.failure is not None:
            return self.failure
        return {"verdict": "success", "result": result}


_current: Final[contextvars.ContextVar[Running | None]] = contextvars.ContextVar(
    "jobctl_running", default=None
)
"""The job of this context; None outside of jobs."""


class _Steps:
    """Awaits for a job, and says before and after each step whose code runs."""

    __slots__ = ("_coroutine", "_running", "_worker")

    def __init__(
        self, worker: CoroutineWorker, running: Running, coroutine: Coroutine[Any, Any, Any]
    ) -> None:
        self._worker = worker
        self._running = running
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, None, Any]:
        worker, running = self._worker, self._running
        steps = self._coroutine
        thrown: BaseException | None = None
        while True:
            begun = worker.begin_step(running)
            try:
                # A loop sends nothing but None; what it throws goes to whoever waits innermost.
                awaited = steps.send(None) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                return end.value
            finally:
                thrown = None
                worker.end_step(running, begun)
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 -- handed on
                thrown = running.what_is_thrown(error)


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    """Any awaitable as a coroutine, which alone can be sent and thrown to."""
    return await awaitable
