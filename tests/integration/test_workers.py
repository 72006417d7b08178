"""Function workers: how they die, and how the next daemon takes them over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from jobctl.worker.instance import COMMAND_OFFSET
from jobctl.worker.record import write_record
from tests.support.configurations import functions
from tests.support.daemon import running_daemon, with_patch
from tests.support.processes import is_running, pids_in
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.daemon import Daemon


def hold(daemon: Daemon, task: str = "hold", **options: Any) -> tuple[int, Path, int]:
    """A job that waits until its file exists: id, file, and the pid that runs it."""
    names = f"{task}-{os.urandom(3).hex()}"
    began, go = daemon.folder / f"began-{names}", daemon.folder / f"go-{names}"
    job = daemon.submit(task=task, args=[str(began), str(go)], typed=True, **options)
    (pid, *_) = daemon.until("the function to run", lambda: pids_in(began))
    return job, go, pid


def attempts(daemon: Daemon, job: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.ended(job)["attempts"]
    return found


def ask_in_vain(daemon: Daemon, request: requests.Request) -> None:
    """Make a request of which the answer never comes, because the daemon is killed."""
    client = Client(daemon.socket, timeout_s=60)
    with contextlib.closing(client), contextlib.suppress(JobctlError):
        client.call(request)


# -- deaths ----------------------------------------------------------------------------------------


def test_a_killed_worker_loses_the_job_it_had_begun_and_says_how() -> None:
    with running_daemon(functions()) as daemon:
        job, _, pid = hold(daemon)

        os.kill(pid, signal.SIGKILL)

        (attempt,) = attempts(daemon, job)
        assert daemon.status(job)["state"] == "FAILURE"
        assert attempt["outcome"] == "lost"
        assert attempt["signal"] == signal.SIGKILL
        assert attempt["error"]["message"] == "its worker was killed by SIGKILL"


def test_a_worker_that_exits_by_itself_loses_its_job_with_its_exit_code() -> None:
    with running_daemon(functions()) as daemon:
        job = daemon.submit(task="exit_at_once")

        (attempt,) = attempts(daemon, job)

        assert attempt["outcome"] == "lost"
        assert attempt["error"]["message"] == "its worker ended with exit code 7"


def test_a_loss_is_retried_when_the_task_says_so_and_uses_up_no_retry() -> None:
    with running_daemon(functions({"hold": 'on_lost = "retry"\nretry_delay = "0s"'})) as daemon:
        job, go, pid = hold(daemon)
        os.kill(pid, signal.SIGKILL)
        go.touch()

        first, second = attempts(daemon, job)

        assert (first["outcome"], second["outcome"]) == ("lost", "success")
        assert daemon.status(job)["state"] == "SUCCESS"


def test_a_job_that_kills_its_worker_each_time_ends_after_max_lost() -> None:
    options = 'on_lost = "retry"\nmax_lost = 3\nretry_delay = "0s"'
    with running_daemon(functions({"kill_self": options})) as daemon:
        job = daemon.submit(task="kill_self", args=[int(signal.SIGKILL)], typed=True)

        found = attempts(daemon, job)

        assert [attempt["outcome"] for attempt in found] == ["lost", "lost", "lost"]
        assert daemon.status(job)["state"] == "FAILURE"


def test_jobs_behind_the_one_that_killed_the_worker_run_as_if_nothing_had_been() -> None:
    """Unbegun jobs of a dead worker's batch are released uncounted; those that had ended stay ended."""
    with running_daemon(functions(group="processes = 1\n")) as daemon:
        ledger = daemon.folder / "ledger"
        jobs = [{"task": "note", "args": [str(ledger), f"a{n}"], "typed": True} for n in range(40)]
        jobs.append({"task": "kill_self", "args": [9], "typed": True})
        jobs += [{"task": "note", "args": [str(ledger), f"b{n}"], "typed": True} for n in range(40)]
        ids = daemon.submit_many(jobs)

        states = [job["state"] for job in daemon.wait(*ids)]

        assert states == ["SUCCESS"] * 40 + ["FAILURE"] + ["SUCCESS"] * 40
        said = ledger.read_text().split()
        assert len(said) == len(set(said)) == 80
        assert {len(daemon.status(job)["attempts"]) for job in ids} == {1}


