"""What has happened since the daemon's start, counted after each commit.

The hot path pays for little: after a commit the columns that matter are put on a pile, in C, and the pile is
counted when somebody looks or when it has grown. A pile is sorted once and cut at the bounds of its histogram.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import replace
from operator import itemgetter, sub
from typing import TYPE_CHECKING, Final, NamedTuple

from jobctl.clock import SECOND
from jobctl.job import Change
from jobctl.result import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.dispatcher.dispatcher import Effects
    from jobctl.result import Outcome

MOST: Final = 1000
"""So many tasks, and so many queues, have series of their own."""

OTHERS: Final = "(others)"
AD_HOC: Final = "(ad hoc)"
"""Commands that were submitted without a task."""

RUN_BOUNDS_S: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
WAIT_BOUNDS_S: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)

STATES: Final[Mapping[Verdict, str]] = {
    Verdict.SUCCESS: "succeeded",
    Verdict.FAILURE: "failed",
    Verdict.TIMEOUT: "timeout",
    Verdict.CANCELLED: "cancelled",
    Verdict.LOST: "lost",
}

_MOST_COMMITS: Final = 256
_MOST_RUNS: Final = 4096
"""A pile that is larger is counted at once."""

# By their places in `jobctl.engine.base.Done` and `jobctl.store.jobs.Claimed`: by name it costs thrice as much.
_STARTED = itemgetter(2)
_FINISHED = itemgetter(3)
_TASK = itemgetter(7)
_READY = itemgetter(14)


class Histogram:
    """Spans in µs, by upper bounds in seconds that are included."""

    __slots__ = ("_bounds_us", "counts", "total_us")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_us = [round(bound * SECOND) for bound in bounds_s]
        self.counts = [0] * (len(bounds_s) + 1)
        self.total_us = 0

    def note(self, spans_us: list[int]) -> None:
        """Many spans, at least one. They are sorted by this, unless all are short."""
        if min(spans_us) < 0:
            # A clock was set back; no span is shorter than nothing.
            spans_us[:] = [max(span, 0) for span in spans_us]
        self.total_us += sum(spans_us)
        if max(spans_us) <= self._bounds_us[0]:
            self.counts[0] += len(spans_us)
            return
        spans_us.sort()
        below = 0
        for place, bound in enumerate(self._bounds_us):
            upto = bisect_right(spans_us, bound, below)
            self.counts[place] += upto - below
            below = upto
        self.counts[-1] += len(spans_us) - below


class LastRun(NamedTuple):
    """How the newest attempt of a task ended."""

    finished_at: Moment
    duration_us: int | None
    exit_code: int | None
    is_success: bool


class _Pile:
    """What was not counted yet, column by column."""

    __slots__ = ("commits", "ends", "runs", "spans", "tasks", "waits")

    def __init__(self) -> None:
        self.commits = 0
        self.waits: dict[str, list[int]] = defaultdict(list)
        self.tasks: list[str | None] = []
        self.spans: list[int] = []
        self.ends: list[Moment] = []
        self.runs: list[tuple[str | None, Change, Outcome]] = []


class Counts:
    """See the module. ``take`` is called after each commit with what it made true."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], int] = defaultdict(int)
        self.retries: dict[str, int] = defaultdict(int)
        self.fates: dict[tuple[str, str], int] = defaultdict(int)
        self.durations: dict[str, Histogram] = {}
        self.waits: dict[str, Histogram] = {}
        self.cpu_s: dict[str, float] = defaultdict(float)
        self.max_rss_bytes: dict[str, int] = {}
        self.last: dict[str, LastRun] = {}
        self.last_success_at: dict[str, Moment] = {}
        self._pile = _Pile()
        self.is_past_known = False
        """What the store tells of runs before the daemon's start was looked up."""
        self._tasks = {AD_HOC, OTHERS}
        self._queues = {OTHERS}

    def task(self, name: str | None) -> str:
        """The label of a task."""
        return AD_HOC if name is None else _bounded(self._tasks, name)

    def queue(self, name: str) -> str:
        """The label of a queue."""
        return _bounded(self._queues, name)

    def take(self, effects: Effects) -> None:
        """Note what a commit has made true."""
        pile = self._pile
        for queue, moment, claimed in effects.claims:
            pile.waits[queue].extend(map(moment.__sub__, map(_READY, claimed)))
        for done in effects.done:
            pile.tasks.extend(map(_TASK, done))
            ends = list(map(_FINISHED, done))
            pile.ends += ends
            pile.spans.extend(map(sub, ends, map(_STARTED, done)))
        if effects.runs:
            # Without what the attempt wrote or returned: that may be long.
            pile.runs += [
                (task, change, replace(outcome, output=b"", stderr=b"", result=None, error=None))
                for task, change, outcome in effects.runs
            ]
        pile.commits += 1
        if pile.commits >= _MOST_COMMITS or len(pile.ends) >= _MOST_RUNS:
            self.count()

    def count(self) -> None:
        """Count what lies on the pile. Whoever looks calls it first."""
        pile, self._pile = self._pile, _Pile()
        for queue, spans in pile.waits.items():
            label = self.queue(queue)
            found = self.waits.get(label)
            if found is None:
                found = self.waits[label] = Histogram(WAIT_BOUNDS_S)
            found.note(spans)
        if pile.ends:
            self._count_done(pile)
        for task, change, outcome in pile.runs:
            self._count_run(self.task(task), change, outcome)

    def take_fates(self, fates: Mapping[tuple[str, str], int]) -> None:
        """Count instants that made no job, by task and fate."""
        for (task, fate), count in fates.items():
            self.fates[self.task(task), fate] += count

    def remember(self, task: str, run: LastRun) -> None:
        """A run from before the daemon's start; the newest first. What has happened since counts more."""
        self._note_last(self.task(task), run)

    def _count_done(self, pile: _Pile) -> None:
        names = set(pile.tasks)
        if len(names) == 1:
            self._count_succeeded(names.pop(), pile.spans, pile.ends)
            return
        spans: dict[str | None, list[int]] = {name: [] for name in names}
        ends: dict[str | None, list[Moment]] = {name: [] for name in names}
        for name, span, end in zip(pile.tasks, pile.spans, pile.ends, strict=True):
            spans[name].append(span)
            ends[name].append(end)
        for name in names:
            self._count_succeeded(name, spans[name], ends[name])

    def _count_succeeded(self, name: str | None, spans: list[int], ends: Sequence[Moment]) -> None:
        task = self.task(name)
        self.runs[task, "succeeded"] += len(ends)
        self._note_last(task, LastRun(ends[-1], max(spans[-1], 0), None, is_success=True))
        self._durations_of(task).note(spans)

    def _count_run(self, task: str, change: Change, outcome: Outcome) -> None:
        state = STATES.get(outcome.verdict)
        if state is None:
            return
        self.runs[task, state] += 1
        if change is Change.TRY_AGAIN:
            self.retries[task] += 1
        duration_us = None
        if outcome.started_at is not None:
            duration_us = max(outcome.finished_at - outcome.started_at, 0)
            self._durations_of(task).note([duration_us])
        if outcome.user_s is not None and outcome.system_s is not None:
            self.cpu_s[task] += outcome.user_s + outcome.system_s
        if outcome.max_rss_bytes is not None:
            self.max_rss_bytes[task] = outcome.max_rss_bytes
        is_success = outcome.verdict is Verdict.SUCCESS
        self._note_last(
            task,
            LastRun(outcome.finished_at, duration_us, outcome.exit_code, is_success=is_success),
        )

    def _note_last(self, task: str, run: LastRun) -> None:
        known = self.last.get(task)
        if known is None or known.finished_at <= run.finished_at:
            self.last[task] = run
        if run.is_success:
            self.last_success_at[task] = max(
                run.finished_at, self.last_success_at.get(task, run.finished_at)
            )

    def _durations_of(self, task: str) -> Histogram:
        found = self.durations.get(task)
        if found is None:
            found = self.durations[task] = Histogram(RUN_BOUNDS_S)
        return found


def _bounded(known: set[str], name: str) -> str:
    if name in known:
        return name
    if len(known) > MOST:
        return OTHERS
    known.add(name)
    return name
