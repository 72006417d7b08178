"""Limits of queues that commands have set: they stand in the store and go before those of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.logs import fields, logger
from jobctl.store import queues as queue_rows
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from jobctl.plan import Plan
    from jobctl.store.database import Database


def with_stored_limits(database: Database, plan: Plan) -> Plan:
    """The plan with the limits of the store. One that no version of ours would have written is left out, and
    said: a reload must not fail because of it."""
    limits = {}
    for name, written in queue_rows.limits(database).items():
        try:
            plan.with_limits({name: written})
        except InvalidValue as invalid:
            logger.error(
                "a stored limit of a queue cannot be read and is left out",
                extra=fields(queue=name, reason=invalid),
            )
        else:
            limits[name] = written
    return plan.with_limits(limits) if limits else plan
