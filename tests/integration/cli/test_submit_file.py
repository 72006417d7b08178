"""``submit --from``: what a file of jobs comes to, line by line, whatever goes wrong on the way."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.errors import NotFound, StorageError
from jobctl.protocol import requests
from tests.integration.cli.scripted_daemon import BREAK
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]

LIMIT_S = 60.0
SCHEMA = json.loads((Path(shapes.__file__).parent / "schemas/submit-from.json").read_text())


class Store:
    """A daemon's answers to submits: ids in the order of keys, and refusals of tasks without a name here."""

    def __init__(self, *tasks: str) -> None:
        self.tasks = tasks
        self.ids: dict[str, int] = {}
        self.jobs: list[dict[str, Any]] = []
        self.breaks_after: set[int] = set()
        self._count = itertools.count(1)

    def __call__(self, frame: dict[str, Any]) -> Any:
        for job in frame["jobs"]:
            if job.get("task") not in (*self.tasks, None):
                return NotFound(f'there is no task "{job["task"]}"', hint="jobctl list tasks")
        answers = []
        for job in frame["jobs"]:
            duplicate = job["key"] in self.ids
            if not duplicate:
                self.ids[job["key"]] = len(self.ids) + 1
                self.jobs.append(job)
            id = self.ids[job["key"]]
            answers.append({"id": id, "state": "PENDING", "duplicate": duplicate})
        return BREAK if next(self._count) in self.breaks_after else {"jobs": answers}


def write(path: Path, *lines: Any) -> str:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts))
    return str(path)


def test_each_line_becomes_the_job_that_it_says(run: Run, daemon: Start, tmp_path: Path) -> None:
    store = Store("add")
    daemon(submit=store)
    source = write(
        tmp_path / "jobs",
        {"task": "add", "args": [2, "3"], "kwargs": {"deep": {"a": [None]}}, "retries": 4},
        "",
        {
            "task": "add",
            "in": "10m",
            "timeout": "1h",
            "queue": "q",
            "labels": {"a": "b"},
            "soft_timeout": "50m",
            "deadline": "1d",
        },
        {"task": "add", "at": "2026-11-21T02:30Z", "expires": "2026-11-22T02:30Z", "after": [17]},
        {"command": ["echo", "x"], "env": {"A": "b"}, "key": "mine"},
    )

    shown = run("submit", "--from", source, "--key", "k", "--queue", "bulk", "--deadline", "2d")

    assert (shown.code, shown.out, shown.err) == (0, "1\n2\n3\n4\n", "")
    assert store.jobs == [
        {
            "task": "add",
            "args": [2, "3"],
            "kwargs": {"deep": {"a": [None]}},
            "typed": True,
            "retries": 4,
            "queue": "bulk",
            "deadline_s": 172_800.0,
            "key": "k:000000001",
        },
        {
            "task": "add",
            "delay_s": 600.0,
            "timeout_s": 3600.0,
            "soft_timeout_s": 3000.0,
            "deadline_s": 86_400.0,
            "queue": "q",
            "labels": {"a": "b"},
            "key": "k:000000003",
        },
        {
            "task": "add",
            "eta": 1_795_228_200_000_000,
            "expires_at": 1_795_314_600_000_000,
            "after": [17],
            "queue": "bulk",
            "deadline_s": 172_800.0,
            "key": "k:000000004",
        },
        {
            "command": ["echo", "x"],
            "cwd": str(Path.cwd()),
            "umask": store.jobs[3]["umask"],
            "deadline_s": 172_800.0,
            "env": {"A": "b"},
            "queue": "bulk",
            "key": "mine",
        },
    ]


def test_a_task_on_the_line_is_that_of_all_lines(run: Run, daemon: Start, tmp_path: Path) -> None:
    store = Store("add", "sub")
    daemon(submit=store)
    source = write(tmp_path / "jobs", {"args": [1]}, {"task": "sub"}, {"command": ["true"]})

    shown = run("submit", "add", "--from", source)

    assert shown.code == 0, shown.err
    assert [job.get("task") for job in store.jobs] == ["add", "sub", None]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ('{"task": "add", "args": [1}', "is not JSON"),
        ("[1]", "is not an object"),
        ("\udc80".encode(errors="surrogateescape"), "is not UTF-8"),
        ('{"tsk": "add"}', 'unknown key "tsk"'),
        ('{"args": [1]}', 'neither a "task" nor a "command"'),
        ('{"task": "add", "command": ["true"]}', "names both"),
        ('{"task": "add", "args": 3}', '"args" has a value of a wrong type'),
        ('{"task": "add", "args": [NaN]}', "NaN is no JSON value"),
        ('{"task": "add", "args": [' + "[" * 100_000, "nested too deeply"),
        ('{"task": "add", "in": 10}', '"in" is not a text'),
        ('{"task": "add", "at": "02:30"}', "counts from now"),
        ('{"task": "add", "expires": "1h"}', "counts from now"),
        ('{"task": "none"}', 'there is no task "none"'),
    ],
)
def test_a_bad_line_is_named_and_what_stands_before_it_is_submitted(
    run: Run, daemon: Start, tmp_path: Path, line: str | bytes, cause: str
) -> None:
    store = Store("add")
    daemon(submit=store)
    good = [json.dumps({"task": "add", "args": [number]}).encode() for number in range(1400)]
    bad = line.encode() if isinstance(line, str) else line
    source = tmp_path / "jobs"
    source.write_bytes(b"\n".join([*good[:1200], bad, *good[1200:], b""]))

    shown = run("submit", "--from", str(source), "--key", "k")

    assert shown.code in (2, 4)
    assert f'"{source}", line 1201: ' in shown.err
    assert cause in shown.err
    assert "(1200 jobs are submitted)" in shown.err
    assert "--key k" in shown.err
    assert shown.out.split() == [str(number) for number in range(1, 1201)]

    source.write_bytes(b"\n".join([*good[:1200], good[0], *good[1200:], b""]))
    again = run("submit", "--from", str(source), "--key", "k", "--json")

    assert json.loads(again.out) == {
        "submitted": 201,
        "duplicates": 1200,
        "first_id": 1,
        "last_id": 1401,
        "key": "k",
    }
    Draft202012Validator(SCHEMA).validate(json.loads(again.out))


