"""pydantic models of the tables, made from the one description of their keys.

Only the short-lived child imports this: pydantic costs a process some ten MiB. A model adds to a `Table`
what a whole file needs: every fault at once, unknown keys refused, a JSON Schema. How a single value is
read stays with its `jobctl.task.keys.Mark`.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from jobctl.plan.tables import TABLES, Table
from jobctl.task.keys import BoundKey, Json, missing_key, unknown_key
from jobctl.task.units import Fault, InvalidValue


@cache
def model_of(name: str) -> type[BaseModel]:
    """Give the model of a table by the table's name. Its fields are the fields that the keys fill."""
    table = TABLES[name]
    fields: dict[str, Any] = {bound.field: _field(bound) for bound in table.keys.values()}
    title = {"daemon": "Daemon", "workers": "WorkerGroup"}.get(name, name.removesuffix("s").title())
    config = ConfigDict(extra="forbid", title=title, arbitrary_types_allowed=True)
    return create_model(title, __config__=config, __doc__=table.help, **fields)


def _field(bound: BoundKey) -> tuple[Any, Any]:
    mark = bound.key.mark
    schema: dict[str, Json] = {**mark.schema, "description": bound.key.help}
    kind = Annotated[Any, PlainValidator(mark.read), WithJsonSchema(schema)]
    default = ... if bound.required else None
    return kind, Field(default, alias=bound.key.name)


def read_table(
    name: str, written: dict[str, Any], *, damaged: bool = False
) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    """Judge a table; gives the values that can be read by field (only those written) and every fault.

    ``damaged`` means that some of its keys were lost on the way: then none is told to be missing.
    """
    table = TABLES[name]
    later = [fault for key in written if (fault := table.fault_of_unknown(key)) is not None]
    known = {key: value for key, value in written.items() if table.fault_of_unknown(key) is None}
    try:
        model = model_of(name).model_validate(known)
    except ValidationError as error:
        found = [
            each
            for each in error.errors(include_url=False)
            if not (damaged and each["type"] == "missing")
        ]
        faults = [
            fault
            for each in found
            for fault in _faults(table, each["type"], each["loc"], each.get("ctx", {}))
        ]
        wrong = {each["loc"][0] for each in error.errors(include_url=False)}
        values = {
            table.keys[key].field: table.keys[key].key.mark.read(value)
            for key, value in known.items()
            if key not in wrong
        }
        return values, (*later, *faults)
    return {field: getattr(model, field) for field in model.model_fields_set}, tuple(later)


def _faults(
    table: Table, kind: str, location: tuple[int | str, ...], context: dict[str, Any]
) -> tuple[Fault, ...]:
    name = str(location[0])
    if kind == "extra_forbidden":
        return (unknown_key(name, table.keys),)
    if kind == "missing":
        return (missing_key(table.keys[name]),)
    error = context["error"]
    assert isinstance(error, InvalidValue)
    return tuple(fault.under(name) for fault in error.faults)
