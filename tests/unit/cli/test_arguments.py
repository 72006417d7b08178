"""The arguments for a task as a line says them."""

from __future__ import annotations

import pytest

from jobctl.cli.arguments import read_arguments
from jobctl.errors import UsageError


def test_arguments_are_texts_but_for_those_that_say_otherwise() -> None:
    found = read_arguments(["5", "x"], ["scope=month", "deep:=[1]"], None)

    assert (found.args, found.kwargs) == (["5", "x"], {"scope": "month", "deep": [1]})
    assert found.fields() == {"raw": ["deep"]}
    assert "month" not in repr(found)


def test_exact_arguments_make_all_of_them_exact() -> None:
    found = read_arguments(None, ["n:=3"], '["a", 2]')

    assert (found.args, found.kwargs, found.fields()) == (["a", 2], {"n": 3}, {"typed": True})


@pytest.mark.parametrize(
    ("args", "named", "args_json"),
    [(["a"], None, "[1]"), (None, ["n=3"], "[1]"), (None, None, "{}"), (None, ["x"], None)],
)
def test_arguments_that_cannot_be_read_are_refused(
    args: list[str] | None, named: list[str] | None, args_json: str | None
) -> None:
    with pytest.raises(UsageError):
        read_arguments(args, named, args_json)
