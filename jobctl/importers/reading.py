"""Reading what an application declares, in an interpreter of the application's own.

Its modules are imported there and never here: they may need packages that only it has, and what they do
while they are imported is done to a process that ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from jobctl.errors import JobctlError

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE_S: Final = 60.0


class CannotImport(JobctlError):
    """There is nothing to import from where one said: the application has its own errors, or none of it."""

    code: ClassVar[str] = "import"
    exit_code: ClassVar[int] = 1


def read_celery(
    what: Literal["beat", "app"],
    place: str,
    *,
    python: str = sys.executable,
    folders: Sequence[str] = (),
) -> dict[str, Any]:
    """What `jobctl.importers.celery_reader` says about ``place`` (``MODULE`` or ``MODULE:ATTR``): of its beat
    schedule, or of the whole application.

    ``folders`` are looked into first for modules. Blocks until the application is imported. Raises
    CannotImport with the reason; what the application prints goes to standard error.
    """
    from jobctl.importers import celery_reader

    command = [python, str(Path(celery_reader.__file__)), what, place, *folders]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=PATIENCE_S,
            check=False,
        )
    except OSError as error:
        raise CannotImport(
            f"{python} cannot be started: {error.strerror}",
            hint="Name an interpreter with --python.",
        ) from None
    except subprocess.TimeoutExpired:
        raise CannotImport(
            f"importing {place} took longer than {PATIENCE_S:g} s and was ended",
            hint="A module that works while it is imported cannot be read; name one with the settings alone.",
        ) from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise CannotImport(
            f"the process that imported {place} ended with {done.returncode} and without an answer",
            hint="Its own message stands above.",
        ) from None
    refusal = answer.get("error")
    if refusal is not None:
        raise CannotImport(refusal["message"], hint=refusal["hint"])
    return answer
