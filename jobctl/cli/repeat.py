"""Calls that are made again when the connection breaks: those that a second time cannot harm.

A daemon that is restarted is away for a moment and then knows all it knew (P1, P5). A submit with its
key, a wait and a reading may be asked again; what else there is may not, and does not come here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jobctl.clock import SystemClock
from jobctl.errors import DaemonNotRunning, ProtocolError, Unreachable, VersionMismatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.client import Client
    from jobctl.clock import Clock

PATIENCE_S = 30.0
"""How long a daemon may be away, from the first break to the connection that holds."""
_STEADY_S = 5.0
"""A connection that held for so long was no part of the trouble before it."""
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 -- a command that waits has nothing else to do


class Repeater:
    """Makes a call until it is answered, or until the daemon has been away for too long.

    A daemon that was not there at the beginning is not waited for. Errors that the daemon gives as its
    answer are answers.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        patience_s: float = PATIENCE_S,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = _sleep,
    ) -> None:
        self._connect = connect
        self._patience_s = patience_s
        self._clock = clock or SystemClock()
        self._sleep = sleep

    def run(self, use: Callable[[Client], Any]) -> Any:
        """What ``use`` gives for a connected client; it is called again after each break.

        Raises what the last try raised once patience has run out; then it is not known whether the
        request was done.
        """
        was_there = False
        troubled_since: float | None = None
        pause_s = _FIRST_PAUSE_S
        while True:
            connected_at: float | None = None
            try:
                with self._connect() as client:
                    client.connect()
                    was_there, connected_at = True, self._clock.monotonic()
                    return use(client)
            except (ProtocolError, VersionMismatch):
                raise
            except (Unreachable, DaemonNotRunning) as error:
                if isinstance(error, DaemonNotRunning) and not was_there:
                    raise
                now = self._clock.monotonic()
                # A daemon that ends every connection at once is away as much as one that does not
                # listen; a wait may break many times in a month.
                if connected_at is not None and now - connected_at >= _STEADY_S:
                    troubled_since, pause_s = None, _FIRST_PAUSE_S
                troubled_since = now if troubled_since is None else troubled_since
                if now - troubled_since + pause_s > self._patience_s:
                    raise
            self._sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
