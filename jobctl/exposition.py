"""Metrics as text: Prometheus' text format 0.0.4 and OpenMetrics 1.0, and a file for the textfile collector.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ and the OpenMetrics specification 1.0.
A family has one name, kind and help; its samples differ in their labels. Only what the two formats share is
made: counters, gauges, histograms and info, without time stamps.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One value. ``suffix`` follows the family's name: ``_bucket``, ``_sum``, ``_count`` or nothing; that of a
    counter, ``_total``, is added when it is written."""

    labels: Labels
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """``name`` without ``_total``; ``kind`` is counter, gauge, histogram or info."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def gauge(name: str, help: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    """A family of gauges."""
    return Family(name, "gauge", help, [Sample(labels, value) for labels, value in samples])


def counter(name: str, help: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    """A family of counters; ``name`` is without ``_total``."""
    return Family(name, "counter", help, [Sample(labels, value) for labels, value in samples])


def bucket_samples(
    labels: Labels, bounds: Sequence[float], counts: Sequence[int], total: float
) -> Iterator[Sample]:
    """The samples of one histogram. ``counts`` are those of each bucket alone, one more than ``bounds``."""
    seen = 0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        seen += count
        yield Sample((*labels, ("le", _bound(bound))), seen, "_bucket")
    yield Sample(labels, total, "_sum")
    yield Sample(labels, seen, "_count")


def render(family: Family, *, is_open: bool) -> str:
    """A family as lines, in OpenMetrics or in the older format. Of OpenMetrics, `END` is the last line."""
    tail = {"counter": "_total", "info": "_info"}.get(family.kind, "")
    # The older format knows no info, and names counters as their samples are.
    name = family.name if is_open else family.name + tail
    kind = "gauge" if family.kind == "info" and not is_open else family.kind
    lines = [f"# HELP {name} {_escaped(family.help, is_open=is_open)}", f"# TYPE {name} {kind}"]
    if is_open:
        lines.reverse()
    for labels, value, suffix in family.samples:
        shown = f"{family.name}{suffix or tail}"
        if labels:
            inner = ",".join(f'{label}="{_label(text)}"' for label, text in labels)
            shown = f"{shown}{{{inner}}}"
        lines.append(f"{shown} {_number(value)}")
    return "\n".join(lines) + "\n"


END: Final = "# EOF\n"
"""What ends an exposition in OpenMetrics."""


def write_file(path: Path, text: str) -> None:
    """Put a whole exposition in place of a file, readable by everybody: a collector sees the old one or the new.

    The temporary name does not end in ``.prom``, which a collector would read. Raises OSError; then the old
    file is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(float(bound))


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if value == float("inf"):
        return "+Inf"
    return repr(value)


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escaped(text: str, *, is_open: bool) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if is_open else text
