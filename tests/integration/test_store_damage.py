"""A damaged store: nothing is acknowledged on top of it, nothing of it is changed, and what runs goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.daemon import care
from jobctl.errors import StorageError
from jobctl.paths import StateDirectory
from jobctl.protocol import requests
from tests.support.daemon import running_daemon, with_patch

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

FORGETFUL = """
from jobctl.store import database
database._PRAGMAS = tuple(
    ("cache_size", 10, 10) if one[0] == "cache_size" else one for one in database._PRAGMAS
)
"""
"""A daemon that has next to nothing of its store in memory."""


def fill(daemon: Daemon, count: int) -> list[int]:
    """Jobs that wait, in so many commits that the log is written back."""
    jobs = []
    for _ in range(count):
        jobs += daemon.submit_many(
            [{"command": ["/bin/true", "x" * 300], "cwd": "/", "delay_s": 9999.0}] * 20
        )
    return jobs


def damage(path: Path) -> None:
    """Overwrite everything but the first page, in place."""
    size = path.stat().st_size
    assert size > 40 * 4096
    with path.open("r+b", buffering=0) as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def bytes_of(daemon: Daemon) -> tuple[bytes, bytes]:
    path = daemon.state_dir / "jobctl.db"
    return path.read_bytes(), path.with_name("jobctl.db-wal").read_bytes()


def look_at(daemon: Daemon, jobs: list[int]) -> None:
    for job in jobs:
        daemon.status(job)


def refused(daemon: Daemon) -> str:
    with pytest.raises(StorageError) as refusal:
        daemon.submit(command=["/bin/true"], cwd="/")
    assert refusal.value.hint
    return refusal.value.message


@pytest.mark.slow
def test_without_a_daemon_what_can_be_read_of_a_damaged_store_is_answered() -> None:
    with running_daemon() as daemon:
        jobs = fill(daemon, 250)
        daemon.stop()
        path = daemon.state_dir / "jobctl.db"
        before = path.read_bytes()
        # The newest jobs lie at its end, among the pages of indexes.
        with path.open("r+b", buffering=0) as file:
            file.seek(len(before) - 40 * 4096)
            file.write(b"\xff" * 40 * 4096)
        damaged = path.read_bytes()

        told = jobctl(daemon, "status", str(jobs[0]))
        assert told.returncode == 0
        assert json.loads(told.stdout)["state"] == "PENDING"
        assert "daemon: down" in told.stderr
        assert "is damaged" in told.stderr
        ends = {jobctl(daemon, "status", str(job)).returncode for job in jobs[-1:]}
        assert ends <= {0, 75}
        assert jobctl(daemon, "db", "backup", f"{daemon.folder}/b.db").returncode == 75
        assert path.read_bytes() == damaged

        daemon.launch()
        assert daemon.wait_for_exit() == 75
        assert path.read_bytes() == damaged
        path.write_bytes(before)


def jobctl(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    daemon.config.write_text(f'[daemon]\nstate_dir = "{daemon.state_dir}"\n')
    line = [sys.executable, "-m", "jobctl", "--json", "--socket", str(daemon.socket)]
    return subprocess.run(
        [*line, "--config", str(daemon.config), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


@pytest.mark.slow
def test_damage_that_is_noticed_ends_every_acknowledgement() -> None:
    with running_daemon('[tasks.a]\ncommand = ["true"]\n', start=False) as daemon:
        daemon.launcher = with_patch(FORGETFUL)
        daemon.start()
        go = daemon.folder / "go"
        running = daemon.shell(f"until [ -e {go} ]; do sleep 0.01; done; exit 7")
        daemon.until("the job to run", lambda: daemon.status(running)["state"] == "STARTED")
        backup = daemon.call(requests.Backup(path=str(daemon.folder / "b.db")))
        jobs = fill(daemon, 250)
        damage(daemon.state_dir / "jobctl.db")

        with pytest.raises(StorageError, match="damaged"):
            look_at(daemon, jobs)

        before = bytes_of(daemon)
        for _ in range(3):
            assert "nothing is written any more" in refused(daemon)
        assert "damaged" in daemon.call(requests.Inspect(what="ping"))["trouble"]
        for request in (
            requests.Cancel(job=jobs[0]),
            requests.Pause(queue="default", paused=True),
            requests.AddSchedule(name="a", table={"task": "a", "every": "1h"}),
        ):
            with pytest.raises(StorageError):
                daemon.call(request)
        # What runs comes to its end, and the end waits on disk.
        go.touch()
        assert daemon.stop() == 0
        daemon.until(
            "the outcome on disk", lambda: list(daemon.state_dir.glob("run/*/outcomes/*.json"))
        )
        assert bytes_of(daemon) == before
        assert daemon.log().count("critical") == 1

        Path(backup["unfinished"]).rename(backup["path"])
        state = StateDirectory(daemon.state_dir)
        care.restore(state, daemon.folder / "b.db", merges=True, is_dry=False)
        daemon.start()
        ended = daemon.ended(running)
        assert (ended["state"], ended["attempts"][0]["exit_code"]) == ("FAILURE", 7)
