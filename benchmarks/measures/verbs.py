"""What a person or a script pays for one call of the command line: whole processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.daemon import BenchDaemon
from benchmarks.measure import Budget, Contestant, ContestantFailed, Kind, Measure, Metric
from benchmarks.peers import needs_program
from benchmarks.processes import ENVIRONMENT, seconds_of
from benchmarks.spooler import spooler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

PASS = "python -c pass"  # noqa: S105 -- a statement of Python
METRIC = "whole process"
PEERS = 15
"""They take a quarter of a second each."""


def _jobctl() -> str:
    """The installed command that stands beside this interpreter. Raises ContestantFailed."""
    program = Path(sys.executable).with_name("jobctl")
    if not program.exists():
        raise ContestantFailed(f"jobctl is not installed beside {Path(sys.executable).name}")
    return str(program)


def _median_ms(
    turn: Round, argv: Sequence[str], env: Mapping[str, str], *, full: int = 60
) -> Figures:
    seconds_of(argv, env=env)  # fills the caches, those of Python too
    count = turn.size(full, 2)
    return {METRIC: statistics.median(seconds_of(argv, env=env) for _ in range(count)) * 1e3}


def _pass(turn: Round) -> Figures:
    return _median_ms(turn, [sys.executable, "-c", "pass"], ENVIRONMENT)


def _submit(turn: Round) -> Figures:
    with BenchDaemon(turn.folder) as daemon:
        argv = [_jobctl(), "--socket", str(daemon.socket), "submit", "noop"]
        return _median_ms(turn, argv, ENVIRONMENT)


def _status(turn: Round) -> Figures:
    with BenchDaemon(turn.folder) as daemon:
        (job,) = daemon.submit({"task": "noop"})
        daemon.wait([job])
        argv = [_jobctl(), "--socket", str(daemon.socket), "status", str(job)]
        return _median_ms(turn, argv, ENVIRONMENT)


def _task_spooler(turn: Round) -> Figures:
    with spooler(turn, slots=1) as (program, environment):
        figures = _median_ms(turn, [program, "-n", "true"], environment)
        subprocess.run([program, "-w"], env=environment, stdout=subprocess.PIPE, check=True)
        return figures


def _peer(_peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    environment = {**ENVIRONMENT, **peers_turn.environment}
    return _median_ms(turn, peers_turn.argv("queue.submit('noop')"), environment, full=PEERS)


VERBS = Measure(
    name="verbs",
    title="Hot commands",
    what=(
        "From the start of a process until it is gone, its output dropped; the median of 60 in each "
        "round.\n"
        f"The budget is a multiple of `{PASS}` with the same interpreter in the same environment."
    ),
    metrics=(Metric(name=METRIC, unit="ms", is_rate=False, budget=Budget(limit=2.5, of=PASS)),),
    contestants=(
        Contestant(
            name="jobctl submit",
            kind=Kind.JOBCTL,
            settings="`jobctl submit TASK`: a durable submit, the id is printed",
            run=_submit,
        ),
        Contestant(
            name="jobctl status",
            kind=Kind.JOBCTL,
            settings="`jobctl status ID` of a job that has ended",
            run=_status,
        ),
        Contestant(
            name=PASS,
            kind=Kind.RAW,
            settings="the interpreter starts and ends",
            run=_pass,
        ),
        Contestant(
            name="task-spooler",
            kind=Kind.PEER,
            settings="`tsp -n true`: a client in C; the queue is in memory",
            run=_task_spooler,
            why_missing=needs_program("tsp"),
        ),
        *peer_queues.contestants(
            _peer,
            peer_queues.HUEY,
            peer_queues.RQ,
            peer_queues.CELERY_REDIS,
            settings=f"`python -c` that imports the application and submits; {{}}; the median of {PEERS}",
        ),
    ),
)
