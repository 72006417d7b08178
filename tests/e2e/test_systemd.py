"""The shipped unit under a real systemd: start, ready, reload, watchdog, stop, restart, kill -9."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.systemd_box import Box, systemd_box

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

BROKEN = '[tasks.backup]\ncommand = ["/bin/true"]\nretires = 3\n[queues.mail]\nconcurency = 1\n'


@pytest.fixture
def box() -> Iterator[Box]:
    with systemd_box() as started:
        yield started


def main_pid(box: Box) -> int:
    return int(box.shows("MainPID"))


def test_the_unit_has_no_fault_that_systemd_knows(box: Box) -> None:
    box.install()

    judged = box.run("systemd-analyze", "verify", "--man=no", "jobctl.service")

    # Its exit code is 0 for unknown keys, up to systemd 252 at least.
    assert judged.stdout + judged.stderr == ""


def test_start_returns_when_the_daemon_serves_and_the_status_tells_the_plan(box: Box) -> None:
    box.install('[tasks.one]\ncommand = ["/bin/true"]\nevery = "1h"\n')

    box.systemctl("start")

    assert box.shows("ActiveState") == "active"
    assert box.shows("StatusText") == "1 tasks, 1 schedules"
    assert box.ended(box.begin("echo hello; exit 3"))["exit_code"] == 3
    assert box.path("/var/lib/jobctl").stat().st_mode & 0o777 == 0o711
    assert box.path("/run/jobctl/jobctl.sock").is_socket()


def test_reload_brings_a_good_configuration_into_force_before_it_returns(box: Box) -> None:
    box.install()
    box.systemctl("start")
    pid = main_pid(box)
    box.configure('[tasks.two]\ncommand = ["/bin/echo", "new"]\n')

    box.systemctl("reload")

    assert box.shows("StatusText") == "1 tasks, 0 schedules"
    assert box.jobctl("submit", "--wait", "two").returncode == 0
    assert (box.shows("ActiveState"), main_pid(box)) == ("active", pid)


def test_reload_fails_with_every_error_and_leaves_the_service_on_the_old_plan(box: Box) -> None:
    box.install('[tasks.backup]\ncommand = ["/bin/true"]\n')
    box.systemctl("start")
    pid = main_pid(box)
    box.configure(BROKEN)

    refused = box.systemctl("reload", check=False)

    assert refused.returncode == 1
    assert box.shows("ActiveState") == "active"
    assert main_pid(box) == pid
    log = box.log()
    assert 'unknown key "retires"' in log
    assert 'unknown key "concurency"' in log
    assert box.jobctl("submit", "--wait", "backup").returncode == 0


def test_reload_works_with_a_file_that_is_no_toml_and_after_it_again(box: Box) -> None:
    box.install()
    box.systemctl("start")
    box.configure("[tasks.x\n")
    assert box.systemctl("reload", check=False).returncode == 1
    box.configure('[tasks.x]\ncommand = ["/bin/true"]\n')

    box.systemctl("reload")

    assert box.shows("StatusText") == "1 tasks, 0 schedules"


def test_hup_of_the_main_process_reloads(box: Box) -> None:
    box.install()
    box.systemctl("start")
    box.configure('[tasks.two]\ncommand = ["/bin/true"]\n')

    box.systemctl("kill", "--signal=HUP", "--kill-who=main")

    box.until("the new plan", lambda: box.shows("StatusText") == "1 tasks, 0 schedules")
    box.until("the unit to be active", lambda: box.shows("ActiveState") == "active")


def test_the_watchdog_is_fed_by_a_daemon_that_works(box: Box) -> None:
    box.install(drop_in="[Service]\nWatchdogSec=1\n")
    box.systemctl("start")
    seen: set[str] = set()

    def is_fed_four_times() -> bool:
        seen.add(box.shows("WatchdogTimestampMonotonic"))
        return len(seen) > 4

    box.until("four signs of life", is_fed_four_times)
    assert box.shows("NRestarts") == "0"


def test_a_daemon_that_hangs_is_replaced_and_its_job_runs_on(box: Box) -> None:
    box.install(drop_in="[Service]\nWatchdogSec=1\n")
    box.systemctl("start")
    job = box.begin("echo before; wait_for_go; echo after; exit 7")
    pid = main_pid(box)

    box.systemctl("kill", "--signal=STOP", "--kill-who=main")

    box.until("another daemon", lambda: box.shows("NRestarts") == "1")
    box.until("it to be ready", lambda: box.shows("ActiveState") == "active")
    assert main_pid(box) != pid
    assert box.status(job)["state"] == "STARTED"
    box.let_go()
    attempt = box.ended(job)
    assert attempt["exit_code"] == 7
    assert attempt["output_tail"] == "before\nafter\n"


def test_stop_of_an_idle_daemon_leaves_no_process_no_cgroup_and_no_socket(box: Box) -> None:
    box.install()
    box.systemctl("start")
    box.ended(box.begin("exit 0"))

    box.systemctl("stop")

    assert box.shows("ActiveState") == "inactive"
    assert box.shows("Result") == "success"
    assert box.shows("ExecMainStatus") == "0"
    box.until("no process", lambda: not box.processes())
    unit = box.path("/sys/fs/cgroup/system.slice/jobctl.service")
    box.until("no cgroup", lambda: not unit.exists())
    assert list(box.path("/run/jobctl").iterdir()) == []


FUNCTIONS = """
import os, time

