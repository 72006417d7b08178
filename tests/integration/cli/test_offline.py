"""Without a daemon: a real child answers the same protocol over a socket pair."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.integration.cli.answers import a_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.cli.line_fixtures import Shown

    Run = Callable[..., Shown]

STAND_IN = """
    import json, socket, sys
    options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    state_dir, fd = options["--state-dir"], int(options["--socket-fd"])
    {before}
    with socket.socket(fileno=fd) as connection, connection.makefile("rwb") as frames:
        for line in frames:
            frame = json.loads(line)
            answer = {{"id": frame["id"], **{answers}[frame["do"]]}}
            frames.write(json.dumps(answer).encode() + b"\\n")
            frames.flush()
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the child a program of this test, found where modules are."""

    def make(before: str = "", refusal: str = "", **answers: object) -> None:
        hello = {"protocol": 1, "version": "9", "pid": 1, "daemon": "down"}
        said = {name: {"ok": answer} for name, answer in {"inspect": {}, **answers}.items()}
        if refusal:
            said["inspect"] = {"error": {"code": "not_allowed", "message": refusal, "hint": ""}}
        source = textwrap.dedent(STAND_IN).format(
            before=before, answers=repr({"hello": {"ok": hello}, **said})
        )
        (tmp_path / "stand_in_of_this_test.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        from jobctl.cli import offline

        defaults = offline.stand_in.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
        monkeypatch.setitem(defaults, "module", "stand_in_of_this_test")

    return make


@pytest.mark.parametrize(
    ("words", "do", "answer"),
    [
        (["status", "17"], "status", a_job(attempts=[])),
        (["list"], "list", {"jobs": [a_job()], "next": None}),
        (["logs", "17"], "logs", {"attempt": 1, "bytes": 0, "state": "SUCCESS"}),
        (["logs", "-f", "17"], "logs", {"attempt": 1, "bytes": 0, "state": "SUCCESS"}),
        (["history", "backup"], "history", {"fires": []}),
        (["result", "17"], "result", {"id": 17, "state": "SUCCESS", "result": 1, "error": None}),
        (["schedule", "list"], "schedules", {"schedules": []}),
        (["next"], "next", {"fires": []}),
        (
            ["why", "backup"],
            "why",
            {"name": "backup", "fires": [], "job": None, "sentences": ["x"]},
        ),
        (
            ["schedule", "audit"],
            "audit",
            {
                "schedules": 0,
                "rows": 0,
                "instants": 0,
                "violations": [],
                "count": 0,
                "unjudged": [],
            },
        ),
    ],
)
def test_reading_is_answered_and_says_that_the_daemon_is_down(
    run: Run,
    stand_in: Callable[..., None],
    words: list[str],
    do: str,
    answer: object,
) -> None:
    stand_in(**{do: answer})

    shown = run(*words)

    assert (shown.code, shown.err) == (0, "daemon: down\n")


def test_the_shape_is_the_same_as_with_a_daemon(run: Run, stand_in: Callable[..., None]) -> None:
    stand_in(status=a_job(attempts=[]))

    shown = run("status", "17", "--json")

    assert shown.err == "daemon: down\n"
    assert "daemon" not in json.loads(shown.out)


def test_a_child_that_refuses_everything_is_3_and_says_why(
    run: Run, stand_in: Callable[..., None], tmp_path: Path
) -> None:
    stand_in(refusal="there is no store")

    shown = run("status", "17")

    assert shown.code == 3
    assert shown.err.splitlines()[0].endswith(
        f'the state directory "{tmp_path}/state" cannot be read: there is no store'
    )


def test_the_child_gets_the_state_directory_of_the_configuration(
    run: Run, stand_in: Callable[..., None], tmp_path: Path
) -> None:
    config = tmp_path / "jobctl.toml"
    config.write_text('[daemon]\nstate_dir = "/srv/its own"\n')
    stand_in(
        before=f"assert state_dir == '/srv/its own' and options['--config'] == {str(config)!r}",
        list={"jobs": [], "next": None},
    )

    shown = run("--config", str(config), "list")

    assert (shown.code, shown.err) == (0, "daemon: down\n")


def test_a_state_directory_that_cannot_be_read_is_3_and_says_why(
    run: Run, stand_in: Callable[..., None], tmp_path: Path
) -> None:
    stand_in(before="sys.exit('jobctl: nothing there\\nof all')")

    shown = run("list")

    assert shown.code == 3
    message, hint = shown.err.splitlines()
    assert message.startswith("jobctl: no daemon listens on ")
    assert message.endswith(f'the state directory "{tmp_path}/state" cannot be read: of all')
    assert hint.startswith("hint: Start it: ")


def test_the_child_ends_with_the_line(
    run: Run, stand_in: Callable[..., None], tmp_path: Path
) -> None:
    stand_in(
        before=f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))",
        list={"jobs": [], "next": None},
    )

    run("list")

    pid = int((tmp_path / "pid").read_text())
    probe = [sys.executable, "-c", f"import os; os.kill({pid}, 0)"]
    assert subprocess.run(probe, capture_output=True, check=False).returncode == 1
