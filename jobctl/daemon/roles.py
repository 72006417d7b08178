"""Who may do what: one function judges every parsed request, by what the kernel says of its peer.

The daemon's own user and root administer. Others are told apart by the socket's file: whoever its group or its
mode lets connect is a member, and may submit jobs, see and end those of his own, and look at what there is.
Two keys of ``[daemon]`` give more: ``allow_see`` (the jobs of everybody) and ``allow_administer`` (what the
owner may). Groups are those that the peer's process had when it connected: no name service is asked while
somebody waits.

A request that the table does not name is refused to everybody but those who administer.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
import struct
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import NotAllowed
from jobctl.logs import fields, logger
from jobctl.protocol import requests
from jobctl.store import jobs as job_rows
from jobctl.store import workflows as workflow_rows
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jobctl.plan import DaemonSettings
    from jobctl.store.database import Database

_SO_PEERGROUPS: Final = 59
_MOST_GROUPS: Final = 65_536
"""A process has no more (getgroups(2), NGROUPS_MAX)."""


class Role(StrEnum):
    """What somebody is to a daemon."""

    ADMINISTRATOR = "administrator"
    """Root, the daemon's user, and whom ``allow_administer`` names."""
    SEER = "seer"
    """A member whom ``allow_see`` names."""
    MEMBER = "member"
    """Whom the socket's group or mode lets connect."""
    STRANGER = "stranger"
    """Anybody else."""


class Right(StrEnum):
    """What a request needs."""

    MEMBERSHIP = "membership"
    """It concerns nobody else's jobs, or shows no more of them than how many there are."""
    SEE_JOB = "see job"
    """Its jobs are one's own, or one sees those of everybody."""
    CHANGE_JOB = "change job"
    """Its job is one's own."""
    SEE_ALL = "see all"
    """It shows what belongs to everybody."""
    ADMINISTER = "administer"
    """It changes what is everybody's."""


RIGHTS: Final[Mapping[type[requests.Request], Right]] = {
    requests.Hello: Right.MEMBERSHIP,
    requests.Submit: Right.MEMBERSHIP,
    requests.SubmitWorkflow: Right.MEMBERSHIP,
    requests.Workflow: Right.SEE_JOB,
    requests.Workflows: Right.MEMBERSHIP,
    requests.Status: Right.SEE_JOB,
    requests.List: Right.MEMBERSHIP,
    requests.Logs: Right.SEE_JOB,
    requests.Wait: Right.SEE_JOB,
    requests.Result: Right.SEE_JOB,
    requests.Cancel: Right.CHANGE_JOB,
    requests.PauseJob: Right.CHANGE_JOB,
    requests.Forget: Right.CHANGE_JOB,
    requests.Retry: Right.CHANGE_JOB,
    requests.Inspect: Right.MEMBERSHIP,
    requests.Health: Right.SEE_ALL,
    requests.Metrics: Right.SEE_ALL,
    requests.Schedules: Right.MEMBERSHIP,
    requests.Next: Right.MEMBERSHIP,
    requests.History: Right.MEMBERSHIP,
    requests.Why: Right.SEE_JOB,
    requests.Audit: Right.SEE_ALL,
    requests.ShowSchedule: Right.SEE_ALL,
    requests.AddSchedule: Right.ADMINISTER,
    requests.EditSchedule: Right.ADMINISTER,
    requests.RemoveSchedule: Right.ADMINISTER,
    requests.DisableSchedule: Right.ADMINISTER,
    requests.EnableSchedule: Right.ADMINISTER,
    requests.RunSchedule: Right.ADMINISTER,
    requests.Pause: Right.ADMINISTER,
    requests.Limit: Right.ADMINISTER,
    requests.Purge: Right.ADMINISTER,
    requests.Scale: Right.ADMINISTER,
    requests.Restart: Right.ADMINISTER,
    requests.Changes: Right.SEE_ALL,
    requests.Backup: Right.ADMINISTER,
    requests.Prune: Right.ADMINISTER,
    requests.TestRoute: Right.ADMINISTER,
    requests.StoreStats: Right.SEE_ALL,
    requests.Reload: Right.ADMINISTER,
    requests.Stop: Right.ADMINISTER,
}
"""What each request needs."""

LOOKS: Final[Mapping[str, Right]] = {
    "ping": Right.MEMBERSHIP,
    "registered": Right.MEMBERSHIP,
    "queues": Right.MEMBERSHIP,
    "active": Right.SEE_ALL,
    "reserved": Right.SEE_ALL,
    "scheduled": Right.SEE_ALL,
    "workers": Right.SEE_ALL,
    "groups": Right.SEE_ALL,
    "stats": Right.SEE_ALL,
    # It shows the environments of tasks and worker groups.
    "conf": Right.ADMINISTER,
}
"""What each look of an `inspect` needs."""

_GIVEN: Final[Mapping[Role, frozenset[Right]]] = {
    Role.ADMINISTRATOR: frozenset(Right),
    Role.SEER: frozenset({Right.MEMBERSHIP, Right.SEE_JOB, Right.SEE_ALL}),
    Role.MEMBER: frozenset({Right.MEMBERSHIP}),
    Role.STRANGER: frozenset(),
}
"""What each role may whosever the job is."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel says. ``groups`` are those of the process when it connected."""

    uid: int
    gid: int
    pid: int
    groups: frozenset[int] = frozenset()


