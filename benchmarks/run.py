"""Taking a measure: every contestant in turn, several times, and what comes out of it."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import ContestantFailed, Kind, Round
from jobctl.errors import JobctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.measure import Contestant, Figures, Measure, Metric
    from benchmarks.peers import Peers


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The figures of all rounds: their median, the least and the greatest."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """The spread of at least one figure."""
        return cls(
            median=statistics.median(figures),
            low=min(figures),
            high=max(figures),
            rounds=len(figures),
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one contestant reached: a spread for each metric it has, or the reason why there is none."""

    contestant: Contestant
    spreads: dict[str, Spread]
    why_missing: str | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A budget compared with what was reached. ``bound`` has the unit of the metric."""

    measure: Measure
    metric: Metric
    contestant: Contestant
    reached: float
    bound: float

    @property
    def is_met(self) -> bool:
        """The figure keeps to the budget."""
        return self.reached >= self.bound if self.metric.is_rate else self.reached <= self.bound


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A measure that was taken: a row for each contestant, in the order of the measure."""

    measure: Measure
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of a contestant. Raises KeyError."""
        return {row.contestant.name: row for row in self.rows}[name]

    def judge(self) -> list[Judgement]:
        """Every budget of this measure, for each contestant of jobctl that has the figure.

        Raises:
            KeyError: the contestant that a budget is a multiple of was not measured.
        """
        found = []
        for metric in self.measure.metrics:
            budget = metric.budget
            if budget is None:
                continue
            for row in self.rows:
                if row.contestant.kind is not Kind.JOBCTL or metric.name not in row.spreads:
                    continue
                unit = 1.0
                if budget.of is not None:
                    unit = self.row(budget.of).spreads[metric.name].median
                found.append(
                    Judgement(
                        measure=self.measure,
                        metric=metric,
                        contestant=row.contestant,
                        reached=row.spreads[metric.name].median,
                        bound=budget.limit * unit,
                    )
                )
        return found


def take(
    measure: Measure,
    *,
    peers: Peers,
    repeat: int,
    is_smoke: bool,
    parent: Path | None,
    tell: Callable[[str], None],
) -> Outcome:
    """Let every contestant do the work ``repeat`` times, in turn.

    Each round begins with another contestant, so that none always follows the same one. ``parent`` is
    where their folders are made (None: the usual place for temporary files); ``tell`` hears of each
    turn. Without ``peers.are_wanted`` peers are left out.

    Raises:
        ContestantFailed: jobctl or a limit of the machine failed. A peer that fails gets a row that
            says so.
    """
    contestants = [c for c in measure.contestants if c.kind is not Kind.PEER or peers.are_wanted]
    missing = {c.name: why for c in contestants if (why := c.why_missing(peers)) is not None}
    figures: dict[str, list[Figures]] = {c.name: [] for c in contestants}
    for number in range(repeat):
        first = number % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            if contestant.name in missing:
                continue
            tell(f"{measure.name}, round {number + 1} of {repeat}: {contestant.name}")
            try:
                figures[contestant.name].append(_turn(contestant, peers, is_smoke, parent))
            except ContestantFailed as failure:
                if contestant.kind is not Kind.PEER:
                    raise
                missing[contestant.name] = f"failed: {failure}"
    return Outcome(
        measure=measure,
        rows=tuple(
            Row(contestant=c, spreads={}, why_missing=missing[c.name])
            if c.name in missing
            else Row(contestant=c, spreads=_spreads(figures[c.name]))
            for c in contestants
        ),
    )


def _turn(contestant: Contestant, peers: Peers, is_smoke: bool, parent: Path | None) -> Figures:
    folder = Path(tempfile.mkdtemp(prefix="jobctl-bench-", dir=parent))
    try:
        return contestant.run(Round(folder=folder, peers=peers, is_smoke=is_smoke))
    except (TimeoutError, subprocess.CalledProcessError, JobctlError) as error:
        raise ContestantFailed(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _spreads(rounds: Sequence[Figures]) -> dict[str, Spread]:
    return {name: Spread.of([figures[name] for figures in rounds]) for name in rounds[0]}
