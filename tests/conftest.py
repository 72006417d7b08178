"""What every test relies on: patience on slow machines, and marks that come from the folder.

Nothing here catches, repeats or skips: a test that fails is seen to fail.
"""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).parent
MARK_OF_FOLDER = {"e2e": "e2e", "faults": "fault"}

# A slow example is no wrong example: durations belong to benchmarks/. Examples stay random; a
# failure prints what brings it back.
hypothesis.settings.register_profile("jobctl", deadline=None, print_blob=True)
hypothesis.settings.load_profile("jobctl")


def read_patience(environ: dict[str, str]) -> float:
    """The factor by which this machine's limits of waiting are stretched, from JOBCTL_TEST_PATIENCE.

    1.0 when the variable is not set. Raises `pytest.UsageError` for anything but a number of at
    least 1: less would make tests fail that are right.
    """
    text = environ.get("JOBCTL_TEST_PATIENCE", "1")
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 1.0 <= factor < 1000.0:
        raise pytest.UsageError(f"JOBCTL_TEST_PATIENCE={text!r}: not a number from 1 to 1000")
    return factor


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Stretches the limit of a whole test too, before pytest-timeout reads it."""
    if config.getoption("timeout") is None:
        config.option.timeout = float(config.getini("timeout")) * read_patience(dict(os.environ))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of a folder, so that `make test` and `make test-slow` share them out whole."""
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue
        mark = MARK_OF_FOLDER.get(item.path.relative_to(TESTS).parts[0])
        if mark is not None:
            item.add_marker(mark)


@pytest.fixture(scope="session")
def patience() -> float:
    """The factor for limits of waiting: ``wait_for(event, timeout_s=10 * patience)``."""
    return read_patience(dict(os.environ))
