"""A web server as its users start it, on a port of its own choice."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class Web:
    """A server that runs; ``base`` is its address once it listens."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.base = ""
        self._lines: list[str] = []
        self._listens = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        if not self._listens.wait(60 * PATIENCE) or not self.base:
            process.kill()
            process.wait()
            raise AssertionError(f"the server does not listen\n--- log\n{self.log()}")

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self._lines.append(line)
                found = re.search(r"(?:Listening at|running on):? (http://127\.0\.0\.1:\d+)", line)
                if found is not None:
                    self.base = found[1]
                    self._listens.set()
        self._listens.set()

    def log(self) -> str:
        """What it has said."""
        return "".join(self._lines)

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer, or its text if it is none. With a body it is a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.base}{path}", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60 * PATIENCE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                text = refused.read().decode()
            with contextlib.suppress(ValueError):
                return refused.code, json.loads(text)
            return refused.code, text


@contextlib.contextmanager
def serving(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Web]:
    """A server in this folder; it is ended in the end, and has to end by itself."""
    web = Web(
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    try:
        yield web
    finally:
        web.process.terminate()
        try:
            web.process.wait(60 * PATIENCE)
        except subprocess.TimeoutExpired:
            web.process.kill()
            web.process.wait()
            raise
