"""Our dataclass against the standard one: what differs is how long it takes to make the class."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jobctl import values

JOBCTL = Path(values.__file__).parent


def plain(dataclass: Any) -> type[Any]:
    @dataclass(frozen=True)
    class Point:
        """With a doc."""

        x: int
        y: int = 2
        kind: ClassVar[str] = "point"

    return Point


def by_name(dataclass: Any) -> type[Any]:
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Point:
        x: int
        y: list[int] = dataclasses.field(default_factory=list)
        hidden: str = dataclasses.field(default="h", repr=False, compare=False)
        fixed: int = dataclasses.field(default=7, init=False)

    return Point


def derived(dataclass: Any) -> type[Any]:
    @dataclass(frozen=True, kw_only=True)
    class Base:
        x: int
        y: Any = None

    @dataclass(frozen=True, kw_only=True)
    class Point(Base):
        z: int = 3

        def __post_init__(self) -> None:
            object.__setattr__(self, "z", self.z + self.x)

    return Point


def mixed(dataclass: Any) -> type[Any]:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = dataclasses.field(default=0, kw_only=True)

        def __repr__(self) -> str:
            return f"<{self.x}>"

        def __hash__(self) -> int:
            return 5

    return Point


def without_eq(dataclass: Any) -> type[Any]:
    @dataclass(frozen=True, eq=False)
    class Point:
        x: int
        y: int = 0

    return Point


def changing(dataclass: Any) -> type[Any]:
    @dataclass
    class Point:
        x: int
        y: int = 0

    return Point


def empty(dataclass: Any) -> type[Any]:
    @dataclass(frozen=True)
    class Point:
        pass

    return Point


SHAPES = [plain, by_name, derived, mixed, without_eq, changing]
SHAPE = pytest.mark.parametrize("shape", SHAPES)


def told(work: Any) -> object:
    """What it gives, or the type and the words of what it raises."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 -- whatever it is, both must raise it
        return type(error), str(error)


def both(shape: Any, work: Any) -> tuple[object, object]:
    return told(lambda: work(shape(values.dataclass))), told(
        lambda: work(shape(dataclasses.dataclass))
    )


@SHAPE
@pytest.mark.parametrize(
    "work",
    [
        lambda cls: repr(cls(x=1)),
        lambda cls: repr(cls(x=1, y=[1])),
        lambda cls: repr(cls(1)),
        lambda cls: repr(cls(1, 2)),
        lambda cls: cls(x=1) == cls(x=1),
        lambda cls: cls(x=1) == cls(x=2),
        lambda cls: cls(x=1) == (1, 2),
        lambda cls: len({cls(x=1), cls(x=1)}),
        lambda cls: hash(cls(x=[])) and None,
        lambda cls: cls(),
        lambda cls: cls(x=1, w=2),
        lambda cls: setattr(cls(x=1), "x", 2),
        lambda cls: delattr(cls(x=1), "x"),
        lambda cls: dataclasses.asdict(cls(x=1)),
        lambda cls: repr(dataclasses.replace(cls(x=1), x=5)),
        lambda cls: repr(copy.copy(cls(x=1, y=[3]))),
        lambda cls: repr(copy.deepcopy(cls(x=1, y=[3]))),
        lambda cls: [(f.name, f.kw_only, f.init) for f in dataclasses.fields(cls)],
        lambda cls: cls.__match_args__,
        lambda cls: hasattr(cls(x=1), "__dict__"),
        lambda cls: cls.__init__.__qualname__.rpartition(".")[2],
    ],
)
def test_it_behaves_as_the_standard_one(shape: Any, work: Any) -> None:
    ours, theirs = both(shape, work)

    assert ours == theirs


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape is not changing])
def test_nothing_is_added_to_it(shape: Any) -> None:
    """The standard one with slots stumbles over its own class here, and says something else."""
    with pytest.raises(dataclasses.FrozenInstanceError, match="unknown"):
        shape(values.dataclass)(x=1).unknown = 2


def test_one_without_fields_does_too() -> None:
    ours, theirs = both(
        empty, lambda cls: (repr(cls()), cls() == cls(), hash(cls()) == hash(cls()))
    )

    assert ours == theirs


@values.dataclass(frozen=True, slots=True)
class Pickled:
    """Pickling finds a class by its name."""

    x: int
    y: str = "y"


def test_one_with_slots_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(Pickled(3))) == Pickled(3)


def test_no_two_lists_of_a_default_are_one() -> None:
    made = by_name(values.dataclass)

    assert made(x=1).y is not made(x=1).y


def test_what_is_only_for_init_is_refused() -> None:
    with pytest.raises(TypeError, match="InitVar"):

        @values.dataclass(frozen=True)
        class _Point:
            x: dataclasses.InitVar[int]


def test_the_standard_one_is_used_nowhere_else() -> None:
    """Each class of it would cost every start half a millisecond."""
    used = [
        path
        for path in JOBCTL.rglob("*.py")
        if path.name != "values.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
        if any(name.name == "dataclass" for name in node.names)
    ]

    assert used == []
