"""The daemon's log lines: text for people, JSON for programs, and no forged lines."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import socket
import sys
import tempfile
from pathlib import Path
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


@pytest.fixture
def journal() -> Iterator[socket.socket]:
    """What listens where the journal does."""
    with tempfile.TemporaryDirectory(prefix="jobctl-") as folder:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.bind(f"{folder}/socket")
        yield made
        made.close()


@pytest.fixture
def to_journal(
    tmp_path: Path, journal: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Logging as under systemd; the file is what standard error got."""
    before = (logger.handlers[:], logger.level, logger.propagate)
    path = tmp_path / "stderr"
    with path.open("w") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr(sys, "stderr", stream)
        start_logging(FakeClock(), journal=str(journal.getsockname()))
        yield path
    logger.handlers[:], logger.level, logger.propagate = before


def entry(data: bytes) -> dict[str, str]:
    """A datagram of the journal's protocol, each field with its length."""
    found = {}
    while data:
        name, _, data = data.partition(b"\n")
        length = int.from_bytes(data[:8], "little")
        found[name.decode()] = data[8 : 8 + length].decode()
        assert data[8 + length : 9 + length] == b"\n"
        data = data[9 + length :]
    return found


def test_under_systemd_a_record_is_an_entry_of_the_journal_with_its_fields(
    to_journal: Path, journal: socket.socket
) -> None:
    logger.error("lost", extra=fields(job=7, reason="no\nPRIORITY=0"))

    assert entry(journal.recv(65536)) == {
        "MESSAGE": 'lost job=7 reason="no\\nPRIORITY=0"',
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "jobctl",
        "JOBCTL_JOB_ID": "7",
        "JOBCTL_REASON": "no\nPRIORITY=0",
    }
    assert to_journal.read_text() == ""


@pytest.mark.parametrize("trouble", ["gone", "too large", "full"])
def test_what_the_journal_does_not_take_goes_to_standard_error(
    to_journal: Path, journal: socket.socket, trouble: str
) -> None:
    text = "x" * (8 << 20) if trouble == "too large" else "lost"
    if trouble == "gone":
        Path(journal.getsockname()).unlink()
    if trouble == "full":
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as flood, contextlib.suppress(BlockingIOError):
            while True:
                flood.sendto(b"x", journal.getsockname())

    logger.error(text, extra=fields(job=7))

    assert to_journal.read_text() == f"<3>{text} job=7\n"


def test_in_a_container_lines_go_to_standard_output_without_moments(
    logged: Callable[..., io.StringIO], capsys: pytest.CaptureFixture[str]
) -> None:
    errors = logged()
    start_logging(FakeClock(), form="json", in_container=True)
    logger.warning("odd", extra=fields(job=7))
    start_logging(FakeClock(), form="text", in_container=True)
    logger.warning("odd", extra=fields(job=7))

    assert errors.getvalue() == ""
    assert capsys.readouterr().out.splitlines() == [
        '{"level": "warning", "message": "odd", "job": 7}',
        "warning odd job=7",
    ]


def test_a_stream_without_a_descriptor_is_no_journal() -> None:
    class Pipeless(io.StringIO):
        def fileno(self) -> int:
            raise OSError("no descriptor")

    assert not is_journal(Pipeless(), {"JOURNAL_STREAM": "8:12345"})
    assert not is_journal(sys.__stderr__ or sys.stderr, {})
