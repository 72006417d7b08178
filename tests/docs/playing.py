"""Playing a page: its files are written, its commands typed on a terminal, its output compared.

A page is played when it begins with the comment ``<!-- played: HOW -->``. HOW is ``with NAME``: a daemon
runs from the beginning with the configuration of that name that the page shows. Or it is ``as
written``: the page starts its daemon itself.

* A block whose language is followed by a file name (```` ```toml jobctl.toml ````) is a file that the
  reader writes; with ``+`` before the name he adds it to that file.
* In a ``console`` block, lines that begin with ``$`` are typed, those that begin with ``>`` go on with
  the line above, and what follows is the output. A line ``…`` stands for any lines.
* ``console second terminal`` is typed in another shell; there the last command may go on running.
* ``console install`` is typed only by the test that tries the installation.
* A command may fail only if the page goes on with ``echo $?``.

Moments, spans, sizes, pids, names of instances and ids are not compared. A command that only looks is
repeated for some seconds until it shows what the page shows: readers wait too.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, Block, blocks_of
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

BIN = Path(sys.executable).parent
FOLDER = "/tmp/jobs"
"""The folder in which pages work; a test puts its own in its place."""
CLONE = "~/jobctl"
"""Where pages say that the repository lies."""

_MARK = re.compile(r"\A<!-- played: (.+?) -->\n")
_QUOTED_COUNT_OR_ID = re.compile(r"""'[^']*'|"[^"]*"|-n \d+|(?<= )\d+\b""")
"""The numbers of a command that may be ids, and first what holds numbers that are none."""
_LOOKS = re.compile(
    r"^(jobctl (status|list|logs|history|next|why|result|inspect|schedule (list|show|next)|queue list|worker list)\b|cat )"
)
_MAKES_JOB = ("jobctl submit", "jobctl schedule run")
"""Commands that print the id of a new job."""
_COLUMNS = 100

LIMIT_S = 20 * PATIENCE
"""How long a command may take, and how long what a page shows may be waited for."""


def how_played(page: Path) -> str | None:
    """What the page's first line says about its playing; None when it is not played."""
    found = _MARK.match(page.read_text())
    return found[1] if found else None


# -- comparing ------------------------------------------------------------------------------------

_VARYING = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "<moment>"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "<time>"),
    (r"\b(\d+(\.\d+)?(ms|s|m|h|d) ?)+(?!\w)", "<span>"),
    (r"\b\d+(\.\d+)? [KMGT]?i?B\b", "<size>"),
    (r"\b[0-9a-f]{16}\b", "<instance>"),
    (r"\b(socket|state_dir)=\S+", r"\1=<path>"),
    (r'listens on "[^"]+"', "listens on <path>"),
    (r"\b(pid|uptime_s|uid|schema)([ =]+)[\d.]+", r"\1\2<number>"),
    (r"(\b(?:process|id|[Jj]ob)|--before)( +)\d+\b", r"\1\2<id>"),
    (r"\bJOBCTL_JOB_ID=\d+", "JOBCTL_JOB_ID=<id>"),
    (r"(set by command: )[^,]+", r"\1<user>"),
    (r"\b\d+ (more, from|instants?:)", r"<count> \1"),
    (r"--cursor [\d.]+\d", "--cursor <cursor>"),
)
_ID_COLUMNS = ("ID", "JOB", "PID", "MADE", "COUNT")


def _without_ids(lines: list[str]) -> list[str]:
    """Numbers of a table's columns of ids and counts, replaced. Numbers end where the name of their column does.
    An empty line ends a table; the line after it may be the head of another one."""
    columns: list[re.Match[str]] = []
    replaced: list[str] = []
    for line in lines:
        if not replaced or not replaced[-1]:
            found = [re.search(rf"\b{name}\b", line) for name in _ID_COLUMNS]
            columns = sorted((place for place in found if place), key=lambda place: place.start())
            replaced.append(line)
            continue
        for place in reversed(columns):
            for number in reversed(list(re.finditer(r"(?<!\S)\d+(?!\S)", line))):
                if number.start() < place.end() and number.end() > place.start():
                    line = f"{line[: number.start()]}<id>{line[number.end() :]}"
        replaced.append(line)
    return replaced


def plain(text: str) -> list[str]:
    """Output without what differs from run to run, a line each."""
    lines = _without_ids(text.rstrip("\n").split("\n"))
    for index, line in enumerate(lines):
        for pattern, name in _VARYING:
            line = re.sub(pattern, name, line)
        lines[index] = re.sub(r"\s+", " ", line).strip()
    return lines


def agrees(shown: str, came: str) -> bool:
    """The output that a page shows is the one that came."""
    return _fits(plain(shown), plain(came))


def _fits(shown: list[str], came: list[str]) -> bool:
    if not shown:
        return not came
    if shown[0] == "…":
        return any(_fits(shown[1:], came[skip:]) for skip in range(len(came) + 1))
    return bool(came) and shown[0] == came[0] and _fits(shown[1:], came[1:])


# -- terminals ------------------------------------------------------------------------------------


