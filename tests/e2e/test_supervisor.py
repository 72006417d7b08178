"""The shipped section under a real supervisord: start, reload, stop, restart, kill -9."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from tests.support.daemon import Daemon
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

SECTION = Path(__file__).parents[2] / "supervisor" / "jobctl.conf"
BIN = Path(sys.executable).parent


class Supervisor:
    """A supervisord of a test's own that runs the shipped section, installed where jobctl lies.

    ``startsecs`` None: as shipped; else another number, where the test is not about it.
    """

    def __init__(self, folder: Path, config: str, startsecs: int | None) -> None:
        self.folder = folder
        self.daemon = Daemon(folder, config)
        shipped = SECTION.read_text()
        section, count = re.subn(
            r"(?m)^command=/usr/bin/jobctl ", f"command={BIN}/jobctl ", shipped
        )
        assert count == 1
        if startsecs is not None:
            section, count = re.subn(r"(?m)^startsecs=\d+$", f"startsecs={startsecs}", section)
            assert count == 1
        (folder / "jobctl.conf").write_text(section)
        (folder / "supervisord.conf").write_text(
            f"[unix_http_server]\nfile={folder}/supervisor.sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{folder}/supervisor.sock\n"
            f"[supervisord]\nnodaemon=true\nlogfile={folder}/supervisord.log\n"
            f"childlogdir={folder}\npidfile={folder}/supervisord.pid\n"
            f"[include]\nfiles={folder}/jobctl*.conf\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start supervisord, which starts the daemon; returns when its own socket is there."""
        self.process = subprocess.Popen(
            [str(BIN / "supervisord"), "-c", str(self.folder / "supervisord.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "JOBCTL_CONFIG": str(self.daemon.config),
                "STATE_DIRECTORY": str(self.daemon.state_dir),
                "JOBCTL_SOCKET": str(self.daemon.socket),
                # A supervisord that systemd has started hands this on to programs whose output it
                # writes to files of its own.
                "JOURNAL_STREAM": "8:1",
            },
        )
        self.until("supervisord to answer", (self.folder / "supervisor.sock").exists)

    def ctl(self, *words: str) -> str:
        """What ``supervisorctl`` prints."""
        return subprocess.run(
            [str(BIN / "supervisorctl"), "-c", str(self.folder / "supervisord.conf"), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * PATIENCE,
        ).stdout

    def state(self) -> str:
        """The state that supervisord gives the daemon: ``RUNNING``, ``BACKOFF``, …"""
        return self.ctl("status", "jobctl").split()[1]

    def pid(self) -> int:
        """The daemon's pid, 0 when supervisord has none."""
        return int(self.ctl("pid", "jobctl"))

    def log(self) -> str:
        """The daemon's log, as supervisord keeps it, and supervisord's own."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def until(self, what: str, look: Callable[[], object]) -> None:
        """Wait for an event; a failure shows the logs."""
        until(what, look, limit_s=40, log=self.log)

    def until_it_runs(self) -> None:
        """Wait until the daemon has been up for ``startsecs``, and answers."""
        self.until("the daemon to be RUNNING", lambda: self.state() == "RUNNING")
        self.until_it_serves()

    def until_it_serves(self) -> None:
        """Wait until the daemon answers; with the shipped ``startsecs`` that is before RUNNING."""

        def answers() -> bool:
            try:
                with Client(self.daemon.socket, timeout_s=30 * PATIENCE) as client:
                    client.call(requests.Inspect(what="ping"))
            except (JobctlError, OSError):
                return False
            return True

        self.until("the daemon to answer", answers)

    def begin(self, line: str) -> int:
        """Submit a shell line that may ``wait_for_go``, and wait until it runs; its job's id."""
        begun = f"touch {self.folder}/begun"
        # Said when it waits, and not before: its traps are set by then.
        wait = f"wait_for_go() {{ {begun}; until [ -e {self.folder}/go ]; do sleep 0.01; done; }}"
        if "wait_for_go" not in line:
            line = f"{begun}; {line}"
        job = self.daemon.shell(f"{wait}; {line}")
        self.until("the job to run", (self.folder / "begun").exists)
        return job

    def let_go(self) -> None:
        """End what waits in ``wait_for_go``."""
        (self.folder / "go").touch()

    def attempt(self, job: int) -> tuple[int, str]:
        """Wait for a job; exit code and output of its only attempt."""
        (attempt,) = self.daemon.ended(job)["attempts"]
        return attempt["exit_code"], attempt["output_tail"]

    def reconnect(self) -> None:
        """Forget the connection to a daemon that has gone."""
        self.daemon.client.close()

    def clean_up(self) -> None:
        """End supervisord, and with it the daemon; fails when anything is left."""
        self.let_go()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60 * PATIENCE)
        self.daemon.clean_up()


@contextlib.contextmanager
def supervised(config: str = "", startsecs: int | None = 1) -> Iterator[Supervisor]:
    """supervisord and its daemon; afterwards nothing may be left."""
    supervisor = Supervisor(Path(tempfile.mkdtemp(prefix="jobctl-")), config, startsecs)
    try:
        supervisor.launch()
        yield supervisor
    except BaseException:
        with contextlib.suppress(AssertionError):
            supervisor.clean_up()
        raise
    supervisor.clean_up()


def test_restart_keeps_a_running_job_with_its_exit_code_and_output() -> None:
    with supervised() as supervisor:
        supervisor.until_it_runs()
        job = supervisor.begin("echo before; wait_for_go; echo after; exit 7")
        pid = supervisor.pid()

        assert supervisor.ctl("restart", "jobctl") == "jobctl: stopped\njobctl: started\n"

        assert supervisor.pid() != pid
        supervisor.reconnect()
        supervisor.until_it_serves()
        assert supervisor.daemon.status(job)["state"] == "STARTED"
        supervisor.let_go()
        assert supervisor.attempt(job) == (7, "before\nafter\n")


def test_a_job_that_ends_between_stop_and_start_keeps_exit_code_and_output() -> None:
    with supervised() as supervisor:
        supervisor.until_it_serves()
        job = supervisor.begin("wait_for_go; echo alone; exit 5")
        assert supervisor.ctl("stop", "jobctl") == "jobctl: stopped\n"
        assert supervisor.state() == "STOPPED"
        supervisor.let_go()
        run = supervisor.daemon.state_dir / "run"
        supervisor.until("the outcome's record", lambda: list(run.glob("*/outcomes/*.json")))

        supervisor.ctl("start", "jobctl")

        supervisor.reconnect()
        supervisor.until_it_serves()
        assert supervisor.attempt(job) == (5, "alone\n")


def test_stop_of_an_idle_daemon_leaves_no_process_and_no_socket() -> None:
    with supervised() as supervisor:
        supervisor.until_it_serves()
        assert supervisor.attempt(supervisor.begin("exit 0")) == (0, "")

        supervisor.ctl("stop", "jobctl")

        assert supervisor.state() == "STOPPED"
        assert supervisor.process is not None
        alone = [supervisor.process.pid]
        supervisor.until(
            "only supervisord to be left", lambda: supervisor.daemon.processes() == alone
        )
        assert not supervisor.daemon.socket.exists()


def test_kill_9_of_the_daemon_starts_another_one_and_the_job_runs_on() -> None:
    with supervised() as supervisor:
        supervisor.until_it_runs()
        job = supervisor.begin("wait_for_go; echo survived; exit 6")
        pid = supervisor.pid()

        os.kill(pid, signal.SIGKILL)

        supervisor.until("another daemon", lambda: supervisor.pid() not in (0, pid))
        supervisor.reconnect()
        supervisor.until_it_serves()
        assert supervisor.daemon.status(job)["state"] == "STARTED"
        supervisor.let_go()
        assert supervisor.attempt(job) == (6, "survived\n")


def test_a_daemon_that_was_told_to_stop_is_not_started_again() -> None:
    with supervised() as supervisor:
        supervisor.until_it_runs()

        supervisor.daemon.call(requests.Stop())

        supervisor.until("the daemon to end", lambda: supervisor.state() == "EXITED")


def test_hup_reloads_and_a_bad_configuration_changes_nothing_and_is_told() -> None:
    with supervised() as supervisor:
        supervisor.until_it_serves()
        daemon = supervisor.daemon
        daemon.config.write_text('[tasks.new]\ncommand = ["/bin/echo", "new"]\n')

        assert supervisor.ctl("signal", "HUP", "jobctl") == "jobctl: signalled\n"

        supervisor.until("the new plan", lambda: "task new added" in supervisor.log())
        daemon.config.write_text("[tasks.new]\nretires = 3\n[queues.mail]\nconcurency = 1\n")
        supervisor.ctl("signal", "HUP", "jobctl")
        supervisor.until(
            "every fault in the log",
            lambda: all(word in supervisor.log() for word in ("retires", "concurency")),
        )
        assert supervisor.attempt(daemon.submit(task="new")) == (0, "new\n")


def test_a_broken_configuration_at_start_ends_in_fatal_and_is_told() -> None:
    with supervised("[tasks.backup]\nretires = 3\n", startsecs=None) as supervisor:
        supervisor.until("supervisord to give up", lambda: supervisor.state() == "FATAL")

        supervisor.until("the fault", lambda: 'unknown key "retires"' in supervisor.log())


def test_a_daemon_whose_supervisord_was_killed_is_named_and_never_joined_by_a_second_one() -> None:
    """Trap 30 of the process model: it lives on, and the next one must not be shown as RUNNING."""
    with supervised(startsecs=None) as supervisor:
        supervisor.until_it_serves()
        pid = supervisor.pid()
        assert supervisor.process is not None
        supervisor.process.kill()
        supervisor.process.wait()
        (supervisor.folder / "supervisor.sock").unlink()

        supervisor.launch()

        supervisor.until("the second daemon to give up", lambda: supervisor.state() == "BACKOFF")
        supervisor.until(
            "the refusal in the log", lambda: f"another daemon (pid {pid})" in supervisor.log()
        )
        assert "entered RUNNING" not in (supervisor.folder / "supervisord.log").read_text()
        supervisor.daemon.call(requests.Stop())
        supervisor.until_it_runs()


def test_the_event_listener_tells_when_the_daemon_has_ended_and_when_it_is_well_again() -> None:
    supervisor = Supervisor(Path(tempfile.mkdtemp(prefix="jobctl-")), "", 1)
    told = supervisor.folder / "told"
    section, count = re.subn(
        r"(?m)^command=.*$",
        f"command={sys.executable} {SECTION.parent}/listener.py "
        f'--check "{BIN}/jobctl status --check --only daemon" -- /usr/bin/tee -a {told}',
        (SECTION.parent / "listener.conf").read_text(),
    )
    assert count == 1
    # No test waits for a minute.
    section = section.replace("TICK_60", "TICK_5")
    (supervisor.folder / "jobctl-watch.conf").write_text(section)
    try:
        supervisor.launch()
        supervisor.until_it_runs()

        supervisor.daemon.call(requests.Stop())

        ended = "jobctl has ended, and supervisord does not start it again\n"
        supervisor.until("the end to be told", lambda: told.exists() and told.read_text() == ended)
        supervisor.reconnect()
        supervisor.ctl("start", "jobctl")
        again = f"{ended}jobctl is well again\n"
        supervisor.until("that to be told", lambda: told.read_text() == again)
    finally:
        supervisor.clean_up()


def test_the_log_has_no_prefixes_for_a_journal_to_which_it_does_not_go() -> None:
    with supervised() as supervisor:
        supervisor.until_it_serves()

        supervisor.until("its first line", lambda: " ready version=" in supervisor.log())
        assert "<6>" not in supervisor.log()
