"""The function worker: Python functions, one at a time, in batches.

A coroutine function is run to its end in a loop of its own, as `asyncio.run` does; many of them side by side
are the work of `jobctl.worker.coroutines`, which is this worker with another way to make jobs.

A batch is handed over as one message, but each job in it is *begun* only with a ticket: a byte in a
named pipe that the daemon fills and the worker empties. Reading a pipe is atomic, so a job is either
begun by the worker or taken back by the daemon, never both, and the daemon can take back what waits
behind a long job although the worker is busy in user code and reads no messages.

An outcome is safe from the moment of its end mark (see `jobctl.worker.marks`): a worker that is killed
a moment later loses nothing that had ended.
"""

from __future__ import annotations

import _socket
import json
import os
import re
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from resource import RUSAGE_SELF, getpagesize, getrusage
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl import current, reports
from jobctl.protocol.compact import dumps
from jobctl.raised import Ignore, Reject, Retry, SoftTimeout, kinds_of, name_of
from jobctl.worker import signals
from jobctl.worker.absence import Absence
from jobctl.worker.calls import FORMS as _FORMS
from jobctl.worker.calls import call_as_asked
from jobctl.worker.channel import Channel, accept, common_protocol
from jobctl.worker.limits import SoftLimit, deadline_us, set_alarm
from jobctl.worker.marks import RESULT_BYTES, SLOTS, TICKETS, Marks
from jobctl.worker.printed import Printed
from jobctl.worker.record import drop_record, write_record
from jobctl.worker.surroundings import Surroundings

if TYPE_CHECKING:
    from jobctl.worker.instance import Instance

_HERE = tuple(f"{os.path.dirname(os.path.dirname(__file__))}/{part}/" for part in ("worker", "api"))
"""Frames of what lies here are left out of tracebacks: user code is called from here."""

_FLUSH_NS = 5_000_000
_TEXT_LIMIT = 65_536
_MEASURED_US = 1000
"""A function that returns sooner is told in the compact form, without its processor time."""
_DEEPEST_RESULT = 100
_RESULT_LIMIT_BYTES = 16 << 20
"""Longest result as JSON, as long as a request may be: it goes to whoever waits in one piece."""

LONG_RESULT_BYTES = 1 << 20
"""A result from this length on is sent by itself: together, several would be no message any more."""

_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_STRINGS = re.compile(rb'"[^"]*"')
quote = json.encoder.encode_basestring_ascii

Function = Callable[..., Any]


class Unacked(NamedTuple):
    """An outcome that the daemon has not acknowledged: its part of a message, in either form, and
    whether a record of it lies on disk already."""

    text: str
    is_compact: bool
    is_recorded: bool


