"""What a store costs that holds many jobs: finished ones, and ones that wait."""

from __future__ import annotations

import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.measure import Axis, Budget, Contestant, ContestantFailed, Kind, Measure, Metric
from benchmarks.percentile import percentile
from benchmarks.processes import ENVIRONMENT, pss_mib, seconds_of
from benchmarks.waiting import pause, until
from jobctl.protocol import requests

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round

SIZES: Final = ((10_000, 100_000), (100_000, 1_000_000), (1_000_000, 10_000_000))
"""Jobs that wait and jobs that have ended, by powers of ten."""

EMPTY: Final = "empty store"
_SHRUNK: Final = 1_000
"""So many times fewer have ended when it is only to be seen that it works."""
_PART: Final = 200_000
_LIMIT_S: Final = 300.0
_IDLE_S: Final = 0.002
_KEEP: Final = "keep_jobs = 1000000000\n"


def _work(waiting: int, finished: int, turn: Round) -> Figures:
    """``waiting`` and ``finished`` jobs are in the store beside those that are counted."""
    waiting, finished = (
        turn.size(waiting, min(waiting, 5_000)),
        turn.size(finished, finished // _SHRUNK),
    )
    # Half of them are counted: some must be left for the next daemon.
    count = turn.size(40_000, 5_000)
    folder = turn.folder / "large"
    folder.mkdir()
    with BenchDaemon(folder, settings=_KEEP) as daemon:
        daemon.wait(daemon.submit({"task": "noop"}))
        daemon.pause(is_paused=True)
        (waits,) = daemon.submit({"task": "noop"})
    _fill(daemon.database, like=waits - 1, count=finished)
    _fill(daemon.database, like=waits, count=waiting + count)
    with BenchDaemon(folder, settings=_KEEP) as daemon:
        memory = pss_mib([daemon.pid])
        status = _status_ms(turn, daemon, waits)
        starts_ms = _starts_ms(turn, daemon)
        daemon.pause(is_paused=False)
        # The workers are born, and the first jobs have ended.
        until("the first jobs", lambda: _ended(daemon) >= turn.size(1_000, 10), limit_s=_LIMIT_S)
        first, begin = _ended(daemon), time.perf_counter()
        until(
            "jobs",
            lambda: _ended(daemon) >= first + turn.size(20_000, 200),
            limit_s=_LIMIT_S,
            every_s=0.001,
        )
        rate = (_ended(daemon) - first) / (time.perf_counter() - begin)
        memory = max(memory, pss_mib([daemon.pid]))
        daemon.pause(is_paused=True)
        if _ended(daemon) >= waiting + count:
            raise ContestantFailed("nobody waits any more")
    _resume(daemon.database)
    begin = time.perf_counter()
    with BenchDaemon(folder, settings=_KEEP) as daemon:
        until("the first job of a new daemon", lambda: _ended(daemon), limit_s=_LIMIT_S)
        restart = time.perf_counter() - begin
    return {
        "drain": rate,
        "start, p50": percentile(starts_ms, 50),
        "start, p99": percentile(starts_ms, 99),
        "status": status,
        "memory": memory,
        "restart": restart,
    }


def _starts_ms(turn: Round, daemon: BenchDaemon) -> list[float]:
    """How soon idle workers begin a job of another line, from its submit."""
    job = {"task": "stamp", "queue": "other"}
    daemon.wait(daemon.submit(job, job))
    found = []
    for _ in range(turn.size(500, 10)):
        pause(_IDLE_S)
        submitted = time.time_ns()
        (done,) = daemon.wait(daemon.submit(job))
        found.append((done["result"] - submitted) / 1e6)
    return found


def _resume(store: Path) -> None:
    """End the pause before there is a daemon: its first job is not to wait for a request."""
    connection = apsw.Connection(str(store))
    try:
        connection.execute("UPDATE queues SET paused_at = NULL")
    finally:
        connection.close()


def _ended(daemon: BenchDaemon) -> int:
    return int(daemon.call(requests.Inspect(what="stats"))["ended"])


def _status_ms(turn: Round, daemon: BenchDaemon, job: int) -> float:
    """By how much `jobctl status ID` takes longer than the start of its interpreter."""
    program = Path(sys.executable).with_name("jobctl")
    if not program.exists():
        raise ContestantFailed(f"jobctl is not installed beside {Path(sys.executable).name}")
    status = [str(program), "--socket", str(daemon.socket), "status", str(job)]
    nothing = [sys.executable, "-c", "pass"]
    for argv in (status, nothing):
        seconds_of(argv, env=ENVIRONMENT)  # fills the caches
    pairs = [
        (seconds_of(status, env=ENVIRONMENT), seconds_of(nothing, env=ENVIRONMENT))
        for _ in range(turn.size(60, 2))
    ]
    return statistics.median(ours - theirs for ours, theirs in pairs) * 1e3


# -- a large store --------------------------------------------------------------------------------


def _fill(store: Path, *, like: int, count: int) -> None:
    """Add so many jobs like that one, with what belongs to it in other tables.

    Written past the daemon: to let a daemon do ten million jobs would take minutes in each round.
    """
    connection = apsw.Connection(str(store))
    try:
        connection.pragma("synchronous", "OFF")
        ((last,),) = connection.execute("SELECT max(id) FROM jobs")
        for begin in range(0, count, _PART):
            size = min(_PART, count - begin)
            with connection:
                for table, own in (("jobs", "id"), ("attempts", "job_id"), ("keys", "job_id")):
                    _copy(connection, table, own, like, last + 1 + begin, size)
    finally:
        connection.close()


def _copy(
    connection: apsw.Connection, table: str, own: str, like: int, first: int, count: int
) -> None:
    """Rows of a table like those of a job, for the jobs of ``count`` ids from ``first`` on."""
    names = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
    # Keys of clients are drawn by chance, so they come to lie anywhere in their table.
    values = {own: "n.id", "key": "lower(hex(randomblob(16)))"}
    chosen = ", ".join(values.get(name, f"t.{name}") for name in names)
    connection.execute(
        f"WITH RECURSIVE n(id) AS (SELECT ? UNION ALL SELECT id + 1 FROM n WHERE id < ?) "  # noqa: S608 -- names of the schema
        f"INSERT INTO {table} ({', '.join(names)}) "
        f"SELECT {chosen} FROM n JOIN {table} AS t ON t.{own} = ?",
        (first, first + count - 1, like),
    )


def _contestant(waiting: int, finished: int, kind: Kind) -> Contestant:
    return Contestant(
        name=_name(waiting, finished) if finished else EMPTY,
        kind=kind,
        settings=f"{SETTINGS}; 2 workers" + ("" if finished else "; the same daemon"),
        run=partial(_work, waiting, finished),
    )


def _name(waiting: int, finished: int) -> str:
    return f"{waiting:,} wait, {finished:,} ended"


LARGE_STORE = Measure(
    name="large-store",
    title="A large store",
    what=(
        "Function jobs that do nothing, in a store that holds others, by powers of ten.\n"
        "*drain*: jobs that wait are worked off; 20,000 are counted.\n"
        "*start*: from a submit until the function's first statement, when only that job may run.\n"
        "*status*: by how much `jobctl status ID` takes longer than `python -c pass`, as whole processes.\n"
        "*memory*: PSS of the daemon, the greater of before and after.\n"
        "*restart*: from the start of a daemon until the first job has ended."
    ),
    metrics=(
        Metric(name="drain", unit="jobs/s", is_rate=True, budget=Budget(limit=0.8, of=EMPTY)),
        Metric(name="start, p50", unit="ms", is_rate=False),
        Metric(name="start, p99", unit="ms", is_rate=False),
        Metric(name="status", unit="ms", is_rate=False, budget=Budget(limit=5)),
        Metric(name="memory", unit="MiB", is_rate=False, budget=Budget(limit=150)),
        Metric(name="restart", unit="s", is_rate=False, budget=Budget(limit=2)),
    ),
    contestants=(
        *(_contestant(waiting, finished, Kind.JOBCTL) for waiting, finished in reversed(SIZES)),
        _contestant(0, 0, Kind.RAW),
    ),
    most_rounds=3,
    axis=Axis(
        label="jobs that have ended; a tenth as many wait",
        places={"none": EMPTY, **{f"{ended:,}": _name(waits, ended) for waits, ended in SIZES}},
    ),
)
