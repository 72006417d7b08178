"""What is told of an end: plain rules, from what a route knows of a task to what it says and knows then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobctl.clock import SECOND
from jobctl.job import Change
from jobctl.store.troubles import Trouble

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.plan.routes import Route

_EVENTS = {
    Change.SUCCEED: "success",
    Change.FAIL: "failure",
    Change.TRY_AGAIN: "retry",
    Change.REVOKE: "cancelled",
}


class Judgement(NamedTuple):
    """What follows. ``event``: what is told, None for nothing. ``trouble``: what the route knows of the task
    from now on, None when it goes well. ``before`` is what it knew."""

    event: str | None
    trouble: Trouble | None
    before: Trouble | None


def judge(
    route: Route,
    before: Trouble | None,
    change: Change,
    *,
    prints: bool,
    message_id: str,
    now: Moment,
) -> Judgement:
    """Decide what a route tells of the end of an attempt, and remembers.

    ``prints``: the attempt has printed something. ``message_id`` is that of the message, if there is one.
    """
    event: str | None = _EVENTS.get(change)
    trouble = before
    if change is Change.SUCCEED:
        trouble = None
        if before is not None and before.told_at is not None and "recovery" in route.events:
            return Judgement("recovery", None, before)
    elif change is Change.FAIL:
        failures = before.failures + 1 if before is not None else 1
        trouble = _after_failure(route, before, failures, message_id, now)
        if "failure" in route.events and trouble.told_at != now:
            # It is held back on purpose: its output is not told either.
            return Judgement(None, trouble, before)
    if event not in route.events:
        event = "output" if prints and event is not None and "output" in route.events else None
    return Judgement(event, trouble, before)


def _after_failure(
    route: Route, before: Trouble | None, failures: int, message_id: str, now: Moment
) -> Trouble:
    told_at = before.told_at if before is not None else None
    thread = before.thread if before is not None else None
    untold = before.untold if before is not None else 0
    is_early = failures < route.after
    is_repeated = (
        told_at is not None
        and route.repeat_after_s is not None
        # A clock that was set back must not silence a task for ever.
        and 0 <= now - told_at < route.repeat_after_s * SECOND
    )
    if is_early or is_repeated or "failure" not in route.events:
        return Trouble(failures=failures, untold=untold + 1, told_at=told_at, thread=thread)
    return Trouble(failures=failures, told_at=now, thread=thread or message_id)
