"""Proving that every instant has one fate: the rows of the store, given to `jobctl.beat.audit`.

A schedule goes on while it is judged. So its watermark, its rules and the next of its rows are read in one
turn and judged in others; what is written meanwhile comes with the next page.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from jobctl.beat.audit import Audit, Epoch, FireRow, Known
from jobctl.beat.rules import base_of, rule_of
from jobctl.daemon.handlers.schedules import schedules_named
from jobctl.daemon.retention import newest_removed
from jobctl.schedule import ScheduleError, zone_named
from jobctl.store import fires as fire_rows
from jobctl.store import rules as rule_rows
from jobctl.store import schedules as schedule_rows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests
    from jobctl.store.rules import StoredRule
    from jobctl.store.schedules import PastSchedule

MOST: Final = 1000
"""Violations that are told; more are only counted."""

PAGE_SCHEDULES: Final = 50
PAGE_ROWS: Final = 200

SLICE: Final = 50
"""Rows, rules or pauses of an audit between two turns: some milliseconds of work."""

_BEFORE_ALL: Final = (-(2**62), 0)


class _Report:
    """What an audit has found."""

    def __init__(self) -> None:
        self.schedules = 0
        self.rows = 0
        self.instants = 0
        self.count = 0
        self.violations: list[dict[str, Any]] = []
        self.unjudged: list[dict[str, Any]] = []

    def answer(self) -> dict[str, Any]:
        return {
            "schedules": self.schedules,
            "rows": self.rows,
            "instants": self.instants,
            "violations": self.violations,
            "count": self.count,
            "unjudged": self.unjudged,
        }


def audit(
    station: Station, call: Call, request: requests.Audit
) -> Generator[None, None, dict[str, Any]]:
    """Prove it of one schedule, of those of a task, or of all, those that were removed included."""
    report = _Report()
    for number, _ in enumerate(_steps(station, request.schedule, report), start=1):
        if number % SLICE == 0:
            yield
    return report.answer()


def _steps(station: Station, name: str | None, report: _Report) -> Iterator[None]:
    """The whole work, which may be interrupted wherever it yields."""
    database = station.database
    if name is not None:
        names = yield from schedules_named(station, name, also_removed=True)
        for schedule, _ in names:
            row = schedule_rows.find(database, schedule)
            if row is not None:
                yield from _judge(station, row, report)
        return
    after = 0
    while True:
        rows = schedule_rows.past(database, after=after, limit=PAGE_SCHEDULES)
        for row in rows:
            yield from _judge(station, row, report)
        if len(rows) < PAGE_SCHEDULES:
            return
        after = rows[-1].id


def _judge(station: Station, row: PastSchedule, report: _Report) -> Iterator[None]:
    """Judge one schedule, a page of its rows after the other."""
    database = station.database
    auditor = Audit(row.id)
    epochs: dict[int, Epoch] = {}
    place = _BEFORE_ALL
    is_end = False
    while not is_end:
        # From here to the rows nothing yields: all of it is of one moment.
        found = schedule_rows.find(database, row.name)
        assert found is not None
        stored = rule_rows.of_schedule(database, row.name)
        removed = newest_removed(database)
        fires = fire_rows.with_jobs(database, schedule=row.id, after=place, limit=PAGE_ROWS)
        is_end = len(fires) < PAGE_ROWS
        if fires:
            place = fires[-1]["first"], fires[-1]["rule"]
        for rule in stored:
            before = epochs.get(rule.number)
            if before is None or before.ends_at != rule.ends_at:
                epochs[rule.number] = _epoch(rule)
                yield
        known = Known(
            epochs=[epochs[rule.number] for rule in stored],
            created_at=found.created_at,
            watermark=found.watermark,
            is_in_force=found.removed_at is None,
            pruned_until=found.pruned_until,
        )
        rows = [_fire_row(fire, removed) for fire in fires]
        report.rows += len(rows)
        for violation in auditor.take(known, rows, is_end=is_end):
            if violation is None:
                yield
                continue
            report.count += 1
            if len(report.violations) < MOST:
                told = {"schedule": row.name, **asdict(violation), "wrong": violation.wrong.value}
                report.violations.append(told)
    report.schedules += 1
    report.instants += auditor.instants
    for number, why in auditor.unjudged.items():
        if len(report.unjudged) < MOST:
            report.unjudged.append({"schedule": row.name, "rule": number, "why": why})


def _epoch(stored: StoredRule) -> Epoch:
    rule, fault = None, ""
    try:
        if stored.zone_data is None or _has_zone_data(stored):
            rule = rule_of(stored.identity, stored.anchor_at)
        else:
            fault = "its instants were computed by zone data that this host does not have any more"
    except ScheduleError as error:
        fault = error.message
    return Epoch(
        number=stored.number,
        begins_at=stored.begins_at,
        ends_at=stored.ends_at,
        rule=rule,
        fault=fault,
    )


def _has_zone_data(stored: StoredRule) -> bool:
    return zone_named(base_of(stored.identity)["timezone"]).data == stored.zone_data


def _fire_row(fire: Mapping[str, Any], removed: int) -> FireRow:
    job_id = fire["job_id"]
    return FireRow(
        rule=fire["rule"],
        first=fire["first"],
        last=fire["last"],
        count=fire["count"],
        job_id=job_id,
        job_schedule=fire["job_schedule"],
        is_job_gone=job_id is not None and fire["found"] is None,
        may_be_pruned=job_id is not None and job_id <= removed,
    )
