"""Whole numbers as they stand on a line: ids of jobs, counts, limits.

Python's own `int` reads more than anybody means: ``1_0``, `` 12``, ``+5``, digits of other scripts. In a
line that a script has put together each of them is a mistake, and another job would pay for it. So a number
is written as jobctl prints it: ASCII digits, without leading zeros (which other programs read as octal).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HIGHEST_ID = 2**63 - 1


def read_whole(text: str, *, low: int, high: int) -> int | None:
    """The number from ``low`` to ``high``, both included; None for any other text."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 19:
        return None
    if digits[0] == "0" and text != "0":
        return None
    number = int(text)
    return number if low <= number <= high else None


def read_id(text: str) -> int | None:
    """The id of a job; None for a text that cannot be one."""
    return read_whole(text, low=1, high=HIGHEST_ID)


def parser(low: int, high: int) -> Callable[[str | int], int]:
    """A reader for Typer's ``parser=``. It raises Typer's BadParameter, which names the option."""

    def read(value: str | int) -> int:
        if isinstance(value, int):
            return value  # the default of an option
        number = read_whole(value, low=low, high=high)
        if number is None:
            raise _refusal(value, low, high)
        return number

    return read


def _refusal(text: str, low: int, high: int) -> Exception:
    from typer import BadParameter

    from jobctl.task.units import shown

    return BadParameter(f"{shown(text)} is not a whole number from {low} to {high}.")
