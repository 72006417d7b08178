"""Coroutines that submit and wait: on one connection, over a daemon that is restarted, and when they give up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import AsyncResult, task
from jobctl.api import loops, tasks
from jobctl.api.session import session
from jobctl.errors import DaemonNotRunning, InvalidArguments, NotFound, RemoteError, WaitTimedOut
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.api import FunctionTask

CONFIG = """
[tasks.echo]
command = ["echo"]
[tasks.fail]
shell = "exit 3"
[tasks.wait]
shell = 'until [ -e "$1" ]; do sleep 0.01; done'
"""


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with running_daemon(CONFIG) as started:
        monkeypatch.setenv("JOBCTL_SOCKET", str(started.socket))
        yield started


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tasks of the daemon's file, under their names."""
    monkeypatch.setattr(tasks, "_tasks", {})

    def declare(name: str) -> FunctionTask[..., Any]:
        @task(name=name)
        def function(*args: Any) -> None: ...

        return function

    return declare


def test_many_coroutines_submit_and_wait_on_one_connection(daemon: Daemon, named: Any) -> None:
    echo, fail, wait = named("echo"), named("fail"), named("wait")
    gate = daemon.folder / "gate"

    async def main() -> None:
        held = await wait.adelay(str(gate))
        with pytest.raises(WaitTimedOut):
            await held.aget(timeout=0.05)
        waiting = asyncio.create_task(held.aget())
        jobs = await asyncio.gather(*(echo.adelay(number) for number in range(50)))
        assert len({job.id for job in jobs}) == 50
        assert await asyncio.gather(*(job.aget(timeout=60) for job in jobs)) == [None] * 50
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(RemoteError, match="exit code 3"):
            await (await fail.adelay()).aget()
        with pytest.raises(NotFound):
            await AsyncResult[None](999_999).aget()
        with pytest.raises(InvalidArguments, match='task "echo": argument 1'):
            await echo.adelay(object())
        same = await echo.aapply_async(["a"], task_id="once")
        assert same == await echo.aapply_async(["a"], task_id="once")
        gate.touch()
        await held.aget()

    asyncio.run(main())


@pytest.mark.slow
def test_a_wait_and_a_submit_outlive_a_restart(daemon: Daemon, named: Any) -> None:
    echo, wait = named("echo"), named("wait")
    gate = daemon.folder / "gate"

    async def main() -> None:
        held = await wait.adelay(str(gate))
        waiting = asyncio.create_task(held.aget())
        await asyncio.sleep(0)
        daemon.kill()
        submitting = asyncio.create_task(echo.adelay("a"))
        await asyncio.sleep(0)
        await asyncio.to_thread(daemon.start)
        await (await submitting).aget()
        gate.touch()
        assert await waiting is None

    asyncio.run(main())


def test_a_loop_that_is_closed_leaves_no_connection(daemon: Daemon) -> None:
    async def ask() -> None:
        await asyncio.gather(*(loops.call(requests.Inspect(what="ping")) for _ in range(5)))

    for _ in range(3):
        asyncio.run(ask())
        assert len(loops._connections) == 1
    asyncio.run(ask())
    own = [loop for loop in loops._connections if not loop.is_closed()]
    assert own == []


def test_without_a_daemon_patience_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBCTL_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setattr(session, "_patience_s", 0)
    with pytest.raises(DaemonNotRunning, match="nobody"):
        asyncio.run(loops.call(requests.Inspect(what="ping")))
