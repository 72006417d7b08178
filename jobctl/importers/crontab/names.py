"""How the tasks of a crontab are called: after what they run, so that a listing can be read."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from jobctl.importers.crontab.shell_text import parts_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST: Final = 60
_LONGEST_LOOKED_AT: Final = 4000
_DEEPEST: Final = 3
_NAMELESS: Final = "job"
_ENDINGS: Final = re.compile(r"\.(?:sh|bash|py|pl|php|rb|js|pyc|ksh|zsh|bin|exe)\Z")
_BEFORE: Final = (
    "cd", "test", "[", "[[", "sleep", "source", ".", "export", "set", "umask", "if", "then", "pushd", "true",
    ":", "echo", "date",
)  # fmt: skip
"""Commands that stand before the one that a line is about."""
_AROUND: Final = (
    "sudo", "nice", "ionice", "env", "time", "timeout", "nohup", "chronic", "cronic", "exec", "setsid", "chrt",
    "doas", "solo", "run-one", "cronwrap", "command", "systemd-cat", "stdbuf", "(", "{", "then", "do", "unbuffer",
    "chpst", "setlock", "lockrun", "lock-wrapper",
)  # fmt: skip
"""Commands whose argument is the one that matters."""
_INTERPRETERS: Final = re.compile(
    r"(?:ba|da|k|z|c|tc)?sh|python[0-9.]*|perl|php[0-9.]*|ruby[0-9.]*|node|java|Rscript|lua"
)
_WITH_VERB: Final = (
    "artisan", "manage", "manage.py", "rake", "certbot", "docker", "docker-compose", "git", "npm", "yarn", "wp",
    "drush", "console", "occ", "apt-get", "apt", "dnf", "yum", "systemctl", "service", "magento", "rails", "borg",
    "restic", "rclone", "zfs", "snap", "flatpak", "aws", "gcloud", "kubectl", "acme.sh", "bin/console", "openaps",
    "bundle", "django-admin", "flask", "celery", "jobctl", "make", "pip",
)  # fmt: skip
_TAKES_VALUE: Final = {
    "nice": "n", "ionice": "cnp", "timeout": "sk", "sudo": "ughpC", "su": "sgG", "flock": "wEc", "env": "uS",
    "chrt": "", "runuser": "ugG",
}  # fmt: skip


class Names:
    """Gives each task a name that no other one has. ``taken`` are names that none may have."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}

    def name_of(self, command: str) -> str:
        """A name for the task that runs this command: letters, digits, ``_``, ``-`` and ``.``.

        A second one of a name gets a number: the first keeps its name when lines are added below.
        """
        base = name = _slug(_subject(command[:_LONGEST_LOOKED_AT])) or _NAMELESS
        number = self._numbers.get(base, 1)
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._numbers[base] = number
        self._taken.add(name)
        return name


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-._")[:_LONGEST].rstrip("-._")


def _subject(command: str, depth: int = 0) -> str:
    """What the line is about, in a word or two."""
    parts = [part.lstrip("({ ") for _, part in parts_of(command)]
    for part in parts:
        group = re.fullmatch(r"(.*[;&|].*?)\s*[)}]", part)
        if group and depth < _DEEPEST:
            found = _subject(group[1], depth + 1)
        else:
            found = _of_words(words_of(part), depth)
        if found:
            return found
    # Nothing but what usually stands before.
    words = next((words for part in parts if (words := words_of(part))), [""])
    return _base(words[0])


def _of_words(words: list[str], depth: int) -> str:
    words = list(words)
    while words:
        word = words[0]
        base = _base(word)
        if re.match(r"[A-Za-z_]\w*\+?=", word) or word in ("!", "(", "{", "do", "else"):
            words.pop(0)
        elif base in _BEFORE:
            if base in ("then", "if"):
                words.pop(0)
                continue
            return ""
        elif (
            base in ("su", "runuser", "flock", "sh", "bash", "dash", "zsh", "ksh")
            and depth < _DEEPEST
        ):
            inner = _inner(words)
            if inner:
                return _subject(inner, depth + 1)
            if base == "flock":
                words = _without_options(words, "flock")[1:]
                continue
            words = _without_options(words, base)
            if not words:
                return base
        elif base in _AROUND:
            words = _without_options(words, base)
            if base == "timeout" and words:
                words.pop(0)
        elif base == "run-parts":
            folder = next((word for word in words[1:] if not word.startswith("-")), "")
            return _base(folder.rstrip("/")) or base
        elif _INTERPRETERS.fullmatch(base):
            words = words[1:]
            while words and words[0].startswith("-"):
                option = words.pop(0)
                if option == "-m" and words:
                    return words[0]
                if option in ("-c", "-r", "-e"):
                    return base
            if not words:
                return base
        else:
            return _with_verb(base, words[1:])
    return ""


def _with_verb(base: str, rest: list[str]) -> str:
    plain = _ENDINGS.sub("", base) or base
    if base in _WITH_VERB or plain in _WITH_VERB:
        verb = next((word for word in rest if re.fullmatch(r"[A-Za-z][\w:.-]*", word)), "")
        return f"{plain}-{verb}" if verb else plain
    return plain


def _inner(words: list[str]) -> str:
    """What stands behind ``-c``; empty without."""
    for option, value in pairwise(words):
        if re.fullmatch(r"-[a-z]*c|--command", option):
            return value
    return ""


def _without_options(words: list[str], base: str) -> list[str]:
    """What follows a command's own options."""
    rest = words[1:]
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if len(option) == 2 and option[1] in _TAKES_VALUE.get(base, "") and rest:
            rest.pop(0)
    return rest


def _base(word: str) -> str:
    return word.rstrip("/").rsplit("/", 1)[-1]
