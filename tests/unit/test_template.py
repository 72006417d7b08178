"""Keys of jobs: what a template may be, and what it becomes with a job's arguments."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.errors import InvalidArguments
from jobctl.task.template import LONGEST_KEY, read_template, short_key
from jobctl.task.units import InvalidValue


@pytest.mark.parametrize(
    ("template", "args", "kwargs", "names", "key"),
    [
        ("{customer}", [], {"customer": "acme"}, (), "acme"),
        ("{1}", ["acme"], {}, (), "acme"),
        ("{2}-{1}", ["a", "b"], {}, (), "b-a"),
        ("all", [], {}, (), "all"),
        ("{{{1}}}", ["x"], {}, (), "{x}"),
        ("{n}", [], {"n": 3}, (), "3"),
        ("{n}", [], {"n": True}, (), "true"),
        ("{n}", [], {"n": {"b": 1, "a": [None]}}, (), '{"a":[null],"b":1}'),
        ("{to}", ["ann"], {}, ("to", "subject"), "ann"),
        ("{2}", ["ann"], {"subject": "hi"}, ("to", "subject"), "hi"),
        ("{1}", [], {"to": "ann"}, ("to", "subject"), "ann"),
    ],
)
def test_a_key_is_made_of_a_jobs_arguments(
    template: str, args: list[Any], kwargs: dict[str, Any], names: tuple[str, ...], key: str
) -> None:
    assert read_template(template).fill(args, kwargs, names) == key


@pytest.mark.parametrize("template", ["{customer}", "{2}"])
def test_an_argument_that_is_not_there_is_named(template: str) -> None:
    with pytest.raises(InvalidArguments, match=template.strip("{}")):
        read_template(template).fill(["one"], {"other": 1})


@pytest.mark.parametrize("text", ["{", "}", "{}", "{0}", "{a b}", "a}b", "{a", "{a}}", "{1a}"])
def test_a_template_with_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="not understood"):
        read_template(text)


def test_the_places_of_a_template_are_told_once_in_their_order() -> None:
    assert read_template("{b}/{1}/{b}{{c}}").places == ("b", "1")


def test_a_key_is_kept_as_it_is_unless_it_is_long_or_odd() -> None:
    kept = ["", "acme", "a/b", "é", "x" * LONGEST_KEY]
    odd = ["x" * (LONGEST_KEY + 1), "a\nb", "\udcff", "#acme", short_key("a\nb")]

    assert [short_key(key) for key in kept] == kept
    assert len({short_key(key) for key in [*kept, *odd]}) == len(kept) + len(odd)
    assert all(len(short_key(key)) == 33 for key in odd)
