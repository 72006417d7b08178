"""Whatever stands behind an option, the line is done or refused as a line: exit code 2, nothing else.

Every command that Typer knows is tried, with values at and beyond the limits of numbers, spans, moments and
sizes. A request that comes of it must be one that the protocol takes: a value that only the daemon finds
impossible to read would be told as a broken connection (69).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from typer.core import TyperGroup
from typer.main import get_command

from jobctl.cli import app
from jobctl.cli.session import Session
from jobctl.protocol.requests import REQUESTS, NewJob, Request, read, write

if TYPE_CHECKING:
    from collections.abc import Iterator

# These do their work in this process instead of making a request, some of them to files of this host.
NOT_TRIED = {
    *("daemon", "check", "import", "export", "takeover"),
    *("completion", "db", "doctor", "metrics", "service"),
}
# What must stand on the line beside an option.
NEEDED = {
    "submit": ["backup"],
    "explain": ["30 2 * * *"],
    "history": ["backup"],
    "queue pause": ["mail"],
    "queue resume": ["mail"],
    "schedule show": ["nightly"],
    "schedule add": ["nightly", "backup", "--cron=@daily"],
    "schedule edit": ["nightly"],
    "schedule remove": ["nightly"],
    "schedule disable": ["nightly"],
    "schedule enable": ["nightly"],
    "schedule run": ["nightly"],
}
BY_ID = {"logs", "wait", "result", "cancel", "retry"}


def commands() -> Iterator[tuple[str, Any]]:
    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(command, TyperGroup):
            for name, member in command.commands.items():
                yield from walk(f"{path} {name}".strip(), member)
        else:
            yield path, command

    return walk("", get_command(app.app))


def options_with_value() -> list[tuple[str, str]]:
    return [
        (path, option.opts[0])
        for path, command in commands()
        if path.split()[0] not in NOT_TRIED
        for option in command.params
        if option.param_type_name == "option" and not getattr(option, "is_flag", False)
    ]


EDGES = [2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**18, 10**30, 10**400, 10**5000]


def at_the_edges() -> list[str]:
    # Python itself refuses to write some thousand digits.
    numbers = [f"1{'0' * 5000}" if edge == 10**5000 else str(edge) for edge in EDGES]
    numbers += [
        "0",
        "1",
        "00",
        "007",
        "1_0",
        " 12",
        "12 ",
        "+5",
        "\uff11\uff12",
        "\u0663",
        "1.0",
        "1e3",
    ]
    numbers += [
        "-32768",
        "-32769",
        "32767",
        "32768",
        "1000",
        "1001",
        "1000000",
        "1000001",
        "nan",
        "inf",
    ]
    spans = [f"{n}{unit}" for n in numbers for unit in ("s", "w", "ms", "y", "M", "TiB", "K")]
    moments = ["0001-01-01", "9999-12-31", "9999-12-31T23:59:59.999999+00:00", "1969-12-31T23:59Z"]
    moments += ["24:00", "23:59:60", "02:30+01:00", "2026-02-30", "1970-01-01T00:00+23:59"]
    return [*numbers, *(f"-{n}" for n in numbers), *spans, *moments, "", " ", "-", "=", "a=", "\0"]


VALUES = st.one_of(
    st.sampled_from(at_the_edges()),
    st.integers().map(str),
    st.text(max_size=6).filter(lambda text: max(text, default=" ") < "\ud800"),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,9})?(ms|[smhdwyM])", fullmatch=True),
)


class Asked(BaseException):
    """The line made a request that the protocol takes. Not an Exception: nothing may catch it."""


class JudgingClient:
    """Stands where a client would: reads each request as the daemon's server does."""

    def __enter__(self) -> JudgingClient:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def connect(self) -> None:
        return

    def call(self, request: Request) -> dict[str, Any]:
        frame = json.loads(json.dumps(write(request)))
        judged = read(REQUESTS[frame.pop("do")], frame)
        for job in getattr(judged, "jobs", ()):
            if isinstance(job, dict):
                read(NewJob, job)
        raise Asked

    stream = call


def exit_code(argv: list[str]) -> int | None:
    """The exit code of a line, None if it went as far as a request."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Session, "client", lambda self, **options: JudgingClient())
        try:
            return app.run(argv)
        except Asked:
            return None


def line(path: str, *words: str) -> list[str]:
    return [*path.split(), *words, *NEEDED.get(path, ()), *(["7"] if path in BY_ID else ())]


@pytest.mark.slow
@settings(max_examples=300)
@given(st.sampled_from(options_with_value()), VALUES)
@example(("submit", "--priority"), "9223372036854775808")
@example(("submit", "--retries"), "9223372036854775808")
@example(("submit", "--timeout"), "1" + "0" * 5000)
@example(("logs", "--tail"), "1" + "0" * 5000)
@example(("list", "--before"), "9223372036854775808")
@example(("logs", "--attempt"), "9223372036854775808")
@example(("explain", "--from"), "0001-01-01")
@example(("explain", "--from"), "9999-12-31")
@example(("history", "--before"), "0001-01-01")
def test_a_value_is_taken_or_refused_as_a_value(option: tuple[str, str], value: str) -> None:
    path, name = option
    said = f"{name}={value}" if name.startswith("--") else f"{name}{value}"

    code = exit_code(line(path, said))

    event("asked" if code is None else f"exit code {code}")
    assert code in (None, 2) or (path == "explain" and code == 0)


@pytest.mark.slow
@given(st.sampled_from([*sorted(BY_ID), "status"]), VALUES)
@example("status", "9223372036854775807")
@example("wait", "9223372036854775808")
def test_an_id_is_written_as_it_was_printed(path: str, value: str) -> None:
    is_id = value.isascii() and value.isdecimal() and str(int(value[:30])) == value
    is_id = is_id and 1 <= int(value) < 2**63

    code = exit_code([*path.split(), "--", value])

    assert code == (None if is_id else 2)


def test_the_commands_that_are_needed_with_words_are_all_there() -> None:
    known = {path for path, _ in commands()}

    assert known >= {*NEEDED, *BY_ID}
    assert {path.split()[0] for path in known} >= NOT_TRIED
    assert ("submit", "--priority") in options_with_value()
