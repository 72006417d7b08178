"""Why a command could not be started."""

from __future__ import annotations


class CannotStart(Exception):
    """The command could not be started. ``exit_code`` is what a shell would give: 126 or 127."""

    def __init__(self, kind: str, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.exit_code = exit_code
