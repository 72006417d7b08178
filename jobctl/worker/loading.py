"""What a template loads before it forks function workers: the modules of its group, and their functions.

What it found is reported as data, names, options and signatures; the functions themselves stay here, for
the workers that it forks.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

from jobctl.worker.functions import Function, FunctionWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.worker.instance import Instance


def prepare(
    spec: dict[str, Any], directory: str, *, patience_s: float
) -> tuple[Callable[[Instance], None], dict[str, Any]]:
    """In the template: import the task modules and say what was found.

    ``spec``: ``group``, ``path`` (folders to search first), ``imports`` (modules), ``functions`` (task
    → ``"module:function"``). Gives back what a child does, and the report (`jobctl.plan.CodeReport` as
    JSON).
    """
    # Bytecode is taken for its source by size and second: code that was changed within a second of the
    # last reload would not be seen. And a worker leaves no files in the folders of an application.
    sys.dont_write_bytecode = True
    for path in reversed(spec["path"]):
        sys.path.insert(0, path)
    failures: list[dict[str, str]] = []
    worker: Callable[..., FunctionWorker] = FunctionWorker
    if spec.get("concurrency"):
        from jobctl.worker import coroutines, streams

        many = coroutines.ThreadWorker if spec.get("threads") else coroutines.CoroutineWorker
        worker = partial(many, concurrency=spec["concurrency"])
        # Before any module keeps the streams of now, as handlers of `logging` do.
        streams.install()
    for module in spec["imports"]:
        _import(module, failures)
    _finish(failures)
    functions: dict[str, Function] = {}
    bound: set[str] = set()
    declared = _declared_tasks(functions, bound)
    parameters: dict[str, Any] = {}
    for task, place in spec["functions"].items():
        function = _find(place, failures)
        if function is not None:
            parameters[place] = _parameters(function)
            functions[task] = _entry_of(function, task, bound)
    places = {entry["name"]: entry["function"] for entry in declared} | spec["functions"]
    asynchronous = {
        places[task] for task, function in functions.items() if is_coroutine_function(function)
    }
    if asynchronous:
        # Whoever runs one needs it; loaded here, it is shared.
        importlib.import_module("asyncio")
    functions = _surrounded(functions)
    outcomes_dir = f"{directory}/outcomes"

    def child_main(instance: Instance) -> None:
        worker(
            instance,
            outcomes_dir,
            functions,
            patience_s=patience_s,
            max_memory_bytes=spec.get("max_memory_bytes", 0),
        ).run()

    report = {
        "group": spec["group"],
        "tasks": declared,
        "functions": parameters,
        "coroutines": sorted(asynchronous),
        "bound": sorted(bound),
        "schedules": _declared_schedules(),
        "failures": failures,
    }
    return child_main, report


def is_coroutine_function(function: Function) -> bool:
    """Calling it gives a coroutine, as far as that can be seen: decorators of plain functions are looked through."""
    inner = inspect.unwrap(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
        getattr(inner, "__call__", None)  # noqa: B004 -- an object's own, which may be async
    )


def _declared_tasks(functions: dict[str, Function], bound: set[str]) -> list[dict[str, Any]]:
    """What ``@task`` registered while the modules were imported."""
    api = sys.modules.get("jobctl.api")
    if api is None:
        return []
    declared = []
    for registered in api.registered_tasks():
        functions[registered.name] = _entry_of(registered, registered.name, bound)
        parameters = _parameters(registered) if registered.typing else None
        declared.append({**registered.declaration(), "parameters": parameters})
    return declared


def _finish(failures: list[dict[str, str]]) -> None:
    """Let what the modules have put off happen now: finding further modules, above all."""
    api = sys.modules.get("jobctl.api")
    if api is None:
        return
    for module, step in api.take_last_steps():
        try:
            step()
        except BaseException as error:  # noqa: BLE001 -- as of a module
            _note_failure(module, error, failures)


def _declared_schedules() -> list[dict[str, Any]]:
    """What the code declares beside its tasks."""
    api = sys.modules.get("jobctl.api")
    if api is None:
        return []
    return [spec.to_json(brief=True) for spec in api.registered_schedules()]


def _entry_of(function: Function, task: str, bound: set[str]) -> Function:
    """What a worker calls for a task. One that wants to know of its job is noted as ``bound``."""
    api = sys.modules.get("jobctl.api")
    if api is None or not isinstance(function, api.FunctionTask):
        return function
    if function.wants_request:
        bound.add(task)
    entry: Function = function.entry()
    return entry


def _surrounded(functions: dict[str, Function]) -> dict[str, Function]:
    """The same within what the modules have declared to be around attempts (`jobctl.api.around`)."""
    api = sys.modules.get("jobctl.api")
    if api is None:
        return functions
    return {task: api.surrounded(function) for task, function in functions.items()}


def _import(module: str, failures: list[dict[str, str]]) -> Any:
    try:
        return importlib.import_module(module)
    except BaseException as error:  # noqa: BLE001 -- a module may raise anything, also SystemExit
        _note_failure(module, error, failures)
        return None


def _note_failure(module: str, error: BaseException, failures: list[dict[str, str]]) -> None:
    traceback.print_exception(error)
    message = f"{type(error).__name__}: {error}".split("\n")[0]
    failures.append({"module": module, "message": message})


def _find(place: str, failures: list[dict[str, str]]) -> Function | None:
    module_name, _, attribute = place.partition(":")
    if any(failure["module"] == module_name for failure in failures):
        return None
    found = _import(module_name, failures)
    if found is None:
        return None
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None:
            message = f'module "{module_name}" has no "{attribute}"'
            failures.append({"module": place, "message": message})
            return None
    if not callable(found):
        failures.append({"module": place, "message": f'"{place}" is not a function'})
        return None
    function: Function = found
    return function


def _parameters(function: Function) -> list[dict[str, Any]] | None:
    """What a function takes: name, kind, annotation (a plain name, or null), default or not.

    None when it cannot be known: then arguments are not checked before the call.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    parameters = []
    for parameter in signature.parameters.values():
        annotation = parameter.annotation
        if annotation is parameter.empty:
            name = None
        elif isinstance(annotation, str):
            name = annotation
        else:
            # Only a plain class has a name that says what it is: ``str | None`` is not ``str``.
            name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        parameters.append(
            {
                "name": parameter.name,
                "kind": _PARAMETER_KINDS[parameter.kind.name],
                "annotation": name,
                "has_default": parameter.default is not parameter.empty,
            }
        )
    return parameters


_PARAMETER_KINDS = {
    "POSITIONAL_ONLY": "positional_only",
    "POSITIONAL_OR_KEYWORD": "either",
    "VAR_POSITIONAL": "var_positional",
    "KEYWORD_ONLY": "keyword_only",
    "VAR_KEYWORD": "var_keyword",
}
