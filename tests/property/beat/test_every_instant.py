"""Whatever happens, every instant of every rule has exactly one fate.

Random histories of one schedule: time passes, turns are taken, refused and left out, the clock is set, the
host sleeps and boots, the daemon restarts, the rule is edited, disabled, paused, removed and put back, jobs
begin and end. The oracle keeps only what was written when each rule came into force, and why it did. It
lists the instants of each by walking them, and compares that list with the rows of the rule, each spread
out into its instants.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.clock import SECOND
from jobctl.schedule import parse_schedule, zone_named
from jobctl.store import rules as rule_rows
from jobctl.store import schedules as schedule_rows
from jobctl.store.database import open_database
from tests.support.beating import Beating
from tests.support.builders import a_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.store.rules import StoredRule
    from jobctl.store.schedules import StoredSchedule

RULES: list[dict[str, object]] = [
    {"every": "30s"},
    {"every": "7m"},
    {"cron": "*/5 * * * *"},
    {"cron": "30 8 * * * 15"},
    {"at": "2027-01-15 10:00"},
    {"every": "2m", "start": "2027-01-15 08:10", "end": "2027-01-15 11:00"},
    {"cron": "*/7 * * * *", "start": "2027-01-15 08:30"},
    {"cron": "@reboot"},
]
SPANS = [0.0, 0.000001, 1.0, 29.999999, 30.0, 59.0, 61.0, 300.0, 3599.0, 7200.0]

STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from(SPANS)),
    st.tuples(st.just("pass"), st.floats(0, 900)),
    st.tuples(st.just("sleep"), st.sampled_from(SPANS)),
    st.tuples(st.just("set"), st.sampled_from([-7200.0, -301.0, -30.0, 45.0, 600.0, 5400.0])),
    st.tuples(st.just("spoil"), st.sampled_from(SPANS)),
    st.tuples(st.just("pass"), st.sampled_from([30.0, 60.0, 420.0])),
    st.tuples(st.just("spoil"), st.sampled_from([30.0, 60.0, 420.0])),
    st.tuples(st.just("suspend"), st.sampled_from(SPANS)),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("boot"), st.sampled_from([0.0, 60.0, 7200.0])),
    st.tuples(st.just("pause"), st.sampled_from([None, 1.0, 60.0, 450.0, 4000.0])),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("zones"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("change"), st.sampled_from(RULES)),
    st.tuples(st.just("drop"), st.none()),
    st.tuples(st.just("max_runs"), st.sampled_from([None, 1, 3])),
    st.tuples(st.just("within"), st.sampled_from([None, "1s", "10m"])),
    st.tuples(st.just("limit"), st.sampled_from([None, 1, 5])),
    st.tuples(st.just("expires"), st.sampled_from([None, "15m", "2h"])),
    st.tuples(st.just("rule"), st.sampled_from(RULES)),
    st.tuples(st.just("enabled"), st.booleans()),
    st.tuples(st.just("remove"), st.none()),
    st.tuples(st.just("overlap"), st.sampled_from(["skip", "queue", "replace", "allow"])),
    st.tuples(st.just("missed"), st.sampled_from(["skip", "once", "all"])),
    st.tuples(st.just("jitter"), st.sampled_from(["0s", "20s", "10m"])),
    st.tuples(st.just("begin"), st.none()),
    st.tuples(st.just("end"), st.none()),
)


_WHEN = ("every", "cron", "at", "start", "end")
_NAMES = {
    "overlap": "on_overlap",
    "missed": "on_missed",
    "within": "missed_within",
    "limit": "missed_limit",
}


@dataclass
class Begun:
    """Why a rule came into force, what was written then, and when the one before was closed."""

    why: str
    keys: dict[str, Any]
    now: int
    closed_at: int
    by: int = 0


@dataclass
class Pause:
    """Instants after ``after`` and up to ``until`` of this rule and later ones make no job. None: open."""

    rule: int
    after: int
    until: int | None

    def is_on(self, now: int) -> bool:
        return self.until is None or self.until > now

    def holds(self, fire: Any) -> bool:
        is_within = self.until is None or fire["first"] <= self.until
        return fire["rule"] >= self.rule and self.after < fire["first"] and is_within


class History:
    """The schedule under test, and the oracle's book."""

    def __init__(self, beating: Beating) -> None:
        self.beating = beating
        self.keys: dict[str, Any] = {"every": "30s"}
        self.is_there = True
        self.begun: list[Begun] = []
        self.removed_at: int | None = None
        self.pauses: list[Pause] = []
        self.apply()

    def apply(self) -> None:
        """Bring what the schedule is now into force, with all of the plan."""
        if self.is_there:
            self.beating.take(a_schedule(**self.keys))
        else:
            self.beating.take()
        self._note("plan")

    def apply_one(self) -> None:
        """Bring what the schedule is now into force, and nothing else."""
        if self.is_there:
            self.beating.add(a_schedule(**self.keys))
        elif "backup" in self.beating.plan.schedules:
            self.beating.drop("backup")
        self._note("plan")

    def restart(self) -> None:
        self.beating.start()
        self.beating.take_again()

    def _row(self) -> StoredSchedule | None:
        return schedule_rows.get(self.beating.database, "backup")

    def _rules(self) -> list[StoredRule]:
        return rule_rows.of_schedule(self.beating.database, "backup")

    def _note(self, why: str, by: int = 0) -> None:
        """Write down which rules have come into force, and why: at most one for each reason."""
        new = len(self._rules()) - len(self.begun)
        assert new in (0, 1)
        now = self.beating.clock.now()
        if new:
            closed_at = now if self.removed_at is None else self.removed_at
            self.begun.append(Begun(why, dict(self.keys), now, closed_at, by))
        if self.is_there:
            self.removed_at = None
        elif self.removed_at is None:
            self.removed_at = now
            self._note_resume(now)

    def _note_pause(self, until: int | None, now: int) -> None:
        row = self._row()
        assert row is not None
        # An instant at the very end counts.
        last = None if until is None else until - 1
        if self.pauses and self.pauses[-1].is_on(now):
            self.pauses[-1].until = last
        else:
            self.pauses.append(Pause(row.rule, now, last))

    def _note_resume(self, now: int) -> None:
        if self.pauses and self.pauses[-1].is_on(now):
            self.pauses[-1].until = now

    def _note_clock(self) -> None:
        """From now on other moments are meant by the same numbers."""
        now = self.beating.clock.now()
        row = self._row()
        # Not by its moments: one that has ended does not begin again when the clock is set back.
        if row is None or row.paused_at is None:
            self.pauses = []
        else:
            self.pauses = [Pause(row.rule, max(now, row.watermark), self.pauses[-1].until)]

    def do(self, what: str, with_what: Any) -> None:
        beating = self.beating
        now = beating.clock.now()
        match what:
            case "pass":
                beating.after(with_what)
            case "sleep":
                beating.clock.advance(with_what)
            case "suspend":
                beating.clock.suspend(with_what)
            case "set":
                beating.clock.step(with_what)
                beating.step()
                self._note("set", round(with_what * SECOND))
                self._note_clock()
            case "spoil":
                beating.clock.advance(with_what)
                beating.spoil()
            case "restart":
                self.restart()
            case "boot":
                beating.clock.boot(with_what)
                beating.boot_id += "+"
                self.restart()
            case "pause" if "backup" in beating.beat.entries():
                beating.pause(until_s=with_what)
                until = None if with_what is None else now + round(with_what * SECOND)
                self._note_pause(until, now)
            case "resume" if "backup" in beating.beat.entries():
                beating.resume()
                self._note_resume(now)
            case "pause" | "resume":
                pass
            case "zones":
                zone_named("UTC").data = with_what
                self.restart()
                self._note("zones")
            case "begin":
                beating.begin_all()
            case "end":
                beating.end_all()
            case "remove":
                self.is_there = not self.is_there
                self.apply()
            case "drop":
                self.is_there = not self.is_there
                self.apply_one()
            case "rule" | "change":
                rest = {name: value for name, value in self.keys.items() if name not in _WHEN}
                self.keys = {**rest, **with_what}
                (self.apply if what == "rule" else self.apply_one)()
            case _:
                name = _NAMES.get(what, what)
                self.keys = {key: value for key, value in self.keys.items() if key != name}
                if with_what is not None:
                    self.keys[name] = with_what
                self.apply()

    # -- what must hold -----------------------------------------------------------------------------

    def check(self) -> None:
        row = self._row()
        rules = self._rules()
        assert len(rules) == len(self.begun)
        fires = self.beating.fires()
        for rule, begun in zip(rules, self.begun, strict=True):
            assert (rule.ends_at is None) is (row is not None and row.rule == rule.number)
            until = rule.ends_at
            if until is None:
                assert row is not None
                until = row.watermark
            mine = [fire for fire in fires if fire["rule"] == rule.number]
            if begun.keys.get("cron") == "@reboot":
                assert all(fire["count"] == 1 for fire in mine)
                continue
            expected = _instants(begun.keys, rule, until)
            assert [at for fire in mine for at in _spread(fire, expected)] == expected
        for earlier, later, begun in zip(rules, rules[1:], self.begun[1:], strict=False):
            self._check_seam(earlier, later, begun)
        if row is not None:
            self._check_runs(row, fires)
        for fire in fires:
            if any(pause.holds(fire) for pause in self.pauses):
                assert fire["fate"] == "held"

    def _check_seam(self, earlier: StoredRule, later: StoredRule, begun: Begun) -> None:
        """A rule goes on where the one before ended, or it begins when it came into force."""
        assert earlier.ends_at is not None
        match begun.why:
            case "set":
                assert later.begins_at - earlier.ends_at == begun.by
                assert later.anchor_at - earlier.anchor_at == begun.by
            case "zones":
                assert later.begins_at == earlier.ends_at
                assert later.anchor_at == earlier.anchor_at
            case _:
                assert later.begins_at in (begun.now, max(begun.now, earlier.ends_at))
                assert earlier.ends_at >= begun.closed_at or "max_runs" in self._keys_of(earlier)

    def _keys_of(self, rule: StoredRule) -> dict[str, Any]:
        return self.begun[rule.number - 1].keys

    def _check_runs(self, row: StoredSchedule, fires: Sequence[Any]) -> None:
        most = self.keys.get("max_runs")
        made = [fire for fire in fires if fire["fate"] == "submitted"]
        assert row.runs <= len(made)
        if most is not None:
            mine = [fire for fire in made if fire["rule"] == row.rule]
            assert len(mine) <= most

    def check_overlap(self) -> None:
        """At most one job of the schedule runs or is ready, and one waits, unless it may overlap."""
        jobs = self.beating.unfinished()
        assert len([job for job in jobs if job.is_held_back]) <= 1
        assert len([job for job in jobs if not job.is_held_back]) <= 1


def _instants(keys: dict[str, Any], rule: StoredRule, until: int) -> list[int]:
    """The instants of what was written, walked one by one."""
    kind, text = next(
        (kind, keys[name])
        for name, kind in (("every", "interval"), ("cron", "crontab"), ("at", "clocked"))
        if name in keys
    )
    bounds = {
        name: parse_schedule("clocked", keys[name]).next_after(0)
        for name in ("start", "end")
        if name in keys
    }
    anchor_at = bounds.get("start") or rule.anchor_at
    walked = parse_schedule(kind, text, anchor_at=anchor_at).between(rule.begins_at, until)
    first, last = bounds.get("start") or 0, bounds.get("end") or 2**62
    return [at for at in walked if first <= at <= last]


def _spread(fire: Any, instants: list[int]) -> list[int]:
    found = [at for at in instants if fire["first"] <= at <= fire["last"]]
    assert (found[0], found[-1], len(found)) == (fire["first"], fire["last"], fire["count"])
    return found


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(STEPS, min_size=5, max_size=40))
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
            zone_named("UTC").reread()


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
            zone_named("UTC").reread()


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
            zone_named("UTC").reread()