def test_a_worker_that_writes_rubbish_into_its_channel_is_ended_and_hurts_nobody() -> None:
    with running_daemon(functions()) as daemon:
        job = daemon.submit(task="garble")

        (attempt,) = attempts(daemon, job)

        assert attempt["outcome"] == "lost"
        assert daemon.ended(daemon.submit(task="double", args=[4], typed=True))["result"] == 8
        assert "broke the protocol" in daemon.log()


@pytest.mark.slow
def test_a_stopped_worker_is_not_taken_for_dead_over_two_restarts() -> None:
    """P2: SIGSTOP causes no second run."""
    with running_daemon(functions({"hold": 'on_lost = "retry"'})) as daemon:
        job, go, pid = hold(daemon)
        os.kill(pid, signal.SIGSTOP)
        for _ in range(2):
            daemon.kill()
            daemon.start()
            assert daemon.status(job)["state"] == "STARTED"

        os.kill(pid, signal.SIGCONT)
        go.touch()

        (attempt,) = attempts(daemon, job)
        assert attempt["outcome"] == "success"


def test_a_fork_that_user_code_lets_return_does_not_speak_for_its_worker() -> None:
    with running_daemon(functions()) as daemon:
        job, go, _ = hold(daemon, "fork_that_returns")
        assert daemon.status(job)["state"] == "STARTED"
        go.touch()

        ended = daemon.ended(job)

        assert ended["result"] == "the parent"
        assert len(ended["attempts"]) == 1


def test_what_a_function_left_running_outlives_its_worker_unless_an_attempt_is_lost() -> None:
    with running_daemon(functions(group="processes = 1\nmax_tasks_per_child = 1\n")) as daemon:
        began = daemon.folder / "began"
        left = daemon.ended(daemon.submit(task="start_process", args=[str(began)], typed=True))
        (worker,) = daemon.until(
            "another worker", lambda: [w for w in daemon.workers("function") if w["made"] == 0]
        )
        assert worker["pid"] != left["result"]
        try:
            assert is_running(left["result"])
        finally:
            os.kill(left["result"], signal.SIGKILL)


# -- adoption --------------------------------------------------------------------------------------


def test_a_busy_worker_is_adopted_and_the_jobs_behind_it_go_to_others() -> None:
    """A batch is handed over; its first job runs for long; the daemon is killed."""
    with running_daemon(functions(group="processes = 2\n")) as daemon:
        job, go, pid = hold(daemon)
        others = daemon.submit_many(
            [{"task": "double", "args": [n], "typed": True} for n in range(50)]
        )
        daemon.kill()

        daemon.start()

        assert {end["state"] for end in daemon.wait(*others)} == {"SUCCESS"}
        (adopted,) = [w for w in daemon.workers("function") if job in w["attempts"]]
        assert adopted["pid"] == pid
        go.touch()
        (attempt,) = attempts(daemon, job)
        assert attempt["outcome"] == "success"


def test_jobs_behind_a_long_one_in_a_batch_are_released_by_the_next_daemon() -> None:
    """The worker is busy in user code and hears nothing; nobody waits for it."""
    with running_daemon(functions(group="processes = 1\n")) as daemon:
        began, go, ledger = (daemon.folder / name for name in ("began", "go", "ledger"))
        jobs = [{"task": "hold", "args": [str(began), str(go)], "typed": True}]
        jobs += [{"task": "note", "args": [str(ledger), str(n)], "typed": True} for n in range(5)]
        first, *behind = daemon.submit_many(jobs)
        daemon.until("the first to run", lambda: pids_in(began))

        daemon.kill()
        daemon.start()

        daemon.until(
            "the others to wait again",
            lambda: {daemon.status(job)["state"] for job in behind} == {"PENDING"},
        )
        go.touch()
        assert {end["state"] for end in daemon.wait(first, *behind)} == {"SUCCESS"}
        assert sorted(ledger.read_text().split()) == list("01234")
        assert {len(daemon.status(job)["attempts"]) for job in behind} == {1}


def test_a_job_that_ends_while_no_daemon_runs_keeps_its_result() -> None:
    with running_daemon(functions()) as daemon:
        job, go, _ = hold(daemon)
        daemon.kill()
        go.touch()
        records = daemon.state_dir / "run"
        daemon.until("the outcome's record", lambda: list(records.glob("*/outcomes/*.json")))

        daemon.start()

        assert daemon.ended(job)["result"] == "went"
        daemon.until(
            "the record to be removed", lambda: not list(records.glob("*/outcomes/*.json"))
        )


