"""Worker groups with a user of their own, started by a daemon of root."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.support.configurations import CODE
from tests.support.daemon import running_daemon
from tests.support.users import NOBODY

PYTHON = "/usr/bin/python3"


def can_be_used() -> bool:
    """Only root may start processes of others; their interpreter must be one that they can enter."""
    if os.geteuid() != 0 or not Path(PYTHON).exists():
        return False
    look = f"import sys, os; sys.exit(sys.version_info < (3, 11) or not os.access({str(CODE)!r}, os.R_OK))"
    ended = subprocess.run([PYTHON, "-c", look], user=NOBODY, group=NOBODY, check=False, cwd="/")
    return ended.returncode == 0


@pytest.mark.skipif(not can_be_used(), reason="needs root, and a Python that nobody may run")
def test_functions_of_another_user_run_where_root_may_not_set_limits_of_others() -> None:
    # In a container root lacks CAP_SYS_RESOURCE, without which the limits of another user's process are
    # out of its reach. Where it has it, this shows only that the limit arrives.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    config = (
        f'[workers.default]\nprocesses = 1\nuser = "nobody"\npython = "{PYTHON}"\n'
        f'pythonpath = ["{CODE}"]\n[tasks.who]\nfunction = "rude:who"\n'
    )
    with running_daemon(config, start=False) as daemon:
        daemon.folder.chmod(0o711)
        daemon.start()
        ended = daemon.ended(daemon.submit(task="who"))
    assert ended["result"] == [NOBODY, limit]
