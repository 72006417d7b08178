"""What follows an attempt that did not succeed: again, and when, or the end.

Pure rules; the store writes what they decide.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND
from jobctl.job import Change, Reason
from jobctl.raised import Ignore, name_of
from jobctl.result import Verdict
from jobctl.task.failures import ON_SIGNAL, ON_TIMEOUT, codes_of
from jobctl.values import dataclass

if TYPE_CHECKING:
    import random

    from jobctl.clock import Moment
    from jobctl.result import Outcome
    from jobctl.task import Task

ASKED_RETRIES: Final = 3
"""How often a function that asks for a retry gets one when neither it nor its task says how often."""

_TIMEOUT_KINDS: Final = ("TimeoutError", "Exception", "BaseException")
"""What an end at the time limit counts as among exceptions. Not OSError, which Python derives TimeoutError
from: whoever retries for trouble with files or the network does not mean a function that takes too long."""

_LATEST: Final = 253_402_300_799 * SECOND
"""The end of the year 9999: what lies later has no date."""


@dataclass(frozen=True, kw_only=True)
class RetryRule:
    """The options of a task that decide about another attempt.

    ``backoff`` 0 keeps the delay, any other value multiplies it by that factor for each failure.
    ``retry_on``, ``autoretry_for`` and ``dont_autoretry_for`` are those of `jobctl.task.Task`.
    """

    retries: int = 0
    delay_s: float = 1.0
    backoff: float = 2.0
    max_delay_s: float = 600.0
    jitter: bool = True
    on_lost: str = "fail"
    max_lost: int = 3
    retry_on: tuple[int | str, ...] = ()
    autoretry_for: tuple[str, ...] = ()
    dont_autoretry_for: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: Task, *, retries: int | None = None) -> RetryRule:
        """That of a task; ``retries`` is what a job was submitted with instead of the task's, or None."""
        return cls(
            retries=task.retries if retries is None else retries,
            delay_s=task.retry_delay_s,
            backoff=float(task.retry_backoff),
            max_delay_s=task.retry_backoff_max_s,
            jitter=task.retry_jitter,
            on_lost=task.on_lost,
            max_lost=task.max_lost,
            retry_on=task.retry_on,
            autoretry_for=task.autoretry_for,
            dont_autoretry_for=task.dont_autoretry_for,
        )


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a function asked for that raised `jobctl.Retry`: seconds from now, or a moment, or neither, which
    means its task's waits; and at most how many retries, or None."""

    delay_s: float | None = None
    at: Moment | None = None
    max_retries: int | None = None

    @classmethod
    def read(cls, text: str) -> Ask:
        """Read the JSON that `jobctl.raised.Retry.to_json` gives; what makes no sense in it is left out.

        It comes from a process of user code.
        """
        try:
            data = json.loads(text)
        except ValueError:
            return cls()
        if not isinstance(data, dict):
            return cls()
        delay_s, at, most = (data.get(name) for name in ("delay_s", "at", "max_retries"))
        if not isinstance(delay_s, int | float) or not math.isfinite(delay_s) or delay_s < 0:
            delay_s = None
        return cls(
            delay_s=delay_s,
            at=at if isinstance(at, int) else None,
            max_retries=most if isinstance(most, int) and most >= 0 else None,
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The change that follows an outcome. For `Change.TRY_AGAIN` the next attempt is due ``delay_s`` from
    now."""

    change: Change
    reason: Reason | None = None
    delay_s: float = 0.0


def decide(
    verdict: Verdict,
    rule: RetryRule,
    *,
    failures: int,
    losses: int,
    rng: random.Random,
    outcome: Outcome | None = None,
    now: Moment = 0,
    deadline_at: Moment | None = None,
) -> Decision:
    """What becomes of the job.

    Args:
        verdict: how the attempt ended, or shall count as having ended.
        rule: the task's options at the time of the end.
        failures: failed attempts of this round, this one included.
        losses: lost attempts of this round, this one included. A loss never uses up a retry.
        rng: source of the jitter.
        outcome: what the attempt came to; without it nothing more is known than the verdict.
        now: the present moment, for a function that asked for a retry at another one.
        deadline_at: no attempt begins at this moment or later. A job whose next one would has failed at once:
            whoever waits for it need not wait for nothing.
    """
    decision = _decide(
        verdict, rule, failures=failures, losses=losses, rng=rng, outcome=outcome, now=now
    )
    if deadline_at is None:
        return decision
    if decision.change is Change.TRY_AGAIN:
        is_over = now + decision.delay_s * SECOND >= deadline_at
    else:
        ended_at = outcome.finished_at if outcome is not None else now
        is_over = decision.reason is Reason.TIMEOUT and ended_at >= deadline_at
    return Decision(change=Change.FAIL, reason=Reason.DEADLINE) if is_over else decision


def _decide(
    verdict: Verdict,
    rule: RetryRule,
    *,
    failures: int,
    losses: int,
    rng: random.Random,
    outcome: Outcome | None,
    now: Moment,
) -> Decision:
    match verdict:
        case Verdict.SUCCESS:
            return Decision(change=Change.SUCCEED)
        case Verdict.RELEASED:
            return Decision(change=Change.RELEASE)
        case Verdict.CANCELLED:
            is_ignored = outcome is not None and name_of(Ignore) in outcome.kinds
            reason = Reason.IGNORED if is_ignored else Reason.CANCELLED
            return Decision(change=Change.REVOKE, reason=reason)
        case Verdict.LOST:
            if rule.on_lost != "retry":
                return Decision(change=Change.FAIL, reason=Reason.LOST)
            if losses >= rule.max_lost:
                return Decision(change=Change.FAIL, reason=Reason.MAX_LOST)
            delay_s = backoff_s(rule, losses, rng)
            return Decision(change=Change.TRY_AGAIN, reason=Reason.LOST, delay_s=delay_s)
        case Verdict.FAILURE | Verdict.TIMEOUT:
            ask = Ask.read(outcome.retry) if outcome is not None and outcome.retry else None
            most = rule.retries
            if ask is not None:
                most = ask.max_retries if ask.max_retries is not None else most or ASKED_RETRIES
            is_meant = ask is not None or is_tried_again(rule, verdict, outcome)
            if failures > most or not is_meant:
                timed_out = verdict is Verdict.TIMEOUT
                return Decision(
                    change=Change.FAIL, reason=Reason.TIMEOUT if timed_out else Reason.FAILED
                )
            asked_s = _asked_s(ask, now) if ask is not None else None
            delay_s = backoff_s(rule, failures, rng) if asked_s is None else asked_s
            return Decision(change=Change.TRY_AGAIN, reason=Reason.BACKOFF, delay_s=delay_s)


def _asked_s(ask: Ask, now: Moment) -> float | None:
    if ask.delay_s is not None:
        return min(ask.delay_s, (_LATEST - now) / SECOND)
    if ask.at is not None:
        return max(min(ask.at, _LATEST) - now, 0) / SECOND
    return None


def is_tried_again(rule: RetryRule, verdict: Verdict, outcome: Outcome | None) -> bool:
    """Whether a failure or an end at the time limit is one of those that the rule means."""
    timed_out = verdict is Verdict.TIMEOUT
    if rule.retry_on:
        if timed_out:
            return ON_TIMEOUT in rule.retry_on
        if outcome is not None and outcome.signal is not None:
            return ON_SIGNAL in rule.retry_on
        return outcome is not None and outcome.exit_code in codes_of(rule.retry_on)
    kinds: tuple[str, ...] = outcome.kinds if outcome is not None else ()
    if timed_out and not kinds:
        kinds = _TIMEOUT_KINDS
    if any(kind in rule.dont_autoretry_for for kind in kinds):
        return False
    return not rule.autoretry_for or any(kind in rule.autoretry_for for kind in kinds)


def backoff_s(rule: RetryRule, nth: int, rng: random.Random) -> float:
    """Seconds before the attempt after the ``nth`` failure (counted from 1).

    With jitter the whole delay is drawn evenly from zero to its limit ("full jitter"), which spreads
    many jobs that failed together better than any fixed share does.
    """
    limit_s = rule.delay_s
    if rule.backoff:
        # The exponent is bounded so that a job with thousands of retries does not overflow a float.
        limit_s *= rule.backoff ** min(nth - 1, 64)
    limit_s = min(limit_s, rule.max_delay_s)
    return rng.uniform(0.0, limit_s) if rule.jitter else limit_s
