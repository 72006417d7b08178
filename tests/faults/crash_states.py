"""Every state that a crash may leave on the disk, for the main transactions and every migration.

A story is played once on the real store over a disk that remembers (`tests.faults.crash_disk`). Then each
state that a crash could have left is laid out in a folder of its own and opened as a daemon does:

* it opens; ``integrity_check`` and ``foreign_key_check`` find nothing;
* what it holds is what was acknowledged last, or the one transaction more that was under way, whole;
* now and then one job more is submitted, the store is opened again, and the job is there;
* of an upgrade: whoever has the new schema has a whole backup of the old one beside it.

``python -m tests.faults.crash_states`` prints seed, counts and bounds.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from jobctl.errors import JobctlError
from jobctl.store import database as store_module
from jobctl.store import jobs as job_rows
from jobctl.store.database import Database, open_database
from jobctl.store.statements import migrations
from tests.faults.crash_disk import Bounds, Disk, Image, lay_out, memory, recording, states
from tests.faults.crash_stories import STORIES, World
from tests.support.builders import a_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_store: Any = store_module
"""Its parts are replaced here, which its types do not allow."""

KEPT = Path(__file__).parents[1] / "compat" / "kept"
GOES_ON = 20
"""In one state of so many a job more is submitted."""

_MORE = "ALTER TABLE meta ADD COLUMN more INTEGER; CREATE INDEX jobs_more ON jobs (uid, id); UPDATE jobs SET priority = priority + 1;"
"""A schema after the newest: a column, an index over a table, and a change of every job."""


@dataclass
class Findings:
    """What one story has shown; `faults` is empty when every promise was kept."""

    story: str
    seed: int
    transactions: int = 0
    writes: int = 0
    flushes: int = 0
    states: int = 0
    recoveries: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, wrong: str) -> None:
        self.outcomes[what] += 1
        if wrong:
            self.faults[wrong] += 1

    def line(self) -> str:
        told = (
            f"{self.story}: {self.transactions} transactions, {self.writes} writes, {self.flushes} flushes, "
            f"{self.states} crash states and {self.recoveries} of a second crash in the recovery ("
            + ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
            + f"), {self.faults.total()} violations"
        )
        return "\n".join(
            [told, *(f"FAULT: {count} x {what}" for what, count in self.faults.items())]
        )


@contextmanager
def schemas(count: int, *, more: bool = False) -> Iterator[None]:
    """As if a jobctl knew so many schemas, or one more than there are."""
    steps = migrations()[:count]
    if more:
        steps = [*steps, (len(steps) + 1, "more.sql", _MORE)]
    known = _store.migrations
    _store.migrations = lambda: steps
    try:
        yield
    finally:
        _store.migrations = known


@contextmanager
def settings(**changed: tuple[str | int, str | int]) -> Iterator[None]:
    """As if the store opened with other settings: ``name=(value to set, value that comes back)``."""
    before = _store._PRAGMAS
    replaced = [(name, *changed.get(name, (value, back))) for name, value, back in before]
    _store._PRAGMAS = tuple(replaced)
    try:
        yield
    finally:
        _store._PRAGMAS = before


def content(database: Database) -> str:
    """A digest of every row of every table."""
    told = hashlib.blake2b(digest_size=16)
    tables = database.rows(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
    )
    for (table,) in tables:
        told.update(f"{table}{database.rows(f'SELECT * FROM {table} ORDER BY 1, 2')}".encode())
    return told.hexdigest()


# -- playing a story once ----------------------------------------------------------------------------------


@dataclass
class Played:
    """The record of a story: ``contents[n]`` is what the store holds after the nth acknowledgement."""

    disk: Disk
    contents: list[str]


def play(
    prepare: Callable[[World], None],
    act: Callable[[World], None],
    folder: Path,
    *,
    answers_first: bool = False,
) -> Played:
    """Prepare a store, then record what the story does to it, from the opening to the closing.

    ``answers_first``: a daemon that acknowledges before it commits, for the controls.
    """
    path = folder / "jobctl.db"
    first = open_database(path)
    prepare(World(first, folder))
    first.close()
    disk = Disk(folder)
    with recording(disk):
        database = open_database(path)
        contents = [content(database)]
        commit = database.commit

        def noted_commit() -> None:
            is_open = database.is_in_transaction
            if is_open and answers_first:
                disk.acknowledge()
            commit()
            if is_open and not answers_first:
                disk.acknowledge()
            if is_open:
                contents.append(content(database))

        database.commit = noted_commit  # type: ignore[method-assign]
        world = World(database, folder)
        act(world)
        # Twice, with a transaction between: the log begins anew over frames of before.
        database.checkpoint()
        with database.transaction():
            job_rows.submit(database, [a_job(id=900_000)])
        database.close()
    return Played(disk, contents)


def play_making(folder: Path) -> Played:
    """A store comes into being."""
    disk = Disk(folder)
    with recording(disk):
        database = open_database(folder / "jobctl.db")
        contents = [content(database)]
        database.close()
    return Played(disk, contents)


def play_upgrade(script: str, folder: Path) -> Played:
    """A store of an older schema is opened."""
    connection = apsw.Connection(str(folder / "jobctl.db"))
    connection.execute(script).fetchall()
    connection.close()
    disk = Disk(folder)
    with recording(disk):
        database = open_database(folder / "jobctl.db")
        contents = [content(database)]
        database.close()
    return Played(disk, contents)


# -- judging what a crash may leave ------------------------------------------------------------------------


def judge(image: Image, contents: Sequence[str], folder: Path, *, goes_on: bool) -> tuple[str, str]:
    """Open a crash state as the next daemon does: what it holds, and what is wrong (empty: nothing)."""
    lay_out(image, folder)
    path = folder / "jobctl.db"
    try:
        database = open_database(path)
    except JobctlError as error:
        return "refused", f"does not open: {type(error).__name__}"
    try:
        wrong = database.rows("PRAGMA integrity_check") != [("ok",)]
        wrong = wrong or bool(database.rows("PRAGMA foreign_key_check"))
        held = content(database)
        if wrong:
            return "damaged", "integrity_check or foreign_key_check complains"
        if goes_on:
            with database.transaction():
                job_rows.submit(database, [a_job(id=999_999)])
    except apsw.Error as error:
        return "damaged", f"reading raises {type(error).__name__}"
    finally:
        database.close()
    if goes_on:
        again = open_database(path)
        is_there = job_rows.state(again, 999_999) == "PENDING"
        again.close()
        if not is_there:
            return "stuck", "what is submitted after the recovery is lost"
    last = image.acknowledged
    if held == contents[last]:
        return "as acknowledged", ""
    if last + 1 < len(contents) and held == contents[last + 1]:
        return "one transaction more", ""
    if held in contents[:last]:
        return "lost", "acknowledged, but lost"
    return "torn", "neither before nor after a transaction"


def judge_upgrade(
    image: Image,
    contents: Sequence[str],
    folder: Path,
    *,
    goes_on: bool,
    old: int,
    held_before: str,
) -> tuple[str, str]:
    """As `judge`; and whoever has the new schema has a whole backup of the old one."""
    lay_out(image, folder)
    backup = folder / f"jobctl.db.schema-{old}.backup"
    version = _version(folder / "jobctl.db")
    if version > old and not backup.exists():
        return "no backup", "upgraded without a backup"
    if backup.exists() and _held(backup) != held_before:
        return "bad backup", "the backup is not what was before"
    what, wrong = judge(image, contents, folder, goes_on=goes_on)
    return (f"schema {version}" if not wrong else what), wrong


def _version(path: Path) -> int:
    connection = apsw.Connection(str(path))
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        return int(str(version))
    finally:
        connection.close()


def _held(path: Path) -> str:
    connection = apsw.Connection(f"file:{path}?immutable=1", flags=0x41)
    try:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return "damaged"
        return content(Database(connection, path))
    except apsw.Error as error:
        return type(error).__name__
    finally:
        connection.close()


# -- the whole ---------------------------------------------------------------------------------------------


def explore(
    name: str,
    seed: int,
    bounds: Bounds,
    *,
    synchronous: str = "FULL",
    answers_first: bool = False,
) -> Findings:
    """Play a story and judge every state that a crash may leave. The last two are for the controls."""
    rng = random.Random(f"{seed}-{name}")
    findings = Findings(name, seed)
    number = {"OFF": 0, "NORMAL": 1, "FULL": 2}[synchronous]
    with (
        tempfile.TemporaryDirectory(prefix="jobctl-", dir=memory()) as place,
        settings(synchronous=(synchronous, number)),
    ):
        folder, lab = Path(place) / "played", Path(place) / "lab"
        folder.mkdir()
        lab.mkdir()
        old = re.fullmatch(r"upgrade from schema (\d+)", name)
        if old is not None:
            _explore_upgrade(int(old[1]), folder, lab, findings, bounds, rng)
        elif name == "making":
            _look(play_making(folder), lab, findings, bounds, rng, judge)
        else:
            played = play(*STORIES[name], folder, answers_first=answers_first)
            _look(played, lab, findings, bounds, rng, judge)
    return findings


def _explore_upgrade(
    old: int, folder: Path, lab: Path, findings: Findings, bounds: Bounds, rng: random.Random
) -> None:
    script = (KEPT / f"store-{old}.sql").read_text()
    newest = len(migrations())
    with schemas(newest, more=old == newest):
        connection = apsw.Connection(":memory:")
        connection.execute(script).fetchall()
        before = content(Database(connection, Path("memory")))
        connection.close()
        played = play_upgrade(script, folder)
        looked = partial(judge_upgrade, old=old, held_before=before)
        _look(played, lab, findings, bounds, rng, looked)


def _look(
    played: Played,
    lab: Path,
    findings: Findings,
    bounds: Bounds,
    rng: random.Random,
    judged: Callable[..., tuple[str, str]],
) -> None:
    events = played.disk.events
    findings.transactions = len(played.contents) - 1
    findings.writes = sum(event.what in ("write", "truncate") for event in events)
    findings.flushes = sum(event.what.startswith("sync") for event in events)
    for image in states(played.disk, bounds, rng):
        findings.states += 1
        goes_on = findings.states % GOES_ON == 0
        findings.note(*judged(image, played.contents, lab, goes_on=goes_on))
        if findings.states % bounds.recovered == 0:
            for again in _crashes_of_recovery(image, lab, rng):
                findings.recoveries += 1
                findings.note(*judged(again, played.contents, lab, goes_on=False))


def _crashes_of_recovery(image: Image, lab: Path, rng: random.Random) -> Iterator[Image]:
    """What a second crash may leave, while the first one is recovered from."""
    lay_out(image, lab)
    disk = Disk(lab)
    # What cannot be opened at all is judged where it was found.
    with recording(disk), suppress(JobctlError):
        open_database(lab / "jobctl.db").close()
    for left in states(disk, Bounds(subsets=2, pairs=2, every=8), rng):
        yield left._replace(acknowledged=image.acknowledged)


def names() -> list[str]:
    """Every story: the transactions, the making of a store, and each upgrade."""
    upgrades = [f"upgrade from schema {number}" for number, _, _ in migrations()]
    return [*STORIES, "making", *upgrades]


def run(seed: int, bounds: Bounds, chosen: Sequence[str], processes: int = 2) -> list[Findings]:
    """Explore stories side by side."""
    work: Any = partial(explore, seed=seed, bounds=bounds)
    if processes == 1 or len(chosen) == 1:
        return [work(name) for name in chosen]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(work, chosen))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--subsets", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--story", action="append", choices=names())
    given = parser.parse_args()
    bounds = Bounds(subsets=given.subsets, pairs=given.pairs)
    found = run(given.seed, bounds, given.story or names())
    told = [f"seed {given.seed}, {bounds}", *(each.line() for each in found)]
    told.append(
        f"{sum(each.states + each.recoveries for each in found)} crash states, "
        f"{sum(each.faults.total() for each in found)} violations"
    )
    sys.stdout.write("\n".join(told) + "\n")
    return 1 if any(each.faults for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