def test_a_worker_that_dies_while_no_daemon_runs_is_found_dead_with_its_cause() -> None:
    with running_daemon(functions()) as daemon:
        job, _, pid = hold(daemon)
        daemon.kill()
        os.kill(pid, signal.SIGKILL)
        until("the worker to be gone", lambda: not is_running(pid))

        daemon.start()

        (attempt,) = attempts(daemon, job)
        assert attempt["outcome"] == "lost"
        assert attempt["error"]["message"] == "its worker was killed by SIGKILL"


def test_the_next_daemon_reuses_the_templates_and_idle_workers_when_nothing_changed() -> None:
    with running_daemon(functions()) as daemon:
        before = {w["pid"] for w in daemon.workers("function") if w["pid"]}
        daemon.until("both workers", lambda: serving(daemon, "function") == 2)
        before = {w["pid"] for w in daemon.workers("function")}

        daemon.kill()
        daemon.start()

        daemon.until("both workers to answer", lambda: serving(daemon, "function") == 2)
        assert {w["pid"] for w in daemon.workers("function")} == before


def serving(daemon: Daemon, kind: str) -> int:
    return sum(w["phase"] == "serving" for w in daemon.workers(kind))


@pytest.mark.slow
def test_a_changed_plan_replaces_the_template_and_its_idle_workers_over_a_restart() -> None:
    with running_daemon(functions()) as daemon:
        job, go, pid = hold(daemon)
        daemon.kill()
        daemon.config.write_text(functions(group='env = { SHOP = "open" }\n'))

        daemon.start()

        daemon.until(
            "only the busy worker of the old template and the new ones",
            lambda: (
                sorted(w["retiring"] for w in daemon.workers("function")) == [False, False, True]
            ),
        )
        (old,) = [w for w in daemon.workers("function") if w["retiring"]]
        assert old["pid"] == pid
        go.touch()
        assert daemon.ended(job)["result"] == "went"
        daemon.until("the old worker to go", lambda: len(daemon.workers("function")) == 2)
        daemon.until(
            "the old template to go",
            lambda: len([p for p in (daemon.state_dir / "run").iterdir() if p.is_dir()]) == 2,
        )


@pytest.mark.slow
def test_a_time_limit_of_a_function_is_kept_by_the_next_daemon() -> None:
    with running_daemon(functions()) as daemon:
        job, _, pid = hold(daemon, timeout_s=3.0)
        daemon.kill()

        daemon.start()

        (attempt,) = attempts(daemon, job)
        assert attempt["outcome"] == "timeout"
        assert 2.5 < attempt["duration_s"] < 15
        assert not is_running(pid)


@pytest.mark.slow
def test_a_cancel_that_was_asked_for_before_the_kill_goes_on_after_it() -> None:
    """The keeper is stopped, so that the daemon dies between the request and its effect."""
    with running_daemon(functions()) as daemon:
        job = daemon.shell("echo $$ > began; exec sleep 3600")
        command = daemon.until("the command to run", lambda: pids_in(daemon.folder / "began"))[0]
        (keeper,) = [w for w in daemon.workers("keeper") if job in w["attempts"]]
        os.kill(keeper["pid"], signal.SIGSTOP)
        asking = threading.Thread(target=ask_in_vain, args=(daemon, requests.Cancel(job=job)))
        asking.start()
        daemon.until(
            "the request to be stored",
            lambda: daemon.status(job)["reason"] == "is being stopped",
        )
        daemon.kill()
        asking.join()

        daemon.start()
        os.kill(keeper["pid"], signal.SIGCONT)

        assert daemon.ended(job)["state"] == "REVOKED"
        assert not is_running(command)


@pytest.mark.slow
def test_ten_restarts_under_a_running_function_leave_one_template_and_one_run() -> None:
    with running_daemon(functions({"hold": 'on_lost = "retry"'})) as daemon:
        job, go, pid = hold(daemon)
        for _ in range(10):
            daemon.kill()
            daemon.start()
        assert len([p for p in (daemon.state_dir / "run").iterdir() if p.is_dir()]) == 2
        go.touch()

        (attempt,) = attempts(daemon, job)

        assert attempt["outcome"] == "success"
        assert pid in [w["pid"] for w in daemon.workers("function")]


# -- what is not as it should be -------------------------------------------------------------------

