"""Signals that must not end a template, a worker or a keeper.

A service manager signals a whole unit, an administrator types ``killall -USR1``, a CPU limit runs out:
whatever ends one of these processes takes exit codes away from running jobs. So every signal whose
default ends a process is caught and does nothing. Caught, not ignored: an ignored signal stays ignored
in everything that user code starts, a caught one is at its default there (execve(2)).

Left alone are KILL and STOP, which nobody can catch; faults of the process itself (SEGV, BUS, FPE, ILL,
TRAP, SYS, ABRT), after which it must not go on; PIPE and XFSZ, which Python ignores anyway and gives
back to what `subprocess` starts; and those whose default ends nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
else:
    # What the module `signal` wraps into enumerations, in each call: with them come enum, functools and
    # collections, which two hundred keepers would share and touch.
    import _signal as signal

_LEFT_ALONE = frozenset(
    {
        *(signal.SIGKILL, signal.SIGSTOP),
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
        *(signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT),
        *(signal.SIGPIPE, signal.SIGXFSZ),
        *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
        *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    }
)

CAUGHT: frozenset[int] = frozenset(signal.valid_signals()) - _LEFT_ALONE
"""Every signal, the real-time ones included, that would end a process and says nothing about it."""


def catch() -> None:
    """Let none of them do anything in this process and its forks."""
    for number in CAUGHT:
        signal.signal(number, do_nothing)


def restore() -> None:
    """Give those their default back that nobody else has taken: this process is a fork of user code."""
    for number in CAUGHT:
        if signal.getsignal(number) is do_nothing:
            signal.signal(number, signal.SIG_DFL)


def block() -> set[int]:
    """Let them wait from now on; gives back which ones of this thread waited before."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT))


def unblock(before: set[int]) -> None:
    """Let come again what `block` has held back."""
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def do_nothing(_number: int, _frame: object) -> None:
    """Take a signal, which also writes to the wakeup descriptor of a loop."""
