"""Cases of groups, chords, many calls in one job, and of jobs that are replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.canvas.cases import (
    ANY_ORDER,
    CHORD_ERROR,
    REVOKED,
    OneOf,
    case,
    chapter,
    failing,
    simple,
)

if TYPE_CHECKING:
    from tests.contract.canvas.library import Library

# ------------------------------------------------------------------------------------------------
chapter("groups")

simple(
    "results come in the order of the tasks",
    [4, 8, 12],
    lambda c: c.group(c.t.add.s(2, 2), c.t.add.s(4, 4), c.t.add.s(6, 6)),
)
simple("group() takes a list", [4, 8], lambda c: c.group([c.t.add.s(2, 2), c.t.add.s(4, 4)]))
simple(
    "group() takes a generator", [0, 2, 4, 6], lambda c: c.group(c.t.add.s(i, i) for i in range(4))
)
case("calling a group submits it", [4, 8])(
    lambda c: c.value(c.group(c.t.add.s(2, 2), c.t.add.s(4, 4))())
)
case("a partial group gives its argument to all", [12, 13])(
    lambda c: c.value(c.group(c.t.add.s(2), c.t.add.s(3)).delay(10))
)
simple("a group of one", [4], lambda c: c.group(c.t.add.s(2, 2)))
simple("an empty group", [], lambda c: c.group())
case("an empty group is ready and successful", [True, 0])(
    lambda c: (lambda r: [r.ready(), len(r)])(c.group().apply_async())
)
simple(
    "a group in a group is spread out",
    [2, 4, 6],
    lambda c: c.group(c.group(c.t.add.s(1, 1), c.t.add.s(2, 2)), c.t.add.s(3, 3)),
)
simple(
    "a chain in a group", [8, 6], lambda c: c.group(c.t.add.s(2, 2) | c.t.mul.s(2), c.t.add.s(3, 3))
)
simple(
    "a chord in a group",
    [3, 6],
    lambda c: c.group(c.chord([c.t.add.s(0, 1), c.t.add.s(1, 1)], c.t.xsum.s()), c.t.add.s(3, 3)),
)
simple("fifty tasks", list(range(50)), lambda c: c.group(c.t.identity.s(i) for i in range(50)))
case("length and place", [3, 8])(
    lambda c: (lambda r: [len(r), c.value(r[1])])(
        c.group(c.t.add.s(i, 4) for i in (0, 4, 8)).delay()
    )
)
case("results and children", [[1, 2], [1, 2]])(
    lambda c: (lambda r: [[c.value(x) for x in r.results], [c.value(x) for x in r.children]])(
        c.group(c.t.identity.s(1), c.t.identity.s(2)).delay()
    )
)
case("ready, successful, failed, waiting, completed_count", [True, True, False, False, 2])(
    lambda c: (
        lambda r: (
            c.value(r),
            [r.ready(), r.successful(), r.failed(), r.waiting(), r.completed_count()],
        )[1]
    )(c.group(c.t.identity.s(1), c.t.identity.s(2)).delay())
)
case("one that fails fails the group", [True, False, True, 1])(
    lambda c: (
        lambda r: (
            r.get(timeout=20, propagate=False),
            [r.ready(), r.successful(), r.failed(), r.completed_count()],
        )[1]
    )(c.group(c.t.identity.s(1), c.t.fail.s()).delay())
)
case("get(propagate=False) has errors in the list", [1, "ValueError", 3])(
    lambda c: [
        type(x).__name__.removeprefix("Remote") if isinstance(x, Exception) else x
        for x in c.group(c.t.identity.s(1), c.t.fail.s(), c.t.identity.s(3))
        .delay()
        .get(timeout=20, propagate=False)
    ]
)
failing(
    "get() raises what the first one failed with",
    ["ValueError", "refused"],
    lambda c: c.group(c.t.identity.s(1), c.t.fail.s()),
)
case("join() is get()", [1, 2])(
    lambda c: c.group(c.t.identity.s(1), c.t.identity.s(2)).delay().join(timeout=20)
)
case("the others go on when one fails", [2, 3])(
    lambda c: (lambda r: [c.value(r[1]), c.value(r[2])])(
        c.group(c.t.fail.s(), c.t.identity.s(2), c.t.identity.s(3)).delay()
    )
)


@case("restore() by its id", [4, 8])
def _(c: Library) -> Any:
    result = c.group(c.t.add.s(2, 2), c.t.add.s(4, 4)).delay()
    c.value(result)
    result.save()
    return c.value(c.GroupResult.restore(result.id))


case(
    "forget() forgets all of it",
    ["SUCCESS", "SUCCESS"],
    celery=["PENDING", "PENDING"],
    why="What was forgotten has succeeded all the same: its state stays, its result is None.",
)(
    lambda c: (lambda r: (c.value(r), r.forget(), [c.state_of(x.id) for x in r.results])[2])(
        c.group(c.t.identity.s(1), c.t.identity.s(2)).delay()
    )
)
simple(
    "skew() delays one after the other",
    [1, 2, 3],
    lambda c: c.group(c.t.identity.s(i) for i in (1, 2, 3)).skew(start=0, stop=1, step=0.02),
)
case("options of the call are those of each task", ["acme", "acme"])(
    lambda c: c.value(
        c.group(c.t.header_of.s(), c.t.header_of.s()).apply_async(headers={"tenant": "acme"})
    )
)
case("a group cannot be linked by the call", "refused")(
    lambda c: c.refused(lambda: c.group(c.t.add.s(1, 1)).apply_async(link=c.t.neg.s()))
)

# ------------------------------------------------------------------------------------------------
chapter("chords")

simple(
    "the body is given all results",
    90,
    lambda c: c.chord((c.t.add.s(i, i) for i in range(10)), c.t.xsum.s()),
)
case("chord(header)(body)", 90)(
    lambda c: c.value(c.chord(c.t.add.s(i, i) for i in range(10))(c.t.xsum.s()))
)
simple(
    "group | task is a chord",
    12,
    lambda c: c.group(c.t.add.s(2, 2), c.t.add.s(4, 4)) | c.t.xsum.s(),
)
simple(
    "chain(group, task) is a chord",
    12,
    lambda c: c.chain(c.group(c.t.add.s(2, 2), c.t.add.s(4, 4)), c.t.xsum.s()),
)
simple(
    "the body keeps its own arguments",
    [[[4, 8], "x"], {"k": 1}],
    lambda c: c.chord([c.t.add.s(2, 2), c.t.add.s(4, 4)], c.t.pair.s("x", k=1)),
)
simple(
    "an immutable body is given nothing",
    [["x"], {}],
    lambda c: c.chord([c.t.add.s(2, 2)], c.t.pair.si("x")),
)
simple("a header of one", [[[4]], {}], lambda c: c.chord([c.t.add.s(2, 2)], c.t.pair.s()))
simple("an empty header", [[[]], {}], lambda c: c.chord([], c.t.pair.s()))
simple(
    "a body that is a chain",
    24,
    lambda c: c.chord([c.t.add.s(2, 2), c.t.add.s(4, 4)], c.t.xsum.s() | c.t.mul.s(2)),
)
simple(
    "chord | task",
    24,
    lambda c: c.chord([c.t.add.s(2, 2), c.t.add.s(4, 4)], c.t.xsum.s()) | c.t.mul.s(2),
)
simple(
    "a body that is a group",
    [12, 12],
    lambda c: c.chord([c.t.add.s(2, 2), c.t.add.s(4, 4)], c.group(c.t.xsum.s(), c.t.xsum.s())),
)
simple(
    "a chain in a header",
    14,
    lambda c: c.chord([c.t.add.s(2, 2) | c.t.mul.s(2), c.t.add.s(3, 3)], c.t.xsum.s()),
)
simple(
    "a chord in a header",
    9,
    lambda c: c.chord(
        [c.chord([c.t.add.s(0, 1), c.t.add.s(1, 1)], c.t.xsum.s()), c.t.add.s(3, 3)], c.t.xsum.s()
    ),
)
simple(
    "chords in chords, three deep",
    4,
    lambda c: c.chord(
        [
            c.chord(
                [c.chord([c.t.identity.s(1), c.t.identity.s(1)], c.t.xsum.s()), c.t.identity.s(1)],
                c.t.xsum.s(),
            ),
            c.t.identity.s(1),
        ],
        c.t.xsum.s(),
    ),
)
simple(
    "a group in a header is spread out",
    12,
    lambda c: c.chord([c.group(c.t.add.s(1, 1), c.t.add.s(2, 2)), c.t.add.s(3, 3)], c.t.xsum.s()),
)
simple(
    "results of a group in a header come in the order of the tasks",
    [[[2, 4, 6]], {}],
    lambda c: c.chord([c.group(c.t.add.s(1, 1), c.t.add.s(2, 2)), c.t.add.s(3, 3)], c.t.pair.s()),
    celery=ANY_ORDER,
    why="Celery numbers the members of the inner group anew, so places of the list are given twice.",
)
simple(
    "a chain that ends with a group in a header",
    [[[[3, 4], 6]], {}],
    lambda c: c.chord(
        [c.t.add.s(1, 1) | c.group(c.t.add.s(1), c.t.add.s(2)), c.t.add.s(3, 3)], c.t.pair.s()
    ),
)
simple(
    "a task that is retried in a header",
    8,
    lambda c: c.chord([c.t.third_time.s(5), c.t.identity.s(3)], c.t.xsum.s()),
)
case("parent of a chord is the group of its header", [4, 8])(
    lambda c: (lambda r: (c.value(r), c.value(r.parent))[1])(
        c.chord([c.t.add.s(2, 2), c.t.add.s(4, 4)])(c.t.xsum.s())
    )
)
case("a partial chord gives its argument to its header", 25)(
    lambda c: c.value(c.chord([c.t.add.s(2), c.t.add.s(3)], c.t.xsum.s()).apply_async((10,)))
)
simple(
    "a header of fifty",
    1225,
    lambda c: c.chord((c.t.identity.s(i) for i in range(50)), c.t.xsum.s()),
)
failing(
    "a body that fails",
    ["ValueError", "refused"],
    lambda c: c.chord([c.t.add.s(1, 1)], c.t.fail.s()),
)
case(
    "a header that fails", "ValueError", celery=OneOf("ValueError", "ChordError"), why=CHORD_ERROR
)(lambda c: c.error(c.chord([c.t.fail.s(), c.t.add.s(1, 1)], c.t.xsum.s()).delay())[0])
case(
    "state of the body when the header fails",
    "REVOKED",
    celery=OneOf("FAILURE", "PENDING"),
    why=REVOKED,
)(
    lambda c: (lambda r: (c.error(r), r.state)[1])(
        c.chord([c.t.fail.s(), c.t.add.s(1, 1)])(c.t.xsum.s())
    )
)


@case("the body is not made when the header fails", [])
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.chord([c.t.fail.s(), c.t.add.s(1, 1)], c.t.note.s(path)).delay())
    c.value(c.t.add.delay(1, 1))
    return c.lines(path)


case(
    "a chord in a header that fails",
    "ValueError",
    celery=OneOf("ValueError", "ChordError"),
    why=CHORD_ERROR,
)(
    lambda c: c.error(
        c.chord([c.chord([c.t.fail.s()], c.t.xsum.s()), c.t.add.s(1, 1)], c.t.xsum.s()).delay()
    )[0]
)

# ------------------------------------------------------------------------------------------------
chapter("chains with groups")

simple(
    "task | group gives the result to each",
    [6, 8],
    lambda c: c.t.add.s(2, 2) | c.group(c.t.add.s(2), c.t.mul.s(2)),
)
simple(
    "task | group | task",
    14,
    lambda c: c.t.add.s(2, 2) | c.group(c.t.add.s(2), c.t.mul.s(2)) | c.t.xsum.s(),
)
simple(
    "task | group | task | task",
    28,
    lambda c: c.t.add.s(2, 2) | c.group(c.t.add.s(2), c.t.mul.s(2)) | c.t.xsum.s() | c.t.mul.s(2),
)
simple(
    "group | group gives all results to each",
    [[[[1, 2]], {}], [[[1, 2], "x"], {}]],
    lambda c: (
        c.group(c.t.identity.s(1), c.t.identity.s(2)) | c.group(c.t.pair.s(), c.t.pair.s("x"))
    ),
)
simple(
    "two groups with a task between",
    [13, 14],
    lambda c: (
        c.group(c.t.identity.s(1), c.t.identity.s(2))
        | c.t.xsum.s()
        | c.group(c.t.add.s(10), c.t.add.s(11))
    ),
)
simple(
    "chain | chord",
    9,
    lambda c: (
        c.t.add.s(1, 1)
        | c.chord([c.t.add.s(1), c.t.add.s(2)], c.t.xsum.s().set(priority=1))
        | c.t.add.s(2)
    ),
)
simple(
    "an empty group in a chain hands on an empty list",
    [[[]], {}],
    lambda c: c.t.add.s(1, 1) | c.group() | c.t.pair.s(),
)
case("parents lead through a group", [14, [6, 8], 4])(
    lambda c: (lambda r: [c.value(r), c.value(r.parent), c.value(r.parent.parent)])(
        (c.t.add.s(2, 2) | c.group(c.t.add.s(2), c.t.mul.s(2)) | c.t.xsum.s()).delay()
    )
)
failing(
    "a failure before a group",
    ["ValueError", "refused"],
    lambda c: c.t.fail.s() | c.group(c.t.add.s(2), c.t.mul.s(2)) | c.t.xsum.s(),
)

# ------------------------------------------------------------------------------------------------
chapter("map, starmap, chunks")

simple("map() calls for each in one job", [2, 4], lambda c: c.t.xsum.map([[1, 1], [2, 2]]))
simple(
    "starmap() gives lists of arguments",
    [2, 4, 6],
    lambda c: c.t.add.starmap([(1, 1), (2, 2), (3, 3)]),
)
simple("map() of nothing", [], lambda c: c.t.neg.map([]))
failing(
    "one call that fails fails the map", ["ValueError", "refused"], lambda c: c.t.fail.map([1, 2])
)
case("chunks() makes jobs of several calls", [[0, 2, 4], [6, 8, 10], [12]])(
    lambda c: c.value(c.t.add.chunks([(i, i) for i in range(7)], 3)())
)
simple(
    "chunks().group() is a group",
    [[0, 2], [4, 6]],
    lambda c: c.t.add.chunks([(i, i) for i in range(4)], 2).group(),
)
simple(
    "chunks() and a task after it",
    [[[[0, 2], [4]]], {}],
    lambda c: c.t.add.chunks([(i, i) for i in range(3)], 2).group() | c.t.pair.s(),
)
simple(
    "starmap() begins a chain",
    [[[2, 4]], {}],
    lambda c: c.t.add.starmap([(1, 1), (2, 2)]) | c.t.pair.s(),
)

# ------------------------------------------------------------------------------------------------
chapter("replace")

simple("by another task", 15, lambda c: c.t.by_add.s(5))
simple("by a chain", 30, lambda c: c.t.by_chain.s(5))
simple("by a chord", 18, lambda c: c.t.by_chord.s(5))
simple("by a group gives the list", [5, 6, 7], lambda c: c.t.by_group.s(5))
simple(
    "in a chain the next step takes what it comes to",
    115,
    lambda c: c.t.by_add.s(5) | c.t.add.s(100),
)
simple("by a chain in a chain", 130, lambda c: c.t.by_chain.s(5) | c.t.add.s(100))
simple("by a group in a chain", 18, lambda c: c.t.by_group.s(5) | c.t.xsum.s())
simple("in a header", 21, lambda c: c.chord([c.t.by_add.s(5), c.t.identity.s(6)], c.t.xsum.s()))
simple("by itself, again and again", "done", lambda c: c.t.by_itself.s(3))
failing("by one that fails", ["ValueError", "refused"], lambda c: c.t.by_failure.s(1))


@case("what is linked follows the replacement", ["15"])
def _(c: Library) -> Any:
    path = c.path()
    c.value(c.t.by_add.apply_async((5,), link=c.t.note.s(path)))
    return c.recorded(path)


@case("what follows an error follows that of the replacement", 1)
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.t.by_failure.apply_async((5,), link_error=c.t.note_only.si(path)))
    return len(c.recorded(path))
