"""What the Rigol DP832 means by its texts: strict readers, and checks of arguments.

Source: the sheet of the instrument, sections "Commands" and "Bad input".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Real

from drivers.scpi import to_float
from mktl.errors import BadValue

__all__ = [
    "CHANNELS",
    "HIGHEST_A",
    "HIGHEST_V",
    "MODES",
    "Measured",
    "channel_number",
    "number",
    "on_or_off",
    "to_measured",
    "to_mode",
    "to_on",
    "to_setpoints",
    "to_tripped",
]

CHANNELS = (1, 2, 3)
HIGHEST_V = {1: 32.0, 2: 32.0, 3: 5.3}
HIGHEST_A = {1: 3.2, 2: 3.2, 3: 3.2}
MODES = {0: "Unregulated", 1: "Constant voltage", 2: "Constant current"}
_MODE_TEXTS = {"UR": 0, "CV": 1, "CC": 2}
_SETPOINTS = re.compile(r"CH([123]):[0-9.]+V/[0-9.]+A,([^,]+),([^,]+)")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one channel delivers at this moment."""

    voltage_v: float
    """Volts at the terminals."""
    current_a: float
    """Amperes."""
    power_w: float
    """Watts, as the instrument has computed them."""


def to_measured(text: str) -> Measured:
    """Read the answer to ``:MEAS:ALL?``.

    Raises:
        NoNumber: one of the three is a marker for overload.
        ValueError: it is anything else.
    """
    volts, amperes, watts = text.split(",")
    return Measured(to_float(volts), to_float(amperes), to_float(watts))


def to_setpoints(text: str, channel: int) -> tuple[float, float]:
    """Read volts and amperes from the answer to ``:APPL?``.

    Raises:
        ValueError: it is anything else, such as the answer of another channel.
    """
    found = _SETPOINTS.fullmatch(text)
    if found is None or int(found[1]) != channel:
        raise ValueError(f"{text!r} does not give the set-points of CH{channel}")
    return to_float(found[2]), to_float(found[3])


def to_on(text: str) -> bool:
    """Read ON or OFF.

    Raises:
        ValueError: it is anything else.
    """
    return _either(text, "ON", "OFF")


def to_tripped(text: str) -> bool:
    """Read YES or NO.

    Raises:
        ValueError: it is anything else.
    """
    return _either(text, "YES", "NO")


def to_mode(text: str) -> int:
    """Read CV, CC or UR; a number of :data:`MODES`.

    Raises:
        ValueError: it is anything else.
    """
    if text not in _MODE_TEXTS:
        raise ValueError(f"{text!r} is not one of {', '.join(_MODE_TEXTS)}")
    return _MODE_TEXTS[text]


def channel_number(channel: object) -> int:
    """Return *channel*.

    Raises:
        BadValue: it is not 1, 2 or 3.
    """
    if isinstance(channel, bool) or channel not in CHANNELS:
        raise BadValue(f"a channel is one of 1, 2, 3, not {channel!r}")
    return CHANNELS[CHANNELS.index(channel)]


def number(value: object, high: float, what: str) -> str:
    """Return *value* as the instrument reads it.

    Raises:
        BadValue: it is not a number from 0 to *high*.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        as_float = float(value)
        if 0 <= as_float <= high and math.isfinite(as_float):
            text = f"{as_float:.4f}".rstrip("0").rstrip(".")
            return "0" if text == "-0" else text
    limit = f"from 0 to {high:g}" if math.isfinite(high) else "of at least 0"
    raise BadValue(f"{what} is a number {limit}, not {value!r}")


def on_or_off(value: object) -> str:
    """Return ON or OFF.

    Raises:
        BadValue: it is neither true nor false; a text, such as "OFF", must not count as true.
    """
    if not (isinstance(value, int) and value in (0, 1)):
        raise BadValue(f"on or off is wanted, not {value!r}")
    return "ON" if value else "OFF"


def _either(text: str, yes: str, no: str) -> bool:
    if text not in (yes, no):
        raise ValueError(f"{text!r} is neither {yes} nor {no}")
    return text == yes
