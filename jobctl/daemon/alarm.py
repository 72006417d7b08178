"""Waking up at a moment of the wall clock, also when that clock is set or the computer slept.

The loop's own timeout counts monotonic time: it stands still while the computer is suspended, and does not
notice that somebody sets the clock. A timer of the kernel on the wall clock does both: it rings when the
moment has come by whatever way, and at once when the clock is set (timerfd_create(2),
``TFD_TIMER_CANCEL_ON_SET``). Nothing polls.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Moment
from jobctl.logs import logger

if TYPE_CHECKING:
    from jobctl.daemon.loop import Loop

_CLOCK_REALTIME: Final = 0
_TIMER_ABSTIME: Final = 1
_TIMER_CANCEL_ON_SET: Final = 2


class _Times(ctypes.Structure):
    """``struct itimerspec``: interval, then first expiry; each seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


# os.timerfd_create exists from Python 3.13 on.
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Alarm:
    """One moment at which the loop shall take a turn."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._moment: Moment | None = None
        self._fd: int = _libc.timerfd_create(_CLOCK_REALTIME, os.O_CLOEXEC | os.O_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        loop.watch(self._fd, self._ring)

    def set(self, moment: Moment | None) -> None:
        """Ring at this moment; None: do not ring. A system call only when something changes."""
        if moment == self._moment:
            return
        # A value of zero disarms; 1970 has passed, so that its first microsecond rings as well.
        seconds, micros = divmod(max(moment, 1), SECOND) if moment is not None else (0, 0)
        times = _Times(0, 0, seconds, micros * 1000)
        flags = _TIMER_ABSTIME | _TIMER_CANCEL_ON_SET
        if _libc.timerfd_settime(self._fd, flags, ctypes.byref(times), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")
        self._moment = moment

    def _ring(self) -> None:
        """The moment has come, or the clock was set: the turn that follows looks for itself."""
        self._moment = None
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            logger.info("the clock was set")

    def close(self) -> None:
        """Let go of the descriptor."""
        self._loop.unwatch(self._fd)
        os.close(self._fd)
