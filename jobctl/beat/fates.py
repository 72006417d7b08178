"""What becomes of the instants that have passed since the watermark: pure, and the same for every kind.

The answer is always some ranges that are passed over, then some instants that are served; in time's
order, without a gap and without an overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Moment

if TYPE_CHECKING:
    from jobctl.schedule import Schedule

GRACE_S: Final = 60
"""How late an instant may be noticed and still be served as if nothing had happened."""

MISSED_LIMIT: Final = 100
"""Most jobs that ``on_missed = "all"`` makes at once; the older instants are recorded as missed."""

NO_DAEMON: Final = "no daemon was running"
COALESCED: Final = "coalesced into the next instant"


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


def fates_of(rule: Schedule, first: Moment, last: Moment, *, now: Moment, on_missed: str) -> Fates:
    """Divide the instants of a rule from ``first`` to ``last``, both instants themselves.

    An instant is missed when it is noticed more than `GRACE_S` after it was due. ``on_missed`` says what
    follows then: ``skip`` nothing, ``once`` one job for the last of them, ``all`` one for each. Of several
    instants within the grace the last one is served.
    """
    grace_begins = now - GRACE_S * SECOND
    if on_missed == "all":
        return _all(rule, first, last)
    if on_missed == "skip" and last < grace_begins:
        return Fates(passed=(Passed(first, last, "missed", NO_DAEMON),))
    if first == last:
        return Fates(served=(last,))
    before_last = rule.previous_before(last)
    assert before_last is not None
    if on_missed == "once" or first >= grace_begins:
        passed = [Passed(first, before_last, "coalesced", COALESCED)]
    elif before_last < grace_begins:
        passed = [Passed(first, before_last, "missed", NO_DAEMON)]
    else:
        last_missed = rule.previous_before(grace_begins)
        assert last_missed is not None
        first_kept = rule.next_after(last_missed)
        assert first_kept is not None
        passed = [
            Passed(first, last_missed, "missed", NO_DAEMON),
            Passed(first_kept, before_last, "coalesced", COALESCED),
        ]
    return Fates(passed=tuple(passed), served=(last,))


def _all(rule: Schedule, first: Moment, last: Moment) -> Fates:
    """Each instant is served, up to a limit; the oldest beyond it are missed."""
    instants = [last]
    before = rule.previous_before(last)
    while before is not None and before >= first and len(instants) < MISSED_LIMIT:
        instants.append(before)
        before = rule.previous_before(before)
    instants.reverse()
    if before is None or before < first:
        return Fates(served=tuple(instants))
    reason = f"more than {MISSED_LIMIT} at once"
    return Fates(passed=(Passed(first, before, "missed", reason),), served=tuple(instants))
