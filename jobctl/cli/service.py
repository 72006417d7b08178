"""``service``: the daemon as a service of systemd, installed, looked at, removed; each step is said."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.session import session_of
from jobctl.errors import DaemonNotRunning, JobctlError, NotAllowed, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.cli.service_files import Service, UnitFile
    from jobctl.cli.session import Session

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The daemon as a service of systemd.",
)

IsUser = Annotated[
    bool, typer.Option("--user", help="Your own daemon, under your own systemd; without root.")
]
Instance = Annotated[
    str | None,
    typer.Option(
        "--instance", metavar="USER", help="The daemon of one application, which runs as USER."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say the steps.")]


class NotOurs(JobctlError):
    """A file is in the way that ``service install`` did not write, or that was changed since."""

    code = "not_ours"


class StepFailed(JobctlError):
    """A step of an installation failed; those before it are done."""

    code = "step_failed"


@app.command("install")
def install(
    ctx: typer.Context,
    is_user: IsUser = False,
    instance: Instance = None,
    is_strict: Annotated[
        bool, typer.Option("--strict", help="With --instance: take all from its jobs that can be.")
    ] = False,
    with_socket: Annotated[
        bool,
        typer.Option(
            "--socket-unit/--no-socket-unit",
            help="systemd holds the socket: nobody is refused over a restart.",
        ),
    ] = True,
    program: Annotated[
        str | None,
        typer.Option("--program", metavar="PATH", help="The command; else the one that runs now."),
    ] = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> int:
    """Write units and a configuration to begin with, and start the daemon.

    A file that this command did not write, or that was changed since, is never overwritten: then nothing is
    done. A configuration that is there stays. Where no systemd runs, the files are written, and what is left to
    do is said.
    """
    from jobctl.cli.service_files import Owner, default_config, obstacle, owner_of

    steps = _Steps(session_of(ctx, as_json=as_json), is_dry=dry_run)
    service = _service(
        steps.session,
        is_user,
        instance,
        is_strict=is_strict,
        with_socket=with_socket,
        program=program,
    )
    warning = obstacle(service.program, instance) if instance is not None else None
    if warning is not None:
        steps.session.screen.note(warning)
    owners = {file.path: owner_of(file.path) for file in service.files}
    for path in service.packaged:
        if path.exists() and set(owners.values()) == {Owner.NOBODY}:
            raise NotOurs(
                f"a package has installed {path}",
                hint=f"Nothing is to be written: {_line(service, 'enable', '--now', *service.units)}",
            )
    _refuse_others(service.files)
    if service.config.exists():
        _judge(service.config)
        steps.said("keep", service.config, "the configuration that is there")
    else:
        steps.write(service.config, default_config(service), "a configuration to begin with")
    is_new = False
    for file in service.files:
        if owners[file.path] is Owner.US and file.path.read_text(encoding="utf-8") == file.text:
            steps.said("keep", file.path, "as it is to be")
            continue
        is_new = is_new or owners[file.path] is Owner.US
        steps.write(file.path, file.text, "a unit")
    _start(steps, service, is_new=is_new)
    return steps.end()


@app.command("uninstall")
def uninstall(
    ctx: typer.Context,
    is_user: IsUser = False,
    instance: Instance = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> int:
    """Stop the daemon and remove the units that install wrote.

    Configuration and state stay, and so do jobs that run: an installation after it goes on with them.
    """
    from jobctl.cli.service_files import Owner, owner_of

    steps = _Steps(session_of(ctx, as_json=as_json), is_dry=dry_run)
    service = _service(steps.session, is_user, instance, is_strict=instance is not None)
    _refuse_others(service.files)
    found = [file for file in service.files if owner_of(file.path) is Owner.US]
    if not found:
        raise NotFound(f"{service.unit} was not installed by this command")
    units = [unit for unit in service.units if _is_made_by(unit, found)]
    if service.runs_systemd:
        steps.run(*service.systemctl, "disable", "--now", *units)
    else:
        steps.said("left", _line(service, "disable", "--now", *units), "no systemd runs here")
    others = _other_instances(service)
    for file in found:
        if file.is_shared and others:
            steps.said("keep", file.path, f"{', '.join(others)} needs it")
        else:
            steps.remove(file.path)
    if service.runs_systemd:
        steps.run(*service.systemctl, "daemon-reload")
    steps.said("keep", service.config, "the configuration")
    steps.said("keep", service.state_dir, "the state: jobs, history, outputs, and jobs that run")
    return steps.end()


@app.command("status")
def status(
    ctx: typer.Context,
    is_user: IsUser = False,
    instance: Instance = None,
    as_json: options.Json = False,
) -> int:
    """Show which files make the service, what systemd says of it, and whether the daemon answers.

    Exit code 0 when it answers, 3 when it does not, 4 when nothing is installed.
    """
    from jobctl.cli.service_files import Owner, owner_of

    session = session_of(ctx, as_json=as_json)
    service = _service(session, is_user, instance, is_strict=instance is not None, must_write=False)
    files = {file.path: owner_of(file.path) for file in service.files}
    files |= {path: Owner.OTHERS for path in service.packaged if path.exists()}
    systemd = {name: _asked(service, f"is-{name}") for name in ("enabled", "active")}
    daemon = _daemon(service)
    if session.as_json:
        session.screen.json(
            {
                "unit": service.unit,
                "files": [{"path": str(path), "owner": owner} for path, owner in files.items()],
                "systemd": systemd if service.runs_systemd else None,
                "config": str(service.config) if service.config.exists() else None,
                "state_dir": str(service.state_dir),
                "socket": str(service.socket),
                "daemon": daemon,
            }
        )
    else:
        for path, owner in files.items():
            session.screen.line(f"{path}: {_OWNERS[owner]}")
        if service.runs_systemd:
            session.screen.line(f"{service.unit}: {systemd['enabled']}, {systemd['active']}")
        else:
            session.screen.line("no systemd runs here")
        there = "" if service.config.exists() else ": is not there"
        session.screen.line(f"configuration: {service.config}{there}")
        session.screen.line(f"state: {service.state_dir}")
        session.screen.line(f"daemon: {daemon['message']}")
    if daemon["running"]:
        return 0
    is_installed = any(owner is not Owner.NOBODY for owner in files.values())
    return DaemonNotRunning.exit_code if is_installed else NotFound.exit_code


_OWNERS = {
    "absent": "is not there",
    "ours": "written by jobctl service install",
    "changed": "written by jobctl service install, and changed since",
    "others": "not written by jobctl service install",
}


class _Steps:
    """What is done, one line each; with ``is_dry``, what would be."""

    def __init__(self, session: Session, *, is_dry: bool) -> None:
        self.session = session
        self.is_dry = is_dry
        self._said: list[dict[str, str]] = []

    def said(self, do: str, what: object, why: str = "") -> None:
        """Say a step that needs nothing done."""
        self._said.append({"do": do, "what": str(what), "why": why})
        if self.session.as_json:
            return
        shown = f"would {do}" if self.is_dry and do in ("write", "run", "remove") else do
        self.session.screen.line(f"{shown} {what}" + (f": {why}" if why else ""))

    def write(self, path: Path, text: str, why: str) -> None:
        """Write a file whole or not at all. Raises StepFailed."""
        if not self.is_dry:
            half = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                half.write_text(text, encoding="utf-8")
                half.chmod(0o644)
                half.replace(path)
            except OSError as error:
                half.unlink(missing_ok=True)
                raise _failed(f"{path} cannot be written: {error.strerror}") from error
        self.said("write", path, why)

    def remove(self, path: Path) -> None:
        """Remove a file, and its folder when that is a drop-in's and holds no more. Raises StepFailed."""
        if not self.is_dry:
            try:
                path.unlink()
                if path.parent.name.endswith(".d") and not any(path.parent.iterdir()):
                    path.parent.rmdir()
            except OSError as error:
                raise _failed(f"{path} cannot be removed: {error.strerror}") from error
        self.said("remove", path)

    def run(self, *command: str) -> None:
        """Run a command of systemd. Raises StepFailed with what it said."""
        if not self.is_dry:
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                raise _failed(f"{command[0]} cannot be run: {error.strerror}") from error
            if done.returncode:
                told = done.stderr.strip() or f"exit code {done.returncode}"
                raise _failed(f'"{" ".join(command)}" failed: {told}')
        self.said("run", " ".join(command))

    def end(self) -> int:
        """All is done."""
        if self.session.as_json:
            self.session.screen.json({"steps": self._said, "dry_run": self.is_dry})
        return 0


