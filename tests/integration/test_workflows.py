"""Workflows as people handle them: cancelled and tried again whole, looked at, refused, and through crashes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import AsyncResult, GroupResult, chain, chord, group, send_task, signature
from jobctl.api.session import session
from jobctl.errors import Conflict, InvalidArguments, JobRevoked, NotFound, RemoteError, UsageError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.shop import LIMIT_S, Shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASKS = """
    import os, time
    from jobctl import task

    @task
    def add(x, y):
        return x + y

    @task
    def total(numbers):
        return sum(numbers)

    @task
    def wait_for(path, value=1):
        while not os.path.exists(path):
            time.sleep(0.005)
        return value

    @task
    def needs(path, value):
        if not os.path.exists(path):
            raise ValueError("no " + path)
        return value

    @task
    def note(value, path):
        with open(path, "a") as file:
            print(value, file=file)
        return value

    @task
    def long_text(size):
        return "x" * size

    @task(unique="args")
    def only(x):
        return x
"""
TABLES = """
    [tasks.hello]
    command = ["echo", "hello"]
"""


@pytest.fixture(scope="module")
def served() -> Iterator[Daemon]:
    with running_daemon(start=False) as daemon:
        Shop(daemon).start(TASKS, TABLES, group="processes = 2", daemon='imports = ["shop"]')
        before = session.configured_socket
        session.use_socket(daemon.socket)
        yield daemon
        session.use_socket(before)


@pytest.fixture
def gate(served: Daemon, tmp_path: Path) -> Path:
    """A file for which jobs wait; it is there after the test, so that none waits on."""
    return tmp_path / "gate"


def s(name: str, *args: Any, **kwargs: Any) -> Any:
    return signature(f"shop.{name}", args, kwargs)


def states(daemon: Daemon, workflow: int | None) -> list[str]:
    assert workflow is not None
    return [job["state"] for job in daemon.call(requests.Workflow(workflow=workflow))["jobs"]]


def printed(daemon: Daemon, *words: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "jobctl", *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JOBCTL_SOCKET": str(daemon.socket)},
    )
    return done.stdout


def begun(daemon: Daemon, job: int) -> None:
    daemon.until("the job to run", lambda: daemon.status(job)["state"] == "STARTED")


# -- whole ----------------------------------------------------------------------------------------


def test_a_workflow_that_is_cancelled_ends_with_all_of_its_jobs(served: Daemon, gate: Path) -> None:
    result = (s("wait_for", str(gate)) | group(s("add", 1), s("add", 2)) | s("total")).delay()
    assert result.workflow is not None
    begun(served, result.parent.parent.id)

    answer = served.call(requests.Cancel(job=result.workflow or 0))

    assert (answer["state"], answer["gone"]) == ("REVOKED", True)
    assert states(served, result.workflow) == ["REVOKED"] * 4
    with pytest.raises(JobRevoked):
        result.get(timeout=LIMIT_S)


def test_a_workflow_is_tried_again_from_the_step_that_failed(served: Daemon, gate: Path) -> None:
    log = gate.with_name("log")
    steps = [
        s("add", 1, 1),
        s("note", str(log)),
        signature("shop.needs", (str(gate), 5), immutable=True),
    ]
    result = chord([chain(*steps), s("add", 2, 2)], s("total")).delay()
    with pytest.raises(RemoteError, match=r"was not made: job .* failed: ValueError"):
        result.get(timeout=LIMIT_S)
    until("the others to end", lambda: "PENDING" not in states(served, result.workflow))
    gate.touch()

    answer = served.call(requests.Retry(job=result.workflow or 0))

    assert len(answer["dependents"]) == 2
    assert result.get(timeout=LIMIT_S) == 9
    assert log.read_text() == "2\n"
    assert set(states(served, result.workflow)) == {"SUCCESS"}
    with pytest.raises(Conflict, match="has succeeded"):
        served.call(requests.Retry(job=result.workflow or 0))


@pytest.mark.slow
def test_a_workflow_that_was_cancelled_goes_on_where_it_stood(served: Daemon, gate: Path) -> None:
    result = (
        s("add", 1, 1) | signature("shop.wait_for", (str(gate), 7), immutable=True) | s("add", 1)
    ).delay()
    begun(served, result.parent.id)
    with pytest.raises(Conflict, match="has not ended"):
        served.call(requests.Retry(job=result.workflow or 0))
    served.call(requests.Cancel(job=result.workflow or 0))
    gate.touch()

    served.call(requests.Retry(job=result.workflow or 0))

    assert result.get(timeout=LIMIT_S) == 8


@pytest.mark.slow
def test_a_step_is_not_tried_again_alone_without_what_it_takes(served: Daemon, gate: Path) -> None:
    result = (s("needs", str(gate), 1) | s("add", 1)).delay()
    with pytest.raises(RemoteError):
        result.get(timeout=LIMIT_S)
    with pytest.raises(Conflict, match="is a step after job"):
        served.call(requests.Retry(job=result.id))
    gate.touch()
    served.call(requests.Retry(job=result.parent.id, with_dependents=True))
    assert result.get(timeout=LIMIT_S) == 2


@pytest.mark.slow
def test_wait_and_status_take_the_id_of_a_workflow(served: Daemon) -> None:
    result = group(s("add", 1, 1), s("add", 2, 2)).delay()
    assert isinstance(result, GroupResult)

    (end,) = served.call(requests.Wait(jobs=[result.id]))["jobs"]

    assert (end["state"], end["kind"]) == ("SUCCESS", "workflow")
    told = served.call(requests.Status(job=result.id))
    assert told["shape"] == ["group", *result.as_list()]
    assert served.status(result.as_list()[0])["workflow"] == result.id
    with pytest.raises(NotFound, match="is a workflow"):
        served.call(requests.Result(job=result.id))


@pytest.mark.slow
def test_the_command_line_shows_the_tree(served: Daemon) -> None:
    result = (s("add", 1, 1) | s("add", 1)).delay()
    result.get(timeout=LIMIT_S)

    shown = printed(served, "status", str(result.workflow))
    listed = printed(served, "list", "--workflows", "--limit", "1")
    told = json.loads(printed(served, "list", "--workflows", "--limit", "1", "--json"))

    assert re.search(rf"└─ {result.id} shop.add SUCCESS", shown)
    assert re.search(rf"{result.id}\t└─ shop.add\tSUCCESS", listed)
    assert told["workflows"][0]["shape"] == ["chain", result.parent.id, result.id]


@pytest.mark.slow
def test_a_command_is_a_step_that_takes_nothing(served: Daemon) -> None:
    assert (signature("hello", immutable=True) | s("add", 1, 1).clone(immutable=True)).delay().get(
        timeout=LIMIT_S
    ) == 2
    with pytest.raises(UsageError, match="is a command and takes no result"):
        (s("add", 1, 1) | signature("hello")).delay()


# -- idempotent, refused --------------------------------------------------------------------------


def test_the_same_task_id_gives_the_same_workflow(served: Daemon) -> None:
    first = (s("add", 1, 1) | s("add", 1)).apply_async(task_id="order-17")
    again = (s("add", 1, 1) | s("add", 1)).apply_async(task_id="order-17")

    assert (again.id, again.workflow, again.duplicate) == (first.id, first.workflow, True)
    with pytest.raises(Conflict, match="order-17"):
        (s("add", 1, 1) | s("add", 2)).apply_async(task_id="order-17")


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: s("add", 1, 1) | s("nothing"), NotFound, "shop.nothing"),
        (
            lambda: s("add") | s("add", 1),
            InvalidArguments,
            '"shop.add", job 1 .* needs the arguments',
        ),
        (lambda: s("add", 1, 1) | s("add", 1, 2), InvalidArguments, "3 positional"),
        (lambda: s("add", 1, object()) | s("add", 1), InvalidArguments, "argument 2"),
        (lambda: s("add", 1, 1) | s("only"), UsageError, "is unique"),
        (lambda: group(s("only", 1), s("only", 1)), Conflict, "holds it twice"),
        (lambda: group(s("add", n, n) for n in range(10_001)), UsageError, "10000 jobs at most"),
        (
            lambda: (
                group(s("add", 1, n) for n in range(400))
                | group(s("note", "x") for _ in range(400))
            ),
            UsageError,
            "wait for each other more than",
        ),
        (lambda: chain(), UsageError, "no tasks"),
        (lambda: chord([s("add", 1, 1)]), UsageError, "no body"),
        (
            lambda: s("add", 1, 1).set(task_id="a") | s("add", 1),
            UsageError,
            "no task_id of its own",
        ),
        (lambda: s("add", 1, 1).on_error(s("nothing")), NotFound, "shop.nothing"),
        (lambda: s("add", 1, 1).on_error(s("add", 1) | s("add", 1)), UsageError, "one job"),
    ],
)
def test_a_workflow_that_cannot_be_is_refused_whole(
    served: Daemon, make: Any, error: type[Exception], says: str
) -> None:
    before = served.call(requests.List(count=True))["count"]

    with pytest.raises(error, match=says) as caught:
        make().apply_async()

    assert getattr(caught.value, "hint", "")
    assert served.call(requests.List(count=True))["count"] == before


def test_a_mapping_that_is_no_signature_is_refused() -> None:
    with pytest.raises(UsageError, match="no signature"):
        signature({"name": "shop.add"})
    with pytest.raises(UsageError, match='no kind "loop"'):
        signature({"task": "a", "subtask_type": "loop"})


@pytest.mark.slow
def test_results_that_are_too_long_together_revoke_the_step(served: Daemon) -> None:
    result = chord([s("long_text", 900_000) for _ in range(18)], s("total")).delay()

    with pytest.raises(JobRevoked, match=r"results that it takes have .* bytes together"):
        result.get(timeout=LIMIT_S)


def test_a_chord_goes_on_however_its_header_ends(served: Daemon, gate: Path) -> None:
    body = s("note", str(gate.with_name("log")))
    result = chord([s("needs", str(gate), 1), s("add", 1, 1)], body, until="end").delay()

    assert result.get(timeout=LIMIT_S) == [None, 2]


# -- crashes --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_kills_of_the_daemon_neither_lose_nor_repeat_a_step() -> None:
    with running_daemon(start=False) as daemon:
        shop = Shop(daemon).start(TASKS, group="processes = 2", daemon='imports = ["shop"]')
        before = session.configured_socket
        session.use_socket(daemon.socket)
        try:
            log = daemon.folder / "log-of-steps"
            results: list[AsyncResult[Any]] = []
            for round in range(3):
                for number in range(20):
                    header = [s("add", number, n) | s("note", str(log)) for n in range(5)]
                    results.append(chord(header, s("total")).delay())
                daemon.kill()
                daemon.start()
                assert send_task("shop.add", [1, round]).get(timeout=LIMIT_S) == 1 + round
            values = [result.get(timeout=LIMIT_S) for result in results]
        finally:
            session.use_socket(before)
        assert shop is not None
        assert values == [5 * (n % 20) + 10 for n in range(60)]
        assert len(log.read_text().splitlines()) == 300
