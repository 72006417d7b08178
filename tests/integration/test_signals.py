"""Signals at awkward moments: while the daemon starts, reloads or stops."""

from __future__ import annotations

import getpass
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.client import Client
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """
[daemon]
imports = ["slow"]

[workers.default]
user = {user!r}
pythonpath = [{path!r}]
"""

# A module that takes its time to import: it tells that it has begun, and waits to be let go.
SLOW = """
import os, time
here = os.path.dirname(__file__)
open(os.path.join(here, "importing"), "w").close()
while not os.path.exists(os.path.join(here, "go")):
    time.sleep(0.005)
"""


class Slow:
    """A daemon whose templates import as long as the test wants."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.config = CONFIG.format(user=getpass.getuser(), path=str(daemon.folder))
        daemon.config.write_text(self.config)
        (daemon.folder / "slow.py").write_text(SLOW)

    @property
    def _go(self) -> Path:
        return self.daemon.folder / "go"

    def until_importing(self) -> None:
        """Wait until a template imports, and remains in it."""
        begun = self.daemon.folder / "importing"
        self.daemon.until("the import to begin", begun.exists)
        begun.unlink()

    def let_go(self) -> None:
        """Let every import end, until `hold`."""
        self._go.touch()

    def hold(self) -> None:
        """Let no further import end."""
        self._go.unlink()
        (self.daemon.folder / "importing").unlink(missing_ok=True)

    def change(self, task: str) -> None:
        """Add a task to the configuration."""
        self.daemon.config.write_text(
            f'{self.config}\n[tasks.{task}]\ncommand = ["/bin/echo", "{task}"]\n'
        )


@pytest.fixture
def slow() -> Iterator[Slow]:
    with running_daemon(start=False) as daemon:
        made = Slow(daemon)
        yield made
        made.let_go()


@pytest.mark.slow
def test_hup_while_the_daemon_starts_is_obeyed_after_the_start(slow: Slow) -> None:
    daemon = slow.daemon
    daemon.launch()
    slow.until_importing()
    slow.change("new")
    daemon.signal(signal.SIGHUP)
    daemon.until("the reload to wait", lambda: "a reload waits" in daemon.log())
    slow.let_go()

    daemon.until("the new plan", lambda: "reload: task new added" in daemon.log())

    assert daemon.ended(daemon.submit(task="new"))["state"] == "SUCCESS"
    assert daemon.log().count(" ready version=") == 1


def test_term_while_the_daemon_starts_ends_it_before_it_serves(slow: Slow) -> None:
    slow.daemon.launch()
    slow.until_importing()

    slow.daemon.signal(signal.SIGTERM)

    slow.daemon.until("the stop", lambda: "stopping" in slow.daemon.log())
    slow.let_go()
    assert slow.daemon.wait_for_exit() == 0
    assert "ready version=" not in slow.daemon.log()


def test_term_while_a_reload_imports_ends_the_daemon_and_changes_nothing(slow: Slow) -> None:
    daemon = slow.daemon
    slow.let_go()
    daemon.start()
    slow.hold()
    slow.change("new")
    daemon.signal(signal.SIGHUP)
    slow.until_importing()

    daemon.signal(signal.SIGTERM)

    daemon.until("the stop", lambda: "stopping" in daemon.log())
    slow.let_go()
    assert daemon.wait_for_exit() == 0
    assert "task new added" not in daemon.log()


@pytest.mark.slow
def test_two_reloads_at_once_are_both_answered_and_the_later_file_is_in_force(slow: Slow) -> None:
    daemon = slow.daemon
    slow.let_go()
    daemon.start()
    slow.hold()
    answers: dict[str, Any] = {}

    def reload(name: str) -> None:
        with Client(daemon.socket) as client:
            answers[name] = client.call(requests.Reload())

    slow.change("one")
    first = threading.Thread(target=reload, args=("first",))
    first.start()
    slow.until_importing()
    slow.change("two")
    second = threading.Thread(target=reload, args=("second",))
    second.start()
    daemon.until("the second to wait", lambda: "a reload waits" in daemon.log())
    slow.let_go()
    first.join()
    second.join()

    assert "task one added" in answers["first"]["changes"]
    assert sorted(answers["second"]["changes"]) == ["task one removed", "task two added"]


def test_a_second_term_ends_a_drain_and_the_job_runs_on() -> None:
    with running_daemon('[daemon]\nshutdown = "drain"\n') as daemon:
        go = daemon.folder / "go"
        job = daemon.shell(f"until [ -e {go} ]; do sleep 0.01; done; exit 4")
        daemon.until(
            "the job to run",
            lambda: [w for w in daemon.workers("keeper") if job in w["attempts"]],
        )
        daemon.signal(signal.SIGTERM)
        daemon.until("the drain", lambda: "mode=drain" in daemon.log())

        daemon.signal(signal.SIGTERM)

        assert daemon.wait_for_exit() == 0
        daemon.client.close()
        daemon.start()
        assert daemon.status(job)["state"] == "STARTED"
        go.touch()
        assert daemon.ended(job)["attempts"][0]["exit_code"] == 4
