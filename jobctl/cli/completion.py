"""``completion``: the scripts by which shells ask for candidates."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli.session import session_of
from jobctl.errors import JobctlError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Shell(StrEnum):
    """A shell that is known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {
    Shell.BASH: """\
# Completion of jobctl for bash: jobctl completion bash
_jobctl() {
    local IFS=$'\\n'
    COMPREPLY=($(jobctl __complete bash "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null))
}
complete -o default -F _jobctl jobctl
""",
    Shell.ZSH: """\
#compdef jobctl
# Completion of jobctl for zsh: jobctl completion zsh
_jobctl() {
    local -a found
    local line
    while IFS= read -r line; do
        if [[ $line == *$'\\t'* ]]; then
            found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
        else
            found+=("${line//:/\\\\:}")
        fi
    done < <(jobctl __complete zsh $((CURRENT - 1)) "${words[@]}" 2>/dev/null)
    if (( ${#found} )); then
        _describe -V jobctl found
    else
        _files
    fi
}
if [[ ${funcstack[1]} == _jobctl ]]; then
    _jobctl "$@"
else
    compdef _jobctl jobctl
fi
""",
    Shell.FISH: """\
# Completion of jobctl for fish: jobctl completion fish
function __jobctl_complete
    set -l before (commandline -opc)
    jobctl __complete fish (count $before) $before (commandline -ct) 2>/dev/null
end
complete -c jobctl -k -a '(__jobctl_complete)'
""",
}


def script(shell: Shell) -> str:
    """The script of a shell."""
    return _SCRIPTS[shell]


def place(shell: Shell, environ: Mapping[str, str], uid: int) -> Path:
    """Where a shell looks for it: for everybody if it is root's, else for this user."""
    home = Path(environ.get("HOME", "/nonexistent"))
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    if shell is Shell.BASH:
        folder = Path("/usr/share") if uid == 0 else data
        return folder / "bash-completion/completions/jobctl"
    if shell is Shell.ZSH:
        folder = Path("/usr/local/share/zsh/site-functions") if uid == 0 else home / ".zfunc"
        return folder / "_jobctl"
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    folder = (
        Path("/usr/share/fish/vendor_completions.d") if uid == 0 else config / "fish/completions"
    )
    return folder / "jobctl.fish"


def completion(
    ctx: typer.Context,
    shell: Annotated[Shell, typer.Argument(help="The shell.")],
    install: Annotated[
        bool,
        typer.Option("--install", help="Write it to where the shell looks for it; root: for all."),
    ] = False,
) -> int:
    """Print the completion script of a shell, or install it."""
    session = session_of(ctx)
    if not install:
        session.screen.block(script(shell))
        return 0
    path = place(shell, session.environ, os.getuid())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script(shell))
    except OSError as error:
        raise JobctlError(
            f'"{path}" cannot be written: {error.strerror}',
            hint=f"Put it where your shell looks: jobctl completion {shell} > FILE",
        ) from error
    session.screen.line(str(path))
    if shell is Shell.ZSH and os.getuid() != 0:
        session.screen.note(
            f"jobctl: add to ~/.zshrc, before compinit: fpath=({path.parent} $fpath)"
        )
    return 0
