"""People are told: a real daemon, real senders, and real servers that receive what is sent."""

from __future__ import annotations

import email
import hashlib
import hmac
import json
import stat
import subprocess
import sys
import tomllib
from email import policy
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import JobctlError, NotAllowed
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.receivers import Hook, Mailbox, Place

if TYPE_CHECKING:
    from pathlib import Path

TASKS = """
[tasks.work]
shell = 'echo "out: $2"; exit $1'
[tasks.plain]
command = ["true"]
"""

SENDMAIL = """#!/bin/sh
# Keeps what it is given, as a mail server would.
number=$(ls {folder} | wc -l)
printf '%s\\n' "$@" > {folder}.args
cat > {folder}/.$number && mv {folder}/.$number {folder}/$number
"""


@pytest.fixture
def sendmail(tmp_path: Path) -> Path:
    """A program that takes mails and keeps them in the folder ``<program>.mails``."""
    folder = tmp_path / "mails"
    folder.mkdir()
    program = tmp_path / "sendmail"
    program.write_text(SENDMAIL.format(folder=folder))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def mails_of(sendmail: Path) -> list[Any]:
    """The mails that the program was given, oldest first."""
    folder = sendmail.with_name("mails")
    files = sorted(
        (path for path in folder.iterdir() if path.name.isdigit()), key=lambda p: int(p.name)
    )
    return [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]


def messages(daemon: Daemon, **asked: Any) -> list[dict[str, Any]]:
    """The jobs of the routes, oldest first."""
    return sorted(
        daemon.call(requests.List(queue="jobctl.notify", **asked))["jobs"],
        key=lambda job: job["id"],
    )


def test_a_failure_is_mailed_by_sendmail_and_so_is_the_recovery(sendmail: Path) -> None:
    route = (
        f'[notify.ops]\nkind = "mail"\nto = ["ops@example.org", "root"]\nsendmail = "{sendmail}"\n'
    )
    with running_daemon(TASKS + route) as daemon:
        job = daemon.submit(task="work", args=["3", "first"])
        daemon.until("a mail", lambda: mails_of(sendmail))
        daemon.ended(daemon.submit(task="work", args=["4", "second"]))
        daemon.until("another mail", lambda: len(mails_of(sendmail)) == 2)
        daemon.ended(daemon.submit(task="work", args=["0", "third"]))
        daemon.ended(daemon.submit(task="work", args=["0", "fourth"]))
        daemon.until("the mail of the recovery", lambda: len(mails_of(sendmail)) == 3)
        for message in messages(daemon):
            daemon.ended(message["id"])

    first, second, third = mails_of(sendmail)
    assert "work FAILED (exit 3) after" in first["Subject"]
    assert "work RECOVERED after 2 failures" in third["Subject"]
    assert first["To"] == "ops@example.org, root"
    assert (first["Auto-Submitted"], first["X-Jobctl-Job"]) == ("auto-generated", str(job))
    body = first.get_content()
    assert "out: first" in body
    assert f"jobctl logs {job}" in body
    assert "ended with: " in body
    assert sendmail.with_name("mails.args").read_text().split() == ["-oi", "-t"]
    # They belong together for who reads them.
    (task,) = first["References"].split()
    assert second["References"].split() == [task, first["Message-ID"]]
    assert third["References"].split() == [task, first["Message-ID"]]
    assert len({mail["Message-ID"] for mail in (first, second, third)}) == 3


def test_messages_are_no_jobs_of_users(sendmail: Path) -> None:
    route = f'[notify.ops]\nkind = "mail"\nto = ["root"]\nsendmail = "{sendmail}"\n'
    with running_daemon(TASKS + route) as daemon:
        job = daemon.submit(task="work", args=["3"])
        daemon.until("a mail", lambda: mails_of(sendmail))
        (message,) = messages(daemon)
        daemon.ended(message["id"])

        listed = daemon.call(requests.List())["jobs"]
        count = daemon.call(requests.List(count=True))["count"]
        queues = daemon.call(requests.Inspect(what="queues"))["queues"]
        tasks = daemon.call(requests.Inspect(what="registered"))["tasks"]
        by_task = daemon.call(requests.List(task="jobctl.notify.ops"))["jobs"]
        # Nobody else speaks in the daemon's name, or keeps its senders busy.
        for job_of_ours in (
            {"task": "jobctl.notify.ops", "kwargs": {"notice": "{}"}},
            {"command": ["sleep", "1000"], "queue": "jobctl.notify"},
            {"task": "plain", "queue": "jobctl.notify"},
        ):
            with pytest.raises(NotAllowed, match="only the daemon itself"):
                daemon.submit(**job_of_ours)
        table = {"task": "jobctl.notify.ops", "every": "1s"}
        with pytest.raises(JobctlError, match="there is no task"):
            daemon.call(requests.AddSchedule(name="spam", table=table))

    assert [one["id"] for one in listed] == [job]
    assert count == 1
    assert "jobctl.notify" not in [queue["name"] for queue in queues]
    assert {task["name"] for task in tasks} == {"work", "plain"}
    assert [one["id"] for one in by_task] == [message["id"]]


