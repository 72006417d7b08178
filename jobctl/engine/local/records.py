"""The outcomes that lie in a folder when a daemon begins: those it waits for, and whatever else is there.

The folder of a worker group with a user of its own belongs to that user, who can put anything into it, in
any number. So what belongs to an attempt that is held is read by its name, whatever it costs; of the rest
(outcomes that came too late, or were stored already) no more than a bounded part is. What cannot be read
is told in one line, and goes with its folder when the template has gone.
"""

from __future__ import annotations

import os
import re
from dataclasses import field
from typing import TYPE_CHECKING, Final

from jobctl.engine.local.burial import read_record
from jobctl.errors import ProtocolError
from jobctl.values import dataclass
from jobctl.worker.record import SUFFIX, record_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from jobctl.result import Outcome

_NAME: Final = re.compile(rf"[0-9a-f]{{16}}{re.escape(SUFFIX)}")
_MOST_OTHERS: Final = 1000
_MOST_OTHERS_BYTES: Final = 64 * 1024 * 1024
_SHOWN: Final = 3


@dataclass(kw_only=True)
class Records:
    """What a folder held: ``outcomes``, the names of what could not be read with the first reason, and how
    many were not looked at because there are too many."""

    outcomes: list[Outcome] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    reason: str = ""
    passed_over: int = 0

    def told(self) -> dict[str, object]:
        """What was wrong, as fields of a log line; empty when nothing was."""
        if not self.unreadable and not self.passed_over:
            return {}
        shown = ", ".join(self.unreadable[:_SHOWN])
        more = len(self.unreadable) - _SHOWN
        names = f"{shown} and {more} more" if more > 0 else shown
        return {
            "unreadable": len(self.unreadable),
            "not_read": self.passed_over,
            "names": names,
            "reason": self.reason,
        }


def find_records(outcomes_dir: Path, expected: Collection[int]) -> Records:
    """Read the folder's records: those of the ``expected`` tokens first, then others up to a bound.

    Never raises for what lies there; a folder that is a link, or is not there, holds nothing.
    """
    found = Records()
    if outcomes_dir.is_symlink():
        return found
    try:
        names = [entry.name for entry in os.scandir(outcomes_dir) if _NAME.fullmatch(entry.name)]
    except OSError:
        return found
    tokens = {int(name.removesuffix(SUFFIX), 16) for name in names}
    wanted = tokens & set(expected)
    _read(found, outcomes_dir, sorted(wanted))
    _read(found, outcomes_dir, _within_bounds(found, outcomes_dir, sorted(tokens - wanted)))
    return found


def _within_bounds(found: Records, outcomes_dir: Path, tokens: list[int]) -> Iterable[int]:
    left_bytes = _MOST_OTHERS_BYTES
    for token in tokens[:_MOST_OTHERS]:
        try:
            left_bytes -= (outcomes_dir / record_name(token)).lstat().st_size
        except OSError:
            continue
        if left_bytes < 0:
            found.passed_over += 1
        else:
            yield token
    found.passed_over += len(tokens[_MOST_OTHERS:])


def _read(found: Records, outcomes_dir: Path, tokens: Iterable[int]) -> None:
    for token in tokens:
        try:
            outcome = read_record(outcomes_dir, token)
        except (ProtocolError, OSError) as error:
            found.unreadable.append(record_name(token))
            found.reason = found.reason or str(error)
            continue
        if outcome is not None:
            found.outcomes.append(outcome)