OTHER_PROTOCOL = """
from jobctl.engine.local import worker
connect = worker.Worker.connect
def connect_otherwise(self, link):
    worker.PROTOCOLS = (99,) if self.born_at is None else (1,)
    connect(self, link)
worker.Worker.connect = connect_otherwise
"""


@pytest.mark.slow
def test_workers_of_another_protocol_finish_what_they_have_and_leave_records() -> None:
    with running_daemon(functions()) as daemon:
        job, go, pid = hold(daemon)
        command = daemon.shell(f"echo $$ >> began; until [ -e {go} ]; do sleep 0.01; done; exit 8")
        daemon.until("the command to run", lambda: pids_in(daemon.folder / "began"))
        (keeper,) = [w["pid"] for w in daemon.workers("keeper") if command in w["attempts"]]
        daemon.kill()
        daemon.launcher = with_patch(OTHER_PROTOCOL)
        daemon.start()
        assert daemon.status(job)["state"] == "STARTED"

        go.touch()

        (attempt,) = attempts(daemon, job)
        assert attempt["outcome"] == "success"
        assert daemon.ended(command)["attempts"][0]["exit_code"] == 8
        daemon.until("both to go", lambda: not is_running(pid) and not is_running(keeper))
        assert daemon.ended(daemon.submit(task="double", args=[6], typed=True))["result"] == 12


@pytest.mark.slow
def test_after_a_reboot_everything_claimed_is_lost_and_nobody_is_killed_by_number() -> None:
    """Pids mean nothing then: the number of the command is that of an innocent process here."""
    with running_daemon(functions()) as daemon:
        job, _, _ = hold(daemon)
        command = daemon.shell("echo $$ >> began; exec sleep 3600")
        daemon.until("the command to run", lambda: pids_in(daemon.folder / "began"))
        daemon.kill()
        until("everything to be gone", lambda: end_all(daemon))
        innocent = subprocess.Popen(["/bin/sleep", "3600"], start_new_session=True)
        try:
            for lock in daemon.state_dir.glob("run/**/lock"):
                forge_boot(lock, innocent.pid)

            daemon.start()

            for lost in (job, command):
                (attempt,) = attempts(daemon, lost)
                assert (attempt["outcome"], attempt["proof"]) == ("lost", "boot")
                assert attempt["error"]["message"] == "the computer was restarted"
            assert innocent.poll() is None
            assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"
        finally:
            innocent.kill()
            innocent.wait()


@pytest.mark.slow
def test_what_a_power_cut_left_of_a_worker_is_lost_and_not_run_again() -> None:
    """Folder and lock have reached the disk, what was written into them has not."""
    with running_daemon(functions()) as daemon:
        job, _, _ = hold(daemon)
        command = daemon.shell("echo $$ >> began; exec sleep 3600")
        daemon.until("the command to run", lambda: pids_in(daemon.folder / "began"))
        daemon.kill()
        until("everything to be gone", lambda: end_all(daemon))
        for path in daemon.state_dir.glob("run/*/*/*"):
            if path.is_file():
                path.write_bytes(b"")

        daemon.start()

        for lost in (job, command):
            (attempt,) = attempts(daemon, lost)
            assert attempt["outcome"] == "lost"
            assert "nothing of what it had noted is left" in attempt["error"]["message"]
        assert len(pids_in(daemon.folder / "began")) == 1


def end_all(daemon: Daemon) -> bool:
    """Kill what there is, also what was being forked at the last look; True when nothing was left."""
    found = daemon.processes()
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not found


def forge_boot(lock: Path, pid: int) -> None:
    """As if the lock had been written before the computer was restarted, its pids given to others."""
    data = lock.read_bytes()
    holder = json.loads(data.split(b"\n")[0])
    holder.update(boot="0" * 36, pid=pid)
    line = json.dumps(holder).encode() + b"\n"
    noted = data[COMMAND_OFFSET:].split(b"\n")[0].split()
    with lock.open("r+b") as file:
        file.write(line.ljust(COMMAND_OFFSET, b"\0"))
        if len(noted) == 3:
            file.write(b"%d %s %s\n" % (pid, noted[1], noted[2]))


