"""The examples for Flask and FastAPI, behind the servers that their users have."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.protocol import requests
from tests.support.daemon import running_daemon
from tests.support.waiting import PATIENCE
from tests.support.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(start=False) as daemon:
        yield daemon


def start(daemon: Daemon, example: str, imports: str, group: str) -> tuple[Path, dict[str, str]]:
    """A copy of the example and a daemon for it."""
    folder = daemon.folder / example
    ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3")
    shutil.copytree(ROOT / "examples" / example, folder, ignore=ignored)
    me = pwd.getpwuid(os.geteuid()).pw_name
    daemon.config.write_text(
        f'[daemon]\nimports = ["{imports}"]\n'
        f'[workers.default]\ncwd = "{folder}"\nuser = "{me}"\n{group}\n'
    )
    daemon.start()
    return folder, {**os.environ, "JOBCTL_SOCKET": str(daemon.socket)}


@pytest.mark.slow
def test_a_task_of_flask_has_the_context_of_the_application(daemon: Daemon) -> None:
    folder, environment = start(daemon, "flask", "worker", "processes = 1")
    command = [
        *(sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket"),
        *("--workers", "2", "--threads", "2", "app:create_app()"),
    ]
    with serving(command, folder, environment) as web:
        code, order = web.ask("/orders", {"book": "Emma"})
        assert (code, order["number"]) == (201, 1)
        confirmed = {"state": "SUCCESS", "result": "app: order 1 is confirmed"}
        daemon.until("the job to end", lambda: web.ask(f"/jobs/{order['job']}")[1] == confirmed)
        assert web.ask("/orders/1") == (200, {"book": "Emma", "note": "confirmed"})
        assert web.ask("/jobs/999")[0] == 404
    # Its teardown function has closed the database in the worker, too.
    (worker,) = daemon.workers("function")
    held = [os.path.realpath(fd) for fd in Path(f"/proc/{worker['pid']}/fd").iterdir()]
    assert str(folder / "shop.sqlite3") not in held


@pytest.mark.slow
def test_requests_of_fastapi_wait_for_jobs_side_by_side(daemon: Daemon) -> None:
    folder, environment = start(daemon, "fastapi", "tasks", 'pool = "async"\nconcurrency = 10')
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "app:app"]
    with serving(command, folder, environment) as web:

        def submit(*prices: int) -> Any:
            code, answer = web.ask("/totals", {"prices": prices})
            assert code == 202
            return answer["job"]

        # A request that waits for what does not end holds nobody up: one process, one loop.
        later = daemon.shell("true", delay_s=3600)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(web.ask, f"/totals/{later}?seconds=3600")
            first, wrong = submit(199, 250), submit(-1)
            assert web.ask(f"/totals/{first}?seconds=60") == (200, {"total": 449})
            code, answer = web.ask(f"/totals/{wrong}?seconds=60")
            told = f"job {wrong} failed: ValueError: a price below zero"
            assert (code, answer["detail"]) == (500, told)
            assert web.ask("/totals/999")[0] == 404
            assert web.ask(f"/totals/{later}?seconds=0") == (200, {"total": None})
            assert not waiting.done()
            daemon.call(requests.Cancel(job=later))
            assert waiting.result(60 * PATIENCE)[0] == 500
