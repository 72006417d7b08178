"""Ends what a dead worker or keeper left running, until nothing of it is found.

With a cgroup this is exact, also with one of the attempt alone that it has for a limit. Without one, the processes are searched: by the session of the command (or
of the function worker, which leads one itself) and by the token in their environment. Both can be
escaped (``setsid``, ``env -i``, a program that overwrites its arguments), so the record of an attempt
that was ended in this way says ``unproved``.

A child between fork and exec has neither token nor session of its own yet; only the lock that it
inherited shows it. So a sweep ends when the lock is free and two passes in a row have found nothing:
a process may have forked while one pass read on.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.engine.local import cgroups, holder
from jobctl.worker import processes
from jobctl.worker.instance import noted_command, process_start

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROBE_S = 0.005

_SLICE = 300
"""Processes looked at in one step: 1,285 take 21 ms, and the loop has others to serve."""


class Sweep:
    """One sweep. `step` is called until it gives back None; in between, the loop goes on."""

    def __init__(
        self,
        *,
        directory: Path,
        kind: str,
        cgroup: str,
        tokens: Iterable[int],
        limiting: Iterable[str] = (),
    ) -> None:
        self._directory = directory
        self._cgroup = cgroup if cgroup and Path(cgroup).is_dir() else ""
        # What has a limit lives there: beside that cgroup, or in another hierarchy and in it.
        self._limiting = list(limiting)
        tokens = list(tokens)
        self._variables = [f"JOBCTL_ATTEMPT={token:016x}".encode() for token in tokens]
        self._session = self._find_session(kind, set(tokens))
        owner = directory.stat().st_uid if directory.exists() else os.geteuid()
        self._only_uid = owner if owner != os.geteuid() else None
        self._todo: list[int] | None = None
        self._is_function = kind == "function"
        self._is_held = False
        self._found = 0
        self._clean_passes = 0
        if self._cgroup or self._limiting:
            self.proof = "cgroup"
        else:
            # A function attempt is over with its worker's process, whose end the kernel has told.
            self.proof = "process" if kind == "function" else "unproved"

    def _find_session(self, kind: str, tokens: set[int]) -> int:
        """The session to end; 0 when there is none, or when its number means somebody else by now."""
        if kind == "function":
            found = holder.read(self._directory)
            if found is None:
                return 0
            session, started = found.pid, found.start
        else:
            try:
                session, token, started = noted_command(str(self._directory))
            except OSError:
                return 0
            if session == 0 or token not in tokens:
                return 0
        try:
            leader_start = process_start(session)
        except OSError:
            # The leader is gone. Its number is not given to others while its session has members.
            return session
        return session if leader_start <= started else 0

    def step(self) -> float | None:
        """A part of a pass; seconds until the next one, or None when nothing is left."""
        if self._todo is None:
            self._found = 0
            self._end_all(self._limiting)
            self._todo = processes.in_cgroup(self._cgroup) if self._cgroup else processes.all_pids()
        part, self._todo = self._todo[:_SLICE], self._todo[_SLICE:]
        self._end(part)
        if self._todo:
            return 0.0
        self._todo = None
        if self._found or holder.is_locked(self._directory):
            # Who holds the lock is looked for when nothing else is left that could. A keeper's is held
            # by a child before its exec, which shows its token in a moment.
            self._is_held = self._is_function and not self._found
            self._clean_passes = 0
            return _PROBE_S
        self._clean_passes += 1
        return None if self._clean_passes >= 2 else 0.0

    def _end_all(self, folders: Iterable[str]) -> None:
        for folder in folders:
            self._end_in(folder, processes.in_cgroup(folder))

    def _end_in(self, cgroup: str, pids: list[int]) -> None:
        self._found += len(pids)
        if pids and not cgroups.kill(cgroup):
            for pid in pids:
                processes.send(pid, signal.SIGKILL)

    def _end(self, pids: list[int]) -> None:
        if self._cgroup:
            self._end_in(self._cgroup, pids)
            return
        me = os.getpid()
        for pid in pids:
            if pid != me and self._is_left_over(pid) and processes.is_alive(pid):
                self._found += 1
                processes.send(pid, signal.SIGKILL)

    def _is_left_over(self, pid: int) -> bool:
        if self._session and processes.session_of(pid) == self._session:
            # Another user's worker could have noted any session, and have this daemon end it.
            return self._is_of_user(pid)
        if self._is_held and processes.has_open(pid, f"{self._directory}/lock"):
            # A fork that no hook of the interpreter has seen: by C code, into a session of its own.
            return self._is_of_user(pid)
        return any(processes.carries(pid, variable) for variable in self._variables)

    def _is_of_user(self, pid: int) -> bool:
        return self._only_uid is None or processes.uid_of(pid) == self._only_uid
