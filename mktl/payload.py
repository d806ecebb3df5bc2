"""A value and what is known about it, as it travels."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any, Literal

from .protocol import bulk as bulk_codec
from .protocol.message import Buffer, encode_json

__all__ = ["Payload", "Quality"]

Quality = Literal["valid", "changing", "warning", "alarm", "invalid"]

_KNOWN = frozenset({"value", "time", "quality", "reason", "checked"})


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
        is_array = bulk is not None or ("shape" in fields and "value" not in fields)
        arrays = {"shape", "dtype", "order"} if is_array else set()
        value = bulk_codec.decode(fields, bulk) if arrays else fields.get("value")
        return cls(
            value,
            _number(fields.get("time")),
            quality=str(fields.get("quality") or "valid"),
            reason=_text(fields.get("reason")),
            checked=_number(fields.get("checked")),
            **{str(name): fields[name] for name in fields if name not in _KNOWN | arrays},
        )

    def encode(self) -> tuple[bytes, Buffer | None]:
        """Return the JSON and the bulk frame (or ``None``); made once and kept.

        Raises:
            TypeError: the value can be carried by neither.
        """
        if self._encoded is None:
            fields: dict[str, Any] = {}
            data: Buffer | None = None
            if bulk_codec.is_array(self.value):
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
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    with contextlib.suppress(OverflowError):  # a whole number that no float can hold
        return float(value) if math.isfinite(value) else None
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
