"""What a Vaisala WXT transmitter means by its lines: strict readers, units, checks. Pure.

Source: the sheet of the instrument, section "Commands". General knowledge are the letter for hits
per area of hail, and the words of settings other than M and I.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers._suggest import suggestion
from drivers.framing.checksum import WrongChecksum
from drivers.framing.vaisala import CHECKSUM
from mktl.errors import BadValue, ConfigurationError

__all__ = [
    "HEATER",
    "HEATER_STATES",
    "KINDS",
    "MODES",
    "ORDER",
    "PARAMETERS",
    "PATHS",
    "SENSORS",
    "SETTABLE_MODES",
    "Message",
    "NoValue",
    "Parameter",
    "Settings",
    "checked_crc",
    "checked_interval",
    "checked_mode",
    "checked_silence",
    "heater_state",
    "reading",
    "to_message",
    "to_settings",
    "without_check_sum",
]

KINDS = {"wind": "1", "ptu": "2", "rain": "3", "supervisor": "5"}
"""The messages, and the digit that asks for each."""
SENSORS = {"wind": "W", "ptu": "T", "rain": "R", "supervisor": "S"}
"""The letter with which the settings of each begin."""
MODES = {
    "P": "Polled",
    "p": "Polled, check sum",
    "A": "Automatic",
    "a": "Automatic, check sum",
    "Q": "NMEA, polled",
    "N": "NMEA, automatic",
}
"""What the transmitter speaks, by the letter of its setting M."""
SETTABLE_MODES = "PpAa"
HEATER_STATES = {"N": "Off", "V": "Half", "W": "Full", "F": "Fault"}
"""What stands behind the heating voltage. Source: sheet, "Vh letter"."""

_PAIR = re.compile(r"([A-Z][a-z])=(?:(-?\d{1,6}(?:\.\d{1,4})?)([A-Za-z])|([^,=]*)#)")
_DATA = re.compile(r"([0-9A-Za-z])([Rr])([01235]),(.+)")
_SETTINGS = re.compile(r"([0-9A-Za-z])([XWTRS])U,(.+)")
_SETTING = re.compile(r"([A-Z])=([^,=]*)")


@dataclass(frozen=True, slots=True)
class NoValue:
    """There is no value, and why."""

    reason: str
    """Why, in one line."""


Convert = Callable[[float], float]


def _same(value: float) -> float:
    return value


_SPEED: Mapping[str, Convert] = {
    "M": _same,
    "K": lambda v: v / 3.6,
    "S": lambda v: v * 0.44704,
    "N": lambda v: v * 1852 / 3600,
}
_TEMPERATURE: Mapping[str, Convert] = {"C": _same, "F": lambda v: (v - 32) / 1.8}
_PRESSURE: Mapping[str, Convert] = {
    "H": _same,
    "P": lambda v: v / 100,
    "B": lambda v: v * 1000,
    "M": lambda v: v * 1.33322387415,
    "I": lambda v: v * 33.8638866667,
}
_RAIN: Mapping[str, Convert] = {"M": _same, "I": lambda v: v * 25.4}
# Hits as such (H) are of the whole plate, whose area is not told.
_HAIL: Mapping[str, Convert] = {"M": _same, "I": lambda v: v / 6.4516}
# The manuals have a small letter here, where all others are capitals.
_SECONDS: Mapping[str, Convert] = {"s": _same, "S": _same}
_VOLT: Mapping[str, Convert] = {"V": _same}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a transmitter measures."""

    name: str
    """Its two letters."""
    kind: str
    """The message that has it, one of :data:`KINDS`."""
    path: str
    """Path of its channel."""
    description: str
    """What it is."""
    letters: Mapping[str, Convert]
    """The letters of units that it may come in, and how each is converted to ours."""
    plausible: tuple[float, float]
    """Outside, in our units, it is no value."""
    units: str
    """Our units."""
    format: str = "%.1f"
    """How it is printed."""


