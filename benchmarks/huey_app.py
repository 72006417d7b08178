"""The application of Huey whose consumer does the same work. Runs in the peers' environment.

``BENCH_HUEY_FILE`` names the database; ``BENCH_HUEY_FSYNC=off`` gives up durability.
"""

from __future__ import annotations

import os
import subprocess

from huey import SqliteHuey  # type: ignore[import-not-found]

from benchmarks import tasks

huey = SqliteHuey(
    filename=os.environ["BENCH_HUEY_FILE"],
    # None is Huey's default and leaves SQLite's: FULL.
    fsync=False if os.environ.get("BENCH_HUEY_FSYNC") == "off" else None,
    # Without this a function that returns None leaves nothing, and nobody could wait for it.
    store_none=True,
)


def run_true() -> int:
    """A command with its output captured; its exit code."""
    return subprocess.run(["/bin/true"], capture_output=True, check=False).returncode


noop = huey.task()(tasks.noop)
stamp = huey.task()(tasks.stamp)
command = huey.task()(run_true)
