"""Every error that jobctl reports about itself, in one tree.

::

    JobctlError                     1   failed
    ├─ UsageError                   2   the request itself makes no sense
    │  └─ InvalidArguments          2   a task cannot take these arguments
    ├─ DaemonNotRunning             3   nobody answers on the socket
    ├─ NotFound                     4   no such job, task, queue, schedule
    ├─ ConfigError                 78   the configuration has faults (all of them are told)
    ├─ PlanError                   78   file and code contradict each other
    ├─ Unreachable                 69   a daemon is there, but does not answer as it should
    │  ├─ ProtocolError            69   a frame that the protocol does not allow
    │  └─ VersionMismatch          69   daemon and client share no protocol number
    ├─ StorageError                75   the store refused; try again
    │  ├─ StoreTooNew              78   written by a later jobctl: never touched
    │  └─ StateDirectoryInUse      75   another daemon owns the state directory
    ├─ StateDirectoryUnusable      78   cannot be written, or lies where SQLite must not be
    ├─ Conflict                    75   the job is not in a state that allows this
    ├─ JobFailed                    1   the job whose result was asked for has none
    │  ├─ RemoteError               1   its function raised, its command failed, it was lost
    │  └─ JobRevoked                1   it was cancelled, or it expired
    ├─ WaitTimedOut               124   the wait ended before the job did
    └─ NotAllowed                  77   the peer may not do this

Each error says *what* happened to *which* thing and *why* in ``str(error)``, and *what to do now* in
``hint``. ``code`` is the stable word that ``--json`` and the protocol carry; ``exit_code`` is what
the command line ends with. A job that fails is not an error of ours: it is a `jobctl.result.Outcome`.
`JobFailed` is no exception to that: it is for Python code that asked for a value which is not there.
"""

from __future__ import annotations

from typing import ClassVar

from jobctl.values import dataclass


class JobctlError(Exception):
    """Root of the tree. ``message`` is one sentence, ``hint`` says what to do now (may be empty)."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(JobctlError):
    """The request makes no sense, whatever the daemon's state."""

    code = "usage"
    exit_code = 2


class InvalidArguments(UsageError):
    """A task cannot take the arguments that were given."""

    code = "invalid_arguments"


class DaemonNotRunning(JobctlError):
    """Nobody listens on the socket."""

    code = "daemon_not_running"
    exit_code = 3


class NotFound(JobctlError):
    """No job, task, queue or schedule of that name or id."""

    code = "not_found"
    exit_code = 4


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault of a configuration: where it stands, what is wrong, what to do.

    ``line`` and ``column`` count from 1; both are 0 when the fault has no place of its own.
    ``key`` is the dotted path of the key, empty for a fault of the whole file.
    ``source`` is the line as it stands in the file, without its end.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""
    source: str = ""


class ConfigError(JobctlError):
    """A configuration with faults. ``problems`` holds all of them, in the order of the file."""

    code = "config"
    exit_code = 78

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        place = f"{first.file}:{first.line}: " if first.line else f"{first.file}: "
        super().__init__(f"{place}{first.message}{more}", hint=first.hint)
        self.problems = problems


class PlanError(JobctlError):
    """File, code and stored schedules contradict each other, or a command shall change what stands in a file;
    nothing was changed."""

    code = "plan"
    exit_code = 78


class Unreachable(JobctlError):
    """A daemon is there but does not answer as it should."""

    code = "unreachable"
    exit_code = 69


class ProtocolError(Unreachable):
    """A frame that the protocol does not allow."""

    code = "protocol"


class VersionMismatch(Unreachable):
    """The two sides share no protocol number."""

    code = "version"


class StorageError(JobctlError):
    """The store refused. Nothing was acknowledged; the same request may be tried again."""

    code = "storage"
    exit_code = 75


class StoreTooNew(StorageError):
    """The database was written by a later jobctl; it was not touched."""

    code = "store_too_new"
    exit_code = 78


class StateDirectoryInUse(StorageError):
    """Another daemon owns the state directory."""

    code = "state_directory_in_use"


class StateDirectoryUnusable(JobctlError):
    """The state directory cannot be written, or lies where SQLite must not be."""

    code = "state_directory_unusable"
    exit_code = 78


class Conflict(JobctlError):
    """The job is not in a state that allows what was asked, or a key was used for another request."""

    code = "conflict"
    exit_code = 75


class JobFailed(JobctlError):
    """The job whose result was asked for ended without one. ``job`` is its id."""

    code = "job_failed"

    def __init__(self, message: str, *, job: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.job = job


class RemoteError(JobFailed):
    """What ended a job in its worker, as text: exceptions of user code do not travel as objects.

    ``type`` is the exception's type (``"ValueError"``, ``"shop.errors.Refused"``), empty when no
    exception ended the job: a command's exit code, a timeout, a lost worker. ``text`` is the
    exception's own message, ``traceback`` the worker's traceback as text, or empty.
    """

    code = "remote"

    def __init__(
        self,
        message: str,
        *,
        job: int = 0,
        type: str = "",
        text: str = "",
        traceback: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, job=job, hint=hint)
        self.type = type
        self.text = text
        self.traceback = traceback
        if traceback:
            # Shown below this error's own traceback, which says nothing about the worker.
            self.add_note(f"In the worker:\n{traceback.rstrip()}")


class JobRevoked(JobFailed):
    """The job was cancelled or expired: it never came to a result."""

    code = "revoked"


class WaitTimedOut(JobctlError):
    """The wait ended before the job did. The job goes on."""

    code = "timeout"
    exit_code = 124


class NotAllowed(JobctlError):
    """The peer's uid may not do this."""

    code = "not_allowed"
    exit_code = 77
