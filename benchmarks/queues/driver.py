"""Puts a peer to work for one turn. Runs in the peers' environment:
``-m benchmarks.queues.driver PEER WORK COUNT``.

Prints one JSON object of figures. `benchmarks.peer_queues` starts it, and says by the environment which
server it may use and by which name.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.crowd import take_part
from benchmarks.half_load import at_half_load
from benchmarks.percentile import percentile
from benchmarks.processes import ROOT, cpu_ns_of, end, family, is_alive, pss_mib, spent_by, start
from benchmarks.queues import MOST_KILLS
from benchmarks.queues.queue import FOLDER, Queue
from benchmarks.waiting import pause, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from subprocess import Popen  # noqa: TID251 -- the type only

AnyQueue = Queue[Any]
_LIMIT_S: Final = 120.0
_LOG: Final = FOLDER / "log"
_STALLED_S: Final = 20.0
"""When nothing has ended for so long, what has not ended is lost: nobody is going to do it."""


class Crew:
    """What runs the workers; a program that ends is started again, as a service manager does it."""

    def __init__(self, programs: Sequence[Sequence[str]]) -> None:
        self._programs = programs
        self._running = [_start(argv) for argv in programs]

    def pids(self) -> list[int]:
        """All processes."""
        return [pid for process in self._running for pid in family(process.pid)]

    def restart(self) -> None:
        """Start again what has ended."""
        for number, process in enumerate(self._running):
            if process.poll() is not None:
                self._running[number] = _start(self._programs[number])

    def check(self) -> bool:
        """Ends this process when one of them has ended, for nobody would do the work; else True."""
        if any(process.poll() is not None for process in self._running):
            lines = _LOG.read_text().strip().splitlines()
            sys.exit(f"a worker has ended: {lines[-1] if lines else 'it said nothing'}")
        return True

    def kill_a_worker(self, *, are_children: bool) -> bool:
        """Kill the one that has worked most; whether there is one.

        ``are_children``: the programs only start the workers, and live.
        """
        programs = {process.pid for process in self._running if process.poll() is None}
        workers = [pid for pid in self.pids() if len(family(pid)) == 1 and is_alive(pid)]
        if are_children:
            workers = [pid for pid in workers if pid not in programs]
        if not workers:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(max(workers, key=cpu_ns_of), signal.SIGKILL)
        return True

    def end(self) -> None:
        """End all of them."""
        for process in self._running:
            end(process)


def _start(argv: Sequence[str]) -> Popen[bytes]:
    return start(argv, log=_LOG, env={"PYTHONPATH": str(ROOT)})


@contextlib.contextmanager
def working(programs: Sequence[Sequence[str]]) -> Iterator[Crew]:
    """Let workers run."""
    crew = Crew(programs)
    try:
        yield crew
    finally:
        crew.end()


def functions(queue: AnyQueue, count: int) -> dict[str, float]:
    """Submit while two workers work; then drain a full queue."""
    with working(queue.workers()) as crew:
        _await_all(queue, crew, _begin(queue, "noop", 1))
        begin = time.perf_counter()
        _await_all(queue, crew, _begin(queue, "noop", count))
        both = time.perf_counter() - begin
    jobs = _begin(queue, "noop", count)
    with working(queue.workers()) as crew:
        until("the first job", lambda: crew.check() and queue.ended(jobs), limit_s=_LIMIT_S)
        begin, left = time.perf_counter(), count - queue.ended(jobs)
        _await_all(queue, crew, jobs)
        drain = time.perf_counter() - begin
    return {"submit → result": count / both, "drain": left / drain}


def commands(queue: AnyQueue, count: int) -> dict[str, float]:
    """Commands by way of functions that start them."""
    with working(queue.workers()) as crew:
        _await_all(queue, crew, _begin(queue, "run_true", 1))
        begin = time.perf_counter()
        _await_all(queue, crew, _begin(queue, "run_true", count))
        return {"rate": count / (time.perf_counter() - begin)}


def submits(queue: AnyQueue, count: int) -> dict[str, float]:
    """Submit from this process, nobody works."""
    queue.submit("noop")
    begin = time.perf_counter()
    for _ in range(count):
        queue.submit("noop")
    alone = count / (time.perf_counter() - begin)
    figures = {"one at a time": alone}
    if queue.has_bulk:
        begin = time.perf_counter()
        queue.submit_many("noop", count)
        figures["bulk"] = count / (time.perf_counter() - begin)
    return figures


def latency(queue: AnyQueue, count: int) -> dict[str, float]:
    """From the submit until the function's first statement, each time from idleness."""
    spans_ms, answers_ms = [], []
    with working(queue.workers()) as crew:
        _await_all(queue, crew, _begin(queue, "noop", 2))
        queue.result(queue.submit("stamp"), _LIMIT_S)
        for _ in range(count):
            pause(0.002)
            begin = time.time_ns()
            job = queue.submit("stamp")
            answers_ms.append((time.time_ns() - begin) / 1e6)
            spans_ms.append((queue.result(job, _LIMIT_S) - begin) / 1e6)
    return {
        "p50": percentile(spans_ms, 50),
        "p99": percentile(spans_ms, 99),
        "answer, p50": percentile(answers_ms, 50),
        "answer, p99": percentile(answers_ms, 99),
    }


