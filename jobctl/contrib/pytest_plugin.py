"""Fixtures for tests of code that submits jobs. In ``conftest.py``::

    pytest_plugins = ["jobctl.contrib.pytest_plugin"]

``jobctl_eager`` makes each job in place; ``jobctl_daemon`` is a daemon of the test's own, whose configuration the
fixture ``jobctl_config`` gives, to be overridden.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from jobctl.api.eager import eager
from jobctl.api.session import session
from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_LIMIT_S: Final = 60.0 * float(os.environ.get("JOBCTL_TEST_PATIENCE", "1"))


@dataclass(frozen=True)
class RunningDaemon:
    """The daemon of a test. ``folder`` holds its configuration, its state and its log, and goes with it."""

    folder: Path
    socket: Path

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text()


@pytest.fixture
def jobctl_eager() -> Iterator[None]:
    """Make each job in place, at once, without a daemon: see `jobctl.api.eager`."""
    with eager():
        yield


@pytest.fixture
def jobctl_config() -> str:
    """The configuration of `jobctl_daemon`, in TOML. Override it."""
    return ""


@pytest.fixture
def jobctl_daemon(jobctl_config: str) -> Iterator[RunningDaemon]:
    """A daemon that runs during the test; every call of the test's process goes to it.

    Its workers find modules where its configuration says (``pythonpath``). It is ended with all its jobs.
    """
    # Short: the path of a socket holds 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="jobctl-"))
    daemon = RunningDaemon(folder, folder / "socket")
    (folder / "jobctl.toml").write_text(jobctl_config)
    command = [
        *(sys.executable, "-m", "jobctl", "daemon", "--config", str(folder / "jobctl.toml")),
        *("--state-dir", str(folder / "state"), "--socket", str(daemon.socket)),
    ]
    before = session.configured_socket
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: TID251 -- the daemon as its users start it
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            _wait_for(daemon, process)
            session.use_socket(daemon.socket)
            yield daemon
        finally:
            _stop(daemon, process)
    finally:
        session.use_socket(before)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(daemon: RunningDaemon, process: subprocess.Popen[bytes]) -> None:  # noqa: TID251
    """Wait until it answers. A daemon that ends, or takes too long, fails the test with its log."""
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        waited_ms = 0
        while waited_ms < _START_LIMIT_S * 1000:
            if poll.poll(20):
                break
            waited_ms += 20
            try:
                with Client(daemon.socket, timeout_s=_START_LIMIT_S) as client:
                    client.call(requests.Inspect(what="ping"))
            except JobctlError:
                continue
            return
    finally:
        os.close(ended)
    pytest.fail(f"the daemon of this test does not start:\n{daemon.log}")


def _stop(daemon: RunningDaemon, process: subprocess.Popen[bytes]) -> None:  # noqa: TID251
    """End it with all that it has started."""
    try:
        with Client(daemon.socket, timeout_s=_START_LIMIT_S) as client:
            client.call(requests.Stop(mode="kill"))
    except JobctlError:
        process.terminate()
    try:
        process.wait(_START_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
