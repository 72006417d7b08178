"""Durable submits: how often a second a client has an answer that it may rely on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from benchmarks import peer_queues
from benchmarks.crowd import rate_of_crowd
from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.measure import Budget, Contestant, Kind, Measure, Metric
from benchmarks.raw_limits import commits_per_second, flushes_per_second, round_trips_per_second

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peer_queues import PeerQueue, Turn

CLIENTS = 16
FRAME = 1000
COMMITS = "SQLite commits"


def _jobctl(turn: Round) -> Figures:
    with BenchDaemon(turn.folder) as daemon:
        daemon.pause(is_paused=True)
        alone = _one_at_a_time(daemon, turn.size(3_000, 50))
        clients, count = turn.size(CLIENTS, 2), turn.size(1_000, 20)
        argv = [sys.executable, "-m", "benchmarks.client_process", str(daemon.socket), str(count)]
        together = rate_of_crowd(clients, count, argv)
        bulk = _bulk(daemon, turn.size(50, 1))
    return {"one at a time": alone, "16 clients": together, "bulk": bulk}


def _one_at_a_time(daemon: BenchDaemon, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        daemon.submit({"task": "noop"})
    return count / (time.perf_counter() - begin)


def _bulk(daemon: BenchDaemon, frames: int) -> float:
    jobs = [{"task": "noop"}] * FRAME
    begin = time.perf_counter()
    for _ in range(frames):
        daemon.submit(*jobs)
    return frames * FRAME / (time.perf_counter() - begin)


def _commits(turn: Round) -> Figures:
    return {
        "one at a time": commits_per_second(turn.folder, turn.size(5_000, 50)),
        "bulk": commits_per_second(turn.folder, turn.size(200, 2), rows=FRAME),
    }


def _flushes(turn: Round) -> Figures:
    return {"one at a time": flushes_per_second(turn.folder, turn.size(5_000, 50))}


def _round_trips(turn: Round) -> Figures:
    return {"one at a time": round_trips_per_second(turn.folder, turn.size(20_000, 200))}


def _peer(peer: PeerQueue, peers_turn: Turn, turn: Round) -> Figures:
    figures = peers_turn.drive("submits", turn.size(min(peer.jobs, 3_000), 50))
    clients, count = turn.size(CLIENTS, 2), turn.size(100, 10)
    return {**figures, "16 clients": peers_turn.crowd(clients, count)}


SUBMITS = Measure(
    name="submits",
    title="Submits",
    what=(
        "Nobody works: the queue is paused.\n"
        "*one at a time*: a client waits for each answer before its next submit.\n"
        "*16 clients*: as many processes do that at once.\n"
        f"*bulk*: one client, {FRAME:,} jobs in each request."
    ),
    metrics=(
        Metric(
            name="one at a time",
            unit="submits/s",
            is_rate=True,
            budget=Budget(limit=0.40, of=COMMITS),
        ),
        Metric(name="16 clients", unit="submits/s", is_rate=True, budget=Budget(limit=15_000)),
        Metric(name="bulk", unit="submits/s", is_rate=True, budget=Budget(limit=100_000)),
    ),
    contestants=(
        Contestant(name="jobctl", kind=Kind.JOBCTL, settings=SETTINGS, run=_jobctl),
        Contestant(
            name=COMMITS,
            kind=Kind.RAW,
            settings=(
                "the same SQLite in the client's own process, write-ahead log, synchronous=FULL, "
                "exclusive; one table without index, 100 bytes a row, one commit for each submit "
                f"(bulk: {FRAME:,} rows a commit)"
            ),
            run=_commits,
        ),
        Contestant(
            name="flushes",
            kind=Kind.RAW,
            settings="4 KiB appended to a file, then fdatasync",
            run=_flushes,
        ),
        Contestant(
            name="socket round trips",
            kind=Kind.RAW,
            settings="a line of 100 bytes to another process and back, nothing done with it",
            run=_round_trips,
        ),
        *peer_queues.contestants(_peer),
    ),
)
