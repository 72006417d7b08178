"""``jobctl import celery-beat``: an application is read in a process of its own, and what comes of it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import CompletedProcess, run
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
import tomli
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.config import load_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    Import = Callable[..., CompletedProcess[str]]

SCHEMA = json.loads((Path(shapes.__file__).parent / "schemas/import-celery-beat.json").read_text())

TASKS = "def add(x, y=0):\n    print('added')\n    return x + y\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    (tmp_path / "shop/tasks.py").write_text(TASKS)
    return tmp_path


@pytest.fixture
def imported(folder: Path) -> Import:
    """Types ``jobctl import celery-beat …`` in the application's folder."""

    def type_line(*words: str) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "jobctl", "import", "celery-beat", *words]
        root = str(Path(__file__).parents[2])
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": root}
        return run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)

    return type_line


def settings(folder: Path, text: str) -> None:
    (folder / "shop/settings.py").write_text(dedent(text))


@pytest.mark.parametrize("name", ["beat_schedule", "CELERYBEAT_SCHEDULE", "CELERY_BEAT_SCHEDULE"])
def test_settings_of_all_ages_become_a_configuration_that_is_valid(
    imported: Import, folder: Path, name: str
) -> None:
    settings(
        folder,
        f"""
        from datetime import timedelta
        print("a module that prints")
        {name} = {{
            "every minute": {{"task": "shop.tasks.add", "schedule": timedelta(minutes=1), "args": (1,)}},
        }}
        """,
    )

    done = imported("shop.settings")

    assert done.returncode == 0, done.stderr
    read = tomli.loads(done.stdout)
    assert read["tasks"] == {"shop.tasks.add": {"function": "shop.tasks:add"}}
    assert read["schedules"]["every-minute"]["every"] == "1m"
    config = folder / "jobctl.toml"
    config.write_text('[workers.default]\nuser = "root"\n\n' + done.stdout)
    assert [spec.name for spec in load_in_child(config).schedules] == ["every-minute"]
    assert "a module that prints" in done.stderr


def test_a_table_of_the_schedule_alone_is_enough(imported: Import, folder: Path) -> None:
    settings(folder, "PLAN = {'a': {'task': 'shop.tasks.add', 'schedule': 5, 'args': [1]}}")

    assert tomli.loads(imported("shop.settings:PLAN").stdout)["schedules"]["a"]["every"] == "5s"


def test_json_tells_each_entry_and_the_text(imported: Import, folder: Path) -> None:
    settings(
        folder,
        """
        from datetime import date
        beat_schedule = {
            "good": {"task": "shop.tasks.add", "schedule": 5, "args": [1]},
            "bad": {"task": "shop.tasks.add", "schedule": 5, "args": [date(2026, 1, 1)]},
        }
        """,
    )

    answer = json.loads(imported("shop.settings", "--json").stdout)

    Draft202012Validator(SCHEMA).validate(answer)
    assert [entry["verdict"] for entry in answer["entries"]] == ["clean", "decision"]
    assert set(tomli.loads(answer["toml"])["schedules"]) == {"good"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere cannot be imported: ModuleNotFoundError"),
        (("shop.tasks",), "shop.tasks holds no beat schedule"),
        (("shop.tasks:nothing",), "shop.tasks has no nothing"),
        (("shop.broken",), "shop.broken cannot be imported: ZeroDivisionError"),
        (("shop.leaves",), "ended with 7 and without an answer"),
        (("shop.tasks", "--python", "/nonexistent/python"), "cannot be started"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    imported: Import, folder: Path, words: tuple[str, ...], said: str
) -> None:
    (folder / "shop/broken.py").write_text("1 / 0\n")
    (folder / "shop/leaves.py").write_text("import os\nos._exit(7)\n")

    done = imported(*words)

    assert (done.returncode, done.stdout) == (1, "")
    cause, hint = done.stderr.strip().splitlines()[-2:]
    assert said in cause
    assert hint.startswith("hint: ")


CELERY_APP = """
from celery import Celery
from celery.schedules import crontab

app = Celery("shop", broker="memory://")
app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {
    "nightly": {
        "task": "shop.work.add",
        "schedule": crontab(minute=30, hour="2,14"),
        "args": (1, 2),
        "options": {"queue": "reports", "expires": 600},
    },
    "odd": {
        "task": "report",
        "schedule": crontab(minute="50-10/5", day_of_month="13", day_of_week="fri-mon"),
    },
}


@app.on_after_configure.connect
def more(sender, **_):
    sender.add_periodic_task(10.0, later.s("x"), name="declared later")


@app.task
def later(x):
    return x
"""

CELERY_TASKS = """
from shop.app import app


@app.task
def add(x, y):
    return x + y


@app.task(bind=True, name="report")
def make_report(self):
    return self.request.id
"""


@pytest.mark.celery
def test_a_real_application_is_read_as_beat_reads_it(imported: Import, folder: Path) -> None:
    (folder / "shop/app.py").write_text(
        CELERY_APP.replace('"memory://"', '"memory://", include=["shop.work"]')
    )
    (folder / "shop/work.py").write_text(CELERY_TASKS)

    done = imported("shop.app")

    assert done.returncode == 0, done.stderr
    read = tomli.loads(done.stdout)
    assert read["tasks"] == {
        "shop.work.add": {"function": "shop.work:add", "queue": "reports"},
        "report": {"function": "shop.work:make_report"},
        "shop.app.later": {"function": "shop.app:later"},
    }
    assert read["schedules"]["nightly"] == {
        "task": "shop.work.add",
        "cron": "30 2,14 * * *",
        "timezone": "Europe/Berlin",
        "on_overlap": "allow",
        "on_missed": "once",
        "args": [1, 2],
        "expires": "10m",
    }
    assert read["schedules"]["odd"]["dialect"] == "celery"
    assert read["schedules"]["declared-later"] == {
        "task": "shop.app.later",
        "every": "10s",
        "on_overlap": "allow",
        "on_missed": "once",
        "args": ["x"],
    }
    assert "bound" in done.stderr
