"""Where keys and values stand in a TOML text."""

from __future__ import annotations

import pytest

from jobctl.config.places import Path, Place, Places

TEXT = '''\
# a comment [tasks.no]
top = 1
[tasks.backup]
command = ["a", "b # no comment", """c
d""", 'e']   # [x]
"quoted key" = 1
env = { A = "1", "B.C" = "2", deep.er = 3 }
dotted.key . more = true
[tasks."shop.tasks.send"]
text = """
[tasks.inside] = 1
"""
when = 2030-01-01 12:00:00
[[list]]
x = 1
[[list]]
x = 2
[list.sub]
y = [ # comment ]
  1,
  { z = 2 },
]
'''


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("top",), (2, 7), (2, 1)),
        (("tasks", "backup"), (3, 1), (3, 1)),
        (("tasks", "backup", "command"), (4, 11), (4, 1)),
        (("tasks", "backup", "command", 1), (4, 17), (4, 17)),
        (("tasks", "backup", "command", 2), (4, 35), (4, 35)),
        (("tasks", "backup", "command", 3), (5, 7), (5, 7)),
        (("tasks", "backup", "quoted key"), (6, 16), (6, 1)),
        (("tasks", "backup", "env", "A"), (7, 13), (7, 9)),
        (("tasks", "backup", "env", "B.C"), (7, 26), (7, 18)),
        (("tasks", "backup", "env", "deep", "er"), (7, 41), (7, 36)),
        (("tasks", "backup", "dotted", "key", "more"), (8, 21), (8, 14)),
        (("tasks", "shop.tasks.send", "text"), (10, 8), (10, 1)),
        (("tasks", "shop.tasks.send", "when"), (13, 8), (13, 1)),
        (("list", 0, "x"), (15, 5), (15, 1)),
        (("list", 1, "x"), (17, 5), (17, 1)),
        (("list", 1, "sub", "y", 0), (20, 3), (20, 3)),
        (("list", 1, "sub", "y", 1, "z"), (21, 9), (21, 5)),
    ],
)
def test_each_key_and_value_has_its_place(
    path: Path, value: tuple[int, int], key: tuple[int, int]
) -> None:
    places = Places(TEXT)
    assert places.of(path) == Place(*value)
    assert places.of(path, on_key=True) == Place(*key)


def test_a_path_that_is_not_there_has_the_place_of_what_is_around_it() -> None:
    places = Places(TEXT)
    assert places.of(("tasks", "backup", "command", 9)) == Place(4, 11)
    assert places.of(("tasks", "backup", "missing")) == Place(3, 1)
    assert places.of(("nothing",)) is None


def test_what_stands_inside_text_or_comments_is_no_key() -> None:
    places = Places(TEXT)
    assert ("tasks", "inside") not in places.keys
    assert ("tasks", "no") not in places.keys


def test_columns_count_characters() -> None:
    assert Places('x = ["ü", 1]').of(("x", 1)) == Place(1, 11)


def test_the_text_of_a_line_comes_without_its_end() -> None:
    assert Places("a = 1\nb = 2").line_text(2) == "b = 2"
    assert Places("a = 1\n").line_text(9) == ""


@pytest.mark.parametrize(
    ("text", "statement", "path"),
    [
        ("a = 1\nb = [1,\n", 6, ("b",)),
        ("[t]\nx = {a = ", 4, ("t", "x", "a")),
        ("[t]\nx = ", 4, ("t", "x")),
        ("[a\n", 0, ("a",)),
        ("[t]\nx = 1 ", 4, ("t", "x")),
        ("[t]\nx = 1\n", 10, ("t",)),
        ("", 0, ()),
        ('x = """\n\n', 0, ("x",)),
    ],
)
def test_text_that_ends_inside_a_statement_tells_which(
    text: str, statement: int, path: Path
) -> None:
    places = Places(text)
    assert (places.statement, places.path) == (statement, path)
