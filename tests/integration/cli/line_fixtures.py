"""Fixtures: a line run in this process, on a screen that a test can read, and a scripted daemon."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import jobctl.cli.app  # noqa: F401 -- what a line imports at its first need must not bind a test's patch
from jobctl.cli import entry
from tests.integration.cli.scripted_daemon import ScriptedDaemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Shown:
    """What a line showed, and its exit code."""

    code: int
    out: str
    err: str


class FakeStream(io.TextIOWrapper):
    """Standard output or error of a process, kept; a terminal if the test says so."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def text(self) -> str:
        self.flush()
        kept = self.buffer
        assert isinstance(kept, io.BytesIO)
        return kept.getvalue().decode()


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The host's zone is Europe/Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's daemon listens, if it has one. Nothing of the host's own is found."""
    path = tmp_path / "s"
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "XDG_RUNTIME_DIR", "_JOBCTL_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("JOBCTL_SOCKET", str(path))
    monkeypatch.setenv("JOBCTL_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return path


@pytest.fixture
def run(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shown]:
    """``run("status 3", width=80)``: a line as a shell would give it to the program.

    A width means that standard output is a terminal; without one it is a pipe.
    """

    def run_line(*words: str, width: int | None = None, **environ: str) -> Shown:
        out = FakeStream(is_terminal=width is not None)
        err = FakeStream(is_terminal=width is not None)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["jobctl", *words])
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", err)
            for name, value in environ.items():
                patched.setenv(name, value)
            if width is not None:
                patched.setenv("COLUMNS", str(width))
            try:
                code = entry.main()
            except SystemExit as end:  # Typer ends the process itself when it completes
                code = int(end.code or 0)
        return Shown(code, out.text(), err.text())

    return run_line


@pytest.fixture
def daemon(socket_path: Path) -> Iterator[Callable[..., ScriptedDaemon]]:
    """``daemon(status={…})``: starts a scripted daemon at this test's socket; it ends with the test."""
    started: list[ScriptedDaemon] = []

    def start(protocol: int = 1, **script: Any) -> ScriptedDaemon:
        one = ScriptedDaemon(socket_path, script, protocol=protocol)
        one.__enter__()
        started.append(one)
        return one

    yield start
    for one in started:
        one.__exit__(None, None, None)