def _failed(message: str) -> StepFailed:
    return StepFailed(
        message, hint="The steps before it are done; the same line again does the rest."
    )


def _start(steps: _Steps, service: Service, *, is_new: bool) -> None:
    if not service.runs_systemd:
        for words in (("daemon-reload",), ("enable", "--now", *service.units)):
            steps.said(
                "left", _line(service, *words), "no systemd runs here; when it does, run this"
            )
        return
    steps.run(*service.systemctl, "daemon-reload")
    is_active = _asked(service, "is-active") == "active"
    lacks_socket = len(service.units) > 1 and not _is_active(service, service.units[0])
    if is_active and lacks_socket:
        # systemd refuses to make the socket of a service that has one of its own; jobs run on meanwhile.
        steps.run(*service.systemctl, "stop", service.unit)
    # The socket before its service, and not in one line: the service must be handed it.
    for unit in service.units:
        steps.run(*service.systemctl, "enable", "--now", unit)
    if is_active and is_new and not lacks_socket:
        steps.run(*service.systemctl, "restart", service.unit)


def _service(
    session: Session,
    is_user: bool,
    instance: str | None,
    *,
    is_strict: bool = False,
    with_socket: bool = True,
    program: str | None = None,
    must_write: bool = True,
) -> Service:
    """The service that a line is about.

    Raises:
        UsageError: the line contradicts itself.
        NotAllowed: only root may change it.
        NotFound: there is no such user, or no such program.
    """
    from jobctl.cli.service_files import (
        instance_service,
        own_program,
        system_service,
        user_service,
    )

    if is_user and instance is not None:
        raise UsageError("--user and --instance name different daemons", hint="Give one of them.")
    if session.config is not None or session.socket is not None:
        raise UsageError(
            "a service has its own configuration and socket",
            hint="Leave --config and --socket out; --instance USER has others than the system's.",
        )
    if is_strict and instance is None:
        raise UsageError("--strict is for an application", hint="Give --instance USER with it.")
    found = own_program() if program is None else Path(program)
    version = _version() if must_write else 0
    if not found.is_absolute() or not os.access(found, os.X_OK):
        raise UsageError(
            f"{found} is no program with its whole path", hint="--program /usr/bin/jobctl"
        )
    uid = os.geteuid()
    if is_user:
        return user_service(found, session.environ, uid, with_socket=with_socket, systemd=version)
    if must_write and uid != 0:
        raise NotAllowed(
            "only root may change the services of the system",
            hint="sudo jobctl service …, or --user for a daemon of your own.",
        )
    if instance is None:
        return system_service(found, with_socket=with_socket, systemd=version)
    return instance_service(
        found, instance, with_socket=with_socket, is_strict=is_strict, systemd=version
    )


