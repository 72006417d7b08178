"""Schedules written for other programs: recognised, named, and said in our own words.

Nothing here is guessed at silently: a foreign expression is always refused, and the hint says what
to write instead where that can be said exactly.
"""

from __future__ import annotations

import re

from jobctl.values import dataclass

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_SYSTEMD_WORDS = {
    "minutely": "* * * * *",
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *",
    "quarterly": "0 0 1 1,4,7,10 *",
    "semiannually": "0 0 1 1,7 *",
    "yearly": "0 0 1 1 *",
    "annually": "0 0 1 1 *",
}
_SYSTEMD = re.compile(
    r"(?:(?P<days>[A-Za-z]{3,9}(?:(?:\.\.|,|-)[A-Za-z]{3,9})*)\s+)?"
    r"(?:(?:(?P<year>[0-9*]+)-)?(?P<month>[0-9*,./]+)[-~](?P<day>[0-9*,./]+)\s*)?"
    r"(?:(?P<hour>[0-9*,./]+):(?P<minute>[0-9*,./]+)(?::(?P<second>[0-9*,./]+))?)?"
)
_AT_NAMES = {
    "@minutely": "* * * * *",
    "@every_minute": "* * * * *",
    "@every_second": "* * * * * *",
    "@noon": "0 12 * * *",
}


@dataclass(frozen=True, slots=True)
class Foreign:
    """Whose syntax it is and what to write instead (empty when it cannot be said exactly)."""

    message: str
    hint: str


def name_foreign(expression: str) -> Foreign | None:
    """Whose syntax the expression is; None for what looks like a crontab."""
    text = expression.strip()
    if text.startswith("@"):
        return _at_word(text)
    if re.match(r"(?:cron|rate|at)\(", text):
        return _event_bridge(text)
    fields = text.split()
    if len(fields) in (5, 6, 7) and any(field == "?" for field in fields):
        return _quartz(text, fields)
    if len(fields) == 7 and re.fullmatch(r"[0-9*/,?-]+", fields[0]):
        return _quartz(text, fields)
    return _systemd(text)


def _at_word(text: str) -> Foreign | None:
    if every := re.fullmatch(r"@every\s+(\S.*)", text):
        return Foreign(
            f'"{text}" is an interval, not a crontab', f'Write every = "{every[1].strip()}".'
        )
    if seconds := re.fullmatch(r"@([0-9]+)", text):
        return Foreign(f'"{text}" is FreeBSD\'s interval', f'Write every = "{seconds[1]}s".')
    if text in _AT_NAMES:
        return Foreign(f'"{text}" is not a nickname of cron', f'Write "{_AT_NAMES[text]}".')
    return None


def _event_bridge(text: str) -> Foreign:
    message = f'"{text}" is a schedule of EventBridge'
    if rate := re.fullmatch(r"rate\(\s*([0-9]+)\s+(minute|hour|day)s?\s*\)", text):
        return Foreign(message, f'Write every = "{rate[1]}{rate[2][0]}".')
    fields = text[text.find("(") + 1 :].rstrip(")").split()
    if text.startswith("cron") and len(fields) == 6 and fields[5] == "*":
        return Foreign(message, _hint([*fields[:4], _from_sunday_one(fields[4])]))
    return Foreign(message, "")


def _quartz(text: str, fields: list[str]) -> Foreign:
    message = f'"{text}" is a Quartz expression (seconds first, weekdays from 1)'
    if len(fields) == 5:
        return Foreign(f'"?" is Quartz, in "{text}"', _hint(fields))
    if len(fields) == 7 and fields[6] != "*":
        return Foreign(message, "Years cannot be said here; use start and end of the schedule.")
    second, minute, hour, day, month, weekday = fields[:6]
    minute, hour = _with_range(minute, 59), _with_range(hour, 23)
    day, month = _with_range(day, 31), _with_range(month, 12)
    second = _with_range(second, 59)
    ours = [minute, hour, day, month, _from_sunday_one(weekday)]
    return Foreign(message, _hint(ours if second == "0" else [*ours, second]))


def _with_range(field: str, high: int) -> str:
    """Quartz means ``5/15`` as from 5 to the end; cron wants the end said."""
    return re.sub(r"(?<![0-9*/-])([0-9]+)/", rf"\1-{high}/", field)


def _from_sunday_one(weekday: str) -> str:
    """Quartz counts weekdays from Sunday = 1; nth and step counts stay as they are."""
    return re.sub(r"(?<![#/0-9])[1-7](?![0-9])", lambda number: str(int(number[0]) - 1), weekday)


def _systemd(text: str) -> Foreign | None:
    message = f'"{text}" is a calendar expression of systemd'
    word = _SYSTEMD_WORDS.get(text.lower())
    if word is not None:
        return Foreign(message, f'Write "{word}".')
    if ":" not in text and ".." not in text and not re.search(r"[0-9*]-[0-9*]+-[0-9*]", text):
        return None
    parts = _SYSTEMD.fullmatch(text)
    if parts is None or not text:
        return Foreign(message, "") if ":" in text or ".." in text else None
    ours = _from_systemd(parts)
    return Foreign(message, "" if ours is None else _hint(ours))


def _from_systemd(parts: re.Match[str]) -> list[str] | None:
    if parts["year"] not in (None, "*") or "~" in parts[0]:
        return None
    clock = [
        _systemd_field(parts[name] or "0", low)
        for name, low in (("minute", 0), ("hour", 0), ("second", 0))
    ]
    days = [_systemd_field(parts[name] or "*", 1) for name in ("day", "month")]
    if None in clock or None in days:
        return None
    weekday = "*"
    if parts["days"]:
        names = [name[:3].lower() for name in re.split(r"\.\.|,|-", parts["days"])]
        if any(name not in _WEEKDAYS for name in names):
            return None
        separators = re.findall(r"\.\.|,|-", parts["days"])
        weekday = names[0]
        for separator, name in zip(separators, names[1:], strict=True):
            weekday += ("," if separator == "," else "-") + name
    if weekday != "*" and days[0] != "*":
        return None  # systemd wants both, cron either
    fields = [clock[0], clock[1], *days, weekday]
    if clock[2] != "0":
        fields.append(clock[2])
    return [field for field in fields if field is not None]


def _systemd_field(text: str, low: int) -> str | None:
    """One field of systemd as one of cron; None when cron has no such thing."""
    items = []
    for item in text.split(","):
        if item == "*":
            items.append("*")
        elif step := re.fullmatch(r"(\*|[0-9]+)/([0-9]+)", item):
            if step[1] != "*" and int(step[1]) != low:
                return None
            items.append(f"*/{int(step[2])}")
        elif span := re.fullmatch(r"([0-9]+)\.\.([0-9]+)", item):
            items.append(f"{int(span[1])}-{int(span[2])}")
        elif item.isdigit():
            items.append(str(int(item)))
        else:
            return None
    return ",".join(items)


def _hint(fields: list[str]) -> str:
    return f'Write "{" ".join("*" if field == "?" else field for field in fields)}".'
