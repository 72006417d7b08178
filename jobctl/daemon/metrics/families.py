"""Putting an exposition together: what was counted, and what is looked up now. In slices: there may be a
hundred thousand schedules."""

from __future__ import annotations

import platform
import resource
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl import __version__
from jobctl.beat.entry import State as ScheduleState
from jobctl.clock import SECOND
from jobctl.daemon.counts import (
    MOST,
    RUN_BOUNDS_S,
    STATES,
    WAIT_BOUNDS_S,
    Histogram,
    LastRun,
)
from jobctl.daemon.last_runs import looking_back
from jobctl.exposition import (
    END,
    Family,
    Labels,
    Sample,
    bucket_samples,
    counter,
    gauge,
    render,
)
from jobctl.job import State
from jobctl.store import jobs as job_rows
from jobctl.store.database import sqlite_version
from jobctl.store.jobs import is_ready_line, owner_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.daemon.station import Station

    Slices = Generator[None, None, str]

LATE_US: Final = 60 * SECOND
"""A schedule is late when it was due so long ago."""

_SLICE: Final = 500
_SLICE_ROWS: Final = 50
_WAITING: Final = {"eta": "scheduled", "gate": "limited", "after": "blocked"}
_PAGE_BYTES: Final = resource.getpagesize()


def exposing(station: Station, *, is_open: bool) -> Slices:
    """Yield between slices; gives back the text, in OpenMetrics or in the older format."""
    yield from _remembering_last_runs(station)
    station.counts.count()
    text = []
    for families in (_of_daemon, _of_runs, _of_queues, _of_workers):
        text += [render(family, is_open=is_open) for family in families(station)]
        yield
    text += [render(family, is_open=is_open) for family in (yield from _of_schedules(station))]
    return "".join(text) + (END if is_open else "")


def _remembering_last_runs(station: Station) -> Generator[None, None, None]:
    """After a start nothing is known of runs before it: alerts about them must not go silent by that."""
    counts = station.counts
    if counts.is_past_known:
        return
    wanted = set(list(station.plan.tasks)[:MOST])
    for number, entry in enumerate(list(station.beat.entries().values()), start=1):
        task = entry.spec.task
        if task in wanted:
            for _, job in looking_back(station.database, entry.id):
                if job is not None:
                    is_success = job["state"] == State.SUCCESS
                    run = LastRun(job["finished_at"], None, None, is_success=is_success)
                    counts.remember(task, run)
                    if is_success:
                        break
        if number % _SLICE_ROWS == 0:
            yield
    counts.is_past_known = True


# -- the daemon -------------------------------------------------------------------------------------


