"""The reference page of the configuration, made from the keys themselves.

``python -m jobctl.config.reference > docs/reference/configuration.md`` writes it; a test compares the page
with what this gives.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jobctl.plan.difference import shown_value
from jobctl.plan.tables import TABLES, Table

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
Keys marked "commands only" are refused for functions, those marked "functions only" for commands.

## Arguments

A whole word `{1}` or `{name}` of `command` is replaced by an argument of the job.
Positional arguments without such a place are appended.
A shell line gets them as `"$1"` and following.
Commands get all of them as variables too: `JOBCTL_ARG_1`, `JOBCTL_ARG_NAME`.
`{{name}}` gives `{name}` itself.
"""


def page() -> str:
    """Give the whole page, ending with a newline."""
    parts = [_BEFORE, *(_section(table) for table in TABLES.values()), _AFTER]
    return "\n".join(parts)


def _section(table: Table) -> str:
    title = f"`[{table.name}.NAME]`" if table.named else f"`[{table.name}]`"
    rows = [_row(bound) for bound in table.keys.values()]
    head = "| key | kind | default | |\n|---|---|---|---|"
    later = ""
    if table.later:
        words = ", ".join(f"`{word}`" for word in sorted(table.later))
        later = f"\nKnown and refused, because nothing keeps them yet: {words}.\n"
    return f"## {title}\n\n{table.help}\n\n{head}\n" + "\n".join(rows) + f"\n{later}"


def _row(bound: BoundKey) -> str:
    only = " Commands only." if bound.key.commands_only else ""
    if bound.key.functions_only:
        only = " Functions only."
    cells = (f"`{bound.key.name}`", bound.key.mark.word, _default(bound), bound.key.help + only)
    return "| " + " | ".join(cells) + " |"


def _default(bound: BoundKey) -> str:
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
