"""What is written as TOML reads back equal, whatever the text."""

from __future__ import annotations

import tomli
from hypothesis import given
from hypothesis import strategies as st

from jobctl.config.writing import commented, table_text

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\t\\\"'#{}"))


@given(TEXT, st.lists(TEXT), st.dictionaries(st.text(st.sampled_from("AB_-x"), min_size=1), TEXT))
def test_what_is_written_reads_back_equal(
    text: str, words: list[str], table: dict[str, str]
) -> None:
    values = {"shell": text, "command": words, "env": table}

    assert tomli.loads(table_text(("tasks", "a.b c"), values)) == {"tasks": {"a.b c": values}}


@given(TEXT)
def test_what_was_made_a_comment_says_nothing(text: str) -> None:
    table = table_text(("tasks", "a"), {"description": text.replace("\r", ""), "shell": "x\ny"})

    assert tomli.loads(commented(table)) == {}