_DIRECTION: Mapping[str, Convert] = {"D": _same}
_DEG = (_DIRECTION, (0.0, 360.0), "deg", "%.0f")
_M_S = (_SPEED, (0.0, 100.0), "m/s")
_MM_H = (_RAIN, (0.0, 2000.0), "mm/h")
_HITS_H = (_HAIL, (0.0, 10000.0), "hits/cm^2/h")
_UP_TO_30_V = (_VOLT, (0.0, 60.0), "V")
_FOREVER_S = (_SECONDS, (0.0, 999999.0), "s", "%.0f")

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("Dn", "wind", "wind.direction.min", "Least direction of the wind", *_DEG),
    Parameter("Dm", "wind", "wind.direction", "Where the wind comes from, average", *_DEG),
    Parameter("Dx", "wind", "wind.direction.max", "Greatest direction of the wind", *_DEG),
    Parameter("Sn", "wind", "wind.lull", "Least speed of the wind", *_M_S),
    Parameter("Sm", "wind", "wind.speed", "Speed of the wind, average", *_M_S),
    Parameter("Sx", "wind", "wind.gust", "Greatest speed of the wind", *_M_S),
    Parameter(
        "Ta", "ptu", "temperature", "Temperature of the air", _TEMPERATURE, (-60, 70), "degC"
    ),
    Parameter(
        "Ua", "ptu", "humidity", "Relative humidity", {"P": _same}, (0, 100), "percent"
    ),
    Parameter("Pa", "ptu", "pressure", "Pressure of the air", _PRESSURE, (500, 1200), "hPa"),
    Parameter(
        "Rc", "rain", "rain.total", "Rain since the counter was reset", _RAIN, (0, 1e5), "mm",
        "%.2f",
    ),
    Parameter("Rd", "rain", "rain.duration", "How long it has been raining", *_FOREVER_S),
    Parameter("Ri", "rain", "rain.rate", "Rate of rain", *_MM_H),
    Parameter(
        "Hc", "rain", "hail.total", "Hail since the counter was reset", _HAIL, (0, 1e5),
        "hits/cm^2",
    ),
    Parameter("Hd", "rain", "hail.duration", "How long it has been hailing", *_FOREVER_S),
    Parameter("Hi", "rain", "hail.rate", "Rate of hail", *_HITS_H),
    Parameter("Rp", "rain", "rain.peak", "Greatest rate of rain", *_MM_H),
    Parameter("Hp", "rain", "hail.peak", "Greatest rate of hail", *_HITS_H),
    Parameter(
        "Th", "supervisor", "heater.temperature", "Temperature of the heating", _TEMPERATURE,
        (-80, 150), "degC",
    ),
    Parameter(
        "Vh", "supervisor", "heater.voltage", "Voltage of the heating",
        dict.fromkeys(HEATER_STATES, _same), (0.0, 60.0), "V",
    ),
    Parameter("Vs", "supervisor", "supply.voltage", "Voltage of the supply", *_UP_TO_30_V),
    Parameter(
        "Vr", "supervisor", "reference.voltage", "Reference of 3.5 V, for service", _VOLT,
        (0, 10), "V", "%.3f",
    ),
)  # fmt: skip
"""In the order in which they come."""
ORDER = {one.name: place for place, one in enumerate(PARAMETERS)}

HEATER = "heater"
"""Path of the state of the heating, which comes as the letter of Vh."""
PATHS = {**{one.path: one for one in PARAMETERS}, HEATER: PARAMETERS[ORDER["Vh"]]}
"""The parameter that is, or carries, each measured value."""


@dataclass(frozen=True, slots=True)
class Message:
    """A line with measured values."""

    address: str
    """Who says it."""
    digit: str
    """Which message it is: a value of :data:`KINDS`, or 0 for the composite one."""
    checked: bool
    """Whether it came with a check sum, which was right."""
    values: Mapping[str, tuple[float, str] | None]
    """Number and letter of the unit by name; ``None``: marked as not valid."""

    def may_have(self, parameter: Parameter) -> bool:
        """Whether *parameter* can be in a message of this kind."""
        return self.digit in ("0", KINDS[parameter.kind])


@dataclass(frozen=True, slots=True)
class Settings:
    """A line with settings."""

    address: str
    """Who says it."""
    of: str
    """Of what: X, or one of :data:`SENSORS`."""
    values: Mapping[str, str]
    """By letter."""


def without_check_sum(line: bytes) -> tuple[str, bool]:
    """Return the text of a line, and whether it had a check sum, as small letters say.

    Raises:
        ValueError: the check sum is wrong, or it is no text.
    """
    checked = line[1:3] == b"tX" or (line[1:2] == b"r" and line[2:3].isdigit())
    text = (CHECKSUM.removed(line) if checked else line).decode("ascii")
    if not text.isprintable():
        raise ValueError(f"{text!r} has characters that are not printable")
    return text, checked


