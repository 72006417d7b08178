"""``worker list``, ``scale`` and ``restart``: a group's processes, changed while it runs."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.client import Client
from jobctl.errors import NotFound, PlanError, UsageError
from jobctl.protocol import requests
from tests.integration.test_workers import hold
from tests.support.configurations import functions
from tests.support.daemon import Daemon, running_daemon
from tests.support.processes import is_running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.shop import Shop

COMMANDS = "[workers.default]\ncommands = 2\n"


@pytest.fixture
def commands() -> Iterator[Daemon]:
    """A daemon whose only group runs two commands at once, and no functions."""
    with running_daemon(COMMANDS) as started:
        yield started
        (started.folder / "go").touch()


def scale(daemon: Daemon, group: str = "default", **size: Any) -> dict[str, Any]:
    return daemon.call(requests.Scale(group=group, **size))


def group_of(daemon: Daemon, name: str = "default") -> dict[str, Any]:
    groups = daemon.call(requests.Inspect(what="groups"))["groups"]
    return next(group for group in groups if group["group"] == name)


def running(daemon: Daemon) -> int:
    return int(daemon.call(requests.List(states=["STARTED"], count=True))["count"])


def wait_for(daemon: Daemon, count: int) -> list[int]:
    """Submit so many commands that wait for the file "go"."""
    line = f"until [ -e {daemon.folder}/go ]; do sleep 0.01; done"
    return [daemon.shell(line) for _ in range(count)]


def staying(daemon: Daemon, kind: str) -> list[int]:
    """The pids of those workers that are not on their way out."""
    return [w["pid"] for w in daemon.workers(kind) if w["phase"] == "serving" and not w["retiring"]]


# -- functions ------------------------------------------------------------------------------------


def test_a_group_that_grows_has_more_workers_at_once() -> None:
    with running_daemon(functions(group="processes = 1\n")) as daemon:
        _, first, _ = hold(daemon)

        told = scale(daemon, processes=3)

        assert told == {"group": "default", "processes": 3, "commands": 32, "set": ["processes"]}
        _, second, _ = hold(daemon)
        _, third, _ = hold(daemon)
        group = group_of(daemon)
        assert (group["functions_running"], group["processes"]) == (3, 3)
        for go in (first, second, third):
            go.touch()


def test_a_group_that_shrinks_lets_its_idle_workers_go_first_and_loses_nothing() -> None:
    with running_daemon(functions(group="processes = 3\n")) as daemon:
        daemon.until("three workers", lambda: len(staying(daemon, "function")) == 3)
        job, go, pid = hold(daemon)

        scale(daemon, processes=1)

        daemon.until("the idle ones to go", lambda: len(daemon.workers("function")) == 1)
        assert staying(daemon, "function") == [pid]
        go.touch()
        assert daemon.ended(job)["state"] == "SUCCESS"
        # It was not one too many: it stays.
        assert staying(daemon, "function") == [pid]


@pytest.mark.slow
def test_busy_workers_that_are_too_many_leave_when_their_job_has_ended() -> None:
    with running_daemon(functions(group="processes = 2\n")) as daemon:
        held = [hold(daemon), hold(daemon)]

        scale(daemon, processes=1)

        (leaving,) = [w for w in group_of(daemon)["workers"] if w["state"] == "leaving"]
        assert leaving["attempts"]
        for _, go, _ in held:
            go.touch()
        assert {daemon.ended(job)["state"] for job, _, _ in held} == {"SUCCESS"}
        daemon.until("it to go", lambda: not is_running(leaving["pid"]))
        (left,) = staying(daemon, "function")
        assert left in {pid for _, _, pid in held}


# -- commands -------------------------------------------------------------------------------------


def test_commands_that_wait_start_when_the_group_grows(commands: Daemon) -> None:
    wait_for(commands, 5)
    commands.until("two to run", lambda: running(commands) == 2)

    scale(commands, commands=4)

    commands.until("four to run", lambda: running(commands) == 4)


def test_commands_that_run_go_on_when_the_group_shrinks(commands: Daemon) -> None:
    jobs = wait_for(commands, 2)
    commands.until("both to run", lambda: running(commands) == 2)

    scale(commands, commands=1)

    jobs += wait_for(commands, 2)
    assert len(staying(commands, "keeper")) == 1
    assert running(commands) == 2
    (commands.folder / "go").touch()
    assert {job["state"] for job in commands.wait(*jobs)} == {"SUCCESS"}
    assert len(staying(commands, "keeper")) == 1


# -- for how long ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_size_holds_over_restarts_and_reloads_until_it_is_taken_back() -> None:
    config = functions(group="processes = 1\ncommands = 2\n")
    with running_daemon(config) as daemon:
        scale(daemon, processes=2, commands=3)
        daemon.kill()
        daemon.start()
        daemon.config.write_text(config.replace("commands = 2", "commands = 5"))
        daemon.call(requests.Reload())

        told = scale(daemon)

        assert (told["processes"], told["commands"]) == (2, 3)
        daemon.until("two workers", lambda: len(staying(daemon, "function")) == 2)
        told = scale(daemon, reset=True)
        assert told == {"group": "default", "processes": 1, "commands": 5, "set": []}
        daemon.until("one worker", lambda: len(staying(daemon, "function")) == 1)


def test_what_makes_no_sense_is_refused_and_nothing_changes(commands: Daemon) -> None:
    for count in (0, 65537, -1):
        with pytest.raises(UsageError, match='worker group "default"'):
            scale(commands, commands=count)
    with pytest.raises(UsageError, match="no functions") as refusal:
        scale(commands, processes=4)
    assert "jobctl worker scale default --commands N" in refusal.value.hint
    with pytest.raises(UsageError, match="no functions"):
        commands.call(requests.Restart(group="default"))
    for request in (requests.Scale(group="defualt"), requests.Restart(group="defualt")):
        with pytest.raises(NotFound, match='no worker group "defualt"') as unknown:
            commands.call(request)
        assert unknown.value.hint == 'Did you mean "default"?'

    assert scale(commands)["set"] == []


# -- the list -------------------------------------------------------------------------------------


def test_the_list_shows_each_process_with_its_age_and_memory() -> None:
    with running_daemon(functions(group="processes = 1\n")) as daemon:
        job, go, pid = hold(daemon)

        group = group_of(daemon)

        (worker,) = [w for w in group["workers"] if w["kind"] == "function"]
        assert (worker["pid"], worker["state"], worker["attempts"]) == (pid, "busy", [job])
        assert 0 <= worker["age_s"] <= group["template"]["age_s"] < 3600
        assert 1 << 20 < worker["memory_bytes"] < 1 << 30
        assert group["functions_running"] == 1
        go.touch()
        daemon.ended(job)
        (worker,) = [w for w in group_of(daemon)["workers"] if w["kind"] == "function"]
        assert (worker["state"], worker["made"]) == ("idle", 1)


def test_queue_list_tells_limits_and_which_of_them_a_command_has_set() -> None:
    config = '[queues.default]\nconcurrency = 2\nrate_limit = "10/s"\n'
    with running_daemon(config) as daemon:
        daemon.call(requests.Limit(queue="default", limits={"concurrency": 7}))

        (queue,) = daemon.call(requests.Inspect(what="queues"))["queues"]

        assert (queue["concurrency"], queue["rate_limit"]) == (7, "10/s")
        assert queue["set"] == ["concurrency"]


# -- new processes --------------------------------------------------------------------------------

TASKS = """
[tasks.version]
function = "shop:version"
[tasks.hold]
function = "shop:hold"
"""


def code(version: int, *, more: str = "", parameters: str = "") -> str:
    return f"""
