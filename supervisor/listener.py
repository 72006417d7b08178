#!/usr/bin/env python3
"""An event listener for supervisord: tells when jobctl is down or not well, once, and when it is well again.

What is told goes to the standard input of the command behind ``--``, and to supervisord's log of this listener.
listener.conf beside this file is its section; docs/how-to/supervisor.md explains both. It needs Python's standard
library only, and is meant to be copied and changed.

The protocol: https://supervisord.org/events.html
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

CHECK_S = 30
"""How long the check may take. supervisord keeps what happens meanwhile."""

BAD_TICKS = 2
"""So many checks in a row have to fail: a daemon that is restarted is away for a moment."""


@dataclass
class Watch:
    """What is known of one program of supervisord's."""

    program: str
    is_wanted: bool = True
    has_told: bool = False
    bad_ticks: int = 0

    def take(self, event: str, facts: Mapping[str, str], trouble: Callable[[], str]) -> str | None:
        """Take an event; gives back what to tell, if anything.

        ``trouble`` asks what is wrong now: a sentence, empty when all is well. It is asked at ticks only.
        """
        if event.startswith("TICK_"):
            return self._tick(trouble) if self.is_wanted else None
        if facts.get("processname") != self.program:
            return None
        if event in ("PROCESS_STATE_STARTING", "PROCESS_STATE_RUNNING"):
            self.is_wanted = True
        elif event in ("PROCESS_STATE_STOPPING", "PROCESS_STATE_STOPPED"):
            # Somebody wants it so.
            self.is_wanted, self.has_told, self.bad_ticks = False, False, 0
        elif event == "PROCESS_STATE_FATAL":
            return self._tell("is down: supervisord has given up starting it")
        elif event == "PROCESS_STATE_EXITED" and facts.get("expected") == "1":
            return self._tell("has ended, and supervisord does not start it again")
        return None

    def _tick(self, trouble: Callable[[], str]) -> str | None:
        found = trouble()
        if found:
            self.bad_ticks += 1
            return self._tell(f"is not well: {found}") if self.bad_ticks >= BAD_TICKS else None
        self.bad_ticks = 0
        if not self.has_told:
            return None
        self.has_told = False
        return f"{self.program} is well again"

    def _tell(self, what: str) -> str | None:
        if self.has_told:
            return None
        self.has_told = True
        return f"{self.program} {what}"


def trouble_of(check: list[str]) -> str:
    """Run the check: its first line when it fails, else nothing."""
    try:
        done = subprocess.run(
            check,
            capture_output=True,
            text=True,
            timeout=CHECK_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stdout + done.stderr).partition("\n")[0] or f"exit code {done.returncode}"


def tell(text: str, command: list[str]) -> None:
    """Tell it; what cannot be told stands in the log with the reason."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    if not command:
        return
    try:
        # Standard output belongs to the protocol.
        subprocess.run(
            command, input=f"{text}\n", text=True, stdout=sys.stderr, timeout=CHECK_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"that could not be told: {error}\n")
        sys.stderr.flush()


def pairs(text: str) -> dict[str, str]:
    """``"a:1 b:2"`` as a mapping."""
    return dict(pair.split(":", 1) for pair in text.split() if ":" in pair)


def main() -> int:
    """Take events until supervisord ends the input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--program", default="jobctl", help="its name in supervisord")
    parser.add_argument(
        "--check", default="jobctl status --check", help="fails when all is not well"
    )
    parser.add_argument(
        "command", nargs="*", help="is given on its standard input what is to be told"
    )
    asked = parser.parse_args()
    watch, check = Watch(asked.program), shlex.split(asked.check)
    while True:
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        header = pairs(sys.stdin.readline())
        if not header:
            return 0
        facts = pairs(sys.stdin.read(int(header["len"])))
        told = watch.take(header["eventname"], facts, lambda: trouble_of(check))
        if told is not None:
            tell(told, asked.command)
        sys.stdout.write("RESULT 2\nOK")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
