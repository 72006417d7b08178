"""Where things lie: the system's folders, a user's, a service manager's."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobctl.paths import StateDirectory, defaults, output_file


def test_root_uses_the_systems_folders() -> None:
    found = defaults({"HOME": "/root", "XDG_STATE_HOME": "/root/state"}, 0)

    assert found.config == Path("/etc/jobctl/jobctl.toml")
    assert found.state_dir == Path("/var/lib/jobctl")
    assert found.socket == Path("/run/jobctl/jobctl.sock")


def test_a_user_has_folders_below_home() -> None:
    found = defaults({"HOME": "/home/u"}, 1000)

    assert found.config == Path("/home/u/.config/jobctl/jobctl.toml")
    assert found.state_dir == Path("/home/u/.local/state/jobctl")
    # Without a login session the state folder, which is as private.
    assert found.socket == Path("/home/u/.local/state/jobctl/jobctl.sock")


def test_the_xdg_folders_count_before_home() -> None:
    environ = {
        "HOME": "/home/u",
        "XDG_CONFIG_HOME": "/c",
        "XDG_STATE_HOME": "/s",
        "XDG_RUNTIME_DIR": "/r",
    }

    found = defaults(environ, 1000)

    assert (found.config, found.state_dir) == (Path("/c/jobctl/jobctl.toml"), Path("/s/jobctl"))
    assert found.socket == Path("/r/jobctl/jobctl.sock")


@pytest.mark.parametrize("uid", [0, 1000])
def test_the_folders_of_a_service_manager_count_before_all_others(uid: int) -> None:
    environ = {"HOME": "/h", "STATE_DIRECTORY": "/sd/a:/sd/b", "RUNTIME_DIRECTORY": "/rd"}

    found = defaults(environ, uid)

    assert found.state_dir == Path("/sd/a")
    assert found.socket == Path("/rd/jobctl.sock")


def test_what_is_named_counts_before_everything() -> None:
    environ = {"JOBCTL_CONFIG": "/x.toml", "JOBCTL_SOCKET": "/x.sock", "RUNTIME_DIRECTORY": "/rd"}

    found = defaults(environ, 0)

    assert (found.config, found.socket) == (Path("/x.toml"), Path("/x.sock"))


def test_a_thousand_jobs_share_a_folder_of_outputs() -> None:
    state = StateDirectory(Path("/s"))

    assert state.output_file(999, 1) == Path("/s/output/0/999.1")
    assert state.output_file(1000, 2) == Path("/s/output/1/1000.2")
    assert output_file(Path("/o"), 7, 3) == Path("/o/0/7.3")
    assert state.output_file(1000, 2, stderr=True) == Path("/s/output/1/1000.2.err")
