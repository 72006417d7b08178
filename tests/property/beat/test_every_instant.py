"""Whatever happens, every instant between creation and watermark has exactly one fate.

Random histories of one schedule: time passes, turns are taken, refused and left out, the clock is set, the
daemon restarts, the rule is edited, disabled, removed and put back, jobs begin and end. The oracle keeps
only which rule was in force from which watermark on, lists the instants of each by walking them, and
compares that list with the rows, each spread out into its instants.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.schedule import Schedule, parse_schedule
from jobctl.store import schedules as schedule_rows
from jobctl.store.database import open_database
from tests.support.beating import Beating
from tests.support.builders import a_schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.store.schedules import StoredSchedule

RULES: list[dict[str, object]] = [
    {"every": "30s"},
    {"every": "7m"},
    {"cron": "*/5 * * * *"},
    {"cron": "30 8 * * * 15"},
    {"at": "2027-01-15 10:00"},
]
SPANS = [0.0, 0.000001, 1.0, 29.999999, 30.0, 59.0, 61.0, 300.0, 3599.0, 7200.0]

STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from(SPANS)),
    st.tuples(st.just("pass"), st.floats(0, 900)),
    st.tuples(st.just("sleep"), st.sampled_from(SPANS)),
    st.tuples(st.just("set"), st.sampled_from([-7200.0, -301.0, -30.0, 45.0, 600.0, 5400.0])),
    st.tuples(st.just("spoil"), st.sampled_from(SPANS)),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("rule"), st.sampled_from(RULES)),
    st.tuples(st.just("enabled"), st.booleans()),
    st.tuples(st.just("remove"), st.none()),
    st.tuples(st.just("overlap"), st.sampled_from(["skip", "queue", "replace", "allow"])),
    st.tuples(st.just("missed"), st.sampled_from(["skip", "once", "all"])),
    st.tuples(st.just("jitter"), st.sampled_from(["0s", "20s", "10m"])),
    st.tuples(st.just("begin"), st.none()),
    st.tuples(st.just("end"), st.none()),
)


@dataclass
class Life:
    """A rule in force: its instants after ``after``, up to ``until`` or, while it is, the watermark."""

    rule: Schedule
    after: int
    until: int | None = None


class History:
    """The schedule under test, and the oracle's book."""

    def __init__(self, beating: Beating) -> None:
        self.beating = beating
        self.keys: dict[str, Any] = {"every": "30s"}
        self.is_there = True
        self.lives: list[Life] = []
        self.row: StoredSchedule | None = None
        self.apply()

    def apply(self) -> None:
        """Bring what the schedule is now into force."""
        before = self._row()
        if self.is_there:
            self.beating.take(a_schedule(**self.keys))
        else:
            self.beating.take()
        self._note(before)

    def restart(self) -> None:
        before = self._row()
        self.beating.start()
        self.beating.take_again()
        self._note(before)

    def _row(self) -> StoredSchedule | None:
        return schedule_rows.all(self.beating.database).get("backup")

    def _note(self, before: StoredSchedule | None) -> None:
        """A rule that is not what it was has ended now, and another may have begun."""
        now = self._row()
        if before is not None and now is not None and before.identity == now.identity:
            return
        if before is not None:
            self.lives[-1].until = max(before.watermark, self.beating.clock.now())
        if now is not None:
            spec = self.beating.plan.schedules["backup"]
            rule = parse_schedule(
                spec.kind,
                spec.expression,
                timezone="UTC",
                anchor_at=now.anchor_at,
                dialect=spec.dialect,
            )
            self.lives.append(Life(rule, now.watermark))

    def do(self, what: str, with_what: Any) -> None:
        beating = self.beating
        match what:
            case "pass":
                beating.after(with_what)
            case "sleep":
                beating.clock.advance(with_what)
            case "set":
                beating.clock.step(with_what)
                beating.step()
            case "spoil":
                beating.clock.advance(with_what)
                beating.spoil()
            case "restart":
                self.restart()
            case "begin":
                beating.begin_all()
            case "end":
                beating.end_all()
            case "remove":
                self.is_there = not self.is_there
                self.apply()
            case "rule":
                self.keys = {**_without_when(self.keys), **with_what}
                self.apply()
            case _:
                name = {"overlap": "on_overlap", "missed": "on_missed"}.get(what, what)
                self.keys[name] = with_what
                self.apply()

    # -- what must hold -----------------------------------------------------------------------------

    def check(self) -> None:
        row = self._row()
        watermark = row.watermark if row is not None else None
        expected = []
        for life in self.lives:
            until = life.until if life.until is not None else watermark
            assert until is not None
            expected += list(life.rule.between(life.after, until))
        found = [instant for fire in self.beating.fires() for instant in self._spread(fire)]
        assert found == expected

    def _spread(self, fire: Mapping[str, Any]) -> list[int]:
        rule = next(
            life.rule
            for life in reversed(self.lives)
            if life.after < fire["first"]
            and life.rule.next_after(fire["first"] - 1) == fire["first"]
        )
        instants = list(rule.between(fire["first"] - 1, fire["last"]))
        assert len(instants) == fire["count"]
        assert instants[-1] == fire["last"]
        return instants

    def check_overlap(self) -> None:
        """At most one job of the schedule runs or is ready, and one waits, unless it may overlap."""
        jobs = self.beating.unfinished()
        assert len([job for job in jobs if job.is_held_back]) <= 1
        assert len([job for job in jobs if not job.is_held_back]) <= 1


def _without_when(keys: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if name not in ("every", "cron", "at")}


@settings(max_examples=300)
@given(st.lists(STEPS, min_size=1, max_size=40))
def test_every_instant_has_exactly_one_fate(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        try:
            history = History(Beating(database))
            for what, with_what in steps:
                history.do(what, with_what)
                history.check()
        finally:
            database.close()


@settings(max_examples=150)
@given(
    st.sampled_from(["skip", "queue", "replace"]),
    st.lists(STEPS.filter(lambda step: step[0] != "overlap"), min_size=1, max_size=40),
)
def test_jobs_of_a_schedule_never_overlap_unless_they_may(
    overlap: str, steps: list[tuple[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        try:
            history = History(Beating(database))
            history.do("overlap", overlap)
            for what, with_what in steps:
                history.do(what, with_what)
                history.check_overlap()
        finally:
            database.close()


def test_a_change_within_one_second_of_a_fire_gives_no_instant_two_fates() -> None:
    """Found by hand: an edit at the very instant, before the turn that would serve it."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        try:
            history = History(Beating(database))
            history.do("sleep", 30.0)
            history.do("rule", {"every": "7m"})
            history.do("rule", {"every": "30s"})
            history.do("pass", 30.0)
            history.check()
        finally:
            database.close()
