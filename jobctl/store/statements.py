"""The SQL files of this package, by the name ``folder/file``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The statement in ``sql/<name>.sql``, without its comment. Raises FileNotFoundError."""
    text = (files("jobctl.store") / "sql" / f"{name}.sql").read_text()
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return " ".join(" ".join(lines).split())


def migrations() -> list[tuple[int, str, str]]:
    """``(number, name, script)`` of every migration, in order; numbers count from 1 without gaps."""
    folder = files("jobctl.store") / "sql" / "migrations"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, (folder / name).read_text()) for name in found]
