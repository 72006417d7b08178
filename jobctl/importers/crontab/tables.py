"""An entry as a ``[tasks.X]`` table: what cron gives a command, said in our keys.

What cron does and our defaults do not: jobs may overlap; PATH is short; the variables of the table are in the
environment; the shell is that of ``SHELL``; what follows a percent sign is standard input.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jobctl.arguments import SHELL as OUR_SHELL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.importers.crontab.programs import Program
    from jobctl.importers.crontab.reading import Entry

FORCED: Final = ("LOGNAME", "USER")
"""Variables that cron sets itself, whatever the table says."""
_ENV_NAME: Final = re.compile(r"(?!JOBCTL_)[A-Za-z_][A-Za-z0-9_]*")


def can_name_variable(name: str) -> bool:
    """Whether a table of ours can set a variable of that name."""
    return _ENV_NAME.fullmatch(name) is not None


def table_of(
    entry: Entry,
    program: Program,
    *,
    when: Mapping[str, Any],
    zone: str | None = None,
    owner: str | None = None,
    jitter: str = "",
) -> dict[str, Any]:
    """The keys of an entry's table, in the order in which they are read best.

    ``when`` is its key of time. ``owner`` is the user of a user's table, None where that goes without saying.
    """
    table: dict[str, Any] = {}
    if entry.about:
        table["description"] = entry.about
    table.update(body_of(entry.command, entry.env.get("SHELL") or OUR_SHELL))
    if entry.input is not None:
        table["stdin"] = entry.input
    table.update(when)
    if zone is not None:
        table["timezone"] = zone
    if jitter:
        table["jitter"] = jitter
    table["on_overlap"] = "skip" if "s" in entry.options else "allow"
    user = entry.user if entry.user is not None else owner
    if user is not None:
        table["user"] = user
    home = entry.env.get("HOME", "")
    if home.startswith("/"):
        table["cwd"] = home
    env = environment_of(entry.env, program)
    if env:
        table["env"] = env
    return table


def body_of(command: str, shell: str) -> dict[str, Any]:
    """``shell`` or ``command``: what runs a command line as ``shell -c`` would."""
    line = _trimmed(command)
    if shell == OUR_SHELL:
        return {"shell": line}
    return {"command": [shell, "-c", _literal(line)]}


def _trimmed(command: str) -> str:
    """Without the blanks at its end, unless the last one is protected."""
    bare = command.rstrip(" \t")
    return command if bare.endswith("\\") else bare


def _literal(line: str) -> str:
    """The line as a word of ``command`` that is no placeholder; a blank more means nothing to a shell."""
    return line if build_argv_is_literal((line,)) else line + " "


def build_argv_is_literal(words: Sequence[str]) -> bool:
    """Whether the words of a command stand for themselves."""
    return all(not re.fullmatch(r"\{+[\w-]+\}+", word) for word in words)


def environment_of(env: Mapping[str, str], program: Program) -> dict[str, str]:
    """The variables that cron would give the command and a clean environment of ours has not."""
    own = {
        name: value
        for name, value in env.items()
        if name not in FORCED and can_name_variable(name) and "\0" not in value
    }
    if own.get("SHELL") == OUR_SHELL:
        del own["SHELL"]
    if program.path is not None and "PATH" not in own:
        own["PATH"] = program.path
    return own
