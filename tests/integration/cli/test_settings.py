"""Where a line finds its daemon, and what needs none: ``check``, ``explain``, ``--version``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from jobctl import __version__
from jobctl.cli import shapes
from tests.integration.cli.answers import a_job
from tests.integration.cli.scripted_daemon import ScriptedDaemon

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown

    Run = Callable[..., Shown]

SCHEMAS = Path(shapes.__file__).parent / "schemas"


def document(shown: Shown, schema: str) -> dict[str, object]:
    found = json.loads(shown.out)
    Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text())).validate(found)
    return dict(found)


@pytest.mark.parametrize(
    "text",
    [
        '[daemon]\nsocket = "{}"\n',
        '[daemon]\nsocket = "{}" # only a full reading understands this\n',
        '[tasks.a]\nbroken = \n[daemon]\nsocket = "{}"\n',
    ],
)
@pytest.mark.parametrize("line", ["status 17", "list --count"])
def test_the_configuration_names_the_socket(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: str
) -> None:
    socket, config = tmp_path / "named", tmp_path / "jobctl.toml"
    config.write_text(text.format(socket))
    monkeypatch.delenv("JOBCTL_SOCKET")
    monkeypatch.setenv("JOBCTL_CONFIG", str(config))

    with ScriptedDaemon(socket, {"status": a_job(attempts=[]), "list": {"count": 1}}):
        assert run(*line.split()).code == 0


def test_a_configuration_that_was_named_counts_before_the_environment(
    run: Run, tmp_path: Path
) -> None:
    socket, config = tmp_path / "named", tmp_path / "named.toml"
    config.write_text(f'[daemon]\nsocket = "{socket}"\n')

    with ScriptedDaemon(socket, {"list": {"count": 7}}):
        assert run("--config", str(config), "list", "--count").out == "7\n"


def test_an_option_counts_before_everything(run: Run, tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path / "said", {"list": {"count": 7}}):
        assert run("--socket", str(tmp_path / "said"), "list", "--count").out == "7\n"


def test_a_right_configuration_is_ok(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "jobctl.toml"
    config.write_text('[tasks.a]\ncommand = ["true"]\nevery = "30s"\n')

    assert run("check", str(config)).out == f"{config}: ok, 1 task, 1 schedule\n"
    assert document(run("--config", str(config), "check", "--json"), "check") == {
        "ok": True,
        "errors": [],
        "warnings": [],
    }


def test_what_is_seldom_meant_is_a_warning(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "jobctl.toml"
    config.write_text(
        '[daemon]\ntimezone = "UTC"\n'
        '[tasks.a]\ncommand = ["true"]\nat = "2020-01-01 12:00"\n'
        '[schedules.seven]\ntask = "a"\ncron = "*/7 * * * *"\n'
        '[schedules.over]\ntask = "a"\nevery = "1h"\nend = "2021-01-01"\n'
        '[schedules.off]\ntask = "a"\nat = "2020-01-01"\nenabled = false\n'
    )

    shown, as_json = run("check", str(config)), run("check", str(config), "--json")

    assert (shown.code, as_json.code) == (0, 0)
    lines = shown.out.splitlines()
    assert lines[0] == f"{config}: ok, 1 task, 4 schedules"
    assert [line.partition(": ")[2] for line in lines[1:]] == [
        'warning: schedule "a": never-fires: It never fires again: no instant is left.',
        'warning: schedule "seven": uneven-step: minute "*/7": means '
        "0,7,14,21,28,35,42,49,56: the last gap is 4, the others are 7.",
        'warning: schedule "over": never-fires: It never fires again: no instant is left.',
    ]
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        f"{config}:{line}" for line in (3, 6, 9)
    ]
    found = document(as_json, "check")["warnings"]
    assert [warning["code"] for warning in found] == [  # type: ignore[attr-defined]
        "never-fires",
        "uneven-step",
        "never-fires",
    ]


def test_a_wrong_configuration_tells_every_fault_and_is_78(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "jobctl.toml"
    config.write_text('[tasks.a]\ncommand = ["true"]\nretires = 3\ntimeout = "soon"\n')

    shown, as_json = run("check", str(config)), run("check", str(config), "--json")

    assert shown.code == as_json.code == 78
    assert shown.out == ""
    assert f"--> {config}:3:1" in shown.err
    assert "3 | retires = 3" in shown.err
    assert 'Did you mean "retries"?' in shown.err
    assert "2 errors" in shown.err
    found = document(as_json, "check")
    assert found["ok"] is False
    assert [error["line"] for error in found["errors"]] == [3, 4]  # type: ignore[attr-defined]


def test_an_expression_is_explained(run: Run) -> None:
    words = ["explain", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-11-20T00:00Z"]

    shown, as_json = run(*words, "-n", "2"), run(*words, "-n", "2", "--json")

    assert shown.out.splitlines()[:4] == [
        "schedule\t30 2 * * *",
        "words\tat 02:30, every day",
        "timezone\tEurope/Berlin",
        "next\t2026-11-20T02:30:00+01:00",
    ]
    found = document(as_json, "explain")
    assert found["next"] == ["2026-11-20T02:30:00+01:00", "2026-11-21T02:30:00+01:00"]
    assert found["expression"] == found["normal"] == "30 2 * * *"


def test_an_expression_that_is_none_is_2(run: Run) -> None:
    shown = run("explain", "61 * * * *", "--json")

    assert shown.code == 2
    assert "61" in json.loads(shown.out)["error"]["message"]


@pytest.mark.parametrize(
    ("words", "environ", "is_coloured"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"NO_COLOR": ""}, True),
        ([], {"TERM": "dumb"}, False),
        ([], {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        (["--color", "never"], {}, False),
        (["--color", "always"], {"NO_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
@pytest.mark.parametrize("line", ["status 17", "list"])
def test_colours_follow_the_terminal_the_environment_and_the_option(
    run: Run,
    socket_path: Path,
    words: list[str],
    environ: dict[str, str],
    is_coloured: bool,
    line: str,
) -> None:
    script = {"status": a_job(attempts=[]), "list": {"jobs": [a_job()], "next": None}}

    with ScriptedDaemon(socket_path, script):
        shown = run(*words, *line.split(), width=80, **environ)
        piped = run(*words, *line.split(), **environ)

    assert ("\x1b[32mSUCCESS\x1b[0m" in shown.out) is is_coloured
    assert is_coloured or "\x1b" not in shown.out
    assert "\x1b" not in piped.out


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out == f"jobctl {__version__}\n"
