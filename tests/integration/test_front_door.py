"""``from jobctl import task`` gives the decorator, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

DECORATES = "@task\ndef f(): return 1\nassert type(f).__name__ == 'FunctionTask' and f() == 1\n"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import jobctl",
        "import jobctl.task",
        "import jobctl.task.keys",
        "from jobctl.task import Task",
        "import jobctl.api",
        "from jobctl import api",
        "import jobctl.plan.merge, jobctl.client",
        "import importlib; importlib.import_module('jobctl.task')",
        "from jobctl import *",
        "from jobctl import task; import jobctl.task.units; from jobctl import api",
        # What a template has imported before it imports modules with tasks.
        "import jobctl.worker.template, jobctl.worker.functions",
    ],
)
def test_the_decorator_is_there_after(before: str) -> None:
    script = (
        f"{before}\nfrom jobctl import task\n{DECORATES}"
        "import jobctl.task\nassert jobctl.task is task\n"
        "from jobctl.task import Task, Source\nfrom jobctl.task.keys import keys_of\n"
        "assert Task(name='a', shell='true').shell == 'true'\n"
        "from jobctl import AsyncResult, configure, send_task, submit_many\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_front_door_costs_the_commands_nothing() -> None:
    script = "import sys, jobctl\nprint(*(n for n in sys.modules if n.startswith('jobctl.')))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_python_side_imports_the_standard_library_only() -> None:
    script = (
        "import sys\nbefore = set(sys.modules)\nfrom jobctl import task, submit_many\n"
        "@task(name='b', cron='* * * * *')\ndef f(): ...\n"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(t for t in tops - sys.stdlib_module_names - {'jobctl'} if t[:12] != '_sysconfigda'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