def peer_of(connection: socket.socket) -> Peer:
    """Who connected, when it connected (unix(7), SO_PEERCRED and SO_PEERGROUPS)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", data)
    if uid in (0, os.geteuid()):
        # They administer whatever groups they have.
        return Peer(uid, gid, pid)
    return Peer(uid, gid, pid, frozenset({gid, *_groups_of(connection)}))


def _groups_of(connection: socket.socket) -> Iterable[int]:
    for count in (256, _MOST_GROUPS):
        try:
            data = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * count)
        except OSError:
            # There are more, or this kernel does not tell (before 4.13): its own group counts then.
            continue
        return struct.unpack(f"{len(data) // 4}I", data)
    return ()


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who is what: the daemon's user, the socket's file, and who is named."""

    owner: int
    socket_gid: int = -1
    is_open_to_group: bool = False
    is_open_to_all: bool = False
    administer_uids: frozenset[int] = frozenset()
    administer_gids: frozenset[int] = frozenset()
    see_uids: frozenset[int] = frozenset()
    see_gids: frozenset[int] = frozenset()

    def role_of(self, peer: Peer) -> Role:
        """What a peer is."""
        if peer.uid in (0, self.owner):
            return Role.ADMINISTRATOR
        if not (self.is_open_to_all or (self.is_open_to_group and self.socket_gid in peer.groups)):
            return Role.STRANGER
        if peer.uid in self.administer_uids or peer.groups & self.administer_gids:
            return Role.ADMINISTRATOR
        if peer.uid in self.see_uids or peer.groups & self.see_gids:
            return Role.SEER
        return Role.MEMBER


def access_by(settings: DaemonSettings, owner: int, *, gid: int, mode: int) -> Access:
    """Who is what by the configuration, and by the group and the mode that the socket was made with.

    A name that this host does not know is nobody's: that is logged.
    """
    administer_uids, administer_gids = _named(settings.allow_administer, "allow_administer")
    see_uids, see_gids = _named(settings.allow_see, "allow_see")
    return Access(
        owner=owner,
        socket_gid=gid,
        is_open_to_group=bool(mode & stat.S_IWGRP),
        is_open_to_all=bool(mode & stat.S_IWOTH),
        administer_uids=administer_uids,
        administer_gids=administer_gids,
        see_uids=see_uids,
        see_gids=see_gids,
    )


def _named(names: Iterable[str], key: str) -> tuple[frozenset[int], frozenset[int]]:
    """``(uids, gids)`` of users, and of groups written as ``@group``."""
    uids: set[int] = set()
    gids: set[int] = set()
    for name in names:
        is_group = name.startswith("@")
        word = name.removeprefix("@")
        look: Callable[[str], Any] = grp.getgrnam if is_group else pwd.getpwnam
        try:
            number = int(word) if word.isdecimal() else look(word)[2]
        except KeyError:
            logger.warning("a name is not known on this host", extra=fields(key=key, name=name))
            continue
        (gids if is_group else uids).add(number)
    return frozenset(uids), frozenset(gids)


def authorise(database: Database, role: Role, uid: int, request: requests.Request) -> None:
    """Refuse a request that its peer may not make.

    Raises:
        NotAllowed: nothing has been done.
    """
    if role is Role.ADMINISTRATOR:
        return
    right = RIGHTS.get(type(request), Right.ADMINISTER)
    if isinstance(request, requests.Inspect):
        right = LOOKS.get(request.what, Right.ADMINISTER)
    given = _GIVEN[role]
    if right in given:
        if isinstance(request, (requests.Submit, requests.SubmitWorkflow)):
            _refuse_waiting_for_others(database, given, uid, request)
        return
    if right in (Right.SEE_JOB, Right.CHANGE_JOB) and role is not Role.STRANGER:
        for job in _jobs_of(request):
            _refuse_others_job(database, uid, job)
        return
    raise NotAllowed(
        f'uid {uid} may not ask for "{request.do}"' + _look_of(request),
        hint="The daemon's user and root may, and whom [daemon] names in "
        + ("allow_see." if right is Right.SEE_ALL else "allow_administer."),
    )


def _look_of(request: requests.Request) -> str:
    return f" {request.what}" if isinstance(request, requests.Inspect) else ""


def _jobs_of(request: Any) -> Iterable[int]:
    """The jobs that a request names."""
    match request:
        case requests.Wait():
            return request.jobs
        case requests.Workflow():
            return (request.workflow,)
        case requests.Why():
            if not request.name.isdecimal():
                raise NotAllowed(
                    "what became of a schedule shows the output of its jobs",
                    hint="Ask for a job of your own, by its id.",
                )
            return (int(request.name),)
        case _:
            return (request.job,)


def _refuse_others_job(database: Database, uid: int, job: int) -> None:
    owner = job_rows.owner(database, job)
    if owner is None and (workflow := workflow_rows.get(database, job)) is not None:
        owner = workflow.uid
    # One that is not there has its own answer.
    if owner is not None and owner != uid:
        raise NotAllowed(
            f"job {job} belongs to another user",
            hint="jobctl list shows yours; the daemon's user and root see and change all.",
        )


def _refuse_waiting_for_others(
    database: Database,
    given: frozenset[Right],
    uid: int,
    request: requests.Submit | requests.SubmitWorkflow,
) -> None:
    """Whether a job succeeded is told to whoever makes one that waits for it."""
    if Right.SEE_JOB in given:
        return
    for data in request.jobs:
        for key in ("after", "after_any"):
            ids = data.get(key)
            for job in ids if isinstance(ids, list) else ():
                if type(job) is int:
                    _refuse_others_job(database, uid, job)
