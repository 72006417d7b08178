"""Celery beat and APScheduler as contestants: how their drivers are started."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from benchmarks.peers import needs_package
from benchmarks.processes import ROOT, output_of
from benchmarks.servers import REDIS

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round
    from benchmarks.peers import Peers

_LIMIT_S: Final = 900.0


def celery_beat(turn: Round, work: str, count: int, window_s: int) -> Figures:
    """Let Celery beat do ``spread`` or ``herd``. Raises ContestantFailed."""
    return _drive(turn, "benchmarks.celery_beat_driver", work, count, window_s)


def apscheduler(turn: Round, work: str, count: int, window_s: int) -> Figures:
    """Let APScheduler do ``spread`` or ``herd``. Raises ContestantFailed."""
    return _drive(turn, "benchmarks.apscheduler_driver", work, count, window_s)


def _drive(turn: Round, driver: str, work: str, count: int, window_s: int) -> Figures:
    began_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    argv = [str(turn.peers.python), "-m", driver, work, str(count), str(window_s), str(began_ns)]
    environment = {
        "PYTHONPATH": str(ROOT),
        **REDIS.environment,
        "BENCH_FOLDER": str(turn.folder),
    }
    figures: dict[str, float] = json.loads(output_of(argv, env=environment, limit_s=_LIMIT_S))
    return figures


def why_no_celery(peers: Peers) -> str | None:
    """For `Contestant.why_missing`: Celery must be installed, and a Redis must answer."""
    for package in ("celery", "redis"):
        if (why := needs_package(package)(peers)) is not None:
            return why
    return REDIS.why_missing()
