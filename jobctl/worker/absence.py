"""The time that a template, a worker or a keeper spends without a daemon, and when it leaves.

All of them outlive their daemon, so that the next one finds them. But a next one need not come: the
service was stopped for good, or its state directory was deleted. Who then has nothing to do leaves by
itself after a while, who has an attempt after its end, and a template after its last child, because
only a parent learns how a process ended.
"""

from __future__ import annotations

import time

from jobctl.worker.record import write_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.worker.instance import Instance


class Absence:
    """Of the daemon. It begins with the instance: the daemon that asked for it may be dead already."""

    __slots__ = ("_instance", "_patience_s", "_until")

    def __init__(self, instance: Instance, patience_s: float) -> None:
        self._instance = instance
        self._patience_s = patience_s
        self._until: float | None = None
        self.begin()

    def begin(self) -> None:
        """There is no daemon from now on. In a state directory that was deleted none will come."""
        wait_s = 0.0 if self._instance.is_deleted else self._patience_s
        self._until = time.monotonic() + wait_s

    def end(self) -> None:
        """A daemon has come."""
        self._until = None

    @property
    def is_over_long(self) -> bool:
        """It has lasted for the whole patience."""
        return self._until is not None and time.monotonic() >= self._until

    @property
    def deadline(self) -> float | None:
        """When `is_over_long` becomes true, on the monotonic clock; None while there is a daemon."""
        return self._until

    def timeout_ms(self) -> int | None:
        """The same as a timeout of poll(2)."""
        if self._until is None:
            return None
        return max(int((self._until - time.monotonic()) * 1000) + 1, 0)

    def leave_record(self, outcomes_dir: str, token: int, text: str) -> bool:
        """Write an outcome down for the next daemon; True when it need not be kept in memory any more.

        That is so, too, when the state directory was deleted: nobody can ever ask for it.
        """
        try:
            try:
                write_record(outcomes_dir, token, text)
            except FileNotFoundError:
                # Perhaps it was moved, with all that is in it.
                template = self._instance.find_directory().rpartition("/")[0]
                write_record(f"{template}/outcomes", token, text)
        except OSError:
            return self._instance.is_deleted
        return True
