"""Jobs that wait for others: who goes on, who is revoked, what a fresh round takes with it."""

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
[tasks.hold]
shell = 'until [ -e "$1" ]; do sleep 0.01; done; exit "$(cat "$1")"'
[tasks.quick]
shell = "true"
[tasks.one]
shell = "true"
unique = "task"
"""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(CONFIG) as started:
        yield started


def hold(daemon: Daemon, name: str, **options: Any) -> int:
    """A job that ends with the exit code that `let` gives it."""
    return daemon.submit(task="hold", args=[str(daemon.folder / name)], **options)


def let(daemon: Daemon, name: str, code: int) -> None:
    unfinished = daemon.folder / f"{name}.unfinished"
    unfinished.write_text(str(code))
    unfinished.rename(daemon.folder / name)


def states(daemon: Daemon, *jobs: int) -> list[str]:
    return [daemon.status(job)["state"] for job in jobs]


def test_a_job_waits_until_all_that_it_names_have_succeeded(daemon: Daemon) -> None:
    first, second = hold(daemon, "a"), hold(daemon, "b")
    last = daemon.submit(task="quick", after=[first, second])
    told = daemon.status(last)
    assert (told["state"], told["reason"]) == (
        "PENDING",
        f"waits for the success of job {first} and 1 more",
    )

    let(daemon, "a", 0)
    daemon.wait(first)
    assert states(daemon, last) == ["PENDING"]
    let(daemon, "b", 0)

    assert daemon.ended(last)["state"] == "SUCCESS"
    assert [one["status"] for one in daemon.status(last)["after"]] == ["met", "met"]


def test_a_failure_revokes_what_waits_and_what_waits_for_that(daemon: Daemon) -> None:
    first = hold(daemon, "a")
    second = daemon.submit(task="quick", after=[first])
    third = daemon.submit(task="quick", after=[second])
    other = daemon.submit(task="quick", after_any=[second])

    let(daemon, "a", 3)
    daemon.wait(second, third, other)

    assert states(daemon, first, second, third, other) == [
        "FAILURE",
        "REVOKED",
        "REVOKED",
        "SUCCESS",
    ]
    assert daemon.status(second)["reason"] == f"job {first} is FAILURE"
    assert daemon.status(third)["reason"] == f"job {second} is REVOKED"


@pytest.mark.parametrize("until", ["after", "after_any"])
def test_a_cancelled_job_is_an_end_and_no_success(daemon: Daemon, until: str) -> None:
    first = hold(daemon, "a")
    wanted: dict[str, Any] = {until: [first]}
    second = daemon.submit(task="quick", **wanted)

    daemon.call(requests.Cancel(job=first))

    assert daemon.ended(second)["state"] == ("REVOKED" if until == "after" else "SUCCESS")


def test_what_ended_before_the_submit_counts(daemon: Daemon) -> None:
    good, bad = daemon.submit(task="quick"), daemon.shell("false")
    daemon.wait(good, bad)

    (after_good, after_bad, after_end) = daemon.call(
        requests.Submit(
            jobs=[
                {"task": "quick", "after": [good]},
                {"task": "quick", "after": [good, bad]},
                {"task": "quick", "after": [good], "after_any": [bad]},
            ]
        )
    )["jobs"]

    assert [job["state"] for job in (after_good, after_bad, after_end)] == [
        "PENDING",
        "REVOKED",
        "PENDING",
    ]
    daemon.wait(after_good["id"], after_bad["id"], after_end["id"])
    assert states(daemon, after_good["id"], after_bad["id"], after_end["id"]) == [
        "SUCCESS",
        "REVOKED",
        "SUCCESS",
    ]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"after": [999]}, NotFound),
        ({"after": [1], "after_any": [1]}, UsageError),
        ({"after": [1] * 1001}, UsageError),
        ({"after": [-1]}, NotFound),
    ],
)
def test_what_cannot_be_waited_for_is_refused_and_nothing_is_made(
    daemon: Daemon, wanted: dict[str, Any], error: type[Exception]
) -> None:
    assert daemon.submit(task="quick") == 1

    with pytest.raises(error):
        daemon.submit(task="quick", **wanted)

    assert daemon.call(requests.List(count=True))["count"] == 1


def test_a_time_of_its_own_is_waited_for_after_the_others(daemon: Daemon) -> None:
    first = hold(daemon, "a")
    second = daemon.submit(task="quick", after=[first], delay_s=3600)
    let(daemon, "a", 0)
    daemon.wait(first)

    assert daemon.status(second)["reason"] == "waits for its time"


def test_everything_holds_over_a_killed_daemon(daemon: Daemon) -> None:
    first = hold(daemon, "a")
    second = daemon.submit(task="quick", after=[first])
    third = daemon.submit(task="quick", after=[second])
    daemon.kill()
    let(daemon, "a", 0)
    daemon.start()

    daemon.wait(third)

    assert states(daemon, first, second, third) == ["SUCCESS"] * 3


def test_a_long_chain_behind_a_failure_is_revoked_at_once(daemon: Daemon) -> None:
    first = hold(daemon, "a")
    last = first
    for _ in range(300):
        last = daemon.submit(task="quick", after=[last])
    let(daemon, "a", 1)

    assert daemon.ended(last)["state"] == "REVOKED"
    assert daemon.call(requests.List(states=["REVOKED"], count=True))["count"] == 300


@pytest.mark.slow
def test_many_jobs_before_one(daemon: Daemon) -> None:
    many = daemon.submit_many([{"task": "quick"}] * 500)
    last = daemon.submit(task="quick", after=many)

    daemon.wait(last)

    ended = {job: daemon.status(job)["finished_at"] for job in (many[0], many[-1], last)}
    assert ended[last] == max(ended.values())


def test_a_fresh_round_takes_those_along_that_waited_in_vain(daemon: Daemon) -> None:
    first, other = hold(daemon, "a"), daemon.shell("false")
    second = daemon.submit(task="quick", after=[first])
    third = daemon.submit(task="quick", after=[second, first])
    both = daemon.submit(task="quick", after=[first, other])
    daemon.wait(other)
    let(daemon, "a", 1)
    daemon.wait(first, second, third, both)
    let(daemon, "a", 0)

    answer = daemon.call(requests.Retry(job=first, with_dependents=True))

    assert answer == {"id": first, "state": "PENDING", "dependents": [second, third]}
    daemon.wait(first, second, third)
    assert states(daemon, first, second, third, both) == ["SUCCESS"] * 3 + ["REVOKED"]


def test_a_fresh_round_of_a_job_alone_runs_although_it_waited_in_vain(daemon: Daemon) -> None:
    first = daemon.shell("false")
    second = daemon.submit(task="quick", after=[first])
    daemon.wait(second)

    daemon.call(requests.Retry(job=second))

    assert daemon.ended(second)["state"] == "SUCCESS"


def test_a_fresh_round_waits_again_for_what_has_not_ended(daemon: Daemon) -> None:
    first = hold(daemon, "a")
    second = daemon.submit(task="quick", after=[first])
    daemon.call(requests.Cancel(job=second))

    daemon.call(requests.Retry(job=second))

    assert daemon.status(second)["reason"] == f"waits for the success of job {first}"
    let(daemon, "a", 0)
    assert daemon.ended(second)["state"] == "SUCCESS"


def test_a_unique_job_that_waits_for_others_is_there(daemon: Daemon) -> None:
    first = hold(daemon, "a")
    second = daemon.submit(task="one", after=[first])

    assert daemon.submit(task="one") == second
