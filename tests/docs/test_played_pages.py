"""Everything that a played page says to do is done, and gives what the page shows."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, blocks_of, name_of
from tests.docs.playing import BIN, Reader, agrees, how_played
from tests.support.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAYED = [page for page in PAGES if how_played(page) is not None]
LONG = {
    "first-job",
    "find-out-why",
    "from-crontab",
    "limits",
    "change-schedules",
    "without-a-daemon",
}
"""Pages on which dozens of commands are given."""
INSTALLING = [p for p in PLAYED if any("install" in block.words for block in blocks_of(p))]


@contextlib.contextmanager
def reader_of(page: Path, *, installs: bool = False) -> Iterator[Reader]:
    """A reader with a home of his own; afterwards nothing of what he started may be left."""
    # Short: the path of a socket holds 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="jobctl-docs-"))
    home = folder / "home"
    home.mkdir()
    state = home / ".local/state/jobctl"
    how = how_played(page)
    assert how is not None
    daemon = Daemon(folder)
    daemon.state_dir, daemon.socket = state, state / "jobctl.sock"
    daemon.config.unlink()
    environment = {
        "PATH": os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "NO_COLOR": "1",
        "TZ": "UTC",
        # The places of an ordinary user, also for a test that is root.
        "STATE_DIRECTORY": str(state),
        "JOBCTL_SOCKET": str(daemon.socket),
        "JOBCTL_CONFIG": str(daemon.config),
    }
    if not installs:
        environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
        environment["PYTHONPATH"] = str(ROOT)
    reader = Reader(folder, environment, installs=installs)
    try:
        if how != "as written":
            name = how.removeprefix("with ")
            reader.write(next(block for block in blocks_of(page) if block.words == name))
            daemon.config = folder / name
            daemon.start()
        yield reader
    except BaseException:
        reader.close()
        with contextlib.suppress(AssertionError):
            daemon.clean_up()
        raise
    reader.close()
    daemon.clean_up()


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page.stem in LONG else []) for page in PLAYED],
    ids=name_of,
)
def test_a_page_shows_what_comes_when_it_is_done(page: Path) -> None:
    with reader_of(page) as reader:
        reader.play(page)


@pytest.mark.slow
@pytest.mark.timeout(600)  # installing fetches what jobctl depends on
@pytest.mark.parametrize("page", INSTALLING, ids=name_of)
def test_a_page_that_installs_jobctl_shows_what_comes_after_that(page: Path) -> None:
    with reader_of(page, installs=True) as reader:
        reader.play(page)


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ("a\n…\nd", "a\nb\nc\nd\n"),
        ("a\n…\nd", "a\nd\n"),
        ("at 2026-11-20 05:22:29", "at 2031-01-02 23:59:59"),
        ("took 5ms, 9 MiB", "took 1m 30s, 12.5 MiB"),
        ("ID  TASK\n 7  add 2", "  ID  TASK\n1234  add 2"),
    ],
)
def test_what_differs_from_run_to_run_is_not_compared(shown: str, came: str) -> None:
    assert agrees(shown, came)


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a\n…\nd", "a\nb"),
        ("attempt 1  success", "attempt 2  success"),
        ("ID  TASK\n 7  add 2", "ID  TASK\n 7  add 3"),
        ("exit code 7", "exit code 0"),
    ],
)
def test_everything_else_is(shown: str, came: str) -> None:
    assert not agrees(shown, came)


def played(tmp_path: Path, *steps: str) -> None:
    """Play a page of a test's own, in which ``jobctl`` is a shell function that prints its arguments."""
    page = tmp_path / "page.md"
    blocks = ['$ jobctl() { shift; echo "$@"; }', *steps]
    page.write_text("".join(f"```console\n{text}\n```\n\n" for text in blocks))
    reader = Reader(tmp_path, {"PATH": os.defpath})
    try:
        reader.play(page)
    finally:
        reader.close()


def test_a_job_has_one_id_on_a_page_whatever_it_is_here(tmp_path: Path) -> None:
    played(tmp_path, "$ jobctl submit 41\n1", "$ jobctl submit 42\n2", "$ jobctl logs 2\n42")
    played(tmp_path, "$ jobctl submit 41\n1", "$ jobctl submit 41\n1")


@pytest.mark.parametrize(
    "steps",
    [
        ["$ jobctl submit 41\n1", "$ jobctl submit 42\n1"],
        ["$ jobctl submit 41\n1", "$ jobctl submit 41\n2"],
        ["$ jobctl submit\n1"],
        ["$ echo a\nb"],
        ["$ false"],
        ["$ (exit 3)\n$ echo $?\n4"],
    ],
)
def test_a_page_that_shows_something_else_is_found_out(steps: list[str], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the page shows"):
        played(tmp_path, *steps)


def test_a_command_that_fails_is_right_when_the_page_says_so(tmp_path: Path) -> None:
    played(tmp_path, "$ (exit 3)\n$ echo $?\n3")
