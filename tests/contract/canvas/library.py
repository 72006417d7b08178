"""What a case of the canvas suite works with: the names of one library, its tasks, and what jobs have recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

LIMIT_S = 20.0 * PATIENCE


@dataclass
class Library:
    """Celery or jobctl. ``t`` are the tasks; the other names are those that both have."""

    name: str
    t: Any
    canvas: ModuleType
    folder: Path
    number: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.canvas, name)

    def path(self) -> str:
        """A file for one case."""
        self.number += 1
        return str(self.folder / f"{self.name}-{self.number}")

    def lines(self, path: str) -> list[str]:
        """What jobs have recorded there until now."""
        file = Path(path)
        return file.read_text().splitlines() if file.exists() else []

    def recorded(self, path: str, count: int = 1) -> list[str]:
        """What jobs have recorded there, as soon as it is so much."""

        return until(
            f"{count} lines in {path}",
            lambda: found if len(found := self.lines(path)) >= count else [],
        )

    def value(self, result: Any) -> Any:
        """What it comes to, as JSON has it."""
        return _plain(result.get(timeout=LIMIT_S))

    def error(self, result: Any) -> list[str]:
        """Type and message of what it fails with."""
        try:
            value = result.get(timeout=LIMIT_S)
        except Exception as error:  # noqa: BLE001 -- of either library
            return error_of(error)
        return ["no error", str(value)]

    def refused(self, call: Callable[[], Any]) -> str:
        """That it is an error of the call itself."""
        try:
            call()
        except Exception:  # noqa: BLE001 -- of either library
            return "refused"
        return "accepted"

    def state_of(self, id: Any) -> str:
        """The state of a job by its id, as a program asks that did not submit it."""
        return str(self.t.app.AsyncResult(id).state)


def error_of(error: BaseException) -> list[str]:
    """Type and message of an exception, however it was rebuilt."""
    text = getattr(error, "text", "") or str(error)
    kind = type(error).__name__.removeprefix("Remote")
    return [kind, text]


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
