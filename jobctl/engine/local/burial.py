"""What becomes of a worker's attempts when it is dead.

The same code serves a worker that dies under a living daemon and one that a new daemon finds dead: it
looks only at what lies in the worker's folder, and at the processes that are left.

A function attempt ends with its worker: unbegun, it is released uncounted; with an end mark it is
settled from what was stored before the mark; else it is lost. A command's attempt is lost only when its
keeper is dead and nothing of the command is left: left-overs are killed first, found by the keeper's
cgroup, or where it has none by session and environment. The second way can be escaped, so its record
says ``unproved``.
"""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.engine.local import cgroups
from jobctl.protocol.compact import dumps, loads
from jobctl.result import Outcome, Verdict
from jobctl.worker import processes
from jobctl.worker.instance import COMMAND_OFFSET
from jobctl.worker.marks import RECORDED, RETURNED, Mark, read_marks
from jobctl.worker.record import record_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.clock import Moment
    from jobctl.engine.base import Adoptable, Attempt

_PROBE_S = 0.005


def read_record(outcomes_dir: Path, token: int) -> Outcome | None:
    """The record of an attempt, or None. Raises ProtocolError when it cannot be read."""
    try:
        fd = os.open(outcomes_dir / record_name(token), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        return Outcome.from_json(loads(file.read().decode()))


def settle_function(
    attempts: Iterable[Attempt | Adoptable],
    *,
    directory: Path,
    outcomes_dir: Path,
    exit_code: int | None,
    verdict: Verdict,
    now: Moment,
) -> list[Outcome]:
    """The outcomes of a dead function worker's attempts.

    ``exit_code`` is how the worker died as far as its template knows (negative: a signal);
    ``verdict`` is what an attempt gets that had begun and not ended: lost, unless it was this daemon
    that ended the worker.
    """
    marks = read_marks(str(directory))
    outcomes = []
    for attempt in attempts:
        mark = marks.get(attempt.token)
        record = read_record(outcomes_dir, attempt.token)
        if record is not None:
            outcomes.append(record)
        elif mark is None:
            outcomes.append(released(attempt, now))
        elif mark.how == RETURNED:
            outcomes.append(_returned(mark))
        elif mark.how == RECORDED:
            outcomes.append(_ended(attempt, mark, exit_code, Verdict.LOST, now))
        else:
            outcomes.append(_ended(attempt, mark, exit_code, verdict, now))
    return outcomes


def released(attempt: Attempt | Adoptable, now: Moment) -> Outcome:
    """The outcome of an attempt of which nothing had begun."""
    return Outcome(
        token=attempt.token, job_id=attempt.job_id, verdict=Verdict.RELEASED, finished_at=now
    )


def lost(
    attempt: Attempt | Adoptable,
    now: Moment,
    *,
    proof: str,
    cause: str,
    verdict: Verdict = Verdict.LOST,
    exit_signal: int | None = None,
    started_at: Moment | None = None,
) -> Outcome:
    """The outcome of an attempt whose own end nobody saw."""
    kind = "Lost" if verdict is Verdict.LOST else verdict.value.capitalize()
    return Outcome(
        token=attempt.token,
        job_id=attempt.job_id,
        verdict=verdict,
        started_at=started_at,
        finished_at=now,
        signal=exit_signal,
        error=dumps({"type": kind, "message": cause, "traceback": ""}),
        proof=proof,
    )


def _returned(mark: Mark) -> Outcome:
    return Outcome(
        token=mark.token,
        job_id=mark.job_id,
        verdict=Verdict.SUCCESS,
        started_at=mark.begun_at,
        finished_at=mark.ended_at,
        result=mark.result,
    )


def _ended(
    attempt: Attempt | Adoptable,
    mark: Mark,
    exit_code: int | None,
    verdict: Verdict,
    now: Moment,
) -> Outcome:
    number = -exit_code if exit_code is not None and exit_code < 0 else None
    return lost(
        attempt,
        now,
        proof="process",
        cause=describe_death("worker", exit_code)
        if verdict is Verdict.LOST
        else "stopped at its time limit"
        if verdict is Verdict.TIMEOUT
        else "stopped on request",
        verdict=verdict,
        exit_signal=number,
        started_at=mark.begun_at,
    )


def describe_death(what: str, exit_code: int | None) -> str:
    """How a worker or keeper died, in words."""
    if exit_code is None:
        return f"its {what} died; how is not known, because its parent was dead too"
    if exit_code >= 0:
        return f"its {what} ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    return f"its {what} was killed by {name}"


class Sweep:
    """Kills what a dead keeper or worker left running, until two passes find nothing.

    `step` is called until it gives back None; in between, the loop goes on.
    """

    def __init__(self, *, directory: Path, cgroup: str, tokens: Iterable[int]) -> None:
        self._directory = directory
        self._cgroup = cgroup if cgroup and Path(cgroup).is_dir() else ""
        tokens = list(tokens)
        self._variables = [f"JOBCTL_ATTEMPT={token:016x}".encode() for token in tokens]
        self._session = self._read_session({str(token).encode() for token in tokens})
        self._clean_passes = 0
        self.proof = "cgroup" if self._cgroup else "unproved"

    def _read_session(self, tokens: set[bytes]) -> int:
        """The session of the keeper's command: its pid. 0 unless it is the command of these attempts.

        An older command's number may meanwhile be somebody else's session.
        """
        try:
            fd = os.open(self._directory / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            fields = os.pread(fd, 64, COMMAND_OFFSET).split(b"\n")[0].split()
        finally:
            os.close(fd)
        return int(fields[0]) if len(fields) == 2 and fields[1] in tokens else 0

    def step(self) -> float | None:
        """One pass; seconds until the next one, or None when nothing is left."""
        found = self._pass()
        if found or self._is_lock_held():
            self._clean_passes = 0
            return _PROBE_S
        self._clean_passes += 1
        # A process may have forked while the pass read on: one clean pass does not prove it.
        return None if self._clean_passes >= 2 else 0.0

    def _pass(self) -> int:
        if self._cgroup:
            pids = processes.in_cgroup(self._cgroup)
            if pids and not cgroups.kill(self._cgroup):
                for pid in pids:
                    processes.send(pid, signal.SIGKILL)
            return len(pids)
        me = os.getpid()
        pids = [
            pid
            for pid in processes.all_pids()
            if pid != me and self._is_left_over(pid) and processes.is_alive(pid)
        ]
        for pid in pids:
            processes.send(pid, signal.SIGKILL)
        return len(pids)

    def _is_left_over(self, pid: int) -> bool:
        if self._session and processes.session_of(pid) == self._session:
            return True
        return any(processes.carries(pid, variable) for variable in self._variables)

    def _is_lock_held(self) -> bool:
        """A child between fork and exec holds the lock of its keeper, and nothing else shows it."""
        return is_locked(self._directory)


def is_locked(directory: Path) -> bool:
    """Somebody holds the lock of an instance; False also when there is no such instance."""
    try:
        fd = os.open(directory / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
