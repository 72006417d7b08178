"""``jobctl import crontab``: tables are found and read, and what comes of them runs as under cron."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.config import load_in_child
from jobctl.importers.crontab import hosts
from jobctl.importers.crontab.judging import Source, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.programs import program_of
from jobctl.importers.crontab.text import text_of
from tests.support.daemon import running_daemon

if TYPE_CHECKING:
    from collections.abc import Callable

    Import = Callable[..., CompletedProcess[str]]

SCHEMA = json.loads((Path(shapes.__file__).parent / "schemas/import-crontab.json").read_text())
ROOT = Path(__file__).parents[2]

TABLE = """\
# Nightly dump of the shop
30 2 * * * /usr/local/bin/dump
5/15 * * * * /usr/local/bin/poll
* 16 * * * /usr/local/bin/often
0 6 * * * flock -n /tmp/l /usr/local/bin/sync
"""


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Types ``jobctl import crontab …``; ``given`` is its standard input."""

    def type_line(*words: str, given: str = "", path: str = "") -> CompletedProcess[str]:
        command = [sys.executable, "-m", "jobctl", "import", "crontab", *words]
        env = {"PATH": f"{path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        return run(
            command,
            cwd=tmp_path,
            env=env,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    return type_line


def test_a_file_becomes_a_configuration_that_is_valid(imported: Import, tmp_path: Path) -> None:
    (tmp_path / "tab").write_text(TABLE)

    done = imported("tab")

    assert done.returncode == 0, done.stderr
    file = tmp_path / "jobctl.toml"
    file.write_text(done.stdout)
    assert [task.name for task in load_in_child(file).tasks] == ["dump", "sync"]
    assert "tab:3: dead: 5/15 * * * * /usr/local/bin/poll" in done.stderr
    assert "4 entries: 1 clean, 1 with a note, 1 to be decided, 1 dead" in done.stderr


def test_a_dry_run_tells_every_line_and_writes_no_table(imported: Import, tmp_path: Path) -> None:
    (tmp_path / "tab").write_text(TABLE)

    done = imported("tab", "--dry-run")

    assert done.stderr == ""
    assert "[tasks" not in done.stdout
    verdicts = [line.split(": ")[1] for line in done.stdout.splitlines() if line[:5] == "tab:2"]
    assert verdicts == ["clean"]


def test_json_has_the_shape_that_ships(imported: Import) -> None:
    done = imported("-", "--json", "--dialect", "cronie", given=TABLE + "X=$Y\n")

    answer = json.loads(done.stdout)
    Draft202012Validator(SCHEMA).validate(answer)
    assert [line["verdict"] for line in answer["lines"]] == [
        "clean", "dead", "decision", "note", "note",
    ]  # fmt: skip
    assert answer["entries"] == {"clean": 1, "note": 1, "decision": 1, "dead": 1}
    assert "[tasks.dump]" in answer["toml"]


def test_dead_lines_are_written_as_they_were_meant_if_one_asks(imported: Import) -> None:
    done = imported("-", "--fix", given="5/15 * * * * c\n")

    assert 'cron = "5-59/15 * * * *"' in done.stdout


def test_two_places_at_once_are_refused(imported: Import) -> None:
    done = imported("--system", "--user", "root")

    assert done.returncode == 2
    assert "Give one of the three." in done.stderr


def test_a_host_without_a_cron_is_told_what_to_do(imported: Import, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/crontab").write_text("#!/bin/sh\necho 'no crontab for you' >&2\nexit 1\n")
    (tmp_path / "bin/crontab").chmod(0o755)

    done = imported(path=str(tmp_path / "bin"))

    assert done.returncode == 1
    assert "no crontab for you" in done.stderr


def test_a_file_that_is_not_there_is_told(imported: Import) -> None:
    done = imported("nowhere")

    assert done.returncode == 1
    assert "nowhere cannot be read: No such file or directory" in done.stderr


# -- finding tables -------------------------------------------------------------------------------


def test_the_tables_of_a_system_are_found_and_those_that_cron_passes_over_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "crontab").write_text("0 0 * * * root a\n")
    (tmp_path / "anacrontab").write_text("1 5 daily c\n")
    folder = tmp_path / "cron.d"
    folder.mkdir()
    for name in ("good", "with.dot", ".hidden", "old~", "open"):
        (folder / name).write_text("0 0 * * * root c\n")
    (folder / "open").chmod(0o666)

    found = hosts.tables_of_system(Dialect.DEBIAN, tmp_path)

    files = [(Path(source.path).name, source.form) for source in found.sources]
    told = {Path(file).name: remark.text for file, remark in found.about_files}
    if os.geteuid() == 0:
        assert files == [
            ("crontab", Form.SYSTEM), ("good", Form.SYSTEM), ("anacrontab", Form.ANACRON),
        ]  # fmt: skip
        assert set(told) == {"with.dot", ".hidden", "old~", "open"}
    else:
        # Cron reads only what belongs to root.
        assert set(told) == {"good", "with.dot", ".hidden", "old~", "open"}


def test_another_cron_takes_names_with_a_dot(tmp_path: Path) -> None:
    (tmp_path / "with.dot").touch(0o644)

    why = hosts.why_passed_over(tmp_path / "with.dot", Dialect.CRONIE)

    assert why == ("" if os.geteuid() == 0 else "it does not belong to root")


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("anacrontab", "", Form.ANACRON),
        ("cron.d/x", "0 0 * * * a b\n", Form.SYSTEM),
        ("shop.cron.d", "0 0 * * * a b\n", Form.SYSTEM),
        ("tab", "0 0 * * * root a\n@daily ubuntu b\n", Form.SYSTEM),
        ("tab", "0 0 * * * mail -s x\n0 0 * * * /usr/bin/a b\n", Form.USER),
        ("tab", "0 0 * * * sync x\n0 0 * * * php b\n", Form.USER),
        ("tab", "", Form.USER),
    ],
)
def test_how_lines_are_built_is_told_by_place_and_lines(name: str, text: str, form: Form) -> None:
    assert hosts.form_of(Path("/srv") / name, text.encode()) is form