def test_an_outcome_that_comes_too_late_is_kept_and_changes_nothing() -> None:
    """P4: a stale token's result is recorded and refused."""
    with running_daemon() as daemon:
        job = daemon.shell("echo $JOBCTL_ATTEMPT")
        token = int(daemon.ended(job)["attempts"][0]["output_tail"], 16)
        (outcomes, *_) = daemon.state_dir.glob("run/*/outcomes")
        daemon.kill()
        outcome = {"token": token, "job_id": job, "verdict": "failure", "finished_at": 5}
        write_record(str(outcomes), token, json.dumps({**outcome, "exit_code": 1}))

        daemon.start()

        daemon.until("the record to be taken", lambda: not list(outcomes.glob("*.json")))
        ended = daemon.status(job)
        assert ended["state"] == "SUCCESS"
        (attempt,) = ended["attempts"]
        assert attempt["outcome"] == "success"
        assert attempt["late"]["verdict"] == "failure"


def test_a_record_that_cannot_be_read_holds_nothing_up() -> None:
    with running_daemon(functions()) as daemon:
        job, go, _ = hold(daemon)
        daemon.kill()
        for outcomes in daemon.state_dir.glob("run/*/outcomes"):
            (outcomes / f"{1:016x}.json").write_text("{")
            os.mkfifo(outcomes / f"{2:016x}.json")
        daemon.start()
        go.touch()
        assert daemon.ended(job)["result"] == "went"
        assert "cannot be read" in daemon.log()


@pytest.mark.slow
def test_a_folder_full_of_what_is_no_record_takes_one_line_and_holds_nothing_up() -> None:
    with running_daemon(functions()) as daemon:
        job, go, _ = hold(daemon)
        daemon.kill()
        outcomes = next(daemon.state_dir.glob("run/*/outcomes"))
        for number in range(1, 2001):
            litter(outcomes / f"{number:016x}.json", number)
        daemon.lines.clear()
        daemon.start()

        go.touch()
        assert daemon.ended(job)["result"] == "went"
        told = [line for line in daemon.lines if "cannot be read" in line]
        assert len(told) == 1, told
        assert f"{1:016x}.json, {2:016x}.json, {3:016x}.json and" in told[0]
        assert len(daemon.lines) < 50, daemon.log()


def litter(path: Path, number: int) -> None:
    """One of the things that a group's own user may put where a record would lie."""
    match number % 5:
        case 0:
            path.write_text("{")
        case 1:
            path.symlink_to("/etc/passwd")
        case 2:
            path.mkdir()
        case 3:
            path.write_text('{"token":1,"job_id":1,"verdict":"success","finished_at":5}')
        case _:
            # No room on the disk, but sixty seconds of reading for all of them.
            with path.open("wb") as file:
                file.truncate(60 << 20)


_FEW_DESCRIPTORS = """
import errno, os, sys

real = os.pidfd_open
refusals = [3]

def pidfd_open(pid, flags=0):
    if refusals[0] and sys._getframe(1).f_code.co_name == "watch":
        refusals[0] -= 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return real(pid, flags)

os.pidfd_open = pidfd_open
"""


@pytest.mark.slow
def test_workers_that_are_born_while_no_descriptor_is_free_are_not_taken_for_dead() -> None:
    """They would live on where no daemon finds them, and hold what they were born for."""
    with running_daemon(functions(), start=False) as daemon:
        daemon.launcher = with_patch(_FEW_DESCRIPTORS)
        daemon.start()

        assert daemon.ended(daemon.submit(task="double", args=[4], typed=True))["result"] == 8
        assert daemon.ended(daemon.shell("exit 3"))["attempts"][0]["exit_code"] == 3


def test_workers_that_end_at_their_birth_come_later_and_later_and_at_last_serve() -> None:
    with running_daemon(start=False) as daemon:
        permit = daemon.folder / "permit"
        task = '[tasks.hello]\nfunction = "stillborn:hello"\n'
        group = f'processes = 1\nenv = {{ PERMIT = "{permit}" }}\n'
        daemon.config.write_text(functions(group=group, more=task))
        began = time.monotonic()
        daemon.start()
        job = daemon.submit(task="hello")
        daemon.until("four births", lambda: births(daemon) >= 4)
        # 0.1 s, 0.2 s and 0.4 s lie between them: nothing spins.
        assert time.monotonic() - began > 0.7
        assert births(daemon) == 4
        assert daemon.status(job)["state"] == "PENDING"
        permit.touch()
        assert daemon.ended(job)["result"] == "hello"


def births(daemon: Daemon) -> int:
    return daemon.log().count("ended before it did anything")