class FunctionWorker:
    """One worker; `run` ends when it is retired or of no use to anybody."""

    def __init__(
        self,
        instance: Instance,
        outcomes_dir: str,
        functions: dict[str, Function],
        *,
        patience_s: float,
        max_memory_bytes: int = 0,
        slots: int = SLOTS,
    ) -> None:
        self._instance = instance
        self._absence = Absence(instance, patience_s)
        self._outcomes_dir = outcomes_dir
        self._functions = functions
        self._channel: Channel | None = None
        self._max_memory_bytes = max_memory_bytes
        self._has_said_worn = False
        self._marks = Marks(instance.directory, slots=slots)
        tickets = f"{instance.directory}/{TICKETS}"
        os.mkfifo(tickets, 0o600)
        # Open for both directions, so that it never ends while the daemon is away.
        self._tickets = os.open(tickets, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._waiting: deque[list[Any]] = deque()
        self._unacked: dict[int, Unacked] = {}
        self._usage = getrusage(RUSAGE_SELF)
        self._short_us = 0
        self._unsent: list[int] = []
        self._flushed_ns = 0
        self._is_retiring = False
        self._is_fork = False
        self._is_deaf = False
        self._made = 0
        assert instance.pipes is not None
        self._printed = Printed(instance.pipes)
        # Before the surroundings are looked at: its handler is one of them.
        self._soft_limit = SoftLimit()
        self._surroundings = Surroundings()
        self._is_disturbed = False
        self._job: list[Any] | None = None
        self._reported = ""
        reports.set_reporter(self._report)
        current.set_source(self._current_job)
        self._poll = select.poll()
        self._pid = os.getpid()
        # A fork of user code must hold nothing that says "this worker lives" (flock and listener are
        # shared by forks), and must not answer the daemon.
        self._masks = threading.local()
        os.register_at_fork(
            before=self._hold_signals,
            after_in_parent=self._let_signals_come,
            after_in_child=self._forget_everything,
        )

    def _hold_signals(self) -> None:
        """A fork may be sent a signal before it has been given the defaults back."""
        if not self._is_fork:
            self._masks.before = signals.block()

    def _let_signals_come(self) -> None:
        if not self._is_fork:
            signals.unblock(self._masks.before)

    def _forget_everything(self) -> None:
        if self._is_fork:
            return
        self._is_fork = True
        self._instance.close()
        self._printed.close()
        for fd in (self._instance.timer, self._tickets):
            # Says nothing about what user code has closed already.
            os.closerange(fd, fd + 1)
        if self._channel is not None:
            self._channel.close()
        # It ends as any process does: the terminate() of multiprocessing is a SIGTERM.
        signals.restore()
        self._soft_limit.restore()
        signals.unblock(self._masks.before)

    def run(self) -> None:
        """Serve until retired, or idle without a daemon for long."""
        self._watch(self._instance.listener.fileno())
        while True:
            while self._waiting and self._take_ticket():
                self._make(self._waiting.popleft())
                if self._unsent and time.monotonic_ns() - self._flushed_ns > _FLUSH_NS:
                    self._flush()
                    self._tidy_up()
            self._flush()
            self._tidy_up()
            is_alone = self._is_deaf and self._channel is None
            if (self._is_retiring or is_alone) and not self._waiting and not self._unacked:
                return
            if self._absence.is_over_long:
                self._record_all()
                if not self._unacked:
                    # What still waits has no ticket: it was never begun, and whoever comes sees that.
                    return
                self._absence.begin()
            self._wait()

    def _tidy_up(self) -> None:
        """Put back what is not put back after each job: it takes as long as several short ones."""
        if self._is_disturbed:
            self._is_disturbed = False
            self._surroundings.restore_rest()
            self._printed.restore()
            self._weigh()

    def _weigh(self) -> None:
        """Say it once when more memory is resident than this worker may have: another one shall take its
        place."""
        if not self._max_memory_bytes or self._has_said_worn or self._channel is None:
            return
        resident = _resident_bytes()
        if resident > self._max_memory_bytes:
            self._has_said_worn = True
            self._channel.send({"is": "worn", "resident_bytes": resident})

    def _take_ticket(self) -> bool:
        try:
            return os.read(self._tickets, 1) != b""
        except BlockingIOError:
            return False

    def _wait(self) -> None:
        # Tickets are awaited only while there is a job to begin with one.
        if self._waiting:
            self._watch(self._tickets)
        try:
            ready = self._poll.poll(self._absence.timeout_ms())
        finally:
            if self._waiting:
                self._unwatch(self._tickets)
        for fd, _ in ready:
            if self._channel is not None and fd == self._channel.fd:
                self._obey()
            elif fd == self._instance.listener.fileno():
                self._meet_daemon()

    def _watch(self, fd: int) -> None:
        self._poll.register(fd, select.POLLIN)

    def _unwatch(self, fd: int) -> None:
        self._poll.unregister(fd)

    # -- the daemon -------------------------------------------------------------------------------

    def _meet_daemon(self) -> None:
        channel = accept(self._instance.listener)
        if channel is None:
            self._check_listener()
            return
        self._drop_channel()
        # What the last daemon handed over and nobody began is the new daemon's to give out again.
        self._waiting.clear()
        self._drain_tickets()
        self._channel = channel
        self._absence.end()
        self._watch(channel.fd)

    def _check_listener(self) -> None:
        """User code may have closed it: then no other daemon finds this worker, and the last one's
        connection is all there is."""
        listener = self._instance.listener
        try:
            is_listening = listener.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN) == 1
        except OSError:
            is_listening = False
        if not is_listening:
            self._is_deaf = True
            self._unwatch(listener.fileno())

    def _drain_tickets(self) -> None:
        try:
            while os.read(self._tickets, 65_536):
                pass
        except BlockingIOError:
            return

    def _drop_channel(self) -> None:
        if self._channel is not None:
            self._unwatch(self._channel.fd)
            self._channel.close()
            self._channel = None

    def _lose_daemon(self) -> None:
        """The daemon is gone: outcomes that it has not acknowledged go to disk."""
        self._drop_channel()
        self._absence.begin()
        self._record_all()

    def _record_all(self) -> None:
        for token, entry in list(self._unacked.items()):
            record = _expand(entry.text) if entry.is_compact else entry.text
            if not self._absence.leave_record(self._outcomes_dir, token, record):
                # The disk is full: they stay in memory, and in the marks.
                return
        self._unacked.clear()
        self._unsent.clear()

    def _obey(self) -> None:
        channel = self._channel
        assert channel is not None
        messages = channel.receive()
        for message in messages or ():
            match message["do"]:
                case "run":
                    self._waiting.extend(message["jobs"])
                case "ack":
                    self._forget(message["tokens"])
                case "forget":
                    self._give_back(message["tokens"])
                case "hello":
                    self._greet(message)
                case "retire":
                    self._is_retiring = True
                case "stop":
                    self._stop(message["token"], message["verdict"])
                case unknown:
                    raise ValueError(f"a message of no known kind: {unknown}")
        if messages is None:
            self._lose_daemon()

    def _stop(self, token: int, verdict: str) -> None:
        """Only a worker of many jobs can stop one of them: it is never asked of this one."""
        raise ValueError(f"attempt {token} cannot be given the verdict {verdict} from here")

    def _running_tokens(self) -> list[int]:
        """What a daemon is told at the greeting: nothing, since between two jobs none runs."""
        return []

    def _greet(self, message: dict[str, Any]) -> None:
        assert self._channel is not None
        self._has_said_worn = False
        protocol = common_protocol(message.get("protocol"))
        self._channel.send(
            {
                "is": "hello",
                "protocol": protocol,
                "kind": "function",
                "pid": self._pid,
                "running": self._running_tokens(),
                "made": self._made,
            }
        )
        if protocol is None:
            # Records are what both sides can read. Nobody will give this worker anything again.
            self._is_retiring = True
            self._lose_daemon()
            return
        # Said once more, whatever the last daemon heard: only an acknowledgement ends an outcome.
        self._unsent = [token for token, entry in self._unacked.items() if not entry.is_recorded]
        self._flush()
        for token in [token for token, entry in self._unacked.items() if entry.is_recorded]:
            self._unsent = [token]
            self._flush()
        self._channel.send({"is": "settled"})

    def _forget(self, tokens: list[int]) -> None:
        for token in tokens:
            entry = self._unacked.pop(token, None)
            if entry is not None and entry.is_recorded:
                drop_record(self._outcomes_dir, token)

    def _give_back(self, tokens: list[int]) -> None:
        gone = set(tokens)
        self._waiting = deque(job for job in self._waiting if job[0] not in gone)
        if self._channel is not None:
            self._channel.send({"is": "forgot"})

    # -- one job ----------------------------------------------------------------------------------

    def _make(self, job: list[Any]) -> None:
        """Make one attempt: mark the begin, call, mark the end."""
        token, job_id, task, limit_us, soft_us, payload = job
        self._made += 1
        self._job = job
        deadline = deadline_us(limit_us) if limit_us or soft_us else 0
        begun_at = time.time_ns() // 1000
        slot = self._marks.begin(token, job_id, begun_at, deadline, is_soft=soft_us > 0)
        if deadline:
            first = self._soft_limit.begin(soft_us) if soft_us else deadline
            set_alarm(self._instance.timer, min(first, deadline))
        self._printed.begin()
        self._is_disturbed = True
        try:
            function = self._functions[task]
            # Most have arguments and nothing else: how many keys there are says it for less.
            if len(payload) < 3 or _FORMS.isdisjoint(payload):
                value = function(*payload.get("args", ()), **payload.get("kwargs", {}))
                if type(value) is CoroutineType:
                    value = _run_coroutine(value)
            else:
                value = call_as_asked(function, payload, _run_coroutine)
            self._soft_limit.deadline = 0
            # A handler that user code has left may raise until it is gone.
            self._come_back(0, deadline)
        except BaseException as error:  # noqa: BLE001 -- whatever user code raises is its outcome
            self._soft_limit.deadline = 0
            self._come_back(1, deadline)
            self._end_badly(slot, job, begun_at, error)
            return
        try:
            result = write_result(value)
        except BaseException as error:  # noqa: BLE001 -- a value may be an object with code of its own
            self._end_without_result(slot, job, begun_at, error)
            return
        ended_at = time.time_ns() // 1000
        text = f"[{token},{job_id},{begun_at},{ended_at},{quote(result)}]"
        printed = self._printed.take()
        if printed[1]:
            end: dict[str, Any] = {"verdict": "success", "result": result}
            self._end_recorded(slot, job, begun_at, end, printed)
            return
        is_measured = ended_at - begun_at >= _MEASURED_US
        if not is_measured:
            self._short_us += ended_at - begun_at
        else:
            end = {"verdict": "success", "result": result, **self._spent()}
            text = dumps(outcome_json(job, begun_at, ended_at, end))
        data = result.encode()
        is_recorded = len(data) > RESULT_BYTES
        if is_recorded:
            # The record first, then the mark, then the message: one of them is always there.
            self._write_record(token, text if is_measured else _expand(text))
            self._marks.end_recorded(slot, ended_at)
        else:
            self._marks.end(slot, ended_at, data)
        self._unacked[token] = Unacked(text, is_compact=not is_measured, is_recorded=is_recorded)
        self._unsent.append(token)
        if len(data) >= LONG_RESULT_BYTES:
            self._flush()

    def _spent(self) -> dict[str, float]:
        """Processor time of the last job; without child processes.

        That since the last call, without what shorter jobs have taken meanwhile: asking the kernel takes
        longer than some of them, which have no time to wait for anything.
        """
        usage = getrusage(RUSAGE_SELF)
        user_s = max(usage.ru_utime - self._usage.ru_utime - self._short_us / 1e6, 0.0)
        system_s = usage.ru_stime - self._usage.ru_stime
        self._usage = usage
        self._short_us = 0
        return {"user_s": round(user_s, 6), "system_s": round(system_s, 6)}

    def _come_back(self, status: int, deadline: int) -> None:
        """User code is over.

        A fork that it let run on to here must not speak for the worker: marks are shared.
        """
        if self._is_fork:
            os._exit(status)
        if deadline:
            set_alarm(self._instance.timer, 0)
        self._job = None
        if self._reported:
            reports.remove(self._reported)
            self._reported = ""
        self._surroundings.restore()

    def _report(self, text: str) -> None:
        """The job says how far it has come. What it has forked says nothing: nobody would remove its file."""
        if self._is_fork or self._job is None:
            return
        self._reported = reports.path_of(self._instance.directory, self._job[0])
        reports.write(self._reported, text)

    def _current_job(self) -> list[Any] | None:
        """The job whose function runs now."""
        return self._job

    def _end_badly(self, slot: int, job: list[Any], begun_at: int, error: BaseException) -> None:
        end = failed(error, is_loaded=job[2] in self._functions, task=job[2])
        self._end_recorded(slot, job, begun_at, end, self._printed.take())

    def _end_without_result(
        self, slot: int, job: list[Any], begun_at: int, error: BaseException
    ) -> None:
        """The function returned, but nothing that can be kept: that is a failure, and says so."""
        end = without_result(error)
        self._end_recorded(slot, job, begun_at, end, self._printed.take())

    def _end_recorded(
        self,
        slot: int,
        job: list[Any],
        begun_at: int,
        end: dict[str, Any],
        printed: tuple[bytes, int],
    ) -> None:
        token = job[0]
        ended_at = time.time_ns() // 1000
        kept, total = printed
        outcome = outcome_json(job, begun_at, ended_at, {**end, **self._spent()})
        if total:
            outcome["output"] = kept.decode("latin-1")
            outcome["output_bytes"] = total
        text = dumps(outcome)
        self._write_record(token, text)
        self._marks.end_recorded(slot, ended_at)
        self._unacked[token] = Unacked(text, is_compact=False, is_recorded=True)
        self._unsent.append(token)
        self._flush()

    def _write_record(self, token: int, text: str) -> None:
        try:
            write_record(self._outcomes_dir, token, text, durable=False)
        except OSError:
            # A full disk: the message, sent at once, is the only copy.
            return

    def _flush(self) -> None:
        """Send every outcome that has not been sent on this channel."""
        self._flushed_ns = time.monotonic_ns()
        if not self._unsent or self._channel is None:
            if self._channel is None and self._unsent:
                self._lose_daemon()
            return
        entries = [self._unacked[token] for token in self._unsent if token in self._unacked]
        self._unsent.clear()
        done = ",".join(entry.text for entry in entries if entry.is_compact)
        other = ",".join(entry.text for entry in entries if not entry.is_compact)
        message = f'{{"is":"outcomes","done":[{done}],"outcomes":[{other}]}}'
        # If this fails the daemon has gone; what it said before is read first, then `_lose_daemon`.
        self._channel.send_text(message)


