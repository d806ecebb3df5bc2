"""From values to what is printed, in all its forms."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from mktl import formats

from ._json import json_line
from ._outcome import one_line, warn

if TYPE_CHECKING:
    from mktl import Payload
    from mktl.description import Description

    from ._arguments import Arguments

__all__ = ["Printer", "shown_units"]

_NO_TIME = "--:--:--.---"
_OLD_S = 60.0
"""A value that the hardware has not confirmed for so long says so."""


class Printer:
    """Prints values in the form that was asked for.

    Args:
        arguments: What was asked for.
        timestamps: Whether the time goes in front where nothing was said about it.
    """

    def __init__(self, arguments: Arguments, *, timestamps: bool) -> None:
        self._json = arguments.json
        self._terse = arguments.terse
        self._units = arguments.units
        self._raw = arguments.unformatted
        self._formatted = arguments.formatted or not arguments.unformatted
        asked = arguments.timestamp
        self._times = (timestamps and not arguments.terse) if asked is None else asked

    def show(self, full_key: str, payload: Payload, description: Description) -> None:
        """Print a value.

        Raises:
            BadUnits: it does not convert to the units that were asked for.
        """
        if self._json:
            print(json_line(self._fields(full_key, payload, description)))
            return
        text = self._text(payload, description)
        stamp = f"{_clock(payload.time)} " if self._times else ""
        if not self._terse:
            print(f"{stamp}{full_key}: {one_line(text)}{_remark(payload)}")
            return
        # A program gets the value as it is; a terminal would do what it says.
        print(f"{stamp}{one_line(text) if sys.stdout.isatty() else text}")
        if payload.quality != "valid":
            warn(f"{full_key} is {payload.quality}{_because(payload)}")

    def _text(self, payload: Payload, description: Description) -> str:
        """Return the value in one form or in both, with units unless it is to stand alone."""
        value = payload.value
        forms = []
        if self._raw:
            forms.append((formats.json_text(value), description.stored_units))
        if self._formatted:
            forms.append((description.to_text(value, self._units), self._label(value, description)))
        alone = self._terse or value is None
        return " => ".join(
            text if alone or not units else f"{text} {units}" for text, units in forms
        )

    def _label(self, value: Any, description: Description) -> str:
        return (
            shown_units(description, self._units)
            if _is_numbers(value)
            else description.stored_units
        )

    def _fields(self, full_key: str, payload: Payload, description: Description) -> dict[str, Any]:
        value = payload.value
        fields: dict[str, Any] = {
            "key": full_key,
            "value": value,
            "units": description.stored_units,
            "formatted": description.to_text(value, self._units),
            "formatted_units": self._label(value, description),
            "time": payload.time,
            "quality": payload.quality,
            "reason": payload.reason,
            "checked": payload.checked,
            "age_s": _age_s(payload.time if payload.checked is None else payload.checked),
        }
        if hasattr(value, "shape"):
            # The data itself is for programs; a null here would say that there is none.
            fields["value"] = {"shape": list(value.shape), "dtype": str(value.dtype)}
        return fields


def shown_units(description: Description, asked: str | None) -> str:
    """Return the units of a formatted number of an item.

    Args:
        description: Of the item.
        asked: The units that were asked for. What is no item of numbers is not converted to them.
    """
    if description.type in ("numeric", "numeric array"):
        return description.shown_unit_label(asked)
    return description.stored_units


def _is_numbers(value: Any) -> bool:
    """Return whether a value is of the kind that is converted to the units of its formatted text.

    A daemon may publish text for an item of numbers; that prints as it is.
    """
    if isinstance(value, list):
        return all(_is_numbers(one) for one in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _remark(payload: Payload) -> str:
    """Return what is to be known beside the value: nothing, where it is good and was just read."""
    remarks = [] if payload.quality == "valid" else [f"{payload.quality}{_because(payload)}"]
    age_s = _age_s(payload.checked)
    if age_s is not None and age_s >= _OLD_S:
        from ._durations import show_duration

        remarks.append(f"checked {show_duration(age_s)} ago")
    return one_line(f" [{'; '.join(remarks)}]") if remarks else ""


def _age_s(timestamp: float | None) -> float | None:
    """Return the seconds since *timestamp*; 0 where it is that of a clock ahead of ours."""
    return None if timestamp is None else max(0.0, round(time.time() - timestamp, 3))


def _because(payload: Payload) -> str:
    return f": {payload.reason}" if payload.reason else ""


def _clock(timestamp: float | None) -> str:
    """Return the local time of day of UNIX seconds, to the millisecond, never rounded up."""
    if timestamp is None:
        return _NO_TIME
    try:
        local = time.localtime(timestamp)
    except (OverflowError, ValueError, OSError):  # a peer may send any number
        return _NO_TIME
    milliseconds = int(timestamp % 1 * 1000)
    return f"{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}.{milliseconds:03d}"
