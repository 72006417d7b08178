"""Cancelling with real processes: gone in time, and with a signal of one's own first."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from jobctl import send_task
from jobctl.client import Client
from jobctl.errors import UsageError
from jobctl.protocol import requests
from tests.support.daemon import running_daemon
from tests.support.processes import is_running, pids_in
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.shop import Shop

STUBBORN = """
[tasks.stubborn]
shell = '''
trap "" TERM
(setsid sh -c 'trap "" TERM; (exec sleep 3600) & echo $! >> $1; echo $$ >> $1; wait' x $1 &)
echo $$ >> $1
while :; do sleep 3600; done
'''
stop = "TERM,2s,KILL"
"""
LISTENING = """
[tasks.listens]
shell = '''
trap "echo term" TERM
trap "echo int" INT
trap "echo usr; exit 7" USR1
echo $$ >> $1
while :; do sleep 0.01 2>/dev/null; done 2>/dev/null
'''
stop = "TERM,1h,KILL"
"""


def begun(daemon: Daemon, task: str, *, processes: int = 1) -> tuple[int, list[int]]:
    """A job whose processes have written their pids: its id, and these."""
    pids = daemon.folder / f"pids-{task}"
    job = daemon.submit(task=task, args=[str(pids)])
    daemon.until("the command to run", lambda: len(pids_in(pids)) == processes)
    return job, pids_in(pids)


def test_a_double_forking_command_that_ignores_term_is_gone_whole_within_five_seconds() -> None:
    with running_daemon(STUBBORN) as daemon:
        job, pids = begun(daemon, "stubborn", processes=3)
        asked_at = daemon.status(job)["started_at"]

        answer = daemon.call(requests.Cancel(job=job))

        ended = daemon.status(job)
        assert not [pid for pid in pids if is_running(pid)]
        assert (answer["state"], answer["gone"], answer["remaining"]) == ("REVOKED", True, [])
        assert 2_000_000 <= ended["finished_at"] - asked_at < 5_000_000 * PATIENCE


def test_a_signal_takes_the_place_of_the_first_one() -> None:
    with running_daemon(LISTENING) as daemon:
        job, _ = begun(daemon, "listens")

        answer = daemon.call(requests.Cancel(job=job, signal="usr1"))

        assert answer["state"] == "REVOKED"
        (attempt,) = daemon.status(job)["attempts"]
        assert (attempt["outcome"], attempt["exit_code"]) == ("cancelled", 7)
        assert "term" not in daemon.output(job)


def test_a_second_cancel_with_a_signal_ends_the_wait_for_the_first() -> None:
    with running_daemon(LISTENING) as daemon:
        job, _ = begun(daemon, "listens")
        with Client(daemon.socket) as patient:
            answers = []
            first = threading.Thread(
                target=lambda: answers.append(patient.call(requests.Cancel(job=job)))
            )
            first.start()
            daemon.until("the first signal", lambda: "term" in daemon.output(job))

            answer = daemon.call(requests.Cancel(job=job, signal="KILL"))

            first.join(20 * PATIENCE)
        assert answer["state"] == answers[0]["state"] == "REVOKED"
        (attempt,) = daemon.status(job)["attempts"]
        assert attempt["signal"] == signal.SIGKILL


def test_a_signal_reaches_a_command_that_was_adopted() -> None:
    with running_daemon(LISTENING) as daemon:
        job, _ = begun(daemon, "listens")
        daemon.kill()
        daemon.start()

        daemon.call(requests.Cancel(job=job, signal="USR1"))

        assert daemon.status(job)["attempts"][0]["exit_code"] == 7


def test_what_is_no_signal_is_refused_and_the_job_goes_on() -> None:
    wrong = {"USR3": "no signal", "STOP": "holds a process", "9": "not the name of a signal"}
    with running_daemon(LISTENING) as daemon:
        job, _ = begun(daemon, "listens")

        for name, message in wrong.items():
            with pytest.raises(UsageError, match=message):
                daemon.call(requests.Cancel(job=job, signal=name))

        assert daemon.status(job)["state"] == "STARTED"
        daemon.call(requests.Cancel(job=job, signal="KILL"))


def test_no_signal_goes_to_a_function(shop: Shop) -> None:
    shop.start("import time\ndef hang(): time.sleep(3600)", "[tasks.hang]\nfunction = 'shop:hang'")
    job = send_task("hang").id

    with pytest.raises(UsageError, match="calls a function"):
        shop.daemon.call(requests.Cancel(job=job, signal="INT"))

    assert shop.daemon.call(requests.Cancel(job=job))["state"] == "REVOKED"
