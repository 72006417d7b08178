"""Every measure, in the order of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.measures.blocked import BLOCKED
from benchmarks.measures.commands import COMMANDS
from benchmarks.measures.functions import FUNCTIONS
from benchmarks.measures.idle import IDLE
from benchmarks.measures.latency import LATENCY
from benchmarks.measures.schedules import SCHEDULES
from benchmarks.measures.sleepers import SLEEPERS
from benchmarks.measures.submits import SUBMITS
from benchmarks.measures.verbs import VERBS

if TYPE_CHECKING:
    from benchmarks.measure import Measure

MEASURES: Final[tuple[Measure, ...]] = (
    FUNCTIONS,
    SUBMITS,
    LATENCY,
    COMMANDS,
    VERBS,
    IDLE,
    SLEEPERS,
)

AWAITING_PAGE: Final[tuple[Measure, ...]] = (*SCHEDULES, BLOCKED)
"""Measures that the page does not have yet: they are taken with all others, and move up when it is made
again on a quiet machine."""

UNMEASURED: Final = (
    "1,000,000 queued and 10,000,000 finished jobs: rate within 20 % of an empty store; `status ID` "
    "≤ 5 ms over the process start; restart to first dispatch ≤ 2 s; ≤ 150 MiB",
)
"""Budgets that have no measure yet."""
