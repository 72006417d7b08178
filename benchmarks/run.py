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
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.measure import Budget, Contestant, Figures, Measure, Metric
    from benchmarks.peers import Peers


PEER_ROUNDS = 3
"""How often peers take part at most. There are ten of them, so a whole run is theirs for the most part;
and it is jobctl whose figures are judged."""


@dataclass(frozen=True)
class Spread:
    """The figures of all rounds, in their order; at least one."""

    figures: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure in the middle."""
        return statistics.median(self.figures)

    @property
    def low(self) -> float:
        """The least."""
        return min(self.figures)

    @property
    def high(self) -> float:
        """The greatest."""
        return max(self.figures)

    @property
    def rounds(self) -> int:
        """How many there are."""
        return len(self.figures)

    def ratio_to(self, other: Spread) -> float | None:
        """How many times the other's figure this one is: the median of the ratios of the rounds that both
        have, which are the first ones.

        Not the ratio of the medians: within a round both met the same neighbours on the machine. None
        when the other has a figure that is not above zero.
        """
        if other.low <= 0:
            return None
        pairs = zip(self.figures, other.figures, strict=False)
        return statistics.median(ours / theirs for ours, theirs in pairs)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one contestant reached: a spread for each metric it has, or the reason why there is none."""

    contestant: Contestant
    spreads: dict[str, Spread]
    why_missing: str | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A budget compared with what was reached.

    ``reached`` is what the budget limits: the median, or the ratio to the contestant that it names.
    """

    measure: Measure
    metric: Metric
    contestant: Contestant
    budget: Budget
    median: float
    reached: float

    @property
    def is_met(self) -> bool:
        """The figure keeps to the budget."""
        if self.metric.is_rate:
            return self.reached >= self.budget.limit
        return self.reached <= self.budget.limit


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
                spread = row.spreads[metric.name]
                reached = spread.median
                if budget.of is not None:
                    ratio = spread.ratio_to(self.row(budget.of).spreads[metric.name])
                    assert ratio is not None, f"{budget.of} takes no time at all"
                    reached = ratio
                found.append(
                    Judgement(
                        measure=self.measure,
                        metric=metric,
                        contestant=row.contestant,
                        budget=budget,
                        median=spread.median,
                        reached=reached,
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
    """Let every contestant do the work ``repeat`` times, in turn; less often where the measure says so,
    and peers at most `PEER_ROUNDS` times.

    Each round begins with another contestant, so that none always follows the same one. ``parent`` is
    where their folders are made (None: the usual place for temporary files); ``tell`` hears of each
    turn. Without ``peers.are_wanted`` peers are left out.

    Raises:
        ContestantFailed: jobctl or a limit of the machine failed, or no figure of jobctl is there for a
            metric. A peer that fails gets a row that says so.
    """
    repeat = min(repeat, measure.most_rounds or repeat)
    contestants = [c for c in measure.contestants if c.kind is not Kind.PEER or peers.are_wanted]
    missing = {c.name: why for c in contestants if (why := c.why_missing(peers)) is not None}
    figures: dict[str, list[Figures]] = {c.name: [] for c in contestants}
    for number in range(repeat):
        first = number % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            if contestant.name in missing or number >= _rounds_of(contestant, repeat):
                continue
            tell(f"{measure.name}, round {number + 1} of {repeat}: {contestant.name}")
            try:
                figures[contestant.name].append(_turn(contestant, peers, is_smoke, parent))
            except ContestantFailed as failure:
                if contestant.kind is not Kind.PEER:
                    raise
                missing[contestant.name] = f"failed: {failure}"
    _expect_every_metric(measure, figures)
    return Outcome(
        measure=measure,
        rows=tuple(
            Row(contestant=c, spreads={}, why_missing=missing[c.name])
            if c.name in missing
            else Row(contestant=c, spreads=_spreads(figures[c.name]))
            for c in contestants
        ),
    )


def _rounds_of(contestant: Contestant, repeat: int) -> int:
    return min(repeat, PEER_ROUNDS) if contestant.kind is Kind.PEER else repeat


def _expect_every_metric(measure: Measure, figures: Mapping[str, Sequence[Figures]]) -> None:
    """What is measured of jobctl has no gaps, and nothing takes less than no time."""
    ours = [c.name for c in measure.contestants if c.kind is Kind.JOBCTL]
    reached = {name for one in ours for round_ in figures[one] for name in round_}
    below = {name for one in ours for round_ in figures[one] for name in round_ if round_[name] < 0}
    if ours and (missing := {metric.name for metric in measure.metrics} - reached | below):
        raise ContestantFailed(f"{measure.name} gives no {', '.join(sorted(missing))}")


def _turn(contestant: Contestant, peers: Peers, is_smoke: bool, parent: Path | None) -> Figures:
    folder = Path(tempfile.mkdtemp(prefix="jobctl-bench-", dir=parent))
    try:
        return contestant.run(Round(folder=folder, peers=peers, is_smoke=is_smoke))
    except (TimeoutError, subprocess.CalledProcessError, JobctlError) as error:
        raise ContestantFailed(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _spreads(rounds: Sequence[Figures]) -> dict[str, Spread]:
    return {name: Spread(tuple(figures[name] for figures in rounds)) for name in rounds[0]}
