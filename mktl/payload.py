"""A value and what is known about it, as it travels."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any, Literal

from .protocol import bulk as bulk_codec
from .protocol.message import Buffer, encode_json

__all__ = ["Payload", "Quality"]

Quality = Literal["valid", "changing", "warning", "alarm", "invalid"]

_KNOWN = frozenset({"value", "time", "quality", "reason", "checked"})
_PLAIN = (float, int, bool, str)
_FEWEST = 2
"""Fields of most payloads: value and time."""
_KNOWN_OF_ARRAYS = _KNOWN | {"shape", "dtype", "order"}


class Payload:
    """A value, when it was taken, and how good it is. Not to be changed once made.

    Args:
        value: Anything that JSON can carry, or a numpy array, which travels as bulk data.
        time: UNIX seconds at which the item took this value; ``None`` if it never did.
        quality: ``valid``, ``changing``, ``warning``, ``alarm`` or ``invalid``.
        reason: One line, when the quality is not ``valid``.
        checked: UNIX seconds at which the hardware last confirmed the value.
        extra: Fields that this version does not know; they are carried along.
    """

    __slots__ = ("_encoded", "checked", "extra", "quality", "reason", "time", "value")

    def __init__(
        self,
        /,  # a field of a stranger may be called "self"
        value: Any = None,
        time: float | None = None,
        *,
        quality: str = "valid",
        reason: str | None = None,
        checked: float | None = None,
        **extra: Any,
    ) -> None:
        self.value = value
        self.time = time
        self.quality = quality
        self.reason = reason
        self.checked = checked
        self.extra = extra
        self._encoded: tuple[bytes, Buffer | None] | None = None

    def __repr__(self) -> str:
        doubt = "" if self.quality == "valid" else f", {self.quality}: {self.reason}"
        return f"Payload({self.value!r}, time={self.time}{doubt})"

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any], bulk: Buffer | None = None) -> Payload:
        """Return the payload in *fields*, the decoded JSON, and *bulk*, the frame behind it.

        Raises:
            BadMessage: the bulk data does not fit the fields that describe it.
        """
        made = cls.__new__(cls)
        if bulk is not None or ("shape" in fields and "value" not in fields):
            made.value = bulk_codec.decode(fields, bulk)
            known = _KNOWN_OF_ARRAYS
        else:
            made.value = fields.get("value")
            known = _KNOWN
        made.time = _number(fields.get("time"))
        made._encoded = None
        if len(fields) == _FEWEST and "value" in fields and made.time is not None:
            made.quality, made.reason, made.checked, made.extra = "valid", None, None, {}
            return made
        made.quality = str(fields.get("quality") or "valid")
        made.reason = _text(fields.get("reason"))
        made.checked = _number(fields.get("checked"))
        extra = fields.keys() - known
        made.extra = {name: fields[name] for name in fields if name in extra} if extra else {}
        return made

    def encode(self) -> tuple[bytes, Buffer | None]:
        """Return the JSON and the bulk frame (or ``None``); made once and kept.

        Raises:
            TypeError: the value can be carried by neither.
        """
        if self._encoded is None:
            fields: dict[str, Any] = {}
            data: Buffer | None = None
            if type(self.value) not in _PLAIN and bulk_codec.is_array(self.value):
                shape, data = bulk_codec.encode(self.value)
                fields.update(shape)
            else:
                fields["value"] = self.value
            if self.time is not None:
                fields["time"] = self.time
            if self.quality != "valid":
                fields["quality"] = self.quality
                if self.reason is not None:
                    fields["reason"] = self.reason
            if self.checked is not None:
                fields["checked"] = self.checked
            fields.update(self.extra)
            self._encoded = encode_json(fields), data
        return self._encoded

    @staticmethod
    def of_set(value: Any, origin: Mapping[str, Any]) -> tuple[bytes, Buffer | None]:
        """Return the JSON and the bulk frame of a SET to *value*, now, with where it comes from."""
        if bulk_codec.is_array(value):
            return Payload(value, time.time(), **origin).encode()
        return encode_json({"value": value, "time": time.time(), **origin}), None

    def having(self, **changes: Any) -> Payload:
        """Return a copy with *changes*."""
        # Without the detour through the arguments of a new one: each reading makes some of these.
        copy = Payload.__new__(Payload)
        copy.value, copy.time, copy.checked = self.value, self.time, self.checked
        copy.quality, copy.reason = self.quality, self.reason
        copy.extra = self.extra
        copy._encoded = None
        for name, value in changes.items():
            if name in _KNOWN:
                setattr(copy, name, value)
            else:
                copy.extra = {**copy.extra, name: value}
        return copy


def _number(value: object) -> float | None:
    if value is None or (type(value) is float and -math.inf < value < math.inf):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    with contextlib.suppress(OverflowError):  # a whole number that no float can hold
        return float(value) if math.isfinite(value) else None
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
