"""Metrics besides the socket: a loopback port for Prometheus, and a file for the textfile collector.

Both go by the ``[metrics]`` table of the plan in force. Neither ever stops the daemon or a reload: a port that
is taken or a folder that is full is said in the log, and tried again. The work is done in slices of a turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.clock import earliest
from jobctl.logs import fields, logger
from jobctl.plan.tables import MetricsSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jobctl.clock import Clock
    from jobctl.daemon.loop import Loop
    from jobctl.daemon.metrics.listener import Listener

    Expose = Callable[[bool], Generator[None, None, str]]

RETRY_S: Final = 10.0
"""How long an address that could not be listened at is left alone."""


class Publishing:
    """See the module. ``expose`` begins an exposition, in OpenMetrics if told so."""

    def __init__(self, *, loop: Loop, clock: Clock, expose: Expose) -> None:
        self._loop = loop
        self._clock = clock
        self._expose = expose
        self._settings = MetricsSettings()
        self.is_used = False
        """Something is configured: `step` and `deadline` have something to say."""
        self._listener: Listener | None = None
        self._listen_at: float | None = None
        self._write_at: float | None = None
        self._writing: Generator[None, None, str] | None = None
        self._trouble = ""

    def take_settings(self, settings: MetricsSettings) -> None:
        """Go by these settings from now on."""
        was, self._settings = self._settings, settings
        self.is_used = settings.listen is not None or settings.textfile is not None
        now = self._clock.monotonic()
        if settings.listen != was.listen:
            self._close_listener()
            self._listen_at = now if settings.listen is not None else None
        if (settings.textfile, settings.textfile_every_s) != (was.textfile, was.textfile_every_s):
            self._writing = None
            self._write_at = now if settings.textfile is not None else None

    def step(self, monotonic: float) -> None:
        """Do what is due, and one slice of what is under way."""
        if self._listen_at is not None and self._listen_at <= monotonic:
            self._listen(monotonic)
        if self._listener is not None:
            self._listener.step(monotonic)
        if self._write_at is not None and self._write_at <= monotonic:
            self._write_at = monotonic + self._settings.textfile_every_s
            if self._writing is None:
                self._writing = self._expose(False)
        if self._writing is not None:
            self._go_on_writing(self._writing)

    def deadline(self, monotonic: float) -> float | None:
        """When `step` has something to do, on the monotonic clock; None: nothing."""
        is_busy = self._listener is not None and self._listener.wants_turn
        if is_busy or self._writing is not None:
            return monotonic
        of_listener = None if self._listener is None else self._listener.deadline()
        return earliest(self._listen_at, self._write_at, of_listener)

    @property
    def port(self) -> int | None:
        """The port that is listened at."""
        return None if self._listener is None else self._listener.port

    def close(self) -> None:
        """Let go of the port."""
        self._close_listener()

    def _listen(self, monotonic: float) -> None:
        # Imported where it is asked for: most daemons publish nothing.
        from jobctl.daemon.metrics.listener import Listener

        assert self._settings.listen is not None
        try:
            self._listener = Listener(
                self._settings.listen, loop=self._loop, clock=self._clock, expose=self._expose
            )
        except OSError as error:
            self._complain(
                "the port for metrics cannot be listened at", self._settings.listen, error
            )
            self._listen_at = monotonic + RETRY_S
            return
        self._listen_at = None
        self._trouble = ""

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _go_on_writing(self, writing: Generator[None, None, str]) -> None:
        text: str | None = None
        try:
            next(writing)
        except StopIteration as end:
            text = end.value
        except Exception:  # noqa: BLE001 -- a fault of ours in a metric must not end the daemon
            logger.exception("metrics cannot be put together")
            self._writing = None
        if text is None:
            return
        self._writing = None
        from jobctl.exposition import write_file

        path = self._settings.textfile
        if path is None:
            return
        try:
            write_file(Path(path), text)
        except OSError as error:
            self._complain("the file of metrics cannot be written", path, error)
        else:
            self._trouble = ""

    def _complain(self, what: str, where: str, error: OSError) -> None:
        """Once for each kind of trouble."""
        told = f"{what}: {where}: {error.strerror or error}"
        if told != self._trouble:
            logger.error(what, extra=fields(where=where, reason=error.strerror or str(error)))
            self._trouble = told
