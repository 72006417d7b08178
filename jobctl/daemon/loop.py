"""The one place that waits: epoll, signals, and the next deadline.

A turn is: take what has arrived, do one durable step with all of it, send what follows, sleep until
something happens or is due. Idle means idle: without a deadline the loop sleeps for ever.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobctl.clock import Clock


class Loop:
    """Calls back for ready descriptors, then runs the turn. Keeps `jobctl.engine.base.Poller`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._signals: list[int] = []
        self._is_ended = False
        self._wakeup, self._wakeup_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.watch(self._wakeup, self._take_signals)

    def watch(
        self, fd: int, callback: Callable[[], None], *, write: bool = False, read: bool = True
    ) -> None:
        """Call back whenever ``fd`` can be read, or with ``write`` also when it can be written.

        Without both it calls back when the other end has gone: that cannot be left out (epoll_ctl(2)).
        """
        events = (select.EPOLLIN if read else 0) | (select.EPOLLOUT if write else 0)
        if fd in self._callbacks:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Stop calling back for ``fd``."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def catch(self, numbers: Iterable[signal.Signals]) -> None:
        """Collect these signals: a handler writes one byte, the turn does the rest."""
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _leave_to_the_loop)

    def _take_signals(self) -> None:
        self._signals.extend(os.read(self._wakeup, 4096))

    def signals(self) -> list[int]:
        """The signals that came since the last call."""
        caught, self._signals = self._signals, []
        return caught

    def end(self) -> None:
        """Return from `run` after this turn."""
        self._is_ended = True

    def run(self, turn: Callable[[], float | None]) -> None:
        """Run turns until `end`. ``turn`` gives back the next deadline (monotonic), or None."""
        while True:
            deadline = turn()
            if self._is_ended:
                return
            timeout_s = -1.0 if deadline is None else max(deadline - self._clock.monotonic(), 0.0)
            for fd, _ in self._epoll.poll(timeout_s):
                # An earlier callback of this round may have closed it.
                callback = self._callbacks.get(fd)
                if callback is not None:
                    callback()

    def close(self) -> None:
        """Let go of the descriptors."""
        signal.set_wakeup_fd(-1)
        os.close(self._wakeup)
        os.close(self._wakeup_write)
        self._epoll.close()


def _leave_to_the_loop(_number: int, _frame: object) -> None:
    """The wakeup descriptor has taken the signal."""
