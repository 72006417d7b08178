"""The mail of a notice, whatever the names and outputs of users hold."""

from __future__ import annotations

import email
from email import policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.notify.mail import compose
from jobctl.notify.notice import head_and_tail, one_line, readable, to_text
from tests.support.clock import START

SETTINGS: dict[str, Any] = {"form": "jobctl", "to": ["ops@example.org"], "from": "jobs@example.org"}


def a_notice(**others: Any) -> dict[str, Any]:
    """A failure."""
    return {
        "event": "failure",
        "route": "ops",
        "host": "web1",
        "instance": "abc",
        "message_id": "<jobctl.abc.7.1.fail@web1>",
        "at": START,
        "task": "backup",
        "id": 7,
        "attempt": 1,
        "state": "FAILURE",
        "verdict": "failure",
        "exit_code": 12,
        "submitted_at": START,
        "started_at": START,
        "finished_at": START + 221_000_000,
        "duration_s": 221.0,
        "failures": 1,
        "output": "first\nlast\n",
        "output_bytes": 11,
        **others,
    }


def read(notice: dict[str, Any], **settings: Any) -> Any:
    """The mail as its reader's program takes it."""
    data = compose(notice, {**SETTINGS, **settings}).as_bytes()
    return email.message_from_bytes(data, policy=policy.default)


def test_the_subject_says_what_happened_where_and_how_long_it_took() -> None:
    assert read(a_notice())["Subject"] == "[web1] jobctl: backup FAILED (exit 12) after 3m41s"


@pytest.mark.parametrize(
    ("others", "subject"),
    [
        ({"event": "recovery", "failures": 4}, "backup RECOVERED after 4 failures"),
        ({"verdict": "timeout", "exit_code": None}, "backup FAILED (timed out) after 3m41s"),
        ({"signal": 9, "exit_code": None}, "backup FAILED (killed by SIGKILL) after 3m41s"),
        (
            {"exit_code": None, "error": {"type": "ValueError"}},
            "backup FAILED (ValueError) after 3m41s",
        ),
        ({"event": "retry"}, "backup failed (exit 12) and is tried again"),
        ({"event": "success"}, "backup succeeded after 3m41s"),
        ({"event": "cancelled"}, "backup was cancelled after 3m41s"),
        ({"event": "output"}, "output of backup"),
        (
            {"event": "late", "state": "RETRY", "late_s": 7200.0},
            "backup is LATE: still failing 2h0m after it was due",
        ),
        ({"event": "missed", "count": 3}, "backup MISSED 3 runs"),
        ({"event": "output", "task": None, "command": "ls -l"}, "output of ls -l"),
    ],
)
def test_each_event_has_its_subject(others: dict[str, Any], subject: str) -> None:
    assert read(a_notice(**others))["Subject"] == f"[web1] jobctl: {subject}"


def test_the_form_of_cron_is_what_filters_know() -> None:
    notice = a_notice(event="output", command="cd / && run-parts /etc/cron.daily", user="root")

    mail = read(notice, form="cron")

    assert mail["Subject"] == "Cron <root@web1> cd / && run-parts /etc/cron.daily"
    assert mail["From"] == '"(Cron Daemon)" <jobs@example.org>'
    assert mail.get_content().splitlines() == ["first", "last"]
    assert read(notice, form="cron", **{"from": None})["From"] == '"(Cron Daemon)" <root>'


def test_a_digest_names_each_thing_once() -> None:
    items = [a_notice(), a_notice(task="other", id=8), a_notice(id=9)]
    digest = a_notice(event="digest", items=items, count=5, task=None, id=None, output=None)

    mail = read(digest)

    assert mail["Subject"] == "[web1] jobctl: 5 notifications: backup, other"
    assert "* other FAILED (exit 12) after 3m41s" in mail.get_content()
    assert "* and 2 more: jobctl list" in mail.get_content()


# Half a pair cannot come: the notice has been through UTF-8.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(TEXT, TEXT, TEXT, TEXT)
def test_no_text_of_users_makes_a_header(task: str, command: str, output: str, said: str) -> None:
    notice = a_notice(
        task=task,
        command=f"{command}\r\nBcc: evil@example.org\r\n\r\nbody",
        output=readable(output.encode()),
        error={"type": one_line(said), "message": readable(said.encode())},
    )
    plain = read(a_notice(command="x")).keys()

    for form in ("jobctl", "cron"):
        data = compose(notice, {**SETTINGS, "form": form}).as_bytes()
        mail = email.message_from_bytes(data, policy=policy.default)

        assert set(mail.keys()) <= set(plain)
        assert len(set(mail.keys())) == len(mail.keys())
        assert mail["Bcc"] is None
        assert mail["To"] == "ops@example.org"
        assert data.isascii()
        assert all(len(line) <= 998 for line in data.split(b"\r\n"))


@given(st.binary(max_size=2000))
def test_any_output_is_text_that_a_terminal_survives(data: bytes) -> None:
    text = readable(data)

    assert all(c in "\n\t" or ord(c) >= 32 for c in text)
    assert "\x1b" not in text
    assert "\x9b" not in text
    text.encode()


@given(st.integers(0, 3000), st.integers(0, 1000))
def test_long_output_keeps_its_beginning_and_its_end(size: int, most: int) -> None:
    data = bytes(65 + position % 26 for position in range(size))

    text = head_and_tail(lambda at, length: data[at : at + length], size, size, most)

    if most == 0:
        assert text == ""
    elif size <= most:
        assert text == data.decode()
    else:
        head, rest = text.split("\n[… ")
        told, tail = rest.split(" bytes are left out …]\n")
        assert (head + tail).encode() == data[: len(head)] + data[len(data) - len(tail) :]
        assert len(head) + len(tail) + int(told) == size
        assert len(head) + len(tail) == most


def test_a_notice_is_cut_until_it_can_travel() -> None:
    worst = to_text(a_notice(output="\x01" * 60_000))
    digest = to_text({"event": "digest", "items": [a_notice(output="x" * 500)] * 500, "count": 500})

    assert len(worst.encode()) <= 100_000
    assert len(digest.encode()) <= 100_000
