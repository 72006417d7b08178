"""Looking up what became of an instant of a schedule.

The answer comes from the rows of fates and from the rules that were in force, never from what the plan says
today: an instant of last night is judged by the rule of last night. Of the plan only the policies are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.beat.entry import State as EntryState
from jobctl.beat.rules import base_of, max_runs_of, rule_of, was_enabled
from jobctl.daemon.handlers.why.asked import Asked, LocalTime
from jobctl.daemon.handlers.why.facts import (
    AbsenceFacts,
    DownFacts,
    FireFacts,
    InstantFacts,
    PauseFacts,
    RuleFacts,
    Standing,
    is_same_second,
)
from jobctl.daemon.handlers.why.jobs import job_facts
from jobctl.daemon.handlers.why.sentences import local_text
from jobctl.schedule import ScheduleError
from jobctl.schedule.words import words_of
from jobctl.schedule.zone import zone_named
from jobctl.store import daemons as daemon_rows
from jobctl.store import fires as fire_rows
from jobctl.store import rules as rule_rows
from jobctl.store import schedules as schedule_rows
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.daemon.handlers.why.facts import JobFacts
    from jobctl.daemon.station import Station
    from jobctl.store.database import Database
    from jobctl.store.rules import StoredRule
    from jobctl.store.schedules import PastSchedule


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A schedule, its rules by number, what was asked about, and the instant that was found."""

    row: PastSchedule
    task: str | None
    rules: Sequence[RuleFacts]
    asked: Asked | None
    at: Moment | None
    rule: RuleFacts | None


def find_instant(
    station: Station, name: str, task: str | None, asked: Moment | LocalTime | None
) -> Found | None:
    """The instant of a schedule at or before a moment; without one the last that was due.

    None: there never was such a schedule. A local time is meant in the zone of the newest rule. Raises
    UsageError: it lies too far away.
    """
    database = station.database
    row = schedule_rows.find(database, name)
    if row is None:
        return None
    now = station.clock.now()
    rules = [rule_facts(rule) for rule in rule_rows.of_schedule(database, name)]
    moment = None
    if isinstance(asked, LocalTime):
        moment = _read(asked, rules, now, zone_of(station, rules))
    elif asked is not None:
        moment = Asked(at=asked)
    until = now if moment is None else _whole_second(moment)
    for rule in reversed(rules):
        at = _instant_of(database, row, rule, until)
        if at is not None:
            return Found(row=row, task=task, rules=rules, asked=moment, at=at, rule=rule)
    return Found(row=row, task=task, rules=rules, asked=moment, at=None, rule=None)


def _read(asked: LocalTime, rules: Sequence[RuleFacts], now: Moment, default_zone: str) -> Asked:
    """What a local time means: in the zone of the rule that was in force then."""
    for rule in reversed(rules):
        if rule.rule is None:
            continue
        moment = asked.in_zone(zone_named(rule.timezone), now)
        if rule.begins_at < moment.at and (rule.ends_at is None or moment.at <= rule.ends_at):
            return moment
    return asked.in_zone(zone_named(default_zone), now)


def _whole_second(asked: Asked) -> Moment:
    """Nobody types microseconds: what was asked about is the second that a clock showed."""
    return asked.at if asked.day is not None else asked.at // 1_000_000 * 1_000_000 + 999_999


def rule_facts(stored: StoredRule) -> RuleFacts:
    """A rule as it is told."""
    base = base_of(stored.identity)
    rule, fault = None, ""
    try:
        rule = rule_of(stored.identity, stored.anchor_at)
    except ScheduleError as error:
        fault = error.message
    return RuleFacts(
        number=stored.number,
        kind=base["kind"],
        expression=base["expression"],
        timezone=base["timezone"],
        begins_at=stored.begins_at,
        ends_at=stored.ends_at,
        anchor_at=stored.anchor_at,
        is_enabled=was_enabled(stored.identity),
        max_runs=max_runs_of(stored.identity),
        rule=rule,
        fault=fault,
    )


def zone_of(station: Station, rules: Sequence[RuleFacts]) -> str:
    """The zone in which moments are told: that of the newest of these rules that is known here."""
    for name in [rule.timezone for rule in reversed(rules)] + [station.plan.settings.timezone]:
        try:
            return zone_named(name or "UTC").name
        except ScheduleError:
            continue
    return "UTC"


