"""Outcomes on their way to the store: each is reported once, and kept until it is acknowledged.

An outcome may be heard more than once: from a worker that repeats it to a new daemon, from its record
on disk, from the marks of a dead worker. The first one is passed on; the record goes when the store
has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.engine.base import Settled
from jobctl.engine.local import burial
from jobctl.engine.local.records import find_records
from jobctl.errors import ProtocolError
from jobctl.logs import fields, logger
from jobctl.worker.record import SUFFIX, drop_record

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from jobctl.result import Outcome


class Outbox:
    """See the module."""

    def __init__(self) -> None:
        self._events: list[Settled] = []
        self._reported: set[int] = set()
        self._record_of: dict[int, Path] = {}

    def emit(self, settled: Settled) -> None:
        """Pass outcomes on; those that were reported before are left out."""
        done = [row for row in settled.done if row.token not in self._reported]
        outcomes = [o for o in settled.outcomes if o.token not in self._reported]
        if not done and not outcomes:
            return
        self._reported.update(row.token for row in done)
        self._reported.update(outcome.token for outcome in outcomes)
        self._events.append(Settled(settled.worker, done, outcomes))

    def collect(self) -> list[Settled]:
        """What was passed on since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def has_events(self) -> bool:
        """Something was passed on that nobody has collected."""
        return bool(self._events)

    def has(self, token: int) -> bool:
        """The outcome of this attempt is on its way."""
        return token in self._reported

    def forget(self, settled: Settled) -> None:
        """These outcomes are in the store: their records go."""
        for outcome in settled.outcomes:
            self._reported.discard(outcome.token)
            folder = self._record_of.pop(outcome.token, None)
            if folder is not None:
                drop_record(str(folder), outcome.token)
        self._reported.difference_update(row.token for row in settled.done)

    # -- records ----------------------------------------------------------------------------------

    def read_record(self, outcomes_dir: Path, token: int) -> Outcome | None:
        """The record of an attempt; None when there is none, or none that can be read."""
        try:
            record = burial.read_record(outcomes_dir, token)
        except (ProtocolError, OSError) as error:
            logger.error(
                "an outcome's record cannot be read",
                extra=fields(record=f"{outcomes_dir}/{token:016x}{SUFFIX}", reason=str(error)),
            )
            return None
        if record is not None:
            self._record_of[token] = outcomes_dir
        return record

    def records(self, outcomes_dir: Path, expected: Collection[int]) -> list[Outcome]:
        """The outcomes that lie in a folder; those of the ``expected`` attempts, and others up to a bound."""
        found = find_records(outcomes_dir, expected)
        told = found.told()
        if told:
            logger.error(
                "outcomes' records cannot be read; they go with their folder",
                extra=fields(folder=str(outcomes_dir), **told),
            )
        self._record_of.update(dict.fromkeys((o.token for o in found.outcomes), outcomes_dir))
        return found.outcomes

    def needs(self, outcomes_dir: Path) -> bool:
        """An outcome from this folder is not in the store yet."""
        return any(folder == outcomes_dir for folder in self._record_of.values())
