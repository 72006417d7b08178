"""Marks before lines change nothing else, and taken away they give back what was there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.importers.crontab.marking import MARK, marked, unmarked


@given(st.binary(), st.data())
def test_what_was_marked_comes_back_byte_for_byte(table: bytes, data: st.DataObject) -> None:
    lines = table.split(b"\n")
    own = [number for number, line in enumerate(lines, start=1) if not line.startswith(MARK)]
    numbers = data.draw(st.sets(st.sampled_from(own)) if own else st.just(set()))
    others = len(lines) - len(own)

    taken = marked(table, numbers)

    assert [line.removeprefix(MARK) for line in taken.split(b"\n")] == [
        line.removeprefix(MARK) for line in lines
    ]
    back, count = unmarked(taken)
    assert count == len(numbers) + others
    if not others:
        assert back == table


def test_a_line_is_marked_once_and_others_may_be_edited() -> None:
    table = b"A=1\r\n0 1 * * * a\r\n\n0 2 * * * b"

    taken = marked(marked(table, {2}), {2, 4})

    assert taken == b"A=1\r\n#jobctl# 0 1 * * * a\r\n\n#jobctl# 0 2 * * * b"
    assert unmarked(taken.replace(b"A=1", b"A=2")) == (table.replace(b"A=1", b"A=2"), 2)


def test_a_line_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no line 3"):
        marked(b"a\nb", {3})
