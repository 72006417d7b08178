"""The shipped socket unit under a real systemd: who submits is never refused, whatever happens to the daemon."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from jobctl import __version__
from tests.support.systemd_box import ROOT, Box, systemd_box

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SOCKET = "jobctl.socket"

# As fast as it can, each time as a new process, until it is told to end.
SUBMITS = """
until [ -e /tmp/enough ]; do
  if /usr/bin/jobctl submit -- /bin/true >>/tmp/ids 2>>/tmp/errors; then :; else
    echo "exit code $?" >>/tmp/failures
  fi
done
touch /tmp/ended
"""


NEXT = "0.1.0+next"
PROGRAM = f"""#!{sys.executable}
import sys
sys.path.insert(0, "/opt/next")
from jobctl.cli.entry import main
sys.exit(main())
"""


def install_next(box: Box) -> None:
    """Put another version in the place of the installed one, as a package does: each file at once."""
    box.run("mkdir", "/opt/next")
    box.run("cp", "-r", str(ROOT / "jobctl"), "/opt/next/jobctl")
    front = box.path("/opt/next/jobctl/__init__.py")
    text = front.read_text()
    assert f'__version__ = "{__version__}"' in text
    front.write_text(text.replace(f'__version__ = "{__version__}"', f'__version__ = "{NEXT}"'))
    program = box.path("/usr/bin/.jobctl.new")
    program.write_text(PROGRAM)
    program.chmod(0o755)
    program.rename(box.path("/usr/bin/jobctl"))


@pytest.fixture
def box() -> Iterator[Box]:
    with systemd_box() as started:
        yield started


def lines(box: Box, path: str) -> list[str]:
    file = box.path(path)
    return file.read_text().splitlines() if file.exists() else []


def test_no_submit_fails_over_a_restart_a_kill_and_an_upgrade_and_jobs_keep_their_exit_codes(
    box: Box,
) -> None:
    box.install()
    box.systemctl("start", unit=SOCKET)
    jobs = [box.begin(f"wait_for_go; exit {code}") for code in (3, 4, 5)]
    box.run("systemd-run", "--unit=submits", "/bin/sh", "-c", SUBMITS)

    for verb in ("restart", "kill", "upgrade"):
        pid, count = box.shows("MainPID"), len(lines(box, "/tmp/ids"))
        if verb == "kill":
            box.systemctl("kill", "--signal=KILL", "--kill-who=main")
        else:
            if verb == "upgrade":
                install_next(box)
            box.systemctl("restart")
        box.until("another daemon", lambda pid=pid: box.shows("MainPID") not in ("0", pid))
        box.until("more submits", lambda count=count: len(lines(box, "/tmp/ids")) >= count + 3)
    box.path("/tmp/enough").touch()
    box.until("the last submit", box.path("/tmp/ended").exists)

    assert lines(box, "/tmp/failures") == [], lines(box, "/tmp/errors")
    ids = [int(line) for line in lines(box, "/tmp/ids")]
    assert len(set(ids)) == len(ids)
    box.let_go()
    assert [box.ended(job)["exit_code"] for job in jobs] == [3, 4, 5]
    box.jobctl("wait", *map(str, ids))
    counted = box.answer("list", "--count")["count"]
    # Neither lost nor done twice.
    assert counted == len(ids) + len(jobs)
    assert box.answer("inspect", "ping")["version"] == NEXT


def test_the_first_command_starts_the_daemon_until_the_socket_is_stopped_too(box: Box) -> None:
    box.install()
    box.systemctl("start", unit=SOCKET)
    assert box.shows("ActiveState") == "inactive"
    assert box.path("/run/jobctl/jobctl.sock").stat().st_mode & 0o777 == 0o600

    ended = box.jobctl("submit", "--wait", "--", "/bin/sh", "-c", "exit 7", check=False)

    assert (ended.returncode, box.shows("ActiveState")) == (7, "active")
    box.jobctl("stop")
    box.until("the daemon to be gone", lambda: box.shows("ActiveState") == "inactive")
    assert box.answer("status", "1")["attempts"][0]["exit_code"] == 7
    assert box.shows("ActiveState") == "active"
    box.run("systemctl", "stop", SOCKET, "jobctl.service")
    assert list(box.path("/run/jobctl").iterdir()) == []
    assert box.jobctl("submit", "--", "/bin/true", check=False).returncode == 3


def test_who_waits_for_a_daemon_that_cannot_start_is_told_why_and_starts_no_more(box: Box) -> None:
    box.install('[tasks.backup]\ncommand = ["/bin/true"]\nretires = 3\n')
    box.systemctl("start", unit=SOCKET)

    refused = box.jobctl("submit", "--", "/bin/true", check=False)

    assert refused.returncode == 78
    assert 'unknown key "retires"' in refused.stderr
    box.until("the end", lambda: box.shows("ActiveState") == "failed")
    begun = [line for line in box.log().splitlines() if "Starting jobctl" in line]
    # The quick way of the command and, since it tells no errors, the careful one; nothing begins by itself.
    assert len(begun) in (1, 2)
    box.configure('[tasks.backup]\ncommand = ["/bin/true"]\n')
    assert box.jobctl("submit", "--wait", "backup").returncode == 0
