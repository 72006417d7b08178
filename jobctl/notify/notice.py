"""A notice: all that a message says, as JSON. Made by the daemon, read by the sender.

Keys: ``event``, ``route``, ``host``, ``instance``, ``message_id``, ``at``, and what is known of ``task``,
``id``, ``attempt``, ``state``, ``reason``, ``queue``, ``command``, ``user``, ``exit_code``, ``signal``,
``error`` (``type``, ``message``), ``submitted_at``, ``started_at``, ``finished_at``, ``duration_s``, ``next_at``,
``failures``, ``untold``, ``thread``, ``output``, ``output_bytes``; of missed instants ``schedule``, ``first``,
``last``, ``count``; of a late job ``due_at``, ``late_s``. A digest has ``items``, a list of notices, and ``count``, how many there were. Moments are
whole microseconds, UTC.

Everything in it that a user's job has said is text without control characters (of output: but tabs and line
ends), and bounded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_BYTES: Final = 100_000
"""As an argument of a job: the kernel takes 128 KiB."""
_LONGEST_LINE: Final = 1000
_GAP: Final = "\n[… {} bytes are left out …]\n"


def one_line(text: str, most: int = _LONGEST_LINE) -> str:
    """A text as one line without control characters, cut with an ellipsis. Safe in a header of a mail."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    flat = " ".join(flat.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def readable(data: bytes) -> str:
    """Some output as text: what is no UTF-8 is replaced, control characters but tabs and line ends are
    taken away, with the colours of terminals."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c in "\n\t" or _is_plain(c) else "\ufffd" for c in text)


def _is_plain(c: str) -> bool:
    # Not `isprintable`, which refuses the many kinds of spaces that languages use.
    code = ord(c)
    is_control = code < 32 or 127 <= code < 160
    return not (is_control or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069)


def head_and_tail(
    read: Callable[[int, int], bytes], kept_bytes: int, whole_bytes: int, most: int
) -> str:
    """Beginning and end of an output as text, with a line between them that says what is missing.

    ``read(offset, size)`` gives of the ``kept_bytes`` that are at hand; ``whole_bytes`` were written.
    """
    if most <= 0 or kept_bytes <= 0:
        return ""
    if kept_bytes <= most:
        text = readable(read(0, kept_bytes))
        missing = whole_bytes - kept_bytes
        return f"{text}{_GAP.format(missing)}" if missing > 0 else text
    first = most // 4
    head, tail = read(0, first), read(kept_bytes - (most - first), most - first)
    missing = max(whole_bytes, kept_bytes) - most
    return readable(head) + _GAP.format(missing) + readable(tail)


def to_text(notice: Mapping[str, Any]) -> str:
    """The notice as JSON; its output is cut until it is short enough to travel."""
    text = _dumps(notice)
    while len(text.encode()) > LONGEST_BYTES:
        shorter = dict(notice)
        output = shorter.get("output") or ""
        if output:
            shorter["output"] = output[-(len(output) // 2) :] if len(output) > 100 else ""
        elif shorter.get("items"):
            shorter["items"] = shorter["items"][: len(shorter["items"]) // 2]
        else:
            raise AssertionError("a notice without output is short")
        notice, text = shorter, _dumps(shorter)
    return text


def _dumps(notice: Mapping[str, Any]) -> str:
    text = json.dumps(notice, ensure_ascii=False, separators=(",", ":"))
    # Half a pair, which a client may have sent as JSON, is no character.
    return text.encode("utf-8", "replace").decode()
