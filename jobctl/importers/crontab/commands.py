"""What commands of crontabs do by hand and jobctl does by an option: offered, never done.

Each remark names the option as TOML. The command itself stays as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from jobctl.importers.crontab.remarks import Remark, dead, decision, info, note
from jobctl.importers.crontab.shell_text import is_open, parts_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jobctl.importers.crontab.reading import Entry

_LOCKS: Final = (
    "flock", "lockrun", "lockf", "setlock", "solo", "run-one", "lock-wrapper", "lckdo", "withlock",
    "dotlockfile", "lockfile",
)  # fmt: skip
_QUIETERS: Final = ("chronic", "cronic", "cronwrap", "nag-once", "cronutils", "shush")
_RANDOM: Final = re.compile(r"RANDOM\s*%\s*([0-9]+)")
_PIPED_TO_NOTHING: Final = re.compile(
    r"(?:&>>?|(?<![0-9&])1?>>?|>&)\s*/dev/null|(?<!\S)2>>?\s*/dev/null"
)
_TO_FILE: Final = re.compile(r"(?:&>>|(?<![0-9&<>])1?>>|(?<![0-9&<>])1?>|&>)\s*([^\s&|;<>()]+)")


def remarks_on(entry: Entry, *, has_systemd: bool = True) -> list[Remark]:
    """What is to be said about an entry's command, whatever its times; may be empty.

    ``has_systemd``: it runs on the host of the table, so that packages have timers there.
    """
    looks = [*_LOOKS, _look_at_systemd_guard] if has_systemd else _LOOKS
    return [remark for look in looks for remark in look(entry)]


def _first_words(entry: Entry) -> tuple[tuple[str, ...], ...]:
    """The words of each command of the line, without variables that are set for one of them."""
    return _words_of_line(entry.command)


@lru_cache(maxsize=16)
def _words_of_line(line: str) -> tuple[tuple[str, ...], ...]:
    # Several looks follow each other with the same line.
    found = []
    for _, part in parts_of(line):
        words = words_of(part)
        first = next(
            (at for at, word in enumerate(words) if not re.match(r"[A-Za-z_]\w*=", word)),
            len(words),
        )
        if words[first:]:
            found.append(tuple(words[first:]))
    return tuple(found)


def _base(word: str) -> str:
    return word.rsplit("/", 1)[-1]


# -- what does not do what it says ----------------------------------------------------------------


def _look_at_percent(entry: Entry) -> Iterator[Remark]:
    if not entry.is_cut:
        return
    if not entry.command.strip():
        yield dead("a percent sign begins the command, and cron runs nothing")
        return
    escaped = re.sub(r"(?<!\\)%", r"\\%", entry.written)
    if is_open(entry.command):
        said = f"cron cuts the command at its first %, and the shell refuses what is left: {entry.command}"
        yield dead(said, _jitter_of(entry.written) or escaped)
    elif re.search(r"(?:\bdate\b[^|;&]*\+\S*|(?<=\s)-[A-Za-z]\s*|\$\(\S*)\Z", entry.command):
        said = (
            f'cron cuts the command at its first %, so it runs "{entry.command.strip()}"; BusyBox\'s crond does '
            "not, then say --dialect busybox"
        )
        yield decision(said, escaped)


def _look_at_systemd_guard(entry: Entry) -> Iterator[Remark]:
    guard = re.search(r"(?:\[|test)\s+(!\s+)?-[de]\s+/run/systemd/system\b", entry.command)
    if guard and (guard[1] or re.search(r"/run/systemd/system\s*\]?\s*\|\|", entry.command)):
        yield dead("it does nothing where systemd runs: a timer of its package does this job there")


def _look_at_slips(entry: Entry) -> Iterator[Remark]:
    if re.search(r"(?<!\S)2&1\s*>", entry.command):
        yield note(
            '"2&1>" is a slip for "2>&1": it runs the command in the background, with an argument 2'
        )
    if re.search(r"2>&1\s+>>?\s*\S", entry.command):
        yield note(
            '"2>&1 >" leaves standard error where output went before; the other order was meant'
        )
    shell = _base(entry.env.get("SHELL", "/bin/sh"))
    if (
        "RANDOM" in entry.command
        and shell in ("sh", "dash")
        and re.search(r"\bRANDOM\b", entry.command)
    ):
        yield note("RANDOM is empty in /bin/sh where that is dash; it is bash's")


# -- what an option does --------------------------------------------------------------------------


def _look_at_jitter(entry: Entry) -> Iterator[Remark]:
    offer = "" if entry.is_cut else _jitter_of(entry.command)
    if offer:
        yield note(
            "a hand-made jitter; jobctl's is stable for a host and occupies nothing meanwhile",
            offer,
        )


def _jitter_of(command: str) -> str:
    found = _RANDOM.search(command.replace("\\%", "%"))
    if found is None or not re.search(r"\bsleep\b", command):
        return ""
    after = command[command.find(found[1], command.find("RANDOM")) :]
    unit = re.search(r"\)\)\s*([smh])\b", after)
    return f'jitter = "{_span(int(found[1]), unit[1] if unit else "s")}"'


def _span(count: int, unit: str) -> str:
    for larger, smaller in (("m", "s"), ("h", "m")):
        if unit == smaller and count and count % 60 == 0:
            count, unit = count // 60, larger
    return f"{count}{unit}"


def _look_at_sleep(entry: Entry) -> Iterator[Remark]:
    parts = parts_of(entry.command)
    found = (
        re.fullmatch(r"(?:/bin/)?sleep\s+([0-9]+)([smh]?)", parts[0][1]) if len(parts) > 1 else None
    )
    if found is None:
        return
    if entry.times == "@reboot":
        yield note(
            "it sleeps after the boot: that works, and holds a place among the running commands"
        )
    elif found[2] in ("", "s") and int(found[1]) < 60 and not entry.times.startswith("@"):
        yield note(
            "it sleeps to begin within the minute", f'cron = "{entry.times} {int(found[1])}"'
        )
    else:
        yield note("it sleeps first: that holds a place among the running commands")


def _look_at_locks(entry: Entry) -> Iterator[Remark]:
    if any(_base(words[0]) in _LOCKS for words in _first_words(entry)):
        yield note("a lock against a second run", 'on_overlap = "skip"')


def _look_at_quieters(entry: Entry) -> Iterator[Remark]:
    for words in _first_words(entry):
        if _base(words[0]) in _QUIETERS or (len(words) > 1 and _base(words[1]) in _QUIETERS):
            said = f"{_base(words[0])} is there to keep mail down; jobctl keeps the output of each run anyway"
            yield note(said)
            return


def _look_at_output(entry: Entry) -> Iterator[Remark]:
    if _PIPED_TO_NOTHING.search(entry.command):
        yield note(
            "output is thrown away; without the redirect jobctl keeps it, and jobctl logs shows it"
        )
    for found in _TO_FILE.finditer(entry.command):
        if not found[1].startswith("/dev/null"):
            yield note(
                f"output goes to {found[1]}; without the redirect jobctl keeps it and cleans up"
            )
            return


def _look_at_folder(entry: Entry) -> Iterator[Remark]:
    found = re.match(r"cd\s+(/[^\s;&|$`'\"*]*)\s*&&", entry.command)
    if found:
        yield info(
            f"its cd can be an option: then a missing {found[1]} is told as such",
            f'cwd = "{found[1]}"',
        )


def _look_at_user(entry: Entry) -> Iterator[Remark]:
    for words in _first_words(entry):
        user = _other_user(words)
        if user:
            yield note(f"{_base(words[0])} changes the user", f'user = "{user}"')
            return


def _other_user(words: Sequence[str]) -> str:
    match _base(words[0]):
        case "su":
            takes_value = {"-s", "-c", "-g", "-G", "--shell", "--command"}
        case "sudo" | "runuser" | "doas":
            takes_value = {"-c", "-g", "-s"} if "runuser" in words[0] else {"-g"}
            for option, value in pairwise(words):
                if option in ("-u", "--user"):
                    return value
            if "runuser" not in words[0]:
                return ""
        case _:
            return ""
    plain = iter(words[1:])
    for word in plain:
        if word in takes_value:
            next(plain, None)
        elif not word.startswith("-"):
            return word
    return ""


def _look_at_limit(entry: Entry) -> Iterator[Remark]:
    for words in _first_words(entry):
        if _base(words[0]) == "timeout":
            span = next((word for word in words[1:] if re.fullmatch(r"[0-9]+[smhd]?", word)), "")
            if span:
                unit = "" if span[-1].isalpha() else "s"
                yield note("timeout(1) limits it", f'timeout = "{span}{unit}"')


def _look_at_pumps(entry: Entry) -> Iterator[Remark]:
    if re.search(r"\b(?:artisan\s+schedule:run|magento\s+cron:run)\b", entry.command):
        yield info(
            "it starts what is due of an application's own; a slow run need not be joined by the next",
            'on_overlap = "skip"',
        )


def _look_at_guard(entry: Entry) -> Iterator[Remark]:
    found = re.search(r"\$\(\s*date\s+[\"']?\+%(d|e|u|w|a)[\"']?\s*\)", entry.command)
    if found and entry.command.lstrip().startswith(("[", "test")):
        offer = _guard_offer(entry)
        yield info("the shell looks at the date first; the times can say that", offer)


def _guard_offer(entry: Entry) -> str:
    fields = entry.times.split()
    first_week = re.search(r"-l[et]\s+0?([78])\b", entry.command)
    if len(fields) == 5 and first_week and fields[4].isalnum() and fields[2] == "*":
        return f'cron = "{" ".join([*fields[:4], fields[4] + "#1"])}"'
    return ""


def _look_at_comment(entry: Entry) -> Iterator[Remark]:
    found = re.search(r"\s#\s+(\S.*)\Z", entry.command)
    if found and not is_open(entry.command[: found.start()]):
        yield info(
            "the comment behind the command is handed to the shell too; it could be the description"
        )


_LOOKS: Final[tuple[Callable[[Entry], Iterator[Remark]], ...]] = (
    _look_at_percent,
    _look_at_slips,
    _look_at_jitter,
    _look_at_sleep,
    _look_at_locks,
    _look_at_quieters,
    _look_at_user,
    _look_at_limit,
    _look_at_output,
    _look_at_folder,
    _look_at_pumps,
    _look_at_guard,
    _look_at_comment,
)
