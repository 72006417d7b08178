"""Worker groups with a user of their own, started by a daemon of root."""

from __future__ import annotations

import grp
import os
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.config.load import load
from jobctl.protocol import requests
from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon
from tests.support.users import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = "/usr/bin/python3"


def can_be_used() -> bool:
    """Only root may start processes of others; their interpreter must be one that they can enter."""
    if os.geteuid() != 0 or not Path(PYTHON).exists():
        return False
    look = f"import sys, os; sys.exit(sys.version_info < (3, 11) or not os.access({str(CODE)!r}, os.R_OK))"
    ended = subprocess.run([PYTHON, "-c", look], user=NOBODY, group=NOBODY, check=False, cwd="/")
    return ended.returncode == 0


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon whose functions run as nobody."""
    if not can_be_used():
        pytest.skip("needs root, and a Python that nobody may run")
    tables = [f'[workers.default]\nprocesses = 1\nuser = "nobody"\npython = "{PYTHON}"\n']
    tables += [f'pythonpath = ["{CODE}"]\n']
    tables += [
        f'[tasks.{name}]\nfunction = "rude:{name}"\n' for name in ("who", "fork_in_c", "identity")
    ]
    with running_daemon("".join(tables), start=False) as started:
        started.folder.chmod(0o777)
        yield started.start()


def test_functions_of_another_user_run_where_root_may_not_set_limits_of_others(
    daemon: Daemon,
) -> None:
    # In a container root lacks CAP_SYS_RESOURCE, without which the limits of another user's process are
    # out of its reach. Where it has it, this shows only that the limit arrives.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert daemon.ended(daemon.submit(task="who"))["result"] == [NOBODY, limit]


def test_a_fork_that_holds_the_lock_of_a_dead_worker_is_ended(daemon: Daemon) -> None:
    # It cannot join its cgroup itself: an empty one was taken for the proof that nothing is left.
    began = daemon.folder / "began"
    ended = daemon.ended(daemon.submit(task="fork_in_c", args=[str(began)]))
    assert (ended["state"], ended["reason"]) == ("FAILURE", "lost")
    fork = began.read_text()
    daemon.until("the fork to be gone", lambda: not Path(f"/proc/{fork}").exists())
    assert daemon.ended(daemon.submit(task="who"))["state"] == "SUCCESS"


@pytest.mark.slow
def test_functions_have_the_group_and_the_umask_of_their_worker_group(daemon: Daemon) -> None:
    gid = grp.getgrnam("games").gr_gid
    text = daemon.config.read_text()
    assert daemon.ended(daemon.submit(task="identity"))["result"] == [
        [NOBODY] * 3,
        [NOBODY] * 3,
        [NOBODY],
        0o022,
    ]
    daemon.config.write_text(
        text.replace('user = "nobody"', 'user = "nobody"\ngroup = "games"\numask = "027"')
    )
    daemon.call(requests.Reload())
    ended = daemon.ended(daemon.submit(task="identity"))
    assert ended["result"] == [[NOBODY] * 3, [gid] * 3, [gid], 0o027]


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ('group = "no-such-group"', "group", "there is no group"),
        ('umask = "222"', "umask", "could not read or write its own files"),
    ],
)
def test_a_group_that_cannot_be_is_named_by_check(
    tmp_path: Path, keys: str, key: str, message: str
) -> None:
    path = tmp_path / "jobctl.toml"
    path.write_text(f"[workers.a]\n{keys}\n")
    (problem,) = load(path).problems
    assert problem.key == f"workers.a.{key}"
    assert message in problem.message
