"""A line that the fast way takes means to Typer the same request.

The fast way builds frames by hand; Typer's way builds the types of `jobctl.protocol.requests`. Both are
compared as frames, with the socket and the form of the answer that the line asked for.
"""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from jobctl.cli import app, fast
from jobctl.cli.session import Session
from jobctl.protocol.requests import REQUESTS, NewJob, Request, read, write

KEY = "0193-key"

NAMES = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=6)
VALUES = st.one_of(
    NAMES, st.text(max_size=5), st.sampled_from(["", "-", "--", "-5", "a=b", "=", ":="])
)
IDS = st.one_of(
    st.integers(-2, 2**64).map(str),
    st.sampled_from(["0", "007", "+1", " 1", "1_0", "\u0663", "9223372036854775807", "1.0", "x"]),
)
NAMED = st.one_of(
    st.builds("{}={}".format, NAMES, VALUES), st.builds("{}:={}".format, NAMES, VALUES), VALUES
)
OPTIONS = st.one_of(
    st.tuples(st.just("--json")),
    st.tuples(st.sampled_from(["--key", "--queue"]), VALUES),
    st.tuples(st.builds("--key={}".format, VALUES)),
    st.tuples(st.just("-k"), NAMED),
    st.tuples(st.builds("-k{}".format, NAMED)),
    st.tuples(st.sampled_from(["--wait", "-f", "-kx", "--retries", "--", "-", "-j", "--jso"])),
)
BEFORE = st.lists(
    st.one_of(
        st.tuples(st.just("--socket"), st.one_of(st.just("/s"), VALUES)),
        st.tuples(st.just("--json")),
        st.tuples(st.just("--color"), st.just("never")),
    ),
    max_size=2,
)


def flat(parts: list[tuple[str, ...]]) -> list[str]:
    return [word for part in parts for word in part]


SUBMITS = st.builds(
    lambda before, parts, rest: [*flat(before), "submit", *flat(parts), *rest],
    BEFORE,
    st.lists(st.one_of(OPTIONS, st.tuples(VALUES)), max_size=5),
    st.one_of(st.just([]), st.lists(VALUES, max_size=4).map(lambda words: ["--", *words])),
)
# Most lines of the kind above are refused or left alone; of these most are taken.
PLAIN = st.builds(
    lambda parts, task, rest: ["submit", *flat(parts), task, *rest],
    st.lists(
        st.one_of(
            st.tuples(st.just("--json")),
            st.tuples(st.just("--key"), NAMES),
            st.tuples(st.just("--queue"), NAMES),
            st.builds("{}={}".format, NAMES, VALUES).map(lambda named: ("-k", named)),
        ),
        max_size=3,
        unique_by=lambda part: part[0] if part[0] != "-k" else part,
    ),
    st.one_of(st.just("--"), NAMES),
    st.lists(st.one_of(NAMES, VALUES), max_size=4),
)
PLAIN_BY_ID = st.builds(
    lambda verb, number, after: [verb, str(number), *after],
    st.sampled_from(["status", "wait", "logs", "logs -f"]),
    st.integers(1, 2**63 - 1),
    st.sampled_from([[], ["--json"]]),
).map(lambda words: [*words[0].split(), *words[1:]])
BY_ID = st.builds(
    lambda before, verb, parts: [*flat(before), verb, *flat(parts)],
    BEFORE,
    st.sampled_from(["status", "wait", "logs", "list", "result"]),
    st.lists(
        st.one_of(st.tuples(IDS), st.tuples(st.sampled_from(["--json", "-f", "--follow", "--"]))),
        max_size=3,
    ),
)


class Asked(BaseException):
    """A request was about to be sent. Not an Exception: nothing on the way may catch it."""

    def __init__(self, session: Session, request: Request) -> None:
        super().__init__()
        self.session = session
        self.frame = write(request)


class AskedClient:
    """Stands where a client would; the first request ends the line."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> AskedClient:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def connect(self) -> None:
        return

    def call(self, request: Request) -> dict[str, Any]:
        raise Asked(self._session, request)

    stream = call


def through_typer(argv: list[str]) -> Asked:
    """What Typer's way would ask for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Session, "client", lambda self, **options: AskedClient(self))
        patched.setattr("jobctl.protocol.key.make_key", lambda: KEY)
        with pytest.raises(Asked) as asked:
            app.run(argv)
    return asked.value


@given(st.one_of(PLAIN, PLAIN_BY_ID, SUBMITS, BY_ID))
@example(["submit", "--", "ls", "-l"])
@example(["submit", "add", "--", "-5"])
@example(["submit", "--key", "--", "x"])
@example(["--socket", "submit", "submit", "x"])
@example(["logs", "-f", "3"])
@example(["submit", "-k", "a=1", "--json", "x", "y", "-k", "b=--"])
def test_a_line_that_is_taken_means_the_same_to_typer(argv: list[str]) -> None:
    line = fast.read_line(argv, lambda: KEY)
    if line is None:
        event("steps aside")
        return
    event(f"takes {line.request['do']}")

    asked = through_typer(argv)

    assert line.request == asked.frame
    assert line.socket == asked.session.socket
    assert line.as_json == asked.session.as_json


@given(st.one_of(PLAIN, SUBMITS))
def test_a_submit_that_is_taken_up_again_has_the_same_key(argv: list[str]) -> None:
    # What stepped aside after it may have been sent goes on under the key that was sent.
    line = fast.read_line(argv, lambda: KEY)
    if line is None:
        return
    key = line.request["jobs"][0]["key"]

    again = [*argv[: line.words_at], f"--key={key}", *argv[line.words_at :]]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("jobctl.protocol.key.make_key", lambda: "another")
        asked = through_typer_with_own_key(again, patched)

    assert asked.frame == line.request


def through_typer_with_own_key(argv: list[str], patched: pytest.MonkeyPatch) -> Asked:
    patched.setattr(Session, "client", lambda self, **options: AskedClient(self))
    with pytest.raises(Asked) as asked:
        app.run(argv)
    return asked.value


@pytest.mark.parametrize(
    "line",
    [
        "submit backup",
        "submit add 2 3",
        "submit add 2 3 -k scale=10 --json",
        "submit --queue mail --key abc send ann@example.org",
        "submit -- tar -czf /tmp/home.tar.gz .",
        "submit add -- -5",
        "--socket /run/s submit backup",
        "--json status 17",
        "status 17",
        "status 17 --json",
        "wait 17",
        "logs 17",
        "logs -f 17",
    ],
)
def test_the_plain_lines_are_taken(line: str) -> None:
    assert fast.read_line(line.split(), lambda: KEY) is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "status",
        "status 1 2",
        "status -1",
        "status abc",
        "submit",
        "submit --",
        "submit --wait backup",
        "submit -k a:=1 backup",
        "submit -k a=1 -k a=2 backup",
        "submit -k 1a=1 backup",
        "submit --key",
        "list",
        "logs 17 --json",
        "--help",
        "--color never status 17",
    ],
)
def test_every_other_line_is_left_to_typer(line: str) -> None:
    assert fast.read_line(line.split(), lambda: KEY) is None


@given(st.one_of(PLAIN, SUBMITS))
def test_what_is_taken_is_a_request_of_the_protocol(argv: list[str]) -> None:
    line = fast.read_line(argv, lambda: KEY)
    if line is None:
        return
    frame = dict(line.request)

    request = read(REQUESTS[frame.pop("do")], frame)

    assert [read(NewJob, job) for job in request.jobs]
