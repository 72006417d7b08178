"""Functions of the demonstration: what an application would have in its own modules."""

from __future__ import annotations


def word_count(path: str) -> dict[str, int]:
    """Count lines, words and characters of a text file."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- shown to readers who know open()
        text = file.read()
    print(f"read {path}")  # noqa: T201 -- what a function prints is kept with its attempt
    return {"lines": text.count("\n"), "words": len(text.split()), "characters": len(text)}


def flaky(divisor: int) -> float:
    """Divide by a number that the caller got wrong."""
    return 42 / divisor
