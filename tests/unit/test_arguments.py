"""From what was typed to what a command or a function gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.arguments import (
    LONGEST_STRING_BYTES,
    Argument,
    Exact,
    Given,
    Parameter,
    ParameterKind,
    Texts,
    Typed,
    bind,
    build_argv,
    build_env,
    malformed_placeholders,
    parse_args_json,
    parse_named,
    parse_named_all,
    placeholders,
    plain_annotation,
    shell_argv,
    signature,
    texts,
    with_defaults,
)
from jobctl.errors import InvalidArguments

if TYPE_CHECKING:
    from jobctl.task.keys import Json


def typed(*words: str, **named: str) -> Given:
    """Arguments as a person types them."""
    return Given(
        args=tuple(Typed(word) for word in words),
        kwargs={name: Typed(text) for name, text in named.items()},
    )


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("to=a@b.c", "to", Typed("a@b.c")),
        ("to=", "to", Typed("")),
        ("x=a=b", "x", Typed("a=b")),
        ("x=:=1", "x", Typed(":=1")),
        ("n:=3", "n", Exact(3)),
        ('n:="3"', "n", Exact("3")),
        ("n:=[1, null]", "n", Exact([1, None])),
        ("dry-run=yes", "dry-run", Typed("yes")),
    ],
)
def test_a_named_argument_is_a_name_and_text_or_json(
    text: str, name: str, argument: Argument
) -> None:
    assert parse_named(text) == (name, argument)


@pytest.mark.parametrize("text", ["", "x", "=1", "1=x", "a b=1", "n:=", "n:=NaN", 'n:={"a":1,"a":2}', "n:=[", "n:=" + "[" * 10000])  # fmt: skip
def test_what_is_no_named_argument_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments):
        parse_named(text)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(InvalidArguments, match='"a" is given twice'):
        parse_named_all(["a=1", "a:=2"])


def test_args_json_is_taken_as_it_is() -> None:
    assert parse_args_json('["1", 1]') == (Exact("1"), Exact(1))
    with pytest.raises(InvalidArguments, match="not a list"):
        parse_args_json("{}")


def test_a_job_replaces_positional_arguments_whole_and_named_ones_one_by_one() -> None:
    own = with_defaults(typed(), [1, 2], {"a": 1, "b": 2})
    assert own == Given.exact([1, 2], {"a": 1, "b": 2})
    mixed = with_defaults(typed("x", b="3"), [1, 2], {"a": 1, "b": 2})
    assert mixed == Given(args=(Typed("x"),), kwargs={"a": Exact(1), "b": Typed("3")})


def test_placeholders_take_their_arguments_and_the_rest_is_appended() -> None:
    command = ("tar", "-cf", "{name}", "{2}", "{print $1}", "x{1}", "{{name}}")
    argv = build_argv(command, Texts(args=("one", "two", "three"), kwargs={"name": "a.tar"}))
    assert argv == ("tar", "-cf", "a.tar", "two", "{print $1}", "x{1}", "{name}", "one", "three")


def test_what_an_argument_holds_is_never_read_as_a_placeholder() -> None:
    assert build_argv(("echo", "{1}"), Texts(args=("{2}", "{1}"))) == ("echo", "{2}", "{1}")


def test_a_placeholder_without_its_argument_is_refused() -> None:
    with pytest.raises(InvalidArguments, match=r"needs the argument \{2\}"):
        build_argv(("echo", "{2}"), Texts(args=("a",)))
    with pytest.raises(InvalidArguments, match=r"needs the argument \{name\}") as caught:
        build_argv(("echo", "{name}"), Texts())
    assert caught.value.hint == "Add -k name=VALUE."


def test_placeholders_are_named_once_and_zero_is_none() -> None:
    command = ("x", "{a}", "{1}", "{a}", "{0}", "{{b}}")
    assert placeholders(command) == ("a", "1")
    assert malformed_placeholders(command) == (4,)


def test_a_shell_line_gets_its_arguments_beside_it_not_inside() -> None:
    given = Texts(args=("; rm -rf /", "$(x)"))
    assert shell_argv('echo "$1"', given) == ("/bin/sh", "-c", 'echo "$1"', "/bin/sh", "; rm -rf /", "$(x)")  # fmt: skip


def test_all_arguments_are_variables_too() -> None:
    assert build_env(("a", "b"), {"dry-run": "yes", "To": "x"}) == {
        "JOBCTL_ARG_1": "a",
        "JOBCTL_ARG_2": "b",
        "JOBCTL_ARG_DRY_RUN": "yes",
        "JOBCTL_ARG_TO": "x",
    }


def test_names_that_would_be_one_variable_are_refused() -> None:
    with pytest.raises(InvalidArguments, match="JOBCTL_ARG_A_B"):
        texts(typed(**{"a-b": "1", "a_b": "2"}))
    with pytest.raises(InvalidArguments, match="cannot name"):
        texts(Given(kwargs={"a b": Typed("1")}))


def test_a_command_gets_values_as_their_json_and_text_as_it_is() -> None:
    given = Given(args=(Exact("a b"), Exact(3), Exact(True), Exact([1, "ü"]), Typed("3")))
    assert texts(given).args == ("a b", "3", "true", '[1,"ü"]', "3")


@pytest.mark.parametrize("text", ["a\0b", "x" * (LONGEST_STRING_BYTES + 1), "ü" * 65536, "\ud800"])
def test_what_execve_cannot_take_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments):
        texts(typed(text))
    with pytest.raises(InvalidArguments):
        texts(typed(name=text))


def test_bytes_that_are_no_utf8_pass_through() -> None:
    assert texts(typed("caf\udce9")).args == ("caf\udce9",)


PARAMETERS = (
    Parameter(name="to", annotation="str"),
    Parameter(name="count", annotation="int", has_default=True),
    Parameter(name="any", has_default=True),
    Parameter(name="dry", annotation="bool", has_default=True, kind=ParameterKind.KEYWORD_ONLY),
)


def test_typed_text_becomes_what_the_annotation_names() -> None:
    call = bind(PARAMETERS, typed("007", "3", "[1]", dry="no"))
    assert call.args == ("007", 3, [1])
    assert call.kwargs == {"dry": False}


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("str", "1", "1"),
        ("int", "-5", -5),
        ("float", "1e3", 1000.0),
        ("float", "2", 2.0),
        ("bool", "True", True),
        ("bool", "0", False),
        ("list", "[1]", [1]),
        ("dict", '{"a": 1}', {"a": 1}),
        (None, "1", 1),
        (None, "null", None),
        (None, "abc", "abc"),
        (None, "NaN", "NaN"),
        (None, "1e999", "1e999"),
        (None, "", ""),
    ],
)
def test_each_annotation_converts(annotation: str | None, text: str, value: Json) -> None:
    assert bind((Parameter(name="x", annotation=annotation),), typed(text)).args == (value,)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "1.5"), ("int", ""), ("int", "1_000"), ("int", "9" * 5000), ("float", "nan"), ("float", "x"),
        ("bool", "maybe"), ("list", "{}"), ("list", "x"), ("dict", "[]"), ("dict", "1"),
    ],
)  # fmt: skip
def test_text_that_does_not_convert_names_the_argument(annotation: str, text: str) -> None:
    with pytest.raises(InvalidArguments, match="argument 1"):
        bind((Parameter(name="x", annotation=annotation),), typed(text))


def test_exact_values_are_never_guessed_at() -> None:
    given = Given(args=(Exact("1"),), kwargs={"count": Exact("x")})
    assert bind(PARAMETERS, given).args == ("1",)
    assert bind(PARAMETERS, given).kwargs == {"count": "x"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (typed(), 'needs the argument "to"'),
        (typed("a", "1", "2", "3"), "4 positional arguments given"),
        (typed("a", to="b"), "by position and by name"),
        (typed("a", cuont="1"), 'has no argument "cuont"'),
    ],
)
def test_a_call_that_cannot_be_is_refused_with_the_signature(given: Given, message: str) -> None:
    with pytest.raises(InvalidArguments, match=message) as caught:
        bind(PARAMETERS, given)
    if "by position" not in message:
        assert "(to: str, count: int = …, any = …, *, dry: bool = …)" in caught.value.hint


def test_further_positions_and_names_go_where_the_function_takes_them() -> None:
    parameters = (
        Parameter(name="a", kind=ParameterKind.POSITIONAL_ONLY),
        Parameter(name="rest", annotation="int", kind=ParameterKind.VAR_POSITIONAL),
        Parameter(name="more", annotation="float", kind=ParameterKind.VAR_KEYWORD),
    )
    call = bind(parameters, typed("x", "1", "2", a="3", b="4"))
    assert call.args == ("x", 1, 2)
    assert call.kwargs == {"a": 3.0, "b": 4.0}
    assert signature(parameters) == "(a, /, *rest: int, **more: float)"


def test_a_positional_only_parameter_cannot_be_given_by_name() -> None:
    with pytest.raises(InvalidArguments, match='no argument "a"'):
        bind((Parameter(name="a", kind=ParameterKind.POSITIONAL_ONLY),), typed(a="1"))


def test_without_a_signature_nothing_is_checked() -> None:
    call = bind(None, typed("1", "x", a="2"))
    assert (call.args, call.kwargs) == ((1, "x"), {"a": 2})


def test_parameters_survive_json_and_unknown_annotations_are_none() -> None:
    for parameter in PARAMETERS:
        assert Parameter.from_json(parameter.to_json()) == parameter
    odd = {**PARAMETERS[0].to_json(), "annotation": "Decimal"}
    assert Parameter.from_json(odd).annotation is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("str", "str"), ("str | None", "str"), ("None|int", "int"), ("Optional[float]", "float"),
        ("typing.Optional[bool]", "bool"), ("list[int]", "list"), ("dict[str, int] | None", "dict"),
        ("int | str", None), ("Decimal", None), ("None", None), ("", None),
    ],
)  # fmt: skip
def test_an_annotation_means_its_plain_type(text: str, kind: str | None) -> None:
    assert plain_annotation(text) == kind


def test_arguments_stay_out_of_repr() -> None:
    assert "secret" not in repr(typed("secret", a="secret"))
    assert "secret" not in repr(texts(typed("secret", a="secret")))
