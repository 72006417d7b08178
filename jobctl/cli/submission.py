"""What was said on the line of ``submit`` as the fields of a `jobctl.protocol.requests.NewJob`.

Both ways in, the fast one and typer's, come through `job_fields`, so that one line means one request.
It says nothing about how a line is read.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def job_fields(
    *,
    key: str,
    task: str | None = None,
    command: list[str] | None = None,
    args: list[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    typed: bool = False,
    raw: list[str] | None = None,
    eta: int | None = None,
    delay_s: float | None = None,
    expires_at: int | None = None,
    queue: str | None = None,
    priority: int | None = None,
    retries: int | None = None,
    timeout_s: float | None = None,
    soft_timeout_s: float | None = None,
    deadline_s: float | None = None,
    labels: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    stderr: str | None = None,
    after: list[int] | None = None,
    after_any: list[int] | None = None,
) -> dict[str, Any]:
    """The fields of one job; what was not said, and what is empty, is left out.

    A command gets the folder and the umask of this process: it runs where it was submitted.
    """
    fields: dict[str, Any] = {"task": task, "command": command, "key": key}
    fields |= {"args": args or None, "kwargs": kwargs or None, "raw": raw or None}
    fields |= {"typed": typed or None, "labels": labels or None, "env": env or None}
    fields |= {"stderr": stderr, "after": after or None, "after_any": after_any or None}
    fields |= {"eta": eta, "delay_s": delay_s, "expires_at": expires_at}
    fields |= {"queue": queue, "priority": priority, "retries": retries, "timeout_s": timeout_s}
    fields |= {"soft_timeout_s": soft_timeout_s, "deadline_s": deadline_s}
    if command is not None:
        fields |= {"cwd": os.getcwd(), "umask": current_umask()}  # noqa: PTH109 -- pathlib is slow to load
    return {name: value for name, value in fields.items() if value is not None}


def current_umask() -> int:
    """This process's umask. The kernel tells it only to who sets it; for that moment it is strict."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
