"""Queues with real workers: in which order their jobs begin, who serves them, and pauses over a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.protocol import requests
from tests.support.daemon import running_daemon

if TYPE_CHECKING:
    from tests.support.daemon import Daemon


def hold(daemon: Daemon, queue: str = "default") -> int:
    """A job that runs until there is a file ``go``."""
    job = daemon.shell("until [ -e go ]; do sleep 0.01; done", queue=queue)
    daemon.until("it to run", lambda: daemon.status(job)["state"] == "STARTED")
    return job


def test_the_higher_priority_begins_first_and_of_equals_the_older_also_after_a_kill() -> None:
    with running_daemon("[workers.default]\ncommands = 1\n") as daemon:
        ledger = daemon.folder / "ledger"
        held = hold(daemon)
        priorities = [-1, 2, 0, 2, -2, 1, 0, 1, -1, 2] * 3
        jobs = [
            daemon.shell(f"echo $JOBCTL_JOB_ID >>{ledger}", priority=priority)
            for priority in priorities
        ]
        daemon.kill()
        daemon.start()
        (daemon.folder / "go").touch()
        daemon.wait(held, *jobs)

        begun = [int(line) for line in ledger.read_text().split()]
        by_rank = sorted(zip(priorities, jobs, strict=True), key=lambda pair: (-pair[0], pair[1]))
        assert begun == [job for _, job in by_rank]


def test_a_paused_queue_stays_paused_over_a_kill_and_the_others_go_on() -> None:
    with running_daemon() as daemon:
        daemon.call(requests.Pause(queue="reports", paused=True))
        before = daemon.shell("echo before >>ledger", queue="reports")
        daemon.kill()
        daemon.start()
        after = daemon.shell("echo after >>ledger", queue="reports")
        assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"
        for job in (before, after):
            told = daemon.status(job)
            assert (told["state"], told["reason"]) == ("PENDING", 'queue "reports" is paused')
        assert not (daemon.folder / "ledger").exists()

        daemon.call(requests.Pause(queue="reports", paused=False))

        daemon.wait(before, after)
        assert sorted((daemon.folder / "ledger").read_text().split()) == ["after", "before"]


def test_a_group_serves_its_queues_only_and_a_full_one_holds_no_other_up() -> None:
    config = """
[workers.heavy]
queues = ["heavy"]
commands = 1
[workers.light]
queues = ["light", "default"]
commands = 1
"""
    with running_daemon(config) as daemon:
        held = hold(daemon, "heavy")
        waits = daemon.shell("true", queue="heavy", priority=100)
        (keeper,) = [w for w in daemon.workers("keeper") if held in w["attempts"]]
        assert keeper["group"] == "heavy"
        others = [daemon.shell("true", queue=queue) for queue in ("light", "default", "light")]
        assert {end["state"] for end in daemon.wait(*others)} == {"SUCCESS"}
        assert daemon.status(waits)["state"] == "PENDING"
        served = {daemon.status(job)["attempts"][0]["worker"] for job in others}
        assert served == {w["instance"] for w in daemon.workers("keeper") if w["group"] == "light"}

        (daemon.folder / "go").touch()

        assert {end["state"] for end in daemon.wait(held, waits)} == {"SUCCESS"}
