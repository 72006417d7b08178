"""The keeper: the worker of one command at a time.

A keeper starts a command, reads what it writes, enforces its time limit, stops it when asked, and
keeps its outcome until a daemon has acknowledged it. It needs no daemon for any of this: a command
whose daemon is killed runs on, keeps its limit, and its exit status and output reach the next daemon.

It is a small subreaper: whatever the command leaves running becomes its child. An attempt ends with
the command's main process; a keeper with left-overs stays with them and takes no other command.

Standard library only, and little of it: there is one keeper for each running command.
"""

from __future__ import annotations

import os
import select
import time

from jobctl.protocol.compact import dumps
from jobctl.reports import path_of
from jobctl.worker import freezer, processes
from jobctl.worker.absence import Absence
from jobctl.worker.bounds import Bounds, oom_counter, oom_kills, shown
from jobctl.worker.channel import Channel, accept, common_protocol
from jobctl.worker.command import start
from jobctl.worker.failure import CannotStart
from jobctl.worker.instance import Instance, note_command
from jobctl.worker.journal import Journal, Tee
from jobctl.worker.output import Output
from jobctl.worker.progress import Lines
from jobctl.worker.record import drop_record
from jobctl.worker.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ_BYTES = 65_536

_STUBBORN_ROUNDS = 10
"""How often, a second apart, SIGKILL is sent to what does not die before it is named as remaining."""


