"""``jobctl import celery``: an application is read in a process of its own, and judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli
from jsonschema import Draft202012Validator

from jobctl.cli import shapes

if TYPE_CHECKING:
    from typing import Any

SCHEMA = json.loads((Path(shapes.__file__).parent / "schemas/import-celery.json").read_text())
SETTINGS = """
import os
from datetime import timedelta

def route(name, args, kwargs, options, task=None, **kw): ...

BROKER_URL = "redis://:secret@localhost/0"
CELERY_RESULT_BACKEND = "db+postgresql://secret@localhost"
CELERYD_CONCURRENCY = 3
CELERY_TASK_SERIALIZER = "pickle"
CELERY_ROUTES = (route,)
CELERYBEAT_SCHEDULE = {"a": {"task": "b", "schedule": timedelta(seconds=3)}}
CELERY_ACCEPT_CONTENT = ["pickle", "json"]
DEBUG = True
"""


def imported(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobctl", "import", "celery", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_module_of_settings_is_judged_and_no_secret_of_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(SETTINGS)
    done = imported(tmp_path, "conf")
    assert done.returncode == 0, done.stderr
    assert tomli.loads(done.stdout) == {
        "daemon": {"imports": ["conf"]},
        "workers": {"default": {"processes": 3}},
    }
    assert "setting CELERY_TASK_SERIALIZER: decision\n  pickle: arguments" in done.stderr
    assert "setting CELERY_ROUTES: decision\n" in done.stderr
    assert "settings that mean the same: 1 of 7\n" in done.stderr
    assert "secret" not in done.stdout + done.stderr
    answer = json.loads(imported(tmp_path, "conf", "--json").stdout)
    Draft202012Validator(SCHEMA).validate(answer)
    assert {setting["name"] for setting in answer["settings"]} >= {"BROKER_URL", "CELERY_ROUTES"}


def test_what_cannot_be_read_is_said_with_what_to_do(tmp_path: Path) -> None:
    done = imported(tmp_path, "nowhere.celery:app")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nowhere.celery cannot be imported: ModuleNotFoundError" in done.stderr
    assert "--pythonpath" in done.stderr


APP = """
from celery import Celery, Task

class Mine(Task):
    def __call__(self, *args):
        return super().__call__(*args)

app = Celery("shop", broker="redis://:secret@localhost/1", include=["work"])
app.conf.update(worker_concurrency=2, task_track_started=True, timezone="Europe/Berlin")
"""
WORK = """
from app import Mine, app

@app.task(base=Mine)
def strange(): ...

@app.task(acks_late=True, rate_limit="5/m")
def late(): ...

@app.task
def plain(): ...
"""


@pytest.mark.celery
def test_a_real_application_is_judged_with_its_tasks(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "work.py").write_text(WORK)
    answer: Any = json.loads(imported(tmp_path, "app", "--json").stdout)
    assert tomli.loads(answer["toml"]) == {
        "daemon": {"imports": ["app"]},
        "workers": {"default": {"processes": 2}},
    }
    verdicts = {one["name"]: one["verdict"] for one in (*answer["settings"], *answer["tasks"])}
    assert verdicts == {
        "broker_url": "left out",
        "include": "clean",
        "task_track_started": "left out",
        "timezone": "clean",
        "worker_concurrency": "clean",
        "work.late": "note",
        "work.plain": "clean",
        "work.strange": "decision",
    }
