"""Opening the store: what is verified, what is refused, and that what is refused is not touched."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from jobctl.errors import (
    StateDirectoryInUse,
    StateDirectoryUnusable,
    StorageError,
    StoreTooNew,
)
from jobctl.store import database as module
from jobctl.store import jobs, meta
from jobctl.store.database import APPLICATION_ID, Database, open_database
from jobctl.store.statements import migrations
from tests.support.builders import a_job, in_state, rows

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobctl.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = open_database(path)
    yield opened
    opened.close()


def contents(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def set_header(path: Path, pragma: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA {pragma}")
    connection.close()


def test_a_new_store_carries_our_name_and_the_newest_schema(database: Database) -> None:
    assert database.row("PRAGMA application_id") == (APPLICATION_ID,)
    assert database.row("PRAGMA user_version") == (len(migrations()),)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("locking_mode", "exclusive"),
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("mmap_size", 0),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("temp_store", 2),
        ("wal_autocheckpoint", 0),
        ("cache_size", -module.CACHE_BYTES // 1024),
    ],
)
def test_a_setting_is_in_force(database: Database, pragma: str, value: object) -> None:
    assert database.row(f"PRAGMA {pragma}") == (value,)


def test_a_setting_that_sqlite_does_not_take_refuses_the_store(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An in-memory journal cannot be had in a file's write-ahead mode: SQLite keeps silent about it."""
    monkeypatch.setattr(module, "_PRAGMAS", (("journal_mode", "WAL", "memory"),))

    with pytest.raises(StorageError, match="journal_mode"):
        open_database(path)


def test_no_shared_index_is_ever_made(database: Database, path: Path) -> None:
    in_state(database, "SUCCESS")

    assert not path.with_name("jobctl.db-shm").exists()


def test_a_second_opener_is_refused(database: Database, path: Path) -> None:
    """From another process: within one, POSIX locks do not see each other."""
    code = (
        "import sys; from pathlib import Path; from jobctl.store.database import open_database\n"
        "from jobctl.errors import JobctlError\n"
        "try: open_database(Path(sys.argv[1]))\n"
        "except JobctlError as error: print(type(error).__name__, error.exit_code)"
    )

    told = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )

    assert told.stdout.split() == [StateDirectoryInUse.__name__, "75"]


def test_a_stray_shell_is_kept_out(database: Database, path: Path) -> None:
    code = (
        "import sqlite3, sys\n"
        "try: sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM jobs')\n"
        "except sqlite3.OperationalError as error: print(error)"
    )

    told = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )

    assert "locked" in told.stdout


def test_a_newer_schema_is_refused_and_no_byte_changes(path: Path, tmp_path: Path) -> None:
    open_database(path).close()
    set_header(path, f"user_version = {len(migrations()) + 1}")
    before = contents(tmp_path)

    with pytest.raises(StoreTooNew, match="schema") as refused:
        open_database(path)

    assert refused.value.exit_code == 78
    assert refused.value.hint
    assert contents(tmp_path) == before


def test_a_newer_store_with_a_log_is_left_with_its_log(path: Path, tmp_path: Path) -> None:
    """Its daemon was killed: what it committed lies in the log, which only it may write back."""
    _leave_log(path, f"PRAGMA user_version = {len(migrations()) + 1}")
    before = contents(tmp_path)
    assert "jobctl.db-wal" in before

    with pytest.raises(StoreTooNew):
        open_database(path)

    assert contents(tmp_path) == before


