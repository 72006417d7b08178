"""A task of the code, one at a time for each file; imported by a worker's template."""

from __future__ import annotations

import time
from pathlib import Path

from jobctl import task


@task(concurrency_key="{began}")
def hold(began: str, go: str) -> None:
    """Say that it has begun, then wait for a file."""
    Path(began).touch()
    while not Path(go).exists():
        time.sleep(0.005)
