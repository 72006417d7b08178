"""Python programs that submit jobs: threads, forks, signals, and daemons that are restarted meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import AsyncResult, configure, send_task, submit_many, task
from jobctl.api import Signature
from jobctl.api import session as sessions
from jobctl.api.session import PATIENCE_S, Session
from jobctl.clock import SystemClock
from jobctl.errors import (
    Conflict,
    DaemonNotRunning,
    InvalidArguments,
    NotFound,
    RemoteError,
    Unreachable,
    UsageError,
    WaitTimedOut,
)
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TASKS = """
[tasks.true]
command = ["true"]
[tasks.false]
shell = "exit 3"
[tasks.echo]
command = ["echo"]
[tasks.wait]
shell = 'until [ -e "$1" ]; do sleep 0.01; done'
"""


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with running_daemon(TASKS) as started:
        monkeypatch.setenv("JOBCTL_SOCKET", str(started.socket))
        yield started


def submitted(daemon: Daemon) -> int:
    return int(daemon.call(requests.List(count=True))["count"])


def run_program(daemon: Daemon, text: str) -> str:
    """Run a Python program beside the daemon; gives back what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * PATIENCE,
        env={**os.environ, "JOBCTL_SOCKET": str(daemon.socket)},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def open_sockets() -> int:
    names = Path("/proc/self/fd").iterdir()
    found = 0
    for name in names:
        try:
            found += name.readlink().name.startswith("socket:")
        except OSError:
            continue
    return found


# -- commands by their name -----------------------------------------------------------------------


def test_a_command_is_submitted_by_its_name_and_fails_with_its_exit_code(daemon: Daemon) -> None:
    assert send_task("true").get(timeout=30) is None
    with pytest.raises(RemoteError, match="exit code 3"):
        send_task("false").get(timeout=30)
    echo = send_task("echo", ["a", 1, [None]], {"of": 2})
    echo.get(timeout=30)
    assert daemon.output(echo.id) == "a 1 [null]\n"


def test_a_task_id_gives_the_same_job_again(daemon: Daemon) -> None:
    first = send_task("echo", ["a"], task_id="order-17", countdown=600)
    again = send_task("echo", ["a"], task_id="order-17", countdown=600)
    assert first == again
    with pytest.raises(Conflict, match="order-17"):
        send_task("echo", ["b"], task_id="order-17", countdown=600)
    assert submitted(daemon) == 1


def test_an_unknown_job_is_an_error_and_never_pending(daemon: Daemon) -> None:
    unknown: AsyncResult[Any] = AsyncResult(123_456)
    for ask in (unknown.get, unknown.ready, unknown.revoke, lambda: unknown.result):
        with pytest.raises(NotFound):
            ask()


def test_a_wait_that_is_over_says_so_and_the_job_goes_on(daemon: Daemon) -> None:
    gate = daemon.folder / "gate"
    job = send_task("wait", [str(gate)])
    with pytest.raises(WaitTimedOut, match=r"within 0\.05 s"):
        job.get(timeout=0.05)
    assert not job.ready()
    assert job.result is None
    gate.touch()
    assert job.get() is None
    assert job.successful()


def test_many_calls_of_several_tasks_come_back_in_their_order(daemon: Daemon) -> None:
    calls: list[Signature[None]] = [
        Signature(task="echo", args=(number,)) if number % 2 else Signature(task="true")
        for number in range(2100)
    ]
    results = submit_many(call.set(countdown=600) for call in calls)
    assert len(set(results)) == 2100
    assert submitted(daemon) == 2100
    for number in (0, 1, 999, 1000, 2099):
        status = daemon.status(results[number].id)
        assert status["args"] == ([str(number)] if number % 2 else [])
    assert submit_many([]) == []


@task(name="echo")
def echo(*words: str) -> None:
    """Stands for the daemon's task of that name."""


