"""The shipped Dockerfile, done step by step: it serves, says that it is well, and drains when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.container import Container, read_dockerfile, running_container
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "containers" / "Dockerfile"


@pytest.fixture
def container() -> Iterator[Container]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with running_container(DOCKERFILE) as started:
        yield started


def test_the_image_serves_is_well_and_lets_a_running_job_end_when_it_is_stopped(
    container: Container,
) -> None:
    assert container.health() == 0
    who = container.run("jobctl", "submit", "--wait", "--follow", "--", "id", "-un")
    assert who.stdout == "jobctl\n"
    line = "touch /tmp/begun; until [ -e /tmp/go ]; do sleep 0.01; done; echo whole >/tmp/whole"
    assert container.run("jobctl", "submit", "--", "/bin/sh", "-c", line).returncode == 0
    container.until(
        "the job to run", lambda: not container.run("test", "-e", "/tmp/begun").returncode
    )

    os.kill(container.first, signal.Signals[container.image.stop_signal])

    container.until("the drain", lambda: any('"mode": "drain"' in line for line in container.out()))
    assert container.run("touch", "/tmp/go").returncode == 0
    assert container.process.wait(30 * PATIENCE) == 0
    records = [json.loads(line) for line in container.out()]
    assert [record["message"] for record in records][-1] == "stopped"
    assert all({"level", "message"} <= record.keys() for record in records)
    assert not any("time" in record for record in records)
    assert container.err() == ""


def test_a_container_whose_daemon_does_not_answer_is_not_well(container: Container) -> None:
    image = read_dockerfile(DOCKERFILE)

    hidden = container.run(
        "/bin/sh", "-c", f"JOBCTL_SOCKET=/run/none; export JOBCTL_SOCKET; {image.health}"
    )

    # The one code that Docker knows for it.
    assert hidden.returncode == 1


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """``jobctl daemon --container`` behind an init: not as the first process."""
    with running_daemon(start=False) as made:
        made.launcher = (sys.executable, "-c", _RUN_IN_CONTAINER)
        yield made


_RUN_IN_CONTAINER = """
import sys
from jobctl.cli.entry import main
config, state_dir, socket = sys.argv[1:]
sys.argv[1:] = ["daemon", "--container", "--config", config, "--state-dir", state_dir, "--socket", socket]
sys.stdout = sys.stderr  # what the test reads
sys.exit(main())
"""


def test_behind_an_init_running_jobs_are_waited_for_too(daemon: Daemon) -> None:
    daemon.launch()
    daemon.until("the daemon to serve", lambda: '"message": "ready"' in daemon.log())
    begun, go = daemon.folder / "begun", daemon.folder / "go"
    job = daemon.shell(f"touch {begun}; until [ -e {go} ]; do sleep 0.01; done; exit 5")
    daemon.until("the job to run", begun.exists)

    daemon.signal(signal.SIGTERM)

    daemon.until("the drain", lambda: '"mode": "drain"' in daemon.log())
    assert daemon.status(job)["state"] == "STARTED"
    go.touch()
    assert daemon.wait_for_exit() == 0


def test_why_there_is_no_daemon_is_told_in_records_too(daemon: Daemon) -> None:
    daemon.config.write_text(
        '[tasks.x]\ncommand = ["/bin/true"]\nretires = 3\n[queues.q]\nconcurency = 1\n'
    )
    daemon.launch()

    assert daemon.wait_for_exit() == 78

    daemon.until("the log", lambda: "concurency" in daemon.log())
    records = [json.loads(line) for line in daemon.log().splitlines()]
    assert [(record["level"], record["line"]) for record in records] == [("error", 3), ("error", 5)]
    assert records[0]["file"] == str(daemon.config)
    assert 'unknown key "retires"' in records[0]["message"]
