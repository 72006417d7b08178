"""The daemon's log lines: text for people, JSON for programs, and no forged lines."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING

import pytest

from jobctl.logs import fields, is_journal, logger, start_logging
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """Starts logging into a text and gives back what was logged; afterwards all is as before."""
    before = (logger.handlers[:], logger.level, logger.propagate)
    stream = io.StringIO()
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)

    def start(form: str = "text", level: str = "info") -> io.StringIO:
        # Here, not in the fixture: pytest puts its own stream in place before the test begins.
        monkeypatch.setattr(sys, "stderr", stream)
        start_logging(FakeClock(), form=form, level=level)
        return stream

    yield start
    logger.handlers[:], logger.level, logger.propagate = before


def test_a_line_has_moment_level_message_and_fields(logged: Callable[..., io.StringIO]) -> None:
    stream = logged()

    logger.warning("something is odd", extra=fields(job=7, reason="no space"))

    assert stream.getvalue() == (
        '2027-01-15T08:00:00.000Z warning something is odd job=7 reason="no space"\n'
    )


def test_a_value_cannot_forge_a_line(logged: Callable[..., io.StringIO]) -> None:
    stream = logged()

    logger.info("a job", extra=fields(task="x\n2027-01-15T08:00:00.000Z error all is lost"))

    assert len(stream.getvalue().splitlines()) == 1
    assert "\\n" in stream.getvalue()


def test_escape_sequences_do_not_reach_a_terminal(logged: Callable[..., io.StringIO]) -> None:
    stream = logged()

    logger.info("a job", extra=fields(task="\x1b[2J\u202e"))

    assert "\x1b" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()


def test_json_is_one_object_a_line(logged: Callable[..., io.StringIO]) -> None:
    stream = logged("json")

    logger.error("two\nlines", extra=fields(job=7))

    assert json.loads(stream.getvalue()) == {
        "time": "2027-01-15T08:00:00.000000+00:00",
        "level": "error",
        "message": "two\nlines",
        "job": 7,
    }


def test_what_is_below_the_level_is_left_out(logged: Callable[..., io.StringIO]) -> None:
    stream = logged(level="warning")

    logger.info("chatter")

    assert stream.getvalue() == ""
    assert not logger.isEnabledFor(logging.INFO)


def test_a_stream_without_a_descriptor_is_no_journal() -> None:
    class Pipeless(io.StringIO):
        def fileno(self) -> int:
            raise OSError("no descriptor")

    assert not is_journal(Pipeless(), {"JOURNAL_STREAM": "8:12345"})
    assert not is_journal(sys.__stderr__ or sys.stderr, {})
