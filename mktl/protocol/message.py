"""Frames of requests, responses and broadcasts.

Frame layout (see ``docs/protocol.md``)::

    request, response   version  id  type  target  flags  payload  [bulk]
    broadcast           topic  version  payload  [bulk]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..errors import BadMessage

__all__ = [
    "ACK",
    "GET",
    "LOST_TOPIC",
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

MOST_JSON = 64 * 1024 * 1024
"""Bytes of JSON that are worth parsing; arrays belong into the bulk frame."""

MOST_DEPTH = 200
"""Levels of nesting of JSON: what is nested deeper could be read, but not be written again by code
that is called deep down itself."""

Buffer = bytes | memoryview


def _plain(value: object) -> object:
    """Turn a numpy scalar or array, or a set, into what JSON has."""
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder()


def encode_json(value: object) -> bytes:
    """Return *value* as JSON. Floats that are not numbers travel as ``null``.

    Raises:
        TypeError: something in *value* has no form in JSON.
    """
    return _encoder.encode(value)


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
        payload = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        payload = _decode_lenient(bytes(data), error)
    except RecursionError:
        raise BadMessage("the payload is nested too deeply") from None
    if not isinstance(payload, dict):
        raise BadMessage(f"the payload must be a JSON object, not {type(payload).__name__}")
    if _may_be_deep(data) and _is_deep(payload):
        raise BadMessage(f"the payload is nested too deeply: {MOST_DEPTH} levels at most")
    return payload


def _may_be_deep(data: Buffer) -> bool:
    """Return whether it has to be looked at: most payloads have no room for so many brackets."""
    if len(data) <= 2 * MOST_DEPTH:
        return False
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


@dataclass(slots=True)
class Request:
    """What a client asks."""

    id: bytes
    """Chosen by the client; opaque."""
    kind: bytes
    """``GET`` or ``SET``."""
    target: str
    """A full key or a built-in, as it came."""
    flags: int = 0
    payload: dict[str, Any] = field(default_factory=dict)
    bulk: Buffer | None = None
    size: int = field(default=0, compare=False)
    """Bytes that it came in."""

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
        kind = bytes(frames[2][:20])
        if kind not in (GET, SET):
            raise BadMessage(f"request type {kind!r} is unknown; allowed are GET and SET")
        flags = frames[4]
        if len(flags) > 8:
            raise BadMessage(f"flags of {len(flags)} bytes are refused: 8 at most")
        return cls(
            id=bytes(frames[1]),
            kind=kind,
            target=_text(frames[3], "target"),
            flags=int.from_bytes(flags, "big"),
            payload=decode_json(frames[5]),
            bulk=frames[6] if len(frames) == 7 else None,
            size=sum(map(len, frames)),
        )


def _text(frame: Buffer, what: str) -> str:
    try:
        return bytes(frame).decode()
    except UnicodeDecodeError:
        raise BadMessage(f"the {what} is not UTF-8 text: {bytes(frame[:40])!r}") from None


@dataclass(slots=True)
class Response:
    """What a daemon answers: an acknowledgement or a reply."""

    id: bytes
    kind: bytes
    """``ACK`` or ``REP``."""
    payload: dict[str, Any] = field(default_factory=dict)
    bulk: Buffer | None = None

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
        kind = bytes(frames[2][:20])
        if kind == ACK:
            return cls(bytes(frames[1]), ACK)
        if kind != REP:
            raise BadMessage(f"response type {kind!r} is unknown")
        bulk = frames[6] if len(frames) == 7 else None
        return cls(bytes(frames[1]), REP, decode_json(frames[5]), bulk)


@dataclass(slots=True)
class Broadcast:
    """A new value, for whoever subscribed."""

    target: str
    """Full key."""
    payload: dict[str, Any]
    bulk: Buffer | None = None

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
