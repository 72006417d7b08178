"""What commands have set in place of the file: limits of queues, sizes of worker groups. It stands in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jobctl.logs import fields, logger
from jobctl.store import queues as queue_rows
from jobctl.store import worker_groups as group_rows
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobctl.plan import Plan
    from jobctl.store.database import Database

T = TypeVar("T")


def with_stored_limits(database: Database, plan: Plan) -> Plan:
    """The plan with the limits of queues that the store has, as far as they can be read."""
    return _with(plan, plan.with_limits, queue_rows.limits(database), "limit", "queue")


def with_stored_sizes(database: Database, plan: Plan) -> Plan:
    """The plan with the sizes of worker groups that the store has, as far as they can be read."""
    return _with(plan, plan.with_sizes, group_rows.sizes(database), "size", "worker group")


def _with(
    plan: Plan, change: Callable[[dict[str, T]], Plan], stored: Mapping[str, T], what: str, of: str
) -> Plan:
    """What no version of ours would have written is left out, and said: a reload must not fail because of
    it."""
    found: dict[str, T] = {}
    for name, written in stored.items():
        try:
            change({name: written})
        except InvalidValue as invalid:
            logger.error(
                f"a stored {what} of a {of} cannot be read and is left out",
                # The last word is the field's name, as in all other lines about it.
                extra=fields(**{of.rpartition(" ")[2]: name}, reason=invalid),
            )
        else:
            found[name] = written
    return change(found) if found else plan
