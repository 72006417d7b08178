"""``dataclass``, whose classes are made in a third of the time.

The standard one compiles up to seven functions for each frozen class, half a millisecond in all; a daemon and
each process that it starts would spend a quarter of their start on that. Of a frozen class only ``__init__`` is
compiled here, since it is what runs often; the others are closures over the names of the fields. All else is
the standard one's, above all `dataclasses.fields` and `dataclasses.replace`.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass  # the standard one, for type checkers

    _Values = Callable[[Any], tuple[Any, ...]]
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, kw_only=False, slots=False):
        """Make a dataclass. Parameters as of `dataclasses.dataclass`."""

        def make(cls):
            if not frozen:
                return dataclasses.dataclass(cls, eq=eq, kw_only=kw_only, slots=slots)
            return _frozen(cls, eq=eq, kw_only=kw_only, slots=slots)

        return make if cls is None else make(cls)


def _frozen(cls: type[Any], *, eq: bool, kw_only: bool, slots: bool) -> type[Any]:
    if cls.__doc__ is None:
        # Otherwise the standard one writes the signature there, for which it has to be worked out.
        cls.__doc__ = cls.__name__
    made = dataclasses.dataclass(
        cls, init=False, repr=False, eq=False, kw_only=kw_only, slots=slots
    )
    fields = dataclasses.fields(made)
    if len(fields) + _count_class_variables(made) != len(made.__dataclass_fields__):
        raise TypeError(f"{cls.__name__}: InitVar is not known here")
    values = _values_of([field.name for field in fields if field.compare])
    ours: dict[str, Any] = {
        "__init__": _init(made, fields),
        "__repr__": _repr([field.name for field in fields if field.repr]),
        "__setattr__": _setattr(made, frozenset(field.name for field in fields)),
        "__delattr__": _delattr(made, frozenset(field.name for field in fields)),
    }
    if eq:
        ours["__eq__"] = _eq(values)
        ours["__hash__"] = _hash(values)
    if slots:
        # Without a __dict__ what copies or unpickles would set each field, which is refused.
        ours["__getstate__"] = _getstate(_values_of([field.name for field in fields]))
        ours["__setstate__"] = _setstate([field.name for field in fields])
    for name, function in ours.items():
        # What the class has written itself stays. An inherited __eq__ comes with a __hash__ of None.
        if name in cls.__dict__ and not (name == "__hash__" and cls.__dict__[name] is None):
            continue
        function.__qualname__ = f"{made.__qualname__}.{name}"
        setattr(made, name, function)
    return made


def _count_class_variables(made: type[Any]) -> int:
    kinds = [str(field._field_type) for field in made.__dataclass_fields__.values()]
    return kinds.count("_FIELD_CLASSVAR")


def _values_of(names: list[str]) -> _Values:
    if not names:
        return lambda _self: ()
    if len(names) == 1:
        (name,) = names
        return lambda self: (getattr(self, name),)
    return attrgetter(*names)


def _init(cls: type[Any], fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    """The one function that is compiled: it runs for each object."""
    given: dict[str, Any] = {"_set": object.__setattr__, "_missing": dataclasses.MISSING}
    positional: list[str] = []
    by_name: list[str] = []
    body: list[str] = []
    for number, field in enumerate(fields):
        parameter, value = field.name, field.name
        if field.default_factory is not dataclasses.MISSING:
            given[f"_make_{number}"] = field.default_factory
            parameter += "=_missing"
            value = f"_make_{number}() if {value} is _missing else {value}"
            if not field.init:
                value = f"_make_{number}()"
        elif field.default is not dataclasses.MISSING:
            given[f"_default_{number}"] = field.default
            parameter += f"=_default_{number}"
            if not field.init:
                value = f"_default_{number}"
        elif not field.init:
            continue
        if field.init:
            (by_name if field.kw_only else positional).append(parameter)
        body.append(f"_set(self, {field.name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    star = ["*"] if by_name else []
    parameters = ", ".join(["self", *positional, *star, *by_name])
    lines = "\n ".join(body or ["pass"])
    exec(f"def __init__({parameters}):\n {lines}", given)  # noqa: S102 -- names of fields, as in dataclasses
    init: Callable[..., None] = given["__init__"]
    return init


def _repr(names: list[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def __repr__(self: Any) -> str:  # noqa: N807
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _setattr(cls: type[Any], names: frozenset[str]) -> Callable[[Any, str, object], None]:
    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    return __setattr__


def _delattr(cls: type[Any], names: frozenset[str]) -> Callable[[Any, str], None]:
    def __delattr__(self: Any, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return __delattr__


def _eq(values: _Values) -> Callable[[Any, object], bool]:
    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return __eq__


def _hash(values: _Values) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _getstate(values: _Values) -> Callable[[Any], tuple[Any, ...]]:
    def __getstate__(self: Any) -> tuple[Any, ...]:  # noqa: N807
        return values(self)

    return __getstate__


def _setstate(names: list[str]) -> Callable[[Any, tuple[Any, ...]], None]:
    def __setstate__(self: Any, state: tuple[Any, ...]) -> None:  # noqa: N807
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return __setstate__
