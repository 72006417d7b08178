"""The JSON Schema of a configuration file, for editors (Taplo, Even Better TOML) and for whoever writes one
by program. Imports pydantic: for the child and for tools only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.config.models import model_of
from jobctl.plan.tables import TABLES

if TYPE_CHECKING:
    from jobctl.task.keys import Json

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Json]:
    """Give the schema of a whole file. Rules between keys (one of command, shell, function) are not in it."""
    tables: dict[str, Json] = {}
    for table in TABLES.values():
        of_one: dict[str, Json] = model_of(table.name).model_json_schema(by_alias=True)
        if table.named:
            tables[table.name] = {
                "type": "object",
                "description": table.help,
                "additionalProperties": of_one,
            }
        else:
            tables[table.name] = of_one
    return {
        "$schema": SCHEMA_ID,
        "title": "jobctl configuration",
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
    }