@pytest.mark.parametrize(
    ("release", "dialect"),
    [
        ("ID=debian\n", Dialect.DEBIAN),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', Dialect.DEBIAN),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', Dialect.CRONIE),
        ("ID=alpine\n", Dialect.BUSYBOX),
        ("ID=plan9\n", None),
    ],
)
def test_the_cron_of_a_system_is_told_by_its_name(
    release: str, dialect: Dialect | None, tmp_path: Path
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(release)

    assert hosts.dialect_of_host(tmp_path) is dialect


def test_scripts_of_a_folder_are_those_that_run_parts_runs(tmp_path: Path) -> None:
    for name in ("b", "a", "with.dot", "not-executable"):
        (tmp_path / name).touch(0o644 if name == "not-executable" else 0o755)

    assert hosts.scripts_of(str(tmp_path)) == ["a", "b"]
    assert hosts.scripts_of(str(tmp_path / "nowhere")) is None


# -- running --------------------------------------------------------------------------------------

LIVE = r"""
A=one
SHELL=/bin/bash
@daily [[ $A == one ]] && echo "$SHELL $PATH" && pwd
HOME=/usr
@weekly cat; pwd%a \% b%$A
"""


def test_an_imported_task_gets_what_cron_gave_its_command() -> None:
    source = Source(path="tab", data=LIVE.encode(), form=Form.USER)
    text = text_of(judge([source], program_of(Dialect.DEBIAN)))

    with running_daemon(text) as daemon:
        jobs = [daemon.submit(task=name) for name in ("pwd", "cat")]
        daemon.wait(*jobs)
        outputs = [daemon.output(job) for job in jobs]

    home = Path.home() if Path.home().is_dir() else Path("/")
    assert outputs == [f"/bin/bash /usr/bin:/bin\n{home}\n", "a % b\n$A\n/usr\n"]
