"""Signatures mean the same with Celery on Redis and with jobctl; where they do not, the case says why.

The cases are in `tests.contract.canvas.cases`, each with one body for both. Each library has its workers for
the whole module: a daemon there, a worker of Celery here.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.api import tasks as declared
from jobctl.api.session import session
from tests.contract.canvas import CASES
from tests.contract.canvas.cases import SAME
from tests.contract.canvas.library import Library
from tests.contract.canvas.page import page
from tests.contract.canvas.tasks import text
from tests.support.celery_worker import Worker, two_databases
from tests.support.daemon import running_daemon
from tests.support.shop import ME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tests.contract.canvas.cases import Case

ROOT = Path(__file__).parents[2]


def imported(folder: Path, name: str, library: str, settings: str = "") -> ModuleType:
    """The module of tasks for a library, in a folder of its own."""
    (folder / f"{name}.py").write_text(text(library) + settings)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def jobctl_library() -> Iterator[Library]:
    with tempfile.TemporaryDirectory(prefix="jobctl-") as name:
        folder = Path(name)
        before = dict(declared._tasks)
        module = imported(folder, "jobctl_canvas_tasks", "jobctl.contrib.celery")
        config = f"""
            [daemon]
            imports = ["jobctl_canvas_tasks"]
            [workers.default]
            user = "{ME}"
            pythonpath = ["{folder}"]
            processes = 2
        """
        socket = session.configured_socket
        with running_daemon(config) as daemon:
            session.use_socket(daemon.socket)
            try:
                import jobctl.contrib.celery as canvas

                yield Library("jobctl", module, canvas, folder)
            finally:
                session.use_socket(socket)
                declared._tasks.clear()
                declared._tasks.update(before)


@pytest.fixture(scope="module")
def celery_library() -> Iterator[Library]:
    import celery.canvas
    import celery.result

    class Names:
        chain = staticmethod(celery.canvas.chain)
        group = staticmethod(celery.canvas.group)
        chord = staticmethod(celery.canvas.chord)
        signature = staticmethod(celery.canvas.signature)
        maybe_signature = staticmethod(celery.canvas.maybe_signature)
        GroupResult = celery.result.GroupResult

    with two_databases() as (broker, results), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = f"app.conf.update(broker_url={broker!r}, result_backend={results!r})\n"
        module = imported(folder, "celery_canvas_tasks", "celery", settings)
        worker = Worker("celery_canvas_tasks", folder)
        try:
            yield Library("celery", module, Names, folder)  # type: ignore[arg-type]
        finally:
            worker.end()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_jobctl(jobctl_library: Library, case: Case) -> None:
    assert case.run(jobctl_library) == case.expected_of("jobctl")


@pytest.mark.celery
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_celery(celery_library: Library, case: Case) -> None:
    assert case.run(celery_library) == case.expected_of("celery")


def test_the_page_says_what_the_cases_say() -> None:
    told = ROOT / "docs/reference/celery-canvas.md"
    expected = page()
    if os.environ.get("JOBCTL_REWRITE_SNAPSHOTS") and (
        not told.exists() or told.read_text() != expected
    ):
        told.write_text(expected)
        pytest.fail("the page was written anew: look at it, then run again without rewriting")
    assert told.read_text() == expected


def test_there_are_many_cases_and_each_difference_is_explained() -> None:
    assert len(CASES) >= 80
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(bool(case.why) == (case.celery is not SAME) for case in CASES)
