"""The audit trail: every request that changes something is in it, with who asked, and without secrets."""

from __future__ import annotations

import contextlib
import os

import pytest

from jobctl.daemon.handlers import READ_ONLY, WRITING
from jobctl.daemon.trail import TRAIL, Noted, told_of
from jobctl.errors import JobctlError, NotFound
from jobctl.protocol import requests
from jobctl.protocol.requests import REQUESTS, Request
from tests.support.daemon import running_daemon
from tests.support.users import NOBODY, as_nobody

NOT_NOTED = {
    requests.Hello,
    requests.Wait,
    requests.Health,
    requests.Metrics,
    # Their uid is in the rows that they make.
    requests.Submit,
    requests.SubmitWorkflow,
}
"""What changes nothing, beside `READ_ONLY`, or says itself who has asked."""


def test_each_request_is_noted_or_changes_nothing() -> None:
    assert TRAIL.keys() | READ_ONLY | NOT_NOTED >= set(REQUESTS.values())
    assert not TRAIL.keys() & (READ_ONLY | NOT_NOTED)


def test_what_is_part_of_the_turn_is_noted_in_it() -> None:
    in_turn = {kind for kind, noted in TRAIL.items() if noted is Noted.IN_TURN}

    assert in_turn == WRITING - NOT_NOTED


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (requests.Cancel(job=7, signal="INT"), ("7", "signal=INT")),
        (requests.Pause(queue="q", paused=False), ("q", "paused=false")),
        (requests.Limit(queue="q", limits={"concurrency": 2}), ("q", 'limits={"concurrency": 2}')),
        (requests.Limit(queue="q"), None),
        (requests.Scale(group="g"), None),
        (requests.Scale(group="g", processes=3), ("g", "processes=3")),
        (requests.Purge(queue="q"), ("q", "")),
        (requests.Purge(queue="q", until=5, next=["a", 1, 2]), None),
        (requests.Reload(), ("", "")),
        (
            requests.AddSchedule(name="s", table={"task": "a", "kwargs": {"password": "secret"}}),
            ("s", 'keys=["kwargs", "task"]'),
        ),
        (requests.RunSchedule(name="s", key="secret", force=True), ("s", "force=true")),
    ],
)
def test_what_is_told_of_a_request(request_: Request, told: tuple[str, str] | None) -> None:
    assert told_of(request_) == told


CONFIG = """
[daemon]
socket_group = "65534"
[tasks.a]
command = ["true"]
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_changes_are_noted_with_who_made_them_and_refused_ones_are_not() -> None:
    with running_daemon(CONFIG, start=False) as daemon:
        daemon.folder.chmod(0o755)
        daemon.start()
        job = daemon.submit(task="a", delay_s=9999.0)
        daemon.call(requests.Pause(queue="default", paused=True))
        with pytest.raises(NotFound):
            daemon.call(requests.Cancel(job=999_999))
        table = {"task": "a", "every": "1h"}
        daemon.call(requests.AddSchedule(name="s", table=table))
        # The same again changes nothing.
        daemon.call(requests.AddSchedule(name="s", table=table))
        daemon.call(requests.Cancel(job=job))
        daemon.call(requests.Reload())

        def work() -> None:
            from jobctl.client import Client

            client = Client(daemon.socket, timeout_s=60.0)
            own = client.call(requests.Submit(jobs=[{"task": "a", "delay_s": 9999.0}]))
            client.call(requests.Cancel(job=own["jobs"][0]["id"]))
            for request in (requests.Reload(), requests.Changes()):
                with contextlib.suppress(JobctlError):
                    client.call(request)
                    raise AssertionError(request)

        assert as_nobody(work) == "nothing"
        daemon.call(requests.Stop())
        daemon.wait_for_exit()
        daemon.start()

        answer = daemon.call(requests.Changes())
        told = [(one["uid"], one["request"], one["subject"]) for one in answer["changes"]]
        page = daemon.call(requests.Changes(limit=2))
        assert [one["id"] for one in page["changes"]] == [
            one["id"] for one in answer["changes"][:2]
        ]
        assert page["next"] == page["changes"][-1]["id"]

    assert told == [
        (0, "stop", ""),
        (NOBODY, "cancel", str(job + 1)),
        (0, "reload", ""),
        (0, "cancel", str(job)),
        (0, "add_schedule", "s"),
        (0, "pause", "default"),
    ]
