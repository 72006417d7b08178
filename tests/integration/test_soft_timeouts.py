"""Soft time limits with real processes: who is told, what counts as success, who is not told."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl import send_task
from jobctl.errors import UsageError
from jobctl.protocol import requests
from tests.support.daemon import running_daemon
from tests.support.processes import is_running, pids_in
from tests.support.shop import LIMIT_S, Shop

# -- commands ---------------------------------------------------------------------------------------

OBEYS = """
[tasks.obeys]
shell = "trap 'echo told; exit 0' INT; echo ready; while :; do sleep 0.01; done"
soft_timeout = "1s"
soft_signal = "INT"
"""
COMMANDS = f"""{OBEYS}
[tasks.gives_up]
shell = "trap 'echo told; exit 3' INT; while :; do sleep 0.01; done"
soft_timeout = "1s"
soft_signal = "INT"
[tasks.simple]
shell = "sleep 1000; echo never"
soft_timeout = "300ms"
[tasks.deaf]
shell = "trap 'echo told' INT; while :; do sleep 0.01; done"
soft_timeout = "1s"
soft_signal = "INT"
timeout = "2s"
stop = "KILL"
[tasks.quick]
shell = "exit 4"
soft_timeout = "1h"
[tasks.spreads]
shell = "(setsid sh -c 'trap \\"\\" TERM; echo $$ >> $0; exec sleep 3600' $1 &); until [ -s $1 ]; do sleep 0.01; done; sleep 1000"
soft_timeout = "1s"
stop = "TERM,0.1s,KILL"
"""


def test_commands_are_told_at_their_soft_limit() -> None:
    with running_daemon(COMMANDS) as daemon:
        names = ("obeys", "gives_up", "simple", "deaf", "quick")
        jobs = [daemon.submit(task=name) for name in names]
        ends = [(daemon.ended(job), daemon.status(job)["attempts"][0]) for job in jobs]

        assert [(job["state"], attempt["outcome"]) for job, attempt in ends] == [
            ("SUCCESS", "success"),
            ("FAILURE", "timeout"),
            ("FAILURE", "timeout"),
            ("FAILURE", "timeout"),
            ("FAILURE", "failure"),
        ]
        assert daemon.output(jobs[0]) == "ready\ntold\n"
        assert ends[1][1]["exit_code"] == 3
        assert ends[2][1]["signal"] == 15
        assert (ends[3][1]["signal"], daemon.output(jobs[3])) == (9, "told\n")


def test_what_a_command_leaves_at_its_soft_limit_is_stopped() -> None:
    with running_daemon(COMMANDS) as daemon:
        pids = daemon.folder / "pids"

        job = daemon.ended(daemon.submit(task="spreads", args=[str(pids)]))

        assert job["attempts"][0]["outcome"] == "timeout"
        (left,) = pids_in(pids)
        assert not is_running(left)


def test_a_command_is_told_while_no_daemon_runs() -> None:
    config = OBEYS.replace("1s", "2s")
    with running_daemon(config) as daemon:
        job = daemon.submit(task="obeys")
        daemon.until("the command to run", lambda: daemon.status(job)["state"] == "STARTED")
        daemon.kill()

        daemon.start()

        assert daemon.ended(job)["state"] == "SUCCESS"
        assert daemon.output(job).endswith("told\n")


def test_one_job_has_a_soft_limit_of_its_own() -> None:
    with running_daemon(COMMANDS) as daemon:
        line = "trap 'echo told; exit 0' TERM; while :; do sleep 0.05; done"
        task = daemon.submit(task="obeys", soft_timeout_s=300.0, timeout_s=301.0)
        daemon.until("the task to run", lambda: daemon.status(task)["state"] == "STARTED")
        alone = daemon.shell(line, soft_timeout_s=1.5, timeout_s=20.0)

        assert daemon.ended(alone)["state"] == "SUCCESS"
        assert daemon.output(alone).endswith("told\n")
        # It would have been told after a second.
        assert daemon.status(task)["state"] == "STARTED"
        daemon.call(requests.Cancel(job=task))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"soft_timeout_s": 2.0, "timeout_s": 2.0}, "timeout ends the attempt after 2s"),
        ({"soft_timeout_s": 3600.0}, "timeout ends the attempt after 1h"),
        ({"soft_timeout_s": 2.0, "deadline_s": 1.0}, "deadline ends the attempt after 1s"),
        ({"soft_timeout_s": 0.0}, "above zero"),
    ],
)
def test_a_soft_limit_that_would_never_be_told_is_refused(
    told: Shop, limits: dict[str, float], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        told.daemon.submit(task="signals_itself", args=[0], typed=True, **limits)


# -- functions --------------------------------------------------------------------------------------

CODE = """
    import jobctl, os, signal, subprocess, threading, time
    def tidies_up(wait_s):
        try:
            time.sleep(wait_s)
        except jobctl.SoftTimeout:
            return "tidied up"
        return "in time"
    def computes(wait_s):
        while True:
            pass
    def swallows(wait_s):
        for _ in range(2):
            try:
                time.sleep(wait_s)
            except Exception:
                pass
    def others(wait_s):
        # A timer, a thread and a child of its own: none of them is told instead.
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.alarm(1)
        other = threading.Thread(target=time.sleep, args=(wait_s,), daemon=True)
        other.start()
        try:
            subprocess.run(["sleep", str(wait_s)])
        except jobctl.SoftTimeout:
            return threading.current_thread() is threading.main_thread()
    def forks(wait_s):
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGRTMAX - 3)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    def signals_itself(wait_s):
        os.kill(os.getpid(), signal.SIGRTMAX - 3)
        return "nothing happened"
    def plain():
        time.sleep(0.7)
        return os.getpid()
