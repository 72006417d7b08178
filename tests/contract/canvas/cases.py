"""The cases of the canvas suite: what Celery's manual says of signatures, each as one function of a library.

Written from Celery's documentation (https://docs.celeryq.dev/en/stable/userguide/canvas.html and calling.html)
and run against both. A case gives a JSON value; ``expected`` is what both give, unless ``celery`` says what
Celery gives instead, and ``why`` jobctl differs. The page ``docs/reference/celery-canvas.md`` is made of that.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.canvas.library import Library

    Run = Callable[[Library], Any]

SAME = object()


@dataclass(frozen=True)
class Case:
    """One of them. ``title`` is what it is about, of ``chapter``."""

    title: str
    chapter: str
    run: Callable[[Library], Any]
    expected: Any
    celery: Any = SAME
    why: str = ""

    @property
    def id(self) -> str:
        """For its test."""
        return f"{self.chapter}-{self.title}".replace(" ", "_")

    def expected_of(self, library: str) -> Any:
        """What it gives there."""
        return self.celery if library == "celery" and self.celery is not SAME else self.expected


class OneOf:
    """One of these: which, depends on what is faster."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return other in self.values

    def __hash__(self) -> int:
        return hash(self.values)

    def __repr__(self) -> str:
        return " or ".join(map(repr, self.values))


CASES: list[Case] = []
_chapter = ""

REVOKED = "It never began: `reason` names the job because of which, and `get()` raises what that one failed with."
CHORD_ERROR = "`get()` raises what the task of the header failed with, always; Celery wraps it, unless the waiting program sees that task's own error first."
ANY_ORDER = OneOf(*([[list(order)], {}] for order in itertools.permutations([2, 4, 6])))


def chapter(title: str) -> None:
    """The cases that follow belong to this."""
    global _chapter
    _chapter = title


def case(title: str, expected: Any, *, celery: Any = SAME, why: str = "") -> Callable[[Run], Run]:
    """A function is a case."""

    def decorate(run: Run) -> Run:
        CASES.append(Case(title, _chapter, run, expected, celery, why))
        return run

    return decorate


def simple(title: str, expected: Any, run: Run, **differs: Any) -> None:
    """A case that is one expression: of a signature, whose result is waited for."""
    case(title, expected, **differs)(lambda lib: lib.value(run(lib).apply_async()))


def failing(title: str, expected: Any, run: Run, **differs: Any) -> None:
    """The same for one that fails: type and message of its error."""
    case(title, expected, **differs)(lambda lib: lib.error(run(lib).apply_async()))


def json_of(sig: Any) -> Any:
    """What JSON makes of it."""
    return json.loads(json.dumps(sig))
