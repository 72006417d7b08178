"""Function jobs while their workers are killed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.measure import Contestant, ContestantFailed, Kind, Measure, Metric
from benchmarks.processes import cpu_ns_of
from benchmarks.queues import MOST_KILLS
from benchmarks.waiting import pause
from jobctl.protocol import requests

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

FRAME = 1000
"""Jobs in one request of a bulk submit."""
EVERY_S = 1.0
_LIMIT_S = 300.0

_TASK = """
[tasks.retried]
function = "benchmarks.tasks:noop"
on_lost = "retry"
"""


def _jobctl(turn: Round) -> Figures:
    count = turn.size(300_000, 5_000)
    # The little work of a smoke has ended before a second has passed.
    first_s, most_kills = (0.0, 1) if turn.is_smoke else (EVERY_S, MOST_KILLS)
    with BenchDaemon(turn.folder, parts=(_TASK,)) as daemon:
        daemon.wait(daemon.submit({"task": "retried"}))
        daemon.pause(is_paused=True)
        for _ in range(count // FRAME):
            daemon.submit(*[{"task": "retried"}] * FRAME)
        begin = time.perf_counter()
        daemon.pause(is_paused=False)
        killed = 0
        while (ended := _ended(daemon)) <= count:
            elapsed_s = time.perf_counter() - begin
            if elapsed_s > _LIMIT_S:
                raise ContestantFailed(f"{ended} jobs of {count + 1} have ended")
            if killed < most_kills and elapsed_s > first_s + killed * EVERY_S:
                killed += _kill_a_worker(daemon)
            pause(0.005)
        spent_s = time.perf_counter() - begin
        daemon.expect(count + 1, "SUCCESS")
    if not killed:
        raise ContestantFailed("all jobs had ended before a worker was killed")
    return {"rate": count / spent_s, "kills": killed, "lost": 0}


def _kill_a_worker(daemon: BenchDaemon) -> bool:
    """Kill the one that has worked most; whether there is one."""
    workers = daemon.call(requests.Inspect(what="workers"))["workers"]
    # One that is being born has the number 0 yet, and a signal to 0 goes to ourselves.
    pids = [w["pid"] for w in workers if w["kind"] == "function" and w["pid"] > 0]
    if not pids:
        return False
    with suppress(ProcessLookupError):
        os.kill(max(pids, key=cpu_ns_of), signal.SIGKILL)
    return True


def _ended(daemon: BenchDaemon) -> int:
    return int(daemon.call(requests.Inspect(what="stats"))["ended"])


def _peer(peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    return peers_turn.drive("kills", turn.size(2 * peer.jobs, 50))


KILLS = Measure(
    name="kills",
    title="Function jobs while workers are killed",
    what=(
        "A full queue is worked off by two workers, as under *Function jobs*, while the one that has worked "
        f"most is ended with `kill -9` every second, {MOST_KILLS} times at most.\n"
        "What supervises the workers is started again when it ends.\n"
        "*lost*: jobs that have no result, when for 20 s none has got one."
    ),
    metrics=(
        Metric(name="rate", unit="jobs/s", is_rate=True),
        Metric(name="kills", unit="kills", is_rate=False),
        Metric(name="lost", unit="jobs", is_rate=False),
    ),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings=f'{SETTINGS}; on_lost = "retry"; 300,000 jobs, and a lost one ends the run',
            run=_jobctl,
        ),
        *(
            peer_queues.contestant(peer, _peer, settings=f"{{}}; {2 * peer.jobs:,} jobs")
            for peer in (
                peer_queues.HUEY,
                peer_queues.HUEY_REDIS,
                peer_queues.CELERY_REDIS,
                peer_queues.CELERY_REDIS_LATE,
                peer_queues.RQ,
                peer_queues.DRAMATIQ,
                peer_queues.TASKIQ,
                peer_queues.PROCRASTINATE,
                peer_queues.FLEXIQ,
            )
        ),
    ),
    most_rounds=1,
)
