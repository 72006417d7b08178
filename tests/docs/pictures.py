"""The pictures of the manual, drawn from the code where it can be: ``python -m tests.docs.pictures``.

A test compares the files with what this draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from jobctl.job import FINAL, WAITING, Change, State
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_STYLE: Final = """
  text { font: 14px sans-serif; fill: #1c2733; }
  .small { font-size: 12px; fill: #44525f; }
  .box { fill: #ffffff; stroke: #1c2733; stroke-width: 1.5; }
  .waits { fill: #fff3cd; }
  .runs { fill: #d6e8ff; }
  .ended { fill: #e2f2e1; }
  .disk { fill: #efe4fb; }
  .line { fill: none; stroke: #44525f; stroke-width: 1.5; marker-end: url(#head); }
  .headless { marker-end: none; }
  .asked { stroke-dasharray: 5 4; }
"""

_HEAD: Final = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#44525f"/></marker>'
)


def _picture(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f"<defs>{_HEAD}</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _text(x: int, y: int, text: str, *, kind: str = "", anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _box(x: int, y: int, width: int, height: int, kind: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" class="box {kind}"/>'


# -- states ---------------------------------------------------------------------------------------

_BOX: Final = (120, 44)
_CENTRES: Final[Mapping[State, tuple[int, int]]] = {
    State.PENDING: (110, 90),
    State.RETRY: (110, 330),
    State.STARTED: (390, 210),
    State.SUCCESS: (690, 90),
    State.FAILURE: (690, 210),
    State.REVOKED: (690, 330),
}


@dataclass(frozen=True, kw_only=True)
class _Arrow:
    """How a change is drawn: the path, where its name stands (nowhere: another arrow has it), and
    whether it has a head (not where it runs into another arrow)."""

    path: str
    name_at: tuple[int, int] | None = None
    has_head: bool = True


_ARROWS: Final[Mapping[tuple[Change, State], _Arrow]] = {
    (Change.CLAIM, State.PENDING): _Arrow(path="M171 108 L345 187", name_at=(280, 146)),
    (Change.CLAIM, State.RETRY): _Arrow(path="M150 307 L329 228", name_at=(210, 264)),
    (Change.RELEASE, State.STARTED): _Arrow(path="M329 196 L150 113", name_at=(208, 172)),
    (Change.TRY_AGAIN, State.STARTED): _Arrow(path="M350 233 L171 312", name_at=(296, 286)),
    (Change.SUCCEED, State.STARTED): _Arrow(path="M451 196 L628 104", name_at=(520, 142)),
    (Change.FAIL, State.STARTED): _Arrow(path="M451 210 L628 210", name_at=(540, 204)),
    (Change.REVOKE, State.STARTED): _Arrow(path="M451 224 L628 316", name_at=(576, 270)),
    (Change.REVOKE, State.RETRY): _Arrow(path="M171 334 L628 334", name_at=(400, 328)),
    (Change.REVOKE, State.PENDING): _Arrow(
        path="M49 90 L24 90 L24 396 L690 396 L690 354", name_at=(400, 390)
    ),
    (Change.RENEW, State.SUCCESS): _Arrow(
        path="M690 67 L690 34 L110 34 L110 66", name_at=(400, 28)
    ),
    (Change.RENEW, State.FAILURE): _Arrow(path="M751 210 L800 210 L800 34 L690 34", has_head=False),
    (Change.RENEW, State.REVOKED): _Arrow(path="M751 330 L800 330 L800 210", has_head=False),
}


def states_picture() -> str:
    """The states of a job and every change between them, as `jobctl.job` allows them."""
    drawn = {(change, source) for change in Change for source in change.sources}
    assert drawn == _ARROWS.keys(), drawn ^ _ARROWS.keys()
    parts = []
    for (change, source), arrow in _ARROWS.items():
        kinds = ["line", *(["asked"] if change in (Change.REVOKE, Change.RENEW) else [])]
        if not arrow.has_head:
            kinds.append("headless")
        told = escape(f"{source} to {change.target}: {_name(change)}")
        parts.append(
            f'<path d="{arrow.path}" class="{" ".join(kinds)}"><title>{told}</title></path>'
        )
        if arrow.name_at is not None:
            parts.append(_text(*arrow.name_at, _name(change), kind="small"))
    width, height = _BOX
    for state, (x, y) in _CENTRES.items():
        kind = "waits" if state in WAITING else "ended" if state in FINAL else "runs"
        parts.append(_box(x - width // 2, y - height // 2, width, height, kind))
        parts.append(_text(x, y + 5, state.value))
    return _picture(830, 420, "The states of a job", parts)


def _name(change: Change) -> str:
    return change.name.lower().replace("_", " ")


# -- the life of a job ----------------------------------------------------------------------------

_LANES: Final = {"client": 110, "daemon": 350, "disk": 600, "worker": 850}
_LANE_NAMES: Final = {
    "client": ("jobctl submit", "cli/, client.py"),
    "daemon": ("jobctl daemon", "daemon/, dispatcher/, engine/"),
    "disk": ("state directory", "jobctl.db, run/, output/"),
    "worker": ("worker or keeper", "worker/"),
}


@dataclass(frozen=True)
class _Step:
    """One arrow of the life of a job; ``is_durable``: the disk has confirmed it."""

    number: int
    source: str
    target: str
    text: str
    is_durable: bool = False


_STEPS: Final = (
    _Step(1, "client", "daemon", "submit, with a key"),
    _Step(2, "daemon", "disk", "commit: PENDING", is_durable=True),
    _Step(3, "daemon", "client", "the id"),
    _Step(4, "daemon", "disk", "commit: STARTED, token", is_durable=True),
    _Step(5, "daemon", "worker", "run"),
    _Step(6, "worker", "disk", "begin mark or note"),
    _Step(7, "worker", "disk", "end mark, output"),
    _Step(8, "worker", "daemon", "outcome"),
    _Step(9, "daemon", "disk", "commit: SUCCESS, attempt", is_durable=True),
    _Step(10, "daemon", "worker", "acknowledgement"),
    _Step(11, "daemon", "client", "the end, if it waits"),
)


def life_picture() -> str:
    """The path of one job between the processes, step by step."""
    top, step, width = 90, 46, 190
    height = top + step * len(_STEPS) + 30
    parts = []
    for lane, x in _LANES.items():
        name, files = _LANE_NAMES[lane]
        parts.append(_box(x - width // 2, 12, width, 48, "disk" if lane == "disk" else "runs"))
        parts.append(_text(x, 32, name))
        parts.append(_text(x, 50, files, kind="small"))
        parts.append(f'<path d="M{x} 60 L{x} {height - 10}" class="line headless asked"/>')
    for index, each in enumerate(_STEPS):
        y = top + step * index + 14
        start, end = _LANES[each.source], _LANES[each.target]
        parts.append(f'<path d="M{start} {y} L{end} {y}" class="line"/>')
        label = f"{each.number}  {each.text}"
        # Beside the lane that it leaves, where no other lane crosses it.
        neighbour = start + 245 * (1 if end > start else -1)
        parts.append(_text((start + neighbour) // 2, y - 7, label))
        if each.is_durable:
            parts.append(_box(end - 7, y - 7, 14, 14, "disk"))
    return _picture(960, height, "The life of a job", parts)


PICTURES: Final = {
    "docs/reference/states.svg": states_picture,
    "docs/explanation/life-of-a-job.svg": life_picture,
}
"""Every picture of the manual, by its file."""


def draw(root: Path = ROOT) -> None:
    """Draw all of them."""
    for name, picture in PICTURES.items():
        (root / name).write_text(picture())


if __name__ == "__main__":
    draw()
