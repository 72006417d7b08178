"""Places for any document: the oracle is a writer of TOML that is not ours, and the parser's own values."""

from __future__ import annotations

from typing import Any

import tomli
import tomlkit
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobctl.config.files import parse_text
from jobctl.config.places import Path, Places

KEYS = st.text(
    alphabet=st.characters(blacklist_categories=["Cs", "Cc"], max_codepoint=0x2FFF), max_size=8
)
SCALARS = st.one_of(
    st.integers(-(2**31), 2**31),
    st.booleans(),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=20),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


def leaves(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every path to a value that holds no others."""
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in leaves(inner, (*path, name))]
    if isinstance(value, list):
        return [leaf for at, inner in enumerate(value) for leaf in leaves(inner, (*path, at))]
    return [(path, value)]


@given(DOCUMENTS)
@example({"outer": [{"inner": [{}, {"": 0}]}]})
@settings(max_examples=300, deadline=None)
def test_at_the_place_of_each_value_the_value_begins(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document).replace("\r\n", "\n")
    places = Places(text)
    for path, value in leaves(tomli.loads(text)):
        assert path in places.values, (path, text)
        begin = text[places.values[path] :]
        match value:
            case bool():
                assert begin.startswith(str(value).lower())
            case str():
                assert begin.startswith(('"', "'"))
            case int():
                assert begin.startswith(str(value))
            case _:
                assert begin.startswith(("-", *"0123456789"))


@given(DOCUMENTS, st.data())
@settings(max_examples=200, deadline=None)
def test_text_that_was_broken_anywhere_is_judged_without_a_crash(
    document: dict[str, Any], data: st.DataObject
) -> None:
    text = tomlkit.dumps(document).replace("\r\n", "\n")
    cut = data.draw(st.integers(0, len(text)))
    junk = data.draw(st.text(alphabet="[]{}\"'=.,#\n ax\\", max_size=5))
    broken = text[:cut] + junk + text[cut:]
    parsed = parse_text(broken, "x")
    try:
        expected = tomli.loads(broken)
    except tomli.TOMLDecodeError:
        assert parsed.problems
        for problem in parsed.problems:
            lines = broken.split("\n")
            assert 1 <= problem.line <= len(lines) + 1
    else:
        assert (parsed.table, parsed.problems) == (expected, ())