class Keeper:
    """One keeper; its process is a subreaper (`jobctl.worker.kernel.become_subreaper`)."""

    def __init__(self, instance: Instance, outcomes_dir: str, *, patience_s: float) -> None:
        self._instance = instance
        self._outcomes_dir = outcomes_dir
        self._absence = Absence(instance, patience_s)
        self._channel: Channel | None = None
        self._poll = select.poll()
        self._poll.register(instance.listener.fileno(), select.POLLIN)
        self._order: dict[str, Any] | None = None
        self._pid = 0
        # What is read, and where it is kept: nowhere, once the attempt has ended.
        self._pipes: dict[int, Output | Tee | Lines | None] = {}
        self._journals: list[Journal] = []
        self._progress: Lines | None = None
        self._output: Output | None = None
        self._stderr: Output | None = None
        self._is_followed = False
        self._owes_hint = False
        self._started_at = 0
        self._stop_steps: list[tuple[int, float]] = []
        self._stop_verdict = ""
        self._kill_rounds = 0
        self._deadline: float | None = None
        self._soft_deadline: float | None = None
        self._is_past_soft_limit = False
        # When the job must have ended, whatever its attempt's own limit says; also while it is paused.
        self._ends_at: float | None = None
        self._paused: _Paused | None = None
        self._unacked: dict[str, Any] | None = None
        self._has_leftovers = False
        self._bounds: Bounds | None = None
        self._oom_counter = oom_counter(instance.cgroup, instance.corners)
        self._oom_kills = 0
        self._pending_end: dict[str, Any] | None = None
        self._is_retiring = False
        # Every child's end, also of processes that were reparented to this one, writes a byte here.
        self._wakeup, self._wakeup_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # SIGCHLD has a handler already, the template's: without one, nothing would be written.
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        self._poll.register(self._wakeup, select.POLLIN)

    def run(self) -> None:
        """Serve until told to retire, or until the daemon is gone and nothing is left to do."""
        while not self._is_done():
            timeout_ms = None
            due = [at for at in (self._deadline, self._soft_deadline) if at is not None]
            if due:
                timeout_ms = max(int((min(due) - time.monotonic()) * 1000) + 1, 0)
            elif self._waits_for_daemon():
                timeout_ms = self._absence.timeout_ms()
            self.turn(timeout_ms)

    def turn(self, timeout_ms: int | None) -> None:
        """Take what happens, or what comes first within the time, and do what is due."""
        for fd, _ in self._poll.poll(timeout_ms):
            self._handle(fd)
        if self._soft_deadline is not None and time.monotonic() >= self._soft_deadline:
            self._tell_soft_limit()
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._next_stop_step()
        if self._unacked is not None and self._waits_for_daemon() and self._absence.is_over_long:
            # The disk refused it when the daemon went; it may have room now.
            self._absence.begin()
            self._record()

    @property
    def is_busy(self) -> bool:
        """A command is running, or what must end with it."""
        return self._order is not None

    @property
    def has_ended(self) -> bool:
        """An outcome waits to be acknowledged."""
        return self._unacked is not None

    def close(self) -> None:
        """Let go of what `__init__` has made; nothing may be running."""
        self._drop_channel()
        signal.set_wakeup_fd(-1)
        os.close(self._wakeup)
        os.close(self._wakeup_write)

    def _is_done(self) -> bool:
        idle = self._order is None and self._unacked is None and not self._has_leftovers
        return idle and (self._is_retiring or self._absence.is_over_long)

    def _waits_for_daemon(self) -> bool:
        """There is none, and nothing to do but to be found, or to hand an outcome over."""
        if self._channel is not None or self._order is not None:
            return False
        return self._unacked is not None or not self._has_leftovers

    def _handle(self, fd: int) -> None:
        if fd == self._instance.listener.fileno():
            self._meet_daemon()
        elif self._channel is not None and fd == self._channel.fd:
            if self._owes_hint:
                self._tell_growth()
            self._obey()
        elif fd in self._pipes:
            self._read_output(fd)
        elif fd == self._wakeup:
            self._reap()

    # -- the daemon -------------------------------------------------------------------------------

    def _meet_daemon(self) -> None:
        channel = accept(self._instance.listener)
        if channel is None:
            return
        self._drop_channel()
        self._channel = channel
        self._absence.end()
        self._poll.register(channel.fd, select.POLLIN)

    def _drop_channel(self) -> None:
        if self._channel is None:
            return
        self._poll.unregister(self._channel.fd)
        self._channel.close()
        self._channel = None
        self._is_followed = False
        self._owes_hint = False

    def _lose_daemon(self) -> None:
        """The daemon is gone: what it has not acknowledged goes to disk."""
        self._drop_channel()
        self._absence.begin()
        if self._unacked is not None:
            self._record()
        elif self._order is None and not self._has_leftovers:
            # Nothing depends on an idle keeper: the next daemon starts one of its own version.
            self._is_retiring = True

    def _obey(self) -> None:
        channel = self._channel
        assert channel is not None
        messages = channel.receive()
        for message in messages or ():
            self._obey_one(message)
        # A message that could not be sent is no reason to stop reading: the end comes from here, after
        # everything that the daemon still said.
        if messages is None:
            self._lose_daemon()

    def _obey_one(self, message: dict[str, Any]) -> None:
        match message["do"]:
            case "hello":
                self._greet(message)
            case "run":
                self._begin(message["order"])
            case "ack":
                self._forget(message["tokens"])
            case "stop":
                self._stop(
                    message["token"], message["steps"], message["verdict"], message.get("signal")
                )
            case "pause":
                self._pause(message["token"])
            case "resume":
                self._resume(message["token"])
            case "follow":
                self._follow(message["token"])
            case "retire":
                self._is_retiring = True
            case unknown:
                raise ValueError(f"a message of no known kind: {unknown}")

    def _greet(self, message: dict[str, Any]) -> None:
        protocol = common_protocol(message.get("protocol"))
        reply: dict[str, Any] = {
            "is": "hello",
            "protocol": protocol,
            "kind": "keeper",
            "pid": os.getpid(),
            "running": [self._order["token"]] if self._order is not None else [],
            "leftovers": self._has_leftovers,
        }
        self._send(reply)
        if protocol is None:
            # Records are what both sides can read. Nobody will give this keeper anything again.
            self._is_retiring = True
            self._lose_daemon()
            return
        if self._unacked is not None:
            self._send({"is": "outcomes", "outcomes": [self._unacked]})
        # Whatever the daemon believes this keeper holds beyond that was never begun.
        self._send({"is": "settled"})

    def _send(self, message: dict[str, Any]) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _forget(self, tokens: list[int]) -> None:
        if self._unacked is not None and self._unacked["token"] in tokens:
            drop_record(self._outcomes_dir, self._unacked["token"])
            self._unacked = None
            if self._channel is None and self._order is None and not self._has_leftovers:
                self._is_retiring = True

    # -- the command ------------------------------------------------------------------------------

    def _begin(self, order: dict[str, Any]) -> None:
        self._order = order
        self._started_at = time.time_ns() // 1000
        cap_bytes = order["output_cap_bytes"]
        outputs = [Output(order["output_path"], cap_bytes)]
        if order.get("stderr_path"):
            outputs.append(Output(order["stderr_path"], cap_bytes))
        self._output = outputs[0]
        self._stderr = outputs[1] if len(outputs) > 1 else None
        self._stop_steps = []
        self._stop_verdict = ""
        self._kill_rounds = 0
        self._oom_kills = self._count_oom_kills()
        readers: list[Output | Tee | Lines] = [*outputs]
        if order.get("journal"):
            streams = ("stdout", "stderr")[: len(outputs)]
            self._journals = [Journal({**order["journal"], "JOBCTL_STREAM": s}) for s in streams]
            readers = [Tee(*both) for both in zip(outputs, self._journals, strict=True)]
        if order.get("progress"):
            path = path_of(self._instance.directory, order["token"])
            self._progress = Lines(path)
            readers.append(self._progress)
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in readers]
        stderr = pipes[len(outputs) - 1][1]
        try:
            self._note(0)
            self._bounds = self._make_bounds(order)
            progress = pipes[-1][1] if self._progress is not None else -1
            cgroups = self._bounds.folders if self._bounds is not None else ()
            self._pid = start(order, pipes[0][1], stderr, progress, cgroups=cgroups)
        except CannotStart as failure:
            for read_end, write_end in pipes:
                os.close(read_end)
                os.close(write_end)
            self._refuse(failure)
            return
        # The next daemon finds the command by this when the keeper is dead.
        self._note(self._pid)
        for (read_end, write_end), reader in zip(pipes, readers, strict=True):
            os.close(write_end)
            os.set_blocking(read_end, False)
            self._pipes[read_end] = reader
            self._poll.register(read_end, select.POLLIN)
        now = time.monotonic()
        if order.get("timeout_s") is not None:
            self._deadline = now + order["timeout_s"]
        if order.get("soft_timeout_s") is not None:
            self._soft_deadline = now + order["soft_timeout_s"]
        if order.get("deadline_s") is not None:
            self._ends_at = now + order["deadline_s"]

    def _note(self, pid: int) -> None:
        assert self._order is not None
        try:
            note_command(self._instance.lock_fd, pid, self._order["token"])
        except OSError as error:
            if pid == 0:
                # Without the note a dead keeper would seem to have begun nothing.
                raise CannotStart(
                    "CannotStart", f"state directory: {error.strerror}", 126
                ) from None

    def _make_bounds(self, order: dict[str, Any]) -> Bounds | None:
        asked = order.get("world", {}).get("bounds")
        if not asked:
            return None
        return Bounds(self._instance.corners, self._instance.name, order["token"], asked)

    def _drop_bounds(self) -> None:
        """Nothing of the attempt is left; its cgroups go."""
        if self._bounds is not None:
            self._bounds.remove()
            self._bounds = None

    def _refuse(self, failure: CannotStart) -> None:
        error = {"type": failure.kind, "message": failure.message, "traceback": ""}
        self._finish({"verdict": "failure", "exit_code": failure.exit_code, "error": dumps(error)})

    def _read_output(self, pipe: int) -> bool:
        """Read once: a command that writes without end must not keep its keeper from all else.

        What left-overs write after the attempt's end is read and dropped. False when there was nothing.
        """
        try:
            data = os.read(pipe, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close_pipe(pipe)
            return False
        reader = self._pipes[pipe]
        if reader is not None:
            reader.write(data)
            if self._is_followed:
                self._tell_growth()
        return True

    def _tell_growth(self) -> None:
        """Tell followers how long the output has become, without waiting for a daemon that is stuck.

        What could not be told is told when the channel takes it: by then it may be more.
        """
        if self._channel is None:
            return
        is_told = True
        if self._order is not None and self._output is not None:
            growth = {"is": "wrote", "token": self._order["token"], "bytes": self._output.in_file}
            if self._stderr is not None:
                growth["stderr_bytes"] = self._stderr.in_file
            is_told = self._channel.hint(growth)
        if is_told == self._owes_hint:
            self._owes_hint = not is_told
            events = select.POLLIN | (0 if is_told else select.POLLOUT)
            self._poll.modify(self._channel.fd, events)

    def _close_pipe(self, pipe: int) -> None:
        self._poll.unregister(pipe)
        os.close(pipe)
        del self._pipes[pipe]

    def _follow(self, token: int) -> None:
        if self._order is None or self._order["token"] != token or self._output is None:
            return
        self._is_followed = True
        self._output.spill()
        if self._stderr is not None:
            self._stderr.spill()
        self._tell_growth()

    def _reap(self) -> None:
        """Collect every child that ended; ECHILD proves that nothing is left (wait4(2))."""
        os.read(self._wakeup, 4096)
        main_end = None
        has_children = True
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                has_children = False
                break
            if pid == 0:
                break
            if pid == self._pid:
                self._pid = 0
                main_end = (status, usage)
        if main_end is not None:
            self._has_leftovers = has_children
            self._end(*main_end)
        elif self._has_leftovers and not has_children:
            self._has_leftovers = False
            self._lose_last_leftover()

    def _end(self, status: int, usage: Any) -> None:
        """The main process ended: take what it wrote, see to what it left, report."""
        order = self._order
        assert order is not None
        # Somebody has killed it while it was paused: what it leaves is left running, or is stopped.
        self._go_on()
        self._drain()
        end = self._describe_end(status, usage, order)
        timed_out = end["verdict"] == "timeout"
        must_clear = bool(self._stop_verdict) or timed_out or order["leftover"] == "kill"
        if self._has_leftovers and (must_clear or order["leftover"] == "wait"):
            self._pending_end = end
            if must_clear and not self._stop_verdict:
                self._begin_stopping(order["stop"], "")
            return
        self._finish(end)

    def _drain(self) -> None:
        """Take what is in the pipe now; a left-over that keeps writing does not hold the end up."""
        for pipe in list(self._pipes):
            for _ in range(64):
                if not self._read_output(pipe):
                    break

    def _describe_end(self, status: int, usage: Any, order: dict[str, Any]) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(status)
        end: dict[str, Any] = {
            "user_s": round(usage.ru_utime, 6),
            "system_s": round(usage.ru_stime, 6),
            "max_rss_bytes": usage.ru_maxrss * 1024,
        }
        if code >= 0:
            end["exit_code"] = code
        else:
            end["signal"] = -code
        if self._stop_verdict:
            end["verdict"] = self._stop_verdict
        elif cause := self._lack_of_memory(code, order):
            end["error"] = dumps({"type": "OutOfMemory", "message": cause, "traceback": ""})
            end["verdict"] = "failure"
        elif code == -signal.SIGXCPU and "cpu_time" in order.get("world", {}).get("limits", {}):
            allowed_s = order["world"]["limits"]["cpu_time"]
            cause = f"it used up its processor time: cpu_time = {allowed_s}s"
            end["error"] = dumps({"type": "CpuTimeExceeded", "message": cause, "traceback": ""})
            end["verdict"] = "failure"
        elif code >= 0 and code in order["success_codes"]:
            end["verdict"] = "success"
        elif self._is_past_soft_limit:
            end["verdict"] = "timeout"
        else:
            end["verdict"] = "failure"
        return end

    def _lack_of_memory(self, code: int, order: dict[str, Any]) -> str:
        """How want of memory has ended it; empty when that was not why it failed."""
        if code in order["success_codes"]:
            return ""
        if self._bounds is not None and self._bounds.oom_kills():
            # Not always its main process: where the kernel ends one alone, a shell gives its end on.
            what = "it" if code == -signal.SIGKILL else "a process of it"
            limit = shown("memory", self._bounds.asked["memory"])
            return f"the kernel killed {what} because it reached its limit, {limit}"
        if code == -signal.SIGKILL and self._count_oom_kills() > self._oom_kills:
            return "the kernel killed it because memory ran out"
        return ""

    def _count_oom_kills(self) -> int:
        return (oom_kills(self._oom_counter) or 0) if self._oom_counter else 0

    def _finish(self, end: dict[str, Any]) -> None:
        """Report the attempt's outcome and be ready for the next order."""
        order, output = self._order, self._output
        assert order is not None
        assert output is not None
        outcome = {
            "token": order["token"],
            "job_id": order["job_id"],
            "started_at": self._started_at,
            "finished_at": time.time_ns() // 1000,
            **_finish_output(output, "output"),
            **end,
        }
        if self._bounds is not None:
            peak_bytes = self._bounds.peak_bytes()
            if peak_bytes is not None:
                outcome["peak_memory_bytes"] = peak_bytes
            if not self._has_leftovers:
                self._drop_bounds()
        trouble = output.trouble
        if self._stderr is not None:
            outcome |= _finish_output(self._stderr, "stderr")
            trouble = trouble or self._stderr.trouble
        for journal in self._journals:
            journal.close()
            trouble = trouble or journal.trouble
        self._journals.clear()
        if self._stop_verdict and "proof" not in outcome:
            outcome["proof"] = "subreaper"
        if trouble and "error" not in outcome:
            error_text = {"type": "OutputLost", "message": trouble, "traceback": ""}
            outcome["error"] = dumps(error_text)
        self._unacked = outcome
        self._order = None
        self._output = self._stderr = None
        if self._progress is not None:
            self._progress.remove()
            self._progress = None
        self._deadline = self._soft_deadline = self._ends_at = None
        self._is_past_soft_limit = False
        self._stop_verdict = ""
        self._pending_end = None
        self._is_followed = False
        for pipe in list(self._pipes):
            self._pipes[pipe] = None
            if not self._has_leftovers:
                self._close_pipe(pipe)
        if self._channel is None:
            self._record()
        else:
            left = self._has_leftovers
            self._send({"is": "outcomes", "outcomes": [outcome], "leftovers": left})

    def _record(self) -> None:
        """Keep the outcome on disk; when the disk refuses, in memory until it does not."""
        assert self._unacked is not None
        token, text = self._unacked["token"], dumps(self._unacked)
        if not self._absence.leave_record(self._outcomes_dir, token, text):
            return
        self._unacked = None
        if not self._has_leftovers:
            self._is_retiring = True

    # -- stopping ---------------------------------------------------------------------------------

    def _tell_soft_limit(self) -> None:
        """Ask the command, once, to come to an end: its whole tree, as `stop` does."""
        order, self._soft_deadline = self._order, None
        if order is None or self._stop_verdict or self._pending_end is not None:
            return
        self._is_past_soft_limit = True
        for pid in processes.descendants(os.getpid()):
            processes.send(pid, order["soft_signal"])

    def _stop(self, token: int, steps: list[list[Any]], verdict: str, first: int | None) -> None:
        if self._order is None or self._order["token"] != token:
            return
        self._begin_stopping(steps, verdict, first)

    def _begin_stopping(
        self, steps: list[list[Any]], verdict: str, first: int | None = None
    ) -> None:
        self._stop_verdict = verdict or self._stop_verdict
        # A daemon that has adopted the attempt does not know its sequence; the order does.
        chosen = steps or (self._order["stop"] if self._order is not None else [])
        self._stop_steps = [(int(number), float(wait_s)) for number, wait_s in chosen]
        if first is not None:
            self._stop_steps[:1] = [(first, wait_s) for _, wait_s in self._stop_steps[:1]]
        self._next_stop_step()

    def _next_stop_step(self) -> None:
        """The time limit or a step's patience ran out: go one step further."""
        order = self._order
        if order is None:
            self._deadline = None
            return
        if not self._stop_verdict and not self._stop_steps and self._pending_end is None:
            self._begin_stopping(order["stop"], "timeout")
            return
        if self._stop_steps:
            number, wait_s = self._stop_steps.pop(0)
        elif self._kill_rounds < _STUBBORN_ROUNDS:
            # Repeated, since the tree may have grown while it was walked.
            number, wait_s = signal.SIGKILL, 1.0
            self._kill_rounds += 1
        else:
            self._give_up()
            return
        for pid in processes.descendants(os.getpid()):
            processes.send(pid, number)
        # What is paused takes its signals when it goes on, before it does anything else.
        self._go_on()
        self._deadline = time.monotonic() + wait_s

    def _give_up(self) -> None:
        """Something does not die: another user's process, or one that hangs in the kernel. Name it."""
        remaining = [p for p in processes.descendants(os.getpid()) if processes.is_alive(p)]
        end = self._pending_end or {"verdict": self._stop_verdict or "failure"}
        end["remaining"] = remaining
        end["proof"] = "subreaper"
        self._pid = 0
        self._has_leftovers = True
        self._finish(end)

    # -- pausing ----------------------------------------------------------------------------------

    def _pause(self, token: int) -> None:
        """Let the command stand still, and its limits with it. Repeating it changes nothing."""
        if not self._runs(token):
            return
        if not freezer.can_freeze(self._instance.cgroup):
            self._answer_pause(token, "its keeper is in no cgroup of its own")
            return
        if self._paused is None:
            try:
                freezer.freeze(self._instance.cgroup, os.getpid(), self._own_groups())
            except OSError as error:
                self._answer_pause(token, str(error))
                return
            now = time.monotonic()
            self._paused = _Paused(_left(self._deadline, now), _left(self._soft_deadline, now))
            self._deadline, self._soft_deadline = self._ends_at, None
        self._answer_pause(token, "")

    def _resume(self, token: int) -> None:
        if self._runs(token):
            self._answer_pause(token, self._go_on())

    def _runs(self, token: int) -> bool:
        """Whether this attempt may be paused; if not, that is said."""
        if self._order is None or self._order["token"] != token or self._pid == 0:
            self._answer_pause(token, "it has just ended")
        elif self._stop_verdict or self._stop_steps:
            self._answer_pause(token, "it is being stopped")
        else:
            return True
        return False

    def _go_on(self) -> str:
        """Let a paused command go on, with what it had left of its limits; gives back why not, if so."""
        paused = self._paused
        if paused is None:
            return ""
        try:
            freezer.thaw(self._instance.cgroup, self._own_groups())
        except OSError as error:
            return str(error)
        self._paused = None
        now = time.monotonic()
        if paused.soft_left_s is not None:
            self._soft_deadline = now + paused.soft_left_s
        ends = [self._ends_at, None if paused.left_s is None else now + paused.left_s]
        self._deadline = min((at for at in ends if at is not None), default=None)
        return ""

    def _own_groups(self) -> list[str]:
        return self._bounds.folders if self._bounds is not None else []

    def _answer_pause(self, token: int, error: str) -> None:
        self._send(
            {
                "is": "paused",
                "token": token,
                "paused": self._paused is not None,
                "error": error,
            }
        )

    # -- left-overs -------------------------------------------------------------------------------

    def _lose_last_leftover(self) -> None:
        if self._pending_end is not None:
            self._pending_end["proof"] = "subreaper"
            self._finish(self._pending_end)
            return
        self._drop_bounds()
        for pipe in list(self._pipes):
            self._close_pipe(pipe)
        if self._channel is None and self._unacked is None:
            self._is_retiring = True
        else:
            self._send({"is": "clear"})


class _Paused:
    """What a paused command has left of its limits, in seconds; None: it has no such limit."""

    __slots__ = ("left_s", "soft_left_s")

    def __init__(self, left_s: float | None, soft_left_s: float | None) -> None:
        self.left_s = left_s
        self.soft_left_s = soft_left_s


def _left(deadline: float | None, now: float) -> float | None:
    return None if deadline is None else deadline - now


def _finish_output(output: Output, name: str) -> dict[str, Any]:
    """What an outcome says of one of its streams."""
    is_in_file = output.is_in_file
    kept = output.finish()
    found: dict[str, Any] = {f"{name}_bytes": output.total}
    if kept:
        found[name] = kept.decode("latin-1")
    if is_in_file:
        found[f"{name}_file"] = True
    return found
