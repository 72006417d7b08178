"""Connections of a Python program to its daemon: kept, and made again when they break.

Each thread has connections of its own; a child of fork makes new ones, because two processes on one
connection would read each other's answers. A request that met no daemon, or whose connection broke
before the answer, is repeated for as long as the *patience* lasts: a daemon that is restarted is back
within it. Repeating is safe for everything that is sent here: a `Submit` carries idempotency keys (P8),
all other requests only look, or ask for an end that may be asked for twice.
"""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobctl.client import Client
from jobctl.clock import Clock, SystemClock
from jobctl.errors import (
    DaemonNotRunning,
    JobctlError,
    ProtocolError,
    Unreachable,
    UsageError,
    VersionMismatch,
)
from jobctl.paths import defaults
from jobctl.protocol import requests

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S: Final = 10.0
"""How long a call waits for a daemon that is being restarted, unless `configure` says otherwise."""

_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.5


def _pause(span_s: float) -> None:
    # Nobody ever sets it: this is a sleep that gevent and its like know how to replace.
    threading.Event().wait(span_s)


class _Kept(dict[float | None, Client]):
    """The connections of one thread that wait for its next request, by their limit for an answer."""

    def __del__(self) -> None:
        # The thread has ended.
        for client in self.values():
            client.close()


class _Threads(threading.local):
    def __init__(self) -> None:
        self.kept = _Kept()


