"""How far a running job has come: said by functions and commands, seen by whoever asks for the job."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import progress, reports
from jobctl.cli.bar import drawn, short
from jobctl.protocol import requests
from jobctl.worker.progress import read_line
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = """
import multiprocessing, os, time
from jobctl import progress, task

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)

@task(name="steps")
def steps(folder):
    progress(0.5, 2, "first\\nstep")
    wait_for(folder + "/one")
    progress(2, 2)
    wait_for(folder + "/two")

@task(name="forked")
def forked(folder):
    child = os.fork()
    if child == 0:
        progress(1, 2)
        os._exit(0)
    os.waitpid(child, 0)
    wait_for(folder + "/one")

@task(name="wrong")
def wrong():
    progress("1", 2)
"""
CONFIG = """
[daemon]
imports = ["moving"]
state_dir = "{path}/state"
[workers.default]
processes = 1
user = "root"
pythonpath = ["{path}"]
[tasks.shell]
progress = true
shell = '''
echo "nothing that counts" >&3
echo "3/10 copying" >&$JOBCTL_PROGRESS_FD
until [ -e one ]; do sleep 0.01; done
printf '50.5%% packing\\n7' >&3
until [ -e two ]; do sleep 0.01; done
ls /proc/self/fd
'''
cwd = "{path}"
[tasks.python]
progress = true
command = ["{python}", "-c", '''
import os, time
from jobctl import progress
progress(4)
while not os.path.exists("one"): time.sleep(0.005)
''']
cwd = "{path}"
env = {{ PYTHONPATH = "{code}" }}
[tasks.silent]
shell = "echo 1/2 >&3; echo ${{JOBCTL_PROGRESS_FD:-none}}"
"""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(start=False) as started:
        (started.folder / "moving.py").write_text(CODE)
        values = {"path": started.folder, "python": sys.executable, "code": _package_folder()}
        config = CONFIG.format(**values)
        if os.geteuid() != 0:
            config = config.replace('user = "root"\n', "")
        started.config.write_text(config)
        yield started.start()


def _package_folder() -> Path:
    from pathlib import Path

    return Path(reports.__file__).parents[1]


def seen(daemon: Daemon, job: int, **wanted: Any) -> dict[str, Any]:
    """Wait until a job's progress has these values; gives all of it."""

    def look() -> Any:
        found = daemon.status(job)["progress"]
        return found if found and wanted.items() <= found.items() else None

    found: dict[str, Any] = daemon.until(f"progress {wanted}", look)
    return found


def let(daemon: Daemon, name: str) -> None:
    (daemon.folder / name).touch()


def files(daemon: Daemon) -> list[Path]:
    return list(daemon.state_dir.glob("run/*/*/progress-*"))


def test_a_function_says_how_far_it_has_come(daemon: Daemon) -> None:
    job = daemon.submit(task="steps", args=[str(daemon.folder)])
    first = seen(daemon, job, done=0.5, total=2, percent=25.0, note="first step")
    listed = daemon.call(requests.List())["jobs"]
    assert [one["progress"] for one in listed] == [first]
    let(daemon, "one")
    seen(daemon, job, done=2, total=2, percent=100.0, note=None)
    let(daemon, "two")
    assert daemon.ended(job)["progress"] is None
    assert files(daemon) == []


def test_a_command_says_it_in_lines_and_the_last_one_counts(daemon: Daemon) -> None:
    job = daemon.submit(task="shell")
    seen(daemon, job, done=3, total=10, percent=30.0, note="copying")
    let(daemon, "one")
    seen(daemon, job, done=50.5, total=100, percent=50.5, note="packing")
    let(daemon, "two")
    assert daemon.ended(job)["state"] == "SUCCESS"
    # And one more, which ls has opened to look.
    assert daemon.output(job).split() == ["0", "1", "2", "3", "4"]
    assert files(daemon) == []


@pytest.mark.slow
def test_it_is_known_after_the_daemon_was_killed_and_while_there_is_none(daemon: Daemon) -> None:
    jobs = [daemon.submit(task="shell"), daemon.submit(task="steps", args=[str(daemon.folder)])]
    seen(daemon, jobs[0], done=3)
    seen(daemon, jobs[1], done=0.5)
    daemon.kill()
    words = [sys.executable, "-m", "jobctl", "--config", str(daemon.config)]
    words += ["--socket", str(daemon.socket), "status", *map(str, jobs), "--json"]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    alone = [one["progress"]["done"] for one in json.loads(told.stdout)["jobs"]]
    assert alone == [3, 0.5]
    daemon.start()
    seen(daemon, jobs[0], done=3)
    seen(daemon, jobs[1], done=0.5)
    let(daemon, "one")
    let(daemon, "two")
    assert [one["state"] for one in daemon.wait(*jobs)] == ["SUCCESS"] * 2


