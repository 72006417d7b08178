"""``jobctl db``: backups beside a running daemon, and restores that neither lose nor repeat what is known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.daemon import care
from jobctl.errors import Conflict, NotFound, StorageError, UsageError
from jobctl.paths import StateDirectory
from jobctl.protocol import requests
from jobctl.store.database import open_database
from tests.support.daemon import Daemon, running_daemon, with_patch

if TYPE_CHECKING:
    from collections.abc import Iterator


SCHEMAS = Path(shapes.__file__).parent / "schemas"


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon() as started:
        yield started


def db(daemon: Daemon, *words: str, code: int = 0) -> dict[str, Any]:
    """What ``jobctl db … --json`` answers."""
    line = [sys.executable, "-m", "jobctl", "--json", "--socket", str(daemon.socket)]
    line += ["--config", str(daemon.config), "db", *words]
    if words[0] not in ("stats", "prune"):
        line += ["--state-dir", str(daemon.state_dir)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == code, ended.stderr + ended.stdout
    found: dict[str, Any] = json.loads(ended.stdout)
    refused: dict[str, Any] | None = found.get("error")
    if refused is None:
        schema = json.loads((SCHEMAS / f"db-{words[0]}.json").read_text())
        Draft202012Validator(schema).validate(found)
    return refused or found


def read(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


def waiting(count: int = 1) -> list[dict[str, Any]]:
    return [{"command": ["/bin/true"], "cwd": "/", "delay_s": 9999.0}] * count


def test_a_backup_of_a_running_daemon_is_checked_and_holds_what_was_acknowledged(
    daemon: Daemon,
) -> None:
    done = daemon.ended(daemon.shell("exit 3"))["id"]
    jobs = daemon.submit_many(waiting(500))

    told = db(daemon, "backup", str(daemon.folder / "b.db"))

    assert told["path"] == str(daemon.folder / "b.db")
    found = read(daemon.folder / "b.db", "SELECT id FROM jobs ORDER BY id")
    assert [id for (id,) in found] == sorted([done, *jobs])
    assert db(daemon, "check", str(daemon.folder / "b.db"))["ok"] is True
    checked = db(daemon, "check")
    assert (checked["ok"], checked["jobs"], checked["violations"]) == (True, 501, [])
    assert "there already" in db(daemon, "backup", told["path"], code=2)["message"]
    # Nothing of what was made for it is left.
    backups = list((daemon.state_dir / "backups").iterdir())
    assert backups == []


@pytest.mark.slow
def test_stats_tell_rows_states_and_growth(daemon: Daemon) -> None:
    daemon.ended(daemon.shell("exit 3"))
    daemon.submit_many(waiting(4))

    told = db(daemon, "stats")

    assert told["jobs"] == {"FAILURE": 1, "PENDING": 4}
    assert (told["tables"]["jobs"], told["tables"]["attempts"]) == (5, 1)
    assert (told["submitted_in_day"], told["submitted_in_week"]) == (5, 5)
    assert told["file_bytes"] % told["page_bytes"] == 0 < told["growth_bytes_per_day"]
    daemon.stop()
    daemon.config.write_text(f'[daemon]\nstate_dir = "{daemon.state_dir}"\n')
    assert db(daemon, "stats")["jobs"] == told["jobs"]


@pytest.mark.slow
def test_a_client_that_goes_away_leaves_no_copy(daemon: Daemon) -> None:
    daemon.submit_many(waiting(5000))
    daemon.stop()
    slow = "from jobctl.daemon.handlers import store; store.PAGES = 1; store.SLICE_S = -1.0"
    daemon.launcher = with_patch(slow)
    daemon.start()
    client = daemon.client
    client.connect()
    client._send({"id": 5, "do": "backup", "path": str(daemon.folder / "copy")})
    daemon.until("the copy", lambda: list(daemon.folder.glob("copy*")))
    client.close()
    daemon._client = None

    daemon.until(
        "the next answer, and no copy",
        lambda: (
            daemon.call(requests.Inspect(what="ping")) and not list(daemon.folder.glob("copy*"))
        ),
    )


@pytest.mark.slow
def test_prune_removes_now_what_is_older_and_leaves_what_waits(daemon: Daemon) -> None:
    jobs = [daemon.shell("true") for _ in range(3)]
    daemon.wait(*jobs)
    waits = daemon.submit_many(waiting(1))[0]

    assert db(daemon, "prune", "--keep", "1d") == {"removed": 0}
    assert db(daemon, "prune", "--keep-jobs", "0") == {"removed": 3}

    assert [job["id"] for job in daemon.call(requests.List())["jobs"]] == [waits]


@pytest.mark.slow
def test_what_is_submitted_during_a_backup_goes_on_and_is_kept(daemon: Daemon) -> None:
    for _ in range(4):
        daemon.submit_many(waiting(5000))
    other = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jobctl",
            "--json",
            "--socket",
            str(daemon.socket),
            "db",
            "backup",
            str(daemon.folder / "b.db"),
        ],
        stdout=subprocess.PIPE,
        cwd="/",
    )
    acknowledged = []
    while other.poll() is None:
        acknowledged += daemon.submit_many(waiting(20))
    other.communicate()

    assert other.returncode == 0
    found = {id for (id,) in read(daemon.folder / "b.db", "SELECT id FROM jobs")}
    kept = [job in found for job in acknowledged]
    # In the order in which they were acknowledged: up to a moment all, after it none.
    assert kept == sorted(kept, reverse=True)
    assert len(found) >= 20_000
    assert daemon.call(requests.Inspect(what="stats"))["longest_turn_s"] < 10


# -- restore --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_restore_refuses_while_a_daemon_runs_and_what_is_no_backup(daemon: Daemon) -> None:
    told = db(daemon, "backup", str(daemon.folder / "b.db"))

    refused = db(daemon, "restore", told["path"], code=75)
    assert refused["code"] == "state_directory_in_use"
    assert daemon.call(requests.Inspect(what="ping"))["pid"] == daemon.pid

    daemon.stop()
    store = str(daemon.state_dir / "jobctl.db")
    assert db(daemon, "restore", store, code=2)["code"] == UsageError.code
    assert db(daemon, "restore", "/nonexistent", code=4)["code"] == NotFound.code
    (daemon.folder / "no.db").write_bytes(b"x" * 9000)
    assert db(daemon, "restore", str(daemon.folder / "no.db"), code=75)["code"] == "storage"
    assert sorted(path.name for path in daemon.state_dir.glob("*restor*")) == []
    daemon.start()


def test_a_restore_brings_in_what_has_happened_since_the_backup(daemon: Daemon) -> None:
    waits = daemon.submit_many(waiting(1))[0]
    ran = daemon.shell("exit 3", delay_s=9999.0)
    done = daemon.ended(daemon.shell("exit 4"))["id"]
    told = db(daemon, "backup", str(daemon.folder / "b.db"))
    daemon.call(requests.Cancel(job=ran))
    new = daemon.submit_many(waiting(1))[0]
    daemon.stop()

    restored = db(daemon, "restore", told["path"])

    assert restored["merged"]["is_whole"] is True
    assert [path.name for path in (daemon.state_dir / "aside").glob("*/*.db")] == ["jobctl.db"]
    daemon.start()
    states = {job: daemon.status(job)["state"] for job in (waits, ran, done, new)}
    assert states == {waits: "PENDING", ran: "REVOKED", done: "FAILURE", new: "PENDING"}
    assert daemon.submit_many(waiting(1))[0] > new


@pytest.mark.slow
def test_no_merge_takes_the_backup_as_it_is_and_no_id_is_given_twice(daemon: Daemon) -> None:
    told = db(daemon, "backup", str(daemon.folder / "b.db"))
    new = daemon.submit_many(waiting(1))[0]
    daemon.stop()

    db(daemon, "restore", told["path"], "--no-merge", "--dry-run")
    assert not (daemon.state_dir / "aside").exists()
    db(daemon, "restore", told["path"], "--no-merge")

    daemon.start()
    assert daemon.call(requests.List(count=True))["count"] == 0
    assert daemon.submit_many(waiting(1))[0] > new


def damage(path: Path) -> None:
    """Make a store unreadable from its first page on."""
    with path.open("r+b") as file:
        file.write(b"\xff" * 8192)


@pytest.mark.slow
def test_outcomes_that_wait_on_disk_are_merged_where_the_old_store_is_lost(daemon: Daemon) -> None:
    go = daemon.folder / "go"
    line = f"until [ -e {go} ]; do sleep 0.01; done; exit 7"
    held = daemon.shell(line, delay_s=9999.0)
    told = db(daemon, "backup", str(daemon.folder / "b.db"))
    daemon.call(requests.Cancel(job=held))
    # The backup knows it as waiting; since then it has run.
    running = daemon.shell(line)
    daemon.until("the job to run", lambda: daemon.status(running)["state"] == "STARTED")
    second = db(daemon, "backup", str(daemon.folder / "c.db"))
    with_waiting = daemon.folder / "d.db"
    with_waiting.write_bytes((daemon.folder / "c.db").read_bytes())
    connection = apsw.Connection(str(with_waiting))
    connection.execute(
        "UPDATE jobs SET state = 'PENDING', line = 'c/default', token = NULL, number = 0, "
        "started_at = NULL WHERE id = ?",
        (running,),
    )
    connection.close()
    daemon.kill()
    damage(daemon.state_dir / "jobctl.db")
    (daemon.state_dir / "jobctl.db-wal").unlink(missing_ok=True)

    # It runs, and the restored store would start it once more.
    refused = db(daemon, "restore", str(with_waiting), code=75)
    assert refused["code"] == Conflict.code, refused
    assert "still run" in refused["message"]
    # A backup that knows it can be restored all the same.
    assert db(daemon, "restore", second["path"], "--dry-run")["aside"] is None
    go.touch()
    daemon.until(
        "its outcome on disk", lambda: list(daemon.state_dir.glob("run/*/outcomes/*.json"))
    )

    restored = db(daemon, "restore", str(with_waiting))

    assert restored["merged"]["outcomes"] == 1
    daemon.start()
    ended = daemon.ended(running)
    assert (ended["state"], len(ended["attempts"])) == ("FAILURE", 1)
    assert ended["attempts"][0]["exit_code"] == 7
    assert told["path"]
    # Which ids were given out since the backup is not known any more.
    assert daemon.submit_many(waiting(1))[0] > 1_000_000


def killed_at(step: int, arguments: list[str]) -> bool:
    """Restore in a child that is killed before its n-th step on the disk; False when it came to its end."""
    child = os.fork()
    if child == 0:
        left = [step]

        def dying(real: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for place, name in ((os, "fsync"), (Path, "rename"), (Path, "mkdir")):
            setattr(place, name, dying(getattr(place, name)))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(care.main(arguments))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


@pytest.mark.slow
def test_a_restore_killed_at_any_step_loses_nothing_and_goes_on(daemon: Daemon) -> None:
    jobs = daemon.submit_many(waiting(3))
    told = db(daemon, "backup", str(daemon.folder / "b.db"))
    jobs += daemon.submit_many(waiting(3))
    # Killed: so the newest jobs stand in the log only.
    daemon.kill()
    state = StateDirectory(daemon.state_dir)
    before = {path.name: path.read_bytes() for path in state.root.glob("jobctl.db*")}
    assert before.keys() == {"jobctl.db", "jobctl.db-wal"}
    arguments = ["restore", "--state-dir", str(state.root), told["path"]]
    step = 1
    while killed_at(step, arguments):
        names = {path.name for path in state.root.glob("jobctl.db*")}
        if "jobctl.db.restoring" in names:
            # Neither what is left of the old store nor an empty one is taken for the store.
            with pytest.raises(StorageError, match="not come to its end"):
                open_database(state.database)
        elif names != {"jobctl.db"}:
            assert {n: (state.root / n).read_bytes() for n in names} == before
        if names != {"jobctl.db"}:
            care.restore(state, Path(told["path"]), merges=True, is_dry=False)
        found = read(state.database, "SELECT id FROM jobs ORDER BY id")
        assert [id for (id,) in found] == jobs, f"killed at step {step}"
        step += 1
        for path in state.root.glob("jobctl.db*"):
            path.unlink()
        for name, content in before.items():
            (state.root / name).write_bytes(content)

    assert step > 8
    assert not list(state.root.glob("*.unfinished"))
    daemon.start()
    assert [daemon.status(job)["state"] for job in jobs] == ["PENDING"] * 6
