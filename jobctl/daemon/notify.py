"""Telling a service manager how the daemon fares (sd_notify(3)): one datagram a message.

Own code: it is twenty lines, and the packages for it are dead or need headers.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from jobctl.clock import SECOND, Clock

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class Notifier:
    """Speaks to the manager named in the environment; says nothing when there is none."""

    def __init__(self, environ: MutableMapping[str, str], clock: Clock) -> None:
        # Taken out of the environment: what this process starts must not speak for it.
        self._address = environ.pop("NOTIFY_SOCKET", "")
        watchdog_us = environ.pop("WATCHDOG_USEC", "")
        watchdog_pid = environ.pop("WATCHDOG_PID", str(os.getpid()))
        is_watched = watchdog_us.isdecimal() and watchdog_pid == str(os.getpid())
        # Twice as often as asked for, as sd_watchdog_enabled(3) recommends.
        self.watchdog_s = int(watchdog_us) / SECOND / 2 if is_watched else None
        self._clock = clock
        self._next_ping = clock.monotonic()

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(text.encode(), address)
            except OSError:
                # The manager went away or is being restarted; it asks for nothing either.
                return

    def ready(self, status: str) -> None:
        """The daemon serves; also after a reload."""
        self._send(f"READY=1\nSTATUS={status}\nMAINPID={os.getpid()}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        microseconds = int(self._clock.monotonic() * SECOND)
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self, status: str) -> None:
        """The daemon is on its way out."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def more_time(self, seconds: float) -> None:
        """A drain takes longer than the manager's patience."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * SECOND)}")

    def deadline(self) -> float | None:
        """When the watchdog wants to hear something, on the monotonic clock."""
        return None if self.watchdog_s is None else self._next_ping

    def ping(self) -> None:
        """The daemon works: say so. The caller has checked it."""
        assert self.watchdog_s is not None
        self._next_ping = self._clock.monotonic() + self.watchdog_s
        self._send("WATCHDOG=1")
