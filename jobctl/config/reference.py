"""The reference page of the configuration, made from the keys themselves.

``python -m jobctl.config.reference > docs/reference/configuration.md`` writes it; a test compares the page
with what this gives.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from jobctl.plan.difference import shown_value
from jobctl.plan.tables import POOLS, TABLES, Table

if TYPE_CHECKING:
    from jobctl.task.keys import BoundKey

_BEFORE = """\
# Configuration

<!-- Made from the code by `python -m jobctl.config.reference`; change the texts there. -->

One TOML file, by default `/etc/jobctl/jobctl.toml` for root and `~/.config/jobctl/jobctl.toml` for anyone else.
Files `conf.d/*.toml` beside it are read too, in the order of their names.
A table stands in one file only; a second one of the same name is an error.
[conf.example.toml](../../conf.example.toml) runs as it stands.

`jobctl check` judges the whole of it and tells every error at once, with file, line and column.
A configuration with an error changes nothing: the daemon goes on with the one that it has.

## How values are written

| kind | as in |
|---|---|
| span | `"30s"`, `"5m"`, `"1h30m"`, `"2d"`, `"1w"`, `"500ms"`; a bare number is seconds |
| size | `"64MiB"`, `"10MB"`, `"4K"`; a bare number is bytes; `K` and `KiB` are 1024, `KB` is 1000 |
| rate | `"10/s"`, `"30/m"`, `"1/h"`, `"5/d"`, `"3/10s"` |
| name | letters, digits, `_`, `.` and `-`, at most 200, beginning with a letter, a digit or `_` |
| stop sequence | signals and waits, ending with `KILL`: `"TERM,30s,KILL"` |
| time zone | a name of the IANA zone database: `"Europe/Berlin"`, `"UTC"` |
| octal text | `"022"` |
| moment | `"2030-01-31 12:00"`, with or without an offset |
"""

_AFTER = """\
## Tasks of the code

A task that a module declares with `@task` is named `module.function` unless it says otherwise.
A table `[tasks."shop.tasks.send"]` without `command`, `shell` and `function` overrides its options, key by key.
Keys for commands are refused for functions, and keys for functions for commands.
A key that a pool cannot keep is refused for functions whose queue a worker group of that pool serves.
The local engine, the only one that there is, keeps all of them.

## Arguments

A whole word `{1}` or `{name}` of `command` is replaced by an argument of the job.
Positional arguments without such a place are appended.
A shell line gets them as `"$1"` and following.
Commands get all of them as variables too: `JOBCTL_ARG_1`, `JOBCTL_ARG_NAME`.
`{{name}}` gives `{name}` itself.
"""


VALUES: Final = tuple(
    (kind.strip(), told.strip())
    for kind, told in (
        row.strip("|").split("|")
        for row in _BEFORE.partition("## How values are written")[2].splitlines()
        if row.startswith("| ") and not row.startswith("| kind")
    )
)
"""Each kind of value, and how it is written."""


def page() -> str:
    """Give the whole page, ending with a newline."""
    parts = [_BEFORE, *(_section(table) for table in TABLES.values()), _AFTER]
    return "\n".join(parts)


def _section(table: Table) -> str:
    title = f"`[{table.name}.NAME]`" if table.named else f"`[{table.name}]`"
    has_kinds = any(
        bound.key.commands_only or bound.key.functions_only for bound in table.keys.values()
    )
    rows = [_row(bound, has_kinds=has_kinds) for bound in table.keys.values()]
    names = ["key", "kind", "a bare number is", "default"]
    names += ["for", "pools of functions"] if has_kinds else []
    head = f"| {' | '.join(names)} | |\n|{'---|' * (len(names) + 1)}"
    later = ""
    if table.later:
        words = ", ".join(f"`{word}`" for word in sorted(table.later))
        later = f"\nKnown and refused, because nothing keeps them yet: {words}.\n"
    return f"## {title}\n\n{table.help}\n\n{head}\n" + "\n".join(rows) + f"\n{later}"


def _row(bound: BoundKey, *, has_kinds: bool) -> str:
    key = bound.key
    cells = [f"`{key.name}`", key.mark.word, key.mark.unit, default_of(bound)]
    if has_kinds:
        cells += [_kinds(bound), _pools(bound)]
    return "| " + " | ".join([*cells, key.help]) + " |"


def _kinds(bound: BoundKey) -> str:
    """Which tasks can have a key: of a kind, or both."""
    if bound.key.commands_only or bound.key.name in ("command", "shell"):
        return "commands"
    is_only = bound.key.functions_only or bound.key.name == "function"
    return "functions" if is_only else "both"


def _pools(bound: BoundKey) -> str:
    """Which pools of function workers keep a key; nothing for a key of commands."""
    if _kinds(bound) == "commands":
        return ""
    kept = [pool for pool in POOLS if pool not in bound.key.not_in]
    return "all" if len(kept) == len(POOLS) else ", ".join(f"`{pool}`" for pool in kept)


def default_of(bound: BoundKey) -> str:
    """What stands for a key that is not written, for people; nothing where that is nothing."""
    if bound.required:
        return "must be written"
    if bound.key.default_text:
        return bound.key.default_text
    if bound.default is None or bound.default in ("", (), {}):
        return ""
    shown = shown_value(bound, bound.default)
    is_text = bound.key.mark.unit in ("seconds", "bytes")
    return f'`"{shown}"`' if is_text else f"`{shown}`"


if __name__ == "__main__":
    sys.stdout.write(page())