def _instant_of(
    database: Database, row: PastSchedule, rule: RuleFacts, until: Moment
) -> Moment | None:
    """The last instant of a rule that is not after a moment."""
    if rule.ends_at is not None:
        until = min(until, rule.ends_at)
    elif _is_done(row, rule):
        # It has made as many jobs as it may: what its rule names later is no instant of it.
        until = min(until, row.watermark)
    if until <= rule.begins_at:
        return None
    if rule.rule is None or rule.rule.is_at_boot:
        # Its rows are all that is known of its instants.
        newest = fire_rows.newest(database, schedule=row.id, rule=rule.number, at=until)
        return None if newest is None else min(newest["last"], until)
    instant = rule.rule.previous_before(until + 1)
    return None if instant is None or instant <= rule.begins_at else instant


def _is_done(row: PastSchedule, rule: RuleFacts) -> bool:
    is_in_force = rule.ends_at is None
    return is_in_force and rule.max_runs is not None and row.runs >= rule.max_runs


def instant_facts(station: Station, found: Found) -> InstantFacts:
    """Everything about the instant that was found."""
    row, at, rule = found.row, found.at, found.rule
    now = station.clock.now()
    asked_at = None if found.asked is None else found.asked.at
    spec = station.plan.schedules.get(row.name)
    entry = station.beat.entries().get(row.name)
    until = now if found.asked is None else _whole_second(found.asked)
    in_force = found.rules[-1] if found.rules and found.rules[-1].ends_at is None else None
    timezone = zone_of(station, found.rules if rule is None else [rule])
    holding = None if rule is None else _row_holding(station.database, row, rule, at)
    fire = None if holding is None else _fire_facts(holding)
    job, job_at, merged_into = _outcome(station, row, holding)
    is_ahead = at is not None and rule is not None and rule.ends_at is None and at > row.watermark
    told = rule or _rule_at(found.rules, until) or in_force
    return InstantFacts(
        schedule=row.name,
        task=found.task,
        timezone=timezone,
        standing=_standing(row, at, fire, is_ahead=is_ahead),
        now=now,
        is_daemon_up=station.ask_stop is not None,
        asked_at=asked_at,
        asked_day=None if found.asked is None else found.asked.day,
        reading=None if found.asked is None else found.asked.reading,
        at=at,
        next_at=_next_after(found, until),
        rule=told,
        now_rule=_other_rule(told, in_force),
        absence=_absence(found, until),
        fire=fire,
        job=job,
        job_at=job_at,
        merged_into=merged_into,
        in_the_way=_in_the_way(station, holding),
        down=_down(station, at) if fire is not None and fire.fate == "missed" else None,
        pause=_pause(row),
        due_at=None if at is None or entry is None else at + entry.delay_us,
        is_done=entry is not None and entry.state is EntryState.DONE,
        pruned_until=row.pruned_until,
        on_overlap=None if spec is None else station.plan.on_overlap_of(spec),
        on_missed=None if spec is None else station.plan.on_missed_of(spec),
        is_exact=_is_exact(found, timezone),
    )


# -- the row ------------------------------------------------------------------------------------------


def _row_holding(
    database: Database, row: PastSchedule, rule: RuleFacts, at: Moment | None
) -> Mapping[str, Any] | None:
    if at is None:
        return None
    newest = fire_rows.newest(database, schedule=row.id, rule=rule.number, at=at)
    return newest if newest is not None and at <= newest["last"] else None


def _fire_facts(row: Mapping[str, Any]) -> FireFacts:
    return FireFacts(
        first=row["first"],
        last=row["last"],
        count=row["count"],
        fate=row["fate"],
        job_id=row["job_id"],
        reason=row["reason"],
    )


def _standing(
    row: PastSchedule, at: Moment | None, fire: FireFacts | None, *, is_ahead: bool
) -> Standing:
    if at is None:
        return Standing.NONE
    if fire is not None:
        return Standing.DECIDED
    if is_ahead:
        return Standing.OPEN
    if row.pruned_until is not None and at < row.pruned_until:
        return Standing.PRUNED
    return Standing.LOST


def _outcome(
    station: Station, row: PastSchedule, holding: Mapping[str, Any] | None
) -> tuple[JobFacts | None, Moment | None, FireFacts | None]:
    """The job that an instant became or shares, the instant of that job, and what it was merged into."""
    if holding is None:
        return None, None, None
    if holding["job_id"] is not None:
        return job_facts(station, holding["job_id"]), None, None
    if holding["fate"] != "coalesced" or holding["earlier_job"] is not None:
        return None, None, None
    following = fire_rows.following(
        station.database, schedule=row.id, rule=holding["rule"], after=holding["last"]
    )
    if following is None:
        return None, None, None
    if following["job_id"] is not None:
        return job_facts(station, following["job_id"]), following["first"], None
    return None, None, _fire_facts(following)