def test_a_broken_connection_doubles_and_skips_nothing(
    run: Run, daemon: Start, tmp_path: Path
) -> None:
    store = Store("add")
    # Stored, and the answer is lost: also that of the last part.
    store.breaks_after = {1, 3, 4}
    daemon(submit=store)
    source = write(tmp_path / "jobs", *({"task": "add", "args": [n]} for n in range(2500)))

    shown = run("submit", "--from", source)

    assert shown.code == 0, shown.err
    assert shown.out.split() == [str(number) for number in range(1, 2501)]
    assert [job["args"] for job in store.jobs] == [[number] for number in range(2500)]


def test_an_error_that_is_no_line_s_fault_says_how_to_go_on(
    run: Run, daemon: Start, tmp_path: Path
) -> None:
    daemon(submit=StorageError("the disk is full", hint="Make room."))
    source = write(tmp_path / "jobs", {"task": "add"}, {"task": "add"})

    shown = run("submit", "--from", source, "--key", "k", "--json")

    error = json.loads(shown.out)["error"]
    assert shown.code == 75
    assert error["message"] == "the disk is full (nothing is submitted)"
    assert error["hint"].startswith("Make room. Repeat it with --key k")


def test_what_belongs_to_one_job_is_refused_beside_a_file(run: Run) -> None:
    for words in (["add", "3"], ["--wait"], ["--at", "02:30"], ["--", "ls"], ["-k", "a=b"]):
        shown = run("submit", "--from", "jobs", *words)
        assert shown.code == 2, words
        assert "exclude each other" in shown.err


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    shown = run("submit", "--from", str(tmp_path / "none"))

    assert shown.code == 2
    assert f'"{tmp_path / "none"}" cannot be read: No such file' in shown.err


def test_on_a_terminal_a_bar_is_drawn_and_the_sum_is_told(
    run: Run, daemon: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon(submit=Store("add"))
    moments = itertools.count()
    monkeypatch.setattr("jobctl.clock.SystemClock.monotonic", lambda self: float(next(moments)))
    source = write(tmp_path / "jobs", *[{"task": "add"}] * 2500)

    shown = run("submit", "--from", source, "--key", "k", width=80)

    assert "[####################] 100% 2500 jobs" in shown.err
    assert shown.err.endswith("\r\x1b[K"), "the bar is taken away"
    assert shown.out.split("\n") == ["submitted  2500", "ids        1 to 2500", "key        k", ""]


# -- real processes -----------------------------------------------------------------------------------


@pytest.fixture
def real() -> Iterator[Daemon]:
    with running_daemon('[tasks.hold]\ncommand = ["true"]\nqueue = "held"\n') as started:
        started.call(requests.Pause(queue="held", paused=True))
        yield started


def start(real: Daemon, *words: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "jobctl", "--socket", str(real.socket), "submit", *words]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_line_in_a_pipe_is_submitted_before_the_next_one_comes(real: Daemon) -> None:
    process = start(real, "hold", "--from", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        for number in range(3):
            process.stdin.write(b'{"args": ["%d"]}\n' % number)
            process.stdin.flush()
            job = int(process.stdout.readline())
            assert real.status(job)["args"] == [str(number)]
    assert process.wait(LIMIT_S) == 0


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(real: Daemon, tmp_path: Path) -> None:
    lines = [json.dumps({"task": "hold", "args": [str(number)]}) for number in range(12_000)]
    source = write(tmp_path / "jobs", *lines)
    first = start(real, "--from", source, "--key", "k")
    assert first.stdin is not None
    assert first.stdout is not None
    with first.stdin, first.stdout:
        first.stdout.readline()
        os.kill(first.pid, 9)
        first.wait(LIMIT_S)

    second = start(real, "--from", source, "--key", "k", "--json")
    summary = json.loads(second.communicate(timeout=LIMIT_S)[0])

    assert second.returncode == 0
    assert 0 < summary["duplicates"] < 12_000, "the first one was killed in the middle"
    assert summary["submitted"] + summary["duplicates"] == 12_000
    assert real.call(requests.List(count=True))["count"] == 12_000
