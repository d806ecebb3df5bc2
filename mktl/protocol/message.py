"""Frames of requests, responses and broadcasts.

Frame layout (see ``docs/protocol.md``)::

    request, response   version  id  type  target  flags  payload  [bulk]
    broadcast           topic  version  payload  [bulk]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import BadMessage
from . import _json

__all__ = [
    "ACK",
    "GET",
    "LOST_TOPIC",
    "MARK_TOPIC",
    "NO_ACK",
    "NO_REP",
    "REP",
    "SET",
    "SYNC_TOPIC",
    "VERSION",
    "Broadcast",
    "Request",
    "Response",
    "decode_json",
    "encode_json",
    "encode_request",
    "encode_response",
    "topic",
]

VERSION = b"a"
GET, SET, ACK, REP = b"GET", b"SET", b"ACK", b"REP"
NO_ACK = 1
"""Flag: do not acknowledge."""
NO_REP = 2
"""Flag: do not reply."""

SYNC_TOPIC = b"sync:"
"""Our own addition: a client that subscribes to a topic that begins so, and ends in a dot, is sent
one empty broadcast on it, when its earlier subscriptions on that connection are in force."""
LOST_TOPIC = b"sync:lost."
"""Our own addition: after a daemon could not keep a broadcast for a subscriber that does not read,
it broadcasts here, again and again, a ``lost`` that is another one after each such loss."""
MARK_TOPIC = b"sync:mark:"
"""Our own addition: a topic that begins so is not answered, but remembered for a moment: a GET that
has it as its ``prime`` is told whether it has been subscribed to, and so all before it."""

MOST_JSON = 64 * 1024 * 1024
"""Bytes of JSON that are worth parsing; arrays belong into the bulk frame."""

MOST_DEPTH = 200
"""Levels of nesting of JSON: what is nested deeper could be read, but not be written again by code
that is called deep down itself."""

Buffer = bytes | memoryview


def encode_json(value: object) -> bytes:
    """Return *value* as JSON. Floats that are not numbers travel as ``null``.

    Raises:
        TypeError: something in *value* has no form in JSON.
    """
    return _json.encode(value)


def decode_json(data: Buffer) -> dict[str, Any]:
    """Return the JSON object in *data*; an empty frame is an empty object.

    Raises:
        BadMessage: it is not a JSON object, or too large to be parsed.
    """
    if not data:
        return {}
    if len(data) > MOST_JSON:
        raise BadMessage(f"a payload of {len(data)} bytes is too large: {MOST_JSON} at most")
    try:
        payload = _json.decode(data)
    except _json.errors as error:
        payload = _decode_lenient(bytes(data), error)
    except RecursionError:
        raise BadMessage("the payload is nested too deeply") from None
    if not isinstance(payload, dict):
        raise BadMessage(f"the payload must be a JSON object, not {type(payload).__name__}")
    if len(data) > 2 * MOST_DEPTH and _may_be_deep(data) and _is_deep(payload):
        raise BadMessage(f"the payload is nested too deeply: {MOST_DEPTH} levels at most")
    return payload


def _may_be_deep(data: Buffer) -> bool:
    """Return whether it has to be looked at: most payloads have no room for so many brackets."""
    return isinstance(data, memoryview) or data.count(b"[") + data.count(b"{") > MOST_DEPTH


def _is_deep(payload: object) -> bool:
    level = [payload]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)  # type: ignore[attr-defined]
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _finite_or_null(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _decode_lenient(data: bytes, error: Exception) -> object:
    """Accept what other encoders write although JSON has no such thing: ``NaN``, ``Infinity``."""
    if b"NaN" in data or b"Infinity" in data:
        import json

        try:
            payload: object = json.loads(
                data, parse_constant=lambda _: None, parse_float=_finite_or_null
            )
            encode_json(payload)  # what could not be passed on, such as half a character
        except (ValueError, RecursionError):
            pass
        else:
            return payload
    raise BadMessage(f"the payload is not JSON: {error}")


class _Message:
    """What messages have in common. No dataclasses: those are slow to import."""

    __slots__ = ()
    _contents: ClassVar[tuple[str, ...]]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._contents)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._contents)
        return f"{type(self).__name__}({shown})"


class Request(_Message):
    """What a client asks.

    Attributes:
        id: Chosen by the client; opaque.
        kind: ``GET`` or ``SET``.
        target: A full key or a built-in, as it came.
        size: Bytes that it came in.
        raw_target: The target as it came, to be sent back.
    """

    _contents = ("id", "kind", "target", "flags", "payload", "bulk")
    __slots__ = (*_contents, "raw_target", "size")

    def __init__(
        self,
        id_: bytes,
        kind: bytes,
        target: str,
        flags: int = 0,
        payload: dict[str, Any] | None = None,
        bulk: Buffer | None = None,
        size: int = 0,
        raw_target: bytes = b"",
    ) -> None:
        self.id = id_
        self.kind = kind
        self.target = target
        self.flags = flags
        self.payload: dict[str, Any] = {} if payload is None else payload
        self.bulk = bulk
        self.size = size
        self.raw_target = raw_target

    @property
    def wants_ack(self) -> bool:
        """Whether the client expects an acknowledgement."""
        return not self.flags & NO_ACK

    @property
    def wants_rep(self) -> bool:
        """Whether the client expects a reply."""
        return not self.flags & NO_REP

    @classmethod
    def decode(cls, frames: Sequence[Buffer]) -> Request:
        """Return the request in *frames*, the peer's identity not among them.

        Raises:
            BadMessage: it is not a request; the text says what is wrong.
        """
        if len(frames) not in (6, 7):
            raise BadMessage(f"a request has 6 or 7 frames, not {len(frames)}")
        if frames[0] != VERSION:
            shown = bytes(frames[0][:20])
            raise BadMessage(f"protocol version {shown!r} is not spoken here, only {VERSION!r}")
        kind = frames[2]
        if kind not in (GET, SET):
            shown = bytes(kind[:20])
            raise BadMessage(f"request type {shown!r} is unknown; allowed are GET and SET")
        flags = frames[4]
        if len(flags) > 8:
            raise BadMessage(f"flags of {len(flags)} bytes are refused: 8 at most")
        return cls(
            bytes(frames[1]),
            bytes(kind),
            _text(frames[3], "target"),
            int.from_bytes(flags, "big") if flags else 0,
            decode_json(frames[5]) if frames[5] else {},
            frames[6] if len(frames) == 7 else None,
            sum(map(len, frames)),
            bytes(frames[3]),
        )


def _text(frame: Buffer, what: str) -> str:
    try:
        return str(frame, "utf-8")
    except UnicodeDecodeError:
        raise BadMessage(f"the {what} is not UTF-8 text: {bytes(frame[:40])!r}") from None


class Response(_Message):
    """What a daemon answers: an acknowledgement or a reply.

    Attributes:
        kind: ``ACK`` or ``REP``.
    """

    _contents = __slots__ = ("id", "kind", "payload", "bulk")

    def __init__(
        self,
        id_: bytes,
        kind: bytes,
        payload: dict[str, Any] | None = None,
        bulk: Buffer | None = None,
    ) -> None:
        self.id = id_
        self.kind = kind
        self.payload: dict[str, Any] = {} if payload is None else payload
        self.bulk = bulk

    @classmethod
    def decode(cls, frames: Sequence[Buffer]) -> Response:
        """Return the response in *frames*.

        Raises:
            BadMessage: it is not a response.
        """
        if len(frames) not in (6, 7):
            raise BadMessage(f"a response has 6 or 7 frames, not {len(frames)}")
        if frames[0] != VERSION:
            raise BadMessage(f"protocol version {bytes(frames[0][:20])!r} is not spoken here")
        kind = frames[2]
        if kind == ACK:
            return cls(bytes(frames[1]), ACK)
        if kind != REP:
            raise BadMessage(f"response type {bytes(kind[:20])!r} is unknown")
        bulk = frames[6] if len(frames) == 7 else None
        return cls(bytes(frames[1]), REP, decode_json(frames[5]), bulk)


class Broadcast(_Message):
    """A new value, for whoever subscribed.

    Attributes:
        target: Full key.
    """

    _contents = __slots__ = ("target", "payload", "bulk")

    def __init__(self, target: str, payload: dict[str, Any], bulk: Buffer | None = None) -> None:
        self.target = target
        self.payload = payload
        self.bulk = bulk

    @classmethod
    def decode(cls, frames: Sequence[Buffer]) -> Broadcast:
        """Return the broadcast in *frames*.

        Raises:
            BadMessage: it is not the broadcast of a value.
        """
        if len(frames) not in (3, 4):
            raise BadMessage(f"a broadcast has 3 or 4 frames, not {len(frames)}")
        if frames[1] != VERSION:
            raise BadMessage(f"protocol version {bytes(frames[1][:20])!r} is not spoken here")
        target = _text(frames[0], "topic")
        if not target.endswith("."):
            raise BadMessage(f"topic {target[:60]!r} does not end in a dot")
        bulk = frames[3] if len(frames) == 4 else None
        return cls(target[:-1], decode_json(frames[2]), bulk)


def topic(full_key: str) -> bytes:
    """Return the topic of an item: its full key and a dot, lest ``a.b`` should match ``a.bc``."""
    return f"{full_key}.".encode()


def encode_request(
    id_: bytes,
    kind: bytes,
    target: str,
    payload: bytes = b"",
    *,
    bulk: Buffer | None,
    flags: int = 0,
) -> list[Buffer]:
    """Return the frames of a request whose payload is encoded already."""
    encoded_flags = flags.to_bytes((flags.bit_length() + 7) // 8, "big")
    frames: list[Buffer] = [VERSION, id_, kind, target.encode(), encoded_flags, payload]
    if bulk is not None:
        frames.append(bulk)
    return frames


def encode_response(
    id_: bytes, kind: bytes, target: bytes = b"", payload: bytes = b"", bulk: Buffer | None = None
) -> list[Buffer]:
    """Return the frames of a response whose payload is encoded already."""
    frames: list[Buffer] = [VERSION, id_, kind, target, b"", payload]
    if bulk is not None:
        frames.append(bulk)
    return frames
