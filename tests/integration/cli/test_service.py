"""``jobctl service`` where no systemd runs: what is written, what is left alone, what is said."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.cli.service_files import (
    UNITS,
    Owner,
    instance_service,
    obstacle,
    own_program,
    owner_of,
    system_service,
)
from jobctl.config.load import load
from jobctl.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown

SCHEMAS = Path(shapes.__file__).parent / "schemas"
PROGRAM = Path(sys.executable).with_name("jobctl")


@pytest.fixture
def home(socket_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody who is not root, and who has no systemd."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "JOBCTL_CONFIG", "JOBCTL_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def files_below(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def document(shown: Shown, schema: str) -> Any:
    found = json.loads(shown.out)
    Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text())).validate(found)
    return found


SERVICE = ".config/systemd/user/jobctl.service"
SOCKET = ".config/systemd/user/jobctl.socket"
CONFIG = ".config/jobctl/jobctl.toml"


def test_install_writes_units_and_a_configuration_and_says_what_is_left(
    home: Path, run: Callable[..., Shown]
) -> None:
    shown = run("service", "install", "--user")

    assert shown.code == 0
    assert set(files_below(home)) == {SERVICE, SOCKET, CONFIG}
    assert shown.out.splitlines() == [
        f"write {home / CONFIG}: a configuration to begin with",
        f"write {home / SOCKET}: a unit",
        f"write {home / SERVICE}: a unit",
        "left systemctl --user daemon-reload: no systemd runs here; when it does, run this",
        "left systemctl --user enable --now jobctl.socket jobctl.service: no systemd runs here; "
        "when it does, run this",
    ]
    unit = (home / SERVICE).read_text()
    assert f"ExecStart={PROGRAM} daemon\n" in unit
    shipped = (UNITS / "user/jobctl.service").read_text()
    added = {"# The daemon in a group of its own in it", "DelegateSubgroup=daemon"}
    written = [line for line in unit.splitlines()[1:] if line.partition(",")[0] not in added]
    assert written == shipped.replace("/usr/bin/jobctl ", f"{PROGRAM} ").splitlines()
    # A daemon can start with it.
    assert load(home / CONFIG).problems == ()


def test_a_second_installation_changes_nothing_and_one_of_another_program_writes_the_units(
    home: Path, run: Callable[..., Shown]
) -> None:
    run("service", "install", "--user")
    (home / CONFIG).write_text('[tasks.mine]\ncommand = ["/bin/true"]\n')
    before = files_below(home)

    again = document(run("service", "install", "--user", "--json"), "service-steps")

    assert files_below(home) == before
    assert [step["do"] for step in again["steps"]] == ["keep", "keep", "keep", "left", "left"]
    run("service", "install", "--user", "--program", "/bin/true")
    after = files_below(home)
    assert after[CONFIG] == before[CONFIG]
    assert "ExecStart=/bin/true daemon\n" in after[SERVICE]


def test_a_dry_run_says_the_same_steps_and_does_none(home: Path, run: Callable[..., Shown]) -> None:
    planned = run("service", "install", "--user", "--dry-run")

    assert files_below(home) == {}
    done = run("service", "install", "--user")
    assert planned.out == done.out.replace("write ", "would write ")
    run("service", "uninstall", "--user", "--dry-run")
    assert set(files_below(home)) == {SERVICE, SOCKET, CONFIG}


@pytest.mark.parametrize("name", [SERVICE, SOCKET])
@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_unit_of_somebody_else_is_left_alone_and_nothing_is_done(
    home: Path, run: Callable[..., Shown], name: str, verb: str
) -> None:
    (home / name).parent.mkdir(parents=True)
    (home / name).write_text("[Service]\nExecStart=/opt/mine\n")
    before = files_below(home)

    shown = run("service", verb, "--user")

    assert shown.code == 1
    assert f"{home / name} is there and was not written by jobctl service install" in shown.err
    assert files_below(home) == before


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_unit_that_was_changed_since_is_left_alone(
    home: Path, run: Callable[..., Shown], verb: str
) -> None:
    run("service", "install", "--user")
    unit = home / SERVICE
    unit.write_text(unit.read_text().replace("RestartSec=2", "RestartSec=20"))
    before = files_below(home)

    shown = (
        run("service", verb, "--user", "--program", "/bin/true")
        if verb == "install"
        else run("service", verb, "--user")
    )

    assert shown.code == 1
    assert "changed since" in shown.err
    assert files_below(home) == before


def test_a_masked_unit_is_somebody_elses(home: Path, run: Callable[..., Shown]) -> None:
    (home / SERVICE).parent.mkdir(parents=True)
    (home / SERVICE).symlink_to("/dev/null")

    assert run("service", "install", "--user").code == 1
    assert (home / SERVICE).is_symlink()


def test_with_a_configuration_that_has_faults_nothing_is_installed(
    home: Path, run: Callable[..., Shown]
) -> None:
    (home / CONFIG).parent.mkdir(parents=True)
    (home / CONFIG).write_text("[tasks.x]\nretires = 3\n")

    shown = run("service", "install", "--user")

    assert shown.code == 78
    assert "retires" in shown.err
    assert set(files_below(home)) == {CONFIG}


def test_uninstall_removes_the_units_and_says_what_stays(
    home: Path, run: Callable[..., Shown]
) -> None:
    run("service", "install", "--user")

    shown = run("service", "uninstall", "--user")

    assert shown.code == 0
    assert set(files_below(home)) == {CONFIG}
    assert f"keep {home / CONFIG}: the configuration" in shown.out
    assert f"keep {home / '.local/state/jobctl'}: the state" in shown.out
    assert run("service", "uninstall", "--user").code == 4


def test_without_a_socket_unit_none_is_written(home: Path, run: Callable[..., Shown]) -> None:
    run("service", "install", "--user", "--no-socket-unit")

    assert set(files_below(home)) == {SERVICE, CONFIG}
    assert run("service", "uninstall", "--user").code == 0


def test_status_tells_files_and_that_no_daemon_answers(
    home: Path, run: Callable[..., Shown]
) -> None:
    absent = run("service", "status", "--user", "--json")
    assert absent.code == 4
    assert {file["owner"] for file in document(absent, "service-status")["files"]} == {"absent"}
    run("service", "install", "--user")
    (home / SOCKET).write_text("[Socket]\n")

    shown = run("service", "status", "--user")

    assert shown.code == 3
    assert shown.out.splitlines() == [
        f"{home / SOCKET}: not written by jobctl service install",
        f"{home / SERVICE}: written by jobctl service install",
        "no systemd runs here",
        f"configuration: {home / CONFIG}",
        f"state: {home / '.local/state/jobctl'}",
        f'daemon: no daemon listens on "{home / "run/jobctl/jobctl.sock"}"',
    ]
    found = document(run("service", "status", "--user", "--json"), "service-status")
    assert (found["systemd"], found["daemon"]["running"]) == (None, False)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--user", "--instance", "shop"], 2, "different daemons"),
        (["--strict", "--user"], 2, "--strict is for an application"),
        (["--user", "--program", "bin/jobctl"], 2, "no program with its whole path"),
        (["--user", "--program", "/nonexistent/jobctl"], 2, "no program with its whole path"),
        ([], 77, "only root"),
        (["--instance", "shop"], 77, "only root"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(
    home: Path, run: Callable[..., Shown], words: list[str], code: int, why: str
) -> None:
    shown = run("service", "install", *words)

    assert shown.code == code
    assert why in shown.err
    assert files_below(home) == {}


def test_a_configuration_of_the_line_is_refused(home: Path, run: Callable[..., Shown]) -> None:
    shown = run("--config", "/etc/other.toml", "service", "install", "--user")

    assert shown.code == 2
    assert "its own configuration" in shown.err


def test_root_has_no_daemon_of_a_user(
    home: Path, run: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert run("service", "install", "--user").code == 2
    assert files_below(home) == {}


@pytest.mark.parametrize("name", ["", "-x", "a b", "../x", "a/b", "%i", "ünder"])
def test_an_instance_is_named_after_a_user(name: str) -> None:
    with pytest.raises(UsageError):
        instance_service(PROGRAM, name)


def test_an_unknown_user_is_told_how_to_make_one() -> None:
    with pytest.raises(NotFound, match="nosuchuser"):
        obstacle(PROGRAM, "nosuchuser")


def test_a_program_that_a_user_cannot_reach_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "jobctl").touch(mode=0o755)

    found = obstacle(closed / "jobctl", "nobody")

    assert found is not None
    assert '"nobody" may not be able to run' in found


def test_the_program_is_the_one_beside_the_interpreter() -> None:
    assert own_program() == PROGRAM


def test_a_program_with_blanks_and_percents_is_quoted_for_systemd(tmp_path: Path) -> None:
    service = system_service(Path("/opt/my jobs/100%/jobctl"))

    text = {file.path.name: file.text for file in service.files}["jobctl.service"]

    assert 'ExecStart="/opt/my jobs/100%%/jobctl" daemon\n' in text
    written = tmp_path / "unit"
    written.write_text(text)
    assert owner_of(written) is Owner.US


def test_a_unit_says_what_the_systemd_that_reads_it_knows() -> None:
    def delegation(version: int) -> list[str]:
        files = instance_service(PROGRAM, "shop", is_strict=True, systemd=version).files
        lines = [line for file in files for line in file.text.splitlines()]
        return [line for line in lines if line.startswith("Delegate")]

    assert delegation(253) == delegation(0) == ["Delegate=yes"]
    assert delegation(254) == ["Delegate=yes", "DelegateSubgroup=daemon"]


def test_the_strict_drop_in_goes_to_its_instance_alone() -> None:
    service = instance_service(PROGRAM, "shop", is_strict=True)

    shared = {str(file.path): file.is_shared for file in service.files}
    assert shared == {
        "/etc/systemd/system/jobctl@.socket": True,
        "/etc/systemd/system/jobctl@.service": True,
        "/etc/systemd/system/jobctl@shop.service.d/strict.conf": False,
    }
