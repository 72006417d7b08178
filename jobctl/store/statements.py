"""The SQL files of this package, by the name ``folder/file``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

# Not importlib.resources: it brings what archives and temporary files need into every start.
_SQL = Path(__file__).with_name("sql")


@cache
def statement(name: str) -> str:
    """The statement in ``sql/<name>.sql``, without its comment. Raises FileNotFoundError."""
    text = (_SQL / f"{name}.sql").read_text()
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return " ".join(" ".join(lines).split())


def migrations() -> list[tuple[int, str, str]]:
    """``(number, name, script)`` of every migration, in order; numbers count from 1 without gaps."""
    folder = _SQL / "migrations"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, (folder / name).read_text()) for name in found]
