"""The template: a warm, single-threaded process from which the workers of one group are forked.

It is started with the group's interpreter, imports what its children need, reports what it found,
and then only forks on request and reports how its children ended: a worker's exit status reaches
nobody but its parent. It outlives the daemon. When a new daemon does not want it, its idle children
go at once, the busy ones after their attempt, and the template with the last of them; so, after a
while, when no daemon comes (`jobctl.worker.absence`).

No signal that can be caught ends it or its children (`jobctl.worker.signals`).
"""

from __future__ import annotations

import _socket
import gc
import os
import resource
import select
import sys

from jobctl import __version__
from jobctl.worker import kernel, signals
from jobctl.worker.absence import Absence
from jobctl.worker.channel import Channel, accept, common_protocol
from jobctl.worker.instance import Instance, create, note_end
from jobctl.worker.keeper import Keeper
from jobctl.worker.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from jobctl.worker.printed import Reader

    ChildMain = Callable[[Instance], None]
    """What a forked child does; it may return, the child then ends with status 0."""


# os.wait4 imports it at its first call: in each keeper anew, and in a template that may have run out
# of descriptors by then.
assert resource.RUSAGE_SELF == 0


class Template:
    """One template; `run` ends when it is told to retire and has no child left."""

    def __init__(self, instance: Instance, kind: str, *, patience_s: float) -> None:
        self._instance = instance
        self._patience_s = patience_s
        self._absence = Absence(instance, patience_s)
        self._kind = kind
        self._child_main: ChildMain | None = None
        self._channel: Channel | None = None
        self._spec: dict[str, Any] = {}
        self._report: dict[str, Any] = {}
        self._children: dict[int, str] = {}
        # What it shares with function workers, by descriptor: the timer of a worker, by pid and name, and
        # the pipe of its output.
        self._timers: dict[int, tuple[int, str]] = {}
        self._readers: dict[int, Reader] = {}
        self._is_retiring = False
        self._poll = select.poll()
        self._poll.register(instance.listener.fileno(), select.POLLIN)
        self._wakeup, self._wakeup_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        self._poll.register(self._wakeup, select.POLLIN)
        # Without a handler nothing would be written there.
        signal.signal(signal.SIGCHLD, signals.do_nothing)

    def run(self) -> None:
        """Serve until childless, and retired or without a daemon for long."""
        while not self._is_done():
            timeout_ms = None if self._children else self._absence.timeout_ms()
            for fd, _ in self._poll.poll(timeout_ms):
                if fd == self._instance.listener.fileno():
                    self._meet_daemon()
                elif fd == self._wakeup:
                    self._reap()
                elif self._channel is not None and fd == self._channel.fd:
                    self._obey()
                elif fd in self._timers:
                    self._keep_limit(fd)
                elif fd in self._readers:
                    self._read_output(fd)

    def _is_done(self) -> bool:
        return not self._children and (self._is_retiring or self._absence.is_over_long)

    def _meet_daemon(self) -> None:
        channel = accept(self._instance.listener)
        if channel is not None:
            self._drop_channel()
            self._channel = channel
            self._absence.end()
            self._poll.register(channel.fd, select.POLLIN)

    def _drop_channel(self) -> None:
        if self._channel is not None:
            self._poll.unregister(self._channel.fd)
            self._channel.close()
            self._channel = None

    def _obey(self) -> None:
        assert self._channel is not None
        messages = self._channel.receive()
        for message in messages or ():
            match message["do"]:
                case "hello":
                    self._greet(message)
                case "fork":
                    self._fork(message)
                case "retire":
                    self._is_retiring = True
                case unknown:
                    raise ValueError(f"a message of no known kind: {unknown}")
        if messages is None:
            self._drop_channel()
            self._absence.begin()

    def _greet(self, message: dict[str, Any]) -> None:
        if not self._spec and not message["spec"]:
            # The daemon that started it died before it said what for.
            self._is_retiring = True
        elif not self._spec:
            self._spec = message["spec"]
            self._report = self._prepare()
        self._send(
            {
                "is": "hello",
                "protocol": common_protocol(message.get("protocol")),
                "kind": self._kind,
                "pid": os.getpid(),
                "version": __version__,
                "python": sys.version.split()[0],
                "spec": self._spec,
                "report": self._report,
                "children": {name: pid for pid, name in self._children.items()},
                "retiring": self._is_retiring,
            }
        )

    def _prepare(self) -> dict[str, Any]:
        """Import what the children need, once; what was found is told to every daemon that asks."""
        if self._kind == "keeper":
            from jobctl.worker import rehearsal

            outcomes_dir = f"{self._instance.directory}/outcomes"
            patience_s = self._patience_s
            self._child_main = lambda instance: _keep(instance, outcomes_dir, patience_s)
            rehearsal.rehearse(f"{outcomes_dir}/rehearsal")
            signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
            report: dict[str, Any] = {}
        else:
            from jobctl.worker.loading import prepare

            self._child_main, report = prepare(
                self._spec, self._instance.directory, patience_s=self._patience_s
            )
        # What stands now is never collected, so the collector does not touch pages that are shared.
        gc.collect()
        gc.freeze()
        if self._kind == "keeper":
            # Keepers make no rings, and a collection writes to what two hundred of them share.
            gc.disable()
        return report

    def _send(self, message: dict[str, Any]) -> None:
        # If it fails, the channel is not dropped here: what the daemon said before it went is still to
        # be read.
        if self._channel is not None:
            self._channel.send(message)

    def _fork(self, asked: dict[str, Any]) -> None:
        name: str = asked["instance"]
        directory = f"{self._instance.directory}/{name}"
        try:
            child = create(directory)
        except OSError as error:
            self._refuse(name, error)
            return
        try:
            if self._kind == "function":
                self._equip(child)
            pid = os.fork()
        except OSError as error:
            child.close()
            if child.timer >= 0:
                os.close(child.timer)
            if child.pipes is not None:
                child.pipes.close()
            self._refuse(name, error)
            return
        if pid == 0:
            self._become_child(child, asked)
        child.close()
        self._children[pid] = name
        if child.pipes is not None:
            self._share(child, pid)
        self._send({"is": "forked", "instance": name, "pid": pid})

    def _refuse(self, name: str, error: OSError) -> None:
        """A child that could not be: whoever asked for it removes what was made of its folder."""
        self._send({"is": "refused", "instance": name, "message": str(error)})

    def _become_child(self, child: Instance, asked: dict[str, Any]) -> NoReturn:
        """In the child: let go of everything that is the template's, then work."""
        status = 1
        try:
            # First of all: a lock or channel kept by a child would hide the template's death.
            self._instance.close()
            self._drop_channel()
            signal.set_wakeup_fd(-1)
            os.close(self._wakeup)
            os.close(self._wakeup_write)
            for timer in self._timers:
                os.close(timer)
            for reader in self._readers.values():
                reader.close()
            if child.pipes is not None:
                child.pipes.keep_worker_end()
            if self._kind == "function":
                # User code waits for its own children. A keeper needs to hear of every one.
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            kernel.set_name(f"jobctl-{self._kind}")
            child.announce(
                self._kind,
                join_cgroup(asked["cgroup"]),
                asked["group"],
                concurrency=self._spec.get("concurrency", 0),
                corners=asked["corners"],
            )
            self._children = {}
            assert self._child_main is not None
            self._child_main(child)
            status = 0
        except BaseException:  # noqa: BLE001 -- the child ends here whatever it met, and says so
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _reap(self) -> None:
        os.read(self._wakeup, 4096)
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._children.pop(pid, None)
            if name is not None:
                self._part(name)
                code = os.waitstatus_to_exitcode(status)
                peak = usage.ru_maxrss * 1024
                try:
                    # For the next daemon: a message may stay in the buffer of one that is dead.
                    note_end(f"{self._instance.directory}/{name}", code)
                except OSError:
                    pass
                self._send({"is": "ended", "instance": name, "code": code, "max_rss_bytes": peak})

    # -- what it shares with function workers --------------------------------------------------------

    # The modules for that are loaded by the template of functions only: keepers are many.

    @staticmethod
    def _equip(child: Instance) -> None:
        from jobctl.worker.printed import Pipes

        child.timer = kernel.make_timer()
        child.pipes = Pipes()

    def _share(self, child: Instance, pid: int) -> None:
        from jobctl.worker.printed import Reader

        assert child.pipes is not None
        child.pipes.keep_template_end()
        reader = Reader(child.pipes, pid)
        self._timers[child.timer] = (pid, child.name)
        self._readers[reader.fd] = reader
        for fd in (child.timer, reader.fd):
            self._poll.register(fd, select.POLLIN)

    def _keep_limit(self, timer: int) -> None:
        from jobctl.worker.limits import end_overdue

        pid, name = self._timers[timer]
        end_overdue(f"{self._instance.directory}/{name}", pid, timer)

    def _read_output(self, fd: int) -> None:
        """What a worker left running may write for longer than it lived: read until nobody can any more."""
        reader = self._readers[fd]
        if reader.read():
            return
        self._poll.unregister(fd)
        if reader.pid not in self._children:
            self._drop_reader(reader)

    def _drop_reader(self, reader: Reader) -> None:
        del self._readers[reader.fd]
        reader.close()

    def _part(self, name: str) -> None:
        """It has died: its timer goes, and what it said last is kept for whoever buries it.

        Its output stays for as long as something that it has left running can write there.
        """
        for timer, (pid, owner) in list(self._timers.items()):
            if owner == name:
                self._poll.unregister(timer)
                os.close(timer)
                del self._timers[timer]
                self._hear_last_words(pid, name)

    def _hear_last_words(self, pid: int, name: str) -> None:
        (reader,) = (found for found in self._readers.values() if found.pid == pid)
        words = reader.last_words()
        if words[0] and not self._leave(name, words):
            try:
                os.write(2, words[0])
            except OSError:
                pass  # Nobody reads it.
        if reader.has_ended:
            self._drop_reader(reader)

    def _leave(self, name: str, words: tuple[bytes, int]) -> bool:
        """Leave what it said for the attempt in which it died; False: it was in none, or that failed, and
        the daemon's log is all there is."""
        from jobctl.worker.marks import unreturned
        from jobctl.worker.printed import leave_last_words

        directory = f"{self._instance.directory}/{name}"
        try:
            token = unreturned(directory)
            if token is None:
                return False
            leave_last_words(directory, token, words)
        except OSError:
            return False
        return True


