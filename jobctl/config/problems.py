"""Problems of a configuration as JSON between processes and as text for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobctl.task.keys import Json

_TOKEN: Final = re.compile(r"""\[\[?[^\]\n]*\]\]?|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s=,\]}]+""")


def problem_to_json(problem: Problem) -> dict[str, Json]:
    """Give ``file``, ``line``, ``column``, ``key``, ``message``, ``hint``, ``source``."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "key": problem.key,
        "message": problem.message,
        "hint": problem.hint,
        "source": problem.source,
    }


def problem_from_json(data: Mapping[str, Any]) -> Problem:
    """Take what `problem_to_json` gave. Raises ``KeyError`` for anything else."""
    return Problem(
        file=str(data["file"]),
        line=int(data["line"]),
        column=int(data["column"]),
        key=str(data["key"]),
        message=str(data["message"]),
        hint=str(data["hint"]),
        source=str(data["source"]),
    )


def problem_text(problem: Problem) -> str:
    """Give a problem as some lines without a final newline: what, where, the line itself, the way out.

    ::

        error: task "backup": unknown key "retires"
          --> /etc/jobctl/jobctl.toml:14:1
           |
        14 | retires = 3
           | ^^^^^^^
           = hint: Did you mean "retries"?
    """
    lines = [f"error: {problem.message}"]
    number = str(problem.line) if problem.line else ""
    margin = " " * len(number)
    place = f":{problem.line}:{problem.column}" if problem.line else ""
    lines.append(f"{margin}--> {problem.file}{place}")
    if problem.line and problem.source:
        source = problem.source.expandtabs(1)
        source = "".join(
            letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in source
        )
        found = _TOKEN.match(source, problem.column - 1)
        width = max(1, len(found[0])) if found else 1
        lines.append(f"{margin} |")
        lines.append(f"{number} | {source}")
        lines.append(f"{margin} | {' ' * (problem.column - 1)}{'^' * width}")
    if problem.hint:
        lines.append(f"{margin} = hint: {problem.hint}")
    return "\n".join(lines)


def problems_text(problems: Iterable[Problem]) -> str:
    """Give all problems, a blank line between them, and how many there are; ends with a newline."""
    texts = [problem_text(problem) for problem in problems]
    count = f"{len(texts)} error{'s' if len(texts) != 1 else ''}"
    return "\n\n".join([*texts, count]) + "\n"
