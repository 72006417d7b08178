"""What a measure is: work, who does it, which figures come of it, and what they should be.

Plain values; `benchmarks.run` takes measures and `benchmarks.page` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.peers import Peers

Figures: TypeAlias = "Mapping[str, float]"
"""Name of a metric → its figure in the metric's unit. A contestant that cannot be asked for a metric
leaves it out."""


class Kind(Enum):
    """What a contestant is measured for."""

    JOBCTL = "jobctl"
    """The one that has budgets."""
    RAW = "limit"
    """What the machine can do at all, without any queue: it keeps no promise."""
    PEER = "peer"
    """Another program for the same purpose; installed only when peers are asked for."""


class ContestantFailed(Exception):
    """A contestant did not do its work; the text says what was seen."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The bound of a metric: absolute, or a multiple of what another contestant reaches in this run.

    The bound itself is allowed. Whether it is the least or the most follows from the metric.
    """

    limit: float
    of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of a measure. ``is_rate``: more is better; otherwise less is."""

    name: str
    unit: str
    is_rate: bool
    budget: Budget | None = None


@dataclass(frozen=True, kw_only=True)
class Round:
    """One turn of one contestant.

    Attributes:
        folder: its own, empty, removed afterwards; on the file system that is measured; short enough
            for the address of a socket.
        is_smoke: only to see that it works: as little work as possible.
    """

    folder: Path
    peers: Peers
    is_smoke: bool

    def size(self, full: int, smoke: int) -> int:
        """How much work to do."""
        return smoke if self.is_smoke else full


def _present(_peers: Peers) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Somebody who does the work of a measure.

    Attributes:
        settings: how it is set up, above all what survives a loss of power; shown on the page.
        run: does the work once and gives its figures. Raises ContestantFailed.
        why_missing: the reason why it cannot be asked on this machine, or None. It is called after
            peers were installed.
    """

    name: str
    kind: Kind
    settings: str
    run: Callable[[Round], Figures]
    why_missing: Callable[[Peers], str | None] = field(default=_present)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What the contestants of a measure differ in, so that their figures make a line: contestants by the
    names that they have on it, in its order."""

    label: str
    places: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One piece of work that everybody does. ``what`` describes it, one sentence a line.

    ``most_rounds`` is for work that takes minutes: it is not done more often than that. With an ``axis``
    the page has a picture of each metric.
    """

    name: str
    title: str
    what: str
    metrics: tuple[Metric, ...]
    contestants: tuple[Contestant, ...]
    most_rounds: int | None = None
    axis: Axis | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of the manual: measures that are taken in one run. ``file``: beside the other explanations."""

    file: str
    title: str
    measures: tuple[Measure, ...]
