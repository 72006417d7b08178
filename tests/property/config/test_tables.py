"""A table is read as pydantic reads it with the models that the JSON Schema comes from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobctl.config.models import model_of
from jobctl.config.tables import read_table
from jobctl.plan.tables import TABLES

VALUES = st.one_of(
    st.booleans(),
    st.integers(-3, 10_000),
    st.floats(allow_nan=False),
    st.sampled_from(["1s", "5m", "300%", "default", "skip", "TERM,5s,KILL", "10/s", "true", ""]),
    st.text(max_size=5),
    st.lists(st.one_of(st.integers(0, 200), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)


def read_with_model(name: str, written: dict[str, Any]) -> tuple[set[object], dict[str, Any]]:
    """The faulty keys and, if there are none, the values by field."""
    try:
        model = model_of(name).model_validate(written)
    except ValidationError as error:
        found = error.errors()
        return {"missing" if it["type"] == "missing" else it["loc"][0] for it in found}, {}
    return set(), {field: getattr(model, field) for field in model.model_fields_set}


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
def test_values_and_faulty_keys_are_those_that_the_model_finds(name: str, data: Any) -> None:
    keys = st.sampled_from(sorted(TABLES[name].keys)) | st.sampled_from(["unknown", "retires"])
    written = data.draw(st.dictionaries(keys, VALUES, max_size=6))

    values, faults = read_table(name, written)

    faulty, model_values = read_with_model(name, written)
    # What is missing has no place of its own.
    assert {fault.path[0] if fault.path else "missing" for fault in faults} == faulty
    assert faulty or values == model_values


def test_a_key_that_was_lost_is_not_told_to_be_missing() -> None:
    _, faults = read_table("schedules", {})
    _, faults_of_damaged = read_table("schedules", {}, damaged=True)

    assert [fault.message for fault in faults] == ['the key "task" is missing']
    assert faults_of_damaged == ()
