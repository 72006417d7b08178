"""Cutting a stream into frames gives the same whatever pieces it comes in; garbage only raises what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.errors import ProtocolError
from jobctl.protocol.compact import loads
from jobctl.protocol.framing import FrameBuffer
from jobctl.protocol.requests import REQUESTS, NewJob, Request, read, write

LIMIT = 50

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(data)) for place in at})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def fed(pieces: list[bytes], limit: int) -> tuple[list[bytes], int] | None:
    """The frames and what is left; None when the stream was refused."""
    buffer = FrameBuffer(limit)
    frames = []
    try:
        for piece in pieces:
            frames += buffer.feed(piece)
    except ProtocolError:
        return None
    return frames, buffer.size


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=30))
def test_the_pieces_make_no_difference(data: bytes, at: list[int]) -> None:
    pieces = [piece for piece in cut(data, at) if piece]

    # The plain way to say what a stream of lines is.
    *frames, rest = data.split(b"\n")

    assert fed(pieces, 1 << 20) == (frames, len(rest))


@given(st.lists(st.integers(0, 2 * LIMIT), max_size=8), st.lists(st.integers(0, 800), max_size=30))
def test_a_frame_of_the_limit_is_refused_in_whatever_pieces(
    lengths: list[int], at: list[int]
) -> None:
    data = b"".join(b"x" * length + b"\n" for length in lengths)

    found = fed([piece for piece in cut(data, at) if piece], LIMIT)

    assert (found is None) == any(length >= LIMIT for length in lengths)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=40))
def test_what_is_held_never_exceeds_the_limit(pieces: list[bytes]) -> None:
    buffer = FrameBuffer(LIMIT)
    for piece in pieces:
        try:
            buffer.feed(piece)
        except ProtocolError:
            return
        assert buffer.size < LIMIT
        assert buffer.is_empty == (buffer.size == 0)


def refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@given(st.one_of(st.text(), st.sampled_from(["Infinity", "-Infinity", "NaN", "[NaN]"])))
def test_a_text_is_json_or_a_value_error(text: str) -> None:
    """As the package json says, but for the numbers that are none."""
    try:
        expected: Any = json.loads(text, parse_constant=refuse_constant)
    except ValueError:
        with pytest.raises(ValueError):
            loads(text.strip(" \t\r\n"))
        return
    assert loads(text.strip(" \t\r\n")) == expected


@given(JSON)
def test_any_value_survives_the_wire(value: Any) -> None:
    assert loads(json.dumps(value)) == value


@pytest.mark.parametrize("kind", [*REQUESTS.values(), NewJob])
@settings(max_examples=30)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_fields_are_a_request_or_a_protocol_error(
    kind: type[Request], data: dict[str, Any]
) -> None:
    try:
        request = read(kind, data)
    except ProtocolError:
        return
    written = write(request)
    written.pop("do")
    assert read(kind, written) == request


@pytest.mark.parametrize("kind", [*REQUESTS.values(), NewJob])
@settings(max_examples=30)
@given(st.data())
def test_fields_with_other_values_are_a_request_or_a_protocol_error(
    kind: type[Request], data: st.DataObject
) -> None:
    names = [name for name in kind.__dataclass_fields__ if name != "do"]  # type: ignore[attr-defined]
    fields = (
        {name: data.draw(JSON) for name in data.draw(st.sets(st.sampled_from(names)))}
        if names
        else {}
    )
    try:
        request = read(kind, fields)
    except ProtocolError:
        return
    assert all(getattr(request, name) == value for name, value in fields.items())
