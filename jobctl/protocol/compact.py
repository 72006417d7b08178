"""JSON for processes that must stay small.

The package ``json`` brings ``re`` and a few hundred KiB that every keeper would hold for itself once
it has parsed a frame (measured: 628 KiB against 312 KiB a process). Its C scanner and encoder live in
the extension module ``_json`` and work without it. Where that module is missing or has changed, the
package does the same work.
"""

from __future__ import annotations

# Said by hand, because importing typing costs more than everything else here. Type checkers know it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Context:
    """What the C scanner asks for: the settings of `json.JSONDecoder` with its defaults."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    def __init__(self) -> None:
        self.memo: dict[str, str] = {}

    @staticmethod
    def parse_constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")


def _without_package() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    # Private to CPython, unchanged since 3.1; `make_codec` falls back when it is not there.
    from _json import (
        encode_basestring_ascii,
        make_encoder,
        make_scanner,
    )

    scan = make_scanner(_Context())  # type: ignore[arg-type]

    def refuse(value: object) -> Any:
        raise TypeError(f"{type(value).__name__} is not JSON")

    encode = make_encoder(
        None, refuse, encode_basestring_ascii, None, ":", ",", False, False, False
    )

    def loads(text: str) -> Any:
        try:
            value, end = scan(text, 0)
        except StopIteration as error:
            raise ValueError(f"not JSON at character {error.value}") from None
        if text[end:].strip():
            raise ValueError(f"more than one JSON value, from character {end}")
        return value

    def dumps(value: Any) -> str:
        return "".join(encode(value, 0))

    return loads, dumps


def _with_package() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    import json

    encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
    return json.loads, encoder.encode


def make_codec() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    """``(loads, dumps)``: text to value and back; errors are ValueError and TypeError."""
    try:
        loads, dumps = _without_package()
        if loads(dumps({"a": [1, 2.5, None, True, "é\n"]})) != {"a": [1, 2.5, None, True, "é\n"]}:
            return _with_package()
    except (ImportError, TypeError, AttributeError, ValueError):
        return _with_package()
    return loads, dumps


loads, dumps = make_codec()
