"""The hot verbs by hand: ``submit``, ``status ID``, ``wait ID``, ``logs ID``.

A whole process costs little more than the interpreter's start, because neither Typer nor Rich nor the
client is imported. It takes lines in their plain, complete, correct form only, and answers that are no
error; in every other case it steps aside, and the same line goes through `jobctl.cli.app` from its
beginning. Nothing is done twice by that: what only reads may be repeated, and a submit carries its key
along (P8).

A property test holds that a line that is taken here means to Typer the same request.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from jobctl.cli.render import Screen

_PROTOCOLS = [1]
_PATIENCE_S = 30.0
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Line:
    """A line that was understood: a request as the fields of its frame, and how to answer."""

    def __init__(
        self, request: dict[str, Any], *, socket: str | None, as_json: bool, words_at: int
    ) -> None:
        self.request = request
        self.socket = socket
        self.as_json = as_json
        self.words_at = words_at
        """Where in the line the words after the verb begin."""


class StepAside(Exception):
    """Something is not plain; nothing of the answer has been shown."""


def run(argv: list[str], environ: Mapping[str, str]) -> int | list[str]:
    """The exit code, or the line that `jobctl.cli.app` shall take instead: ``argv``, or ``argv`` with the
    key under which a submit may have been done already."""
    from jobctl.protocol.key import make_key

    line = read_line(argv, make_key)
    if line is None:
        return argv
    try:
        return _answer(line, environ)
    except StepAside:
        pass
    if line.request["do"] != "submit":
        return argv
    given = [f"--key={line.request['jobs'][0]['key']}"]
    return [*argv[: line.words_at], *given, *argv[line.words_at :]]


def read_line(argv: list[str], make_key: Callable[[], str]) -> Line | None:
    """What a line says, or None if it is not one of the plain ones."""
    socket: str | None = None
    as_json = False
    words = list(argv)
    while words and words[0] in {"--socket", "--json"}:
        if words.pop(0) == "--json":
            as_json = True
        elif socket is None and words and words[0]:
            socket = words.pop(0)
        else:
            return None
    if not words:
        return None
    verb, words = words[0], words[1:]
    words_at = len(argv) - len(words)
    if verb == "submit":
        request, own_json = _read_submit(words, make_key)
    else:
        own_json = words[-1:] == ["--json"]
        request = _read_by_id(verb, words[:-1] if own_json else words)
    as_json = as_json or own_json
    if request is None or (as_json and verb == "logs"):
        return None
    return Line(request, socket=socket, as_json=as_json, words_at=words_at)


def _read_by_id(verb: str, words: list[str]) -> dict[str, Any] | None:
    follow = verb == "logs" and bool(words) and words[0] == "-f"
    if follow:
        words = words[1:]
    if len(words) != 1:
        return None
    from jobctl.cli.numbers import read_id

    number = read_id(words[0])
    if number is None:
        return None
    if verb == "status":
        return {"do": "status", "job": number}
    if verb == "wait":
        return {"do": "wait", "jobs": [number]}
    if verb == "logs":
        return {"do": "logs", "job": number} | ({"follow": True} if follow else {})
    return None


def _read_submit(
    words: list[str], make_key: Callable[[], str]
) -> tuple[dict[str, Any] | None, bool]:
    from jobctl.cli.submission import job_fields

    as_json = False
    options: dict[str, str] = {}
    kwargs: dict[str, Any] = {}
    given: list[str] = []
    after: list[str] | None = None
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word == "--":
            after = rest[::-1]
            break
        if word == "--json" and not as_json:
            as_json = True
        elif word in {"--key", "--queue"} and word not in options and rest and rest[-1]:
            options[word] = rest.pop()
        elif word == "-k" and rest:
            name, sign, value = rest.pop().partition("=")
            if not sign or name in kwargs or not _is_name(name):
                return None, False
            kwargs[name] = value
        elif word.startswith("-"):
            return None, False
        else:
            given.append(word)
    command = after if after and not given else None
    if (command is None and not given) or (command is not None and kwargs):
        return None, False
    if command is not None and not command[0]:
        return None, False
    try:
        fields = job_fields(
            key=options["--key"] if "--key" in options else make_key(),
            task=None if command is not None else given[0],
            command=command,
            args=None if command is not None else [*given[1:], *(after or [])],
            kwargs=kwargs,
            queue=options.get("--queue"),
        )
    except OSError:  # the working folder is gone
        return None, False
    if not fields.get("task", "-"):
        return None, False
    return {"do": "submit", "jobs": [fields]}, as_json


def _is_name(text: str) -> bool:
    return (
        bool(text) and _NAME_LETTERS.issuperset(text) and not (text[0].isdigit() or text[0] == "-")
    )


def _answer(line: Line, environ: Mapping[str, str]) -> int:
    answers = call_daemon(line, environ)
    first = next(answers)
    # Only now: a line that is not answered here must not pay for it.
    from jobctl.cli.render import process_screen

    screen = process_screen("auto", environ)
    do = line.request["do"]
    if do == "submit":
        return _show_submitted(screen, line, first["jobs"][0])
    if do == "status":
        return _show_status(screen, line, first)
    if do == "wait":
        return _show_waited(screen, line, first)
    return _show_output(screen, first, answers)


def _show_submitted(screen: Screen, line: Line, job: dict[str, Any]) -> int:
    if not line.as_json:
        screen.line(str(job["id"]))
        if job.get("reason"):
            screen.note(f"jobctl: {job['reason']}; no other one was made")
        return 0
    from jobctl.cli import shapes

    screen.json(shapes.submitted(job))
    return 0


def _show_status(screen: Screen, line: Line, job: dict[str, Any]) -> int:
    if line.as_json:
        from jobctl.cli import shapes

        screen.json(shapes.job_whole(job))
    else:
        from jobctl.cli.page import job_page

        screen.page(job_page(job, exact=not screen.is_terminal))
    return 0


def _show_waited(screen: Screen, line: Line, answer: dict[str, Any]) -> int:
    from jobctl.cli.verdict import exit_code_of, notes_of

    if line.as_json:
        from jobctl.cli import shapes

        screen.json(shapes.waited(answer))
    else:
        for note in notes_of(answer):
            screen.note(f"jobctl: {note}")
    return exit_code_of(answer)


def _show_output(screen: Screen, answer: dict[str, Any], answers: Iterator[dict[str, Any]]) -> int:
    from jobctl.cli.output import OutputWriter

    writer = OutputWriter(screen)
    writer.take(answer)
    try:
        for later in answers:
            writer.take(later)
    except StepAside:
        # A second reading would show again what stands on the screen.
        screen.note("jobctl: the connection to the daemon broke; the output may go on")
        return 69
    return 0


def call_daemon(
    line: Line, environ: Mapping[str, str], *, patience_s: float = _PATIENCE_S
) -> Iterator[dict[str, Any]]:
    """Every answer to the request: those with a part of a stream as they come, the final one last."""
    import _socket

    from jobctl import __version__
    from jobctl.protocol.compact import dumps, loads

    hello = {"id": 0, "do": "hello", "protocol": _PROTOCOLS, "version": __version__}
    data = f"{dumps(hello)}\n{dumps({'id': 1, **line.request})}\n".encode()
    path = line.socket or _default_socket(environ)
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    # A wait or a followed output lasts as long as the job does.
    lasts = line.request["do"] == "wait" or "follow" in line.request
    try:
        connection.settimeout(patience_s)
        connection.connect(path)
        connection.sendall(data)
        connection.settimeout(None if lasts else patience_s)
        buffer = b""
        while True:
            received = connection.recv(1 << 18)
            if not received:
                raise StepAside
            *frames, buffer = (buffer + received).split(b"\n")
            for frame in frames:
                answer = loads(frame.decode())
                if answer.get("id") == 0:
                    if answer["ok"]["protocol"] not in _PROTOCOLS:
                        raise StepAside
                elif "more" in answer:
                    yield answer["more"]
                else:
                    yield answer["ok"]
                    return
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        # Nobody there, an error to tell, an answer that is none: all of it is told by the client.
        raise StepAside from None
    finally:
        connection.close()


def _default_socket(environ: Mapping[str, str]) -> str:
    from jobctl.cli.places import UNSURE, find_socket

    socket = find_socket(None, environ, os.getuid())
    if socket == UNSURE:
        raise StepAside
    return socket
