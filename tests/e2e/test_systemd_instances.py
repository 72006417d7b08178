"""The shipped units under a real systemd: what it says of them, and the daemon of one application's user."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.systemd_box import ROOT, UNITS, Box, systemd_box

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

UNIT = "jobctl@games.service"
"""An instance for a user that every Debian has."""
CONFIG = "/etc/jobctl-games/jobctl.toml"
LASTS = "touch /tmp/begun; until [ -e /tmp/go ]; do sleep 0.01; done; touch /tmp/after; exit 9"
STRICT = UNITS / "jobctl@.service.d" / "strict.conf"
PAGE = ROOT / "docs" / "how-to" / "systemd.md"


@pytest.fixture
def box() -> Iterator[Box]:
    with systemd_box() as started:
        started.install_units()
        started.path("/etc/jobctl-games").mkdir()
        started.path(CONFIG).write_text(
            '[daemon]\nsocket = "/run/jobctl-games/jobctl.sock"\n'
            'state_dir = "/var/lib/jobctl-games"\n'
            f'[tasks.lasts]\nshell = "{LASTS}"\n'
            '[tasks.who]\nshell = "id -un; umask; touch /tmp/mine; test ! -w /usr/bin"\n'
        )
        started.systemctl("daemon-reload")
        yield started


def exposure(box: Box, unit: str) -> float:
    box.systemctl("daemon-reload")
    told = box.run("systemd-analyze", "security", "--no-pager", unit, check=False).stdout
    found = re.search(r"Overall exposure level for .*: ([\d.]+)", told)
    assert found, told
    return float(found[1])


def test_no_unit_has_a_fault_that_systemd_knows_and_the_scores_are_those_of_the_manual(
    box: Box,
) -> None:
    for unit in ("jobctl.service", "jobctl.socket", UNIT, "jobctl@games.socket"):
        judged = box.run("systemd-analyze", "verify", "--man=no", unit)
        # Its exit code is 0 for unknown keys, up to systemd 252 at least.
        assert judged.stdout + judged.stderr == ""
    for file in UNITS.glob("user/*"):
        verify = ("systemd-analyze", "verify", "--user", "--man=no", str(file))
        judged = box.run("env", "XDG_RUNTIME_DIR=/run", *verify)
        assert judged.stdout + judged.stderr == ""

    scores = [exposure(box, "jobctl.service"), exposure(box, UNIT)]
    box.drop_in("jobctl@.service", STRICT.name, STRICT.read_text())
    scores.append(exposure(box, UNIT))

    assert scores[1] < 4.5
    assert scores[2] < 1.5
    page = PAGE.read_text()
    version = box.run("systemctl", "--version").stdout.split()[1]
    published = re.search(
        rf"^\| {version} \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE
    )
    # Other versions judge by other rules; where the page names the one that is here, it tells the truth.
    assert published is None or scores == [float(score) for score in published.groups()]
    assert re.search(r"^\| 252 \|", page, re.MULTILINE)


@pytest.mark.parametrize("is_strict", [False, True], ids=["as-shipped", "strict"])
def test_an_instance_runs_as_its_user_and_keeps_its_jobs_over_a_restart(
    box: Box, is_strict: bool
) -> None:
    if is_strict:
        box.drop_in("jobctl@.service", STRICT.name, STRICT.read_text())
        box.drop_in(UNIT, "zz-interpreter.conf", where_the_interpreter_lies())
        box.systemctl("daemon-reload")
    box.systemctl("start", unit="jobctl@games.socket")
    box.systemctl("start", unit=UNIT)
    assert box.shows("User", UNIT) == "games"

    done = box.jobctl("--config", CONFIG, "submit", "--wait", "--follow", "who")
    assert done.stdout.split()[-2:] == ["games", "0022"]
    job = json.loads(box.jobctl("--config", CONFIG, "--json", "submit", "lasts").stdout)["id"]
    box.until("the job to run", box.path("/tmp/begun").exists)
    pid = box.shows("MainPID", UNIT)

    box.systemctl("restart", unit=UNIT)

    assert box.shows("MainPID", UNIT) != pid
    box.let_go()
    ended = box.jobctl("--config", CONFIG, "wait", str(job), check=False)
    assert ended.returncode == 9
    assert box.path("/tmp/after").exists()
    box.path(CONFIG).write_text("[tasks.x]\nretires = 3\n")
    assert box.systemctl("reload", unit=UNIT, check=False).returncode == 1
    assert box.shows("ActiveState", UNIT) == "active"
    box.run("systemctl", "stop", "jobctl@games.socket", UNIT)
    assert box.shows("Result", UNIT) == "success"


def where_the_interpreter_lies() -> str:
    """What an administrator adds to the strict drop-in for an interpreter below a home."""
    prefixes = [Path(prefix) for prefix in (sys.base_prefix, sys.prefix, ROOT)]
    homes = [
        path for path in prefixes if path.is_relative_to("/root") or path.is_relative_to("/home")
    ]
    if not homes:
        return "[Service]\n"
    return "[Service]\nProtectHome=tmpfs\n" + "".join(
        f"BindReadOnlyPaths={path}\n" for path in homes
    )
