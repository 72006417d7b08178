"""The manual's page of the commands, made from their help: ``docs/reference/commands.md``.

``python -m jobctl.cli.manual`` writes it to standard output; a test compares it with the page that is
kept, so that the help and the manual are one text.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperGroup
from typer.main import get_command

from jobctl.cli.app import app
from jobctl.cli.render import process_screen

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 80

_HEAD = """\
# Commands

This page is made from the commands' own help: `python -m jobctl.cli.manual`.

On a terminal a listing is a table, and only columns of names and reasons are cut to fit.
On a narrow one some columns are left out; the line below the table names them.
In a pipe it is a header and tab-separated lines, nothing is cut, and moments are ISO 8601 with offset.
With `--json`, before or behind the command, the answer is one JSON document on one line.
Its shapes are described by the JSON Schemas in `jobctl/cli/schemas/`; more keys may follow, none goes away.
Moments in JSON are ISO 8601 with offset, spans are seconds.
Colours are used on a terminal only, and not when `NO_COLOR` is set or `TERM` is `dumb`, unless `--color always` is given.
Control characters in names and messages are written out; only `logs` and `--follow` give a job's output as it is.

## Where the daemon is

A command looks for the daemon's socket in this order:

1. `--socket PATH`;
2. `socket` in the `[daemon]` table of the file named by `--config FILE`;
3. the variable `JOBCTL_SOCKET`;
4. `socket` in the default configuration, or in the one that the variable `JOBCTL_CONFIG` names;
5. `/run/jobctl/jobctl.sock` for root, else `$XDG_RUNTIME_DIR/jobctl/jobctl.sock`.

When no daemon listens there, commands that only read answer from the state directory and say `daemon: down` on standard error: `status`, `list`, `logs`, `result`, `history`, `next`, `why`, `schedule list`, `schedule show`, `schedule audit`, `audit` and `db stats`.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | the line makes no sense, or a task cannot take the arguments |
| 3 | no daemon is running |
| 4 | no job, task, queue or schedule of that name or id |
| 69 | a daemon is there but does not answer as it should |
| 75 | not now: the storage refuses, or the job is not in a state for it; try again |
| 77 | not allowed |
| 78 | the configuration has faults, or only the file can change that |
| 130 | interrupted from the keyboard |

`wait`, `submit --wait` and `submit --follow` exit with what the job came to:

| code | meaning |
|---|---|
| the command's own | it ended by itself |
| 128 + signal | a signal ended the command |
| 1 | a function failed, or a command was stopped and still ended with 0 |
| 124 | the wait itself timed out; the job goes on |
| 125 | jobctl could not tell: the job was lost, revoked before it ran, or the daemon stayed away |

An end that is not the command's own exit code is told in one line on standard error.

An error of jobctl is one line on standard error and a second with what to do now.
With `--json` it is `{"error": {"code", "message", "hint"}}` on standard output.

## Repeating

A submit without `--key` makes a key of its own, and is sent again under that key when the connection breaks.
A `wait` and a followed output go on over a restart of the daemon.
Both give up when the daemon stays away for half a minute.
"""


EXIT_CODES: Final = tuple(
    (code.strip(), told.strip())
    for code, told in (
        row.strip("|").split("|")
        for row in _HEAD.partition("## Exit codes")[2].partition("`wait`")[0].splitlines()
        if row.startswith("| ") and not row.startswith("| code")
    )
)
"""Each exit code of jobctl's own, and what it means."""


def commands_page() -> str:
    """The whole page, with a final newline. The same in every terminal and locale."""
    parts = [_HEAD]
    for path, text in helps(get_command(app), "jobctl", None):
        parts.append(f"## {path}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def helps(command: Any, path: str, parent: Any) -> Iterator[tuple[str, str]]:
    """Each command with its help, a group before its members."""
    ctx = command.make_context(
        path.rsplit(" ", 1)[-1], [], parent=parent, resilient_parsing=True, terminal_width=_WIDTH
    )
    text = "\n".join(line.rstrip() for line in command.get_help(ctx).splitlines())
    yield path, text.strip("\n")
    if isinstance(command, TyperGroup):
        for name in command.list_commands(ctx):
            yield from helps(command.get_command(ctx, name), f"{path} {name}", ctx)


if __name__ == "__main__":
    process_screen("never", {}).block(commands_page())
    sys.exit(0)
