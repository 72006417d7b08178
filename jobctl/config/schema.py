"""The JSON Schema of a configuration file, for editors (Taplo, Even Better TOML) and for programs.

``python -m jobctl.config.schema`` prints it. Imports pydantic: for children and tools only.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from jobctl.config.models import model_of
from jobctl.plan.tables import TABLES, Table

if TYPE_CHECKING:
    from jobctl.task.keys import Json

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Json]:
    """Give the schema of a whole file. Rules between keys (one of command, shell, function) are not in it."""
    tables: dict[str, Json] = {}
    for table in TABLES.values():
        of_one = _schema_of(table)
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


def _schema_of(table: Table) -> dict[str, Json]:
    schema: dict[str, Any] = model_of(table.name).model_json_schema(by_alias=True)
    for name, written in schema["properties"].items():
        # TOML has no null; the models' None stands for "not written".
        default = table.keys[name].default
        is_fixed = default is not None and not table.keys[name].key.default_text
        written.pop("default", None)
        if is_fixed:
            written["default"] = table.keys[name].key.mark.write(default)
        written.pop("title", None)
    return schema


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
