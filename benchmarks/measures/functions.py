"""Function jobs that do nothing, from submit to result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.measure import Budget, Contestant, Kind, Measure, Metric

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

FRAME = 1000
"""Jobs in one request of a bulk submit."""


def _jobctl(turn: Round) -> Figures:
    count = turn.size(40_000, 2_000)
    with BenchDaemon(turn.folder) as daemon:
        daemon.wait(daemon.submit({"task": "noop"}))
        begin = time.perf_counter()
        daemon.wait_for_all(_submit(daemon, count), count + 1)
        both = time.perf_counter() - begin

        daemon.pause(is_paused=True)
        ids = _submit(daemon, count)
        begin = time.perf_counter()
        daemon.pause(is_paused=False)
        daemon.wait_for_all(ids, 2 * count + 1)
        drain = time.perf_counter() - begin
        daemon.expect(2 * count + 1, "SUCCESS")
    return {"submit → result": count / both, "drain": count / drain}


def _submit(daemon: BenchDaemon, count: int) -> list[int]:
    jobs = [{"task": "noop"}] * FRAME
    return [job for _ in range(count // FRAME) for job in daemon.submit(*jobs)]


def _peer(peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    return peers_turn.drive("functions", turn.size(peer.jobs, 100))


FUNCTIONS = Measure(
    name="functions",
    title="Function jobs",
    what=(
        "Two worker processes call a function that does nothing.\n"
        "*submit → result*: one client submits while the workers work, until the last result is stored.\n"
        "*drain*: every job is there before the workers begin."
    ),
    metrics=(
        Metric(name="submit → result", unit="jobs/s", is_rate=True, budget=Budget(limit=50_000)),
        Metric(name="drain", unit="jobs/s", is_rate=True),
    ),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings=f"{SETTINGS}; 40,000 jobs, {FRAME:,} in a request; attempts and results kept",
            run=_jobctl,
        ),
        *(
            peer_queues.contestant(peer, _peer, settings=f"{{}}; {peer.jobs:,} jobs")
            for peer in (*peer_queues.ALL, peer_queues.HUEY_UNSYNCED)
        ),
    ),
)
