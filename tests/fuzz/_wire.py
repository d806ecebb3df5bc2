"""Frames, payloads, blocks, datagrams and addresses, as a peer may send them."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from mktl.catalog import Block, find_conflicts, hash_items
from mktl.description import Description
from mktl.errors import (
    BadItemDescription,
    BadMessage,
    BadName,
    BadUnits,
    ConfigurationError,
    MktlError,
)
from mktl.payload import Payload
from mktl.protocol import bulk as bulk_codec
from mktl.protocol import discovery
from mktl.protocol.message import (
    Broadcast,
    Request,
    Response,
    decode_json,
    encode_json,
    encode_request,
    encode_response,
    topic,
)
from mktl.protocol.names import fold, nearest, split
from mktl.replies import read_response
from mktl.transport.hosts import parse_address

__all__ = ["address", "block", "broadcast", "check_told", "datagram", "frames_of", "request"]
__all__ += ["response", "target_name"]

SEPARATOR = b"\x1e"
"""Between frames, in an input: JSON has no such byte."""
LONGEST_TOLD = 5000
"""Characters of an error: whoever sends much must not fill a log with it."""


def frames_of(data: bytes) -> list[bytes]:
    """Return the frames of an input."""
    return data.split(SEPARATOR)[:12]


def check_told(error: BaseException) -> None:
    """Check that an error can be shown to people, and put into a log."""
    text = str(error)
    assert 0 < len(text) <= LONGEST_TOLD, f"an error of {len(text)} characters: {text[:200]!r}"


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same on the wire."""
    if bulk_codec.is_array(one) or bulk_codec.is_array(other):
        import numpy as np

        return one.dtype == other.dtype and bool(np.array_equal(one, other, equal_nan=True))
    return encode_json({"": one}) == encode_json({"": other})


def request(data: bytes) -> None:
    """A request is refused as a bad message, or is the same after it was written again."""
    try:
        found = Request.decode(frames_of(data))
    except BadMessage as error:
        check_told(error)
        return
    written = encode_request(
        found.id, found.kind, found.target, encode_json(found.payload), bulk=found.bulk,
        flags=found.flags,
    )  # fmt: skip
    again = Request.decode(written)
    for name in ("id", "kind", "target", "flags", "payload", "bulk"):
        assert getattr(again, name) == getattr(found, name)
    payload(found.payload, found.bulk)


def response(data: bytes) -> None:
    """A response is a bad message, an error of ours, or a payload."""
    try:
        found = Response.decode(frames_of(data))
    except BadMessage as error:
        check_told(error)
        return
    encoded = encode_json(found.payload)
    again = Response.decode(encode_response(found.id, found.kind, b"", encoded, found.bulk))
    assert again == found
    try:
        read_response(found)
    except MktlError as error:
        check_told(error)
        assert not isinstance(error, (StopIteration, StopAsyncIteration)), "would end a loop"
        return
    payload(found.payload, found.bulk)


def broadcast(data: bytes) -> None:
    """A broadcast is a bad message, or carries a payload that can be passed on."""
    frames = frames_of(data)
    try:
        found = Broadcast.decode(frames)
    except BadMessage as error:
        check_told(error)
        return
    assert topic(found.target) == frames[0]
    payload(found.payload, found.bulk)


def payload(fields: dict[str, Any], data: bytes | None) -> None:
    """A payload is a bad message, or is the same after it was written and read again."""
    try:
        found = Payload.from_wire(fields, data)
    except BadMessage as error:
        check_told(error)
        return
    for moment in (found.time, found.checked):
        assert moment is None or (type(moment) is float and math.isfinite(moment))
    encoded, bulk = found.encode()
    again = Payload.from_wire(decode_json(encoded), None if bulk is None else bytes(bulk))
    assert same(again.value, found.value)
    assert (again.time, again.checked) == (found.time, found.checked)
    assert again.quality == found.quality
    assert again.quality == "valid" or again.reason == found.reason
    assert encode_json(again.extra) == encode_json(found.extra)


def block(data: bytes) -> None:
    """A block is refused, or the same after it was passed on; so is each of its items."""
    try:
        found = Block.from_json(decode_json(data))
    except (BadMessage, BadName) as error:
        check_told(error)
        return
    passed_on = found.passed_on_by("moon", 10079)
    again = Block.from_json(decode_json(encode_json(passed_on.to_json())))
    assert again.items == found.items
    assert again.provenance[:-1] == found.provenance
    assert hash_items(again.items) == hash_items(found.items)
    others = [again, Block.from_json({**found.to_json(), "uuid": "another"})]
    for conflict in find_conflicts(found, others):
        assert 0 < len(conflict.reason) <= LONGEST_TOLD
    for key, fields in found.items.items():
        nearest(key, found.items)
        described(key, fields)


def described(key: str, fields: dict[str, Any]) -> None:
    """A description is refused where it is ours, and usable in any case where it is a peer's."""
    usable = Description.from_json(key, fields, lenient=True)
    with contextlib.suppress(BadUnits):
        usable.to_text(fields.get("initial"))
    try:
        found = Description.from_json(key, fields)
    except BadItemDescription as error:
        check_told(error)
        return
    assert encode_json(found.to_json()) == encode_json(fields)


def datagram(data: bytes) -> None:
    """A datagram is an answer with a port, a call, or nothing."""
    port = discovery.parse_answer(data)
    assert port is None or (0 < port < 65536 and not discovery.is_call(data))
    if port is not None:
        assert discovery.parse_answer(discovery.answer(port)) == port


def target_name(data: bytes) -> None:
    """A name is refused, or is safe in a path, a topic and a log."""
    text = data.decode("utf-8", "replace")
    for check in (fold, split):
        try:
            found = check(text)
        except BadName as error:
            check_told(error)
            assert str(error).isprintable()
            continue
        for part in (found,) if isinstance(found, str) else found:
            assert part == part.lower()
            assert part.isascii()
            assert part.isprintable()
            assert not set(part) & set("/\\. *?")
            assert fold(part) == part


def address(data: bytes) -> None:
    """An address is refused, or has a host and a port."""
    try:
        host, port = parse_address(data.decode("utf-8", "replace"), 10079)
    except ConfigurationError as error:
        check_told(error)
        return
    assert host
    assert host.isprintable()
    assert 0 < port < 65536
