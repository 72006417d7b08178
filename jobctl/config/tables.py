"""Reading one table of a file: each key by its `jobctl.task.keys.Mark`, and every fault at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.plan.tables import TABLES
from jobctl.task.keys import missing_key, unknown_key
from jobctl.task.units import Fault, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_table(
    name: str, written: Mapping[str, Any], *, damaged: bool = False
) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    """Judge a table; gives the values that can be read by field (only those written) and every fault.

    ``damaged`` means that some of its keys were lost on the way: then none is told to be missing.
    """
    table = TABLES[name]
    faults: list[Fault] = []
    values: dict[str, Any] = {}
    for key, bound in table.keys.items():
        if key not in written:
            if bound.required and not damaged:
                faults.append(missing_key(bound))
            continue
        try:
            values[bound.field] = bound.key.mark.read(written[key])
        except InvalidValue as invalid:
            faults.extend(fault.under(key) for fault in invalid.faults)
    faults.extend(
        table.fault_of_unknown(key) or unknown_key(key, table.keys)
        for key in written
        if key not in table.keys
    )
    return values, tuple(faults)
