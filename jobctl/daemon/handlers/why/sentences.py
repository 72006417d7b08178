"""From facts to sentences. Pure: the same facts give the same words.

Each sentence stands alone on its line, names what it is about, and never guesses: what the store does not
know is not told. Moments are local to the schedule, with their offset, so that nights on which clocks
change can be told apart.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobctl.clock import SECOND
from jobctl.daemon.handlers.why.facts import Standing
from jobctl.job import Reason, State
from jobctl.result import Verdict
from jobctl.schedule.bounded import BoundedSchedule
from jobctl.schedule.crontab import CrontabSchedule
from jobctl.schedule.words import words_of
from jobctl.schedule.zone import zone_named
from jobctl.task.units import format_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobctl.clock import Moment
    from jobctl.daemon.handlers.why.facts import (
        AbsenceFacts,
        DownFacts,
        FireFacts,
        InstantFacts,
        JobFacts,
        RuleFacts,
    )

    Tell = Callable[[Moment], str]


def teller(timezone: str) -> Tell:
    """Tells moments in a zone, to the second: ``2026-11-20 02:30:00+01:00``."""
    zone = zone_named(timezone)

    def tell(moment: Moment) -> str:
        offset_s = zone.offset_at(moment // SECOND)
        sign = "-" if offset_s < 0 else "+"
        hours, minutes = divmod(abs(offset_s) // 60, 60)
        return f"{local_text(moment + offset_s * SECOND)}{sign}{hours:02}:{minutes:02}"

    return tell


def local_text(local_us: int) -> str:
    """A local time to the second: ``2026-11-20 02:30:00``."""
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=local_us // SECOND)
    return whole.replace(tzinfo=None).isoformat(sep=" ")


# -- instants ---------------------------------------------------------------------------------------


def instant_sentences(facts: InstantFacts) -> list[str]:
    """Everything about one instant; at least one sentence."""
    tell = teller(facts.timezone)
    told = _what_was_due(facts, tell)
    if facts.absence is None:
        told += _clock_change(facts, tell)
        told += _rule_since(facts, tell)
        told += _neighbours(facts, tell)
    match facts.standing:
        case Standing.DECIDED:
            assert facts.fire is not None
            told += _fate(facts, facts.fire, tell)
        case Standing.OPEN:
            told += _open(facts, tell)
        case Standing.PRUNED:
            assert facts.pruned_until is not None
            until = tell(facts.pruned_until)
            told.append(
                f"What became of it is not known any more: fates before {until} were removed."
            )
        case Standing.LOST:
            told.append(
                "No fate is recorded for it, which should not be: jobctl schedule audit "
                f"{facts.schedule} tells more."
            )
        case Standing.NONE:
            pass
    return told


def _what_was_due(facts: InstantFacts, tell: Tell) -> list[str]:
    name, zone = f'"{facts.schedule}"', facts.timezone
    words = _words(facts.rule)
    if facts.absence is not None:
        told = _absence(facts, facts.absence, tell)
        if facts.at is not None:
            told.append(f"Its last instant before was {tell(facts.at)}.")
        return told
    if facts.at is not None and facts.is_exact:
        verb = "is" if facts.at > facts.now else "was"
        return [f"{name} {verb} due at {tell(facts.at)} ({zone}): {words}."]
    rule = f"({zone}): its rule is {words}."
    if facts.asked_day is not None:
        return [f"{name} was not due on {facts.asked_day} {rule}"]
    if facts.asked_at is not None:
        verb = "is" if facts.asked_at > facts.now else "was"
        return [f"{name} {verb} not due at {tell(facts.asked_at)} {rule}"]
    return [f"{name} has not been due yet {rule}"]


def _neighbours(facts: InstantFacts, tell: Tell) -> list[str]:
    """The instants around a moment that is none. The one before comes last: what follows is about it."""
    if facts.at is not None and facts.is_exact:
        return []
    told = []
    if facts.next_at is not None:
        verb = "is" if facts.next_at > facts.now else "was"
        told.append(f"The next instant {verb} {tell(facts.next_at)}.")
    elif facts.is_done:
        told.append("There is no instant after it.")
    if facts.at is not None:
        told.append(f"The last instant before was {tell(facts.at)}.")
    elif facts.asked_at is not None:
        told.append("There was no instant before.")
    return told


def _absence(facts: InstantFacts, absence: AbsenceFacts, tell: Tell) -> list[str]:
    name = f'"{facts.schedule}"'
    if absence.since is None:
        assert absence.until is not None
        told = [f"{name} did not exist then: it was made at {tell(absence.until)}."]
        if facts.next_at is not None:
            verb = "was" if facts.next_at <= facts.now else "is"
            told.append(f"Its first instant {verb} {tell(facts.next_at)}.")
        return told
    if absence.until is None:
        return [f"{name} is not in force any more: it was removed at {tell(absence.since)}."]
    since, until = tell(absence.since), tell(absence.until)
    if absence.is_clock_set:
        return [f"The host never had that time: its clock was set forward, over {name}."]
    return [f"{name} was not in force then: it was removed at {since} and put back at {until}."]


def _words(rule: RuleFacts | None) -> str:
    if rule is None:
        return "unknown"
    if rule.rule is None:
        return f'"{rule.expression}", which cannot be understood any more ({rule.fault})'
    return words_of(rule.rule)


def _rule_since(facts: InstantFacts, tell: Tell) -> list[str]:
    if facts.now_rule is None or facts.rule is None or facts.rule.ends_at is None:
        return []
    now, zone = _words(facts.now_rule), facts.now_rule.timezone
    moved = "" if zone == facts.rule.timezone else f" ({zone})"
    return [f"That was its rule until {tell(facts.rule.ends_at)}; since then it is: {now}{moved}."]


def _crontab_of(rule: RuleFacts | None) -> CrontabSchedule | None:
    found = None if rule is None else rule.rule
    if isinstance(found, BoundedSchedule):
        found = found.rule
    return found if isinstance(found, CrontabSchedule) else None


def _clock_change(facts: InstantFacts, tell: Tell) -> list[str]:
    """What a change of the clocks did to the local time that was asked about, or to the instant."""
    zone, reading, crontab = facts.timezone, facts.reading, _crontab_of(facts.rule)
    told = []
    if reading is not None and reading.skipped_at is not None:
        asked, change = local_text(reading.local_us), tell(reading.skipped_at)
        told.append(
            f"Clocks in {zone} never showed {asked}: they were put forward over it, to {change}."
        )
        if crontab is not None and crontab.rule.is_real_time:
            told.append("With * in its hour field, a rule has no instant in such a gap.")
        elif crontab is not None:
            told.append("Fixed hours that fall into such a gap run once, right after it.")
    elif reading is not None and len(reading.moments) > 1:
        asked = local_text(reading.local_us)
        moments = _and([tell(moment) for moment in reading.moments])
        told.append(f"Clocks in {zone} showed {asked} twice: {moments}.")
        if crontab is not None and crontab.rule.is_real_time:
            told.append("With * in its hour field, a rule is due both times.")
        elif crontab is not None:
            told.append("Of fixed hours the first time counts.")
    elif facts.at is not None and crontab is not None and not crontab.rule.is_real_time:
        told += [
            f"It stands for {local_text(change.first * SECOND)}, which the clocks skipped that day."
            for change in crontab.touched_by_clocks(facts.at - 1, facts.at)
            if change.is_gap
        ]
    return told


def _and(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def _fate(facts: InstantFacts, fire: FireFacts, tell: Tell) -> list[str]:
    match fire.fate:
        case "submitted":
            told = [f"It became job {fire.job_id}."]
            if facts.job is None:
                told.append(f"Job {fire.job_id} has ended and was removed.")
        case "skipped":
            told = _skipped(facts, fire)
        case "coalesced":
            told = _coalesced(facts, fire, tell)
        case "missed":
            told = [f"It was missed: {fire.reason}."]
            if facts.down is not None:
                told += _down(facts.down, tell)
            if facts.on_missed == "skip":
                told.append('It is not made up for, because on_missed is "skip".')
        case _:
            told = [f"It was held: {fire.reason}."]
    if fire.count > 1:
        first, last = tell(fire.first), tell(fire.last)
        told.append(f"The same holds for {fire.count - 1} more, from {first} to {last}.")
    if facts.in_the_way is not None:
        told += job_sentences(facts.in_the_way, tell, is_of_instant=False)
    if facts.job is not None:
        told += job_sentences(facts.job, tell)
    return told


def _skipped(facts: InstantFacts, fire: FireFacts) -> list[str]:
    if facts.in_the_way is None:
        return [f"It was skipped: {fire.reason}."]
    policy = ' and on_overlap is "skip"' if facts.on_overlap == "skip" else ""
    job = facts.in_the_way.id
    return [f"It was skipped, because job {job} of this schedule had not ended{policy}."]


def _coalesced(facts: InstantFacts, fire: FireFacts, tell: Tell) -> list[str]:
    if facts.in_the_way is not None:
        job = facts.in_the_way
        return [f"It made no job of its own: job {job.id} of this schedule waited already."]
    if facts.job is not None and facts.job_at is not None:
        return [f"It shares job {facts.job.id} with the instant {tell(facts.job_at)}."]
    told = [f"It made no job of its own: {fire.reason}."]
    into = facts.merged_into
    if into is not None:
        told.append(f"That was {tell(into.first)}, which was {into.fate}: {into.reason}.")
    return told


def _down(down: DownFacts, tell: Tell) -> list[str]:
    if down.ran_from is None:
        assert down.next_from is not None
        return [f"No daemon is known to have served before {tell(down.next_from)}."]
    if down.stopped_at is not None:
        stopped = tell(down.stopped_at)
        if down.next_from is None:
            return [f"No daemon has served since {stopped}."]
        return [f"No daemon served from {stopped} to {tell(down.next_from)}."]
    began = f"The daemon that served since {tell(down.ran_from)} was killed"
    if down.next_from is None:
        return [f"{began}, and none has served since."]
    return [f"{began}; the next one served from {tell(down.next_from)} on."]


def _open(facts: InstantFacts, tell: Tell) -> list[str]:
    assert facts.at is not None
    if facts.rule is not None and not facts.rule.is_enabled:
        return ["It is held: the schedule is disabled."]
    pause = facts.pause
    if pause is not None and (pause.until is None or facts.at <= pause.until):
        until = "" if pause.until is None else f" until {tell(pause.until)}"
        return [
            f"It is held: the schedule is paused since {tell(pause.since)}{until}.",
            f"jobctl schedule enable {facts.schedule} ends the pause.",
        ]
    if facts.due_at is not None and facts.due_at > facts.now:
        return [f"It is to be served at {tell(facts.due_at)}: jitter moves it by that much."]
    if facts.is_daemon_up:
        return ["Nothing has been decided about it yet: ask again."]
    told = ["Nothing has been decided about it: no daemon is running."]
    match facts.on_missed:
        case "skip":
            told.append('The next daemon will not make it up, because on_missed is "skip".')
        case "once":
            told.append('The next daemon will make one job for all of them: on_missed is "once".')
        case "all":
            told.append('The next daemon will make a job for it: on_missed is "all".')
        case _:
            pass
    return told


# -- jobs -------------------------------------------------------------------------------------------


def job_sentences(job: JobFacts, tell: Tell, *, is_of_instant: bool = True) -> list[str]:
    """How a job stands; at least one sentence. ``is_of_instant``: where it comes from was told before."""
    told = []
    name = f"Job {job.id}"
    if job.made_for is not None and not is_of_instant:
        told.append(f"{name} was made for the instant {tell(job.made_for[1])}.")
    match job.state:
        case State.PENDING:
            told += _waits(job, tell)
        case State.RETRY:
            told.append(f"{name} {_ended_with(job)}, and waits for its next attempt.")
            if job.eta is not None:
                told.append(f"That begins at {tell(job.eta)}.")
            told += _said(job)
        case State.STARTED:
            told += _runs(job, tell)
        case State.SUCCESS:
            assert job.finished_at is not None
            told.append(f"{name} succeeded at {tell(job.finished_at)}{_took(job)}.")
        case State.FAILURE:
            assert job.finished_at is not None
            after = f" after {job.attempts} attempts" if job.attempts > 1 else ""
            how = _ended_with(job)
            why = "" if how == "failed" else f": it {how}"
            told.append(f"{name} failed at {tell(job.finished_at)}{after}{why}.")
            told += _said(job)
            if job.reason == Reason.DEADLINE.value:
                told.append("Its deadline left no time for another attempt.")
        case State.REVOKED:
            assert job.finished_at is not None
            why = f": {job.reason}" if job.reason else ""
            told.append(f"{name} was revoked at {tell(job.finished_at)}{why}.")
    return told


def origin_sentences(job: JobFacts, tell: Tell) -> list[str]:
    """What a job is, and who made it."""
    name = f"Job {job.id} ({job.what})"
    if job.made_for is not None:
        schedule, instant = job.made_for
        return [f'{name} was made for the instant {tell(instant)} of schedule "{schedule}".']
    return [f"{name} was submitted at {tell(job.submitted_at)}."]


def _waits(job: JobFacts, tell: Tell) -> list[str]:
    name = f"Job {job.id}"
    if job.earlier:
        listed = _and([str(each) for each in job.earlier])
        jobs = "job" if len(job.earlier) == 1 else "jobs"
        return [f"{name} waits until {jobs} {listed} of its schedule {_has(job.earlier)} ended."]
    if job.paused_at is not None:
        paused = f'its queue "{job.queue}" is paused since {tell(job.paused_at)}'
        return [
            f"{name} has not begun: {paused}.",
            f"jobctl queue resume {job.queue} lets it go on.",
        ]
    if job.eta is not None:
        return [f"{name} waits for its time: {tell(job.eta)}."]
    if job.reason:
        return [f"{name} has not begun: {job.reason}."]
    if job.is_begun is None:
        return [f"{name} is ready to begin, but no daemon is running."]
    return [f'{name} is ready, and waits for a free worker of queue "{job.queue}".']


def _has(things: tuple[int, ...]) -> str:
    return "has" if len(things) == 1 else "have"


def _runs(job: JobFacts, tell: Tell) -> list[str]:
    name = f"Job {job.id}"
    assert job.started_at is not None
    again = f", attempt {job.attempts + 1}" if job.attempts else ""
    if job.is_begun is False:
        return [
            f"{name} was given to a worker at {tell(job.started_at)} and has not begun yet{again}."
        ]
    told = [f"{name} has been running since {tell(job.started_at)}{again}."]
    if job.is_stopping:
        told.append("It was asked to stop.")
    elif job.is_paused:
        told.append(f'It is paused; "jobctl resume {job.id}" lets it go on.')
    return told


def _ended_with(job: JobFacts) -> str:
    """What the last attempt came to, as what the job did."""
    if job.verdict == Verdict.TIMEOUT:
        return "ran out of time"
    if job.verdict == Verdict.LOST:
        return "was lost with its worker"
    if job.signal is not None:
        return f"was ended by signal {job.signal}"
    if job.exit_code is not None:
        return f"ended with exit code {job.exit_code}"
    return "failed"


def _said(job: JobFacts) -> list[str]:
    return [f"The last it said: {job.said}"] if job.said else []


def _took(job: JobFacts) -> str:
    if job.started_at is None or job.finished_at is None or job.finished_at < job.started_at:
        return ""
    took_us = job.finished_at - job.started_at
    # Nobody wants to read 2h5m17.3s.
    digits = 1_000 if took_us < SECOND else SECOND
    return f" after {format_span(took_us // digits * digits / SECOND)}"
