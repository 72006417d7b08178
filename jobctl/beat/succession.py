"""One rule of a schedule follows another: what the old one has left behind gets its fate by it.

All of it happens inside a transaction. Nothing is remembered here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.beat.fates import DISABLED, paused_text
from jobctl.beat.rules import base_of, max_runs_of, rule_of, was_enabled
from jobctl.logs import fields, logger
from jobctl.schedule import Schedule, ScheduleError
from jobctl.store import fires as fire_rows
from jobctl.store import schedules as schedule_rows
from jobctl.store.fires import Fire

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database
    from jobctl.store.schedules import StoredSchedule

CHANGED: Final = "the schedule was changed before it was served"
REMOVED: Final = "the schedule was removed before it was served"


class Succession:
    """See the module. ``boot_id`` tells one boot of the host from another."""

    def __init__(self, database: Database, boot_id: str) -> None:
        self._database = database
        self._boot_id = boot_id

    def follow_edit(
        self, row: StoredSchedule, identity: str, zone_data: str | None, now: Moment
    ) -> StoredSchedule:
        """Let a schedule go by what it says now. Where its instants lie as before (it was enabled, say),
        it keeps its phase and its count, and repeats nothing after a clock was set back."""
        ends_at = self.close(row, now, CHANGED)
        is_same = base_of(row.identity) == base_of(identity)
        if not is_same:
            schedule_rows.note_boot(self._database, id=row.id, boot_id=self._boot_id)
            row = row._replace(booted=self._boot_id)
        return schedule_rows.begin_rule(
            self._database,
            row,
            identity=identity,
            anchor_at=row.anchor_at if is_same else now,
            zone_data=zone_data,
            ends_at=ends_at,
            begins_at=max(ends_at, now) if is_same else now,
            runs=row.runs if is_same else 0,
        )

    def go_on(self, row: StoredSchedule, zone_data: str) -> StoredSchedule:
        """Let a schedule go on from its watermark by other zone data."""
        return schedule_rows.begin_rule(
            self._database,
            row,
            identity=row.identity,
            anchor_at=row.anchor_at,
            zone_data=zone_data,
            ends_at=row.watermark,
            begins_at=row.watermark,
            runs=row.runs,
        )

    def close(self, row: StoredSchedule, now: Moment, reason: str) -> Moment:
        """Give the instants their fate that the rule of a row has left behind; up to when they have one."""
        max_runs = max_runs_of(row.identity)
        if max_runs is not None and row.runs >= max_runs:
            return row.watermark
        ends_at = max(now, row.watermark)
        try:
            rule = rule_of(row.identity, row.anchor_at)
        except ScheduleError as error:
            # A zone that was removed from the host, say: what it meant cannot be known any more.
            logger.warning(
                "the last instants of a schedule cannot be told",
                extra=fields(schedule=row.name, reason=error.message),
            )
            return ends_at
        if rule.is_at_boot:
            return ends_at
        after = row.watermark
        if not was_enabled(row.identity):
            self._pass_all(row, rule, after, ends_at, "held", DISABLED)
            return ends_at
        if row.paused_at is not None:
            until = ends_at if row.paused_until is None else min(row.paused_until - 1, ends_at)
            self._pass_all(row, rule, after, until, "held", paused_text(row.paused_until))
            after = max(after, until)
        self._pass_all(row, rule, after, ends_at, "missed", reason)
        return ends_at

    def _pass_all(
        self,
        row: StoredSchedule,
        rule: Schedule,
        after: Moment,
        until: Moment,
        fate: str,
        reason: str,
    ) -> None:
        """Write one row for all instants in (after, until], if there are any."""
        first = rule.next_after(after)
        if first is None or first > until:
            return
        last = rule.previous_before(until + 1)
        assert last is not None
        fire_rows.add(
            self._database,
            Fire(
                schedule=row.id,
                rule=row.rule,
                first=first,
                last=last,
                count=rule.count_between(after, until),
                fate=fate,
                reason=reason,
            ),
        )
