"""Work on a store that takes as long as the disk takes, in a process of its own: verify, restore, and what
needs no daemon.

The command line starts it (`jobctl.cli.db`); it opens the store only under the daemon's lock, and copies of the
store without. It prints one JSON document: ``{"ok": …}`` or ``{"error": {code, message, hint}}``.

``python -m jobctl.daemon.care finish FILE`` · ``check (--state-dir DIR | --file FILE [--drop])`` ·
``backup --state-dir DIR [PATH]`` · ``restore --state-dir DIR [--no-merge] [--dry-run] FILE``
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SystemClock, iso
from jobctl.daemon.handlers.store import backup_name, refuse_without_room
from jobctl.daemon.lock import take_lock
from jobctl.engine.local import holder
from jobctl.engine.local.records import find_records
from jobctl.errors import Conflict, JobctlError, NotFound, StorageError, UsageError
from jobctl.paths import StateDirectory
from jobctl.store import counts, restoring
from jobctl.store.copying import UNFINISHED, copy_whole, keep, verify
from jobctl.store.database import Refused, log_of, open_database, storage_error
from jobctl.store.database import restoring as restoring_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobctl.store.copying import Verdict

LOCK_PATIENCE_S: Final = 0.5
_MARGIN: Final = 1000
"""Jobs that share a folder of outputs: its name tells of ids up to so many more."""


def finish(path: Path) -> dict[str, Any]:
    """Verify a copy that a daemon has made, and give it its name. What does not pass is removed."""
    unfinished = path.with_name(path.name + UNFINISHED)
    verdict = _verify_or_drop(unfinished)
    keep(unfinished, path)
    return _told(path, verdict)


def _verify_or_drop(unfinished: Path) -> Verdict:
    try:
        verdict = verify(unfinished)
        _refuse_violations(unfinished, verdict)
    except JobctlError:
        unfinished.unlink(missing_ok=True)
        raise
    return verdict


def _refuse_violations(path: Path, verdict: Verdict) -> None:
    if verdict.violations:
        first = verdict.violations[0]
        more = f" (and {len(verdict.violations) - 1} more)" if len(verdict.violations) > 1 else ""
        raise StorageError(
            f'the copy "{path}" did not pass its check: {first.message}{more}',
            hint="The store itself is damaged: see jobctl db check, and keep the backups that you have.",
        )


def _told(path: Path, verdict: Verdict) -> dict[str, Any]:
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "schema": verdict.schema,
        "jobs": verdict.jobs,
        "unfinished": verdict.unfinished,
    }


def check_file(path: Path, *, drop: bool) -> dict[str, Any]:
    """Judge a file; with ``drop`` it is a copy that was made for that, and is removed."""
    if not path.exists():
        raise NotFound(f'there is no file "{path}"')
    try:
        verdict = verify(path)
    finally:
        if drop:
            path.unlink(missing_ok=True)
    return _judged(verdict)


def _judged(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": not verdict.violations,
        "schema": verdict.schema,
        "jobs": verdict.jobs,
        "violations": [asdict(finding) for finding in verdict.violations],
        "remarks": [asdict(finding) for finding in verdict.remarks],
    }


def check_store(state: StateDirectory) -> dict[str, Any]:
    """Judge a copy of the store that no daemon serves."""
    copy = state.root / f"check-{os.getpid()}.db{UNFINISHED}"
    with _held(state):
        _copy(state, copy)
    return check_file(copy, drop=True)


def back_up(state: StateDirectory, path: Path | None) -> dict[str, Any]:
    """Back up the store that no daemon serves."""
    if path is None:
        state.backups.mkdir(mode=0o700, exist_ok=True)
        path = state.backups / backup_name(SystemClock().now())
    if path.exists():
        raise Conflict(f'"{path}" is there already', hint="Name another file.")
    with _held(state):
        _copy(state, path.with_name(path.name + UNFINISHED))
    return finish(path)


def _copy(state: StateDirectory, copy: Path) -> None:
    database = open_database(state.database, is_read_only=True)
    try:
        if database.damage is not None:
            raise database.damage
        refuse_without_room(copy.parent, counts.size(database).file_bytes)
        copy_whole(database, copy)
    finally:
        database.close()


@contextmanager
def _held(state: StateDirectory) -> Iterator[None]:
    """The daemon's lock. Raises StateDirectoryInUse while a daemon runs, NotFound without a store."""
    if not state.root.is_dir():
        raise NotFound(f'there is no state directory "{state.root}"')
    lock = take_lock(state, LOCK_PATIENCE_S)
    try:
        yield
    finally:
        lock.release()


# -- restore ----------------------------------------------------------------------------------------


def restore(state: StateDirectory, file: Path, *, merges: bool, is_dry: bool) -> dict[str, Any]:
    """Put a backup in the place of the store. See `jobctl.store.restoring`."""
    _refuse_no_backup(state, file)
    with _held(state):
        _drop_leftovers(state)
        copy = state.root / f"restore-{os.getpid()}.db{UNFINISHED}"
        try:
            old = _old(state)
            told = _prepare(state, file, copy, old, merges=merges)
            _refuse_unknown_holders(state, copy)
            if is_dry:
                return {**told, "aside": None}
            restoring.make_whole(copy, state.database)
            aside = old.parent if old.parent != state.root else _new_aside(state)
            restoring.exchange(state.database, aside)
        finally:
            copy.unlink(missing_ok=True)
    return {**told, "aside": str(aside)}


