"""Drives Huey for one turn. Runs in the peers' environment: ``-m benchmarks.huey_driver WORK COUNT LOG``.

Prints one JSON object of figures. `benchmarks.huey` starts it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.crowd import take_part
from benchmarks.huey_app import command, huey, noop, stamp
from benchmarks.percentile import percentile
from benchmarks.processes import end, family, pss_mib, spent_by, start
from benchmarks.waiting import pause, until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONSUMER = ["-w", "2", "-k", "process", "-q", "--max-delay", "0.1"]
_LIMIT_S = 300.0


@contextlib.contextmanager
def consumer(log: Path) -> Iterator[int]:
    """A running consumer with two worker processes; its process id."""
    program = str(Path(sys.executable).with_name("huey_consumer"))
    process = start([program, "benchmarks.huey_app.huey", *CONSUMER], log=log)
    try:
        yield process.pid
    finally:
        end(process)


def functions(count: int, log: Path) -> dict[str, float]:
    """Submit while two workers work; then drain a full queue from the consumer's start."""
    with consumer(log):
        noop()(blocking=True, timeout=_LIMIT_S)
        begin = time.perf_counter()
        _fill(noop, count)
        _await_results(count)
        both = time.perf_counter() - begin
    huey.flush()
    _fill(noop, count)
    with consumer(log):
        until("the first job", lambda: huey.pending_count() < count, limit_s=_LIMIT_S)
        begin, left = time.perf_counter(), huey.pending_count()
        _await_results(count)
        drain = time.perf_counter() - begin
    return {"submit → result": count / both, "drain": left / drain}


def commands(count: int, log: Path) -> dict[str, float]:
    """Commands by way of functions that start them."""
    with consumer(log):
        command()(blocking=True, timeout=_LIMIT_S)
        begin = time.perf_counter()
        _fill(command, count)
        _await_results(count)
        return {"rate": count / (time.perf_counter() - begin)}


def submits(count: int, log: Path) -> dict[str, float]:
    """Submit from this process, nobody works."""
    begin = time.perf_counter()
    _fill(noop, count)
    return {"one at a time": count / (time.perf_counter() - begin)}


def latency(count: int, log: Path) -> dict[str, float]:
    """From the submit until the function's first statement, each time from idleness."""
    spans_ms, answers_ms = [], []
    with consumer(log):
        stamp()(blocking=True, timeout=_LIMIT_S)
        for _ in range(count):
            pause(0.002)
            begin = time.time_ns()
            result = stamp()
            answers_ms.append((time.time_ns() - begin) / 1e6)
            begun = result(blocking=True, timeout=_LIMIT_S, backoff=1.0, max_delay=0.01)
            spans_ms.append((begun - begin) / 1e6)
    return {
        "p50": percentile(spans_ms, 50),
        "p99": percentile(spans_ms, 99),
        "answer, p50": percentile(answers_ms, 50),
        "answer, p99": percentile(answers_ms, 99),
    }


def idle(count: int, log: Path) -> dict[str, float]:
    """Nothing to do for ``count`` seconds."""
    with consumer(log) as pid:
        noop()(blocking=True, timeout=_LIMIT_S)
        pause(1.0)
        pids = family(pid)
        before, begin = spent_by(pids), time.perf_counter()
        pause(count)
        after, span_s = spent_by(pids), time.perf_counter() - begin
        return {
            "memory": pss_mib(pids),
            "processor": (after.cpu_ns - before.cpu_ns) / 1e7 / span_s,
            "wake-ups": (after.wakeups - before.wakeups) / span_s,
        }


def crowd(count: int, log: Path) -> None:
    """Be one of many processes that submit at once."""
    take_part(noop, count)


def _fill(task: Any, count: int) -> None:
    for _ in range(count):
        task()


def _await_results(count: int) -> None:
    until("every result", lambda: huey.result_count() >= count, limit_s=_LIMIT_S)


_WORK = {work.__name__: work for work in (functions, commands, submits, latency, idle)}


def main() -> None:
    """Do the work that the command line names."""
    work, count, log = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if work == "crowd":
        crowd(count, log)
        return
    json.dump(_WORK[work](count, log), sys.stdout)


if __name__ == "__main__":
    main()
