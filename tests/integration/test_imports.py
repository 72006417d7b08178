"""Modules that take long to import: everything else goes on without them."""

from __future__ import annotations

import os

import pytest

from jobctl.protocol import requests
from tests.support.daemon import running_daemon

pytestmark = pytest.mark.slow  # the daemon is patient with modules for some seconds


def test_a_module_that_hangs_keeps_nothing_else_from_running() -> None:
    with running_daemon(start=False) as daemon:
        go = daemon.folder / "go"
        (daemon.folder / "slowmod.py").write_text(
            "import os, time\n"
            f"while not os.path.exists({str(go)!r}):\n"
            "    time.sleep(0.01)\n"
            "def answer():\n"
            "    return 42\n"
        )
        user = 'user = "root"' if os.geteuid() == 0 else ""
        daemon.config.write_text(f"""
[workers.default]
pythonpath = ["{daemon.folder}"]
{user}
[tasks.backup]
command = ["true"]
[tasks.answer]
function = "slowmod:answer"
""")
        daemon.start()

        assert daemon.ended(daemon.submit(task="backup"))["state"] == "SUCCESS"
        waiting = daemon.submit(task="answer")
        assert "still being imported" in daemon.status(waiting)["reason"]
        tasks = daemon.call(requests.Inspect(what="registered"))["tasks"]
        assert [task["name"] for task in tasks if task["unavailable"]] == ["answer"]

        go.touch()

        assert daemon.ended(waiting)["result"] == 42
