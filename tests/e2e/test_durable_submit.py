"""P1, seen from outside: the flush comes before the answer."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ,
    reason="needs strace, which .ci/run installs",
)


def test_the_disk_is_flushed_before_a_submit_is_answered(daemon: Daemon) -> None:
    trace = daemon.folder / "trace"
    # -ttt is not needed: one thread, so the order of the lines is the order of the calls.
    tracer = subprocess.Popen(
        ["strace", "-p", str(daemon.pid), "-o", str(trace), "-e", "trace=fdatasync,fsync,sendto"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    daemon.until("strace to be attached", lambda: "attached" in tracer.stderr.readline())
    try:
        job = daemon.submit(command=["/bin/true"], cwd="/", delay_s=3600.0)
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()

    lines = trace.read_text().splitlines()
    answer = next(i for i, line in enumerate(lines) if f'\\"id\\":{job},' in line)
    assert any("sync(" in line and "= 0" in line for line in lines[:answer]), lines