def failed(error: BaseException, *, is_loaded: bool, task: str) -> dict[str, Any]:
    """The parts of an outcome that say that a function has raised: ``verdict``, ``error``, what it was
    (``kinds``), and what it has asked for (``retry``)."""
    end: dict[str, Any] = {"verdict": "failure", "kinds": kinds_of(error)}
    if isinstance(error, SoftTimeout):
        end["verdict"] = "timeout"
    elif isinstance(error, Ignore):
        end["verdict"] = "cancelled"
    elif isinstance(error, Reject):
        end["retry"] = error.to_json()
    if isinstance(error, Retry):
        end["retry"] = _asked(error)
        # If there is no other attempt, the job has failed with what this one was raised from.
        error = error.__cause__ or error
    kind = type(error)
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 -- an exception whose text cannot be made has a type still
        message = "(its message could not be made)"
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    try:
        text = "".join(traceback.format_exception(kind, error, trace))
    except Exception:  # noqa: BLE001 -- as above
        text = ""
    described = {
        "type": name_of(kind),
        "message": _cut(message),
        "traceback": text[-_TEXT_LIMIT:],
    }
    if isinstance(error, KeyError) and not is_loaded:
        described = {
            "type": "TaskNotLoaded",
            "message": f'this worker did not load the task "{task}"',
            "traceback": "",
        }
    end["error"] = dumps(described)
    return end