def test_a_task_is_mapped_over_values_in_their_order(daemon: Daemon) -> None:
    ones = echo.map((str(number) for number in range(3)), countdown=600)
    pairs = echo.starmap([("a", "b"), ("c", "d")], queue="default", countdown=600)

    asked = [daemon.status(result.id) for result in [*ones, *pairs]]
    assert [status["args"] for status in asked] == [["0"], ["1"], ["2"], ["a", "b"], ["c", "d"]]
    assert all(status["eta"] is not None for status in asked)
    with pytest.raises(UsageError, match="belongs to one job"):
        echo.map(["e"], task_id="mine")
    assert submitted(daemon) == 5


def test_nothing_of_many_calls_is_submitted_when_one_cannot_be(daemon: Daemon) -> None:
    calls: list[Signature[None]] = [
        Signature(task="true"),
        Signature(task="true", args=(object(),)),
    ]
    with pytest.raises(UsageError, match="argument 1"):
        submit_many(calls)
    with pytest.raises(NotFound):
        submit_many([Signature(task="true"), Signature(task="nonexistent")])
    assert submitted(daemon) == 0


def test_a_call_that_no_frame_holds_is_refused_and_the_next_one_is_not(daemon: Daemon) -> None:
    with pytest.raises(InvalidArguments, match="argument 1 is 17000002 bytes long"):
        send_task("echo", ["x" * 17_000_000])
    assert send_task("true").get(timeout=30) is None


# -- where the daemon is --------------------------------------------------------------------------


def test_without_a_daemon_a_call_fails_when_patience_is_over(tmp_path: Path) -> None:
    pauses: list[float] = []
    clock = SystemClock()

    class Hurried:
        """Each pause takes its time at once."""

        def now(self) -> int:
            return clock.now()

        def monotonic(self) -> float:
            return sum(pauses)

    session = Session(clock=Hurried(), pause=pauses.append)
    session.configure(socket=tmp_path / "nobody")
    with pytest.raises(DaemonNotRunning, match="nobody"):
        session.call(requests.Inspect(what="ping"))
    assert PATIENCE_S - 1 < sum(pauses) < PATIENCE_S
    session.configure(patience_s=0)
    pauses.clear()
    with pytest.raises(DaemonNotRunning):
        session.call(requests.Inspect(what="ping"))
    assert pauses == []


def test_the_socket_may_be_configured_and_may_change(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions.session, "_socket", None)
    with running_daemon(TASKS) as other:
        first = send_task("true", countdown=600)
        configure(socket=other.socket)
        send_task("true", countdown=600)
        send_task("true", countdown=600)
        assert (submitted(daemon), submitted(other)) == (1, 2)
        monkeypatch.setattr(sessions.session, "_socket", None)
        assert first.state == "PENDING"
    with pytest.raises(UsageError):
        configure(patience_s=-1)


# -- threads, forks, signals ----------------------------------------------------------------------


