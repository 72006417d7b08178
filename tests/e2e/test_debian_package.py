"""The Debian package: built, installed, upgraded under a running job, removed and purged, in a real system."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import program
from tests.support.systemd_box import Box, systemd_box

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"

slow = pytest.mark.slow


# -- the files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script", ["build-deb", *(f"debian/{n}" for n in ("postinst", "prerm", "postrm"))]
)
def test_each_script_is_one_for_a_plain_shell(script: str) -> None:
    path = PACKAGING / script

    judged = subprocess.run(
        [program("dash"), "-n", str(path)], capture_output=True, text=True, check=False
    )

    assert (judged.returncode, judged.stderr) == (0, "")
    assert path.stat().st_mode & 0o111
    assert "set -e" in path.read_text()


def test_the_group_is_made_as_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()

    subprocess.run(
        [
            program("systemd-sysusers"),
            f"--root={tmp_path}",
            str(PACKAGING / "sysusers.d/jobctl.conf"),
        ],
        check=True,
        capture_output=True,
    )

    assert "jobctl:x:" in (tmp_path / "etc/group").read_text()


def test_the_folders_are_made_with_their_modes(tmp_path: Path) -> None:
    rules = PACKAGING / "tmpfiles.d/jobctl.conf"
    # Users and groups of another root are unknown: only the modes are tried.
    plain = tmp_path / "plain.conf"
    plain.write_text(
        "".join(
            " ".join([*line.split()[:3], "-", "-", "-"]) + "\n"
            for line in rules.read_text().splitlines()
            if not line.startswith("#")
        )
    )

    made = subprocess.run(
        [program("systemd-tmpfiles"), "--create", f"--root={tmp_path}", str(plain)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    modes = {
        path: (tmp_path / path).stat().st_mode & 0o777
        for path in ("run/jobctl", "var/lib/jobctl", "etc/jobctl", "var/log/jobctl")
    }
    assert modes == {
        "run/jobctl": 0o755,
        "var/lib/jobctl": 0o711,
        "etc/jobctl": 0o755,
        "var/log/jobctl": 0o750,
    }


def test_a_log_is_rotated_under_the_daemon_that_writes_it(tmp_path: Path) -> None:
    log = tmp_path / "jobctl.log"
    rules = tmp_path / "rules"
    text = (PACKAGING / "logrotate.d/jobctl").read_text()
    rules.write_text(text.replace("/var/log/jobctl/*.log", str(log)))
    rules.chmod(0o644)
    with log.open("a") as writer:
        writer.write("before\n")
        writer.flush()

        subprocess.run(
            [program("logrotate"), "--force", "--state", str(tmp_path / "state"), str(rules)],
            check=True,
            capture_output=True,
        )
        writer.write("after\n")

    assert log.read_text() == "after\n"
    assert (tmp_path / "jobctl.log.1").read_text() == "before\n"


# -- the package ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this tree."""
    program("dpkg-deb")
    folder = tmp_path_factory.mktemp("deb")
    built = subprocess.run(
        [str(PACKAGING / "build-deb"), "--output", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


def of_next_version(package: Path, folder: Path) -> Path:
    """The same package as a later version."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    lines = [
        f"{line}+1" if line.startswith("Version:") else line
        for line in control.read_text().splitlines()
    ]
    control.write_text("\n".join(lines) + "\n")
    later = folder / "later.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(later)],
        check=True,
        capture_output=True,
    )
    return later


@pytest.fixture
def box() -> Iterator[Box]:
    with systemd_box() as started:
        yield started


def put(box: Box, package: Path) -> str:
    """A package inside the box; its path there."""
    inside = f"/root/{package.name}"
    shutil.copyfile(package, box.path(inside))
    return inside


@slow
@pytest.mark.timeout(900)  # building fetches what goes into it
def test_a_package_is_installed_upgraded_under_a_job_and_removed(
    package: Path, tmp_path: Path, box: Box
) -> None:
    later = of_next_version(package, tmp_path)

    # Installed: it serves at once.
    box.run("dpkg", "-i", put(box, package))
    assert box.shows("ActiveState") == "active"
    assert box.shows("UnitFileState") == "enabled"
    assert box.jobctl("status", "--check").returncode == 0
    assert "jobctl:" in box.run("getent", "group", "jobctl").stdout
    assert box.run("jobctl", "--version").stdout.startswith("jobctl ")
    for file in (
        "/usr/share/man/man1/jobctl.1.gz",
        "/usr/share/man/man5/jobctl.toml.5.gz",
        "/usr/share/bash-completion/completions/jobctl",
        "/etc/logrotate.d/jobctl",
    ):
        assert box.path(file).stat().st_size > 0
    assert box.run("dpkg", "--verify", "jobctl").stdout == ""

    # Upgraded: the job goes on, and the next daemon has its exit code and output.
    box.configure('[daemon]\n[tasks.mine]\ncommand = ["true"]\n')
    job = box.begin("echo before; wait_for_go; echo after; exit 7")
    pid = box.shows("MainPID")
    box.run("dpkg", "--force-confold", "-i", put(box, later))
    assert box.shows("ActiveState") == "active"
    assert box.shows("MainPID") != pid
    assert box.status(job)["state"] == "STARTED"
    assert "tasks.mine" in box.path("/etc/jobctl/jobctl.toml").read_text()
    box.let_go()
    assert box.ended(job)["exit_code"] == 7
    assert box.jobctl("logs", str(job)).stdout == "before\nafter\n"

    # Removed: nothing runs any more; what is the administrator's stays.
    box.path("/tmp/go").unlink()
    box.begin("wait_for_go")
    box.run("dpkg", "-r", "jobctl")
    assert box.processes() == []
    assert not box.path("/usr/lib/jobctl").exists()
    assert box.path("/etc/jobctl/jobctl.toml").exists()
    assert box.path("/var/lib/jobctl").exists()

    # Purged: nothing is left.
    box.run("dpkg", "-P", "jobctl")
    left = ("/etc/jobctl", "/var/lib/jobctl", "/run/jobctl", "/etc/logrotate.d/jobctl")
    assert [path for path in left if box.path(path).exists()] == []
