"""Tables as TOML text, for people to read and keep: what the importers write.

The one place that writes TOML. Values are plain data; what is written reads back equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tomlkit.items import InlineTable, Table


def table_text(path: Sequence[str], values: Mapping[str, Any]) -> str:
    """One table with its header, ``[tasks.backup]``, ending with a line end.

    Mappings in it are inline tables; a text of several lines stands in three quotes. Raises ValueError for a value that TOML cannot hold: None, in
    whatever depth.
    """
    document = tomlkit.document()
    table = tomlkit.table()
    for key, value in values.items():
        table.add(key, _text(value) if isinstance(value, str) else _item(value, key))
    outer: Table = table
    for name in reversed(path[1:]):
        parent = tomlkit.table(is_super_table=True)
        parent.add(tomlkit.key(name), outer)
        outer = parent
    document.add(path[0], outer)
    return tomlkit.dumps(document)


def _text(value: str) -> Any:
    if "\n" not in value.rstrip("\n"):
        return tomlkit.item(value)
    return tomlkit.string(value, multiline=True)


def commented(text: str) -> str:
    """The text with a comment sign before each of its lines."""
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def _item(value: Any, where: str) -> Any:
    if value is None:
        raise ValueError(f"{where} holds null, and TOML has none")
    if isinstance(value, dict):
        inline: InlineTable = tomlkit.inline_table()
        for key, inner in value.items():
            inline.add(tomlkit.key(key), _item(inner, where))
        return inline
    if isinstance(value, (list, tuple)):
        array = tomlkit.array()
        for inner in value:
            array.append(_item(inner, where))
        return array
    return tomlkit.item(value)
