"""What a function returned, as JSON that every reader can follow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobctl.worker.functions import _RESULT_LIMIT_BYTES, TooLong, write_result

DEEPEST = 100


def nested(levels: int, leaf: Any = 0) -> Any:
    for level in range(levels):
        leaf = [leaf] if level % 2 else {"a": leaf}
    return leaf


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        [],
        {},
        [[]] * 500,
        [{"a": [1, 2.5, None, True]}] * 300,
        nested(DEEPEST),
        [nested(DEEPEST - 1)] * 3,
        # Brackets inside text, behind every kind of escape.
        ["[[{{" * 400],
        ['"[' * 400, "\\[" * 400, '\\"[' * 400, "\\\\" * 400],
        {'"{[\\': ["[" * 101]},
        ["\u2028[\ud800" * 200],
    ],
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(write_result(value)) == value


@pytest.mark.parametrize("levels", [DEEPEST + 1, 150, 500, 980])
def test_a_value_that_is_nested_too_deeply_is_refused(levels: int) -> None:
    with pytest.raises(RecursionError):
        write_result(nested(levels))
    with pytest.raises(RecursionError):
        write_result([1, "[", nested(levels, leaf='"]')])


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"", object(), {(1,): 2}])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        write_result(value)


def test_the_longest_result_is_kept_and_a_longer_one_refused() -> None:
    longest = "x" * (_RESULT_LIMIT_BYTES - len('""'))
    assert json.loads(write_result(longest)) == longest
    with pytest.raises(TooLong, match=str(_RESULT_LIMIT_BYTES)):
        write_result(longest + "x")
