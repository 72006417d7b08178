"""The example, the reference page and the schema are those of the model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from jobctl.config.load import load
from jobctl.config.reference import page
from jobctl.config.schema import json_schema
from jobctl.plan import merge
from jobctl.plan.tables import TABLES
from jobctl.task import Kind

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "conf.example.toml"


def test_the_example_is_a_plan() -> None:
    loaded = load(EXAMPLE)
    assert loaded.problems == ()
    assert loaded.plan is not None
    plan = merge(loaded.plan)
    kinds = {task.kind for task in plan.tasks.values()}
    assert kinds == {Kind.COMMAND, Kind.FUNCTION}
    assert {spec.kind for spec in plan.schedules.values()} == {"interval", "crontab"}
    assert any(task.retries for task in plan.tasks.values())
    assert any(task.timeout_s for task in plan.tasks.values())
    assert any(task.queue != "default" for task in plan.tasks.values())


def test_each_key_of_the_example_is_one_of_the_model() -> None:
    for name, table in tomllib.loads(EXAMPLE.read_text()).items():
        tables = table.values() if TABLES[name].named else [table]
        for written in tables:
            assert written.keys() <= TABLES[name].keys.keys()


def test_keys_that_the_example_only_mentions_are_keys_of_the_model() -> None:
    commented = "\n".join(
        line[2:] if line.startswith("# ") and " = " in line else line
        for line in EXAMPLE.read_text().splitlines()
    )
    table = ""
    for line in commented.splitlines():
        if line.startswith("["):
            table = line.strip("[]").split("]")[0].split(".")[0]
        key, equals, _ = line.partition("=")
        if equals and not line.startswith(("#", " ")) and table:
            assert key.strip() in TABLES[table].keys


def test_the_reference_page_is_the_one_that_the_keys_give() -> None:
    kept = (ROOT / "docs/reference/configuration.md").read_text()
    assert kept == page(), "run python -m jobctl.config.reference > docs/reference/configuration.md"


def test_each_key_of_the_model_is_on_the_reference_page() -> None:
    kept = (ROOT / "docs/reference/configuration.md").read_text()
    for table in TABLES.values():
        section = kept.split(f"## `[{table.name}")[1].split("\n## ")[0]
        for name in table.keys:
            assert f"| `{name}` |" in section, (table.name, name)


def test_the_schema_has_each_key_with_its_help_and_refuses_others() -> None:
    schema: Any = json_schema()
    assert schema["properties"].keys() == TABLES.keys()
    for table in TABLES.values():
        part = schema["properties"][table.name]
        part = part["additionalProperties"] if table.named else part
        assert part["properties"].keys() == table.keys.keys()
        assert part["additionalProperties"] is False
        for name, bound in table.keys.items():
            assert part["properties"][name]["description"] == bound.key.help
            assert part["properties"][name].get("default", "none") is not None
    assert schema["properties"]["daemon"]["properties"]["shutdown"]["default"] == "keep"
    assert schema["properties"]["schedules"]["additionalProperties"]["required"] == ["task"]
