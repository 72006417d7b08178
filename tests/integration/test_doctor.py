"""``jobctl doctor`` on this host: what it sees is what there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.daemon.doctor.facts import look
from jobctl.paths import StateDirectory
from tests.support.daemon import running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json.loads((Path(shapes.__file__).parent / "schemas/doctor.json").read_text())


def doctor(config: Path, state_dir: Path, socket: Path, *, code: int) -> dict[str, dict[str, Any]]:
    """The findings by subject."""
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "jobctl",
            "--json",
            "--config",
            str(config),
            "--socket",
            str(socket),
            "doctor",
            "--state-dir",
            str(state_dir),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    found = json.loads(ended.stdout)
    Draft202012Validator(SCHEMA).validate(found)
    return {finding["subject"]: finding for finding in found["findings"]}


def test_a_daemon_that_serves_is_seen() -> None:
    with running_daemon() as daemon:
        found = doctor(daemon.config, daemon.state_dir, daemon.socket, code=0)

    assert str(daemon.pid) in found["daemon"]["message"]
    assert "mode 0600" in found["socket"]["message"]
    assert found["store"]["level"] == "ok"


def test_interpreters_and_permissions_are_looked_at(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3 9 1\n")
    old.chmod(0o755)
    config = tmp_path / "jobctl.toml"
    config.write_text(
        f'[workers.old]\npython = "{old}"\n[workers.gone]\npython = "{tmp_path}/none"\n'
        f'[workers.ours]\npython = "{sys.executable}"\n'
    )
    config.chmod(0o666)

    found = doctor(config, tmp_path / "state", tmp_path / "sock", code=1)

    levels = {name: found[f"worker group {name}"]["level"] for name in ("old", "gone", "ours")}
    assert levels == {"old": "error", "gone": "error", "ours": "ok"}
    assert found["configuration"]["level"] == "error"
    assert found["socket"]["level"] == "warning"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a disk")
    folder = tmp_path / "small"
    folder.mkdir()
    options = "size=1m,nr_inodes=50,ro"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "t", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_is_seen_as_it_is(small: Path) -> None:
    facts = look(StateDirectory(small / "state"), small / "none.toml", small / "sock", 1.8e9)

    assert facts.disk is not None
    assert (facts.disk.kind, facts.disk.size_bytes, facts.disk.inodes) == ("tmpfs", 1 << 20, 50)
    assert facts.disk.is_read_only
    assert facts.parent is not None
    assert facts.state is None


def test_what_was_left_over_is_seen(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    (state.run / "dead").mkdir(parents=True)
    (tmp_path / "check-1.db.unfinished").touch()
    (tmp_path / "jobctl.db.restoring").touch()

    facts = look(state, tmp_path / "none.toml", tmp_path / "sock", 1.8e9)

    assert facts.dead == ("dead",)
    assert facts.unfinished == (str(tmp_path / "check-1.db.unfinished"),)
    assert facts.is_restoring
    assert facts.daemon_pid is None
    assert facts.is_clock_synchronised in (True, False, None)
