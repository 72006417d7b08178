"""Huey on SQLite as a contestant: what is said about it, and how its driver is started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.crowd import rate_of_crowd
from benchmarks.measure import Contestant, Kind
from benchmarks.peers import needs_package
from benchmarks.processes import ROOT, output_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Figures, Round

CONSUMER = "consumer -w 2 -k process --max-delay 0.1, the other delays as they come"
STORAGE = "SqliteHuey as it comes (WAL, synchronous=FULL), store_none=True"
LOSES = "a job that was taken and whose worker dies is lost"


def environment(turn: Round, *, fsync: bool = True) -> dict[str, str]:
    """What tells the application of Huey where its database is."""
    return {
        "BENCH_HUEY_FILE": str(turn.folder / "huey.db"),
        "BENCH_HUEY_FSYNC": "on" if fsync else "off",
        "PYTHONPATH": str(ROOT),
    }


def drive(turn: Round, work: str, count: int, *, fsync: bool = True) -> Figures:
    """Let the driver do some work in the peers' environment. Raises ContestantFailed."""
    said = output_of(_argv(turn, work, count), env=environment(turn, fsync=fsync))
    figures: dict[str, float] = json.loads(said)
    return figures


def crowd(turn: Round, clients: int, count: int) -> float:
    """Submits a second of many processes at once. Raises ContestantFailed."""
    return rate_of_crowd(clients, count, _argv(turn, "crowd", count), env=environment(turn))


def _argv(turn: Round, work: str, count: int) -> list[str]:
    log = turn.folder / "log"
    return [str(turn.peers.python), "-m", "benchmarks.huey_driver", work, str(count), str(log)]


def on_sqlite(settings: str, run: Callable[[Round], Figures], *, name: str = "Huey") -> Contestant:
    """The contestant."""
    return Contestant(
        name=name,
        kind=Kind.PEER,
        settings=settings,
        run=run,
        why_missing=needs_package("huey"),
    )