def without_result(error: BaseException) -> dict[str, Any]:
    """The same for a function that returned what cannot be kept; ``error`` is what `write_result` raised."""
    is_wrong = "is too long" if isinstance(error, TooLong) else "is not JSON"
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    message = _cut(f"the function returned a value that {is_wrong}: {why}")
    described = {"type": "InvalidResult", "message": message, "traceback": ""}
    return {"verdict": "failure", "error": dumps(described)}


def _run_coroutine(coroutine: Any) -> Any:
    """Run a coroutine to its end, in a loop of its own."""
    import asyncio

    return asyncio.run(coroutine)


def _resident_bytes() -> int:
    """How much memory of this process is in use, what it shares with its template included (proc(5), statm)."""
    fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(fd, 128).split()[1]) * getpagesize()
    finally:
        os.close(fd)


def outcome_json(
    job: list[Any], begun_at: int, ended_at: int, end: dict[str, Any]
) -> dict[str, Any]:
    """The JSON form of an outcome."""
    return {
        "token": job[0],
        "job_id": job[1],
        "started_at": begun_at,
        "finished_at": ended_at,
        **end,
    }


class TooLong(Exception):
    """A result that nobody could be given."""


def write_result(value: Any) -> str:
    """A function's value as JSON.

    Raises:
        TooLong, RecursionError: it is longer, or nested more deeply, than any reader takes.
        Exception: whatever encoding it raises.
    """
    # The package makes an encoder for each call. Rings end as what is nested too deeply.
    result = quote(value) if type(value) is str else dumps(value)
    if len(result) > _RESULT_LIMIT_BYTES:
        raise TooLong(f"it has {len(result)} bytes as JSON, {_RESULT_LIMIT_BYTES} are the most")
    # Whoever reads it must not run out of stack, wherever it stands: the daemon least of all.
    if result.count("[") + result.count("{") > _DEEPEST_RESULT and _is_deep(result.encode()):
        raise RecursionError
    return result


def _is_deep(result: bytes) -> bool:
    """JSON is nested deeper than a result may be. Without a walk over each value: by whole passes."""
    bare = result.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NO_BRACKETS)
    bare = _STRINGS.sub(b"", bare)
    bare = bare.translate(_ONE_KIND)
    for _ in range(_DEEPEST_RESULT):
        bare = bare.replace(b"[]", b"")
        if not bare:
            return False
    return True


def _asked(error: Retry) -> str:
    """What it asks for; a class derived from it may say nothing that makes sense."""
    try:
        return str(error.to_json())
    except Exception:  # noqa: BLE001 -- user code: then it asks for no more than another attempt
        return "{}"


def _cut(message: str) -> str:
    return message if len(message) <= _TEXT_LIMIT else f"{message[:_TEXT_LIMIT]}…"


def _expand(text: str) -> str:
    """The record for a compact outcome."""
    token, job_id, begun_at, ended_at, result = json.loads(text)
    return dumps(
        {
            "token": token,
            "job_id": job_id,
            "verdict": "success",
            "started_at": begun_at,
            "finished_at": ended_at,
            "result": result,
        }
    )
