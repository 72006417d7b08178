"""The example project of Django, run as its users run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.errors import JobctlError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Project:
    """A copy of the example, with a database and a daemon's file."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.folder = daemon.folder / "django"
        shutil.copytree(
            ROOT / "examples/django", self.folder, ignore=shutil.ignore_patterns("__pycache__")
        )
        daemon.config = self.folder / "jobctl.toml"
        daemon.socket = self.folder / "jobctl.sock"
        daemon.state_dir = self.folder / "jobctl-state"
        # As a user types it: everything else stands in the settings.
        become = f"import os, sys; os.execv(sys.executable, [sys.executable, {str(self.folder / 'manage.py')!r}, 'jobctl', 'daemon'])"
        daemon.launcher = (sys.executable, "-c", become)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("JOBCTL_")
        }
        daemon.environment = {**self.environment, "TZ": "UTC"}
        self.manage("migrate", "-v0")
        daemon.config.write_text(self.manage("jobctl_config"))

    def manage(self, *arguments: str, code: int = 0) -> str:
        """What a command of ``manage.py`` prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr + self.daemon.log()
        return done.stdout if code == 0 else done.stderr

    def holders(self) -> list[int]:
        """Templates and workers that have the database open."""
        path = str(self.folder / "bookshop.sqlite3")
        return [
            pid
            for pid in self.daemon.processes()
            if any(os.path.realpath(fd) == path for fd in Path(f"/proc/{pid}/fd").iterdir())
        ]


@pytest.fixture
def project() -> Iterator[Project]:
    with running_daemon(start=False) as daemon:
        yield Project(daemon)


@pytest.mark.slow
def test_the_example_project_runs(project: Project) -> None:
    daemon = project.daemon.start()
    with serving(
        [
            *(sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0"),
            *("--threads", "2", "--no-control-socket", "bookshop.wsgi"),
        ],
        project.folder,
        project.environment,
    ) as web:
        assert web.ask("/orders", {"book": "Emma", "copies": 2}) == (201, {"number": 1})
        daemon.until("the order to be confirmed", lambda: web.ask("/orders/1")[1]["is_confirmed"])
        assert web.ask("/orders", {"book": "Emma", "copies": 1000})[0] == 409
        assert web.ask("/orders/2")[0] == 404
    # What was rolled back has left no job.
    (job,) = daemon.call(requests.List())["jobs"]
    assert (job["task"], job["args"]) == ("orders.tasks.confirm", [1])
    plan = daemon.call(requests.Inspect(what="conf"))
    nightly = plan["schedules"]["nightly"]
    assert (nightly["expression"], nightly["timezone"]) == ("30 2 * * *", "Europe/Berlin")
    # Nothing holds the database between two attempts: neither a worker nor the template it was forked from.
    shown = "from orders.tasks import count_open, find; print(count_open.delay().get(60), find.delay('Emma').get(60))"
    assert project.manage("shell", "-v0", "-c", shown) == "0 [1]\n"
    assert project.holders() == []
    # manage.py jobctl is jobctl, with the settings of the project.
    assert "no job 999" in project.manage("jobctl", "status", "999", code=4)
    called = "from django.core.management import call_command as c; c('jobctl', 'reload'); c('jobctl', 'status', '9')"
    assert "exit code 4" in project.manage("shell", "-v0", "-c", called, code=4)


@pytest.mark.slow
def test_the_tests_of_the_example_pass_without_a_daemon(project: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "manage.py", "test"],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr


@pytest.mark.slow
def test_a_module_of_tasks_that_cannot_be_imported_is_named_and_hinders_no_other(
    project: Project,
) -> None:
    (project.folder / "broken").mkdir()
    (project.folder / "broken/tasks.py").write_text("import nothing_of_this_name")
    settings = project.folder / "bookshop/settings.py"
    settings.write_text(settings.read_text().replace('["orders", ', '["broken", "orders", '))
    project.daemon.start()
    assert "broken.tasks" in project.daemon.log()
    counted = project.daemon.submit(task="orders.tasks.count_open")
    assert project.daemon.ended(counted)["state"] == "SUCCESS"
    # Somebody else's module that needs what is not installed can be left out.
    with settings.open("a") as file:
        file.write('JOBCTL_TASKS_OF = ["order"]\n')
    with pytest.raises(JobctlError, match=r"bookshop\.settings cannot be imported") as refused:
        project.daemon.call(requests.Reload())
    assert 'SettingError: JOBCTL_TASKS_OF names "order", which is no' in refused.value.message
    settings.write_text(settings.read_text().replace('["order"]', '["orders"]'))
    project.daemon.call(requests.Reload())


@pytest.mark.slow
def test_an_application_of_celery_finds_the_tasks_of_django(project: Project) -> None:
    (project.folder / "bookshop/celery.py").write_text(
        """
from jobctl.contrib.celery import Celery
app = Celery("bookshop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""
    )
    (project.folder / "orders/tasks.py").write_text(
        """
from jobctl.contrib.celery import shared_task
from orders.models import Order
@shared_task
def count_open(): return Order.objects.count()
"""
    )
    config = project.daemon.config.read_text()
    project.daemon.config.write_text(
        config.replace("jobctl.contrib.django.worker", "bookshop.celery")
    )
    project.daemon.start()
    counted = "from django.db import transaction; from orders.tasks import count_open as count; transaction.atomic()(lambda: print(count.apply_async_on_commit(link=count.si())))(); print(count.delay().get(60))"
    assert project.manage("shell", "-v0", "-c", counted) == "None\n0\n"
    # The one that was submitted at the commit, the one that follows it, and the one at once.
    assert len(project.daemon.call(requests.List())["jobs"]) == 3
    assert project.holders() == []
