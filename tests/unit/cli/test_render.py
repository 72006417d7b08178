"""The screen: escaping, tables, colours."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.cli.render import Column, Screen, choose, clean, fit
from jobctl.errors import ConfigError, NotFound, Problem


class Kept(io.StringIO):
    """Standard output or error, kept."""


def a_screen(*, is_terminal: bool = True, width: int = 40, color: bool = False) -> Screen:
    return Screen(out=Kept(), err=Kept(), is_terminal=is_terminal, width=width, color=color)


def out(screen: Screen) -> str:
    assert isinstance(screen.out, Kept)
    return screen.out.getvalue()


def err(screen: Screen) -> str:
    assert isinstance(screen.err, Kept)
    return screen.err.getvalue()


@given(st.text())
def test_cleaned_text_is_one_printable_line(text: str) -> None:
    cleaned = clean(text)

    assert all(letter.isprintable() or letter == "\N{NO-BREAK SPACE}" for letter in cleaned)
    assert len(cleaned.splitlines()) <= 1


def test_what_could_act_on_a_terminal_is_written_out() -> None:
    assert clean("a\x1b[31mb\r\n\tc\x9bd\u202ee\udcff\U000e0041") == (
        r"a\x1b[31mb\r\n\tc\x9bd\u202ee\udcff\U000e0041"
    )
    assert clean("Größe 世界 🙂") == "Größe 世界 🙂"


@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=8),
    st.integers(10, 120),
)
def test_columns_that_may_be_cut_give_way_and_no_others(
    columns: list[tuple[int, bool]], width: int
) -> None:
    widths = [size for size, _ in columns]
    may_be_cut = [cut for _, cut in columns]

    fitted = list(widths)
    fit(fitted, may_be_cut, width)

    for before, after, cut in zip(widths, fitted, may_be_cut, strict=True):
        assert after <= before
        assert after == before or (cut and after >= 6)
    total = sum(fitted) + 2 * (len(fitted) - 1)
    cuttable = [size for size, cut in zip(fitted, may_be_cut, strict=True) if cut]
    assert total <= width or all(size <= 6 for size in cuttable)
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        assert fitted == widths


def test_columns_are_left_out_until_the_others_can_be_read() -> None:
    columns = [
        Column("NAME", may_be_cut=True),
        Column("TASK", may_be_cut=True, may_be_left_out=True),
        Column("ZONE", may_be_left_out=True),
        Column("NEXT"),
    ]
    widths = [30, 30, 10, 19]

    assert choose(columns, widths, 100) == [0, 1, 2, 3]
    # 12 + 12 + 10 + 19 and three gaps.
    assert choose(columns, widths, 59) == [0, 1, 2, 3]
    assert choose(columns, widths, 58) == [0, 1, 3]
    assert choose(columns, widths, 46) == [0, 3]
    assert choose(columns, widths, 5) == [0, 3]


def test_what_is_left_out_is_named_below_the_table() -> None:
    columns = [Column("NAME", may_be_cut=True), Column("TASK", may_be_left_out=True)]
    screen = a_screen(width=20)

    screen.table(columns, [("n" * 20, "t" * 10)], caption="times: UTC")

    assert out(screen).splitlines() == [
        "NAME",
        "n" * 20,
        "times: UTC; not shown here: TASK",
    ]


def test_a_wide_letter_takes_two_places() -> None:
    screen = a_screen(width=20)

    screen.table([Column("NAME", may_be_cut=True), Column("N", is_number=True)], [("世" * 20, 1)])

    assert out(screen).splitlines()[1] == "世世世世世世世世…  1"


def test_an_empty_table_says_so_on_a_terminal_and_is_a_header_in_a_pipe() -> None:
    terminal, pipe = a_screen(), a_screen(is_terminal=False)

    for screen in (terminal, pipe):
        screen.table([Column("ID"), Column("TASK")], [], empty="no jobs", caption="below")

    assert out(terminal) == "no jobs\n"
    assert out(pipe) == "ID\tTASK\n"


def test_a_cell_in_a_pipe_is_whole_and_cannot_break_its_line() -> None:
    screen = a_screen(is_terminal=False)

    screen.table(
        [Column("A", may_be_cut=True), Column("B")], [("x" * 500 + "\t\n", None), (True, 2)]
    )

    assert out(screen) == "A\tB\n" + "x" * 500 + "\\t\\n\t\nyes\t2\n"


def test_colours_are_only_there_when_wanted() -> None:
    plain, coloured = a_screen(), a_screen(color=True)

    for screen in (plain, coloured):
        screen.table([Column("STATE")], [("FAILURE",)])
        screen.page([("state", "FAILURE (failed)"), ("task", "FAILURE")])

    assert "\x1b" not in out(plain)
    assert out(coloured).count("\x1b[31mFAILURE\x1b[0m") == 2


def test_an_error_is_one_line_and_a_hint() -> None:
    screen = a_screen()

    screen.failure(NotFound("there is no job 7\x1b[2J", hint="See jobctl list."), as_json=False)

    assert err(screen) == "jobctl: there is no job 7\\x1b[2J\nhint: See jobctl list.\n"
    assert out(screen) == ""


def test_an_error_as_json_stands_where_the_answer_would() -> None:
    screen = a_screen()

    screen.failure(NotFound("there is no job 7"), as_json=True)

    expected = '{"error":{"code":"not_found","message":"there is no job 7","hint":""}}\n'
    assert out(screen) == expected
    assert err(screen) == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_a_configuration_tells_all_its_faults(as_json: bool) -> None:
    screen = a_screen()
    faults = tuple(
        Problem(file="/etc/j.toml", line=line, column=1, key="tasks.a", message=f"fault {line}")
        for line in (3, 9)
    )

    screen.failure(ConfigError(faults), as_json=as_json)

    said = out(screen) if as_json else err(screen)
    assert "fault 3" in said
    assert "fault 9" in said
