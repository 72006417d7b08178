"""What is said about a line, and the verdict that follows from it."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """What the import of a line came to. The words are part of ``--json`` and stay as they are."""

    CLEAN = "clean"
    """It means the same here."""
    NOTE = "note"
    """It is written, and a person should read what is said about it."""
    DECISION = "decision"
    """It is written as a comment: a person has to decide."""
    DEAD = "dead"
    """It never ran under cron either, or does nothing there: it is not written."""


class Weight(IntEnum):
    """How much a remark says about its line."""

    INFO = 0
    """Worth knowing; the verdict stays."""
    NOTE = 1
    DECISION = 2
    DEAD = 3


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One sentence or two about a line. ``offer`` is TOML that could be written instead, on one line."""

    weight: Weight
    text: str
    offer: str = ""


def info(text: str, offer: str = "") -> Remark:
    """Worth knowing."""
    return Remark(weight=Weight.INFO, text=text, offer=offer)


def note(text: str, offer: str = "") -> Remark:
    """Should be read."""
    return Remark(weight=Weight.NOTE, text=text, offer=offer)


def decision(text: str, offer: str = "") -> Remark:
    """Has to be decided."""
    return Remark(weight=Weight.DECISION, text=text, offer=offer)


def dead(text: str, offer: str = "") -> Remark:
    """Why it never ran."""
    return Remark(weight=Weight.DEAD, text=text, offer=offer)


_VERDICTS = {
    Weight.INFO: Verdict.CLEAN,
    Weight.NOTE: Verdict.NOTE,
    Weight.DECISION: Verdict.DECISION,
    Weight.DEAD: Verdict.DEAD,
}


def verdict_of(remarks: Iterable[Remark]) -> Verdict:
    """The verdict of the heaviest remark; clean without any."""
    return _VERDICTS[max((remark.weight for remark in remarks), default=Weight.INFO)]