def _version() -> int:
    """The version of this host's systemd, whether it runs or not; 0 when there is none."""
    program = shutil.which("systemctl")
    if program is None:
        return 0
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    told = done.stdout.split()
    return int(told[1]) if len(told) > 1 and told[1].isdecimal() else 0


def _refuse_others(files: Sequence[UnitFile]) -> None:
    """Raises NotOurs when a file is in the way."""
    from jobctl.cli.service_files import Owner, owner_of

    for file in files:
        owner = owner_of(file.path)
        if owner in (Owner.OTHERS, Owner.CHANGED):
            raise NotOurs(
                f"{file.path} was {_OWNERS[owner]}"
                if owner is Owner.CHANGED
                else f"{file.path} is there and was {_OWNERS[owner]}",
                hint="Nothing was done. Move the file away, or go on by hand with systemctl.",
            )


def _judge(config: Path) -> None:
    """A daemon that cannot start is not installed. Raises ConfigError."""
    from jobctl.config import load_in_child

    load_in_child(config)


def _is_made_by(unit: str, files: Sequence[UnitFile]) -> bool:
    name, _, kind = unit.rpartition(".")
    made = f"{name.partition('@')[0]}{'@' if '@' in name else ''}.{kind}"
    return any(file.path.name == made for file in files)


def _other_instances(service: Service) -> list[str]:
    """Instances that are enabled beside this one, by their units' names."""
    if "@" not in service.unit:
        return []
    folder = service.files[0].path.parent
    return sorted(
        {link.name for link in folder.glob("*.wants/jobctl@*.service") if link.name != service.unit}
    )


def _line(service: Service, *words: str) -> str:
    return " ".join((*service.systemctl, *words))


def _is_active(service: Service, unit: str) -> bool:
    return _systemctl(service, "is-active", unit) == "active"


def _asked(service: Service, verb: str) -> str | None:
    """What systemd says of the unit, in a word; None when it says nothing."""
    return _systemctl(service, verb, service.unit)


def _systemctl(service: Service, verb: str, unit: str) -> str | None:
    if not service.runs_systemd:
        return None
    try:
        done = subprocess.run(
            [*service.systemctl, verb, unit], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() or "unknown"


def _daemon(service: Service) -> dict[str, Any]:
    """Whether the daemon answers: ``running version pid message``."""
    from jobctl.client import Client

    # Where systemd holds the socket, a question would start the daemon that was stopped.
    if service.runs_systemd and _asked(service, "is-active") not in ("active", "reloading"):
        return {"running": False, "version": None, "pid": None, "message": "does not run"}
    try:
        with Client(service.socket, timeout_s=10.0) as client:
            client.connect()
            told = client.hello
    except JobctlError as error:
        return {"running": False, "version": None, "pid": None, "message": error.message}
    return {
        "running": True,
        "version": told["version"],
        "pid": told["pid"],
        "message": f"answers, version {told['version']}, pid {told['pid']}",
    }