def _of_daemon(station: Station) -> Iterator[Family]:
    counters, now = station.counters, station.clock.now()
    info: Labels = (
        ("version", __version__),
        ("python", platform.python_version()),
        ("sqlite", sqlite_version()),
    )
    yield gauge("jobctl_up", "A daemon runs.", [((), 1)])
    yield Family("jobctl_build", "info", "Versions.", [_sample(info, 1)])
    yield _one(
        "jobctl_start_time_seconds",
        "Start of the daemon, in Unix time.",
        station.started_at / SECOND,
    )
    for name, help, value in (
        ("jobctl_requests", "Requests on the socket.", counters.requests),
        ("jobctl_submitted_jobs", "Jobs that clients have submitted.", counters.submitted),
        ("jobctl_started_attempts", "Attempts that were handed to workers.", counters.started),
        ("jobctl_turns", "Turns of the loop.", counters.turns),
        ("jobctl_commits", "Transactions.", counters.commits),
        (
            "jobctl_commit_seconds",
            "Time spent in commits, the disk's flush included.",
            counters.commit_seconds,
        ),
    ):
        yield counter(name, help, [((), value)])
    yield _one(
        "jobctl_longest_turn_seconds", "Longest turn since the start.", counters.longest_turn_s
    )
    yield _one(
        "jobctl_longest_commit_seconds",
        "Longest commit since the start.",
        counters.longest_commit_s,
    )
    yield _one(
        "jobctl_store_refused",
        "1 while the store takes no writes.",
        int(station.trouble() is not None),
    )
    sizes = {"database": station.state.database, "log": Path(f"{station.state.database}-wal")}
    yield gauge(
        "jobctl_db_size_bytes",
        "Size of the store's files.",
        [((("file", name),), _size(path)) for name, path in sizes.items()],
    )
    yield _one(
        "jobctl_config_last_reload_successful",
        "0 when the last reload was refused.",
        int(not counters.is_reload_refused),
    )
    yield gauge(
        "jobctl_config_last_reload_success_timestamp_seconds",
        "When the plan came into force, in Unix time.",
        [] if counters.reloaded_at is None else [((), counters.reloaded_at / SECOND)],
    )
    due_at = station.beat.next_due()
    lag_us = 0 if due_at is None else max(now - due_at, 0)
    yield _one(
        "jobctl_beat_lag_seconds",
        "How long the first due instant waits to be served.",
        lag_us / SECOND,
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield counter(
        "process_cpu_seconds",
        "Processor time of the daemon itself.",
        [((), used.ru_utime + used.ru_stime)],
    )
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    yield _one(
        "process_resident_memory_bytes",
        "Resident memory of the daemon itself.",
        pages * _PAGE_BYTES,
    )


def _one(name: str, help: str, value: float) -> Family:
    return gauge(name, help, [((), value)])


def _sample(labels: Labels, value: float) -> Sample:
    return Sample(labels, value)


def _size(path: Path) -> int:
    """Looked up, never opened: closing a descriptor of it would drop SQLite's locks."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


# -- runs -------------------------------------------------------------------------------------------


def _of_runs(station: Station) -> Iterator[Family]:
    counts = station.counts
    # Also those that have not run yet: a rate needs a first value.
    tasks = dict.fromkeys(counts.task(name) for name in station.plan.tasks)
    tasks |= dict.fromkeys(task for task, _ in counts.runs)
    yield counter(
        "jobctl_runs",
        "Attempts that ended, by how.",
        [
            ((("task", task), ("state", state)), counts.runs.get((task, state), 0))
            for task in tasks
            for state in STATES.values()
        ],
    )
    for name, help, values in (
        ("jobctl_retries", "Attempts after which another one follows.", counts.retries),
        (
            "jobctl_missed",
            "Instants that passed while no daemon ran.",
            _fates(counts.fates, "missed"),
        ),
        (
            "jobctl_overlaps",
            "Instants skipped because the run before had not ended.",
            _fates(counts.fates, "skipped"),
        ),
    ):
        yield counter(name, help, [((("task", task),), values.get(task, 0)) for task in tasks])
    yield counter("jobctl_run_cpu_seconds", "Processor time of commands.", _by_task(counts.cpu_s))
    yield gauge(
        "jobctl_run_max_rss_bytes",
        "Memory of the largest process of the last command.",
        _by_task(counts.max_rss_bytes),
    )
    yield _histograms(
        "jobctl_run_duration_seconds",
        "How long attempts took.",
        "task",
        counts.durations,
        RUN_BOUNDS_S,
    )
    yield _histograms(
        "jobctl_queue_wait_seconds",
        "From a job's submission, or its ETA, to its start.",
        "queue",
        counts.waits,
        WAIT_BOUNDS_S,
    )
    last = counts.last
    yield gauge(
        "jobctl_task_last_run_timestamp_seconds",
        "End of the last run, in Unix time.",
        _by_task({task: run.finished_at / SECOND for task, run in last.items()}),
    )
    yield gauge(
        "jobctl_task_last_run_success",
        "1 when the last run succeeded.",
        _by_task({task: int(run.is_success) for task, run in last.items()}),
    )
    yield gauge(
        "jobctl_task_last_run_duration_seconds",
        "How long the last run took.",
        _by_task(
            {t: run.duration_us / SECOND for t, run in last.items() if run.duration_us is not None}
        ),
    )
    yield gauge(
        "jobctl_task_last_run_exit_code",
        "Exit code of the last run of a command.",
        _by_task({t: run.exit_code for t, run in last.items() if run.exit_code is not None}),
    )
    yield gauge(
        "jobctl_task_last_success_timestamp_seconds",
        "End of the last run that succeeded, in Unix time.",
        _by_task({task: at / SECOND for task, at in counts.last_success_at.items()}),
    )


def _fates(fates: Mapping[tuple[str, str], int], wanted: str) -> dict[str, int]:
    return {task: count for (task, fate), count in fates.items() if fate == wanted}


def _by_task(values: Mapping[str, float]) -> Iterable[tuple[Labels, float]]:
    return [((("task", task),), value) for task, value in values.items()]


def _histograms(
    name: str, help: str, label: str, found: Mapping[str, Histogram], bounds: Sequence[float]
) -> Family:
    samples = [
        sample
        for text, histogram in found.items()
        for sample in bucket_samples(
            ((label, text),), bounds, histogram.counts, histogram.total_us / SECOND
        )
    ]
    return Family(name, "histogram", help, samples)


# -- queues and workers -----------------------------------------------------------------------------


def _of_queues(station: Station) -> Iterator[Family]:
    counts, now = station.counts, station.clock.now()
    jobs: dict[tuple[str, str], int] = defaultdict(int)
    waiting: dict[str, int] = dict.fromkeys(_WAITING.values(), 0)
    oldest: dict[str, Moment] = {}
    for name in station.plan.queues:
        jobs[counts.queue(name), "ready"] = jobs[counts.queue(name), "running"] = 0
    for line, count in job_rows.count_lines(station.database).items():
        if is_ready_line(line):
            queue = counts.queue(owner_of(line)[0])
            jobs[queue, "ready"] += count
            for since in job_rows.waiting_since(station.database, line):
                oldest[queue] = min(since, oldest.get(queue, since))
        elif line in _WAITING:
            waiting[_WAITING[line]] += count
    for name, _, count in job_rows.count_started(station.database):
        jobs[counts.queue(name), "running"] += count
    yield gauge(
        "jobctl_queue_jobs",
        "Jobs that could start, and jobs with workers.",
        [((("queue", queue), ("state", state)), count) for (queue, state), count in jobs.items()],
    )
    yield gauge(
        "jobctl_waiting_jobs",
        "Jobs that wait for their time (scheduled), a limit of their key (limited) or others (blocked).",
        [((("for", what),), count) for what, count in waiting.items()],
    )
    queues = dict.fromkeys(queue for queue, _ in jobs)
    yield gauge(
        "jobctl_queue_oldest_seconds",
        "How long the first ready job has waited; 0 when none is ready.",
        [((("queue", q),), max(now - oldest.get(q, now), 0) / SECOND) for q in queues],
    )
    paused = {counts.queue(name) for name in station.dispatcher.paused}
    yield gauge(
        "jobctl_queue_paused",
        "1 while a queue is paused.",
        [((("queue", queue),), int(queue in paused)) for queue in queues],
    )


def _of_workers(station: Station) -> Iterator[Family]:
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for worker in station.engine.workers():
        found[worker["group"], worker["kind"], worker["phase"]] += 1
    yield gauge(
        "jobctl_workers",
        "Processes by worker group, kind and what they do.",
        [
            ((("group", group), ("kind", kind), ("state", state)), count)
            for (group, kind, state), count in sorted(found.items())
        ],
    )
    yield gauge("jobctl_busy_attempts", "Attempts with workers.", [((), station.engine.busy())])


# -- schedules --------------------------------------------------------------------------------------


def _of_schedules(station: Station) -> Generator[None, None, list[Family]]:
    counts, now = station.counts, station.clock.now()
    states = dict.fromkeys(ScheduleState, 0)
    next_at: dict[str, Moment] = {}
    late: dict[str, int] = {}
    paused: dict[str, int] = {}
    for number, entry in enumerate(list(station.beat.entries().values()), start=1):
        state = entry.state
        states[state] += 1
        task = counts.task(entry.spec.task)
        is_late = False
        if state is ScheduleState.ACTIVE and entry.due_at is not None:
            next_at[task] = min(entry.due_at, next_at.get(task, entry.due_at))
            is_late = entry.due_at <= now - LATE_US
        late[task] = max(late.get(task, 0), int(is_late))
        paused[task] = max(paused.get(task, 0), int(state is ScheduleState.PAUSED))
        if number % _SLICE == 0:
            yield
    return [
        gauge(
            "jobctl_schedules",
            "Schedules by state.",
            [((("state", state.value),), count) for state, count in states.items()],
        ),
        gauge(
            "jobctl_task_next_run_timestamp_seconds",
            "When a task's next run is due, in Unix time.",
            _by_task({task: at / SECOND for task, at in next_at.items()}),
        ),
        gauge("jobctl_task_late", "1 when a run was due more than a minute ago.", _by_task(late)),
        gauge("jobctl_task_paused", "1 while a schedule of the task is paused.", _by_task(paused)),
        gauge(
            "jobctl_unavailable_tasks",
            "Tasks whose code cannot be imported.",
            [((), len(station.plan.unavailable))],
        ),
    ]
