"""``NAME=VALUE`` as it is written behind ``--label`` and ``--env``."""

from __future__ import annotations

from jobctl.errors import UsageError
from jobctl.task.units import shown


def read_pairs(texts: list[str] | None, *, option: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping. Raises UsageError for a text without ``=`` and a name twice."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"{option}: {shown(text)} is no pair", hint="Write NAME=VALUE.")
        if name in found:
            raise UsageError(f"{option}: {shown(name)} is given twice", hint="Give it once.")
        found[name] = value
    return found
