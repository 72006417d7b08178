"""A strict reader of expositions, written from the formats' specifications and not from what jobctl writes.

https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4) and OpenMetrics 1.0. It refuses what
``promtool check metrics`` refuses, and what a scrape would: names, escapes, order, types, histograms that do
not add up, series that come twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
_VALUE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|Inf)|NaN")
_UNITS = re.compile(r"_(milliseconds|minutes|hours|days|kilobytes|megabytes|percent)(_|$)")
_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}


class Malformed(AssertionError):
    """What a scrape would refuse, with its line."""


@dataclass
class ReadFamily:
    name: str
    kind: str = ""
    help: str = ""
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)

    def value(self, suffix: str = "", **labels: str) -> float:
        """The value of one series."""
        return self.samples[self.name + suffix, tuple(sorted(labels.items()))]


def read(text: str, *, is_open: bool = False) -> dict[str, ReadFamily]:
    """The families by name: in the older format that of a counter ends in ``_total``. Raises Malformed."""
    if not text.endswith("\n"):
        raise Malformed("the last line does not end")
    lines = text[:-1].split("\n")
    if is_open:
        if lines.pop() != "# EOF":
            raise Malformed("no # EOF at the end")
        if "# EOF" in lines:
            raise Malformed("# EOF is not the end")
    families: dict[str, ReadFamily] = {}
    current: ReadFamily | None = None
    for number, line in enumerate(lines, start=1):
        try:
            current = _take(line, families, current, is_open=is_open)
        except Malformed as error:
            raise Malformed(f"line {number}: {error}: {line!r}") from None
    for family in families.values():
        if not family.kind:
            raise Malformed(f"{family.name} has no type")
        if not family.help:
            raise Malformed(f"{family.name} has no help")
        if _UNITS.search(family.name):
            raise Malformed(f"{family.name} is in no base unit")
        if family.kind == "histogram":
            _judge_histogram(family)
    return families


def _take(
    line: str, families: dict[str, ReadFamily], current: ReadFamily | None, *, is_open: bool
) -> ReadFamily | None:
    if line.startswith("#"):
        what, _, rest = line[2:].partition(" ")
        if what not in ("HELP", "TYPE") or line[1] != " ":
            raise Malformed("a comment that is none")
        name, _, said = rest.partition(" ")
        if not _NAME.fullmatch(name):
            raise Malformed("a family's name")
        if current is None or current.name != name:
            if name in families:
                raise Malformed("a family in two pieces")
            current = families[name] = ReadFamily(name)
        if current.samples:
            raise Malformed("said after the samples")
        if what == "HELP":
            if current.help:
                raise Malformed("a second help")
            current.help = said
        else:
            kinds = {"counter", "gauge", "histogram"} | ({"info"} if is_open else set())
            if current.kind or said not in kinds:
                raise Malformed("a type")
            if said == "counter" and name.endswith("_total") is is_open:
                raise Malformed("a counter's name")
            current.kind = said
        return current
    if current is None:
        raise Malformed("a sample of no family")
    _take_sample(line, current, is_open=is_open)
    return current


def _take_sample(line: str, family: ReadFamily, *, is_open: bool) -> None:
    found = _NAME.match(line)
    if found is None:
        raise Malformed("a sample's name")
    name, rest = found[0], line[found.end() :]
    labels: dict[str, str] = {}
    if rest.startswith("{"):
        rest = rest[1:]
        while not rest.startswith("}"):
            pair = _LABEL.match(rest)
            if pair is None:
                raise Malformed("a label")
            if pair[1] in labels or pair[1].startswith("__"):
                raise Malformed("a label's name")
            labels[pair[1]] = re.sub(
                r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], pair[2]
            )
            rest = rest[pair.end() :].removeprefix(",")
        rest = rest[1:]
    if not rest.startswith(" ") or not _VALUE.fullmatch(rest[1:]):
        raise Malformed("a value")
    suffixes = _SUFFIXES[family.kind]
    if not is_open and family.kind == "counter":
        suffixes = ("",)
    if name not in {family.name + suffix for suffix in suffixes}:
        raise Malformed("a sample of another family")
    key = name, tuple(sorted(labels.items()))
    if key in family.samples:
        raise Malformed("a series that came before")
    value = float(rest[1:].replace("Inf", "inf"))
    if family.kind in ("counter", "histogram") and not value >= 0:
        raise Malformed("a count below 0")
    family.samples[key] = value


def _judge_histogram(family: ReadFamily) -> None:
    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for (name, labels), value in family.samples.items():
        if name.endswith("_bucket"):
            plain = tuple(pair for pair in labels if pair[0] != "le")
            bound = dict(labels).get("le")
            if bound is None:
                raise Malformed(f"{family.name}: a bucket without le")
            series.setdefault(plain, []).append((float(bound.replace("Inf", "inf")), value))
    for labels, buckets in series.items():
        if buckets != sorted(buckets) or buckets[-1][0] != float("inf"):
            raise Malformed(f"{family.name}{labels}: buckets are out of order or lack +Inf")
        counts = [count for _, count in buckets]
        if counts != sorted(counts):
            raise Malformed(f"{family.name}{labels}: buckets shrink")
        if family.samples.get((f"{family.name}_count", labels)) != counts[-1]:
            raise Malformed(f"{family.name}{labels}: the count is not that of +Inf")
        if (f"{family.name}_sum", labels) not in family.samples:
            raise Malformed(f"{family.name}{labels}: no sum")
    if len(series) * 2 != sum(not name.endswith("_bucket") for name, _ in family.samples):
        raise Malformed(f"{family.name}: sums and counts without buckets")
