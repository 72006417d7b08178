"""Starting a real daemon: one for each state directory, and what it finds there is not stolen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jobctl.daemon.main import prepare_state_directory
from jobctl.paths import StateDirectory
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.users import as_nobody

if TYPE_CHECKING:
    from pathlib import Path

_RUN = (
    "import sys; from jobctl.daemon.main import run; from pathlib import Path;"
    "sys.exit(run(Path(sys.argv[1]), state_dir=Path(sys.argv[2]), socket=Path(sys.argv[3])))"
)


def start(config: Path, state_dir: Path, at: Path) -> subprocess.CompletedProcess[str]:
    """A daemon that is expected to refuse; what it said."""
    return subprocess.run(
        [sys.executable, "-c", _RUN, str(config), str(state_dir), str(at)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_told(told: subprocess.CompletedProcess[str]) -> None:
    """One line of cause and one of advice, and no traceback."""
    assert "Traceback" not in told.stderr
    cause = [line for line in told.stderr.splitlines() if line.startswith("jobctl daemon: ")]
    advice = [line for line in told.stderr.splitlines() if line.startswith("hint: ")]
    assert (len(cause), len(advice)) == (1, 1), told.stderr


def test_a_second_daemon_is_refused_with_the_pid_of_the_first(daemon: Daemon) -> None:
    told = start(daemon.config, daemon.state_dir, daemon.folder / "other")

    assert told.returncode == 75
    assert f"pid {daemon.pid}" in told.stderr
    is_told(told)
    assert not (daemon.folder / "other").exists()
    assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"


def test_another_name_of_the_same_state_directory_is_the_same(daemon: Daemon) -> None:
    alias = daemon.folder / "alias"
    alias.symlink_to(daemon.state_dir)

    told = start(daemon.config, alias, daemon.folder / "other")

    assert told.returncode == 75


def test_the_socket_of_a_living_daemon_is_not_stolen(daemon: Daemon) -> None:
    other = daemon.folder / "other-state"

    told = start(daemon.config, other, daemon.socket)

    assert told.returncode == 78
    is_told(told)
    assert daemon.call(requests.Inspect(what="ping"))["pid"] == daemon.pid
    daemon.until(
        "its processes to be gone",
        lambda: not [path for path in (other / "run").rglob("*") if not path.is_dir()],
    )


def test_the_socket_of_another_program_is_not_stolen() -> None:
    with running_daemon(start=False) as daemon:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(daemon.socket))
        listener.listen()

        told = start(daemon.config, daemon.state_dir, daemon.socket)

        assert told.returncode == 78
        is_told(told)
        assert daemon.socket.is_socket()
        listener.close()
        daemon.socket.unlink()


def test_a_file_where_the_socket_should_be_is_left_alone() -> None:
    with running_daemon(start=False) as daemon:
        daemon.socket.write_text("precious")

        told = start(daemon.config, daemon.state_dir, daemon.socket)

        assert told.returncode == 78
        assert "no socket" in told.stderr
        assert daemon.socket.read_text() == "precious"


def test_a_socket_that_a_killed_daemon_left_is_replaced(daemon: Daemon) -> None:
    daemon.kill()
    assert daemon.socket.is_socket()

    daemon.start()

    assert daemon.call(requests.Inspect(what="ping"))["pid"] == daemon.pid


def test_a_socket_path_longer_than_the_kernels_limit_serves() -> None:
    with running_daemon(start=False) as daemon:
        folder = daemon.folder / ("d" * 120)
        folder.mkdir()
        daemon.socket = folder / "sock"

        daemon.start()

        assert daemon.call(requests.Inspect(what="ping"))["pid"] == daemon.pid


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_state_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    state.root.mkdir(mode=0o755)
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        folder.chmod(folder.stat().st_mode | 0o011)

    told = as_nobody(lambda: prepare_state_directory(state))

    assert told.startswith("StateDirectoryUnusable")
    assert str(state.root) in told


def test_a_state_directory_that_everybody_may_write_is_refused() -> None:
    with running_daemon(start=False) as daemon:
        daemon.state_dir.mkdir()
        daemon.state_dir.chmod(0o777)

        told = start(daemon.config, daemon.state_dir, daemon.socket)

        assert told.returncode == 78
        assert "chmod" in told.stderr
        is_told(told)


def test_a_file_where_the_state_directory_should_be_is_refused() -> None:
    with running_daemon(start=False) as daemon:
        daemon.state_dir.write_text("")

        told = start(daemon.config, daemon.state_dir, daemon.socket)

        assert told.returncode == 78
        is_told(told)


def test_a_damaged_store_is_refused_and_kept() -> None:
    with running_daemon(start=False) as daemon:
        daemon.state_dir.mkdir()
        store = daemon.state_dir / "jobctl.db"
        store.write_bytes(b"no store at all " * 500)

        told = start(daemon.config, daemon.state_dir, daemon.socket)

        assert told.returncode == 75
        assert "do not delete" in told.stderr
        is_told(told)
        assert store.read_bytes() == b"no store at all " * 500


def test_the_store_of_a_later_version_is_refused_and_kept(daemon: Daemon) -> None:
    import apsw

    daemon.stop()
    store = daemon.state_dir / "jobctl.db"
    connection = apsw.Connection(str(store))
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = store.read_bytes()

    told = start(daemon.config, daemon.state_dir, daemon.socket)

    assert told.returncode == 78
    assert "9999" in told.stderr
    is_told(told)
    assert store.read_bytes() == before