class Terminal:
    """A shell on a terminal of its own, for one reader."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, _COLUMNS, 0, 0))
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        os.close(theirs)
        self._numbers = itertools.count(1)
        self._number = 0
        self._text = ""

    def type(self, command: str) -> None:
        """Type a command. Its output and, when it has ended, its exit code come with `read`."""
        assert self._shell.stdin is not None
        deadline = time.monotonic() + LIMIT_S  # what ran in a second terminal may be ending still
        while self._number and self.read(max(deadline - time.monotonic(), 0.0))[1] is None:
            assert time.monotonic() < deadline, "the command before it has not ended"
        self._number = next(self._numbers)
        self._text = ""
        # In one go, so that $? is the exit code of what was typed before; the marks of ends are ours.
        line = f"(exit ${{__code:-0}})\n{{ {command}\n}} </dev/null; __code=$?\n"
        end = f"printf '\\001end {self._number} %d\\001' $__code\n"
        self._shell.stdin.write((line + end).encode())
        self._shell.stdin.flush()

    def read(self, timeout_s: float) -> tuple[str, int | None]:
        """What has come since the command was typed, and its exit code or None while it runs."""
        found = self._end()
        if found is None and select.select([self._ours], [], [], timeout_s)[0]:
            with contextlib.suppress(OSError):
                self._text += os.read(self._ours, 65_536).decode(errors="replace")
            found = self._end()
        return (self._text, None) if found is None else (self._text[: found.start()], int(found[1]))

    def _end(self) -> re.Match[str] | None:
        return re.search(f"\x01end {self._number} (\\d+)\x01", self._text)

    def close(self) -> None:
        """Close the terminal and end what was started in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        assert self._shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.close()
        self._shell.wait()
        os.close(self._ours)


# -- a page ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A command and the output that the page shows for it."""

    command: str
    shown: str
    checks_code: bool
    is_last: bool


def steps_of(block: Block) -> list[Step]:
    """The commands of a console block."""
    typed: list[list[str]] = []
    outputs: list[list[str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            typed.append([line[2:]])
            outputs.append([])
        elif line.startswith("> ") and not outputs[-1]:
            typed[-1].append(line[2:])
        else:
            assert outputs, f"{block.place}: a console block begins with a command"
            outputs[-1].append(line)
    commands = ["\n".join(lines) for lines in typed]
    return [
        Step(
            command=command,
            shown="\n".join(outputs[index]),
            checks_code=commands[index + 1 : index + 2] == ["echo $?"],
            is_last=index == len(commands) - 1,
        )
        for index, command in enumerate(commands)
    ]


def is_file(block: Block) -> bool:
    """The block is a file that the reader writes, or what he adds to one."""
    return re.fullmatch(r"\+?\w[\w./-]*\.\w+", block.words) is not None


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder of his own."""

    folder: Path
    environment: Mapping[str, str]
    installs: bool = False
    _terminals: dict[str, Terminal] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)

    def play(self, page: Path) -> None:
        """Do everything that the page says. Fails at the first thing that differs."""
        for block in blocks_of(page):
            if block.language == "console":
                self._type(block)
            elif is_file(block):
                self.write(block)

    def close(self) -> None:
        """Close every terminal."""
        for terminal in self._terminals.values():
            terminal.close()

    def _here(self, text: str) -> str:
        return text.replace(FOLDER, str(self.folder)).replace(CLONE, str(ROOT))

    def write(self, block: Block) -> None:
        """Write a file that the page shows."""
        text = self._here(block.text)
        if os.geteuid() == 0:
            # Readers are not root; tests may be.
            text = text.replace("[workers.default]\n", '[workers.default]\nuser = "root"\n')
        mode = "a" if block.words.startswith("+") else "w"
        path = self.folder / block.words.removeprefix("+")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode) as file:
            file.write(text)

    def _type(self, block: Block) -> None:
        if "install" in block.words and not self.installs:
            return
        name = "second" if "second terminal" in block.words else "first"
        if name not in self._terminals:
            self._terminals[name] = Terminal(self.folder, self.environment)
        for step in steps_of(block):
            may_go_on = name == "second" and step.is_last
            self._do(block, step, self._terminals[name], may_go_on=may_go_on)

    def _do(self, block: Block, step: Step, terminal: Terminal, *, may_go_on: bool) -> None:
        command = self._with_our_ids(self._here(step.command))
        shown = self._here(step.shown)
        limit_s = LIMIT_S * (10 if self.installs else 1)
        looks_until = time.monotonic() + (LIMIT_S if _LOOKS.match(command) else 0)
        while True:
            came, code = self._run(terminal, command, shown, limit_s, may_go_on=may_go_on)
            is_right = self._is_right(step, shown, came)
            is_right = is_right and (code in (0, None) or step.checks_code)
            if is_right or time.monotonic() > looks_until:
                break
            # Seldom enough to leave the processor to what it waits for.
            time.sleep(0.2)
        assert is_right, (
            f"{block.place}: $ {command}\n--- the page shows\n{shown}\n--- it was\n{came}"
            f"\n--- exit code {code}"
        )

    def _is_right(self, step: Step, shown: str, came: str) -> bool:
        """The output agrees. A new job may have another id here; the same job has the same one again."""
        page_id, _, shown_rest = shown.partition("\n")
        if not (step.command.startswith(_MAKES_JOB) and page_id.isdigit()):
            return agrees(shown, came)
        our_id, _, came_rest = came.strip().partition("\n")
        if not our_id.strip().isdigit():
            return False
        our_id = our_id.strip()
        if page_id not in self._ids and our_id not in self._ids.values():
            self._ids[page_id] = our_id
        return self._ids.get(page_id) == our_id and agrees(shown_rest, came_rest)

    def _run(
        self, terminal: Terminal, command: str, shown: str, limit_s: float, *, may_go_on: bool
    ) -> tuple[str, int | None]:
        terminal.type(command)
        deadline = time.monotonic() + limit_s
        while True:
            came, code = terminal.read(max(deadline - time.monotonic(), 0.0))
            if code is not None or time.monotonic() > deadline:
                return came, code
            if may_go_on and agrees(shown, came):
                return came, None

    def _with_our_ids(self, command: str) -> str:
        """Ids of jobs as they are here, where the page has its own."""
        if not command.startswith("jobctl ") or command.startswith("jobctl submit"):
            return command
        return _QUOTED_COUNT_OR_ID.sub(lambda found: self._ids.get(found[0], found[0]), command)
