"""Drives APScheduler for one turn. Runs in the peers' environment:
``-m benchmarks.apscheduler_driver WORK COUNT WINDOW_S BEGAN_NS``.

Prints one JSON object of figures. `benchmarks.schedulers` starts it.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Final

from apscheduler.schedulers.background import (  # type: ignore[import-not-found]
    BackgroundScheduler,
)
from apscheduler.triggers.date import DateTrigger  # type: ignore[import-not-found]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-not-found]

from benchmarks.processes import pss_mib
from benchmarks.schedules import PERIOD_S, first_instants, lateness, name_of, seconds_since
from benchmarks.waiting import now_s, pause_until, until

_LIMIT_S: Final = 600.0

_begun: dict[int, float] = {}


def visit(number: int) -> None:
    """The job: notes when it has begun."""
    _begun[number] = now_s()


def main() -> None:
    """Do the work that the command line names."""
    work, count, window_s, began_ns = sys.argv[1], *(int(text) for text in sys.argv[2:5])
    # Jobs are put into their order when the scheduler starts, before any of them is served.
    begin_s = int(now_s()) + 2 + count // 5_000
    instants = first_instants(count, begin_s)
    if work == "herd":
        instants = dict.fromkeys(range(count), begin_s)
    # As it comes, a job that is a second late is dropped.
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None})
    for number, instant in instants.items():
        at = datetime.fromtimestamp(instant, UTC)
        trigger = IntervalTrigger(seconds=PERIOD_S, start_date=at, timezone=UTC)
        if work == "herd":
            trigger = DateTrigger(at)
        scheduler.add_job(visit, trigger, args=[number], id=name_of(number))
    scheduler.start()
    figures = {"start": seconds_since(began_ns)}
    if now_s() >= begin_s:
        sys.exit("the first instants had passed before it was ready")
    if work == "herd":
        until("all to have begun", lambda: len(_begun) == count, limit_s=_LIMIT_S)
        figures = {"herd": max(_begun.values()) - begin_s}
    else:
        figures["memory"] = pss_mib([os.getpid()])
        end_s = begin_s + window_s
        pause_until(end_s)
        figures |= lateness(instants, dict(_begun), end_s)
    json.dump(figures, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
