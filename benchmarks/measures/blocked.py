"""What a million jobs that may not start cost those that may."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from benchmarks.daemon import SETTINGS, BenchDaemon, Job
from benchmarks.measure import Budget, Contestant, ContestantFailed, Kind, Measure, Metric
from benchmarks.percentile import percentile
from benchmarks.waiting import pause
from jobctl.protocol import requests

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round

FRAME: Final = 1000
"""Jobs in one request of a bulk submit."""

IDLE_S: Final = 0.002

_TASKS = """
[tasks.locked]
shell = "sleep 86400"
concurrency_key = "{1}"
[tasks.rare]
command = ["true"]
rate_limit = "1/h"
[tasks.parked]
function = "benchmarks.tasks:noop"
queue = "paused"
"""

_BLOCKED: Final[tuple[Job, ...]] = (
    {"task": "locked", "args": ["one"], "typed": True},
    {"task": "rare"},
    {"task": "parked"},
)


def _blocked(turn: Round) -> Figures:
    return _work(turn, turn.size(999_000, 3_000))


def _empty(turn: Round) -> Figures:
    return _work(turn, 0)


def _work(turn: Round, blocked: int) -> Figures:
    count, samples = turn.size(40_000, 2_000), turn.size(1_000, 20)
    with BenchDaemon(turn.folder, parts=(_TASKS,)) as daemon:
        daemon.pause(is_paused=True, queue="paused")
        for job in _BLOCKED if blocked else ():
            for _ in range(blocked // len(_BLOCKED) // FRAME):
                daemon.submit(*([job] * FRAME))
        daemon.wait(daemon.submit({"task": "noop"}))
        # One job of the rate has ended, and one of the key runs.
        before = _ended(daemon)
        begin = time.perf_counter()
        jobs = [{"task": "noop"}] * FRAME
        ids = [job for _ in range(count // FRAME) for job in daemon.submit(*jobs)]
        daemon.wait_for_all(ids, before + count)
        rate = count / (time.perf_counter() - begin)
        latencies_ms = []
        for _ in range(samples):
            pause(IDLE_S)
            submitted = time.time_ns()
            (job,) = daemon.wait(daemon.submit({"task": "stamp"}))
            latencies_ms.append((job["result"] - submitted) / 1e6)
        left = int(daemon.call(requests.List(states=["PENDING"], count=True))["count"])
        if blocked and left != blocked - 2:
            raise ContestantFailed(f"{left} jobs wait of {blocked - 2} that should")
    return {
        "submit → result": rate,
        "p50": percentile(latencies_ms, 50),
        "p99": percentile(latencies_ms, 99),
    }


def _ended(daemon: BenchDaemon) -> int:
    return int(daemon.call(requests.Inspect(what="stats"))["ended"])


BLOCKED = Measure(
    name="blocked",
    title="Beside a million jobs that wait",
    what=(
        "A third of them waits behind one key at its limit, a third for a rate that is used up, a third in a "
        "paused queue.\n"
        "*submit → result*: other jobs, function calls that do nothing, as under *Function jobs*.\n"
        "*p50*, *p99*: how soon an idle worker begins another job, as under *Latency*."
    ),
    metrics=(
        Metric(
            name="submit → result",
            unit="jobs/s",
            is_rate=True,
            budget=Budget(limit=0.8, of="empty store"),
        ),
        Metric(name="p50", unit="ms", is_rate=False, budget=Budget(limit=1.2, of="empty store")),
        Metric(name="p99", unit="ms", is_rate=False, budget=Budget(limit=1.2, of="empty store")),
    ),
    contestants=(
        Contestant(
            name="a million wait",
            kind=Kind.JOBCTL,
            settings=f"{SETTINGS}; 999,000 jobs wait, 40,000 and then 1,000 others run",
            run=_blocked,
        ),
        Contestant(
            name="empty store",
            kind=Kind.RAW,
            settings=f"{SETTINGS}; the same daemon, and nobody waits",
            run=_empty,
        ),
    ),
)