import os, time
from pathlib import Path

{more}
def version({parameters}):
    return {version}

def hold(began, go):
    Path(began).write_text(f"{{os.getpid()}}\\n")
    while not Path(go).exists():
        time.sleep(0.005)
    return "went"
"""


def waiting(path: Path) -> str:
    """An expression that lasts until a file exists."""
    return f"any(Path({str(path)!r}).exists() or time.sleep(0.005) for _ in iter(int, 1))"


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """A shop with code of version 1 and one worker."""
    return shop.start(code(1), TASKS, group="processes = 1\ncommands = 1")


def restart(shop: Shop, group: str = "default") -> dict[str, Any]:
    return shop.daemon.call(requests.Restart(group=group))


def held(shop: Shop) -> tuple[int, Path, int]:
    return hold(shop.daemon)


def test_new_processes_have_the_new_code_and_a_job_that_runs_ends_in_the_old(shop: Shop) -> None:
    job, go, pid = held(shop)
    before = group_of(shop.daemon)["template"]["pid"]
    shop.write(code(2))

    told = restart(shop)

    assert told == {"group": "default", "replaced": 1, "template": told["template"]}
    assert told["template"] != before
    assert shop.value("version") == 2
    assert is_running(pid)
    go.touch()
    assert shop.daemon.ended(job)["result"] == "went"
    shop.daemon.until("the old worker to go", lambda: not is_running(pid))
    shop.daemon.until("its template to go", lambda: not is_running(before))


def test_a_worker_serves_until_a_new_one_does(shop: Shop) -> None:
    opened = shop.daemon.folder / "opened"
    slow = f"os.register_at_fork(after_in_child=lambda: ({waiting(opened)}))"
    old = shop.worker()
    shop.write(code(2, more=slow))

    restart(shop)

    shop.daemon.until("a new worker to be born", lambda: len(shop.daemon.workers("function")) == 2)
    assert shop.value("version") == 1
    (worker,) = [w for w in group_of(shop.daemon)["workers"] if w["pid"] == old]
    assert worker["state"] == "being replaced"
    opened.touch()
    shop.daemon.until("the old one to go", lambda: not is_running(old))
    assert shop.value("version") == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "import not_there\n",
            'module "shop" of worker group "default" cannot be imported any more',
        ),
        (code(2, parameters="name"), "declares other tasks or signatures"),
    ],
)
def test_code_that_does_not_fit_is_refused_and_the_old_one_goes_on(
    shop: Shop, text: str, why: str
) -> None:
    old = shop.worker()
    template = group_of(shop.daemon)["template"]["pid"]
    shop.write(text)

    with pytest.raises(PlanError, match=why):
        restart(shop)

    assert shop.value("version") == 1
    assert shop.worker() == old
    assert group_of(shop.daemon)["template"]["pid"] == template


def test_the_next_daemon_goes_on_with_the_new_code_beside_a_job_in_the_old(shop: Shop) -> None:
    job, go, pid = held(shop)
    shop.write(code(2))
    template = restart(shop)["template"]
    assert shop.value("version") == 2

    shop.daemon.kill()
    shop.daemon.start()

    assert group_of(shop.daemon)["template"]["pid"] == template
    assert shop.value("version") == 2
    assert is_running(pid)
    go.touch()
    assert shop.daemon.ended(job)["result"] == "went"


@pytest.mark.slow
def test_a_restart_waits_for_a_reload_and_brings_what_is_newer_than_that(shop: Shop) -> None:
    importing, opened = shop.daemon.folder / "importing", shop.daemon.folder / "opened"
    shop.write(code(2, more=f"Path({str(importing)!r}).touch(); {waiting(opened)}"))
    with ThreadPoolExecutor(2) as pool:
        reloading = pool.submit(call_alone, shop.daemon, requests.Reload())
        shop.daemon.until("the reload to import the code", importing.exists)
        shop.write(code(3))
        restarting = pool.submit(call_alone, shop.daemon, requests.Restart(group="default"))
        shop.daemon.call(requests.Inspect(what="ping"))
        opened.touch()
        reloading.result()
        restarting.result()

    shop.daemon.until("the newest code to serve", lambda: shop.value("version") == 3)


def call_alone(daemon: Daemon, request: requests.Request) -> dict[str, Any]:
    """Make a request over a connection of its own."""
    with contextlib.closing(Client(daemon.socket, timeout_s=60)) as client:
        return client.call(request)