def _in_the_way(station: Station, holding: Mapping[str, Any] | None) -> JobFacts | None:
    if holding is None or holding["earlier_job"] is None:
        return None
    return job_facts(station, holding["earlier_job"])


def _down(station: Station, at: Moment | None) -> DownFacts | None:
    """Who ran around a moment; None if a daemon ran then, or nothing is known."""
    if at is None:
        return None
    before, after = daemon_rows.around(station.database, at)
    next_from = None if after is None else after.began_at
    if before is None:
        return None if next_from is None else DownFacts(next_from=next_from)
    has_stopped = before.stopped_at is not None and before.stopped_at <= at
    was_killed = before.stopped_at is None and (after is not None or station.ask_stop is None)
    if not has_stopped and not was_killed:
        return None
    return DownFacts(ran_from=before.began_at, stopped_at=before.stopped_at, next_from=next_from)


def _pause(row: PastSchedule) -> PauseFacts | None:
    if row.paused_at is None:
        return None
    return PauseFacts(since=row.paused_at, until=row.paused_until)


# -- the rules ----------------------------------------------------------------------------------------


def _rule_at(rules: Sequence[RuleFacts], at: Moment) -> RuleFacts | None:
    """The rule that was in force at a moment; of several the newest. None: none was."""
    for rule in reversed(rules):
        if rule.begins_at < at and (rule.ends_at is None or at <= rule.ends_at):
            return rule
    return None


def _other_rule(rule: RuleFacts | None, in_force: RuleFacts | None) -> RuleFacts | None:
    """The rule in force, if instants lie elsewhere by it than by this one."""
    if rule is None or in_force is None or rule.number == in_force.number:
        return None
    if rule.rule is None or in_force.rule is None:
        is_same = (rule.kind, rule.expression) == (in_force.kind, in_force.expression)
        return None if is_same else in_force
    # By their words: a clock that was set moves the anchor of an interval, and nobody would call that
    # another rule.
    is_same = words_of(rule.rule) == words_of(in_force.rule) and rule.timezone == in_force.timezone
    return None if is_same else in_force


def _next_after(found: Found, at: Moment) -> Moment | None:
    """The first instant after a moment, by the rules that were and are in force."""
    for rule in found.rules:
        is_over = rule.ends_at is not None and rule.ends_at <= at
        if is_over or rule.rule is None or rule.rule.is_at_boot or _is_done(found.row, rule):
            continue
        following = rule.rule.next_after(max(at, rule.begins_at))
        if following is not None and (rule.ends_at is None or following <= rule.ends_at):
            return following
    return None


def _absence(found: Found, at: Moment) -> AbsenceFacts | None:
    """When the schedule was not in force at a moment: since when, until when."""
    is_in_force = bool(found.rules) and found.rules[-1].ends_at is None
    if not found.rules or _rule_at(found.rules, at) is not None:
        return None
    if found.asked is None and is_in_force:
        return None
    before = [rule for rule in found.rules if rule.begins_at < at]
    after = [rule for rule in found.rules if rule.begins_at >= at]
    if not before:
        is_first = found.rules[0].number == 1
        return AbsenceFacts(since=None, until=found.rules[0].begins_at) if is_first else None
    last = before[-1]
    assert last.ends_at is not None
    if not after:
        return AbsenceFacts(since=last.ends_at, until=None)
    following = after[0]
    # Moved as a whole: an interval over which somebody set the clock forward.
    is_clock_set = following.begins_at - last.ends_at == following.anchor_at - last.anchor_at > 0
    is_clock_set = is_clock_set and following.kind == "interval"
    return AbsenceFacts(since=last.ends_at, until=following.begins_at, is_clock_set=is_clock_set)


def _is_exact(found: Found, timezone: str) -> bool:
    if found.asked is None:
        return True
    if found.at is None:
        return False
    if found.asked.day is None:
        return is_same_second(found.at, found.asked.at)
    offset_s = zone_named(timezone).offset_at(found.at // 1_000_000)
    return local_text(found.at + offset_s * 1_000_000).startswith(found.asked.day)
