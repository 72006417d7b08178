"""What a system that has nothing to do costs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import BenchDaemon
from benchmarks.measure import Budget, Contestant, ContestantFailed, Kind, Measure, Metric
from benchmarks.processes import pss_mib, spent_by
from benchmarks.waiting import pause
from jobctl.protocol import requests

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

SETTLE_S = 1.0


def _jobctl(turn: Round) -> Figures:
    with BenchDaemon(turn.folder, commands=1) as daemon:
        # Both function workers and the keeper have worked.
        daemon.wait(daemon.submit(*[{"task": "noop"}] * 100, {"command": ["true"], "cwd": "/"}))
        pause(turn.size(10, 2) / 10 * SETTLE_S)
        workers = daemon.call(requests.Inspect(what="workers"))["workers"]
        kinds = sorted(worker["kind"] for worker in workers)
        if kinds != ["function", "function", "keeper"]:
            raise ContestantFailed(f"two workers and a keeper should be idle, not {kinds}")
        pids = daemon.processes()
        # The answer to the last request is behind it: what is spent from here on is idleness.
        pause(0.1)
        before, begin = spent_by(pids), time.perf_counter()
        pause(turn.size(100, 3) / 10)
        after, span_s = spent_by(pids), time.perf_counter() - begin
        return {
            "memory": pss_mib(pids),
            "processor": (after.cpu_ns - before.cpu_ns) / 1e7 / span_s,
            "wake-ups": (after.wakeups - before.wakeups) / span_s,
        }


def _peer(_peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    return peers_turn.drive("idle", turn.size(10, 1))


IDLE = Measure(
    name="idle",
    title="Idle",
    what=(
        "Everything that runs, all processes together, 10 s long, after it has worked.\n"
        "*memory*: PSS, that is, a page that several share counts for each with its part.\n"
        "*processor*: hundredths of one core. *wake-ups*: times that a thread began to run of its own "
        "accord."
    ),
    metrics=(
        Metric(name="memory", unit="MiB", is_rate=False, budget=Budget(limit=40)),
        Metric(name="processor", unit="%", is_rate=False, budget=Budget(limit=0.1)),
        Metric(name="wake-ups", unit="/s", is_rate=False, budget=Budget(limit=1)),
    ),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings="the daemon, both templates, 2 workers and 1 keeper",
            run=_jobctl,
        ),
        *peer_queues.contestants(_peer, settings="{}; without the server"),
    ),
)
