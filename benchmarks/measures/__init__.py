"""Every measure, in the order of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.measure import Page
from benchmarks.measures.blocked import BLOCKED
from benchmarks.measures.commands import COMMANDS
from benchmarks.measures.coroutines import COROUTINES
from benchmarks.measures.functions import FUNCTIONS
from benchmarks.measures.idle import IDLE
from benchmarks.measures.kills import KILLS
from benchmarks.measures.large_store import LARGE_STORE
from benchmarks.measures.latency import LATENCY
from benchmarks.measures.schedules import SCHEDULES
from benchmarks.measures.sleepers import SLEEPERS
from benchmarks.measures.steady import STEADY
from benchmarks.measures.submits import SUBMITS
from benchmarks.measures.verbs import VERBS

if TYPE_CHECKING:
    from benchmarks.measure import Measure

PAGES: Final[tuple[Page, ...]] = (
    Page(
        file="performance.md",
        title="Performance",
        measures=(FUNCTIONS, SUBMITS, LATENCY, COMMANDS, VERBS, IDLE, SLEEPERS),
    ),
    Page(file="performance-of-schedules.md", title="Performance of schedules", measures=SCHEDULES),
    Page(
        file="performance-of-large-stores.md",
        title="Performance of large stores",
        measures=(LARGE_STORE, BLOCKED),
    ),
)
"""The pages of the manual, each from one run."""

AWAITING_PAGE: Final[tuple[Measure, ...]] = (STEADY, COROUTINES, KILLS)
"""Measures that no page has yet: they are taken with all others, and come to one when it is made again on
a quiet machine."""

MEASURES: Final[tuple[Measure, ...]] = (
    *(measure for page in PAGES for measure in page.measures),
    *AWAITING_PAGE,
)
"""All of them, in this order."""
