"""What webhooks and pings say."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from jobctl.notify.command import variables
from jobctl.notify.http import payload, run_id, suffix, text_of
from tests.unit.notify.test_mail import a_notice


@pytest.mark.parametrize(
    ("others", "path"),
    [
        ({"event": "start"}, "/start"),
        ({"event": "success", "exit_code": 0}, ""),
        ({"exit_code": 12}, "/12"),
        ({"exit_code": None, "signal": 9}, "/fail"),
        ({"exit_code": 0, "verdict": "timeout"}, "/fail"),
        ({"event": "retry"}, "/log"),
        ({"event": "output"}, "/log"),
    ],
)
def test_a_ping_appends_what_happened(others: dict[str, Any], path: str) -> None:
    assert suffix(a_notice(**others)) == path


def test_the_run_of_an_attempt_is_a_uuid_of_its_own() -> None:
    first, again = run_id(a_notice(event="start")), run_id(a_notice())

    assert str(uuid.UUID(first)) == first == again
    assert run_id(a_notice(attempt=2)) != first != run_id(a_notice(id=8))


def test_a_chat_is_neither_called_nor_led_away() -> None:
    text = text_of(a_notice(task="<!everyone>", output="<http://evil|safe> @channel ``` &"))

    assert "<" not in text
    assert "@channel" not in text
    assert text.count("```") == 2


def test_a_webhook_says_moments_as_iso_8601_and_no_ids_of_mails() -> None:
    said = payload(a_notice())

    assert said["finished_at"].endswith("+00:00")
    assert "message_id" not in said
    json.dumps(said)


def test_variables_are_one_line_each() -> None:
    notice = a_notice(error={"type": "E", "message": "a\nb\0c"}, text="t", signal=None)

    found = variables(notice)

    assert found["JOBCTL_EXIT_CODE"] == "12"
    assert found["JOBCTL_SIGNAL"] == ""
    assert found["JOBCTL_ERROR"] == "a b c"
