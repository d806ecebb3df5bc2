"""What a Zaber device means by its words. Pure.

Source: the sheet of the instrument; flags that are not on it are those that the PyPI package
``zaber-motion`` lists. That speeds are counted in 1/1.6384 microsteps per second is on neither: it
is general knowledge of the protocol.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers._motion_axis import AxisState
from mktl.errors import ConfigurationError

__all__ = [
    "FLAGS",
    "OTHER_FLAG",
    "REFUSALS",
    "SPEED_SCALE",
    "UNHOMED",
    "ZaberState",
    "checked_serial",
    "flag_bits",
    "to_flags",
    "to_int",
    "why_refused",
]

SPEED_SCALE = 1.6384
"""So many of ``maxspeed`` make one microstep per second."""

REFUSALS = {
    "AGAIN": "it cannot do that just now; try again",
    "BADAXIS": "there is no such axis",
    "BADCOMMAND": "it does not know that command",
    "BADDATA": "the value is outside the range that it takes",
    "BADMESSAGEID": "it does not take that number of a message",
    "DEVICEONLY": "that is for the whole device, not for an axis",
    "DRIVERDISABLED": "the driver of the motor is disabled",
    "FULL": "it has no room for more",
    "INACTIVE": "the axis is not in use, or nothing is connected there",
    "NOACCESS": "it does not allow that",
    "PARKED": "the axis is parked",
    "STATUSBUSY": "it cannot do that while the axis moves",
}
"""What follows RJ, in words."""

FLAGS = {
    "FF": "critical system error",
    "FD": "driver disabled",
    "FQ": "encoder error",
    "FS": "stalled and stopped",
    "FB": "stream bounds error",
    "FT": "excessive twist",
    "FE": "limit error",
    "WR": "no reference position",
    "WH": "not homed",
    "WL": "unexpected limit trigger",
    "WM": "displaced when stationary",
    "WT": "controller temperature high",
    "WV": "voltage out of range",
    "NC": "manual control",
    "NI": "movement interrupted",
    "NR": "value rounded",
    "FA": "analog encoder sync error",
    "FC": "current inrush error",
    "FH": "emergency stop, driver disabled",
    "FI": "index error",
    "FM": "motor temperature error",
    "FN": "peripheral not supported",
    "FO": "driver disabled",
    "FP": "interpolated path deviation",
    "FR": "overdrive limit exceeded",
    "FV": "voltage out of range, driver disabled",
    "FZ": "peripheral inactive",
    "NB": "firmware update",
    "ND": "stream discontinuity",
    "NJ": "joystick is calibrated",
    "NT": "value truncated",
    "NU": "setting update pending",
    "WP": "calibration type invalid",
    "WS": "stalled with recovery",
}
"""The warning flags, in the order of the bits of the channel ``warnings``: it is never changed."""
OTHER_FLAG = len(FLAGS)
"""Bit of any flag that is not among :data:`FLAGS`."""
UNHOMED = ("WR", "WH")
"""Flags of an axis that has to be homed; without the first one its position means something."""
_STOPS = ("WL", "NI")
"""Flags, besides the faults, that tell of a move which was ended."""

_BITS = {flag: bit for bit, flag in enumerate(FLAGS)}
_INT = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_FLAGS = re.compile(r"(\d{2})((?: [A-Z0-9]{2})*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZaberState(AxisState):
    """One axis, by its position, and the flags that stand."""

    flags: tuple[str, ...]
    """The warning flags, each of two characters."""

    @classmethod
    def of(cls, steps: int, flags: tuple[str, ...], *, busy: bool, connection: int) -> ZaberState:
        """Read the *flags*."""
        return cls(
            steps=steps,
            moving=busy,
            connection=connection,
            faults=tuple(
                f"{flag}, {FLAGS.get(flag, 'a fault')}"
                for flag in flags
                if flag.startswith("F") or flag in _STOPS
            ),
            referenced=UNHOMED[0] not in flags,
            flags=flags,
        )

    @property
    def bits(self) -> int:
        """The flags, as the bits of the channel ``warnings``."""
        return flag_bits(self.flags)


def flag_bits(flags: tuple[str, ...]) -> int:
    """Return *flags* as bits, in the order of :data:`FLAGS`."""
    bits = 0
    for flag in flags:
        bits |= 1 << _BITS.get(flag, OTHER_FLAG)
    return bits


def to_flags(data: str) -> tuple[str, ...]:
    """Read the answer to ``warnings``: ``00``, or ``02 WR WH``.

    Raises:
        ValueError: it is anything else.
    """
    found = _FLAGS.fullmatch(data)
    flags = tuple(found[2].split()) if found else ()
    if found is None or len(flags) != int(found[1]):
        raise ValueError(f"{data!r} is not a list of warning flags")
    return flags


def to_int(data: str) -> int:
    """Read a whole number.

    Raises:
        ValueError: it is anything else.
    """
    if not _INT.fullmatch(data):
        raise ValueError(f"{data!r} is not a whole number")
    return int(data)


def checked_serial(found: object) -> int | None:
    """Return the setting ``serial``.

    Raises:
        ConfigurationError: it is no serial number.
    """
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or found <= 0:
        raise ConfigurationError(f"serial must be a serial number, such as 73428, not {found!r}")
    return found


def why_refused(word: str) -> str:
    """Return what the *word* behind RJ means, with the word itself."""
    return f"{word}: {REFUSALS[word]}" if word in REFUSALS else word or "no reason given"
