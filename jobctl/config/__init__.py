"""The configuration file: read and judged whole, in a child, with every error at once.

What the keys are is said in `jobctl.task` and `jobctl.plan`; here they are read from TOML. The names
given out here need the standard library only; `jobctl.config.load` needs tomli and is imported in the child
alone; the models, which give the JSON Schema, need pydantic.
"""

from __future__ import annotations

from jobctl.config.child import (
    collecting_later,
    load_in_child,
    parse_result,
    reading_result,
    start_child,
)
from jobctl.config.problems import problem_text, problem_to_json, problems_text

__all__ = [
    "collecting_later",
    "load_in_child",
    "parse_result",
    "problem_text",
    "problem_to_json",
    "problems_text",
    "reading_result",
    "start_child",
]