def wait_for_go():
    open("/tmp/function-begun", "w").close()
    while not os.path.exists("/tmp/go"):
        time.sleep(0.01)
    return {"pid": os.getpid()}
"""

FUNCTION_TASK = """
[workers.default]
user = "root"
pythonpath = ["/srv/shop"]

[tasks.wait]
function = "shop:wait_for_go"
"""


def test_restart_keeps_a_running_command_and_a_running_function(box: Box) -> None:
    box.install(FUNCTION_TASK)
    box.path("/srv/shop").mkdir(parents=True)
    box.path("/srv/shop/shop.py").write_text(FUNCTIONS)
    box.systemctl("start")
    command = box.begin("echo before; wait_for_go; echo after; exit 9")
    function = box.answer("submit", "wait")["id"]
    box.until("the function to run", box.path("/tmp/function-begun").exists)
    pid = main_pid(box)

    box.systemctl("restart")

    assert main_pid(box) != pid
    assert box.status(command)["state"] == box.status(function)["state"] == "STARTED"
    box.let_go()
    attempt = box.ended(command)
    assert (attempt["exit_code"], attempt["output_tail"]) == (9, "before\nafter\n")
    box.ended(function)
    assert box.status(function)["state"] == "SUCCESS"
    assert box.status(function)["result"].keys() == {"pid"}


def test_a_job_that_ends_between_stop_and_start_keeps_exit_code_and_output(box: Box) -> None:
    box.install()
    box.systemctl("start")
    job = box.begin("wait_for_go; echo alone; exit 5")
    box.systemctl("stop")
    assert box.shows("Result") == "success"
    box.let_go()
    run = box.path("/var/lib/jobctl/run")
    box.until("the outcome's record", lambda: list(run.glob("*/outcomes/*.json")))

    box.systemctl("start")

    attempt = box.ended(job)
    assert (attempt["exit_code"], attempt["output_tail"]) == (5, "alone\n")


def test_kill_9_of_the_daemon_starts_another_one_and_the_job_runs_on(box: Box) -> None:
    box.install()
    box.systemctl("start")
    job = box.begin("wait_for_go; echo survived; exit 6")
    pid = main_pid(box)

    box.systemctl("kill", "--signal=KILL", "--kill-who=main")

    box.until("another daemon", lambda: main_pid(box) not in (0, pid))
    box.until("it to be ready", lambda: box.shows("ActiveState") == "active")
    assert box.status(job)["state"] == "STARTED"
    box.let_go()
    attempt = box.ended(job)
    assert (attempt["exit_code"], attempt["output_tail"]) == (6, "survived\n")


def test_term_to_everything_in_the_unit_loses_no_exit_code(box: Box) -> None:
    """Trap 19 of the process model: ``systemctl kill`` reaches templates, workers and keepers too."""
    box.install()
    box.systemctl("start")
    job = box.begin("trap 'exit 21' TERM; wait_for_go; exit 0")

    # It fails when a cgroup goes while it walks through them, as an idle keeper's does at its own TERM.
    box.systemctl("kill", check=False)

    box.until("the daemon to end", lambda: box.shows("ActiveState") == "inactive")
    box.systemctl("start")
    assert box.ended(job)["exit_code"] == 21


def test_a_broken_configuration_at_start_is_told_and_not_tried_again(box: Box) -> None:
    box.install(BROKEN)

    refused = box.systemctl("start", check=False)

    assert refused.returncode == 1
    assert box.shows("ActiveState") == "failed"
    assert box.shows("Result") == "exit-code"
    assert box.shows("ExecMainStatus") == "78"
    assert box.shows("NRestarts") == "0"
    log = box.log()
    assert 'unknown key "retires"' in log
    assert 'unknown key "concurency"' in log


def test_the_log_can_be_searched_by_fields_and_priorities(box: Box) -> None:
    box.install()
    box.systemctl("start")

    def entries(*matches: str) -> list[str]:
        found = box.run("journalctl", "--no-pager", "--output=cat", "-u", "jobctl", *matches)
        return found.stdout.splitlines()

    box.until("the entry", lambda: entries("JOBCTL_SOCKET=/run/jobctl/jobctl.sock"))
    (ready,) = entries("JOBCTL_SOCKET=/run/jobctl/jobctl.sock")
    assert ready.startswith("ready version=")
    assert entries("-p", "err", "_COMM=jobctl") == []
    box.configure(BROKEN)
    box.systemctl("restart", check=False)
    told = box.until("the faults", lambda: entries("-p", "err", "SYSLOG_IDENTIFIER=jobctl"))
    assert any('unknown key "retires"' in line for line in told)


def test_a_daemon_that_cannot_have_its_state_directory_tries_until_it_can(box: Box) -> None:
    box.install()
    holder = ["/usr/bin/jobctl", "--socket", "/tmp/holder.sock", "daemon"]
    box.run("systemd-run", "--unit=holder", "--property=Type=notify", *holder)

    refused = box.systemctl("start", check=False)
    assert refused.returncode == 1
    assert "another daemon (pid " in box.log()
    box.run("systemctl", "stop", "holder")

    box.until("the unit to be active", lambda: box.shows("ActiveState") == "active")


def test_each_worker_has_a_cgroup_and_cancel_proves_that_nothing_is_left(box: Box) -> None:
    box.install()
    box.systemctl("start")
    job = box.begin("setsid sleep 1000 & wait_for_go")
    unit = box.path("/sys/fs/cgroup/system.slice/jobctl.service")
    (corner,) = unit.glob("jobctl-*")
    (busy,) = [
        folder
        for folder in corner.iterdir()
        if folder.is_dir() and len((folder / "cgroup.procs").read_text().split()) > 1
    ]

    cancelled = box.answer("cancel", str(job))

    assert cancelled["gone"] is True
    (attempt,) = box.status(job)["attempts"]
    assert attempt["proof"] in {"cgroup", "subreaper"}
    assert not any("sleep 1000" in line for line in box.processes())
    assert len((busy / "cgroup.procs").read_text().split()) <= 1


def test_left_overs_of_a_killed_keeper_are_killed_by_its_cgroup(box: Box) -> None:
    box.install()
    box.systemctl("start")
    # Without its environment and in a session of its own only the cgroup still shows whose it is.
    job = box.begin("env -i setsid sleep 1000 & wait_for_go")
    (worker,) = [w for w in box.answer("inspect", "workers")["workers"] if job in w["attempts"]]

    box.run("kill", "-9", str(worker["pid"]))

    attempt = box.ended(job)
    assert attempt["outcome"] == "lost"
    assert attempt["proof"] == "cgroup"
    assert not any("sleep 1000" in line for line in box.processes())


def test_stop_drains_for_longer_than_systemd_would_wait(box: Box) -> None:
    box.install('[daemon]\nshutdown = "drain"\n', drop_in="[Service]\nTimeoutStopSec=1\n")
    box.systemctl("start")
    job = box.begin("wait_for_go; exit 4")
    box.systemctl("stop", "--no-block")
    box.until("the drain", lambda: "waiting for 1 attempts" in box.shows("StatusText"))
    asked_at = time.monotonic()

    box.until("TimeoutStopSec to pass", lambda: time.monotonic() > asked_at + 1.5)
    assert box.shows("ActiveState") == "deactivating"
    box.let_go()

    box.until("the daemon to end", lambda: box.shows("ActiveState") == "inactive")
    assert box.shows("Result") == "success"
    # No daemon runs: the command answers from what is stored.
    (attempt,) = box.answer("status", str(job))["attempts"]
    assert attempt["exit_code"] == 4


def test_a_second_term_ends_a_drain_and_leaves_the_job_to_the_next_daemon(box: Box) -> None:
    box.install('[daemon]\nshutdown = "drain"\n')
    box.systemctl("start")
    job = box.begin("wait_for_go; exit 4")
    box.systemctl("stop", "--no-block")
    box.until("the drain", lambda: "waiting for 1 attempts" in box.shows("StatusText"))

    box.systemctl("kill", "--signal=TERM", "--kill-who=main")

    box.until("the daemon to end", lambda: box.shows("ActiveState") == "inactive")
    assert box.shows("Result") == "success"
    box.systemctl("start")
    assert box.status(job)["state"] == "STARTED"
    box.let_go()
    assert box.ended(job)["exit_code"] == 4


def test_stop_with_shutdown_kill_ends_jobs_in_order_and_records_it(box: Box) -> None:
    box.install('[daemon]\nshutdown = "kill"\n')
    box.systemctl("start")
    job = box.begin("trap 'echo bye; exit 0' TERM; wait_for_go")

    box.systemctl("stop")

    assert box.shows("Result") == "success"
    box.until("no process", lambda: not box.processes())
    box.systemctl("start")
    status = box.status(job)
    assert status["state"] == "REVOKED"
    assert status["attempts"][0]["output_tail"].endswith("bye\n")


def test_nothing_of_the_service_manager_reaches_a_job(box: Box) -> None:
    box.install()
    box.systemctl("start")

    attempt = box.ended(box.begin("env | cut -d= -f1 | sort | tr '\\n' ' '"))

    names = set(attempt["output_tail"].split())
    assert "JOBCTL_ATTEMPT" in names
    told = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID", "JOURNAL_STREAM"}
    assert not names & (told | {"STATE_DIRECTORY", "RUNTIME_DIRECTORY", "SYSTEMD_EXEC_PID"})


SAYS = """
[tasks.says]
shell = "echo to the journal; echo \\"$TOKEN\\" | wc -c; echo apart >&2"
user = "nobody"
journal = true
stderr = "separate"
env_from_file = { TOKEN = "credential:token" }
"""


def test_lines_of_a_job_reach_the_journal_and_a_credential_only_the_job(box: Box) -> None:
    box.install(SAYS, "[Service]\nLoadCredential=token:/etc/token\n")
    box.path("/etc/token").write_text("s3cr3t-of-the-box\n")
    box.path("/etc/token").chmod(0o600)
    box.systemctl("start")

    assert box.jobctl("submit", "--wait", "says").returncode == 0

    def lines(*matches: str) -> list[str]:
        found = box.run("journalctl", "--no-pager", "--output=cat", *matches).stdout
        return sorted(found.splitlines())

    written = ["18", "apart", "to the journal"]
    box.until("the lines in the journal", lambda: lines("-t", "says") == written)
    assert lines("JOBCTL_JOB_ID=1", "JOBCTL_STREAM=stderr") == ["apart"]
    assert lines("-u", "jobctl", "JOBCTL_TASK=says") == written
    assert "s3cr3t-of-the-box" not in box.run("journalctl", "--no-pager", "-o", "verbose").stdout
    assert "s3cr3t-of-the-box" not in box.jobctl("--json", "status", "1").stdout
