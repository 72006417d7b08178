"""What can stand where on a line, made from the commands themselves: ``jobctl/cli/completion.json``.

``python -m jobctl.cli.completion_maker > jobctl/cli/completion.json`` writes it; a test compares it with the
commands. `jobctl.cli.completing` reads it, so that no key pressed in a shell pays for Typer.

A command is ``{"help", "options", "arguments", "commands"}``. An option is the kind of its value: null for a
flag, ``"value"`` for what cannot be guessed, ``"file"``, ``"tasks"``, ``"jobs"``, ``"queues"``, ``"groups"``,
``"schedules"``, ``"schedules or tasks"``, or a list of words. ``arguments`` are such kinds in order; the last
one is repeated where the command takes any number of it.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command
from typer.utils import get_params_from_function

from jobctl.cli import complete
from jobctl.cli.app import app
from jobctl.cli.render import process_screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import typer

_FILES = ("FILE", "PATH", "DIR")

Kind = str | list[str] | None


def completion_table() -> dict[str, Any]:
    """The whole line, from ``jobctl`` on."""
    root = get_command(app)
    assert app.registered_callback is not None
    assert app.registered_callback.callback is not None
    return _group(root, app, app.registered_callback.callback)


def _group(command: Any, of: typer.Typer, callback: Callable[..., Any] | None) -> dict[str, Any]:
    assert isinstance(command, TyperGroup)
    found = _one(command, callback)
    callbacks = {
        info.name or info.callback.__name__.replace("_", "-"): info.callback
        for info in of.registered_commands
        if info.callback is not None
    }
    groups = {
        info.name or info.typer_instance.info.name: info
        for info in of.registered_groups
        if info.typer_instance
    }
    commands: dict[str, Any] = {}
    for name, member in command.commands.items():
        if getattr(member, "hidden", False):
            continue
        if name in groups:
            within = groups[name].typer_instance
            assert within is not None
            commands[name] = _group(member, within, None)
        else:
            commands[name] = _one(member, callbacks[name])
    found["commands"] = commands
    return found


def _one(command: Any, callback: Callable[..., Any] | None) -> dict[str, Any]:
    marks = {} if callback is None else get_params_from_function(callback)
    options: dict[str, Kind] = {}
    arguments: list[Kind] = []
    for param in command.params:
        kind = _kind(param, marks)
        if isinstance(param, TyperOption):
            for name in (*param.opts, *param.secondary_opts):
                options[name] = None if param.is_flag else kind
        elif isinstance(param, TyperArgument):
            arguments += [kind] if param.nargs in (1, -1) else [kind] * param.nargs
    options["--help"] = None
    is_repeated = any(isinstance(p, TyperArgument) and p.nargs == -1 for p in command.params)
    return {
        "help": _first_line(command.help or ""),
        "options": dict(sorted(options.items())),
        "arguments": arguments,
        "is_repeated": is_repeated,
        "commands": {},
    }


def _kind(param: Any, marks: Mapping[str, Any]) -> Kind:
    mark = marks.get(param.name)
    asked = getattr(getattr(mark, "default", None), "autocompletion", None)
    if asked is not None:
        return complete.KINDS[asked]
    choices = getattr(param.type, "choices", None)
    if choices:
        return [str(getattr(choice, "value", choice)) for choice in choices]
    return "file" if any(word in (param.metavar or "") for word in _FILES) else "value"


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0].rstrip(".")


if __name__ == "__main__":
    process_screen("never", {}).block(json.dumps(completion_table(), indent=1) + "\n")
    sys.exit(0)
