"""The configuration child for real: its answer, its silence, and what it leaves out of the parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.config import load_in_child, parse_result, start_child
from jobctl.errors import ConfigError

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "jobctl.toml"
    path.write_text(text)
    return path


def test_the_example_comes_through_the_child() -> None:
    plan = load_in_child(ROOT / "conf.example.toml")
    assert {"alert", "heartbeat", "disk", "report", "fetch", "pack", "greet"} == {
        task.name for task in plan.tasks
    }


def test_all_problems_come_through_the_child(tmp_path: Path) -> None:
    path = write(tmp_path, "[tasks.a]\nshell = 'x'\nretires = 1\ntimeout = 'ü'\n")
    with pytest.raises(ConfigError) as caught:
        load_in_child(path)
    assert [problem.line for problem in caught.value.problems] == [3, 4]
    assert caught.value.problems[1].source == "timeout = 'ü'"


def test_a_loop_reads_the_child_by_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "[tasks.a]\nshell = 'x'\n")
    with start_child(path) as child:
        assert child.stdout is not None
        output = child.stdout.read()
    assert child.returncode == 0
    assert [task.name for task in parse_result(output, path).tasks] == ["a"]


def test_a_child_whose_daemon_was_killed_says_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "[tasks.a]\nshell = 'x'\n")
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as nobody:
        ended = subprocess.run(
            [sys.executable, "-m", "jobctl.config.load", str(path), "--json"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_number_of_thousands_of_digits_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_in_child(write(tmp_path, f"[tasks.a]\nshell = 'x'\nretries = {'9' * 5000}\n"))
    assert "more digits" in caught.value.problems[0].message


def test_a_child_that_never_answers_is_ended(tmp_path: Path) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec sleep 1000\n")
    silent.chmod(0o755)
    with pytest.raises(ConfigError, match="took longer than"):
        load_in_child(tmp_path / "x.toml", python=str(silent), timeout_s=0.2)


def test_a_child_that_dies_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ended without an answer"):
        load_in_child(tmp_path / "x.toml", python="/bin/false")


def test_modules_in_the_working_directory_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tomli.py").write_text("raise SystemExit('imported from the working directory')")
    path = write(tmp_path, "[tasks.a]\nshell = 'x'\n")
    monkeypatch.chdir(tmp_path)
    assert load_in_child(path).tasks[0].name == "a"


def test_a_file_name_that_is_no_text_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.toml"
    path.write_text("[tasks.a]\nshell = 'x'\n")
    assert load_in_child(path).files == (str(path),)


def test_without_json_the_child_shows_its_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "[tasks.a]\nshell = 'x'\nretires = 1\n")
    command = [sys.executable, "-P", "-m", "jobctl.config.load", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 78
    assert "3 | retires = 1\n  | ^^^^^^^" in ended.stdout
    assert ended.stderr == ""


def test_the_side_of_the_daemon_and_of_templates_needs_the_standard_library_only() -> None:
    code = (
        "import json, sys, jobctl.config, jobctl.plan, jobctl.task, jobctl.arguments\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(ended.stdout)}
    assert not loaded & {"pydantic", "tomli", "tomlkit", "croniter", "astral", "dateutil"}
