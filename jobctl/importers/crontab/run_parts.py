"""Folders of scripts (``/etc/cron.daily``) that run-parts(8) runs: which of their files, and in what order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_CALL: Final = re.compile(r"\brun-parts\s+(?:--?[\w=./^$*\[\]-]+\s+)*(/[^\s;&|)}]+)")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def folder_of(command: str) -> str | None:
    """The folder whose scripts a command runs; None when it runs none."""
    found = _CALL.search(command)
    return found[1] if found else None


def in_order(names: Iterable[str]) -> list[str]:
    """The names of a folder's files that run-parts runs, as it orders them: by bytes, without dots."""
    return sorted(name for name in names if _PLAIN_NAME.fullmatch(name))


def tables_of_scripts(
    folder: str,
    scripts: Sequence[str],
    whole: Mapping[str, Any],
    name: Callable[[str], str],
) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Tables of the scripts of a folder, and of the queue in which they run one after another.

    ``whole`` is the table of the entry that ran all of them.
    """
    line = name(folder.rstrip("/").rsplit("/", 1)[-1])
    if scripts:
        yield ("queues", line), {"concurrency": 1, "description": f"the scripts of {folder}"}
    shared = {
        key: value for key, value in whole.items() if key not in ("description", "shell", "command")
    }
    for script in scripts:
        yield (
            ("tasks", name(f"{line}.{script}")),
            {"command": [f"{folder.rstrip('/')}/{script}"], "queue": line, **shared},
        )
