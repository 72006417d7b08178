"""A task-spooler for one turn: its own server, its own folder."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from benchmarks.processes import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Round


@contextlib.contextmanager
def spooler(turn: Round, *, slots: int) -> Iterator[tuple[str, dict[str, str]]]:
    """A server with that many slots; the program and the environment in which it reaches the server."""
    program = turn.peers.program("tsp")
    assert program is not None
    environment = {
        **ENVIRONMENT,
        "TS_SOCKET": str(turn.folder / "tsp"),
        "TS_SLOTS": str(slots),
        # Above what any measure submits, or the client waits for room in the list.
        "TS_MAXFINISHED": "10000",
        "TMPDIR": str(turn.folder),
    }
    # Any request starts the server, which then runs on its own.
    subprocess.run([program, "-S"], env=environment, stdout=subprocess.PIPE, check=True)
    try:
        yield str(program), environment
    finally:
        subprocess.run([program, "-K"], env=environment, stdout=subprocess.PIPE, check=True)
