"""Starting a real daemon: one for each state directory, and what it finds there is not stolen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import jobctl
from jobctl.daemon.lock import take_lock
from jobctl.daemon.main import prepare_state_directory
from jobctl.errors import StateDirectoryInUse
from jobctl.paths import StateDirectory
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.users import as_nobody

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


@pytest.mark.slow
def test_a_second_daemon_is_refused_with_the_pid_of_the_first(daemon: Daemon) -> None:
    told = start(daemon.config, daemon.state_dir, daemon.folder / "other")

    assert told.returncode == 75
    assert f"pid {daemon.pid}" in told.stderr
    is_told(told)
    assert not (daemon.folder / "other").exists()
    assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"


def test_who_serves_is_not_waited_for(daemon: Daemon) -> None:
    """Within the time limit of a test: a patience of an hour would be outlived by it."""
    with pytest.raises(StateDirectoryInUse, match=rf"\(pid {daemon.pid}\)"):
        take_lock(StateDirectory(daemon.state_dir), patience_s=3600.0)


def test_who_stops_is_waited_for() -> None:
    with running_daemon() as daemon:
        state = StateDirectory(daemon.state_dir)
        job = daemon.shell("until [ -e go ]; do sleep 0.01; done")
        daemon.until("it to run", lambda: daemon.status(job)["state"] == "STARTED")
        daemon.call(requests.Stop(mode="drain"))
        daemon.until("it to stop", lambda: "stopping" in state.daemon_pid.read_text())

        with pytest.raises(StateDirectoryInUse, match=rf"\(pid {daemon.pid}\)"):
            take_lock(state, patience_s=0.0)
        (daemon.folder / "go").touch()

        take_lock(state, patience_s=60.0).release()


def test_a_number_that_a_killed_daemon_left_names_nobody() -> None:
    """It may be another process by now; and who holds the lock is an answer without a daemon."""
    with running_daemon(start=False) as daemon:
        state = StateDirectory(daemon.state_dir)
        state.root.mkdir()
        state.daemon_pid.write_text("1\n")
        held = take_lock(state, patience_s=0.0)
        try:
            with pytest.raises(StateDirectoryInUse) as refusal:
                take_lock(state, patience_s=0.0)
        finally:
            held.release()

        assert "pid" not in refusal.value.message


def test_a_deleted_lock_file_is_made_anew_and_locked() -> None:
    with running_daemon(start=False) as daemon:
        state = StateDirectory(daemon.state_dir)
        state.root.mkdir()
        take_lock(state, patience_s=0.0).release()
        state.daemon_lock.unlink()
        held = take_lock(state, patience_s=0.0)
        try:
            assert state.daemon_lock.stat().st_mode & 0o777 == 0o600
            with pytest.raises(StateDirectoryInUse):
                take_lock(state, patience_s=0.0)
        finally:
            held.release()


def test_a_daemon_loads_nothing_for_errors_and_rare_tasks_alone() -> None:
    """Each of these is a part of what an idle daemon costs, and of its start."""
    source = "import sys, jobctl.daemon.main; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )

    for_nothing = {"_hashlib", "_ssl", "secrets", "tempfile", "shutil", "statistics", "calendar"}
    for_nothing |= {"difflib", "asyncio", "pydantic", "typer", "rich", "jobctl.worker.functions"}
    assert not for_nothing & set(told.stdout.split())


def test_keepers_share_no_package_that_they_can_do_without() -> None:
    """What their template has loaded is spread over more pages, of which each keeper writes to some."""
    root = Path(jobctl.__file__).parents[1]
    source = f"import sys; sys.path.insert(0, {str(root)!r}); import jobctl.worker.rehearsal"
    source += ", jobctl.worker.template; print(*sys.modules)"
    argv = [sys.executable, "-I", "-S", "-c", source]
    told = subprocess.run(argv, capture_output=True, text=True, check=True)

    spared = {"typing", "re", "json", "enum", "signal", "collections", "functools", "contextlib"}
    assert not spared & set(told.stdout.split())


@pytest.mark.slow
def test_another_name_of_the_same_state_directory_is_the_same(daemon: Daemon) -> None:
    alias = daemon.folder / "alias"
    alias.symlink_to(daemon.state_dir)

    told = start(daemon.config, alias, daemon.folder / "other")

    assert told.returncode == 75


@pytest.mark.slow
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
