"""pydantic models of the tables, made from the one description of their keys: for the JSON Schema.

Reading a file needs none of them (`jobctl.config.tables`): pydantic costs each process that imports it some
ten MiB and a tenth of a second. A test reads the same tables through both.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, create_model

from jobctl.plan.tables import TABLES

if TYPE_CHECKING:
    from jobctl.task.keys import BoundKey, Json


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