def test_a_command_in_python_says_it_as_a_function_does(daemon: Daemon) -> None:
    job = daemon.submit(task="python")
    found = seen(daemon, job, done=4, total=None, percent=None, note=None)
    assert short(found) == "4"
    let(daemon, "one")
    assert daemon.ended(job)["state"] == "SUCCESS"


def test_what_does_not_ask_for_it_has_no_descriptor(daemon: Daemon) -> None:
    ended = daemon.ended(daemon.submit(task="silent"))
    assert ended["state"] == "SUCCESS"
    assert "none" in daemon.output(ended["id"])
    assert "3" in daemon.output(ended["id"])


def test_a_fork_of_a_function_leaves_nothing_behind(daemon: Daemon) -> None:
    job = daemon.submit(task="forked", args=[str(daemon.folder)])
    let(daemon, "one")
    assert daemon.ended(job)["state"] == "SUCCESS"
    assert files(daemon) == []


def test_numbers_that_are_none_fail_where_they_are_said(daemon: Daemon) -> None:
    error = daemon.ended(daemon.submit(task="wrong"))["error"]
    assert error["message"] == "done is a number, not str"


@pytest.mark.slow
def test_followers_and_pages_show_a_bar(daemon: Daemon) -> None:
    job = daemon.submit(task="shell")
    seen(daemon, job, done=3)
    words = [sys.executable, "-m", "jobctl", "--socket", str(daemon.socket)]
    page = subprocess.run([*words, "status", str(job)], capture_output=True, text=True, check=True)
    assert "progress\t[######..............] 30% (3/10) copying\n" in page.stdout
    table = subprocess.run([*words, "list"], capture_output=True, text=True, check=True)
    assert "\t30% (3/10) copying" in table.stdout
    ours, theirs = pty.openpty()
    following = subprocess.Popen(
        [*words, "logs", "--follow", str(job)], stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = io.BytesIO()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        _read_until(terminal, shown, b"[######..............] 30% (3/10) copying")
        let(daemon, "one")
        _read_until(terminal, shown, b"50% (50.5/100) packing")
        let(daemon, "two")
        _read_until(terminal, shown, b"4\r\n")
        assert following.wait() == 0
    last = shown.getvalue().rpartition(b"packing")[2]
    assert last.startswith(b"\r\x1b[K")


def _read_until(terminal: Any, shown: io.BytesIO, text: bytes) -> None:
    while text not in shown.getvalue():
        try:
            data = terminal.read(4096)
        except OSError:
            data = b""
        assert data, shown.getvalue()
        shown.write(data)


@pytest.mark.parametrize(
    ("line", "done", "total", "note"),
    [
        ("3/10 copying files", 3, 10, "copying files"),
        (" 3/10\n", 3, 10, None),
        ("12", 12, None, None),
        ("12.5% x", 12.5, 100, "x"),
        ("0/1", 0, 1, None),
        ("1/4\t two  words ", 1, 4, "two words"),
    ],
)
def test_a_line_is_an_amount_and_a_note(
    line: str, done: float, total: float | None, note: str | None
) -> None:
    found = json.loads(read_line(line) or "null")
    assert (found["done"], found["total"], found["note"]) == (done, total, note)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "copying",
        "-1/2",
        "3/0",
        "3 / 4x/",
        "1e9",
        "1/2/3",
        "9" * 99,
        "1.",
        "+1",
        "1/",
        "5%/9",
        "1%%",
    ],
)
def test_any_other_line_says_nothing(line: str) -> None:
    found = read_line(line)
    assert found is None or json.loads(found)["total"] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"done": 1}',
        '{"done": "1", "total": 2, "note": null, "at": 1}',
        '{"done": 1, "total": 2, "note": null, "at": -1}',
        '{"done": NaN, "total": 2, "note": "", "at": 1}',
        "[" * 2000,
    ],
)
def test_what_user_code_writes_instead_is_no_progress(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress"
    path.write_text(text)
    assert reports.read(str(path)) is None


def test_neither_a_link_nor_a_fifo_is_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "other")
    reports.write(str(tmp_path / "other"), reports.record(1, 2))
    os.mkfifo(tmp_path / "fifo")
    assert reports.read(str(tmp_path / "other")) is not None
    assert reports.read(str(tmp_path / "link")) is None
    assert reports.read(str(tmp_path / "fifo")) is None


def test_outside_of_a_job_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reports.VARIABLE, raising=False)
    progress(1, 2)
    with pytest.raises(ValueError, match="total is above 0"):
        progress(1, 0)
    with pytest.raises(ValueError, match="done lies between"):
        progress(float("nan"))


def test_more_than_all_is_a_full_bar() -> None:
    over = {"done": 12, "total": 10, "percent": 100.0, "note": None, "at": 0}
    assert drawn(over) == "[####################] 100% (12/10)"
