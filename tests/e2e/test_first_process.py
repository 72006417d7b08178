"""The daemon as the first process of a container: a process namespace of its own."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from jobctl.protocol import requests
from jobctl.worker import processes
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a process namespace"),
]

_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL")


class Container:
    """A daemon that is process 1; seen from outside it has another number."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        daemon.launcher = (*_NAMESPACE, *daemon.launcher)

    @property
    def first(self) -> int:
        """The daemon's pid, as seen from here."""
        (pid,) = processes.children(self.daemon.pid)
        return pid

    def signal(self, number: signal.Signals) -> None:
        """What ``docker stop`` and ``docker kill`` do."""
        os.kill(self.first, number)

    def begin(self, line: str) -> int:
        """Submit a shell line that may ``wait_for_go``, and wait until it runs; its job's id."""
        folder = self.daemon.folder
        begun = f"touch {folder}/begun"
        # Said when it waits, and not before: its traps are set by then.
        wait = f"wait_for_go() {{ {begun}; until [ -e {folder}/go ]; do sleep 0.01; done; }}"
        if "wait_for_go" not in line:
            line = f"{begun}; {line}"
        job = self.daemon.shell(f"{wait}; {line}")
        self.daemon.until("the job to run", (folder / "begun").exists)
        return job

    def let_go(self) -> None:
        """End what waits in ``wait_for_go``."""
        (self.daemon.folder / "go").touch()

    def exit_code(self) -> int:
        """Wait for the end."""
        return self.daemon.wait_for_exit()

    def again(self) -> None:
        """The next container on the same state directory."""
        if self.daemon.process is not None:
            self.daemon.client.close()
        (self.daemon.folder / "go").unlink(missing_ok=True)
        self.daemon.start()


@pytest.fixture
def container() -> Iterator[Container]:
    with running_daemon(start=False) as daemon:
        yield Container(daemon)


def test_it_says_at_start_that_it_will_drain(container: Container) -> None:
    container.daemon.start()

    container.daemon.until("the warning", lambda: "TERM drains" in container.daemon.log())


def test_term_waits_for_running_jobs_although_keep_is_configured(container: Container) -> None:
    container.daemon.start()
    job = container.begin("wait_for_go; echo whole; exit 5")

    container.signal(signal.SIGTERM)

    container.daemon.until("the drain", lambda: "mode=drain" in container.daemon.log())
    assert container.daemon.status(job)["state"] == "STARTED"
    container.let_go()
    assert container.exit_code() == 0
    container.again()
    (attempt,) = container.daemon.status(job)["attempts"]
    assert (attempt["exit_code"], attempt["output_tail"]) == (5, "whole\n")


def test_stop_with_keep_over_the_socket_drains_too(container: Container) -> None:
    container.daemon.start()
    container.begin("wait_for_go")

    answer = container.daemon.call(requests.Stop(mode="keep"))

    assert answer["mode"] == "drain"
    container.let_go()
    assert container.exit_code() == 0


def test_a_second_term_stops_the_jobs_in_order_and_records_it(container: Container) -> None:
    container.daemon.start()
    job = container.begin("trap 'echo bye; exit 0' TERM; wait_for_go")
    container.signal(signal.SIGTERM)
    container.daemon.until("the drain", lambda: "mode=drain" in container.daemon.log())

    container.signal(signal.SIGTERM)

    assert container.exit_code() == 0
    container.again()
    status = container.daemon.status(job)
    assert status["state"] == "REVOKED"
    assert status["attempts"][0]["output_tail"].endswith("bye\n")


def test_a_third_term_leaves_a_job_that_does_not_end_and_the_next_daemon_finds_it_lost(
    container: Container,
) -> None:
    container.daemon.start()
    job = container.begin("trap '' TERM; wait_for_go")
    for mode in ("drain", "kill", "keep"):
        container.signal(signal.SIGTERM)
        container.daemon.until(mode, lambda mode=mode: f"mode={mode}" in container.daemon.log())

    assert container.exit_code() == 0
    container.again()

    assert container.daemon.ended(job)["state"] == "FAILURE"
    assert container.daemon.status(job)["attempts"][0]["outcome"] == "lost"


def test_processes_whose_parent_died_are_reaped(container: Container) -> None:
    container.daemon.start()
    container.daemon.ended(container.begin("exit 0"))
    first = container.first
    templates = processes.children(first)
    workers = [pid for template in templates for pid in processes.children(template)]
    assert workers

    for template in templates:
        os.kill(template, signal.SIGKILL)

    # The keepers become the daemon's children, and go one by one, since their template is gone.
    container.daemon.until(
        "the keepers to be gone, not zombies",
        lambda: not set(workers) & set(processes.all_pids()),
    )
    container.daemon.until(
        "a new template", lambda: container.daemon.workers("keeper") and container.first == first
    )
    assert container.daemon.ended(container.begin("exit 3"))["attempts"][0]["exit_code"] == 3


def test_term_while_the_configuration_is_read_ends_the_daemon(container: Container) -> None:
    daemon = container.daemon
    daemon.config.unlink()
    os.mkfifo(daemon.config)
    daemon.launch()
    daemon.until(
        "the configuration to be read",
        lambda: len(processes.descendants(daemon.pid)) == 2,
    )

    container.signal(signal.SIGTERM)

    assert container.exit_code() == 0