def to_message(line: bytes) -> Message:
    """Read a line with measured values.

    Raises:
        ValueError: it is anything else, or was damaged.
    """
    try:
        text, checked = without_check_sum(line)
    except WrongChecksum as error:
        raise ValueError(f"it was damaged: {error}") from None
    found = _DATA.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no message with values")
    values: dict[str, tuple[float, str] | None] = {}
    last = -1
    for part in found[4].split(","):
        pair = _PAIR.fullmatch(part)
        place = ORDER.get(pair[1], -1) if pair else -1
        if pair is None or place <= last or found[3] not in ("0", _digit_of(place)):
            raise ValueError(f"{part!r} in {text!r} is no value, or not in its place")
        last = place
        values[pair[1]] = None if pair[2] is None else (float(pair[2]), pair[3])
    return Message(found[1], found[3], checked, values)


def _digit_of(place: int) -> str:
    return KINDS[PARAMETERS[place].kind]


def to_settings(line: bytes) -> Settings:
    """Read a line with settings, which has no check sum.

    Raises:
        ValueError: it is anything else.
    """
    text = line.decode("ascii")
    found = _SETTINGS.fullmatch(text)
    parts = [_SETTING.fullmatch(part) for part in found[3].split(",")] if found else [None]
    if found is None or None in parts:
        raise ValueError(f"{text!r} is no line with settings")
    return Settings(found[1], found[2], {part[1]: part[2] for part in parts if part})


def reading(message: Message, parameter: Parameter) -> float | NoValue:
    """Return the value of *parameter* in our units, or why *message* has none."""
    if parameter.name not in message.values:
        return NoValue(
            f"the transmitter does not send {parameter.name}: its settings "
            f"({SENSORS[parameter.kind]}U, R=) leave it out"
        )
    found = message.values[parameter.name]
    if found is None:
        return NoValue(f"{parameter.name} is marked as not valid (#)")
    number, letter = found
    convert = parameter.letters.get(letter)
    if convert is None:
        known = ", ".join(parameter.letters)
        return NoValue(
            f"{parameter.name}={number:g}{letter} is in a unit that cannot be converted to "
            f"{parameter.units}; those that can are {known}"
        )
    value = convert(number)
    low, high = parameter.plausible
    if not low <= value <= high:
        return NoValue(
            f"{parameter.name}={number:g}{letter} is not plausible, which is {low:g} to {high:g} "
            f"{parameter.units}"
        )
    return value


def heater_state(message: Message) -> int | NoValue:
    """Return the place in :data:`HEATER_STATES` of the letter of Vh, or why there is none."""
    found = message.values.get("Vh")
    if found is None:
        return NoValue("Vh did not come, or is marked as not valid (#)")
    if found[1] not in HEATER_STATES:
        return NoValue(f"Vh={found[0]:g}{found[1]} has none of {', '.join(HEATER_STATES)}")
    return list(HEATER_STATES).index(found[1])


# --- settings of the driver -----------------------------------------------------------------------


_SILENCE_S = {"wind": 30.0, "ptu": 180.0, "rain": 180.0, "supervisor": 60.0}


def checked_mode(found: object) -> str:
    """Return the setting ``mode``.

    Raises:
        ConfigurationError: it is neither "polled" nor "automatic".
    """
    modes = ("polled", "automatic")
    if isinstance(found, str) and found in modes:
        return found
    raise ConfigurationError(f"mode {found!r}: {suggestion(str(found), modes)}")


def checked_crc(found: object) -> bool:
    """Return the setting ``crc``.

    Raises:
        ConfigurationError: it is neither true nor false.
    """
    if isinstance(found, bool):
        return found
    raise ConfigurationError(f"crc must be true or false, not {found!r}")


def checked_silence(found: object) -> dict[str, float]:
    """Return the setting ``silence_s``, for each of :data:`KINDS`.

    Raises:
        ConfigurationError: it is neither a number of seconds, nor a table of such.
    """
    if found is None:
        return dict(_SILENCE_S)
    given: Mapping[Any, Any] = found if isinstance(found, Mapping) else dict.fromkeys(KINDS, found)
    for kind, seconds in given.items():
        if kind not in KINDS:
            raise ConfigurationError(f"silence_s.{kind}: {suggestion(str(kind), KINDS)}")
        if not _is_number(seconds) or not seconds > 0:
            raise ConfigurationError(
                f"silence_s must be a positive number of seconds, or a table of such by message, "
                f"not {found!r}"
            )
    return {**_SILENCE_S, **{kind: float(seconds) for kind, seconds in given.items()}}


def checked_interval(interval_s: Any) -> int:
    """Return *interval_s* as the transmitter takes it.

    Raises:
        BadValue: it is not a whole number of 1 to 3600.
    """
    if not _is_number(interval_s) or interval_s != int(interval_s) or not 1 <= interval_s <= 3600:
        raise BadValue(f"an interval is a whole number of 1 to 3600 seconds, not {interval_s!r}")
    return int(interval_s)


def _is_number(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
