"""How soon an idle system starts what it is given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.measure import Budget, Contestant, Kind, Measure, Metric
from benchmarks.percentile import percentile
from benchmarks.waiting import pause

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

IDLE_S = 0.002
JOBS_OF_PEERS = 300
"""Some need a tenth of a second for each."""


def _jobctl(turn: Round) -> Figures:
    count = turn.size(1_000, 20)
    from_submit_ms = []
    from_answer_ms = []
    with BenchDaemon(turn.folder) as daemon:
        daemon.wait(daemon.submit({"task": "stamp"}, {"task": "stamp"}))
        for _ in range(count):
            pause(IDLE_S)
            submitted = time.time_ns()
            ids = daemon.submit({"task": "stamp"})
            answered = time.time_ns()
            (job,) = daemon.wait(ids)
            from_submit_ms.append((job["result"] - submitted) / 1e6)
            from_answer_ms.append((answered - submitted) / 1e6)
    return {
        "p50": percentile(from_submit_ms, 50),
        "p99": percentile(from_submit_ms, 99),
        "answer, p50": percentile(from_answer_ms, 50),
        "answer, p99": percentile(from_answer_ms, 99),
    }


def _peer(_peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    return peers_turn.drive("latency", turn.size(JOBS_OF_PEERS, 5))


LATENCY = Measure(
    name="latency",
    title="Latency",
    what=(
        "An idle system gets one job, and the next one 2 ms after that has ended.\n"
        "*p50*, *p99*: from before the submit until the first statement of the function.\n"
        "*answer*: from before the submit until the client knows that its job is durable."
    ),
    metrics=(
        Metric(name="p50", unit="ms", is_rate=False, budget=Budget(limit=0.5)),
        Metric(name="p99", unit="ms", is_rate=False, budget=Budget(limit=1.0)),
        Metric(name="answer, p50", unit="ms", is_rate=False),
        Metric(name="answer, p99", unit="ms", is_rate=False),
    ),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings=f"{SETTINGS}; 2 workers; 1,000 jobs a round",
            run=_jobctl,
        ),
        *peer_queues.contestants(_peer, settings=f"{{}}; {JOBS_OF_PEERS} jobs a round"),
    ),
)