def _keep(instance: Instance, outcomes_dir: str, patience_s: float) -> None:
    kernel.become_subreaper()
    Keeper(instance, outcomes_dir, patience_s=patience_s).run()


def join_cgroup(cgroup: str) -> str:
    """Move this process into ``cgroup``; gives back the name, or an empty one if that failed."""
    if not cgroup:
        return ""
    try:
        fd = os.open(f"{cgroup}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        os.write(fd, b"0")
    except OSError:
        return ""
    finally:
        os.close(fd)
    return cgroup


def run_template(
    kind: str,
    directory: str,
    lock_fd: int,
    listener_fd: int,
    *,
    open_files: int,
    patience_s: float,
) -> None:
    """Become the template of ``directory``: the daemon has made its folder, lock and listener.

    ``open_files`` is the soft limit of what user code starts with; the daemon's own is higher.
    ``patience_s`` is how long it and its children stay without a daemon and without work.
    """
    signals.catch()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, hard))
    os.set_inheritable(lock_fd, False)
    os.set_inheritable(listener_fd, False)
    listener = _socket.socket(fileno=listener_fd)
    listener.setblocking(False)
    instance = Instance(directory, listener, lock_fd)
    kernel.set_name(f"jobctl-tmpl-{kind}")
    instance.announce(f"template-{kind}")
    Template(instance, kind, patience_s=patience_s).run()
