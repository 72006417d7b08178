"""Worker groups of the plan as the local engine wants them: interpreters, users, environments, modules."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from jobctl.dispatcher.orders import Account, account_of, clean_environment, in_group
from jobctl.engine.local.engine import Group, Size
from jobctl.engine.local.template import Recipe
from jobctl.errors import InvalidArguments, PlanError
from jobctl.plan import FilePlan, Plan, WorkerGroup, merging

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobctl.steps import Steps


def keeper_recipe(uid: int) -> Recipe:
    """The template of all keepers: the daemon's own interpreter, no user code."""
    environment = clean_environment(account_of(uid))
    return Recipe(kind="keeper", group="", python=sys.executable, cwd="/", env=environment)


def engine_groups(file: FilePlan, uid: int, socket: Path) -> Steps[tuple[Group, ...]]:
    """The groups of a file, before its code has been imported; found a part at a time.

    ``socket`` is where this daemon listens: functions that submit jobs find it by JOBCTL_SOCKET.

    Raises:
        PlanError: a group cannot be: an unknown user, another user without root, or user code as root
            without saying so.
    """
    # Schedules say nothing about groups, and are most of the work of a merge; each plan judges them.
    plan = yield from merging(replace(file, schedules=()), strict=False)
    groups = []
    for group in plan.groups.values():
        groups.append(
            Group(
                name=group.name,
                processes=group.processes,
                commands=group.commands,
                max_tasks_per_child=group.most_tasks,
                functions=_function_recipe(plan, group, uid, socket),
            )
        )
        yield
    return tuple(groups)


def sizes_of(plan: Plan) -> dict[str, Size]:
    """How much each group of the plan in force runs at once, by its name."""
    return {
        group.name: Size(processes=group.processes, commands=group.commands)
        for group in plan.groups.values()
    }


def _function_recipe(plan: Plan, group: WorkerGroup, uid: int, socket: Path) -> Recipe | None:
    imports = list(dict.fromkeys((*plan.settings.imports, *group.imports)))
    functions = {
        task.name: task.function
        for task in plan.tasks.values()
        if task.function is not None and group in plan.groups_serving(task.queue)
    }
    if not imports and not functions:
        return None
    account = _account(group, uid)
    modules = [*imports, *(place.partition(":")[0] for place in functions.values())]
    if uid == 0 and group.user is None:
        _refuse_root(group, modules)
    cwd = group.cwd or "/"
    is_changed = account.uid != uid or group.group is not None
    return Recipe(
        kind="function",
        group=group.name,
        python=group.python or sys.executable,
        cwd=cwd,
        env={**clean_environment(account), **group.env, "JOBCTL_SOCKET": str(socket)},
        user=(account.uid, account.gid, account.groups) if is_changed else None,
        umask=group.umask,
        spec={
            "path": [*group.pythonpath, *([cwd] if group.cwd else [])],
            "imports": imports,
            "functions": functions,
            **({"concurrency": group.side_by_side} if group.side_by_side else {}),
            **({"threads": True} if group.pool == "threads" else {}),
            **({"max_memory_bytes": group.max_memory_bytes} if group.max_memory_bytes else {}),
        },
    )


def _account(group: WorkerGroup, uid: int) -> Account:
    try:
        account = account_of(group.user if group.user is not None else uid)
        if group.group is not None:
            account = in_group(account, group.group)
    except InvalidArguments as error:
        raise PlanError(f'worker group "{group.name}": {error.message}', hint=error.hint) from None
    if group.group is not None and uid != 0:
        raise PlanError(
            f'worker group "{group.name}" wants group "{group.group}", '
            f"but the daemon runs as uid {os.geteuid()}",
            hint="Only a daemon of root can run workers in another group; remove group.",
        )
    if account.uid != uid and uid != 0:
        raise PlanError(
            f'worker group "{group.name}" wants user "{group.user}", '
            f"but the daemon runs as uid {os.geteuid()}",
            hint="Only a daemon of root can run workers as another user; remove user.",
        )
    return account


def _refuse_root(group: WorkerGroup, modules: Sequence[str]) -> None:
    """User code runs as root only where somebody has written that it shall."""
    for module in modules:
        top = module.partition(".")[0]
        if top != "jobctl" and top not in sys.stdlib_module_names:
            raise PlanError(
                f'worker group "{group.name}" would import the module "{module}" as root',
                hint=f'Write user = "root" in [workers.{group.name}], or better another user.',
            )
