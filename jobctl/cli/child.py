"""A part of this program as a process of its own: what the command line itself must not import.

It prints one JSON document, ``{"ok": …}`` or ``{"error": {code, message, hint}}``, and has no other answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def run_child(module: str, *words: str) -> dict[str, Any]:
    """What a child of ours came to. Raises the error that it tells of."""
    from jobctl.client import read_error
    from jobctl.errors import JobctlError

    # -P: a folder that somebody else may write must not supply our modules.
    ended = subprocess.run(
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        document: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        said = ended.stderr.strip().splitlines()
        why = said[-1] if said else f"it ended with {ended.returncode}"
        raise JobctlError(f"{module} gave no answer: {why}") from None
    if "error" in document:
        raise read_error(document["error"])
    found: dict[str, Any] = document["ok"]
    return found
