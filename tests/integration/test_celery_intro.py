"""The code of introductions to Celery: the same files run on Celery and, imports changed, on jobctl."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
INTRO = ROOT / "examples/celery-intro"
PAGE = ROOT / "docs/how-to/celery-introductions.md"

APPS = {
    "1-one-module": "tasks",
    "2-package": "celery_app",
    "3-settings": "celery_tasks.main",
    "4-django": "mysite.celery",
    "5-schedules": "periodic",
}
"""What ``celery -A`` and ``[daemon] imports`` name, by folder."""


class Ground(Protocol):
    """What an example runs on."""

    folder: Path

    def log(self) -> str:
        """What it has said."""
        ...

    def periodic(self) -> tuple[bool, bool]:
        """Whether a job of the schedule has given 5, and whether it was said that one lacks its argument."""
        ...


class OnJobctl:
    """A daemon that imports the application."""

    def __init__(self, daemon: Daemon, example: str) -> None:
        self.daemon = daemon
        self.folder = daemon.folder / "code"
        shutil.copytree(
            INTRO / example, self.folder, ignore=shutil.ignore_patterns("__pycache__", "mails")
        )
        me = pwd.getpwuid(os.geteuid()).pw_name
        daemon.config.write_text(
            f'[daemon]\nimports = ["{APPS[example]}"]\n'
            f'[workers.default]\ncwd = "{self.folder}"\nuser = "{me}"\nprocesses = 2\n'
        )
        daemon.start()

    def log(self) -> str:
        return self.daemon.log()

    def periodic(self) -> tuple[bool, bool]:
        jobs = self.daemon.call(requests.List())["jobs"]
        has_added = any(job["state"] == "SUCCESS" for job in jobs if job["task"] == "periodic.add")
        told = 'the entry "without-its-argument" of beat_schedule makes no jobs'
        return (
            has_added,
            f"{told}: task \"periodic.write\": missing a required argument: 'text'" in self.log(),
        )


class OnCelery:
    """A worker of the real one, with the imports as they were, over Redis."""

    def __init__(self, folder: Path, example: str, broker: str, results: str) -> None:
        from tests.support.celery_worker import Worker

        self.folder = folder / "code"
        shutil.copytree(
            INTRO / example, self.folder, ignore=shutil.ignore_patterns("__pycache__", "mails")
        )
        places = {"2": broker, "1": results}
        for file in self.folder.rglob("*.py"):
            text = file.read_text().replace("jobctl.contrib.celery", "celery")
            assert "jobctl" not in text
            text = re.sub(r"redis://127\.0\.0\.1:6379/(\d)", lambda at: places[at[1]], text)
            file.write_text(text)
        beat = ("-B", "-s", str(folder / "beat")) if example == "5-schedules" else ()
        self.worker = Worker(APPS[example], self.folder, *beat)

    def log(self) -> str:
        return self.worker.log()

    def periodic(self) -> tuple[bool, bool]:
        has_added = re.search(r"Task periodic\.add\[\S+\] succeeded in \S+s: 5", self.log())
        told = "Couldn't apply scheduled task without-its-argument: write() missing 1 required"
        return has_added is not None, told in self.log()


@pytest.fixture(params=["jobctl", pytest.param("celery", marks=pytest.mark.celery)])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Ground]]:
    with contextlib.ExitStack() as stack:

        def make(example: str) -> Ground:
            if request.param == "jobctl":
                daemon = stack.enter_context(running_daemon(start=False))
                stack.enter_context(pytest.MonkeyPatch.context()).setenv(
                    "JOBCTL_SOCKET", str(daemon.socket)
                )
                return OnJobctl(daemon, example)
            from tests.support.celery_worker import two_databases

            broker, results = stack.enter_context(two_databases())
            made = OnCelery(tmp_path, example, broker, results)
            stack.callback(made.worker.end)
            return made

        yield make


def run(ground: Ground, *words: str) -> str:
    """What a program of the example prints."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ground.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + ground.log()
    return done.stdout


def test_the_page_lists_each_line_that_is_not_as_celery_has_it() -> None:
    found = {
        f"| `{file.relative_to(INTRO)}` {number} | `{was}` | `{now}` |"
        for file in INTRO.rglob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (now := line.partition("  #")[0]) != (was := now.replace("jobctl.contrib.", ""))
    }
    assert len(found) > 8
    listed = re.findall(r"^\| `\d-\S+ .*\|$", PAGE.read_text(), re.MULTILINE)
    assert set(listed) == found
    assert len(listed) == len(found)


@pytest.mark.slow
def test_one_program_submits_and_another_looks(ground: Callable[[str], Ground]) -> None:
    place = ground("1-one-module")
    job = run(place, "call.py").strip()
    seen: list[str] = []

    def look() -> bool:
        seen.append(run(place, "look.py", job).strip())
        return seen[-1] == "it gave 5"

    until("the job to have given 5", look, limit_s=60, log=place.log)
    # Nothing, when it ended between two of the program's questions.
    assert set(seen) <= {"it waits", "it runs", "it gave 5", ""}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "printed"),
    [
        ("2-package", "hello world\n10 21\n"),
        ("3-settings", "True\n['13800000000', '1234', 2]\n"),
        ("4-django", "8 1\n"),
    ],
)
def test_a_program_submits_jobs_and_prints_what_they_give(
    ground: Callable[[str], Ground], example: str, printed: str
) -> None:
    place = ground(example)
    assert run(place, "client.py") == printed
    if example == "4-django":
        (mail,) = (place.folder / "mails").iterdir()
        assert "To: a@example.org, b@example.org" in mail.read_text()


@pytest.mark.slow
def test_schedules_make_jobs_and_one_that_lacks_an_argument_hinders_no_other(
    ground: Callable[[str], Ground],
) -> None:
    place = ground("5-schedules")
    until("both to have ended", lambda: all(place.periodic()), limit_s=60, log=place.log)
    written = place.folder / "written.txt"
    until("a line to be written", lambda: written.exists() and written.read_text())
    assert set(written.read_text().splitlines()) == {"hello"}
