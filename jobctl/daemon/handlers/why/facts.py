"""What an answer to "why" is made of: plain values, without a store and without a clock."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from jobctl.clock import SECOND
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.job import State
    from jobctl.schedule import Schedule
    from jobctl.schedule.reading import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFacts:
    """A job and how it stands.

    Attributes:
        what: its task, or the line of its ad-hoc command.
        reason: why it is where it is, as ``status`` says it; None when there is nothing to say.
        attempts: how many have ended; ``verdict``, ``exit_code`` and ``signal`` are of the last.
        said: the last line of its error, or of its output; empty when it said nothing.
        is_stopping: it was asked to stop and has not ended.
        is_paused: its command runs and stands still.
        is_begun: its attempt has begun; None when nobody can tell (without a daemon).
        eta: when it can begin, if it waits for that.
        earlier: unfinished jobs of its schedule that it waits for.
        paused_at: since when its queue is paused, if that is what it waits for.
        made_for: the schedule and the instant that it was made for.
    """

    id: int
    what: str
    state: State
    queue: str
    submitted_at: Moment
    reason: str | None = None
    eta: Moment | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None
    attempts: int = 0
    verdict: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    said: str = ""
    is_stopping: bool = False
    is_paused: bool = False
    is_begun: bool | None = True
    earlier: tuple[int, ...] = ()
    paused_at: Moment | None = None
    made_for: tuple[str, Moment] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleFacts:
    """A rule and the time it was in force: its instants are those in (``begins_at``, ``ends_at``].

    ``number`` counts the rules of a schedule. ``rule`` is None when its text cannot be understood any
    more; ``fault`` says why.
    """

    number: int
    kind: str
    expression: str
    timezone: str
    begins_at: Moment
    ends_at: Moment | None
    rule: Schedule | None
    anchor_at: Moment = 0
    is_enabled: bool = True
    max_runs: int | None = None
    fault: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FireFacts:
    """The row that holds an instant."""

    first: Moment
    last: Moment
    count: int
    fate: str
    job_id: int | None
    reason: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AbsenceFacts:
    """The schedule was not in force at a moment.

    Attributes:
        since: when it was removed; None: it had not been made.
        until: when it was made or put back; None: it has not been put back.
        is_clock_set: it was never away, but somebody set the clock forward, over that moment.
    """

    since: Moment | None
    until: Moment | None
    is_clock_set: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DownFacts:
    """No daemon ran at a moment.

    Attributes:
        ran_from: when the one before it began to serve; None: there was none, or it was forgotten.
        stopped_at: when that one stopped; None: it was killed, and nobody knows when.
        next_from: when the next one began to serve; None: there has been none.
    """

    ran_from: Moment | None = None
    stopped_at: Moment | None = None
    next_from: Moment | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PauseFacts:
    """A schedule is paused, until a moment or (None) until somebody ends it."""

    since: Moment
    until: Moment | None


class Standing(Enum):
    """What is known of an instant."""

    DECIDED = auto()
    """It has its fate."""
    OPEN = auto()
    """It has passed, and has no fate yet."""
    PRUNED = auto()
    """It had a fate, which retention has removed."""
    LOST = auto()
    """It should have a fate, and has none: a fault that the audit finds, too."""
    NONE = auto()
    """There was no instant before the moment that was asked about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstantFacts:
    """What there is to know about one instant of a schedule.

    Attributes:
        timezone: in which its moments are told.
        asked_at: the moment that was asked about; None: the last instant that was due.
        asked_day: a whole day was asked about: its last instant, as ``2026-11-20``.
        reading: how ``asked_at`` was read from a local time, if it was.
        at: the instant at or before it; None: there was none.
        next_at: the first instant after what was asked about.
        rule: the rule of the instant, else the one in force when it was asked about; None: none was.
        now_rule: the rule in force now, if instants lie elsewhere by it.
        absence: the schedule was not in force at the moment asked about.
        fire: the row that holds the instant.
        job: what the instant became, or whose job it shares; ``job_at`` is the instant of that job.
        merged_into: the row of the instant that it was coalesced into, if that made no job either.
        in_the_way: the job because of which it was skipped or coalesced.
        down: no daemon ran at the time of the instant.
        pause: the schedule is paused now.
        due_at: when the instant is or was to be served: later than ``at`` if there is a jitter.
        is_done: the schedule has made as many jobs as it may.
        on_overlap, on_missed: what the plan says now; None: the schedule is not in the plan.
    """

    schedule: str
    task: str | None
    timezone: str
    standing: Standing
    now: Moment
    is_daemon_up: bool
    asked_at: Moment | None = None
    asked_day: str | None = None
    reading: Reading | None = None
    at: Moment | None = None
    next_at: Moment | None = None
    rule: RuleFacts | None = None
    now_rule: RuleFacts | None = None
    absence: AbsenceFacts | None = None
    fire: FireFacts | None = None
    job: JobFacts | None = None
    job_at: Moment | None = None
    merged_into: FireFacts | None = None
    in_the_way: JobFacts | None = None
    down: DownFacts | None = None
    pause: PauseFacts | None = None
    due_at: Moment | None = None
    is_done: bool = False
    pruned_until: Moment | None = None
    on_overlap: str | None = None
    on_missed: str | None = None
    is_exact: bool = True
    """The instant is what was asked about: no moment was named, or this one to the second, or its day."""


def is_same_second(one: Moment, other: Moment) -> bool:
    """Nobody types microseconds: two moments are the same if a clock to the second shows them so."""
    return one // SECOND == other // SECOND
