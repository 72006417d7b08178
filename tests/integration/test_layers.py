"""The contracts of `.importlinter` refuse what they are there to refuse.

Each test makes a small package called jobctl with one import that must not be, and asks for the one
contract: a contract that keeps everything would pass for ever.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / ".importlinter"
LINT = Path(sys.executable).with_name("lint-imports")
IMPORTED = re.compile(r"(?:import|from) (jobctl(?:\.\w+)+)")


def lint(tmp_path: Path, contract: str, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Checks one contract on a package of these modules (name → text) and what they import."""
    empty = dict.fromkeys(name for text in files.values() for name in IMPORTED.findall(text))
    for name, text in (empty | files).items():
        # Each module is made a package: then it does not matter which of them have children.
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            folder = tmp_path.joinpath(*parts[:depth])
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
        if text is not None:
            tmp_path.joinpath(*parts, "__init__.py").write_text(text)
    return subprocess.run(
        [LINT, "--config", CONTRACTS, "--no-cache", "--contract", contract],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("contract", "importer", "text"),
    [
        ("layers", "jobctl.errors", "import jobctl.job"),
        ("layers", "jobctl.store.jobs", "import jobctl.dispatcher"),
        ("layers", "jobctl.utils", ""),
        ("rings", "jobctl.task", "import jobctl.job\n"),
        ("socket", "jobctl.cli.status", "import jobctl.store.jobs"),
        ("socket", "jobctl.client", "def call():\n    import jobctl.daemon.handlers"),
        ("socket", "jobctl.cli.status", "import jobctl.daemon.main"),
        ("plain_values", "jobctl.engine.local.pool", "import jobctl.store.jobs"),
        ("plain_values", "jobctl.worker.function", "import jobctl.store.jobs"),
        ("engines", "jobctl.engine.celery", "import jobctl.engine.local"),
        ("schedules", "jobctl.schedule.solar", "import jobctl.schedule.interval"),
        ("sqlite", "jobctl.dispatcher", "import apsw"),
        ("sqlite", "jobctl.daemon.main", "def open_store():\n    import sqlite3"),
        ("celery", "jobctl.contrib.celery", "from celery import Celery"),
        ("settings", "jobctl.plan", "import pydantic"),
        ("settings", "jobctl.cli.check", "import tomllib"),
        ("screen", "jobctl.daemon.main", "from rich.table import Table"),
        ("standard_library", "jobctl.worker.command", "import psutil"),
        ("standard_library", "jobctl.client", "import jobctl.logs\nimport pydantic"),
    ],
)
def test_an_import_that_must_not_be_breaks_the_contract(
    tmp_path: Path, contract: str, importer: str, text: str
) -> None:
    files = {importer: text}
    if contract == "rings":
        files["jobctl.job"] = "import jobctl.task\n"

    checked = lint(tmp_path, contract, files)

    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "0 kept, 1 broken" in checked.stdout


@pytest.mark.parametrize(
    ("contract", "importer", "text"),
    [
        ("layers", "jobctl", "def __getattr__(name):\n    import jobctl.api"),
        ("layers", "jobctl.errors", "from jobctl import __version__"),
        ("socket", "jobctl.cli.daemon", "def daemon():\n    import jobctl.daemon.main"),
        ("sqlite", "jobctl.store.database", "import apsw"),
        ("celery", "jobctl.engine.celery.app", "import celery"),
        ("settings", "jobctl.config.load", "import pydantic, tomli"),
        ("screen", "jobctl.cli.entry", "import typer"),
        ("standard_library", "jobctl.client", "import jobctl.plan, json, socket"),
    ],
)
def test_an_import_that_may_be_keeps_the_contract(
    tmp_path: Path, contract: str, importer: str, text: str
) -> None:
    checked = lint(tmp_path, contract, {importer: text})

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 kept, 0 broken" in checked.stdout


def test_each_dependency_is_named_where_only_the_standard_library_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(package for extra in ("celery", "web", "solar") for package in extras[extra]),
    ]
    packages = {re.split(r"[<>=!~ ;\[]", line)[0].replace("-", "_") for line in wanted}

    section = CONTRACTS.read_text().split("[importlinter:contract:standard_library]")[1]
    named = set(re.findall(r"\((\w+)\)", section))

    assert named == packages