"""
NAMES = ("tidies_up", "computes", "swallows", "others", "forks", "signals_itself")
TABLES = "[tasks.plain]\nfunction = 'shop:plain'\n" + "".join(
    f"[tasks.{name}]\nfunction = 'shop:{name}'\nsoft_timeout = '500ms'\n" for name in NAMES
)


@pytest.fixture
def told(shop: Shop) -> Shop:
    return shop.start(CODE, TABLES + "timeout = '1h'\n")


def attempt_of(shop: Shop, task: str, wait_s: float = 1000.0) -> dict[str, Any]:
    job = shop.ended(send_task(task, [wait_s]))
    (attempt,) = job["attempts"]
    return {**attempt, "state": job["state"]}


def test_a_function_that_catches_its_soft_limit_succeeds(told: Shop) -> None:
    assert told.value("tidies_up", 1000) == "tidied up"
    assert told.value("tidies_up", 0) == "in time"


def test_one_call_of_a_function_has_a_soft_limit_of_its_own(told: Shop) -> None:
    job = told.ended(send_task("plain", soft_time_limit=0.1))

    assert [attempt["outcome"] for attempt in job["attempts"]] == ["timeout"]
    assert job["error"]["type"] == "jobctl.SoftTimeout"


def test_a_function_that_lets_its_soft_limit_through_has_timed_out(told: Shop) -> None:
    attempt = attempt_of(told, "computes")

    assert (attempt["state"], attempt["outcome"]) == ("FAILURE", "timeout")
    assert attempt["error"]["type"] == "jobctl.SoftTimeout"
    assert "in computes" in attempt["error"]["traceback"]


def test_the_exception_comes_once_and_the_hard_limit_after_it(shop: Shop) -> None:
    hard = TABLES.replace("shop:swallows'\n", "shop:swallows'\ntimeout = '1500ms'\n")
    shop.start(CODE, hard)

    attempt = attempt_of(shop, "swallows")

    assert attempt["outcome"] == "timeout"
    assert attempt["error"] is None or attempt["error"]["type"] != "jobctl.SoftTimeout"
    assert attempt["finished_at"] - attempt["started_at"] > 1_000_000


def test_only_the_main_thread_of_the_function_is_told(told: Shop) -> None:
    assert told.value("others", 1000) is True


def test_a_fork_of_a_function_finds_the_signal_at_its_default(told: Shop) -> None:
    assert told.value("forks", 0) < 0


def test_the_signal_of_somebody_else_does_nothing(told: Shop) -> None:
    assert told.value("signals_itself", 0) == "nothing happened"


def test_the_soft_limit_of_one_job_is_not_that_of_the_next(told: Shop) -> None:
    first = send_task("tidies_up", [0])
    second = send_task("plain")

    assert first.get(timeout=LIMIT_S) == "in time"
    assert second.get(timeout=LIMIT_S) == told.worker()


@pytest.mark.slow
def test_a_function_is_told_while_no_daemon_runs(shop: Shop) -> None:
    shop.start(CODE, TABLES.replace("500ms", "2s"))
    result = send_task("tidies_up", [1000])
    shop.daemon.until(
        "the function to run", lambda: shop.daemon.status(result.id)["state"] == "STARTED"
    )
    shop.daemon.kill()

    shop.daemon.start()

    assert result.get(timeout=LIMIT_S) == "tidied up"
