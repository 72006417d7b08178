"""How soon a system that is half busy starts what it is given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.half_load import at_half_load
from benchmarks.measure import Contestant, Kind, Measure, Metric

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn


def _jobctl(turn: Round) -> Figures:
    count = turn.size(10_000, 100)
    with BenchDaemon(turn.folder) as daemon:
        daemon.wait(daemon.submit({"task": "stamp"}, {"task": "stamp"}))
        begin = time.perf_counter()
        ids = [daemon.submit({"task": "noop"})[0] for _ in range(count)]
        daemon.wait_for_all(ids, count + 2)
        rate = count / (time.perf_counter() - begin)
        return at_half_load(
            count,
            rate,
            submit=lambda: daemon.submit({"task": "stamp"}),
            result=lambda ids: int(daemon.wait(ids)[0]["result"]),
        )


def _peer(peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    return peers_turn.drive("steady", turn.size(min(peer.jobs, 4_000), 20))


STEADY = Measure(
    name="steady",
    title="Steady state",
    what=(
        "One client submits by the clock, at half the rate that it and two workers reach when it submits "
        "one after the other as quickly as it goes: each system at half of its own.\n"
        "*load*: that half.\n"
        "*p50*, *p99*, *p99.9*: from the moment at which a submit was due until the first statement of the "
        "function."
    ),
    metrics=(
        Metric(name="load", unit="jobs/s", is_rate=True),
        Metric(name="p50", unit="ms", is_rate=False),
        Metric(name="p99", unit="ms", is_rate=False),
        Metric(name="p99.9", unit="ms", is_rate=False),
    ),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings=f"{SETTINGS}; 2 workers; 10,000 jobs a round",
            run=_jobctl,
        ),
        *(
            peer_queues.contestant(peer, _peer, settings=f"{{}}; {min(peer.jobs, 4_000):,} jobs")
            for peer in peer_queues.ALL
        ),
    ),
    most_rounds=3,
)
