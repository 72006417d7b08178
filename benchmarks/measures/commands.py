"""Commands that do nothing, with their output captured."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.measure import Budget, Contestant, ContestantFailed, Kind, Measure, Metric
from benchmarks.peers import needs_program
from benchmarks.processes import output_of
from benchmarks.spooler import spooler

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

TRUE = "/bin/true"
KEEPERS = 4


def _jobctl(turn: Round) -> Figures:
    count = turn.size(3_000, 50)
    command = {"command": [TRUE], "cwd": "/"}
    with BenchDaemon(turn.folder, commands=KEEPERS) as daemon:
        daemon.wait(daemon.submit(*[command] * KEEPERS))
        begin = time.perf_counter()
        daemon.wait_for_all(daemon.submit(*[command] * count), count + KEEPERS)
        spent = time.perf_counter() - begin
        daemon.expect(count + KEEPERS, "SUCCESS")
    return {"rate": count / spent}


def _xargs(turn: Round) -> Figures:
    count = turn.size(3_000, 50)
    line = f"yes | head -n {count} | xargs -P2 -n1 {TRUE}"
    begin = time.perf_counter()
    output_of(["/bin/sh", "-c", line])
    return {"rate": count / (time.perf_counter() - begin)}


def _python(turn: Round) -> Figures:
    count = turn.size(2_000, 50)

    def run_one(_number: int) -> int:
        return subprocess.run([TRUE], capture_output=True, check=False).returncode

    with ThreadPoolExecutor(2) as pool:
        begin = time.perf_counter()
        codes = list(pool.map(run_one, range(count)))
        spent = time.perf_counter() - begin
    if any(codes):
        raise ContestantFailed(f"{TRUE} failed")
    return {"rate": count / spent}


def _task_spooler(turn: Round) -> Figures:
    count = turn.size(1_000, 20)
    with spooler(turn, slots=2) as (program, environment):
        begin = time.perf_counter()
        for _ in range(count):
            subprocess.run([program, TRUE], env=environment, stdout=subprocess.PIPE, check=True)
        # It waits for the last job; with two slots the one before it may need a moment more.
        subprocess.run([program, "-w"], env=environment, stdout=subprocess.PIPE, check=True)
        return {"rate": count / (time.perf_counter() - begin)}


def _peer(_peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    return peers_turn.drive("commands", turn.size(1_000, 20))


COMMANDS = Measure(
    name="commands",
    title="Command jobs",
    what=(
        f"`{TRUE}`, from the first submit until the last has ended, its output captured unless said "
        "otherwise."
    ),
    metrics=(Metric(name="rate", unit="commands/s", is_rate=True, budget=Budget(limit=1_600)),),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings=(
                f"{SETTINGS}; {KEEPERS} commands at once, submitted in one request; each in a session "
                "of its own, swept when it has ended"
            ),
            run=_jobctl,
        ),
        Contestant(
            name="xargs -P2",
            kind=Kind.RAW,
            settings="output not captured, nothing kept",
            run=_xargs,
            why_missing=lambda _peers: None if os.access("/usr/bin/xargs", os.X_OK) else "missing",
        ),
        Contestant(
            name="Python subprocess",
            kind=Kind.RAW,
            settings="`subprocess.run` with `capture_output` in two threads, nothing kept",
            run=_python,
        ),
        Contestant(
            name="task-spooler",
            kind=Kind.PEER,
            settings="two slots; output into files; the queue is in memory; one process a submit",
            run=_task_spooler,
            why_missing=needs_program("tsp"),
        ),
        *peer_queues.contestants(
            _peer,
            peer_queues.HUEY,
            peer_queues.CELERY_REDIS,
            settings="`subprocess.run` with `capture_output` in a function; {}",
        ),
    ),
)
