"""What becomes of the instants that have passed since the watermark: pure, and the same for every kind.

The answer is always some ranges that are passed over, then some instants that are served; in time's
order, without a gap and without an overlap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Moment, iso
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.schedule import Schedule

GRACE_S: Final = 60
"""How late an instant may be noticed and still be served as if nothing had happened."""

NO_DAEMON: Final = "no daemon was running"
COALESCED: Final = "coalesced into the next instant"
TOO_OLD: Final = "noticed later than missed_within allows"
EXPIRED: Final = "noticed when its job could not start any more (expires)"
DISABLED: Final = "the schedule was disabled"


@dataclass(frozen=True, slots=True)
class Passed:
    """A closed range of instants that make no job of their own."""

    first: Moment
    last: Moment
    fate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fates:
    """``passed`` comes before ``served`` in time. Both may be empty, not at once."""

    passed: tuple[Passed, ...] = ()
    served: tuple[Moment, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a schedule wants done about instants that were noticed late.

    ``on_missed``: ``skip`` nothing, ``once`` one job for the last of them, ``all`` one for each, but no more
    than ``limit`` at once. ``within_us``: only for those that are no older. ``expires_us``: a job could not
    start any more that long after its instant, so none is made. ``late`` is the reason to be told.
    """

    on_missed: str = "skip"
    within_us: int | None = None
    limit: int = 100
    expires_us: int | None = None
    late: str = NO_DAEMON


def fates_of(rule: Schedule, first: Moment, last: Moment, *, now: Moment, policy: Policy) -> Fates:
    """Divide the instants of a rule from ``first`` to ``last``, both instants themselves.

    An instant is missed when it is noticed more than `GRACE_S` after it was due; what follows then is the
    policy's. Of several instants within the grace the last one is served.
    """
    dropped, remaining = _too_late(rule, first, last, now=now, policy=policy)
    if remaining is None:
        return Fates(passed=dropped)
    found = _of_those_in_time(rule, remaining, last, policy)
    return Fates(passed=(*dropped, *found.passed), served=found.served)


def _too_late(
    rule: Schedule, first: Moment, last: Moment, *, now: Moment, policy: Policy
) -> tuple[tuple[Passed, ...], Moment | None]:
    """The instants that no policy makes up for any more, and the first that is left, if any is."""
    grace_begins = now - GRACE_S * SECOND
    bounds = []
    if policy.on_missed == "skip":
        bounds.append((grace_begins, policy.late))
    elif policy.within_us is not None:
        bounds.append((min(now - policy.within_us, grace_begins), TOO_OLD))
    if policy.expires_us is not None:
        bounds.append((now - policy.expires_us + 1, EXPIRED))
    passed: list[Passed] = []
    for before, reason in sorted(bounds):
        if first >= before:
            continue
        if before > last:
            return (*passed, Passed(first, last, "missed", reason)), None
        until = rule.previous_before(before)
        following = rule.next_after(before - 1)
        assert until is not None
        assert following is not None
        passed.append(Passed(first, until, "missed", reason))
        first = following
    return tuple(passed), first


def _of_those_in_time(rule: Schedule, first: Moment, last: Moment, policy: Policy) -> Fates:
    if policy.on_missed == "all":
        return _all(rule, first, last, policy.limit)
    if first == last:
        return Fates(served=(last,))
    before_last = rule.previous_before(last)
    assert before_last is not None
    return Fates(passed=(Passed(first, before_last, "coalesced", COALESCED),), served=(last,))


def _all(rule: Schedule, first: Moment, last: Moment, limit: int) -> Fates:
    """Each instant is served, up to a limit; the oldest beyond it are missed."""
    instants = [last]
    before = rule.previous_before(last)
    while before is not None and before >= first and len(instants) < limit:
        instants.append(before)
        before = rule.previous_before(before)
    instants.reverse()
    if before is None or before < first:
        return Fates(served=tuple(instants))
    reason = f"more than {limit} at once"
    return Fates(passed=(Passed(first, before, "missed", reason),), served=tuple(instants))


def paused_text(until: Moment | None) -> str:
    """Why an instant was held."""
    return "paused" if until is None else f"paused until {iso(until)}"