def test_a_webhook_is_signed_and_is_read_by_chats(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    with Hook() as hook:
        address = tmp_path / "url"
        address.write_text(hook.url + "\n")
        route = f'[notify.chat]\nkind = "webhook"\nurl_file = "{address}"\nsecret_file = "{key}"\n'
        with running_daemon(TASKS + route) as daemon:
            job = daemon.submit(task="work", args=["3", "<!channel> @here & co"])
            daemon.until("a request", lambda: hook.requests)
            (message,) = messages(daemon)
            told = daemon.ended(message["id"])
            shown = json.dumps([told, daemon.call(requests.Inspect(what="conf"))]) + daemon.log()

    (request,) = hook.requests
    assert request.path == "/hook/5ec4e7"
    signed = hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-jobctl-signature-256"] == f"sha256={signed}"
    assert request.headers["x-jobctl-event"] == "failure"
    said = json.loads(request.body)
    assert (said["event"], said["task"], said["id"], said["exit_code"]) == (
        "failure",
        "work",
        job,
        3,
    )
    assert said["finished_at"].endswith("+00:00")
    assert "work FAILED (exit 3)" in said["text"]
    assert "<!channel>" not in said["text"]
    assert "@here" not in said["text"]
    assert "out: <!channel> @here & co" in said["output"]
    for secret in ("s3cret", "5ec4e7"):
        assert secret not in shown


def test_pings_pair_start_and_end_by_their_run(tmp_path: Path) -> None:
    config = """
    [tasks.gated]
    shell = 'until [ -e "$1" ]; do sleep 0.01; done; echo ran; exit $2'
    on_overlap = "allow"
    """
    with Hook() as hook:
        route = f'[notify.hc]\nkind = "ping"\nurl = "{hook.url}/{{task}}?create=1"\n'
        with running_daemon(config + route) as daemon:
            for number, code in enumerate(("0", "7")):
                gate = tmp_path / f"gate{number}"
                job = daemon.submit(task="gated", args=[str(gate), code])
                daemon.until(
                    "the start", lambda number=number: len(hook.requests) == 2 * number + 1
                )
                gate.touch()
                daemon.ended(job)
                daemon.until("the end", lambda number=number: len(hook.requests) == 2 * number + 2)
            for message in messages(daemon):
                daemon.ended(message["id"])

    paths = [request.path for request in hook.requests]
    ends = [path.partition("?")[0].removeprefix("/hook/5ec4e7/gated") for path in paths]
    assert ends == ["/start", "", "/start", "/7"]
    rids = [path.rpartition("rid=")[2] for path in paths]
    assert rids[0] == rids[1] != rids[2] == rids[3]
    assert all("create=1&rid=" in path for path in paths)
    assert [request.body for request in hook.requests] == [b"", b"ran\n", b"", b"ran\n"]


@pytest.mark.slow
def test_mail_goes_by_smtp(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("pa ss\n")
    # The certificate and the refusal of a login in the clear are tested without a daemon.
    with Mailbox() as mailbox:
        route = (
            f'[notify.ops]\nkind = "mail"\nto = ["a@example.org", "b@example.org"]\n'
            f'from = "jobs@example.org"\nsmtp = "127.0.0.1:{mailbox.port}"\ntls = "none"\n'
        )
        with running_daemon(TASKS + route) as daemon:
            daemon.submit(task="work", args=["3", "Grüße"])
            daemon.until("a mail", lambda: mailbox.raw)
            for message in messages(daemon):
                assert daemon.ended(message["id"])["state"] == "SUCCESS"

    (mail,) = mailbox.mails
    assert mailbox.recipients == [["a@example.org", "b@example.org"]]
    assert mail["From"] == "jobs@example.org"
    assert "out: Grüße" in mail.get_content()
    assert all(byte < 128 for byte in mailbox.raw[0])


def test_mailto_of_an_imported_crontab_just_works(sendmail: Path) -> None:
    table = sendmail.with_name("shop")
    table.write_text(
        "MAILTO=ops@example.org\n0 5 1 1 * echo printed; exit 1\n0 5 1 1 * true silent\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "jobctl", "import", "crontab", "--dialect", "cronie", str(table)],
        check=True,
        capture_output=True,
        text=True,
    )
    # Where the mail of this host goes is the only thing that differs from a host with a mail server.
    config = done.stdout.replace("enabled = false\n", "")
    config = config.replace('kind = "mail"', f'kind = "mail"\nsendmail = "{sendmail}"')
    names = list(tomllib.loads(config)["tasks"])
    with running_daemon(config) as daemon:
        for name in reversed(names):
            daemon.ended(daemon.submit(task=name))
        daemon.until("a mail", lambda: mails_of(sendmail))
        for message in messages(daemon):
            daemon.ended(message["id"])

    (mail,) = mails_of(sendmail)
    assert mail["To"] == "ops@example.org"
    assert mail["Subject"].startswith("Cron <")
    assert mail["Subject"].endswith("> echo printed; exit 1")
    assert mail.get_content() == "printed\n"


@pytest.mark.slow
def test_a_command_gets_the_message_as_json_and_as_variables(tmp_path: Path) -> None:
    script = tmp_path / "tell"
    script.write_text(
        f'#!/bin/sh\ncat > {tmp_path}/stdin; env > {tmp_path}/env\necho "$1" > {tmp_path}/told\n'
    )
    script.chmod(0o755)
    route = f'[notify.pager]\nkind = "command"\ncommand = ["{script}", "on call"]\n'
    with running_daemon(TASKS + route) as daemon:
        job = daemon.submit(task="work", args=["3", "x"])
        daemon.until("it to be told", (tmp_path / "told").exists)
        (message,) = messages(daemon)
        daemon.ended(message["id"])

    said = json.loads((tmp_path / "stdin").read_text())
    variables = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert (said["event"], said["id"], said["output"]) == ("failure", job, "out: x\n")
    assert variables["JOBCTL_EVENT"] == "failure"
    assert variables["JOBCTL_TASK"] == "work"
    assert variables["JOBCTL_JOB_ID"] == str(job)
    assert "FAILED (exit 3)" in variables["JOBCTL_TEXT"]
    assert "JOBCTL_ARG_NOTICE" not in variables
    assert (tmp_path / "told").read_text() == "on call\n"


RETRYING = 'timeout = "1s"\nretry_delay = "100ms"\nretry_delay_max = "200ms"\n'


@pytest.mark.slow
def test_nothing_is_lost_while_both_servers_are_down_and_no_job_waits(tmp_path: Path) -> None:
    # One refuses the connection, the other one takes it and never says a word; the daemon is killed meanwhile.
    mails, silent = Place(), Place()
    silent.hang()
    routes = (
        f'[notify.ops]\nkind = "mail"\nto = ["ops@example.org"]\nsmtp = "127.0.0.1:{mails.port}"\n'
        f'tls = "none"\n{RETRYING}'
        f'[notify.chat]\nkind = "webhook"\nurl = "http://127.0.0.1:{silent.port}/"\n{RETRYING}'
        '[notify.many]\nkind = "webhook"\non = ["success"]\n'
        f'url = "http://127.0.0.1:{silent.port}/many"\n{RETRYING}'
    )
    with mails, silent, running_daemon(TASKS + routes) as daemon:
        jobs = [daemon.submit(task="work", args=["3", str(number)]) for number in range(4)]
        daemon.until("a first try to fail", lambda: messages(daemon, states=["RETRY"]))
        daemon.kill()
        daemon.start()
        # Twice as many as there are senders hang; jobs run all the same.
        ok = [daemon.submit(task="plain") for _ in range(8)]
        assert {job["state"] for job in daemon.wait(*jobs, *ok)} == {"FAILURE", "SUCCESS"}
        assert not messages(daemon, states=["SUCCESS", "FAILURE", "REVOKED"])
        with Hook(place=silent) as hook, Mailbox(place=mails) as mailbox:
            waiting = [message["id"] for message in messages(daemon)]
            assert len(waiting) == 4 + 4 + 8
            ended = daemon.wait(*waiting, limit_s=120.0)

    assert {message["state"] for message in ended} == {"SUCCESS"}
    told = [json.loads(request.body)["id"] for request in hook.requests]
    assert sorted(set(told)) == sorted(jobs + ok)
    assert sorted(int(mail["X-Jobctl-Job"]) for mail in mailbox.mails) == sorted(jobs)


@pytest.mark.slow
def test_a_service_hears_how_a_task_is_and_not_how_it_was() -> None:
    away = Place()
    route = (
        f'[notify.hc]\nkind = "ping"\nurl = "http://127.0.0.1:{away.port}/x"\n'
        f'on = ["success", "failure"]\n{RETRYING}'
    )
    with away, running_daemon(TASKS + route) as daemon:
        for code in ("3", "0", "4", "0"):
            daemon.ended(daemon.submit(task="work", args=[code]))
        daemon.until(
            "only the newest one to be left",
            lambda: len(messages(daemon, states=["PENDING", "RETRY", "STARTED"])) == 1,
        )
        with Hook(place=away) as hook:
            daemon.wait(*[message["id"] for message in messages(daemon)])

    assert [request.path.partition("?")[0] for request in hook.requests] == ["/x"]


@pytest.mark.slow
def test_what_a_server_refuses_for_good_is_given_up_and_said() -> None:
    def refuse(address: str) -> str | None:
        return "550 5.1.1 no such user" if address.startswith("nobody") else None

    with Mailbox(refuse=refuse) as mailbox, Hook(answer=lambda _: 413) as hook:
        routes = (
            '[notify.gone]\nkind = "mail"\nto = ["nobody@example.org"]\n'
            f'smtp = "127.0.0.1:{mailbox.port}"\ntls = "none"\n'
            f'[notify.big]\nkind = "webhook"\nurl = "{hook.url}"\n'
        )
        with running_daemon(TASKS + routes) as daemon:
            daemon.submit(task="work", args=["3"])
            daemon.until("both", lambda: len(messages(daemon)) == 2)
            ended = daemon.wait(*[message["id"] for message in messages(daemon)])
            log = daemon.until("the log", lambda: "given up" in daemon.log() and daemon.log())
            said = [daemon.output(message["id"]) for message in ended]

    assert {message["state"] for message in ended} == {"FAILURE"}
    assert "550 5.1.1 no such user" in "".join(said)
    assert "answered 413" in "".join(said)
    assert "5ec4e7" not in log + "".join(said)


@pytest.mark.slow
def test_a_test_tells_what_came_of_each_route(tmp_path: Path) -> None:
    with Place() as away, Hook() as hook, Mailbox() as mailbox:
        config = (
            f'[notify.a-mail]\nkind = "mail"\nto = ["root"]\n'
            f'smtp = "127.0.0.1:{mailbox.port}"\ntls = "none"\n'
            f'[notify.b-hook]\nkind = "webhook"\nurl = "{hook.url}"\n'
            f'[notify.c-ping]\nkind = "ping"\nurl = "{hook.url}/{{task}}"\n'
            f'[notify.d-away]\nkind = "webhook"\nurl = "http://127.0.0.1:{away.port}/5ec4e7"\n'
        )
        with running_daemon(config) as daemon:
            line = [
                sys.executable,
                "-m",
                "jobctl",
                "--socket",
                str(daemon.socket),
                "notify",
                "test",
            ]
            all_of_them = subprocess.run(line, capture_output=True, text=True, check=False)
            (one,) = json.loads(
                subprocess.run([*line, "b-hook", "--json"], capture_output=True, check=True).stdout
            )["messages"]
            unknown = subprocess.run([*line, "a-mial"], capture_output=True, text=True, check=False)
            tried_again = messages(daemon, states=["RETRY"])

    assert all_of_them.returncode == 1
    rows = [row.split("\t") for row in all_of_them.stdout.splitlines()[1:]]
    assert [(row[0], row[3]) for row in rows] == [
        ("a-mail", "yes"),
        ("b-hook", "yes"),
        ("c-ping", "yes"),
        ("d-away", "no"),
    ]
    assert "Connection refused" in rows[3][4]
    assert "5ec4e7" not in all_of_them.stdout
    assert tried_again == []
    assert (one["sent"], one["said"]) == (True, f"http://127.0.0.1:{hook.place.port} answered 200")
    assert (unknown.returncode, 'Did you mean "a-mail"?' in unknown.stderr) == (4, True)
    assert "this is a test of the route a-mail" in mailbox.mails[0]["Subject"]
    # A test must not turn an alarm off.
    assert [request.path for request in hook.requests if "jobctl" in request.path] == [
        "/hook/5ec4e7/jobctl/log"
    ]
