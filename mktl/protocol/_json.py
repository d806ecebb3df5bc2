"""JSON by msgspec, which is imported for the first message that is written, or the second dozen.

Its import takes as long as half of that of ZeroMQ: a command that gets one value has ended by
then. What comes before is read by Python's own JSON, where both agree: whatever that refuses, or
might read in another way, msgspec decides.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["decode", "encode", "errors"]

_FEW = 24
_SHORT = 100_000
"""Bytes; more of them take longer to read than the import does."""

errors: tuple[type[Exception], ...] = (ValueError,)
"""What :func:`decode` raises for what is not JSON."""


def _plain(value: object) -> object:
    """Turn a numpy scalar or array, or a set, into what JSON has."""
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")


def _take_msgspec() -> None:
    """Have msgspec do it from now on."""
    global decode, encode, errors  # noqa: PLW0603 - to ask each time would cost all messages
    import msgspec

    errors = (msgspec.DecodeError, UnicodeDecodeError)
    decode = msgspec.json.Decoder().decode
    encode = msgspec.json.Encoder(enc_hook=_plain).encode


def _encode(value: object) -> bytes:
    _take_msgspec()
    return encode(value)


class _First:
    """Reads the first messages."""

    def __init__(self) -> None:
        self._read: Callable[[str], Any] | None = None
        self._left = _FEW

    def __call__(self, data: bytes | memoryview) -> Any:
        self._left -= 1
        if self._left >= 0 and len(data) <= _SHORT and "msgspec" not in sys.modules:
            try:
                return self._decode(str(data, "utf-8"))
            except (ValueError, RecursionError):
                pass  # msgspec says what is wrong, if anything is
        _take_msgspec()
        return decode(data)

    def _decode(self, text: str) -> Any:
        # Half a character is read by one of them, and refused by the other.
        if "\\ud" in text or "\\uD" in text:
            raise ValueError
        if self._read is None:
            import json

            self._read = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse).decode
        return self._read(text)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isfinite(number):
        return number
    raise ValueError


def _refuse(_name: str) -> float:
    raise ValueError


decode: Callable[[bytes | memoryview], Any] = _First()
"""Return what JSON says; raises :data:`errors`, or ``RecursionError`` for what is nested deeply."""
encode: Callable[[object], bytes] = _encode
"""Return a value as JSON; raises ``TypeError`` for what it does not have."""
