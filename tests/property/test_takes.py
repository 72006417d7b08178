"""`takes` says of values by position what `bind` says, for every signature."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.arguments import Given, Parameter, ParameterKind, bind, takes
from jobctl.errors import InvalidArguments

ORDER = list(ParameterKind)
"""As they stand in a signature."""


@st.composite
def signatures(draw: st.DrawFn) -> tuple[Parameter, ...]:
    kinds = sorted(draw(st.lists(st.sampled_from(ORDER), max_size=6)), key=ORDER.index)
    return tuple(
        Parameter(
            name=f"p{position}",
            kind=kind,
            annotation=draw(st.sampled_from([None, "int", "str"])),
            has_default=draw(st.booleans()),
        )
        for position, kind in enumerate(kinds)
    )


@given(
    signatures(), st.lists(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.booleans())))
)
@example((), [])
@example((Parameter(name="a"),), [])
@example((), [1])
def test_values_by_position_are_judged_alike(
    parameters: tuple[Parameter, ...], values: list[Any]
) -> None:
    if takes(parameters, values):
        call = bind(parameters, Given.exact(values))
        assert (call.args, call.kwargs) == (tuple(values), {})
    else:
        with pytest.raises(InvalidArguments):
            bind(parameters, Given.exact(values))


@given(st.lists(st.integers()))
def test_a_function_without_a_known_signature_takes_anything(values: list[int]) -> None:
    assert takes(None, values)
    assert bind(None, Given.exact(values)).args == tuple(values)