def _leave_log(path: Path, statement: str) -> None:
    """Commit a statement in a process that dies before it writes its log back."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from jobctl.store.database import open_database\n"
        "database = open_database(Path(sys.argv[1]))\n"
        "with database.transaction(): database.execute(sys.argv[2])\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path), statement], check=True)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_the_database_of_another_program_is_refused_and_no_byte_changes(
    path: Path, tmp_path: Path, mode: str
) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA journal_mode = {mode}; CREATE TABLE photos (id INTEGER)").fetchall()
    connection.close()
    before = contents(tmp_path)

    with pytest.raises(StorageError, match="not one of jobctl"):
        open_database(path)

    assert contents(tmp_path) == before


def test_an_empty_database_with_another_programs_name_is_refused(path: Path) -> None:
    set_header(path, "application_id = 252006674")

    with pytest.raises(StorageError, match="not one of jobctl"):
        open_database(path)


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"This is no database, it only has its name. " * 200)

    with pytest.raises(StorageError, match="damaged") as refused:
        open_database(path)

    assert "aside" in refused.value.hint


def test_damage_inside_is_found_at_the_next_start(path: Path) -> None:
    database = open_database(path)
    for _ in range(200):
        in_state(database, "SUCCESS", payload='{"args":["' + "x" * 500 + '"],"kwargs":{}}')
    (size,) = database.row("PRAGMA page_size") or (0,)
    (root,) = database.row("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'") or (0,)
    database.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(os.urandom(size))

    with pytest.raises(StorageError, match="damaged") as refused:
        open_database(path)

    assert refused.value.exit_code == 75
    assert "do not delete" in refused.value.hint


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store of some hundred pages."""
    path = tmp_path_factory.mktemp("made") / "jobctl.db"
    database = open_database(path)
    payload = '{"args":["' + "x" * 500 + '"],"kwargs":{}}'
    with database.transaction():
        jobs.submit(database, [a_job(payload=payload) for _ in range(2000)])
    database.close()
    return path


@pytest.fixture
def full(made: Path, path: Path) -> Path:
    shutil.copy(made, path)
    return path


def leave_a_log(path: Path) -> None:
    """The last daemon was killed: some pages lie in the log alone."""
    _leave_log(path, "INSERT INTO meta (name, value) VALUES ('a', '1')")


WHOLE = -1
CUTS = (0, 1, 99, 100, 511, 4095, 4096, 4097, 8192, "half", "a page less", "a byte less")


