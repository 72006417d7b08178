"""Latency while there is work: a client that submits by the clock. Works in the environment of a peer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from benchmarks.percentile import percentile
from benchmarks.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable

Job = TypeVar("Job")

_LEAD_NS: Final = 10_000_000


def at_half_load(
    count: int, rate: float, *, submit: Callable[[], Job], result: Callable[[Job], int]
) -> dict[str, float]:
    """Submit ``count`` jobs, ``rate`` / 2 a second; what that load was, in jobs a second, and their
    latencies in ms.

    ``submit`` returns when the queue has the job; ``result`` waits for the moment at which its function
    began, in ns since the epoch. ``rate`` is what they do when the client submits as quickly as it goes.

    A job's latency counts from the moment at which it was due to be submitted. Counted from its submit, it
    would leave out how long a client waits for an answer when the queue stalls, which is what matters.
    """
    load = rate / 2
    begin_ns = time.time_ns() + _LEAD_NS
    moments_ns = [begin_ns + int(number / load * 1e9) for number in range(count)]
    jobs = []
    for moment_ns in moments_ns:
        pause(max(0, moment_ns - time.time_ns()) / 1e9)
        jobs.append(submit())
    late_ms = [(result(job) - due) / 1e6 for job, due in zip(jobs, moments_ns, strict=True)]
    return {
        "load": load,
        "p50": percentile(late_ms, 50),
        "p99": percentile(late_ms, 99),
        "p99.9": percentile(late_ms, 99.9),
    }
