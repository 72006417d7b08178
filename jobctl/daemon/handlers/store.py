"""Requests about the store itself: copying it, counting what is in it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SECOND, iso
from jobctl.errors import NotAllowed, StorageError, UsageError
from jobctl.store import counts
from jobctl.store.copying import UNFINISHED, Copy

if TYPE_CHECKING:
    from collections.abc import Generator

    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

PAGES: Final = 32
"""Pages that are copied between two looks at the clock."""

SLICE_S: Final = 0.005
"""After this long a copy lets the turn go on."""

_DAY: Final = 86_400 * SECOND


def backup_name(now: Moment) -> str:
    """The name of a backup that was given none: sorted by name they are sorted by time."""
    told = iso(now).partition(".")[0].replace("-", "").replace(":", "")
    return f"jobctl-{told}Z.db"


def backup(
    station: Station, call: Call, request: requests.Backup
) -> Generator[None, None, dict[str, Any]]:
    """Copy the store, a slice a turn; the copy is there, unverified, when this is answered."""
    if call.uid not in (0, station.uid):
        # The daemon's rights write the file, wherever it is named; and it holds what others have submitted.
        raise NotAllowed(
            f"uid {call.uid} may not make a backup",
            hint="The daemon's user and root may; allow_administer does not give it.",
        )
    target = _target(station, request)
    unfinished = target.with_name(target.name + UNFINISHED)
    clock = station.clock
    copy = Copy(station.database, unfinished)
    try:
        is_done = False
        while not is_done:
            until = clock.monotonic() + SLICE_S
            is_done = copy.step(PAGES)
            while not is_done and clock.monotonic() < until:
                is_done = copy.step(PAGES)
            if not is_done:
                yield
        pages = copy.pages
        copy.close()
    except BaseException:
        # Also when its client has gone.
        copy.drop()
        raise
    return {"path": str(target), "unfinished": str(unfinished), "pages": pages}


def _target(station: Station, request: requests.Backup) -> Path:
    if request.path is None:
        folder = station.state.backups
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageError(f'"{folder}" cannot be made: {error.strerror}') from error
        target = folder / backup_name(station.clock.now())
    else:
        target = Path(request.path)
        if not target.is_absolute():
            raise UsageError(f'"{target}" is not absolute', hint="Name the file from / on.")
    if target.exists():
        raise UsageError(f'"{target}" is there already', hint="Name another file.")
    size = counts.size(station.database)
    refuse_without_room(target.parent, size.file_bytes)
    return target


def refuse_without_room(folder: Path, size_bytes: int) -> None:
    """Refuse to fill a disk: a tenth of the copy has to be left, for what runs meanwhile.

    Raises StorageError; also when there is no such folder.
    """
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise StorageError(
            f'"{folder}" cannot be used: {error.strerror}',
            hint="Name a file in a folder that is there.",
        ) from error
    free = disk.f_bavail * disk.f_frsize
    if free < size_bytes + size_bytes // 10:
        raise StorageError(
            f'"{folder}" has {free >> 20} MiB left, and a copy of the store takes {size_bytes >> 20} MiB',
            hint="Free some space, or name a file on another disk.",
        )


def prune(station: Station, call: Call, request: requests.Prune) -> None:
    """Begin a walk of the retention; answered at its end."""
    if (request.keep_s or 0) < 0 or (request.keep_jobs or 0) < 0:
        raise UsageError("what is kept is no less than nothing")
    trouble = station.trouble()
    if trouble is not None:
        raise StorageError(trouble, hint="See the daemon's log.")
    if station.ask_prune is None:
        raise NotAllowed("no daemon is running; it removes what is old when it starts")
    station.ask_prune(
        request.keep_s, request.keep_jobs, lambda removed: call.answer({"removed": removed})
    )


def store_stats(
    station: Station, call: Call, request: requests.StoreStats
) -> Generator[None, None, dict[str, Any]]:
    """Count everything, a slice a turn; what changes meanwhile may or may not be counted."""
    database = station.database
    size = counts.size(database)
    disk = os.statvfs(station.state.root)
    now = station.clock.now()
    states: dict[str, int] = {}
    in_day = in_week = 0
    after: int | None = 0
    while after is not None:
        found, after = counts.jobs_by_state(
            database, after=after, day=now - _DAY, week=now - 7 * _DAY
        )
        for one in found:
            states[one.state] = states.get(one.state, 0) + one.jobs
            in_day += one.in_day
            in_week += one.in_week
        yield
    rows: dict[str, int] = {}
    for table in counts.tables(database):
        rows[table], key = counts.count(database, table, None)
        while key is not None:
            more, key = counts.count(database, table, key)
            rows[table] += more
            yield
    used = size.file_bytes - size.free_bytes
    per_job = used / sum(states.values()) if states else 0.0
    return {
        **asdict(size),
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "tables": rows,
        "jobs": {state: states[state] for state in sorted(states)},
        "submitted_in_day": in_day,
        "submitted_in_week": in_week,
        "bytes_per_job": round(per_job),
        "growth_bytes_per_day": round(per_job * in_week / 7),
    }
