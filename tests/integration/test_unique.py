"""Jobs of which there is one at a time: who is told of which, and for how long."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import Conflict, InvalidArguments
from jobctl.protocol import requests
from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = 'user = "root"' if os.geteuid() == 0 else ""
CONFIG = f"""
[workers.default]
queues = ["default", "held"]
pythonpath = ["{CODE}"]
{USER}
[tasks.whole]
shell = "true"
queue = "held"
unique = "task"
[tasks.args]
function = "work:note"
queue = "held"
unique = "args"
[tasks.key]
shell = "true"
queue = "held"
unique = "{{customer}}"
[tasks.failing]
shell = "false"
unique = "task"
retries = 1
retry_delay = "1h"
retry_jitter = false
"""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon whose queue ``held`` is paused."""
    with running_daemon(CONFIG) as started:
        started.call(requests.Pause(queue="held", paused=True))
        yield started


def ask(daemon: Daemon, *jobs: dict[str, Any]) -> list[dict[str, Any]]:
    answer = daemon.call(requests.Submit(jobs=list(jobs)))
    return list(answer["jobs"])


def count(daemon: Daemon) -> int:
    return int(daemon.call(requests.List(count=True))["count"])


def test_a_second_submit_gives_the_job_that_is_there_and_says_so(daemon: Daemon) -> None:
    (first,) = ask(daemon, {"task": "whole"})

    (second,) = ask(daemon, {"task": "whole"})

    assert first == {"id": first["id"], "state": "PENDING", "duplicate": False}
    reason = f'task "whole" is unique, and job {first["id"]} is PENDING'
    assert second == {**first, "duplicate": True, "reason": reason}
    assert count(daemon) == 1


def test_a_job_that_has_ended_stands_in_nobodys_way(daemon: Daemon) -> None:
    (first,) = ask(daemon, {"task": "whole"})
    daemon.call(requests.Cancel(job=first["id"]))

    (second,) = ask(daemon, {"task": "whole"})

    assert second["id"] != first["id"]
    assert not second["duplicate"]


def test_a_job_that_waits_for_another_attempt_is_there(daemon: Daemon) -> None:
    (first,) = ask(daemon, {"task": "failing"})
    daemon.until("its retry", lambda: daemon.status(first["id"])["state"] == "RETRY")

    (second,) = ask(daemon, {"task": "failing"})

    assert (second["id"], second["state"]) == (first["id"], "RETRY")


def test_the_same_arguments_are_the_same_however_they_are_given(daemon: Daemon) -> None:
    answers = ask(
        daemon,
        {"task": "args", "args": ["/tmp/a", "x"]},
        {"task": "args", "args": ["/tmp/a"], "kwargs": {"name": "x"}},
        {"task": "args", "kwargs": {"name": "x", "ledger": "/tmp/a"}, "typed": True},
        {"task": "args", "args": ["/tmp/a", "y"]},
    )

    assert [answer["duplicate"] for answer in answers] == [False, True, True, False]
    assert len({answer["id"] for answer in answers}) == 2


def test_a_key_says_what_is_unique(daemon: Daemon) -> None:
    answers = ask(
        daemon,
        {"task": "key", "args": ["1"], "kwargs": {"customer": "acme"}},
        {"task": "key", "args": ["2"], "kwargs": {"customer": "acme"}},
        {"task": "key", "args": ["1"], "kwargs": {"customer": "zeta"}},
    )

    assert [answer["duplicate"] for answer in answers] == [False, True, False]
    with pytest.raises(InvalidArguments, match="customer"):
        ask(daemon, {"task": "key"})


def test_of_thousands_in_one_request_one_is_made(daemon: Daemon) -> None:
    answers = ask(daemon, *({"task": "whole"} for _ in range(2000)))

    assert len({answer["id"] for answer in answers}) == 1
    assert count(daemon) == 1


def test_a_request_that_is_repeated_means_the_same_job_also_after_that_has_ended(
    daemon: Daemon,
) -> None:
    """Its client never heard the first answer: the key has to give the same job again (P8)."""
    (first,) = ask(daemon, {"task": "whole"})
    (second,) = ask(daemon, {"task": "whole", "key": "mine"})
    daemon.call(requests.Cancel(job=first["id"]))

    (again,) = ask(daemon, {"task": "whole", "key": "mine"})

    assert second["id"] == again["id"] == first["id"]
    assert (again["state"], again["duplicate"]) == ("REVOKED", True)


def test_it_holds_over_a_killed_daemon(daemon: Daemon) -> None:
    (first,) = ask(daemon, {"task": "whole"})
    daemon.kill()
    daemon.start()

    (second,) = ask(daemon, {"task": "whole"})

    assert second["id"] == first["id"]


def test_a_fresh_round_is_refused_while_another_job_is_there(daemon: Daemon) -> None:
    (first,) = ask(daemon, {"task": "whole"})
    daemon.call(requests.Cancel(job=first["id"]))
    (second,) = ask(daemon, {"task": "whole"})

    with pytest.raises(Conflict, match=f"unique, and job {second['id']} is PENDING"):
        daemon.call(requests.Retry(job=first["id"]))
    daemon.call(requests.Cancel(job=second["id"]))
    daemon.call(requests.Retry(job=first["id"]))

    assert ask(daemon, {"task": "whole"})[0]["id"] == first["id"]


def test_a_job_that_was_submitted_before_a_renaming_is_there(daemon: Daemon) -> None:
    (first,) = ask(daemon, {"task": "whole"})
    text = daemon.config.read_text()
    renamed = text.replace("[tasks.whole]", '[tasks.total]\naliases = ["whole"]')
    daemon.config.write_text(renamed)
    daemon.call(requests.Reload())

    (second,) = ask(daemon, {"task": "total"})

    assert second["id"] == first["id"]


def test_an_instant_whose_job_is_there_already_makes_none() -> None:
    config = """
[tasks.tick]
shell = 'until [ -e "$GO" ]; do sleep 0.01; done'
env = { GO = "/nonexistent/go" }
unique = "task"
every = "1s"
on_overlap = "allow"
"""
    with running_daemon(config) as daemon:
        job = daemon.submit(task="tick")

        def skipped() -> list[dict[str, Any]]:
            fires = daemon.call(requests.History(schedule="tick"))["fires"]
            return [fire for fire in fires if fire["fate"] == "skipped"]

        daemon.until("an instant to be skipped", skipped)
        assert skipped()[0]["reason"] == f"job {job} does the same already"
        assert count(daemon) == 1
        daemon.call(requests.Cancel(job=job))


def test_of_two_schedules_due_at_one_instant_one_makes_the_job() -> None:
    config = """
[tasks.tick]
shell = 'until [ -e "$GO" ]; do sleep 0.01; done'
env = { GO = "/nonexistent/go" }
unique = "task"
[schedules.a]
task = "tick"
cron = "* * * * * *"
[schedules.b]
task = "tick"
cron = "* * * * * *"
"""
    with running_daemon(config) as daemon:

        def first_fates() -> list[tuple[str, str | None]]:
            found = [daemon.call(requests.History(schedule=name))["fires"] for name in ("a", "b")]
            return [(fires[-1]["fate"], fires[-1]["reason"]) for fires in found if fires]

        daemon.until("both to have a fate", lambda: len(first_fates()) == 2)
        (job,) = daemon.call(requests.List())["jobs"]
        assert sorted(first_fates(), key=str) == [
            ("skipped", f"job {job['id']} does the same already"),
            ("submitted", None),
        ]
        daemon.call(requests.Cancel(job=job["id"]))
