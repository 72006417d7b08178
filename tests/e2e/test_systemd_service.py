"""``jobctl service`` under a real systemd: installed, changed, removed; jobs that run notice nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.systemd_box import Box, systemd_box

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture
def box() -> Iterator[Box]:
    with systemd_box() as started:
        started.install_program()
        yield started


def done(box: Box, *words: str) -> list[tuple[str, str]]:
    steps = box.answer("service", *words)["steps"]
    return [(step["do"], step["what"]) for step in steps]


def state(box: Box) -> dict[str, Any]:
    found = json.loads(box.jobctl("--json", "service", "status", check=False).stdout)
    return {"running": found["daemon"]["running"], **found["systemd"]}


def test_the_daemon_of_the_system_is_installed_changed_and_removed_under_a_running_job(
    box: Box,
) -> None:
    assert box.jobctl("service", "status", check=False).returncode == 4
    # As an earlier installation did, which had no socket unit.
    box.jobctl("service", "install", "--no-socket-unit")
    assert state(box) == {"running": True, "enabled": "enabled", "active": "active"}
    if int(box.run("systemctl", "--version").stdout.split()[1]) >= 254:
        assert box.shows("DelegateSubgroup") == "daemon"
    job = box.begin("wait_for_go; exit 9")

    steps = done(box, "install")

    assert ("run", "systemctl stop jobctl.service") in steps
    assert box.shows("ActiveState", "jobctl.socket") == "active"
    assert state(box)["running"] is True
    other = box.path("/usr/local/bin/jobctl")
    other.symlink_to("/usr/bin/jobctl")
    steps = done(box, "install", "--program", "/usr/local/bin/jobctl")
    assert ("write", "/etc/systemd/system/jobctl.service") in steps
    assert steps[-1] == ("run", "systemctl restart jobctl.service")
    assert "/usr/local/bin/jobctl" in box.shows("ExecStart")
    assert box.status(job)["state"] == "STARTED"

    steps = done(box, "uninstall")

    assert ("remove", "/etc/systemd/system/jobctl.service") in steps
    assert ("keep", "/var/lib/jobctl") in steps
    assert state(box)["running"] is False
    assert box.shows("LoadState") == "not-found"
    assert box.path("/etc/jobctl/jobctl.toml").exists()
    box.let_go()
    done(box, "install")
    assert box.ended(job)["exit_code"] == 9
    # What is stopped stays stopped: to look at it is not to ask the daemon.
    box.systemctl("stop")
    assert box.jobctl("service", "status", check=False).returncode == 3
    assert box.shows("ActiveState") == "inactive"


def test_an_installation_that_systemd_refuses_says_why(box: Box) -> None:
    box.path("/run/systemd/system/jobctl.service.d").mkdir(parents=True)
    box.path("/run/systemd/system/jobctl.service.d/x.conf").write_text(
        "[Service]\nExecStartPre=/bin/false\n"
    )

    refused = box.jobctl("service", "install", check=False)

    assert refused.returncode == 1
    assert '"systemctl enable --now jobctl.service" failed' in refused.stderr
    assert "The steps before it are done" in refused.stderr


def test_instances_share_their_template_until_the_last_of_them_goes(box: Box) -> None:
    box.jobctl("service", "install", "--instance", "games")
    box.jobctl("service", "install", "--instance", "daemon", "--no-socket-unit")
    config = ("--config", "/etc/jobctl-games/jobctl.toml")
    assert box.jobctl(*config, "inspect", "ping").returncode == 0
    assert box.jobctl("service", "status", "--instance", "games").returncode == 0
    template = "/etc/systemd/system/jobctl@.service"

    assert ("keep", template) in done(box, "uninstall", "--instance", "games")

    assert box.shows("ActiveState", "jobctl@games.service") == "inactive"
    assert box.shows("ActiveState", "jobctl@daemon.service") == "active"
    assert ("remove", template) in done(box, "uninstall", "--instance", "daemon")
    assert not box.path(template).exists()


def test_a_user_has_a_daemon_of_their_own_whose_socket_starts_it(box: Box) -> None:
    home, runtime = "/srv/games", "/run/user/5"
    user = box.run("id", "-u", "games").stdout.strip()
    for folder in (home, runtime):
        box.path(folder).mkdir(parents=True)
    box.run("chown", "-R", "games", home, runtime)
    told = [f"--setenv=HOME={home}", f"--setenv=XDG_RUNTIME_DIR={runtime}"]
    manager = ["--property=Type=notify", "--property=Delegate=yes", "--property=User=games"]
    box.run("systemd-run", "--unit=manager", *manager, *told, "/lib/systemd/systemd", "--user")

    def as_user(*words: str) -> str:
        become = ["setpriv", f"--reuid={user}", "--regid=60", "--clear-groups"]
        surroundings = ["env", "-C", home, f"HOME={home}", f"XDG_RUNTIME_DIR={runtime}"]
        return box.run(*become, *surroundings, *words).stdout

    as_user("/usr/bin/jobctl", "service", "install", "--user")
    as_user("systemctl", "--user", "stop", "jobctl.service")
    assert (
        as_user("/usr/bin/jobctl", "submit", "--wait", "--follow", "--", "id", "-un") == "games\n"
    )
    assert as_user("systemctl", "--user", "is-active", "jobctl.service") == "active\n"
    assert box.path(f"{home}/.local/state/jobctl/jobctl.db").exists()
    as_user("/usr/bin/jobctl", "service", "uninstall", "--user")
    assert list(box.path(f"{home}/.config/systemd/user").glob("jobctl*")) == []
    box.run("systemctl", "stop", "manager")