def steady(queue: AnyQueue, count: int) -> dict[str, float]:
    """Half of what this client and these workers can do."""
    with working(queue.workers()) as crew:
        _await_all(queue, crew, _begin(queue, "noop", 1))
        begin = time.perf_counter()
        queue.start_counting()
        _await_all(queue, crew, [queue.submit("noop") for _ in range(count)])
        return at_half_load(
            count,
            count / (time.perf_counter() - begin),
            submit=lambda: queue.submit("stamp"),
            result=lambda job: queue.result(job, _LIMIT_S),
        )


def idle(queue: AnyQueue, count: int) -> dict[str, float]:
    """Nothing to do for ``count`` seconds."""
    with working(queue.workers()) as crew:
        _await_all(queue, crew, _begin(queue, "noop", 100))
        pause(1.0)
        pids = crew.pids()
        before, begin = spent_by(pids), time.perf_counter()
        pause(count)
        after, span_s = spent_by(pids), time.perf_counter() - begin
        return {
            "memory": pss_mib(pids),
            "processor": (after.cpu_ns - before.cpu_ns) / 1e7 / span_s,
            "wake-ups": (after.wakeups - before.wakeups) / span_s,
        }


def coroutines(queue: AnyQueue, count: int) -> dict[str, float]:
    """As many jobs that wait as one process holds at once."""
    with working(queue.nappers(count)) as crew:
        _await_all(queue, crew, _begin(queue, "nap", 1))
        pids = crew.pids()
        before, begin = spent_by(pids), time.perf_counter()
        _await_all(queue, crew, _begin(queue, "nap", count))
        span_s, after = time.perf_counter() - begin, spent_by(pids)
        return {"time": span_s, "processor": (after.cpu_ns - before.cpu_ns) / 1e9}


def kills(queue: AnyQueue, count: int) -> dict[str, float]:
    """Drain a full queue while a worker is killed every second."""
    jobs = _begin(queue, "noop", count)
    with working(queue.workers()) as crew:
        until("the first job", lambda: crew.check() and queue.ended(jobs), limit_s=_LIMIT_S)
        first = ended = queue.ended(jobs)
        begin = last = time.perf_counter()
        killed = 0
        while ended < count and time.perf_counter() < last + _STALLED_S:
            if killed < MOST_KILLS and time.perf_counter() > begin + killed + 1:
                killed += crew.kill_a_worker(are_children=queue.has_supervisor)
            crew.restart()
            pause(0.02)
            if (now := queue.ended(jobs)) > ended:
                ended, last = now, time.perf_counter()
        rate = (ended - first) / (last - begin) if ended > first else 0.0
        return {"rate": rate, "kills": killed, "lost": count - ended + queue.failed(jobs)}


def crowd(queue: AnyQueue, count: int) -> None:
    """Be one of many processes that submit at once."""
    queue.submit("noop")
    take_part(lambda: queue.submit("noop"), count)


def _begin(queue: AnyQueue, function: str, count: int) -> list[Any]:
    queue.start_counting()
    return queue.submit_many(function, count)


def _await_all(queue: AnyQueue, crew: Crew, jobs: Sequence[Any]) -> None:
    until("every job to end", lambda: crew.check() and queue.have_ended(jobs), limit_s=_LIMIT_S)


_WORK: Final[dict[str, Callable[[AnyQueue, int], dict[str, float]]]] = {
    work.__name__: work
    for work in (functions, commands, submits, latency, steady, idle, coroutines, kills)
}


def main() -> None:
    """Do the work that the command line names."""
    peer, work, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    queue: AnyQueue = importlib.import_module(f"benchmarks.queues.{peer}_queue").queue
    if work == "clean":
        queue.clean()
        return
    with contextlib.closing(queue):
        if work == "crowd":
            crowd(queue, count)
        else:
            queue.prepare()
            json.dump(_WORK[work](queue, count), sys.stdout)


if __name__ == "__main__":
    main()
