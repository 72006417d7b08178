"""``queue limit``: set while the daemon runs, kept over restarts and reloads, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import NotFound, UsageError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
[workers.default]
commands = 8
[queues.default]
concurrency = 2
"""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(CONFIG) as started:
        yield started
        (started.folder / "go").touch()


def limit(daemon: Daemon, reset: bool = False, **limits: Any) -> dict[str, Any]:
    return daemon.call(requests.Limit(queue="default", limits=limits or None, reset=reset))


def running(daemon: Daemon) -> int:
    return int(daemon.call(requests.List(states=["STARTED"], count=True))["count"])


def hold(daemon: Daemon, count: int) -> None:
    line = f"until [ -e {daemon.folder}/go ]; do sleep 0.01; done"
    for _ in range(count):
        daemon.shell(line)


def test_jobs_that_wait_go_by_a_new_limit_at_once(daemon: Daemon) -> None:
    hold(daemon, 6)
    daemon.until("two to run", lambda: running(daemon) == 2)

    told = limit(daemon, concurrency=4)

    assert told == {
        "queue": "default",
        "concurrency": 4,
        "rate_limit": None,
        "rate_burst": None,
        "set": ["concurrency"],
    }
    daemon.until("four to run", lambda: running(daemon) == 4)
    assert limit(daemon, concurrency=None)["concurrency"] is None
    daemon.until("all to run", lambda: running(daemon) == 6)


@pytest.mark.slow
def test_it_holds_over_restarts_and_reloads_until_it_is_taken_back(daemon: Daemon) -> None:
    limit(daemon, concurrency=3, rate_limit="1000/s")
    daemon.kill()
    daemon.start()
    daemon.config.write_text(CONFIG.replace("concurrency = 2", "concurrency = 1"))
    daemon.call(requests.Reload())

    told = limit(daemon)
    assert (told["concurrency"], told["rate_limit"]) == (3, "1000/s")
    hold(daemon, 5)
    daemon.until("three to run", lambda: running(daemon) == 3)

    told = limit(daemon, reset=True)
    assert (told["concurrency"], told["rate_limit"], told["set"]) == (1, None, [])


def test_a_rate_that_is_set_holds_for_jobs_that_wait(daemon: Daemon) -> None:
    daemon.call(requests.Pause(queue="default", paused=True))
    hold(daemon, 3)
    limit(daemon, rate_limit="1/h", concurrency=None)
    daemon.call(requests.Pause(queue="default", paused=False))

    daemon.until("one to run", lambda: running(daemon) == 1)
    (last, *_) = daemon.call(requests.List(states=["PENDING"]))["jobs"]
    assert last["reason"] == 'queue "default" starts no more jobs than its rate_limit allows'
    limit(daemon, rate_limit=None)
    daemon.until("all to run", lambda: running(daemon) == 3)


def test_two_limits_in_one_turn_are_both_kept(daemon: Daemon) -> None:
    limit(daemon, concurrency=5)

    told = limit(daemon, rate_limit="10/s", rate_burst=4)

    assert told["set"] == ["concurrency", "rate_burst", "rate_limit"]
    assert (told["concurrency"], told["rate_burst"]) == (5, 4)
    assert limit(daemon, rate_limit="20/s")["rate_burst"] is None


@pytest.mark.parametrize(
    "limits",
    [
        {"concurrency": 0},
        {"concurrency": "3"},
        {"rate_limit": "fast"},
        {"rate_burst": 3},
        {"paused": True},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_nothing_changes(
    daemon: Daemon, limits: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        limit(daemon, **limits)

    assert limit(daemon)["set"] == []


def test_a_queue_that_nobody_serves_has_no_limits() -> None:
    config = '[workers.default]\nqueues = ["default"]\n'
    with running_daemon(config) as daemon, pytest.raises(NotFound):
        daemon.call(requests.Limit(queue="gone"))