def _refuse_no_backup(state: StateDirectory, file: Path) -> None:
    if not file.exists():
        raise NotFound(f'there is no file "{file}"')
    if state.database.exists() and file.samefile(state.database):
        raise UsageError(f'"{file}" is the store itself', hint="Name a backup of it.")
    if _size(log_of(file)):
        raise UsageError(
            f'"{file}" has a log beside it: it is a store, no backup',
            hint="Make a backup of it: jobctl db backup --state-dir, with a folder that holds both.",
        )


def _drop_leftovers(state: StateDirectory) -> None:
    """What a restore that was killed before its first step has left; the lock is held."""
    for left in state.root.glob(f"restore-*.db{UNFINISHED}*"):
        left.unlink(missing_ok=True)


def _prepare(
    state: StateDirectory, file: Path, copy: Path, old: Path, *, merges: bool
) -> dict[str, Any]:
    """Make the copy that will be the store. Its source is opened for reading only."""
    size = file.stat().st_size + (_size(old) if merges else 0)
    refuse_without_room(state.root, size)
    waiting = list(_waiting(state.run))
    highest = max([one.job for one in waiting] + [_highest_of_outputs(state.output)], default=0)
    verdict = _verified_copy(file, copy)
    merged = restoring.merge(copy, old, takes_rows=merges, waiting=waiting, highest=highest)
    after = verify(copy)
    if after.violations and merges:
        # What was readable of the old store does not hold together: the backup as it is does.
        verdict = _verified_copy(file, copy)
        merged = restoring.merge(copy, old, takes_rows=False, waiting=waiting, highest=highest)
        after = verify(copy)
    _refuse_violations(copy, after)
    return {
        "path": str(file),
        "backup_jobs": verdict.jobs,
        "jobs": after.jobs,
        "unfinished": after.unfinished,
        "merged": {**asdict(merged)},
    }


def _verified_copy(file: Path, copy: Path) -> Verdict:
    copy.unlink(missing_ok=True)
    # A backup is one file; it may lie where nothing can be written beside it.
    shutil.copyfile(file, copy)
    copy.chmod(0o600)
    verdict = verify(copy)
    _refuse_violations(file, verdict)
    return verdict


def _old(state: StateDirectory) -> Path:
    """The store that is replaced: in its place or, when an earlier restore was cut short, aside."""
    if state.database.exists() or not restoring_path(state.database).exists():
        return state.database
    folders = sorted(state.aside.iterdir())
    if not folders:
        return state.database
    # Its log may have stayed behind.
    restoring.move_aside(state.database, folders[-1])
    return folders[-1] / state.database.name


def _new_aside(state: StateDirectory) -> Path:
    told = iso(SystemClock().now()).partition("+")[0].replace("-", "").replace(":", "")
    return state.aside / told


def _waiting(run_dir: Path) -> Iterator[restoring.Waiting]:
    for folder in sorted(run_dir.glob("*/outcomes")):
        for outcome in find_records(folder, ()).outcomes:
            began = outcome.started_at if outcome.started_at is not None else outcome.finished_at
            yield restoring.Waiting(job=outcome.job_id, token=outcome.token, started_at=began)


def _highest_of_outputs(output_dir: Path) -> int:
    names = [path.name for path in output_dir.glob("*")] if output_dir.is_dir() else []
    numbers = [int(name) for name in names if name.isdecimal()]
    return max(numbers) * _MARGIN + _MARGIN - 1 if numbers else 0


def _refuse_unknown_holders(state: StateDirectory, copy: Path) -> None:
    """Refuse while jobs run of which the new store would know nothing: it would start them a second time."""
    known = restoring.holders(copy)
    unknown = []
    for folder in sorted(state.run.glob("*/*")):
        found = holder.living(folder) if folder.is_dir() and not folder.is_symlink() else None
        if found is not None and not found.kind.startswith("template") and folder.name not in known:
            unknown.append(found.pid)
    if unknown:
        pids = ", ".join(map(str, unknown))
        raise Conflict(
            f"jobs still run of which the backup knows nothing (processes {pids})",
            hint="Wait for their end or end them, then restore again.",
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


# -- the program ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one thing and print what came of it; gives back the exit code."""
    parser = argparse.ArgumentParser(prog="jobctl.daemon.care")
    parser.add_argument("what", choices=("finish", "check", "backup", "restore"))
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--drop", action="store_true")
    parser.add_argument("--no-merge", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_intermixed_args(arguments)
    with suppress(OSError):
        # Whoever else uses the disk and the processor goes first.
        os.nice(10)
    try:
        document, code = {"ok": _do(options)}, 0
    except Refused as error:
        document, code = _refusal(storage_error(error))
    except JobctlError as error:
        document, code = _refusal(error)
    except OSError as error:
        where = f'"{error.filename}": ' if error.filename else ""
        document, code = _refusal(StorageError(f"{where}{error.strerror or error}"))
    sys.stdout.write(json.dumps(document) + "\n")
    return code


def _do(options: argparse.Namespace) -> dict[str, Any]:
    state = StateDirectory(options.state_dir.absolute()) if options.state_dir else None
    match options.what:
        case "finish":
            return finish(options.path)
        case "check" if options.path is not None:
            return check_file(options.path, drop=options.drop)
        case "check":
            assert state is not None
            return check_store(state)
        case "backup":
            assert state is not None
            return back_up(state, options.path)
        case _:
            assert state is not None
            return restore(state, options.path, merges=not options.no_merge, is_dry=options.dry_run)


def _refusal(error: JobctlError) -> tuple[dict[str, Any], int]:
    told = {"code": error.code, "message": error.message, "hint": error.hint}
    return {"error": {**told, "exit_code": error.exit_code}}, error.exit_code


if __name__ == "__main__":
    sys.exit(main())
