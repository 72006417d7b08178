"""A thousand jobs that only wait, in one process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import SETTINGS, BenchDaemon, worker_group
from benchmarks.measure import Contestant, Kind, Measure, Metric
from benchmarks.processes import spent_by

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

COUNT = 1_000
"""Also how many one process holds."""

_TASK = """
[tasks.nap]
function = "benchmarks.naps:nap"
queue = "naps"
"""


def _jobctl(turn: Round) -> Figures:
    count = turn.size(COUNT, 20)
    settings = f'queues = ["naps"]\npool = "async"\nprocesses = 1\nconcurrency = {count}'
    with BenchDaemon(turn.folder, parts=(worker_group("naps", settings), _TASK)) as daemon:
        daemon.wait(daemon.submit({"task": "nap"}))
        pids = daemon.processes()
        before, begin = spent_by(pids), time.perf_counter()
        daemon.wait(daemon.submit(*[{"task": "nap"}] * count))
        span_s, after = time.perf_counter() - begin, spent_by(pids)
        daemon.expect(count + 1, "SUCCESS")
        return {"time": span_s, "processor": (after.cpu_ns - before.cpu_ns) / 1e9}


def _peer(_peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    return peers_turn.drive("coroutines", turn.size(COUNT, 20))


COROUTINES = Measure(
    name="coroutines",
    title="Coroutines",
    what=(
        f"{COUNT:,} jobs that sleep for a second, all at once in one process.\n"
        "*time*: from the first submit until the last has ended; the second that they sleep is in it.\n"
        "*processor*: what all processes but the client and a server spent on it."
    ),
    metrics=(
        Metric(name="time", unit="s", is_rate=False),
        Metric(name="processor", unit="s", is_rate=False),
    ),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings=f'{SETTINGS}; pool = "async", concurrency = {COUNT}; one request',
            run=_jobctl,
        ),
        *(
            peer_queues.contestant(peer, _peer, settings=settings)
            for peer, settings in (
                (
                    peer_queues.CELERY_REDIS_GEVENT,
                    f"a pool of {COUNT} greenlets, the functions plain ones; results in Redis",
                ),
                (peer_queues.TASKIQ, f"max-async-tasks {COUNT}; results in Redis"),
                (peer_queues.PROCRASTINATE, f"concurrency {COUNT}; it stores no results"),
            )
        ),
    ),
)
