"""Telling a service manager how the daemon fares (sd_notify(3)): one datagram a message.

Own code: it is a page, and the packages for it are dead or need headers. Without a manager everything
here does nothing.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Clock, earliest

if TYPE_CHECKING:
    from collections.abc import MutableMapping

PATIENCE_ASKED_S: Final = 30.0
"""How much longer than now the manager is asked to wait for the end, each time."""

PATIENCE_AGAIN_S: Final = 10.0
"""How often it is asked while the end is waited for: often enough that a slow turn loses nothing."""

_SEND_S: Final = 1.0
"""A manager that reads nothing must not hold the loop for good."""


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
        self._ask_again_at: float | None = None
        self._status = ""

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(_SEND_S)
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

    def still_stopping(self, status: str) -> None:
        """The end is waited for, and that is meant so: ask for patience. To be called in each turn.

        Sends only when the status is another one, or when it is time to ask again; `deadline` says
        when that is.
        """
        now = self._clock.monotonic()
        if self._ask_again_at is not None and now < self._ask_again_at and status == self._status:
            return
        self._ask_again_at = now + PATIENCE_AGAIN_S
        self._status = status
        self._send(f"EXTEND_TIMEOUT_USEC={int(PATIENCE_ASKED_S * SECOND)}\nSTATUS={status}")

    def deadline(self) -> float | None:
        """When the manager has to hear something, on the monotonic clock; None: never."""
        return earliest(
            self._ask_again_at if self._address else None,
            self._next_ping if self.watchdog_s is not None else None,
        )

    @property
    def is_ping_due(self) -> bool:
        """The watchdog wants to hear that the daemon works."""
        return self.watchdog_s is not None and self._clock.monotonic() >= self._next_ping

    def ping(self) -> None:
        """The daemon works: say so. The caller has checked it."""
        assert self.watchdog_s is not None
        self._next_ping = self._clock.monotonic() + self.watchdog_s
        self._send("WATCHDOG=1")
