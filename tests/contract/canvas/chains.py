"""Cases of single signatures, of chains, and of what is linked to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.canvas.cases import REVOKED, OneOf, case, chapter, failing, json_of, simple

if TYPE_CHECKING:
    from tests.contract.canvas.library import Library

# ------------------------------------------------------------------------------------------------
chapter("signatures")

simple("a signature is submitted with its arguments", 4, lambda c: c.t.add.s(2, 2))
simple("signature() takes the task's name", 4, lambda c: c.signature(c.t.add.name, args=(2, 2)))
simple("signature() of a task with options", 4, lambda c: c.t.add.signature((2, 2), countdown=0))
case("delay() puts its arguments before those of a partial", [[4, 2], {}])(
    lambda c: c.value(c.t.pair.s(2).delay(4))
)
case("apply_async() puts its arguments before those of a partial", [[4, 2], {}])(
    lambda c: c.value(c.t.pair.s(2).apply_async((4,)))
)
case("named arguments of the call win", [[], {"a": 2, "b": 3}])(
    lambda c: c.value(c.t.pair.s(a=1, b=3).apply_async(kwargs={"a": 2}))
)
case("an immutable signature takes no arguments of the call", [[2], {}])(
    lambda c: c.value(c.t.pair.si(2).delay(4))
)
case("set() changes the signature and gives it back", [True, 7])(
    lambda c: (lambda s: [s.set(priority=7) is s, s.options["priority"]])(c.t.add.s(1, 1))
)
case("clone() leaves the signature as it is", [[2], [1, 2]])(
    lambda c: (lambda s: [list(s.args), list(s.clone((1,)).args)])(c.t.pair.s(2))
)
case("a signature has the keys of a mapping", ["args", "immutable", "kwargs", "options", "task"])(
    lambda c: sorted(set(c.t.add.s(2, 2)) & {"task", "args", "kwargs", "options", "immutable"})
)
case("calling a signature calls the function here", 4)(lambda c: c.t.add.s(2)(2))
case("a tilde waits for the result", 4)(lambda c: ~c.t.add.s(2, 2))
case("JSON makes a mapping of it and signature() a signature again", 4)(
    lambda c: c.value(c.signature(json_of(c.t.add.s(2, 2))).apply_async())
)
case("a chain comes through JSON", 10)(
    lambda c: c.value(c.signature(json_of(c.t.add.s(2, 3) | c.t.mul.s(2))).apply_async())
)
case("a chord comes through JSON", 3)(
    lambda c: c.value(
        c.signature(
            json_of(c.chord([c.t.add.s(0, 1), c.t.add.s(1, 1)], c.t.xsum.s()))
        ).apply_async()
    )
)


@case("a signature is an argument of a task, which submits it", ["7"])
def _(c: Library) -> Any:
    path = c.path()
    c.value(c.t.call_back.delay(7, c.t.note.s(path)))
    return c.recorded(path)


case("maybe_signature() of None is None", None)(lambda c: c.maybe_signature(None))
simple("a countdown is an option of a signature", 4, lambda c: c.t.add.s(2, 2).set(countdown=0.01))
case("headers are in the request", "acme")(
    lambda c: c.value(c.t.header_of.apply_async(headers={"tenant": "acme"}))
)
case("headers are an option of a step", "acme")(
    lambda c: c.value((c.t.add.s(1, 1) | c.t.header_of.s().set(headers={"tenant": "acme"})).delay())
)
case("ignore_result of a call keeps nothing", None)(
    lambda c: c.t.add.apply_async((2, 2), ignore_result=True).get(timeout=5)
)

# ------------------------------------------------------------------------------------------------
chapter("chains")

simple(
    "the result is the first argument of the next",
    16,
    lambda c: c.chain(c.t.add.s(4, 4), c.t.mul.s(2)),
)
simple("the pipe makes a chain", 64, lambda c: c.t.add.s(4, 4) | c.t.mul.s(8))
simple("three steps", 30, lambda c: c.t.add.s(2, 2) | c.t.add.s(4) | c.t.add.s(22))
simple("chain() takes a list", 8, lambda c: c.chain([c.t.add.s(2, 2), c.t.add.s(4)]))
simple("chain() of one task", 4, lambda c: c.chain(c.t.add.s(2, 2)))
case("calling a chain submits it", 8)(lambda c: c.value(c.chain(c.t.add.s(2, 2), c.t.add.s(4))()))
case("a partial chain gives its argument to the first", [[5, 3], {}])(
    lambda c: c.value((c.t.pair.s(3) | c.t.identity.s()).delay(5))
)
simple("an immutable step takes no result", 8, lambda c: c.t.add.s(2, 2) | c.t.add.si(4, 4))
simple(
    "immutable through the whole chain",
    32,
    lambda c: c.chain(c.t.add.si(2, 2), c.t.add.si(4, 4), c.t.add.si(16, 16)),
)
simple(
    "set(immutable=True) makes a step immutable",
    8,
    lambda c: c.t.add.s(2, 2) | c.t.add.s(4, 4).set(immutable=True),
)
simple(
    "a chain in a chain is part of it",
    12,
    lambda c: c.chain(c.t.add.s(1, 1), c.chain(c.t.add.s(1), c.t.add.s(1)), c.t.mul.s(3)),
)
simple(
    "chain | chain", 12, lambda c: (c.t.add.s(1, 1) | c.t.add.s(1)) | (c.t.add.s(1) | c.t.mul.s(3))
)
simple("task | chain", 12, lambda c: c.t.add.s(1, 1) | c.chain(c.t.add.s(2), c.t.mul.s(3)))
simple("a result of None is handed on", [[None], {}], lambda c: c.t.nothing.s() | c.t.pair.s())
simple("a list is one argument", [[[1, 2]], {}], lambda c: c.t.identity.s([1, 2]) | c.t.pair.s())
simple(
    "named arguments of a step stay", [[4], {"x": 1}], lambda c: c.t.add.s(2, 2) | c.t.pair.s(x=1)
)
simple(
    "a task with ignore_result hands its result on", 9, lambda c: c.t.ignored.s(4) | c.t.add.s(5)
)
simple(
    "a step that is retried hands on what it comes to",
    6,
    lambda c: c.t.third_time.s(5) | c.t.add.s(1),
)
simple(
    "a countdown of a step counts when its turn has come",
    6,
    lambda c: c.t.add.s(2, 2) | c.t.add.s(2).set(countdown=0.05),
)
case("parent leads to the step before", [8, 4])(
    lambda c: (lambda r: [c.value(r), c.value(r.parent)])((c.t.add.s(2, 2) | c.t.add.s(4)).delay())
)
case("parent of the first step is None", None)(
    lambda c: (lambda r: (c.value(r), r.parent.parent)[1])((c.t.add.s(2, 2) | c.t.add.s(4)).delay())
)
case("reduce makes a chain", 45)(
    lambda c: c.value(
        __import__("functools")
        .reduce(lambda a, b: a | b, [c.t.add.s(0, 0), *(c.t.add.s(n) for n in range(10))])
        .delay()
    )
)

# ------------------------------------------------------------------------------------------------
chapter("errors in chains")

failing(
    "get() raises what the first failed with",
    ["ValueError", "refused"],
    lambda c: c.t.fail.s() | c.t.add.s(1),
)
failing(
    "get() raises what a middle one failed with",
    ["ValueError", "refused"],
    lambda c: c.t.add.s(1, 1) | c.t.fail.s() | c.t.add.s(1),
)
failing(
    "get() raises what the last failed with",
    ["ValueError", "refused"],
    lambda c: c.t.add.s(1, 1) | c.t.fail.s(),
)
case(
    "the step after one that failed is not made",
    "REVOKED",
    celery=OneOf("FAILURE", "PENDING"),
    why=REVOKED,
)(lambda c: (lambda r: (c.error(r), r.state)[1])((c.t.fail.s() | c.t.add.s(1)).delay()))
case("the parent of a step that was not made has failed", "FAILURE")(
    lambda c: (lambda r: (c.error(r), r.parent.state)[1])((c.t.fail.s() | c.t.add.s(1)).delay())
)


@case("no step after the failure runs", [])
def _(c: Library) -> Any:
    path = c.path()
    c.error((c.t.fail.s() | c.t.note.s(path)).delay())
    c.value(c.t.add.delay(1, 1))
    return c.lines(path)


# ------------------------------------------------------------------------------------------------
chapter("link")


@case("a linked task is given the result", ["4"])
def _(c: Library) -> Any:
    path = c.path()
    c.value(c.t.add.apply_async((2, 2), link=c.t.note.s(path)))
    return c.recorded(path)


@case("several linked tasks", ["4", "4"])
def _(c: Library) -> Any:
    path = c.path()
    c.value(c.t.add.apply_async((2, 2), link=[c.t.note.s(path), c.t.note.s(path)]))
    return c.recorded(path, 2)


@case("an immutable linked task is given nothing", ["called"])
def _(c: Library) -> Any:
    path = c.path()
    c.value(c.t.add.apply_async((2, 2), link=c.t.note_only.si(path)))
    return c.recorded(path)


@case("link() links a signature and gives back what it links", ["4"])
def _(c: Library) -> Any:
    path = c.path()
    sig, note = c.t.add.s(2, 2), c.t.note.s(path)
    assert sig.link(note) == note
    c.value(sig.delay())
    return c.recorded(path)


@case("what is linked to what is linked follows", ["12"])
def _(c: Library) -> Any:
    path = c.path()
    then = c.t.mul.s(3)
    then.link(c.t.note.s(path))
    c.value(c.t.add.apply_async((2, 2), link=then))
    return c.recorded(path)


@case("a chain can be linked", ["15"])
def _(c: Library) -> Any:
    path = c.path()
    c.value(c.t.add.apply_async((2, 3), link=c.t.mul.s(3) | c.t.note.s(path)))
    return c.recorded(path)


@case("the result stays that of the task itself", 4)
def _(c: Library) -> Any:
    return c.value(c.t.add.apply_async((2, 2), link=c.t.mul.s(100)))


@case("a link of a chain follows its last step", ["8"])
def _(c: Library) -> Any:
    path = c.path()
    chain = c.chain(c.t.add.s(2, 2), c.t.add.s(4))
    chain.link(c.t.note.s(path))
    c.value(chain.delay())
    return c.recorded(path)


@case("what is linked is not made after a failure", [])
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.t.fail.apply_async(link=c.t.note.s(path)))
    c.value(c.t.add.delay(1, 1))
    return c.lines(path)


# ------------------------------------------------------------------------------------------------
chapter("link_error")


@case("it is given request, exception and traceback", ["['fail', 'ValueError', 'refused']"])
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.t.fail.apply_async(link_error=c.t.on_error.s(path)))
    return c.recorded(path)


@case("it is not made after a success", [])
def _(c: Library) -> Any:
    path = c.path()
    c.value(c.t.add.apply_async((2, 2), link_error=c.t.on_error.s(path)))
    c.value(c.t.add.delay(1, 1))
    return c.lines(path)


@case("on_error() gives the signature back", ["['fail', 'ValueError', 'refused']"])
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.t.fail.s().on_error(c.t.on_error.s(path)).delay())
    return c.recorded(path)


@case("an immutable one is given nothing", ["called"])
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.t.fail.apply_async(link_error=c.t.note_only.si(path)))
    return c.recorded(path)


@case("several of them", 2)
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.t.fail.apply_async(link_error=[c.t.on_error.s(path), c.t.note_only.si(path)]))
    return len(c.recorded(path, 2))


@case("of a chain it is made for the step that fails", ["['fail', 'ValueError', 'refused']"])
def _(c: Library) -> Any:
    path = c.path()
    chain = c.t.add.s(1, 1) | c.t.fail.s() | c.t.add.s(1)
    c.error(chain.apply_async(link_error=c.t.on_error.s(path)))
    return c.recorded(path)


@case("of a step it is not made when an earlier one fails", [])
def _(c: Library) -> Any:
    path = c.path()
    c.error((c.t.fail.s() | c.t.add.s(1).on_error(c.t.on_error.s(path))).delay())
    c.value(c.t.add.delay(1, 1))
    return c.lines(path)


@case("retries come before it", ["['fail_with', 'KeyError', \"'k'\"]"])
def _(c: Library) -> Any:
    path = c.path()
    c.error(c.t.fail_with.apply_async(("KeyError", "k"), link_error=c.t.on_error.s(path)))
    return c.recorded(path)


@case("of a chord it is made when the header fails", 1)
def _(c: Library) -> Any:
    path = c.path()
    body = c.t.xsum.s().on_error(c.t.note_only.si(path))
    c.error(c.chord([c.t.fail.s(), c.t.add.s(1, 1)], body).delay())
    return len(c.recorded(path))
