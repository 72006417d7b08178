"""Drives Celery beat for one turn. Runs in the peers' environment:
``-m benchmarks.celery_beat_driver WORK COUNT WINDOW_S BEGAN_NS``.

The scheduler, its file and its loop are those of ``celery beat``; messages go to a Redis. Only the moment
at which one was handed over is noted. Prints one JSON object of figures. `benchmarks.schedulers` starts it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from celery import Celery
from celery.beat import PersistentScheduler, Service

from benchmarks.processes import pss_mib
from benchmarks.schedules import PERIOD_S, first_instants, lateness, name_of, seconds_since
from benchmarks.waiting import now_s, pause_until, until

_LIMIT_S: Final = 600.0
_QUEUE: Final = f"jobctl-bench-{os.getpid()}"


class NotingScheduler(PersistentScheduler):
    """As it comes, and notes when a message was handed over: ``sent``, seconds by name."""

    instants: dict[int, int] = {}  # noqa: RUF012 -- the service makes the one scheduler itself
    has_ticked = threading.Event()
    sending = threading.Lock()
    sent: dict[str, float] = {}  # noqa: RUF012 -- see above

    def setup_schedule(self) -> None:
        """Each entry ran last one period before its first instant."""
        super().setup_schedule()
        type(self).instants = _instants(int(now_s()))
        for number, instant in self.instants.items():
            last = datetime.fromtimestamp(instant - PERIOD_S, UTC)
            self.schedule[name_of(number)].last_run_at = last

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """The first one looks at every entry."""
        wait_s: float = super().tick(*args, **kwargs)
        self.has_ticked.set()
        return wait_s

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Hand the message over."""
        with self.sending:
            super().apply_entry(entry, producer=producer)
        self.sent[entry.name] = now_s()


_WORK, _COUNT, _WINDOW_S, _BEGAN_NS = sys.argv[1], *(int(text) for text in sys.argv[2:5])


def _instants(now_s: int) -> dict[int, int]:
    # The first tick looks at every entry: what is due meanwhile would be late for that reason alone.
    lead_s = 2 + _COUNT // 5_000
    if _WORK == "herd":
        return dict.fromkeys(range(_COUNT), now_s + lead_s)
    return first_instants(_COUNT, now_s + lead_s)


def main() -> None:
    """Do the work that the command line names."""
    app = Celery(broker=os.environ["BENCH_REDIS_URL"])
    app.conf.task_default_queue = _QUEUE
    app.conf.beat_schedule = {
        name_of(number): {
            "task": "visit",
            "schedule": timedelta(seconds=PERIOD_S),
            "args": (number,),
        }
        for number in range(_COUNT)
    }
    app.conf.beat_schedule_filename = str(Path(os.environ["BENCH_FOLDER"]) / "beat")
    service = Service(app, scheduler_cls=NotingScheduler)
    loop = threading.Thread(target=service.start, daemon=True)
    loop.start()
    try:
        until(
            "the first tick",
            lambda: NotingScheduler.has_ticked.is_set() or not loop.is_alive(),
            limit_s=_LIMIT_S,
        )
        if not loop.is_alive():
            sys.exit("its loop has ended")
        start_s = seconds_since(_BEGAN_NS)
        figures = _herd() if _WORK == "herd" else {"start": start_s, **_spread()}
    finally:
        # It goes on sending until the process ends.
        NotingScheduler.sending.acquire()
        with app.connection_for_write() as connection:
            redis: Any = connection.default_channel.client  # type: ignore[attr-defined]
            for key in [*redis.scan_iter(match=f"*{_QUEUE}")]:
                redis.delete(key)
    json.dump(figures, sys.stdout)
    sys.stdout.flush()
    # The service sleeps until its next entry, and writes its file before it ends.
    os._exit(0)


def _spread() -> dict[str, float]:
    memory = pss_mib([os.getpid()])
    instants, sent = NotingScheduler.instants, NotingScheduler.sent
    end_s = min(instants.values()) + _WINDOW_S
    pause_until(end_s)
    served = {number: sent[name] for number in instants if (name := name_of(number)) in sent}
    return {"memory": memory, **lateness(instants, served, end_s)}


def _herd() -> dict[str, float]:
    instant = NotingScheduler.instants[0]
    until("all to be sent", lambda: len(NotingScheduler.sent) == _COUNT, limit_s=_LIMIT_S)
    return {"herd": max(NotingScheduler.sent.values()) - instant}


if __name__ == "__main__":
    main()
