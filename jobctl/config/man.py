"""The manual page ``jobctl.toml(5)``, made from the keys themselves: ``man/jobctl.toml.5``.

``python -m jobctl.config.man > man/jobctl.toml.5`` writes it; a test compares the two.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jobctl import roff
from jobctl.config.reference import VALUES, default_of
from jobctl.plan.tables import TABLES

if TYPE_CHECKING:
    from jobctl.plan.tables import Table
    from jobctl.task.keys import BoundKey

_EXAMPLE = """\
[tasks.backup]
command = ["pg_dump", "-Fc", "-f", "/backup/shop.dump", "shop"]
cron    = "30 2 * * *"
timeout = "1h"
retries = 3
"""


def page() -> str:
    """The whole page."""
    parts = [
        roff.head("jobctl.toml", 5, "configuration of jobctl"),
        roff.section("synopsis"),
        roff.paragraph("`/etc/jobctl/jobctl.toml`, `~/.config/jobctl/jobctl.toml`"),
        roff.section("description"),
        roff.paragraph(
            "One TOML file, and the files `conf.d/*.toml` beside it in the order of their names. "
            "`jobctl check` judges the whole of it and tells every error at once; `jobctl reload` brings it "
            "into force, all or nothing."
        ),
        roff.section("values"),
        *(roff.item(kind, told) for kind, told in VALUES),
    ]
    for table in TABLES.values():
        parts += _section(table)
    parts += [
        roff.section("example"),
        roff.verbatim(_EXAMPLE),
        roff.section("see also"),
        roff.paragraph("`jobctl`(1)"),
    ]
    return roff.joined(parts)


def _section(table: Table) -> list[str]:
    title = f"[{table.name}.NAME]" if table.named else f"[{table.name}]"
    # Not in capitals: that is how it is written.
    heading = f".SH {roff.quoted(title)}\n"
    return [heading, roff.paragraph(table.help), *(_key(bound) for bound in table.keys.values())]


def _key(bound: BoundKey) -> str:
    key = bound.key
    default = default_of(bound)
    if default == "must be written":
        told = " It must be written."
    else:
        told = f" Default: {default}." if default else ""
    word = key.mark.word.replace("\\|", "|").replace("`", "")
    return roff.item(f"{key.name} = {word}", f"{key.help}{told}")


if __name__ == "__main__":
    sys.stdout.write(page())
