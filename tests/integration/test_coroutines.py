"""Coroutine functions, many at once in one worker (``pool = "async"``)."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import JobctlError
from jobctl.protocol import requests
from tests.support.configurations import CODE
from tests.support.daemon import running_daemon
from tests.support.processes import is_running, pids_in

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]
MANY = (
    "double",
    "meet",
    "nap",
    "hold",
    "note_and_hold",
    "clean_up",
    "come_to_an_end",
    "stubborn",
    "block",
    "talk",
    "report",
    "fail",
    "leave_the_loop",
    "fork",
    "wander",
    "look",
    "eat",
)
USER = 'user = "root"\n' if os.geteuid() == 0 else ""


def many(options: dict[str, str] | None = None, *, group: str = "processes = 1\n") -> str:
    """A configuration with every coroutine function as a task of a group of its own kind."""
    tables = [f'[workers.io]\npool = "async"\npythonpath = ["{CODE}"]\n{USER}{group}']
    for name in MANY:
        extra = (options or {}).get(name, "")
        tables.append(f'[tasks.{name}]\nfunction = "many:{name}"\n{extra}')
    return "\n".join(tables)


def submit(daemon: Daemon, task: str, *args: Any, **options: Any) -> int:
    return daemon.submit(task=task, args=list(args), typed=True, **options)


def submit_many(daemon: Daemon, task: str, rows: list[list[Any]], **options: Any) -> list[int]:
    jobs = [{"task": task, "args": row, "typed": True, **options} for row in rows]
    return daemon.submit_many(jobs)


def hold(daemon: Daemon, **options: Any) -> tuple[int, Path, int]:
    """A job that waits until its file exists: id, file, and the pid that runs it."""
    names = os.urandom(3).hex()
    began, go = daemon.folder / f"began-{names}", daemon.folder / f"go-{names}"
    job = submit(daemon, "hold", str(began), str(go), **options)
    (pid, *_) = daemon.until("the coroutine to run", lambda: pids_in(began))
    return job, go, pid


def begun(daemon: Daemon, task: str, *args: Any, **options: Any) -> tuple[int, int]:
    """A job of a function that says who runs it: id and pid."""
    began = daemon.folder / f"began-{os.urandom(3).hex()}"
    job = submit(daemon, task, str(began), *args, **options)
    (pid, *_) = daemon.until("the coroutine to run", lambda: pids_in(began))
    return job, pid


def outcome(daemon: Daemon, job: int) -> dict[str, Any]:
    (attempt,) = daemon.ended(job)["attempts"]
    found: dict[str, Any] = attempt
    return found


# -- side by side ----------------------------------------------------------------------------------


def test_a_thousand_run_at_once_in_one_process() -> None:
    """Each of them ends only when all have begun."""
    with running_daemon(many()) as daemon:
        ids = submit_many(daemon, "meet", [[1000]] * 1000)

        ended = daemon.wait(*ids)

        assert {job["state"] for job in ended} == {"SUCCESS"}
        (worker,) = daemon.workers("function")
        assert {daemon.status(job)["result"] for job in ids[::50]} == {worker["pid"]}


def test_no_more_run_at_once_than_the_group_says() -> None:
    with running_daemon(many(group="processes = 1\nconcurrency = 3\n")) as daemon:
        ledger, go = daemon.folder / "ledger", daemon.folder / "go"
        rows = [[str(ledger), f"n{number}", str(go)] for number in range(7)]
        ids = submit_many(daemon, "note_and_hold", rows)
        daemon.until(
            "three to begin", lambda: ledger.exists() and len(ledger.read_text().split()) >= 3
        )
        states = [daemon.status(job)["state"] for job in ids]
        assert states == ["STARTED"] * 3 + ["PENDING"] * 4
        assert len(ledger.read_text().split()) == 3

        go.touch()

        assert {job["state"] for job in daemon.wait(*ids)} == {"SUCCESS"}


def test_values_and_exceptions_come_back() -> None:
    with running_daemon(many()) as daemon:
        good, bad = submit(daemon, "double", 4), submit(daemon, "fail", "no such shelf")

        assert daemon.ended(good)["result"] == 8
        error = outcome(daemon, bad)["error"]
        assert (error["type"], error["message"]) == ("ValueError", "no such shelf")
        assert "in fail" in error["traceback"]
        assert "coroutines.py" not in error["traceback"]


def test_each_job_has_what_it_printed_and_nothing_of_others() -> None:
    with running_daemon(many()) as daemon:
        ids = submit_many(daemon, "talk", [[f"w{number}", 20] for number in range(30)])
        daemon.wait(*ids)

        for number, job in enumerate(ids):
            word = f"w{number}"
            said = [*(f"{word} {line}" for line in range(20)), f"{word} thread", f"{word} log"]
            assert daemon.output(job).split("\n") == [*said, ""]


def test_each_job_says_how_far_it_has_come() -> None:
    with running_daemon(many()) as daemon:
        go = daemon.folder / "go"
        jobs = [begun_with(daemon, number, str(go)) for number in (1, 2, 3)]
        shown = [daemon.status(job)["progress"] for job in jobs]
        assert [(each["done"], each["total"]) for each in shown] == [(1, 4), (2, 4), (3, 4)]
        go.touch()
        daemon.wait(*jobs)
        assert daemon.status(jobs[0])["progress"] is None


def begun_with(daemon: Daemon, done: int, go: str) -> int:
    began = daemon.folder / f"began-{done}"
    job = submit(daemon, "report", done, 4, str(began), go)
    daemon.until("the coroutine to run", lambda: pids_in(began))
    return job


def test_what_a_job_does_to_its_surroundings_is_gone_when_its_worker_is_idle() -> None:
    with running_daemon(many()) as daemon:
        assert daemon.ended(submit(daemon, "wander"))["result"] == "/usr"
        assert daemon.ended(submit(daemon, "look"))["result"] == ["/", None]


def test_a_job_that_stops_the_loop_or_exits_ends_itself_only() -> None:
    with running_daemon(many()) as daemon:
        job, go, pid = hold(daemon)
        assert outcome(daemon, submit(daemon, "leave_the_loop"))["error"]["type"] == "SystemExit"
        go.touch()
        assert daemon.ended(job)["result"] == "went"
        assert is_running(pid)


def test_a_fork_of_user_code_does_not_go_on_with_the_jobs_of_its_worker() -> None:
    with running_daemon(many()) as daemon:
        ledger = daemon.folder / "ledger"
        job, fork = begun(daemon, "fork", str(ledger))

        assert daemon.ended(job)["result"] == "the parent"
        daemon.until("the fork to end", lambda: not is_running(fork))
        assert str(fork) not in ledger.read_text().split()


# -- deaths ----------------------------------------------------------------------------------------


def test_a_killed_worker_loses_what_had_begun_and_nothing_else() -> None:
    """Known by the marks: who had begun is lost or has ended, the others run as if nothing had been."""
    with running_daemon(many(group="processes = 1\nconcurrency = 20\n")) as daemon:
        ledger, go = daemon.folder / "ledger", daemon.folder / "go"
        done = submit_many(daemon, "double", [[number] for number in range(50)])
        daemon.wait(*done)
        rows = [[str(ledger), f"n{number}", str(go)] for number in range(30)]
        ids = submit_many(daemon, "note_and_hold", rows)
        daemon.until(
            "twenty to begin", lambda: ledger.exists() and len(ledger.read_text().split()) == 20
        )
        (worker,) = daemon.workers("function")

        os.kill(worker["pid"], signal.SIGKILL)
        go.touch()

        ended = daemon.wait(*ids)
        assert [job["state"] for job in ended] == ["FAILURE"] * 20 + ["SUCCESS"] * 10
        said = ledger.read_text().split()
        assert sorted(said) == sorted(f"n{number}" for number in range(30))
        lost = outcome(daemon, ids[0])
        assert (lost["outcome"], lost["signal"]) == ("lost", signal.SIGKILL)
        assert {len(daemon.status(job)["attempts"]) for job in ids} == {1}
        assert {job["state"] for job in daemon.wait(*done)} == {"SUCCESS"}


@pytest.mark.slow
def test_a_killed_daemon_ends_none_of_them_and_the_next_one_takes_them_over() -> None:
    with running_daemon(many(group="processes = 1\nconcurrency = 100\n")) as daemon:
        ledger, go = daemon.folder / "ledger", daemon.folder / "go"
        rows = [[str(ledger), f"n{number}", str(go)] for number in range(130)]
        ids = submit_many(daemon, "note_and_hold", rows)
        daemon.until(
            "a hundred to begin", lambda: ledger.exists() and len(ledger.read_text().split()) == 100
        )
        daemon.kill()
        daemon.start()
        assert daemon.status(ids[0])["state"] == "STARTED"
        daemon.kill()
        # Some end while no daemon runs: their outcomes are records.
        go.touch()
        daemon.until(
            "their records",
            lambda: len(list(daemon.state_dir.glob("run/*/outcomes/*.json"))) == 100,
        )

        daemon.start()

        assert {job["state"] for job in daemon.wait(*ids)} == {"SUCCESS"}
        assert sorted(ledger.read_text().split()) == sorted(f"n{number}" for number in range(130))
        assert {len(daemon.status(job)["attempts"]) for job in ids} == {1}
        assert not list(daemon.state_dir.glob("run/*/outcomes/*.json"))


def test_worker_and_daemon_killed_together_leave_it_known_what_had_begun() -> None:
    with running_daemon(many(group="processes = 1\nconcurrency = 5\n")) as daemon:
        ledger, go = daemon.folder / "ledger", daemon.folder / "go"
        rows = [[str(ledger), f"n{number}", str(go)] for number in range(8)]
        ids = submit_many(daemon, "note_and_hold", rows)
        daemon.until(
            "five to begin", lambda: ledger.exists() and len(ledger.read_text().split()) == 5
        )
        (worker,) = daemon.workers("function")
        daemon.kill()
        os.kill(worker["pid"], signal.SIGKILL)
        go.touch()

        daemon.start()

        states = [job["state"] for job in daemon.wait(*ids)]
        assert states == ["FAILURE"] * 5 + ["SUCCESS"] * 3
        assert sorted(ledger.read_text().split()) == sorted(f"n{number}" for number in range(8))


# -- stopping one ----------------------------------------------------------------------------------


def test_a_cancelled_job_cleans_up_and_the_others_go_on() -> None:
    with running_daemon(many()) as daemon:
        other, go, pid = hold(daemon)
        cleaned = daemon.folder / "cleaned"
        job, _ = begun(daemon, "clean_up", str(cleaned))

        daemon.call(requests.Cancel(job=job))

        assert daemon.ended(job)["state"] == "REVOKED"
        assert outcome(daemon, job)["outcome"] == "cancelled"
        assert pids_in(cleaned) == [pid]
        go.touch()
        assert daemon.ended(other)["result"] == "went"
        assert is_running(pid)


def test_a_job_over_its_limit_is_cancelled_alone() -> None:
    with running_daemon(many({"clean_up": 'timeout = "200ms"'})) as daemon:
        other, go, pid = hold(daemon)
        cleaned = daemon.folder / "cleaned"
        ids = [begun(daemon, "clean_up", str(cleaned))[0] for _ in range(3)]

        found = [outcome(daemon, job) for job in ids]

        assert {attempt["outcome"] for attempt in found} == {"timeout"}
        assert found[0]["error"]["message"] == "stopped at its time limit"
        assert pids_in(cleaned) == [pid] * 3
        go.touch()
        assert daemon.ended(other)["result"] == "went"


def test_a_job_at_its_soft_limit_may_come_to_an_end_by_itself() -> None:
    options = {"come_to_an_end": 'soft_timeout = "100ms"', "clean_up": 'soft_timeout = "100ms"'}
    with running_daemon(many(options)) as daemon:
        cleaned = daemon.folder / "cleaned"
        good, pid = begun(daemon, "come_to_an_end")
        bad, _ = begun(daemon, "clean_up", str(cleaned))

        assert daemon.ended(good)["result"] == "so far"
        attempt = outcome(daemon, bad)
        assert attempt["outcome"] == "timeout"
        assert attempt["error"]["type"] == "jobctl.SoftTimeout"
        assert pids_in(cleaned) == [pid]


def test_jobs_with_limits_run_side_by_side() -> None:
    with running_daemon(many({"meet": 'timeout = "60s"'})) as daemon:
        ids = submit_many(daemon, "meet", [[50]] * 50)
        assert {job["state"] for job in daemon.wait(*ids)} == {"SUCCESS"}


@pytest.mark.slow
def test_a_job_that_cannot_be_cancelled_takes_its_worker_with_it_when_others_had_time() -> None:
    """Another worker takes over as soon as that is known; what still ran then says why it is lost."""
    with running_daemon(many({"stubborn": 'timeout = "100ms"'})) as daemon:
        other, _, pid = hold(daemon)
        job, _ = begun(daemon, "stubborn")
        daemon.until(
            "another worker to serve",
            lambda: any(
                w["phase"] == "serving" and w["pid"] != pid for w in daemon.workers("function")
            ),
        )
        assert is_running(pid)
        _, go, second = hold(daemon)
        assert second != pid
        go.touch()

        assert outcome(daemon, job)["outcome"] == "timeout"
        lost = outcome(daemon, other)
        assert lost["outcome"] == "lost"
        assert lost["error"]["message"] == (
            f"its worker was ended because another job in it, {job}, could not be stopped alone"
        )
        assert not is_running(pid)


# -- who blocks the loop ---------------------------------------------------------------------------


def test_a_job_that_blocks_the_loop_is_named_and_what_waits_runs_elsewhere() -> None:
    with running_daemon(many(group="processes = 2\nconcurrency = 10\n")) as daemon:
        go = daemon.folder / "go"
        job, pid = begun(daemon, "block", str(go))

        # More than the other one takes: some of them are handed to the worker that is blocked.
        ids = submit_many(daemon, "double", [[number] for number in range(20)])

        assert [daemon.ended(found)["result"] for found in ids] == [2 * n for n in range(20)]

        def blocked() -> dict[int, int | None]:
            return {w["pid"]: w["blocked_by"] for w in daemon.workers("function")}

        # The other worker may have been quicker than the while after which a loop counts as blocked.
        daemon.until("the job to be named", lambda: blocked()[pid] == job)
        assert {by for other, by in blocked().items() if other != pid} == {None}
        daemon.until("it to be told", lambda: "begins nothing any more" in daemon.log())
        go.touch()
        assert daemon.ended(job)["result"] == "went"
        daemon.until("it to be told", lambda: "held up every other job" in daemon.log())


# -- replacing a worker ----------------------------------------------------------------------------


def test_a_worker_that_has_run_its_share_is_replaced_while_its_last_jobs_run() -> None:
    group = "processes = 1\nconcurrency = 10\nmax_tasks_per_child = 12\n"
    with running_daemon(many(group=group)) as daemon:
        holds = [hold(daemon) for _ in range(2)]
        first = holds[0][2]
        daemon.wait(*submit_many(daemon, "double", [[number] for number in range(20)]))
        third = hold(daemon)
        assert third[2] != first
        assert is_running(first)
        for job, go, _ in (*holds, third):
            go.touch()
            assert daemon.ended(job)["result"] == "went"
        daemon.until("the first to go", lambda: not is_running(first))


def test_a_worker_that_has_grown_is_replaced_when_another_one_serves() -> None:
    group = 'processes = 1\nmax_memory_per_child = "120MiB"\n'
    with running_daemon(many(group=group)) as daemon:
        other, go, pid = hold(daemon)
        assert daemon.ended(submit(daemon, "eat", 150))["result"] == pid
        daemon.until(
            "another one alone to take jobs",
            lambda: (
                [w["pid"] != pid for w in daemon.workers("function") if not w["retiring"]] == [True]
            ),
        )
        assert is_running(pid)
        go.touch()
        assert daemon.ended(other)["result"] == "went"
        daemon.until("the grown one to go", lambda: not is_running(pid))


def test_a_grown_worker_of_one_job_at_a_time_is_replaced_too() -> None:
    group = f'[workers.default]\nprocesses = 1\nmax_memory_per_child = "120MiB"\npythonpath = ["{CODE}"]\n{USER}'
    with running_daemon(f'{group}\n[tasks.eat]\nfunction = "many:eat"\n') as daemon:
        small = daemon.ended(submit(daemon, "eat", 1))["result"]
        assert daemon.ended(submit(daemon, "eat", 150))["result"] == small
        daemon.until("the grown one to go", lambda: not is_running(small))
        assert daemon.ended(submit(daemon, "eat", 1))["result"] != small
        assert "has grown beyond max_memory_per_child" in daemon.log()


# -- what a pool cannot keep -----------------------------------------------------------------------


def test_a_plain_function_is_refused_where_only_coroutines_run() -> None:
    with running_daemon(many()) as daemon:
        daemon.config.write_text(f'{many()}\n[tasks.plain]\nfunction = "many:plain"\n')
        with pytest.raises(JobctlError, match="many:plain is no coroutine function"):
            daemon.call(requests.Reload())
        assert daemon.ended(submit(daemon, "double", 1))["result"] == 2


def test_what_the_page_on_coroutines_shows_runs() -> None:
    page = (ROOT / "docs/how-to/coroutines.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    tables, _ = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    with running_daemon(start=False) as daemon:
        package = daemon.folder / "shop"
        package.mkdir()
        (package / "hooks.py").write_text(code)
        group = f'[workers.io]\npythonpath = ["{daemon.folder}"]\n{USER}'
        daemon.config.write_text(tables.replace("[workers.io]\n", group))
        daemon.start()

        jobs = submit_many(daemon, "call", [[f"https://example.org/{n}"] for n in range(100)])

        assert {job["state"] for job in daemon.wait(*jobs)} == {"SUCCESS"}
        assert daemon.status(jobs[7])["result"] == "https://example.org/7"


def test_a_coroutine_function_runs_in_a_prefork_worker_as_well() -> None:
    tables = f'[workers.default]\npythonpath = ["{CODE}"]\n{USER}'
    tasks = "".join(f'[tasks.{name}]\nfunction = "many:{name}"\n' for name in ("double", "fail"))
    with running_daemon(f"{tables}\n{tasks}") as daemon:
        assert daemon.ended(submit(daemon, "double", 4))["result"] == 8
        assert outcome(daemon, submit(daemon, "fail", "x"))["error"]["type"] == "ValueError"
