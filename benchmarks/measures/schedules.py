"""Schedules by the thousand: how late their instants are served, and what holding them costs."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import apsw

from benchmarks import schedulers
from benchmarks.daemon import SETTINGS, BenchDaemon
from benchmarks.measure import Budget, Contestant, ContestantFailed, Kind, Measure, Metric
from benchmarks.peers import needs_package
from benchmarks.processes import pss_mib
from benchmarks.schedules import PERIOD_S, lateness, name_of, offset_s
from benchmarks.waiting import now_s, pause, pause_until, until
from jobctl.errors import NotFound
from jobctl.protocol import requests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.measure import Figures, Round

SMOKE_COUNT: Final = 300
"""One is due each second."""
WINDOW_S: Final = 20
DOWN_S: Final = 3 * 86_400
BEARABLE_HERD: Final = 1_000
"""How many due at once are asked of Celery beat: each message costs it a comparison of all entries."""

_PART: Final = 5_000
_US: Final = 1_000_000
_LIMIT_S: Final = 300.0

_MOMENTS: Final = {
    "schedules": ("watermark", "created_at"),
    "rules": ("begins_at", "ends_at", "anchor_at"),
    "fires": ("first", "last"),
    "daemons": ("began_at", "stopped_at"),
}
"""The columns of the store that hold moments of schedules, by table."""

_TASK: Final = '[tasks.visit]\nfunction = "benchmarks.tasks:visit"\n'


def _jobctl(count: int, turn: Round) -> Figures:
    count = turn.size(count, SMOKE_COUNT)
    return {**_spread(count, turn), **_herd(count, turn)}


# -- one after the other --------------------------------------------------------------------------


def _spread(count: int, turn: Round) -> Figures:
    """Every five minutes, spread evenly over their seconds; functions run."""
    window_s = turn.size(WINDOW_S, 2)
    parts = _parts(count, lambda number: _every_five_minutes(offset_s(number)))
    folder = turn.folder / "spread"
    folder.mkdir()
    began = time.perf_counter()
    with BenchDaemon(folder, parts=parts) as daemon:
        start = time.perf_counter() - began
        # The function workers are born.
        daemon.wait(daemon.submit({"task": "noop"}))
        # Files were written for this. The file system writes them back some seconds later, and what is
        # flushed meanwhile waits for that: a journal takes no part before the rest (ext4, 400 ms seen).
        os.sync()
        begin_s = int(now_s()) + 1
        end_s = begin_s + window_s
        pause_until(end_s + 0.5)
        memory = pss_mib([daemon.pid])
    instants, begun = _fates(daemon.database, begin_s, end_s)
    expected = sum((offset_s(n) - begin_s) % PERIOD_S < window_s for n in range(count))
    if len(instants) != expected:
        raise ContestantFailed(f"{len(instants)} instants of {expected} were served")
    return {"start": start, "memory": memory, **lateness(instants, begun, end_s)}


def _parts(count: int, when: Callable[[int], str]) -> list[str]:
    """The tables of so many schedules, in files of a size that a person would still open."""
    tables = [
        f'[schedules.{name_of(number)}]\ntask = "visit"\nargs = [{number}]\n{when(number)}\n'
        for number in range(count)
    ]
    return [_TASK, *("".join(tables[at : at + _PART]) for at in range(0, count, _PART))]


def _every_five_minutes(second: int) -> str:
    return f'cron = "{second // 60}-59/5 * * * * {second % 60}"'


def _fates(store: Path, begin_s: int, end_s: int) -> tuple[dict[int, int], dict[int, float]]:
    """The instants in ``begin_s`` ≤ t < ``end_s`` that made a job, and when its function began; by job."""
    instants, begun = {}, {}
    rows = _rows(
        store,
        "SELECT f.job_id, f.first, a.started_at FROM fires AS f "
        "LEFT JOIN attempts AS a ON a.job_id = f.job_id AND a.number = 1 "
        "WHERE f.fate = 'submitted' AND f.first >= ? AND f.first < ?",
        begin_s * _US,
        end_s * _US,
    )
    for job, instant, started_at in rows:
        instants[job] = instant // _US
        if started_at is not None:
            begun[job] = started_at / _US
    return instants, begun


def _rows(store: Path, statement: str, *bindings: int) -> list[tuple[int, ...]]:
    connection = apsw.Connection(str(store))
    try:
        return list(connection.execute(statement, bindings))
    finally:
        connection.close()


# -- all at once ----------------------------------------------------------------------------------


def _herd(count: int, turn: Round) -> Figures:
    """Again and again, all at the same instant, after three days without a daemon; the queue is paused."""
    period_s = turn.size(_herd_period_s(count), 6)
    when = f'cron = "* * * * *{"" if period_s == 60 else f" */{period_s}"}"\non_overlap = "allow"'
    parts = _parts(count, lambda _number: when)
    folder = turn.folder / "herd"
    folder.mkdir()
    with BenchDaemon(folder, parts=parts) as daemon:
        daemon.pause(is_paused=True)
    _let_pass(daemon.database, DOWN_S * _US)
    (jobs_before,) = _rows(daemon.database, "SELECT ifnull(max(id), 0) FROM jobs")
    (fires_before,) = _rows(daemon.database, "SELECT count(*) FROM fires")
    # What is due while it catches up would be counted too.
    _await_first_part(period_s)
    began = time.perf_counter()
    with BenchDaemon(folder, parts=parts) as daemon:
        _await_job(daemon, jobs_before[0] + count)
        restart = time.perf_counter() - began
        instant_s = _next_instant(period_s)
        pause_until(instant_s)
        longest_ms = _await_job(daemon, jobs_before[0] + 2 * count)
        herd = now_s() - instant_s
    _expect_ranges(daemon.database, fires_before[0], count)
    return {"herd": herd, "answer meanwhile": longest_ms, "restart": restart}


def _herd_period_s(count: int) -> int:
    """Long enough to serve the herd before the next one is due."""
    return 60 if count >= 100_000 else 20


def _let_pass(store: Path, span_us: int) -> None:
    """Make all moments of the schedules that much earlier, as if no daemon had run for so long."""
    connection = apsw.Connection(str(store))
    connection.pragma("foreign_keys", False)
    try:
        with connection:
            for table, columns in _MOMENTS.items():
                moved = ", ".join(f"{column} = {column} - {span_us}" for column in columns)
                connection.execute(f"UPDATE {table} SET {moved}")  # noqa: S608 -- names of ours
    finally:
        connection.close()


def _await_first_part(period_s: int) -> None:
    """Wait until a period has only begun."""
    now = now_s()
    if now % period_s > period_s / 3:
        pause(period_s - now % period_s + 1)


def _next_instant(period_s: int) -> int:
    return (int(now_s() + 1) // period_s + 1) * period_s


def _await_job(daemon: BenchDaemon, job: int) -> float:
    """Wait until the job of this id is queued; the longest time in ms that an answer took meanwhile."""
    longest_s = 0.0

    def is_queued() -> bool:
        nonlocal longest_s
        begin = time.perf_counter()
        try:
            daemon.call(requests.Status(job=job))
        except NotFound:
            return False
        finally:
            longest_s = max(longest_s, time.perf_counter() - begin)
        return True

    until(f"job {job}", is_queued, limit_s=_LIMIT_S)
    return longest_s * 1e3


def _expect_ranges(store: Path, before: int, count: int) -> None:
    """Three days of minutes are one row for each schedule, beside those of the jobs that were made."""
    ((ranges, instants),) = _rows(
        store, "SELECT count(*), ifnull(sum(count), 0) FROM fires WHERE fate = 'missed'"
    )
    ((rows,),) = _rows(store, "SELECT count(*) FROM fires")
    if ranges != count or rows > before + 4 * count or instants < count * DOWN_S // 61:
        raise ContestantFailed(f"{rows} fires, of which {ranges} are {instants} missed instants")


# -- the others -----------------------------------------------------------------------------------


def _celery_beat(count: int, turn: Round) -> Figures:
    count = turn.size(count, SMOKE_COUNT)
    figures = dict(schedulers.celery_beat(turn, "spread", count, turn.size(WINDOW_S, 2)))
    if count <= BEARABLE_HERD:
        figures |= schedulers.celery_beat(turn, "herd", count, 0)
    return figures


def _apscheduler(count: int, turn: Round) -> Figures:
    count = turn.size(count, SMOKE_COUNT)
    return {
        **schedulers.apscheduler(turn, "spread", count, turn.size(WINDOW_S, 2)),
        **schedulers.apscheduler(turn, "herd", count, 0),
    }


def _of(count: int) -> Measure:
    """The measure of so many schedules; the greatest number has the budgets."""
    has_budgets = count == max(COUNTS)

    def metric(name: str, unit: str, limit: float | None = None) -> Metric:
        budget = Budget(limit=limit) if has_budgets and limit is not None else None
        return Metric(name=name, unit=unit, is_rate=False, budget=budget)

    return Measure(
        name=f"schedules-{count}",
        title=f"{count:,} schedules",
        what=(
            f"Each with arguments of its own, for a function that does nothing.\n"
            f"*start*: from the start of the process until it serves; jobctl reads and checks a file. "
            f"*memory*: PSS of the process that holds the schedules.\n"
            f"*late*: each is due every {PERIOD_S // 60} minutes, and they are spread over the seconds "
            f"of this time, so that {count / PERIOD_S:.3g} are due each second; over {WINDOW_S} s, from "
            f"the instant until the function begins (Celery beat: until the broker has the message).\n"
            f"*herd*: all are due at one instant; from then until the last is queued. "
            f"*answer meanwhile*: the longest time that another client waited for an answer.\n"
            f"*restart*: each is due every {_herd_period_s(count)} s and nothing ran for three days; until each has one row "
            f"for what it missed, and the job of the last instant."
        ),
        metrics=(
            metric("start", "s"),
            metric("memory", "MiB", 150),
            metric("late, p50", "ms"),
            metric("late, p99", "ms", 50),
            metric("herd", "s", 5),
            metric("answer meanwhile", "ms"),
            metric("restart", "s"),
        ),
        contestants=(
            Contestant(
                name="jobctl",
                kind=Kind.JOBCTL,
                settings=f"{SETTINGS}; each instant, its job and its fate are one durable step; "
                "2 workers; while all are due at once the queue is paused",
                run=partial(_jobctl, count),
            ),
            Contestant(
                name="Celery beat",
                kind=Kind.PEER,
                settings="its scheduler with its file (PersistentScheduler), Redis as the broker, no "
                "worker; an entry that was not sent within the time counts with what it has waited; "
                f"more than {BEARABLE_HERD:,} at once are not asked of it, since each tick sends one "
                "message and compares all entries; what passed while it did not run is not made up",
                run=partial(_celery_beat, count),
                why_missing=schedulers.why_no_celery,
            ),
            Contestant(
                name="APScheduler",
                kind=Kind.PEER,
                settings="BackgroundScheduler with its store in memory: nothing survives its end; ten "
                "threads run the functions in its own process; misfire_grace_time=None, since as it "
                "comes it drops what is a second late",
                run=partial(_apscheduler, count),
                why_missing=needs_package("apscheduler"),
            ),
        ),
        most_rounds=3,
    )


COUNTS: Final = (1_000, 10_000, 100_000)

SCHEDULES: Final = tuple(_of(count) for count in COUNTS)
