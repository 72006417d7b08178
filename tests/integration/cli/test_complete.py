"""Completion, asked as bash asks: names and ids, and nothing at all on any trouble."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.cli import completing
from jobctl.cli.completion_maker import completion_table
from jobctl.errors import StorageError
from tests.integration.cli.answers import a_job
from tests.integration.cli.scripted_daemon import BREAK
from tests.support.programs import program
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]


def offered(run: Run, line: str) -> list[str]:
    """What bash would offer at the end of a line."""
    words = line.split(" ")
    shown = run("__complete", "bash", str(len(words) - 1), *words)
    assert shown.err == ""
    return shown.out.split()


def look(frame: dict[str, str]) -> object:
    return {
        "registered": {"tasks": [{"name": "backup"}, {"name": "bill"}, {"name": "send"}]},
        "queues": {"queues": [{"name": "mail"}, {"name": "default"}]},
    }[frame["what"]]


def test_names_and_ids_are_offered(run: Run, daemon: Start) -> None:
    daemon(
        inspect=look,
        list={"jobs": [a_job(17), a_job(16), a_job(9)], "next": None},
        schedules={"schedules": [{"name": "nightly"}]},
    )

    assert offered(run, "jobctl submit b") == ["backup", "bill"]
    assert offered(run, "jobctl status 1") == ["17", "16"]
    assert offered(run, "jobctl wait 17 ") == ["17", "16", "9"]
    assert offered(run, "jobctl queue pause m") == ["mail"]
    assert offered(run, "jobctl history n") == ["nightly"]


@pytest.mark.parametrize(
    "trouble", [BREAK, StorageError("the disk is full"), {}, {"tasks": 3, "jobs": [None]}]
)
def test_trouble_offers_nothing(run: Run, daemon: Start, trouble: object) -> None:
    daemon(inspect=lambda frame: trouble, list=lambda frame: trouble)

    assert offered(run, "jobctl submit b") == []
    assert offered(run, "jobctl status 1") == []


def test_without_a_daemon_nothing_is_offered(run: Run) -> None:
    assert offered(run, "jobctl submit b") == []


def test_the_verbs_are_offered_without_a_daemon(run: Run) -> None:
    assert offered(run, "jobctl qu") == ["queue"]


def asked(run: Run, shell: str, line: str) -> list[str]:
    words = line.split(" ")
    shown = run("__complete", shell, str(len(words) - 1), *words)
    assert (shown.code, shown.err) == (0, "")
    return shown.out.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("jobctl sche", ["schedule"]),
        ("jobctl schedule aud", ["audit"]),
        ("jobctl --color a", ["auto", "always"]),
        ("jobctl --color=n", ["--color=never"]),
        ("jobctl list --state SU", ["SUCCESS"]),
        ("jobctl --json status --onl", ["--only"]),
        ("jobctl completion z", ["zsh"]),
        ("jobctl submit -- ls ", []),
        ("jobctl submit --queue=x -- ", []),
        ("jobctl nothing ", []),
        ("jobctl reload x", []),
    ],
)
def test_what_stands_where(run: Run, line: str, expected: list[str]) -> None:
    assert [found.partition("\t")[0] for found in asked(run, "fish", line)] == expected


def test_zsh_and_fish_are_told_what_it_is(run: Run, daemon: Start) -> None:
    hostile = {"name": "backup", "description": "Dumps\x1b[31m\tit\n"}
    daemon(inspect={"tasks": [hostile]}, list={"jobs": [a_job(17)], "next": None})

    assert asked(run, "zsh", "jobctl submit ") == ["backup\tDumps [31m it "]
    assert asked(run, "fish", "jobctl status ") == ["17\tSUCCESS backup"]


def test_words_that_bash_has_cut_are_one_again(run: Run, daemon: Start) -> None:
    daemon(inspect=look)

    shown = run("__complete", "bash", "4", "jobctl", "submit", "--queue", "=", "m")
    after = run("__complete", "bash", "3", "jobctl", "submit", "--queue", "=")

    assert shown.out.split() == ["mail"]
    assert after.out.split() == ["mail", "default"]


def test_the_daemon_that_the_line_names_is_asked(
    run: Run, daemon: Start, monkeypatch: pytest.MonkeyPatch, socket_path: object
) -> None:
    daemon(inspect=look)
    monkeypatch.setenv("JOBCTL_SOCKET", "/nonexistent")

    assert asked(run, "bash", "jobctl submit b") == []
    assert asked(run, "bash", f"jobctl --socket {socket_path} submit b") == ["backup", "bill"]


@pytest.mark.parametrize("argv", [[], ["bash"], ["bash", "x", "jobctl"], ["bash", "99"]])
def test_a_shell_that_asks_nonsense_is_told_nothing(run: Run, argv: list[str]) -> None:
    shown = run("__complete", *argv)

    assert (shown.code, shown.out, shown.err) == (0, "", "")


def test_the_table_is_the_one_that_the_commands_give() -> None:
    kept = json.loads(Path(completing.__file__).with_name("completion.json").read_text())

    assert completion_table() == kept, "make pages"


# -- in the shells ----------------------------------------------------------------------------------

IN_SHELLS = {
    "bash": """
        source <(jobctl completion bash)
        COMP_WORDS=(jobctl schedule sh); COMP_CWORD=2
        _jobctl
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "fish": """
        jobctl completion fish | source
        complete -C 'jobctl schedule sh' | string replace -r '\\t.*' ''
    """,
    "zsh": """
        autoload -Uz compinit; compinit -u -D
        source <(jobctl completion zsh)
        function _describe { shift 2; print -l ${found%%:*} }
        words=(jobctl schedule sh); CURRENT=3
        _jobctl
    """,
}


@pytest.mark.parametrize("shell", sorted(IN_SHELLS))
def test_each_shell_gets_its_candidates(shell: str, tmp_path: Path) -> None:
    its_path = program(shell)
    environ = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TERM": "dumb",
    }

    shown = subprocess.run(
        [its_path, "-c", textwrap.dedent(IN_SHELLS[shell])],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
        timeout=60 * PATIENCE,
    )

    assert shown.stdout.split() == ["show"], shown.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_installed_where_its_shell_looks(
    run: Run, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)

    shown = run(
        "completion",
        shell,
        "--install",
        HOME=str(tmp_path),
        XDG_DATA_HOME=str(tmp_path / "data"),
        XDG_CONFIG_HOME=str(tmp_path / "config"),
    )

    written = Path(shown.out.strip())
    assert written.is_relative_to(tmp_path)
    assert written.read_text() == run("completion", shell).out
    assert ("fpath" in shown.err) is (shell == "zsh")
