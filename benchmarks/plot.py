"""Figures against a number, as a picture: a small writer of SVG. Pure: values in, text out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 640
_HEIGHT: Final = 300
_LEFT: Final = 80
_RIGHT: Final = 610
_TOP: Final = 50
_BOTTOM: Final = 240

_STYLE: Final = """
  text { font: 13px sans-serif; fill: #1c2733; }
  .title { font-weight: bold; }
  .grid { stroke: #dde3e9; }
  .line { fill: none; stroke: #1f6fb2; stroke-width: 2; }
  .range { stroke: #1f6fb2; stroke-width: 1.5; }
  .point { fill: #1f6fb2; }
  .budget { stroke: #b23a1f; stroke-dasharray: 6 4; }
"""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One place on the axis: what it is called there, the figures of all rounds at it, and what is told
    of them to who points at it."""

    label: str
    told: str
    median: float
    low: float
    high: float


def plot(
    title: str,
    axis: str,
    unit: str,
    points: Sequence[Point],
    *,
    bound: float | None = None,
) -> str:
    """A line through the medians, each with its spread; the figures begin at zero.

    ``points``, at least one, stand at equal distances, so they are to grow by equal factors. ``bound``: a
    budget, drawn as a line across. A figure below zero, as a difference may have, stands at zero.
    """
    most = max(bound or 0.0, *(point.high for point in points))
    step = _step(most)
    top = step * max(1, math.ceil(most / step))

    def height(figure: float) -> float:
        return _BOTTOM - max(figure, 0.0) / top * (_BOTTOM - _TOP)

    places = [
        _LEFT + (_RIGHT - _LEFT) * (number + 0.5) / len(points) for number in range(len(points))
    ]
    parts = [_text(_LEFT, 24, f"{title}, {unit}", kind="title", anchor="start")]
    for number in range(round(top / step) + 1):
        y = height(number * step)
        parts.append(_line("grid", _LEFT, y, _RIGHT, y))
        parts.append(_text(_LEFT - 8, y + 4, f"{number * step:,.10g}", anchor="end"))
    if bound is not None:
        parts.append(_line("budget", _LEFT, height(bound), _RIGHT, height(bound), "the budget"))
    line = " ".join(f"{x:.1f},{height(p.median):.1f}" for x, p in zip(places, points, strict=True))
    parts.append(f'<polyline class="line" points="{line}"/>')
    for x, point in zip(places, points, strict=True):
        parts.append(_line("range", x, height(point.low), x, height(point.high)))
        parts.append(
            f'<circle class="point" cx="{x:.1f}" cy="{height(point.median):.1f}" r="4">'
            f"<title>{escape(point.told)}</title></circle>"
        )
        parts.append(_text(x, _BOTTOM + 20, point.label))
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 44, axis))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _step(most: float) -> float:
    """How far the lines of the grid are apart: 1, 2 or 5 times a power of ten, at most five of them."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / 5))
    return next(power * times for times in (1, 2, 5, 10) if power * times * 5 >= most)


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "middle") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{named} text-anchor="{anchor}">{escape(text)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float, title: str = "") -> str:
    told = f"<title>{escape(title)}</title>" if title else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line class="{kind}" {ends}>{told}</line>'
