"""``stderr = "separate"``: two pipes, two streams that are kept, shown, followed and adopted apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import UsageError
from jobctl.protocol import requests
from tests.support.configurations import functions
from tests.support.daemon import running_daemon, with_patch
from tests.support.processes import pids_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.daemon import Daemon

CONFIG = """
[tasks.apart]
shell = "exec /bin/sh -c \\"$1\\""
stderr = "separate"
max_output = "64KiB"
"""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(CONFIG) as started:
        yield started


def apart(daemon: Daemon, line: str) -> int:
    return daemon.submit(task="apart", args=[f"cd {daemon.folder}; {line}"])


def attempt_of(daemon: Daemon, job: int) -> dict[str, Any]:
    (attempt,) = daemon.ended(job)["attempts"]
    assert isinstance(attempt, dict)
    return attempt


def streams(daemon: Daemon, job: int, **options: Any) -> tuple[str, str, dict[str, Any]]:
    """Both streams as they are sent, and the final answer."""
    *parts, final = daemon.client.stream(requests.Logs(job=job, **options))
    texts = {"stdout": "", "stderr": ""}
    for part in parts:
        texts[part.get("stream", "stdout")] += part["data"]
    return texts["stdout"], texts["stderr"], final


def output_files(daemon: Daemon) -> set[str]:
    return {path.name for path in daemon.state_dir.glob("output/*/*")}


def test_both_streams_are_kept_apart_in_the_row(daemon: Daemon) -> None:
    job = apart(daemon, "echo one; echo two >&2; echo three; echo four >/dev/stderr; exit 3")
    attempt = attempt_of(daemon, job)
    assert (attempt["exit_code"], attempt["error"]) == (3, None)
    assert (attempt["output_bytes"], attempt["output_tail"]) == (10, "one\nthree\n")
    assert (attempt["stderr_bytes"], attempt["stderr_tail"]) == (9, "two\nfour\n")
    end = {"attempt": 1, "bytes": 10, "stderr_bytes": 9, "state": "FAILURE"}
    assert streams(daemon, job) == ("one\nthree\n", "two\nfour\n", end)
    assert streams(daemon, job, stream="stdout") == ("one\nthree\n", "", end)
    assert streams(daemon, job, stream="stderr") == ("", "two\nfour\n", end)
    assert streams(daemon, job, offset=4, stderr_offset=5) == ("three\n", "our\n", end)
    assert streams(daemon, job, tail_bytes=3) == ("ee\n", "ur\n", end)
    assert output_files(daemon) == set()


def test_where_they_are_not_kept_apart_nothing_is_said_of_standard_error(daemon: Daemon) -> None:
    job = daemon.shell("echo one; echo two >&2")
    attempt = attempt_of(daemon, job)
    assert (attempt["output_tail"], attempt["stderr_bytes"]) == ("one\ntwo\n", None)
    end = {"attempt": 1, "bytes": 8, "stderr_bytes": None, "state": "SUCCESS"}
    assert streams(daemon, job) == ("one\ntwo\n", "", end)
    assert streams(daemon, job, stream="stderr") == ("", "", end)


@pytest.mark.slow
def test_each_stream_has_a_file_and_the_cap_for_itself(daemon: Daemon) -> None:
    (daemon.folder / "text").write_bytes(b"".join(b"%07d\n" % n for n in range(1 << 19)))
    job = apart(daemon, "cat text & cat text >&2; echo end >&2; wait; echo short")
    attempt = attempt_of(daemon, job)
    whole = (daemon.folder / "text").read_text()
    assert attempt["output_bytes"] == len(whole) + len("short\n")
    assert attempt["stderr_bytes"] == len(whole) + len("end\n")
    assert output_files(daemon) == {f"{job}.1", f"{job}.1.err"}
    for name, last in (("", "short\n"), (".err", "end\n")):
        (file,) = daemon.state_dir.glob(f"output/*/{job}.1{name}")
        assert file.stat().st_blocks * 512 <= 2 << 20
        assert file.stat().st_mode & 0o777 == 0o600
        kept = streams(daemon, job)[:2][1 if name else 0]
        assert kept.startswith(whole[: 32 << 10])
        assert kept.endswith((whole + last)[-32 << 10 :])


def test_one_may_be_short_and_the_other_long(daemon: Daemon) -> None:
    job = apart(daemon, "echo short; head -c 30000 /dev/zero | tr '\\0' x >&2")
    assert attempt_of(daemon, job)["stderr_tail"] == "x" * 2000
    assert output_files(daemon) == {f"{job}.1.err"}
    assert streams(daemon, job)[:2] == ("short\n", "x" * 30_000)


def test_a_follower_sees_both_as_they_come(daemon: Daemon) -> None:
    first, second = daemon.folder / "first", daemon.folder / "second"
    wait = "until [ -e {} ]; do sleep 0.01; done"
    job = apart(
        daemon,
        f"echo a; {wait.format(first)}; echo b >&2; {wait.format(second)}; echo c; echo d >&2",
    )
    seen: list[tuple[str, str]] = []
    for part in daemon.client.stream(requests.Logs(job=job, follow=True)):
        if "data" in part:
            seen.append((part.get("stream", "stdout"), part["data"]))
            (first if len(seen) == 1 else second).touch()
    assert seen[:2] == [("stdout", "a\n"), ("stderr", "b\n")]
    assert sorted(seen[2:]) == [("stderr", "d\n"), ("stdout", "c\n")]


def test_a_follower_of_standard_error_alone_sees_nothing_else(daemon: Daemon) -> None:
    go = daemon.folder / "go"
    job = apart(daemon, f"echo a; echo b >&2; until [ -e {go} ]; do sleep 0.01; done; echo c >&2")
    seen = ""
    for part in daemon.client.stream(requests.Logs(job=job, follow=True, stream="stderr")):
        if "data" in part:
            assert part["stream"] == "stderr"
            seen += part["data"]
            go.touch()
    assert seen == "b\nc\n"


def test_what_runs_is_shown_without_following_it(daemon: Daemon) -> None:
    go, wrote = daemon.folder / "go", daemon.folder / "wrote"
    job = apart(
        daemon,
        f"echo a; echo b >&2; echo $$ > {wrote}; until [ -e {go} ]; do sleep 0.01; done",
    )
    daemon.until("it to have written", lambda: pids_in(wrote))
    end = {"attempt": 1, "bytes": 2, "stderr_bytes": 2, "state": "STARTED"}
    daemon.until("both to be read", lambda: streams(daemon, job) == ("a\n", "b\n", end))
    go.touch()
    assert streams(daemon, job, follow=True)[:2] == ("a\n", "b\n")


@pytest.mark.parametrize("size", [10, 50_000])
def test_the_next_daemon_gets_both(daemon: Daemon, size: int) -> None:
    """One attempt is adopted while it runs, one has left a record."""
    first, second, began = (daemon.folder / name for name in ("first", "second", "began"))
    jobs = [
        apart(
            daemon,
            f"echo $$ >> {began}; head -c {size} /dev/zero | tr '\\0' x; echo e >&2;"
            f" until [ -e {go} ]; do sleep 0.01; done; echo f >&2",
        )
        for go in (first, second)
    ]
    daemon.until("both to run", lambda: len(pids_in(began)) == 2)
    daemon.kill()
    first.touch()
    daemon.until("a record", lambda: list(daemon.state_dir.glob("run/*/outcomes/*.json")))
    daemon.start()
    second.touch()
    for job in jobs:
        attempt = attempt_of(daemon, job)
        assert (attempt["output_bytes"], attempt["stderr_bytes"]) == (size, 4)
        assert streams(daemon, job)[:2] == ("x" * size, "e\nf\n")


def test_what_left_overs_write_into_either_is_read_and_dropped(daemon: Daemon) -> None:
    go, done = daemon.folder / "go", daemon.folder / "done"
    job = apart(
        daemon,
        f"(setsid sh -c 'until [ -e {go} ]; do sleep 0.01; done;"
        f" head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; echo $$ >> {done}' &);"
        " echo early; echo early >&2",
    )
    attempt = attempt_of(daemon, job)
    go.touch()
    daemon.until("the left-over to have written it all", lambda: pids_in(done))
    assert attempt_of(daemon, job) == attempt
    assert streams(daemon, job)[:2] == ("early\n", "early\n")


def test_a_command_that_cannot_start_says_so_with_both(daemon: Daemon) -> None:
    job = daemon.submit(command=["no-such-thing"], cwd="/", stderr="separate")
    attempt = attempt_of(daemon, job)
    assert (attempt["exit_code"], attempt["output_bytes"], attempt["stderr_bytes"]) == (127, 0, 0)


def test_a_submit_chooses_for_itself(daemon: Daemon) -> None:
    line = "echo one; echo two >&2"
    separate = daemon.shell(line, stderr="separate")
    merged = daemon.submit(task="apart", args=[line], stderr="merge")
    assert attempt_of(daemon, separate)["stderr_tail"] == "two\n"
    assert attempt_of(daemon, merged)["output_tail"] == "one\ntwo\n"


@pytest.mark.slow
def test_a_stream_or_a_way_that_does_not_exist_is_refused(daemon: Daemon) -> None:
    job = daemon.shell("true")
    with pytest.raises(UsageError, match="stdout"):
        list(daemon.client.stream(requests.Logs(job=job, stream="both")))
    with pytest.raises(UsageError, match="separate"):
        daemon.shell("true", stderr="apart")
    with running_daemon(functions()) as other, pytest.raises(UsageError, match="for commands"):
        other.submit(task="double", args=[1], typed=True, stderr="separate")


@pytest.mark.slow
def test_the_command_line_writes_each_to_where_it_was_written(
    daemon: Daemon, tmp_path: Path
) -> None:
    def jobctl(*words: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "jobctl", "--socket", str(daemon.socket), *words],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, done.stderr

    line = ["/bin/sh", "-c", "echo one; echo two >&2"]
    out, err = jobctl("submit", "--stderr", "separate", "--follow", "--", *line)
    assert (out, err.splitlines()[1:]) == ("one\n", ["two"])
    job = err.splitlines()[0].removeprefix("job ")
    for words in (("logs", job), ("logs", "-f", job)):
        assert jobctl(*words) == ("one\n", "two\n")
        assert jobctl(*words, "--stdout") == ("one\n", "")
        assert jobctl(*words, "--stderr") == ("two\n", "")
    assert json.loads(jobctl("logs", job, "--json")[0]) == {
        "id": int(job),
        "attempt": 1,
        "bytes": 4,
        "stderr_bytes": 4,
        "state": "SUCCESS",
        "output": "one\n",
        "stderr": "two\n",
    }
    page = jobctl("status", job)[0].splitlines()
    assert page[-2:] == ["output\tone", "stderr\ttwo"]
    merged = jobctl("submit", "--", *line)[0].strip()
    daemon.ended(int(merged))
    assert jobctl("logs", merged, "--stderr") == (
        "",
        "jobctl: standard error was kept together with the output; without --stderr it is shown\n",
    )


@pytest.mark.parametrize("has_daemon", [True, False])
def test_what_a_killed_keeper_has_left_in_files_is_shown_and_goes_with_its_job(
    has_daemon: bool,
) -> None:
    with running_daemon("[daemon]\nkeep_jobs = 2\n" + CONFIG, start=False) as daemon:
        daemon.launcher = with_patch("from jobctl.daemon import retention; retention.PAUSE_S = 0.1")
        daemon.start()
        began = daemon.folder / "began"
        flood = "head -c 30000 /dev/zero | tr '\\0'"
        job = apart(daemon, f"{flood} x; {flood} y >&2; echo $$ > {began}; exec sleep 3600")
        daemon.until("it to begin", lambda: pids_in(began))
        lengths = {f"{job}.1": 30_000, f"{job}.1.err": 30_000}
        daemon.until("both files to be whole", lambda: output_lengths(daemon) == lengths)
        (keeper,) = [w["pid"] for w in daemon.workers("keeper") if job in w["attempts"]]
        if not has_daemon:
            daemon.kill()
        os.kill(keeper, signal.SIGKILL)
        if not has_daemon:
            daemon.start()

        attempt = attempt_of(daemon, job)
        assert attempt["outcome"] == "lost"
        assert (attempt["output_tail"], attempt["stderr_tail"]) == ("x" * 2000, "y" * 2000)
        assert streams(daemon, job)[:2] == ("x" * 30_000, "y" * 30_000)

        for _ in range(3):
            # One by one: of three, the first could be gone before it is waited for.
            daemon.wait(daemon.shell("true"))
        daemon.until("its files to be removed", lambda: not output_files(daemon))


def output_lengths(daemon: Daemon) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in daemon.state_dir.glob("output/*/*")}


def test_a_lost_attempt_without_files_names_none(daemon: Daemon) -> None:
    began = daemon.folder / "began"
    job = apart(daemon, f"echo short; echo $$ > {began}; exec sleep 3600")
    daemon.until("it to begin", lambda: pids_in(began))
    (keeper,) = [w["pid"] for w in daemon.workers("keeper") if job in w["attempts"]]
    os.kill(keeper, signal.SIGKILL)
    attempt = attempt_of(daemon, job)
    assert attempt["outcome"] == "lost"
    assert (attempt["output_bytes"], attempt["stderr_bytes"]) == (0, None)
