"""What follows an attempt that did not succeed: again, and when, or the end.

Pure rules; the store writes what they decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobctl.job import Change, Reason
from jobctl.result import Verdict

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, kw_only=True)
class RetryRule:
    """The options of a task that decide about another attempt.

    ``backoff`` 0 keeps the delay, any other value multiplies it by that factor for each failure.
    """

    retries: int = 0
    delay_s: float = 1.0
    backoff: float = 2.0
    max_delay_s: float = 600.0
    jitter: bool = True
    on_lost: str = "fail"
    max_lost: int = 3


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The change that follows an outcome; ``delay_s`` matters for `Change.TRY_AGAIN` only."""

    change: Change
    reason: Reason | None = None
    delay_s: float = 0.0


def decide(
    verdict: Verdict, rule: RetryRule, *, failures: int, losses: int, rng: random.Random
) -> Decision:
    """What becomes of the job.

    Args:
        verdict: how the attempt ended.
        rule: the task's options at the time of the claim.
        failures: failed attempts of this round, this one included.
        losses: lost attempts of this round, this one included. A loss never uses up a retry.
        rng: source of the jitter.
    """
    match verdict:
        case Verdict.SUCCESS:
            return Decision(change=Change.SUCCEED)
        case Verdict.RELEASED:
            return Decision(change=Change.RELEASE)
        case Verdict.CANCELLED:
            return Decision(change=Change.REVOKE, reason=Reason.CANCELLED)
        case Verdict.LOST:
            if rule.on_lost != "retry":
                return Decision(change=Change.FAIL, reason=Reason.LOST)
            if losses >= rule.max_lost:
                return Decision(change=Change.FAIL, reason=Reason.MAX_LOST)
            delay_s = backoff_s(rule, losses, rng)
            return Decision(change=Change.TRY_AGAIN, reason=Reason.LOST, delay_s=delay_s)
        case Verdict.FAILURE | Verdict.TIMEOUT:
            if failures > rule.retries:
                timed_out = verdict is Verdict.TIMEOUT
                return Decision(
                    change=Change.FAIL, reason=Reason.TIMEOUT if timed_out else Reason.FAILED
                )
            delay_s = backoff_s(rule, failures, rng)
            return Decision(change=Change.TRY_AGAIN, reason=Reason.BACKOFF, delay_s=delay_s)


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
