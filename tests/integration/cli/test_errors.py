"""What goes wrong is one line, a hint and the documented exit code, also as JSON."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from jobctl import errors
from jobctl.cli import shapes
from tests.integration.cli.answers import a_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]

SCHEMA = json.loads((Path(shapes.__file__).parent / "schemas/error.json").read_text())


def fault(shown: Shown) -> dict[str, str]:
    """The error object of a line with ``--json``."""
    document = json.loads(shown.out)
    Draft202012Validator(SCHEMA).validate(document)
    assert shown.err == ""
    return dict(document["error"])


@pytest.mark.parametrize(
    "line", ["submit x", "cancel 1", "inspect ping", "queue pause q", "reload", "stop", "wait 1"]
)
def test_no_daemon_is_3(run: Run, line: str) -> None:
    shown, as_json = run(*line.split()), run(*line.split(), "--json")

    assert shown.code == as_json.code == 3
    assert shown.out == ""
    assert shown.err.splitlines()[0].startswith("jobctl: no daemon listens on ")
    assert shown.err.splitlines()[1].startswith("hint: Start it: ")
    assert fault(as_json)["code"] == "daemon_not_running"


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound("there is no job 7", hint="jobctl list shows what there is."),
        errors.NotAllowed("uid 7 may not do this"),
        errors.StorageError("the disk is full"),
        errors.Conflict("job 7 has not ended"),
        errors.UsageError("that makes no sense"),
    ],
)
def test_an_error_of_the_daemon_keeps_its_code(
    run: Run, daemon: Start, error: errors.JobctlError
) -> None:
    daemon(status=lambda frame: error, cancel=lambda frame: error)

    for line in ("status 7", "cancel 7"):
        shown, as_json = run(*line.split()), run("--json", *line.split())

        assert shown.code == as_json.code == error.exit_code
        assert shown.err.splitlines()[0] == f"jobctl: {error.message}"
        assert fault(as_json) == {"code": error.code, "message": error.message, "hint": error.hint}


def test_a_daemon_of_another_version_is_69(run: Run, daemon: Start) -> None:
    daemon(protocol=7, status=a_job())

    shown = run("status", "17")

    assert shown.code == 69
    assert "the daemon speaks protocol 7" in shown.err
    assert "hint: Use the jobctl command of the daemon's version." in shown.err


def test_a_socket_that_is_not_ours_is_69(run: Run, socket_path: Path) -> None:
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()

        def serve() -> None:
            # The fast way asks first and steps aside, then the client asks again.
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(b"220 mail.example.org ESMTP\r\n")

        server = threading.Thread(target=serve)
        server.start()
        shown = run("status", "17")
        server.join()

    assert shown.code == 69
    assert "is not a daemon of jobctl" in shown.err


@pytest.mark.skipif(os.getuid() == 0, reason="root may use every socket")
def test_a_socket_of_somebody_else_is_77(run: Run, daemon: Start, socket_path: Path) -> None:
    daemon(status=a_job())
    socket_path.chmod(0)

    shown = run("status", "17")

    assert shown.code == 77
    assert "belongs to another user" in shown.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("statu 17", "no such command 'statu'. Did you mean 'status', 'stats'?"),
        ("status x", '"x" is not a whole number from 1 to 9223372036854775807'),
        ("status 007", '"007" is not a whole number'),
        ("wait 1_0", '"1_0" is not a whole number'),
        ("wait", "missing argument 'ID...'"),
        ("logs 0", '"0" is not a whole number from 1'),
        ("list --state DONE", "'DONE' is not one of"),
        ("list --limit 1001", '"1001" is not a whole number from 1 to 1000'),
        ("--color sometimes list", "'sometimes' is not one of"),
        ("explain", "missing argument 'EXPR'"),
    ],
)
def test_a_wrong_line_is_2_and_leads_to_the_help(run: Run, line: str, message: str) -> None:
    shown, as_json = run(*line.split()), run(*line.split(), "--json")

    assert shown.code == as_json.code == 2
    said = shown.err.splitlines()
    assert message.split(".")[0] in said[0]
    assert said[1].startswith("hint: See: jobctl")
    assert said[1].endswith("--help")
    assert fault(as_json)["code"] == "usage"


def test_nothing_at_all_shows_the_help_and_is_2(run: Run) -> None:
    shown = run()

    assert shown.code == 2
    assert shown.err.startswith("Usage: jobctl ")


def test_one_refusal_among_several_does_not_keep_the_others_back(run: Run, daemon: Start) -> None:
    def cancel(frame: dict[str, int]) -> object:
        if frame["job"] == 2:
            return errors.NotFound("there is no job 2")
        return {"id": frame["job"], "state": "REVOKED", "gone": True, "remaining": []}

    daemon(cancel=cancel)

    shown, as_json = run("cancel", "1", "2", "3"), run("cancel", "1", "2", "3", "--json")

    assert shown.code == as_json.code == 4
    assert shown.out == "1\tREVOKED\n3\tREVOKED\n"
    assert shown.err == "jobctl: there is no job 2\n"
    jobs = json.loads(as_json.out)["jobs"]
    assert [job["id"] for job in jobs] == [1, 2, 3]
    assert jobs[1]["error"]["code"] == "not_found"


def test_a_result_that_is_not_there_yet_is_75(run: Run, daemon: Start) -> None:
    daemon(result={"id": 7, "state": "STARTED", "result": None, "error": None})

    shown = run("result", "7")

    assert (shown.code, shown.out) == (75, "")
    assert (
        shown.err
        == "jobctl: job 7 has not ended: it is STARTED\nhint: Wait for it: jobctl wait 7\n"
    )
