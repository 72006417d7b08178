"""What is wrong with routes is told before anybody waits for a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.config.load import load
from jobctl.plan import merge
from jobctl.plan.senders import QUEUE, task_name

if TYPE_CHECKING:
    from pathlib import Path

    from jobctl.errors import Problem

MAIL = '[notify.ops]\nkind = "mail"\nto = ["root"]\nsendmail = "/bin/true"\n'
TASK = '[tasks.backup]\ncommand = ["true"]\n'


def problems(text: str, tmp_path: Path) -> tuple[Problem, ...]:
    """Everything that is wrong with a configuration."""
    file = tmp_path / "jobctl.toml"
    file.write_text(text)
    return load(file).problems


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (MAIL + 'tasks = ["bakup"]\n', 5, 'there is no task "bakup"', 'Did you mean "backup"?'),
        (MAIL + 'tasks = ["nix-*"]\n', 5, 'there is no task "nix-*"', ""),
        (MAIL + 'queues = ["defualt"]\n', 5, 'no queue "defualt"', 'Did you mean "default"?'),
        (MAIL + 'on = ["faliure"]\n', 5, '"faliure" is not one of', 'Did you mean "failure"?'),
        (MAIL.replace("/bin/true", "/none"), 4, 'no program "/none"', "msmtp-mta"),
        (MAIL.replace('"root"', '"a@b\\nBcc: c"'), 3, "is no mail address", ""),
        (MAIL.replace('"root"', '"a, b"'), 3, "is no mail address", ""),
        (MAIL + 'url = "https://x.example.org/"\n', 5, "means nothing to a mail", "webhook"),
        (MAIL + 'tls = "tls"\n', 5, "smtp, which is not set", ""),
        (MAIL + 'late_after = "2h"\n', 1, "late_after and", 'on = ["failure", "late"]'),
        (MAIL + 'output = "1MiB"\n', 5, "16 KiB of output", "jobctl logs"),
        ('[notify.x]\nkind = "mail"\n', 1, "nobody gets its mail", ""),
        ('[notify.x]\nkind = "webhook"\n', 1, "one of url and url_file", ""),
        ('[notify.x]\nkind = "webhook"\nurl = "htp://secret"\n', 3, "it is no URL", "https://"),
        ('[notify.x]\nkind = "ping"\nurl_file = "/none"\n', 3, 'no file "/none"', "readable"),
        ('[notify.x]\nkind = "ping"\nurl = "https://h/"\ndigest = "1m"\n', 4, "one run", ""),
        ('[notify.x]\nkind = "ping"\nurl = "https://h/"\non = ["missed"]\n', 4, "not tell of", ""),
        ('[notify.x]\nkind = "command"\ncommand = ["/none"]\n', 3, 'no program "/none"', ""),
        ('[notify.x]\nkind = "command"\n', 1, "it has no command", ""),
        ('[notify.x]\nkind = "pigeon"\n', 2, '"pigeon" is not one of', ""),
        ('[tasks.a]\ncommand = ["a"]\nnotify = ["osp"]\n' + MAIL, 3, "no route", '"ops"?'),
        ('[tasks."jobctl.notify.x"]\ncommand = ["a"]\n', 1, "the name is taken", "another name"),
        ('[queues."jobctl.notify"]\nconcurrency = 1\n', 1, "the name is taken", "another name"),
        ('[workers."jobctl.notify"]\n', 1, "the name is taken", "another name"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text: str, line: int, message: str, hint: str, tmp_path: Path
) -> None:
    found = problems(text + TASK, tmp_path)

    fitting = [problem for problem in found if problem.line == line and message in problem.message]
    assert fitting, found
    assert hint in fitting[0].hint
    assert "secret" not in fitting[0].message + fitting[0].hint


def test_a_password_goes_only_where_it_is_safe(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("x")
    text = (
        '[notify.ops]\nkind = "mail"\nto = ["root"]\nsmtp = "mail.example.org:25"\ntls = "none"\n'
        f'username = "u"\npassword_file = "{password}"\n'
    )

    (problem,) = problems(text, tmp_path)

    assert "in the clear" in problem.message
    assert problems(text.replace('"none"', '"starttls"'), tmp_path) == ()


def test_a_route_that_is_switched_off_needs_nothing_of_the_host(tmp_path: Path) -> None:
    text = MAIL.replace("/bin/true", "/none") + "enabled = false\n"

    assert problems(text, tmp_path) == ()


def test_a_route_in_use_has_a_task_and_all_have_a_queue_and_workers(tmp_path: Path) -> None:
    off = MAIL.replace("ops", "off") + "enabled = false\n"
    file = tmp_path / "jobctl.toml"
    file.write_text(MAIL + off + TASK)
    loaded = load(file).plan
    assert loaded is not None

    plan = merge(loaded)

    assert set(plan.tasks) == {"backup", task_name("ops")}
    assert [group.name for group in plan.groups_serving(QUEUE)] == [QUEUE]
    assert [group.name for group in plan.groups_serving("default")] == ["default"]
    assert list(plan.to_json()["notify"]) == ["ops"]  # type: ignore[arg-type]


def test_settings_hide_addresses_that_are_secrets(tmp_path: Path) -> None:
    file = tmp_path / "jobctl.toml"
    file.write_text('[notify.x]\nkind = "webhook"\nurl = "https://h.example.org/5ec4e7"\n')
    loaded = load(file).plan
    assert loaded is not None

    assert "5ec4e7" not in str(merge(loaded).to_json())
    assert "5ec4e7" not in repr(merge(loaded).tasks)
