"""What the times of an entry mean: to the cron that had it, and here.

jobctl's grammar is wider than any cron's, and it refuses what cron takes and never runs. So a line is first
held against the grammar of its cron, item by item; then it is read here, and what is seldom meant is said.
Where one can tell what was meant, the repaired text is given too: `Times.repaired`, and whether it may be
written in place of the other without asking (`Times.is_safe`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jobctl.importers.crontab.remarks import Remark, dead, decision, info, note
from jobctl.schedule import Kind, ScheduleError, parse_schedule
from jobctl.schedule.crontab import CrontabSchedule
from jobctl.schedule.fields import FIELDS
from jobctl.schedule.grammar import NICKNAMES, REBOOT
from jobctl.schedule.lints import LintCode, lints_of
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.importers.crontab.programs import Program
    from jobctl.schedule.grammar import CrontabRule
    from jobctl.schedule.lints import Lint

_NAMES: Final = {
    3: "jan feb mar apr may jun jul aug sep oct nov dec",
    4: "sun mon tue wed thu fri sat",
}
_STEP: Final = r"(?:/[0-9]+)?"
_REASONS: Final = ("bad minute", "bad hour", "bad day-of-month", "bad month", "bad day-of-week")
_LONGEST: Final = 1000
_MOST_REPAIRS: Final = 8
_SEVERAL_RUNS: Final = 16
"""A step of days beyond this gives one run a month, or two in long ones: hardly what was meant."""
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, kw_only=True)
class Times:
    """What times came to. ``cron`` is the crontab to write; ``every`` a span instead, for FreeBSD's seconds.

    Both are empty when the times can only be told as dead. ``repaired`` is what was probably meant by dead
    ones, as a crontab, or as a span with ``repaired_every``.
    """

    cron: str = ""
    every: str = ""
    remarks: tuple[Remark, ...] = ()
    repaired: str = ""
    repaired_every: str = ""
    is_safe: bool = False


def read_times(text: str, program: Program) -> Times:
    """Judge five fields or a nickname, as they stand in an entry of that cron."""
    if text.startswith("@"):
        return _nickname(text, program)
    if len(text) > _LONGEST:
        return Times(
            remarks=(dead(f"its times have {len(text)} characters; no schedule has so many"),)
        )
    taken = _as_taken(text, program) if program.skips_rest_of_field else text
    refused = _refusal_of_cron(taken, program)
    if refused:
        return _dead(text, f"{program.name} refuses it: {refused}")
    times = _read(_with_ours(taken))
    if taken == text:
        return times
    said = f'{program.name} passes over the rest of a field: "{text}" has run as "{taken}"'
    return replace(times, remarks=(decision(said, _meant(text)[0]), *times.remarks))


# -- nicknames ------------------------------------------------------------------------------------


def _nickname(name: str, program: Program) -> Times:
    known = program.nicknames.get(name)
    if known is not None:
        return Times(cron=name if name in NICKNAMES or name == REBOOT else known)
    seconds = re.fullmatch(r"@0*([1-9][0-9]{0,8})", name)
    if seconds and "@every_second" in program.nicknames:
        told = f'FreeBSD counts "{name}" from the end of the last run; here it is counted from the start'
        return Times(every=f"{int(seconds[1])}s", remarks=(note(told),))
    refused = dead(f'{program.name} refuses it: bad time specifier, there is no "{name}"')
    if name.lower() in program.nicknames:
        meant = program.nicknames[name.lower()]
        return Times(
            remarks=(_offered(refused, f'cron = "{name.lower()}"'),),
            repaired=name.lower() if name.lower() != "@every_second" else meant,
            is_safe=True,
        )
    hints = {
        "@minutely": "* * * * *",
        "@every_minute": "* * * * *",
        "@every_second": "* * * * * *",
        "@noon": "0 12 * * *",
    }
    if name in hints:
        offer = f'cron = "{hints[name]}"'
        return Times(remarks=(_offered(refused, offer),), repaired=hints[name], is_safe=True)
    if seconds:
        every = f"{int(seconds[1])}s"
        offer = f'every = "{every}"'
        return Times(remarks=(_offered(refused, offer),), repaired_every=every, is_safe=True)
    return Times(remarks=(refused,))


def _offered(remark: Remark, offer: str) -> Remark:
    return Remark(weight=remark.weight, text=remark.text, offer=offer)


# -- cron's grammar -------------------------------------------------------------------------------


def _refusal_of_cron(text: str, program: Program) -> str:
    """The word with which cron refuses five fields; empty when it takes them."""
    fields = text.split()
    for position, field in enumerate(fields):
        if not all(_takes(position, item, program) for item in field.split(",")):
            return _REASONS[position]
    return "bad command" if len(fields) < len(_REASONS) else ""


def _as_taken(text: str, program: Program) -> str:
    """The five fields without what a cron passes over behind each."""
    return " ".join(
        _field_as_taken(position, field, program) if position < len(_REASONS) else field
        for position, field in enumerate(text.split())
    )


def _field_as_taken(position: int, field: str, program: Program) -> str:
    """The shortest beginning of a field that the cron takes, where it takes the field to have ended."""
    for end in range(1, len(field)):
        head, behind = field[:end], field[end]
        has_ended = (
            behind not in ",/"
            and not (behind.isalnum() and head[-1].isalnum())
            and not (behind == "-" and re.search(r"(?:\A|,)[0-9A-Za-z]+\Z", head))
        )
        if has_ended and all(_takes(position, item, program) for item in head.split(",")):
            return head
    return field


def _takes(position: int, item: str, program: Program) -> bool:
    names = _NAMES.get(position, "").split()
    number = "[0-9]+" + (f"|(?i:{'|'.join(names)})" if names else "")
    forms = [rf"\*{_STEP}", number, rf"(?:{number})-(?:{number}){_STEP}"]
    if program.has_tilde:
        step = _STEP if program.has_tilde_step else ""
        forms.append(rf"(?P<low>(?:{number})?)~(?P<high>(?:{number})?){step}")
    found = next((match for form in forms if (match := re.fullmatch(form, item))), None)
    if found is None or re.search(r"/0+\Z", item):
        return False
    field = FIELDS[position]
    highest = 7 if position == len(_REASONS) - 1 else field.high
    values = [int(digits) for digits in re.findall(r"[0-9]+", item.partition("/")[0])]
    if any(not field.low <= value <= highest for value in values):
        return False
    is_drawn = "~" in item and len(values) > 1
    return not is_drawn or values[0] <= values[1]


def _with_ours(text: str) -> str:
    """The text with what OpenBSD alone has said in our words: a step behind ``~`` begins anywhere."""
    return re.sub(r"([0-9]*)~([0-9]*)/([0-9]+)", _hashed, text)


def _hashed(drawn: re.Match[str]) -> str:
    low, high, step = drawn.groups()
    return f"H({low}-{high})/{step}" if low and high else f"H/{step}"


# -- ours -----------------------------------------------------------------------------------------


def _read(text: str) -> Times:
    """The times of an entry that its cron takes."""
    try:
        schedule = parse_schedule(Kind.CRONTAB, text, host_seed="import")
    except ScheduleError as error:
        return _never(text, error)
    assert isinstance(schedule, CrontabSchedule)
    nth = _nth_weekday(schedule.rule)
    remarks = [
        remark
        for lint in lints_of(schedule, from_at=0)
        # The known tricks for it have steps that are uneven on purpose.
        if not (nth and lint.code is LintCode.UNEVEN_STEP)
        and (remark := _of_lint(lint, schedule.rule)) is not None
    ]
    if nth:
        remarks.append(
            info(f"that is a way to say one weekday of the month: {nth}", f'cron = "{nth}"')
        )
    if "~" in text:
        remarks.append(
            info(
                '"~" is drawn once for this host and schedule here, cron draws again with each load'
            )
        )
    return Times(cron=text, remarks=tuple(remarks))


def _of_lint(lint: Lint, rule: CrontabRule) -> Remark | None:
    match lint.code:
        case LintCode.BOTH_DAY_FIELDS:
            return _of_both_days(lint, rule)
        case LintCode.UNEVEN_STEP:
            is_small_step_of_days = re.search(r'day of month "\*/([0-9]|1[0-5])"', lint.message)
            return info(lint.message) if is_small_step_of_days else note(lint.message)
        case LintCode.EVERY_MINUTE_OF_HOUR:
            offer = " ".join(["0", *rule.fields[1:]])
            return decision(
                lint.message + " If that is meant, remove the comment signs.", f'cron = "{offer}"'
            )
        case LintCode.LEAP_DAY_ONLY | LintCode.SKIPPED_MONTHS:
            return note(lint.message)
        case _:
            return None


def _of_both_days(lint: Lint, rule: CrontabRule) -> Remark:
    days = rule.days
    if days.is_every_day_of_month and days.is_every_weekday:
        return note(lint.message)
    week = _week_of(days.days)
    if not days.is_both and week and len(days.weekdays) == 1:
        meant = " ".join(
            [*rule.fields[:2], "*", rule.fields[3], f"{_WEEKDAYS[days.weekdays[0]]}#{week}"]
        )
        return note(
            f"{lint.message} Most who write so mean the days on which both match.",
            f'cron = "{meant}"',
        )
    return info(lint.message)


def _week_of(days: tuple[int, ...]) -> int:
    """Which seven days of a month these are: 1 to 4; 0 for any others."""
    number, rest = divmod(days[0] - 1, 7) if days else (0, 1)
    is_week = rest == 0 and days == tuple(range(days[0], days[0] + 7))
    return number + 1 if is_week else 0


def _nth_weekday(rule: CrontabRule) -> str:
    """The plain text of a rule that means the nth weekday of a month in a roundabout way, else empty."""
    days = rule.days
    if not days.is_both or len(days.weekdays) != 1:
        return ""
    week = _week_of(days.days)
    if not week:
        return ""
    return " ".join(
        [*rule.fields[:2], "*", rule.fields[3], f"{_WEEKDAYS[days.weekdays[0]]}#{week}"]
    )


# -- dead ones ------------------------------------------------------------------------------------


def _never(text: str, error: ScheduleError) -> Times:
    """The times of an entry that its cron takes without an error, and that never run as written."""
    for field, written in zip(FIELDS[:2], text.split(), strict=False):
        slip = re.search(r"(?<![0-9])0*([1-7])-0+(?![0-9])", written)
        if slip:
            # Sunday's double number shines through in cronie's parser, whatever the field.
            said = f"cronie runs it at {field.name}s {slip[1]} to 7 by a slip of its parser"
            return Times(remarks=(dead(f"{said}: what is meant?", _meant(text)[0]),))
    return _dead(text, f"cron takes it and never runs it: {error.message}")


def _dead(text: str, why: str) -> Times:
    offer, repaired, is_safe = _meant(text)
    hint = "" if offer else _hint_of(text)
    return Times(
        remarks=(dead(f"{why}{'. ' + hint if hint else ''}", offer),),
        repaired=repaired if is_safe else "",
        is_safe=is_safe,
    )


def _hint_of(text: str) -> str:
    try:
        parse_schedule(Kind.CRONTAB, text)
    except ScheduleError as error:
        return error.hint or error.message
    return ""


def _meant(text: str) -> tuple[str, str, bool]:
    """What was probably meant: an offer, the text of it, and whether it is safe to be written unasked."""
    repaired, is_safe = text, True
    for _ in range(_MOST_REPAIRS):
        try:
            parse_schedule(Kind.CRONTAB, repaired, host_seed="import")
        except ScheduleError as error:
            better, was_safe = _repair(repaired, error)
            if better is None:
                return "", "", False
            repaired, is_safe = better, is_safe and was_safe
        else:
            return f'cron = "{repaired}"', repaired, is_safe
    return "", "", False


_SAFE_HINT: Final = re.compile(
    r'Write "([^"]+)"\.|Names have three letters. Did you mean "([a-z]{3})"\?'
)
_SWAPPED_HINT: Final = re.compile(r'Minute and hour swapped\? "([^"]+)"')


def _repair(text: str, error: ScheduleError) -> tuple[str | None, bool]:
    """The text after one repair, as the error hints at it; None when it hints at nothing."""
    if swapped := _SWAPPED_HINT.fullmatch(error.hint):
        return swapped[1], False
    found = _SAFE_HINT.fullmatch(error.hint)
    if not error.column:
        return (found[1], False) if found and found[1] else (None, False)
    before, after = text[: error.column - 1], text[error.column - 1 :]
    item = re.match(r"[^, ]*", after)
    assert item is not None
    rest = after[item.end() :]
    if found:
        return before + (found[1] or found[2]) + rest, True
    if error.hint == "Midnight is hour 0.":
        return before + "0" + rest, False
    if (not item[0] and rest.startswith(",")) or (not item[0] and before.endswith(",")):
        # A comma too many.
        return (before + rest[1:] if rest.startswith(",") else before[:-1] + rest), False
    return None, False