def cut_to(size: int, cut: int | str) -> int:
    lengths = {"half": size // 2, "a page less": size - 4096, "a byte less": size - 1}
    return lengths[cut] if isinstance(cut, str) else cut


@pytest.fixture(params=["small", "large"])
def judged_as(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large store is not checked whole."""
    if request.param == "large":
        monkeypatch.setattr(module, "CHECKED_BYTES", 0)


@pytest.mark.usefixtures("judged_as")
@pytest.mark.parametrize(
    ("cut", "has_log"),
    # With a log a missing byte proves nothing: it may hold the last page.
    [*((cut, False) for cut in CUTS), *((cut, True) for cut in CUTS if cut != "a byte less")],
)
def test_a_store_that_was_cut_short_is_refused_and_no_byte_changes(
    full: Path, tmp_path: Path, cut: int | str, has_log: bool
) -> None:
    if has_log:
        leave_a_log(full)
    os.truncate(full, cut_to(full.stat().st_size, cut))
    before = contents(tmp_path)
    assert ("jobctl.db-wal" in before) == has_log

    with pytest.raises(StorageError, match="damaged") as refused:
        open_database(full)

    assert "do not delete" in refused.value.hint
    assert contents(tmp_path) == before


@pytest.mark.usefixtures("judged_as")
@pytest.mark.parametrize("page", [0, WHOLE], ids=["first", "last"])
def test_a_store_with_a_page_of_zeros_at_an_end_is_refused_and_no_byte_changes(
    full: Path, tmp_path: Path, page: int
) -> None:
    with full.open("r+b") as file:
        file.seek(page * 4096, os.SEEK_END if page == WHOLE else os.SEEK_SET)
        file.write(bytes(4096))
    before = contents(tmp_path)

    with pytest.raises(StorageError, match="damaged"):
        open_database(full)

    assert contents(tmp_path) == before


def test_a_log_without_its_store_is_refused_and_not_removed(path: Path, tmp_path: Path) -> None:
    leave_a_log(path)
    path.unlink()
    before = contents(tmp_path)

    with pytest.raises(StorageError, match="missing, but its log") as refused:
        open_database(path)

    assert "move the log aside" in refused.value.hint
    assert contents(tmp_path) == before


def test_a_store_that_was_not_finished_is_begun_anew(path: Path, tmp_path: Path) -> None:
    """The first daemon was killed, or met a full disk, before there was anything to lose."""
    path.with_name("jobctl.db.unfinished").write_bytes(b"")

    open_database(path).close()

    assert set(contents(tmp_path)) == {"jobctl.db"}


def test_a_new_store_that_cannot_be_made_leaves_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "migrations", lambda: [(1, "0001_bad.sql", "CREATE TABLE a (b); no")]
    )

    with pytest.raises(StorageError):
        open_database(path)

    assert contents(tmp_path) == {}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateDirectoryUnusable) as refused:
        open_database(tmp_path / "missing" / "jobctl.db")

    assert refused.value.exit_code == 78


def test_a_folder_on_a_network_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of the file system is read from the kernel; here every kind counts as a network's."""
    kinds = frozenset(
        line.partition(" - ")[2].split()[0]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    )
    monkeypatch.setattr(module, "_NETWORK_FILE_SYSTEMS", kinds)

    with pytest.raises(StateDirectoryUnusable, match="network"):
        open_database(path)

    assert not path.exists()


# -- upgrading --------------------------------------------------------------------------------------

_STEP = "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT; INSERT INTO later VALUES (1);"


def with_step(monkeypatch: pytest.MonkeyPatch, script: str) -> int:
    steps = [*migrations(), (len(migrations()) + 1, "later.sql", script)]
    monkeypatch.setattr(module, "migrations", lambda: steps)
    return len(steps)


def test_an_older_schema_is_upgraded_after_a_verified_backup(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(path)
    job = in_state(database, "SUCCESS")
    database.close()
    old = len(migrations())
    newest = with_step(monkeypatch, _STEP)

    upgraded = open_database(path)

    assert upgraded.row("PRAGMA user_version") == (newest,)
    assert [row["id"] for row in rows(upgraded, "jobs")] == [job]
    upgraded.close()
    monkeypatch.undo()
    backup = path.with_name(f"jobctl.db.schema-{old}.backup")
    shutil.copy(backup, path.with_name("copy.db"))
    restored = open_database(path.with_name("copy.db"))
    assert [row["id"] for row in rows(restored, "jobs")] == [job]
    restored.close()


def test_a_step_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_database(path)
    in_state(database, "SUCCESS")
    database.close()
    with_step(monkeypatch, f"{_STEP} INSERT INTO nowhere VALUES (1);")

    with pytest.raises(StorageError):
        open_database(path)

    monkeypatch.undo()
    again = open_database(path)
    assert again.row("SELECT 1 FROM sqlite_schema WHERE name = 'later'") is None
    again.close()


def test_a_backup_that_was_cut_short_has_not_the_name_of_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_database(path).close()
    old = len(migrations())
    left = path.with_name(f"jobctl.db.schema-{old}.backup.unfinished")
    left.write_bytes(b"half a page")
    with_step(monkeypatch, _STEP)

    open_database(path).close()

    assert not left.exists()
    assert path.with_name(f"jobctl.db.schema-{old}.backup").exists()


# -- committing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jobctl.db", "jobctl.db-wal"])
def test_nothing_is_committed_into_a_file_that_was_removed(
    database: Database, path: Path, name: str
) -> None:
    in_state(database, "SUCCESS")
    file = path.with_name(name)
    file.rename(path.with_name("elsewhere"))

    with pytest.raises(StorageError, match="removed or replaced"), database.transaction():
        meta.set(database, "a", "1")

    path.with_name("elsewhere").rename(file)
    with database.transaction():
        meta.set(database, "a", "2")
    assert meta.get(database, "a") == "2"


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.transaction():
            meta.set(database, "a", "1")
            raise KeyError("a")

    with pytest.raises(KeyError):
        write_and_fail()

    assert meta.get(database, "a") is None


def test_what_was_committed_is_there_after_a_kill(path: Path) -> None:
    _leave_log(path, "INSERT INTO meta (name, value) VALUES ('a', '1')")

    database = open_database(path)

    assert meta.get(database, "a") == "1"
    database.close()
