"""The judged lines as the text of a configuration, for a person to read and to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.config.writing import commented, table_text
from jobctl.importers.crontab.remarks import Verdict

if TYPE_CHECKING:
    from jobctl.importers.crontab.judging import Import, Judged
    from jobctl.importers.crontab.remarks import Remark


def text_of(found: Import) -> str:
    """All of it as TOML, ending with a line end; empty when there is nothing to write.

    The routes by which the tasks tell come first. Above each other table stands the line that it comes from, and what was said about it. What waits for a decision
    is a comment as a whole, and of what is dead only the line and the reason are left.
    """
    routes = {line.route[0]: line.route[1] for line in found.lines if line.route is not None}
    parts = [_visible(table_text(("notify", name), keys)) for name, keys in routes.items()]
    parts += [_of_line(line) for line in found.lines if line.kind != "variable"]
    return "\n".join(part for part in parts if part)


def _of_line(line: Judged) -> str:
    head = f"# {line.file}:{line.line.number}: {_safe(line.line.text.strip())}\n"
    if line.verdict is Verdict.DEAD:
        head += "# Not written:\n"
    elif line.verdict is Verdict.DECISION:
        head += "# To be decided:\n"
    head += "".join(_comment(remark) for remark in line.remarks)
    tables = "\n".join(table_text(path, _encodable(dict(keys))) for path, keys in line.tables)
    tables = _visible(tables)
    return head + (commented(tables) if line.verdict is Verdict.DECISION else tables)


def _encodable(value: Any) -> Any:
    """The value without bytes that were no text; such a line waits for a decision, and is a comment."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _encodable(inner) for key, inner in value.items()}
    return [_encodable(inner) for inner in value] if isinstance(value, list) else value


def _comment(remark: Remark) -> str:
    offer = f"#     instead: {_safe(remark.offer)}\n" if remark.offer else ""
    return f"#   {_safe(remark.text)}\n{offer}"


def _safe(text: str) -> str:
    r"""One line that may stand in a comment: what TOML or a terminal would not take is written as ``\x1b``."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\t"
        else letter.encode("unicode_escape").decode()
        for letter in text.encode("utf-8", errors="backslashreplace").decode()
    )


def _visible(text: str) -> str:
    """The text with TOML's escapes for what a terminal would act on; they can stand in strings only."""
    return "".join(
        letter if letter in "\n\t" or letter.isprintable() else _escape(ord(letter))
        for letter in text
    )


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