class Outage:
    """One stretch of time without a daemon, as long as patience lasts."""

    def __init__(self, clock: Clock, patience_s: float, pause: Callable[[float], None]) -> None:
        self._clock = clock
        self._pause = pause
        self._ends_at = clock.monotonic() + patience_s
        # The first repetition comes at once: a kept connection may be one to the last daemon.
        self._next_s = 0.0

    def endure(self, error: JobctlError) -> None:
        """Wait a little; raise the error when patience is over, or when waiting cannot help."""
        if span_s := self.next_pause_s(error):
            self._pause(span_s)

    def next_pause_s(self, error: JobctlError) -> float:
        """How long to wait before the next repetition. Raises as `endure` does."""
        if isinstance(error, (ProtocolError, VersionMismatch)):
            raise error
        if self._clock.monotonic() + self._next_s >= self._ends_at:
            raise error
        span_s = self._next_s
        self._next_s = min(max(span_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        return span_s


class Session:
    """All connections of this process. Safe to use from every thread and after every fork."""

    def __init__(
        self, *, clock: Clock | None = None, pause: Callable[[float], None] = _pause
    ) -> None:
        self._clock = clock or SystemClock()
        self._pause = pause
        self._socket: Path | None = None
        self._found: tuple[str | None, Path] | None = None
        self._patience_s = PATIENCE_S
        self._threads = _Threads()
        self._all: weakref.WeakSet[Client] = weakref.WeakSet()
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (found := forget()) and found())

    def configure(
        self, *, socket: str | os.PathLike[str] | None = None, patience_s: float | None = None
    ) -> None:
        """See `configure`."""
        if patience_s is not None and not 0 <= patience_s < float("inf"):
            raise UsageError("patience_s is a number of seconds, 0 for none")
        if socket is not None:
            self._socket = Path(socket)
        if patience_s is not None:
            self._patience_s = patience_s

    @property
    def configured_socket(self) -> Path | None:
        """What `configure` has said."""
        return self._socket

    def use_socket(self, path: Path | None) -> None:
        """Go to this socket from now on; None: as the environment says."""
        self._socket = path

    @property
    def socket(self) -> Path:
        """Where the daemon is expected: as configured, else JOBCTL_SOCKET, else the default place."""
        if self._socket is not None:
            return self._socket
        named = os.environ.get("JOBCTL_SOCKET")
        if self._found is None or self._found[0] != named:
            self._found = (named, defaults(os.environ, os.geteuid()).socket)
        return self._found[1]

    @property
    def _answer_limit_s(self) -> float:
        # A daemon that is there may need a moment, also for someone without patience for one that is not.
        return self._patience_s or PATIENCE_S

    @property
    def clock(self) -> Clock:
        """The clock by which moments of calls are reckoned."""
        return self._clock

    def call(self, request: requests.Request) -> dict[str, Any]:
        """Make a request that is answered at once; gives back its answer.

        Raises:
            DaemonNotRunning, Unreachable: patience is over.
            JobctlError: the daemon refused.
        """
        outage = self._outage(self._patience_s)
        while True:
            try:
                return self._attempt(request, limit_s=self._answer_limit_s)
            except (DaemonNotRunning, Unreachable) as error:
                outage.endure(error)

    def wait(self, job: int, timeout_s: float | None) -> dict[str, Any] | None:
        """Wait until a job has ended; gives back its end (see `requests.Wait`), None on time-out.

        The wait outlives restarts of the daemon. Raises as `call` does.
        """
        ends_at = None if timeout_s is None else self._clock.monotonic() + timeout_s

        def request(left_s: float | None) -> requests.Request:
            return requests.Wait(jobs=[job], timeout_s=left_s)

        answer = self._call_long(request, ends_at)
        (end,) = answer["jobs"]
        return None if answer["timed_out"] else dict(end)

    def cancel(self, job: int) -> None:
        """End a job; returns when nothing of it is left. Raises as `call` does."""
        self._call_long(lambda _: requests.Cancel(job=job), None)

    def _call_long(
        self, request: Callable[[float | None], requests.Request], ends_at: float | None
    ) -> dict[str, Any]:
        """Make a request whose answer may take as long as a job does."""
        outage: Outage | None = None
        while True:
            began = self._clock.monotonic()
            left_s = None if ends_at is None else max(ends_at - began, 0.0)
            limit_s = None if left_s is None else left_s + self._patience_s
            try:
                return self._attempt(request(left_s), limit_s=limit_s)
            except (DaemonNotRunning, Unreachable) as error:
                if outage is None or self._clock.monotonic() - began > _LONGEST_PAUSE_S:
                    # There was a daemon until now: another outage begins.
                    patience_s = self._patience_s
                    outage = self._outage(min(patience_s, patience_s if left_s is None else left_s))
                outage.endure(error)

    def outage(self, limit_s: float | None = None) -> Outage:
        """A stretch of time without a daemon that begins now; no longer than this many seconds."""
        return self._outage(self._patience_s if limit_s is None else min(self._patience_s, limit_s))

    @property
    def answer_limit_s(self) -> float:
        """How long what is answered at once may take."""
        return self._answer_limit_s

    def _outage(self, patience_s: float) -> Outage:
        return Outage(self._clock, patience_s, self._pause)

    def _attempt(self, request: requests.Request, *, limit_s: float | None) -> dict[str, Any]:
        # The connection is taken out while it is in use: a signal handler or a finalizer that calls in
        # between makes one of its own, and one whose request was interrupted is never used again.
        client = self._take(limit_s)
        try:
            answer = client.call(request)
        except Unreachable:
            client.close()
            raise
        except JobctlError:
            self._keep(client, limit_s)
            raise
        except BaseException:
            client.close()
            raise
        self._keep(client, limit_s)
        return answer

    def _take(self, limit_s: float | None) -> Client:
        path = self.socket
        client = self._threads.kept.pop(limit_s, None)
        if client is not None and client.path != path:
            client.close()
            client = None
        if client is None:
            client = Client(path, timeout_s=limit_s)
            self._all.add(client)
        return client

    def _keep(self, client: Client, limit_s: float | None) -> None:
        # Waits with a limit of their own would leave one connection for each limit.
        if limit_s is not None and limit_s != self._answer_limit_s:
            client.close()
            return
        # One step, because a signal handler may keep one of its own between any two.
        if self._threads.kept.setdefault(limit_s, client) is not client:
            client.close()

    def _forget(self) -> None:
        """In a child of fork: let go of the parent's connections, which are its own."""
        for client in list(self._all):
            client.close()
        self._all = weakref.WeakSet()
        self._threads = _Threads()


session: Final = Session()
"""The one of this process."""


def configure(
    *, socket: str | os.PathLike[str] | None = None, patience_s: float | None = None
) -> None:
    """Say where the daemon listens, and how long a call waits for one that is being restarted.

    Args:
        socket: its socket; without this ``JOBCTL_SOCKET``, else the default place of the user's or the
            system's daemon. Functions that run in a worker find their own daemon without it.
        patience_s: seconds, 10 unless set; 0 raises at once when no daemon listens. One that listens
            but does not answer is waited for as long.

    Raises:
        UsageError: a patience that is no span of time.
    """
    session.configure(socket=socket, patience_s=patience_s)
