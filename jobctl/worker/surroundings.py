"""What a function finds around itself: the same for each job, whatever the last one did.

A worker makes many jobs in one process, so what one leaves behind would hurt the next: an alarm that goes
off in the middle of it, another folder, a mask that creates files nobody can read. What would hurt at
once and is cheap to put back is put back after each job (`Surroundings.restore`). The rest would take
longer than a short job: it is put back whenever outcomes are sent, which is at the end of each batch and
of each job that takes long (`Surroundings.restore_rest`), so only jobs that are over within the same few
milliseconds may see it.

Not put back: what libraries keep for themselves (imported modules, caches, connections, threads), what a
process cannot take back (hard limits, niceness, identity), and what C code does behind Python's back.
Whoever needs a process of its own for each job sets ``max_tasks_per_child = 1``.
"""

from __future__ import annotations

import _locale

# Without the enumerations of `signal`, which take five times as long.
import _signal  # type: ignore[import-not-found]
import gc
import os
import resource
import sys
import threading
import warnings
from typing import Any, Final

_SIGNALS: Final = tuple(sorted(_signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}))
_TIMERS: Final = (_signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)
_LIMITS: Final = tuple(
    getattr(resource, name) for name in sorted(dir(resource)) if name.startswith("RLIMIT_")
)


class Surroundings:
    """As they are when this is made, in a worker that has made no job yet."""

    def __init__(self) -> None:
        try:
            self._folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            self._folder = -1  # It was removed.
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._environ = os.environ
        # The mapping itself; a comparison through the object would decode every value.
        self._variables: dict[Any, Any] = dict(os.environ._data)  # type: ignore[attr-defined]
        self._handlers = list(map(_signal.getsignal, _SIGNALS))
        self._mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        self._filters = list(warnings.filters)
        self._recursion_limit = sys.getrecursionlimit()
        self._collects = gc.isenabled()
        self._locale = _locale.setlocale(_locale.LC_ALL, None)
        self._limits = [resource.getrlimit(which) for which in _LIMITS]

    def restore(self) -> None:
        """Put back what one job can leave to the next. May be interrupted by a signal's handler."""
        # First what may interrupt the rest of it.
        _signal.alarm(0)
        if sys.gettrace() is not None or threading.gettrace() is not None:
            sys.settrace(None)
            threading.settrace(None)
        if sys.getprofile() is not None or threading.getprofile() is not None:
            sys.setprofile(None)
            threading.setprofile(None)
        os.umask(self._umask)
        try:
            os.fchdir(self._folder)
        except OSError:
            pass  # The folder itself has become unreadable: then nobody can go there.
        environ = os.environ
        if environ is not self._environ or environ._data != self._variables:  # type: ignore[attr-defined]
            self._restore_environment()
        if warnings.filters != self._filters:
            # Through the module, which counts the changes.
            warnings.resetwarnings()
            warnings.filters.extend(self._filters)  # type: ignore[attr-defined]
        if sys.getrecursionlimit() != self._recursion_limit:
            sys.setrecursionlimit(self._recursion_limit)
        if gc.isenabled() is not self._collects:
            (gc.enable if self._collects else gc.disable)()
        faulthandler = sys.modules.get("faulthandler")
        if faulthandler is not None:
            faulthandler.cancel_dump_traceback_later()
        socket = sys.modules.get("socket")
        if socket is not None and socket.getdefaulttimeout() is not None:
            socket.setdefaulttimeout(None)

    def restore_rest(self) -> None:
        """Put back what takes many calls to look at, or hurts nobody within milliseconds."""
        for number, handler in zip(_SIGNALS, self._handlers, strict=True):
            if handler is not None and _signal.getsignal(number) is not handler:
                _signal.signal(number, handler)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)
        _signal.set_wakeup_fd(-1)
        for which in _TIMERS:
            if _signal.getitimer(which)[0]:
                _signal.setitimer(which, 0)
        if _locale.setlocale(_locale.LC_ALL, None) != self._locale:
            _locale.setlocale(_locale.LC_ALL, self._locale)
        for which, limits in zip(_LIMITS, self._limits, strict=True):
            soft, hard = resource.getrlimit(which)
            if (soft, hard) != limits:
                # The hard limit can only sink, and the soft one not be higher.
                wanted = limits[0] if hard == limits[1] else _lower(limits[0], hard)
                resource.setrlimit(which, (wanted, hard))

    def _restore_environment(self) -> None:
        os.environ = self._environ  # noqa: B003 -- the very object, which alone tells C code
        now = os.environ._data  # type: ignore[attr-defined]
        for name in now.keys() - self._variables.keys():
            del os.environ[os.fsdecode(name)]
        for name, value in self._variables.items():
            if now.get(name) != value:
                os.environ[os.fsdecode(name)] = os.fsdecode(value)


def _lower(one: int, other: int) -> int:
    """The lower of two limits, of which any may be infinite."""
    finite = [limit for limit in (one, other) if limit != resource.RLIM_INFINITY]
    return min(finite, default=resource.RLIM_INFINITY)
