"""Programs of the host that a test hands its work to."""

from __future__ import annotations

import os
import shutil

import pytest

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def program(name: str) -> str:
    """The path of a program. Without it the test is skipped, and fails under CI, which installs it."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        if "CI" in os.environ:
            pytest.fail(f"no {name} here, which .ci/run installs")
        pytest.skip(f"no {name} here")
    return found