def test_each_thread_has_a_connection_that_goes_with_it(daemon: Daemon) -> None:
    send_task("true", countdown=600)
    assert submitted(daemon) == 1
    before = open_sockets()
    barrier = threading.Barrier(8)
    found: list[int] = []

    def work() -> None:
        barrier.wait()
        found.extend(send_task("echo", [n], countdown=600).id for n in range(25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 200
    assert submitted(daemon) == 201
    daemon.until("the connections to be closed", lambda: open_sockets() <= before)


def test_a_child_of_fork_has_connections_of_its_own(daemon: Daemon) -> None:
    out = run_program(
        daemon,
        """
        import os, threading
        from jobctl import send_task
        mine = [send_task("echo", ["parent"], countdown=600).id]
        # Another thread holds a connection too; in the child it does not exist.
        ready, go = threading.Event(), threading.Event()
        def hold():
            send_task("echo", ["thread"], countdown=600)
            ready.set()
            go.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        ready.wait()
        read, write = os.pipe()
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: on purpose
        children = []
        for child in range(3):
            pid = os.fork()
            if pid == 0:
                ids = [send_task("echo", [child, n], countdown=600).id for n in range(20)]
                os.write(write, (" ".join(map(str, ids)) + " ").encode())
                os._exit(0)
            children.append(pid)
        mine += [send_task("echo", ["parent", n], countdown=600).id for n in range(20)]
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        os.close(write)
        theirs = os.read(read, 65536).decode().split()
        go.set()
        thread.join()
        assert send_task("echo", ["end"], countdown=600).state == "PENDING"
        print(len(set(mine) | set(map(int, theirs))))
        """,
    )
    assert out == "81\n"
    assert submitted(daemon) == 83


def test_a_call_in_a_signal_handler_disturbs_none_that_is_under_way(daemon: Daemon) -> None:
    out = run_program(
        daemon,
        """
        import signal
        from jobctl import send_task
        inner = []
        def handler(number, frame):
            inner.append(send_task("echo", ["inner"], countdown=600).id)
            if len(inner) < 50:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + len(inner) * 0.0001)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        outer = [send_task("echo", ["outer", n], countdown=600).id for n in range(300)]
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(set(outer) | set(inner)) == len(outer) + len(inner)
        assert inner
        print(len(outer) + len(inner))
        """,
    )
    assert submitted(daemon) == int(out)


def test_a_call_that_was_interrupted_leaves_no_answer_for_the_next(daemon: Daemon) -> None:
    class Stop(Exception):
        pass

    def interrupt(_number: int, _frame: object) -> None:
        raise Stop

    gate = daemon.folder / "gate"
    job = send_task("wait", [str(gate)])
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.03)
            with pytest.raises(Stop):
                job.get()
            assert job.state in ("PENDING", "STARTED")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gate.touch()
    assert job.get(timeout=30) is None


# -- restarts -------------------------------------------------------------------------------------


def test_calls_outlive_restarts_of_the_daemon_none_lost_and_none_doubled(daemon: Daemon) -> None:
    """Kept connections break, new ones are refused, answers are lost: each call comes through once."""
    is_over = threading.Event()
    found: list[list[int]] = [[], [], []]
    errors: list[BaseException] = []

    def work(ids: list[int]) -> None:
        try:
            while not is_over.is_set():
                ids.append(send_task("echo", [len(ids)], countdown=3600).id)
        except BaseException as error:  # noqa: BLE001 -- shown by the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(ids,)) for ids in found]
    for thread in threads:
        thread.start()
    for _ in range(5):
        done = sum(len(ids) for ids in found)
        daemon.until("calls to pass", lambda done=done: sum(len(i) for i in found) > done + 20)
        daemon.kill()
        daemon.start()
    is_over.set()
    for thread in threads:
        thread.join()

    assert errors == []
    every = [job for ids in found for job in ids]
    assert len(set(every)) == len(every) > 100
    assert submitted(daemon) == len(every)


def test_a_stopped_daemon_is_given_up_and_a_repeated_call_is_not_done_twice(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions.session, "_patience_s", 0.3)
    daemon.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable, match="does not answer"):
            send_task("true", task_id="once", countdown=600)
        with pytest.raises(Unreachable, match="does not answer"):
            AsyncResult[None](1).get(timeout=0.2)
    finally:
        daemon.signal(signal.SIGCONT)
    monkeypatch.setattr(sessions.session, "_patience_s", PATIENCE_S)
    job = send_task("true", task_id="once", countdown=600)
    assert job == send_task("true", task_id="once", countdown=600)
    assert submitted(daemon) == 1


def test_a_wait_outlives_a_restart_of_the_daemon(daemon: Daemon) -> None:
    gate = daemon.folder / "gate"
    job = send_task("wait", [str(gate)])
    daemon.until("the command to run", lambda: job.state == "STARTED")
    found: list[Any] = []
    waiter = threading.Thread(target=lambda: found.append(job.get(timeout=60 * PATIENCE)))
    waiter.start()
    daemon.until(
        "the wait to begin",
        lambda: daemon.call(requests.Inspect(what="stats"))["waiting_clients"] == 1,
    )

    daemon.kill()
    daemon.start()
    gate.touch()

    waiter.join(60 * PATIENCE)
    assert found == [None]
