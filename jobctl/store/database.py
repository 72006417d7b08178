"""The one connection: opening, checking, upgrading, and the transaction of a turn.

Settings are set *and read back*, because a driver or a build of SQLite may change them in silence.
The file is never opened, copied or hashed outside SQLite: closing such a descriptor would drop
SQLite's locks (How To Corrupt An SQLite Database File, 2.2).
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import apsw

from jobctl.errors import StateDirectoryInUse, StateDirectoryUnusable, StorageError, StoreTooNew
from jobctl.store.statements import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID: Final = 0x6A6F6263
"""``jobc``: stands in the header of every database of ours."""

CACHE_BYTES: Final = 32 * 1024 * 1024
"""The page cache's limit: it holds the hot end of every table and index, and bounds the memory."""

CHECKPOINT_BYTES: Final = 16 * 1024 * 1024
"""The write-ahead log is written back when it is longer than this."""

CHECKED_BYTES: Final = 64 * 1024 * 1024
"""A store up to this size is checked whole at each open (a tenth of a second at most). Of a larger one the
size and both ends of every table are looked at; other damage is noticed where it is touched."""

_HEADER_BYTES: Final = 100
_LOG_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24

_PRAGMAS: Final[tuple[tuple[str, str | int, str | int], ...]] = (
    # name, value to set, value that must come back. Exclusive before anything else: then no
    # wal-index is ever shared, and a second process is refused by SQLite itself.
    ("locking_mode", "EXCLUSIVE", "exclusive"),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("mmap_size", 0, 0),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("temp_store", "MEMORY", 2),
    # 0: checkpoints are made between turns, never inside a commit.
    ("wal_autocheckpoint", 0, 0),
    ("cache_size", -(CACHE_BYTES // 1024), -(CACHE_BYTES // 1024)),
)

Refused = apsw.Error
"""What every statement raises when SQLite refuses it; `storage_error` makes an error of ours of it."""

_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs"}
)


class Database:
    """The open store. All of it runs on one thread."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self.log_pages = 0
        """How long the write-ahead log is, in pages, as of the last commit."""
        self.damage: StorageError | None = None
        """Why nothing is written any more: the file was found to be damaged."""
        self._is_open = False
        self._names = (str(path), f"{path}-wal")
        self._places: dict[str, tuple[int, int]] = {}
        self.execute = connection.execute
        self.executemany = connection.executemany

    def watch_log(self) -> None:
        """Keep `log_pages` from now on. SQLite forgets it when wal_autocheckpoint is set."""
        self.connection.set_wal_hook(self._note_log)

    def _note_log(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self.log_pages = pages
        return apsw.SQLITE_OK

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable step: committed when the block ends, rolled back when it raises.

        Raises:
            StorageError: the store refused; nothing of the block remains.
        """
        self.begin()
        try:
            yield
            self.commit()
        except apsw.Error as error:
            self.rollback()
            raise storage_error(error) from error
        except BaseException:
            self.rollback()
            raise

    def begin(self) -> None:
        """Begin the turn's transaction unless it has begun. Raises StorageError."""
        if self._is_open:
            return
        if self.damage is not None:
            raise self.damage
        try:
            self.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise storage_error(error) from error
        self._is_open = True

    @property
    def is_in_transaction(self) -> bool:
        """A turn's transaction has begun."""
        return self._is_open

    def commit(self) -> None:
        """End the transaction; when this returns it is on stable storage.

        Raises:
            apsw.Error: SQLite refused. StorageError: the files are not where they were. Either way
            the transaction is still to be rolled back.
        """
        if self._is_open:
            self._refuse_ghost()
            self.execute("COMMIT")
            self._is_open = False

    def _refuse_ghost(self) -> None:
        """Refuse to write into files that were removed or replaced: the next daemon would not find it.

        By name only. SQLite has the files open and would go on for ever in what nobody sees.
        """
        for name in self._names:
            try:
                found = os.stat(name)  # noqa: PTH116 -- twice in each commit, and a third of the cost
            except OSError:
                place = None
            else:
                place = (found.st_dev, found.st_ino)
            known = self._places.get(name)
            if known is None and place is not None:
                # The log appears with the first write.
                self._places[name] = place
            elif known != place:
                raise StorageError(
                    f'"{name}" was removed or replaced while the daemon runs',
                    hint="Put it back, or stop the daemon and start it again.",
                )

    def rollback(self) -> None:
        """Forget the transaction. Safe when SQLite has rolled back by itself."""
        if not self._is_open:
            return
        self._is_open = False
        if self.connection.in_transaction:
            # A disk that fails may refuse this as well; SQLite then recovers at the next access.
            with suppress(apsw.Error):
                self.execute("ROLLBACK")

    def rows(self, sql: str, bindings: Any = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        return self.execute(sql, bindings).fetchall()

    def row(self, sql: str, bindings: Any = ()) -> tuple[Any, ...] | None:
        """The first row of a statement, or None."""
        return self.execute(sql, bindings).fetchone()

    def dicts(self, sql: str, bindings: Any = ()) -> list[dict[str, Any]]:
        """All rows of a statement, each as a mapping from column names."""
        cursor = self.connection.cursor()
        names: list[str] = []

        def note(executed: apsw.Cursor, row: apsw.SQLiteValues) -> apsw.SQLiteValues:
            if not names:
                names.extend(column[0] for column in executed.get_description())
            return row

        cursor.row_trace = note
        return [dict(zip(names, row, strict=True)) for row in cursor.execute(sql, bindings)]

    def changes(self) -> int:
        """How many rows the last statement changed."""
        return self.connection.changes()

    def total_changes(self) -> int:
        """How many rows all statements of this connection have changed."""
        return self.connection.total_changes()

    def checkpoint(self, *, truncate: bool = False) -> int:
        """Write the log back into the file; gives back the log's size in pages before that."""
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            pages, _ = self.connection.wal_checkpoint(mode=mode)
        except apsw.Error as error:
            raise storage_error(error) from error
        return pages

    def close(self) -> None:
        """Write the log back and close. Raises nothing: what is committed is safe either way."""
        self.rollback()
        if self.damage is not None:
            # File and log stay as they were found.
            self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self.connection.close(True)
            return
        # A full disk refuses this; the log stays and is read at the next open.
        with suppress(apsw.Error):
            self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self.connection.close()


def open_database(path: Path, *, is_read_only: bool = False) -> Database:
    """Open the store, make or upgrade it where that is needed, and verify its settings.

    ``is_read_only``: for looking at it. It is not made then, and of a damaged one, which has ``damage``, what
    can be read is read.

    Raises:
        StateDirectoryInUse: another process has it open.
        StoreTooNew: a later jobctl wrote it; no byte of it was changed.
        StateDirectoryUnusable: the folder cannot be written or is a network file system.
        StorageError: the file is damaged, cut short or emptied, or not a store of jobctl (no byte of it
            and of its log was changed), or the disk refuses.
    """
    _refuse_network_file_system(path)
    _refuse_lost(path)
    if not is_read_only and not path.exists():
        _make(path)
    connection = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    database = Database(connection, path)
    try:
        # Judged before anything is set: journal_mode alone would change another program's file, and
        # closing would write a later version's log back into its store.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(_has_log(path)))
        version = _judge(database)
        _set_up(database)
        try:
            _check(database)
        except StorageError as damage:
            if not is_read_only or version != len(migrations()):
                raise
            # What can be read may be looked at; nothing is written, and its log stays what it is.
            database.damage = damage
            return database
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        _upgrade(database, version)
    except apsw.Error as error:
        connection.close()
        raise storage_error(error, path) from error
    except BaseException:
        connection.close()
        raise
    return database


def _connect(path: Path, flags: int) -> apsw.Connection:
    try:
        return apsw.Connection(str(path), flags=flags, statementcachesize=200)
    except apsw.CantOpenError as error:
        raise StateDirectoryUnusable(
            f'the store "{path}" cannot be opened: {error}',
            hint="The folder must exist and belong to the daemon's user.",
        ) from error


def _refuse_lost(path: Path) -> None:
    """Refuse a file that was emptied, and a log without its file: SQLite would begin a new store in their
    place, and remove the log. By their sizes only. A restore that was cut short has moved one of them or both."""
    size, log_bytes = _size(path), _size(log_of(path))
    if restoring(path).exists():
        raise StorageError(
            f'the store "{path}" is being restored, and that has not come to its end',
            hint="Run the same jobctl db restore again.",
        )
    if size is None and log_bytes:
        raise StorageError(
            f'the store "{path}" is missing, but its log "{log_of(path)}" is there',
            hint="Put the file back beside its log, or move the log aside too to begin anew.",
        )
    # Ours come into being whole (`_make`), so this is never one that was just begun.
    if size is not None and size < _HEADER_BYTES:
        raise _damaged(f' "{path}"', f"it has {size} bytes")


def _make(path: Path) -> None:
    """Make a new store, under another name: with its own name it appears whole or not at all.

    Raises StateDirectoryUnusable, StorageError; nothing is left of it then.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        connection = _connect(unfinished, flags)
        try:
            connection.execute("PRAGMA synchronous = FULL").fetchall()
            _upgrade(Database(connection, unfinished), 0)
        finally:
            connection.close()
        unfinished.rename(path)
        flush_folder(path.parent)
    except apsw.Error as error:
        unfinished.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def _set_up(database: Database) -> None:
    for name, value, expected in _PRAGMAS:
        database.row(f"PRAGMA {name} = {value}")
        row = database.row(f"PRAGMA {name}")
        if row is None or row[0] != expected:
            raise StorageError(
                f"SQLite did not take the setting {name} = {value}: it says {row}",
                hint="This build of SQLite cannot keep jobctl's promises; install apsw from PyPI.",
            )
    database.watch_log()


def _judge(database: Database) -> int:
    """The schema's number, 0 for a new store. Changes nothing; refuses what is not ours to open."""
    # Exclusive from the first read on: then no wal-index is ever shared, and a second process is refused.
    database.row("PRAGMA locking_mode = EXCLUSIVE")
    version = header(database, "user_version")
    application_id = header(database, "application_id")
    has_tables = database.row("SELECT 1 FROM sqlite_schema LIMIT 1") is not None
    if application_id != APPLICATION_ID and (application_id or has_tables):
        raise StorageError(
            f'"{database.path}" is a database, but not one of jobctl',
            hint="Set state_dir to a folder of jobctl's own.",
        )
    known = len(migrations())
    if version > known:
        raise StoreTooNew(
            f'"{database.path}" has schema {version}, this jobctl knows {known}',
            hint="Start the later jobctl again, or restore a backup made before the upgrade.",
        )
    return version


def log_of(path: Path) -> Path:
    """The write-ahead log of a store."""
    return path.with_name(f"{path.name}-wal")


def restoring(path: Path) -> Path:
    """What will be the store in a moment: while it is there, a restore is under way or was cut short."""
    return path.with_name(f"{path.name}.restoring")


def _has_log(path: Path) -> bool:
    return bool(_size(log_of(path)))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _check(database: Database) -> None:
    """Look for damage before anything is acknowledged on top of it."""
    page_bytes = header(database, "page_size")
    size = header(database, "page_count") * page_bytes
    _refuse_short(database.path, size, page_bytes)
    if size > CHECKED_BYTES:
        _look_at_ends(database)
        return
    found = database.row("PRAGMA quick_check(1)")
    if found != ("ok",):
        told = str(found[0]) if found else "no answer"
        raise _damaged(f' "{database.path}"', told.splitlines()[-1])


def _refuse_short(path: Path, size: int, page_bytes: int) -> None:
    """Refuse a file that lacks more than its log can add. Without a log SQLite itself counts whole pages."""
    found = _size(path) or 0
    log_bytes = max((_size(log_of(path)) or 0) - _LOG_HEADER_BYTES, 0)
    frames = log_bytes // (page_bytes + _FRAME_HEADER_BYTES)
    if found + frames * page_bytes < size:
        raise _damaged(f' "{path}"', f"it has {found} of {size} bytes")


def _look_at_ends(database: Database) -> None:
    """Read the first and the last row of every table: the way down to them, and the pages that were
    written last. Raises apsw.CorruptError."""
    tables = database.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
    for (table,) in tables:
        columns = database.rows("SELECT name, pk FROM pragma_table_info(?)", (table,))
        keys = [name for name, place in sorted(columns, key=lambda row: row[1]) if place]
        for direction in ("", " DESC"):
            order = ", ".join(f'"{name}"{direction}' for name in keys or ["rowid"])
            database.row(f'SELECT * FROM "{table}" ORDER BY {order} LIMIT 1')  # noqa: S608 -- our own names


def _upgrade(database: Database, version: int) -> None:
    """Bring the schema to the newest version: whole steps, each with its number, or nothing."""
    steps = migrations()
    if version and version < len(steps):
        _back_up(database, version)
    for number, _, script in steps[version:]:
        database.execute("BEGIN IMMEDIATE")
        try:
            database.execute(script)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {number}")
            database.execute("COMMIT")
        except BaseException:
            if database.connection.in_transaction:
                database.execute("ROLLBACK")
            raise


def header(database: Database, name: str) -> int:
    """A number that a PRAGMA of this name tells."""
    row = database.row(f"PRAGMA {name}")
    assert row is not None
    return int(row[0])


def _back_up(database: Database, version: int) -> None:
    """Copy the store before its schema changes, and check the copy, through SQLite alone.

    The copy gets its name when it is whole and on stable storage: what has the name can be trusted.
    """
    target = database.path.with_name(f"{database.path.name}.schema-{version}.backup")
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    copy = apsw.Connection(str(unfinished))
    try:
        with copy.backup("main", database.connection, "main") as backup:
            backup.step(-1)
        # Out of the log's way: the copy is one file.
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        verdict = copy.execute("PRAGMA integrity_check").fetchall()
    finally:
        copy.close()
    if verdict != [("ok",)]:
        raise StorageError(
            f'the backup "{unfinished}" did not pass its check; the store was not upgraded',
            hint="Check the disk, then start again.",
        )
    unfinished.rename(target)
    flush_folder(target.parent)


def flush_folder(path: Path) -> None:
    """Bring the names in a folder to stable storage. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_system_of(path: Path) -> str:
    """The type of the file system that a folder lies on (``ext4``), empty when that cannot be told."""
    folder = str(path.resolve())
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        mount_point = fields.split()[4].encode().decode("unicode_escape")
        inside = folder == mount_point or folder.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best):
            best, kind = mount_point, rest.split()[0]
    return kind


def is_network_file_system(kind: str) -> bool:
    """Other hosts may write to a file system of this type."""
    return kind in _NETWORK_FILE_SYSTEMS or kind.startswith("fuse.sshfs")


def _refuse_network_file_system(path: Path) -> None:
    kind = file_system_of(path.parent)
    if is_network_file_system(kind):
        raise StateDirectoryUnusable(
            f'"{path.parent.resolve()}" lies on {kind}, a network file system',
            hint="SQLite's log cannot be trusted there; set state_dir to a local folder.",
        )


def sqlite_version() -> str:
    """The SQLite that is in use: ``3.51.3``."""
    return apsw.sqlite_lib_version()


def storage_error(error: apsw.Error, path: Path | None = None) -> StorageError:
    """The error of ours for an error of SQLite, told apart by its code, never by its words."""
    where = f' "{path}"' if path else ""
    match error:
        case apsw.FullError():
            return StorageError(
                f"the store{where} cannot grow: the disk is full",
                hint="Free some space; the daemon goes on by itself.",
            )
        case apsw.BusyError() | apsw.LockedError():
            return StateDirectoryInUse(
                f"the store{where} is open in another process",
                hint="Another daemon runs with this state_dir; stop it or choose another folder.",
            )
        case apsw.ReadOnlyError():
            return StorageError(
                f"the store{where} is read-only", hint="Check the mount and the file's owner."
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return _damaged(where, error)
        case apsw.CantOpenError():
            return StorageError(
                f"the store{where} cannot be opened for writing: {error}",
                hint="Check the folder's mount, owner and mode.",
            )
        case apsw.IOError():
            return StorageError(
                f"the disk under the store{where} failed: {error}",
                hint="See the kernel's log (dmesg).",
            )
        case _:
            return StorageError(
                f"the store{where} refused: {error}", hint="The daemon's log says more."
            )


def _damaged(where: str, how: object) -> StorageError:
    return StorageError(
        f"the store{where} is damaged: {how}",
        hint="jobctl db restore FILE puts a backup in its place and the damaged files aside; do not delete "
        "them: what can be read of them is brought in.",
    )


_TROUBLE: Final = (
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.PermissionsError,
)


def is_damage(error: StorageError) -> bool:
    """The file is not what was written into it. It will not heal by itself."""
    return isinstance(error.__cause__, (apsw.CorruptError, apsw.NotADBError))


def is_full(error: StorageError) -> bool:
    """There is no room on the disk."""
    return isinstance(error.__cause__, apsw.FullError)


def is_trouble(error: StorageError) -> bool:
    """The storage itself is in trouble, so that the same may succeed later; False: only what was to be
    written was at fault, and will be again."""
    cause = error.__cause__
    return not isinstance(cause, apsw.Error) or isinstance(cause, _TROUBLE)
