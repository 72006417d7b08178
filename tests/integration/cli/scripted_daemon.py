"""A daemon that says what a test wrote down: the real socket and protocol, and no jobs behind them.

`ScriptedDaemon` answers each request by its name. An answer is a mapping (the final answer), a list (parts
of a stream, the final answer last), an error of ours, `BREAK` (the connection ends without an answer), or
a callable that gives one of these for the request's fields. A list of such answers in `Turns` is used one
after the other.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from jobctl.errors import JobctlError
from jobctl.protocol.requests import REQUESTS, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

BREAK = object()


@dataclass
class Turns:
    """One answer for each time the request is made."""

    answers: list[Any]


class ScriptedDaemon:
    """Listens at ``path`` while its block runs; ``requests`` are the frames that came, without hellos."""

    def __init__(self, path: Path, script: dict[str, Any], *, protocol: int = 1) -> None:
        self.path = path
        self.script = script
        self.protocol = protocol
        self.requests: list[dict[str, Any]] = []
        self.trouble: list[BaseException] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)
        for connection in self._open:
            with contextlib.suppress(OSError):  # the client was the first to go
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)
        if kind is None and self.trouble:
            raise self.trouble[0]

    def _start(self, run: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    if not self._answer(connection, json.loads(line)):
                        return
        except OSError:
            return
        except BaseException as error:  # noqa: BLE001 -- the test tells it, in its own thread
            self.trouble.append(error)

    def _answer(self, connection: socket.socket, frame: dict[str, Any]) -> bool:
        number, do = frame.pop("id"), frame.pop("do")
        read(REQUESTS[do], frame)  # a frame that the protocol does not know is the client's fault
        if do == "hello":
            answer: Any = {"protocol": self.protocol, "version": "9", "pid": 1, "daemon": "up"}
        else:
            self.requests.append({"do": do, **frame})
            answer = self._scripted(do, frame)
        if answer is BREAK:
            return False
        parts = answer if isinstance(answer, list) else [answer]
        for part in parts[:-1]:
            if part is BREAK:
                return False
            connection.sendall(_frame({"id": number, "more": part}))
        final = parts[-1]
        if final is BREAK:
            return False
        if isinstance(final, JobctlError):
            fault = {
                "code": final.code,
                "message": final.message,
                "hint": final.hint,
                "exit_code": final.exit_code,
            }
            connection.sendall(_frame({"id": number, "error": fault}))
        else:
            connection.sendall(_frame({"id": number, "ok": final}))
        return bool(do != "stop")

    def _scripted(self, do: str, frame: dict[str, Any]) -> Any:
        answer = self.script[do]
        if isinstance(answer, Turns):
            answer = answer.answers.pop(0)
        return answer(frame) if callable(answer) else answer


def _frame(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
