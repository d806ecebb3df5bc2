"""What a Pfeiffer TPG 36x means by its texts: strict readers, and checks of arguments.

Source: the sheet of the instrument, sections "Commands" and "Bad input".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from drivers._suggest import suggestion
from mktl.errors import BadValue, ConfigurationError

__all__ = [
    "ERRORS",
    "GAUGES",
    "MODELS",
    "OFF",
    "OK",
    "ON",
    "SPEECH",
    "STATUSES",
    "UNITS",
    "Measurement",
    "channel_number",
    "checked_model",
    "gauge_digit",
    "is_measurement",
    "to_error_word",
    "to_firmware",
    "to_gauges",
    "to_identity",
    "to_measurements",
    "to_types",
    "to_unit",
    "unit_number",
    "words_of",
]

SPEECH: dict[str, Any] = {
    "send_terminator": "\r",
    "reply_terminator": "\r\n",
    "handshake": {"ack": "\x06", "nak": "\x15", "enquiry": "\x05"},
    "identify": {"ask": "AYT", "reply": r"TPG36[126](,[^,]*){4}"},
}
"""How it speaks, as the ``text`` driver has it: a line is acknowledged, and its data are fetched
with ENQ."""

MODELS = {"tpg361": 1, "tpg362": 2, "tpg366": 6}
"""How many channels each has."""

OK = 0
STATUSES = {
    OK: "OK",
    1: "Underrange",
    2: "Overrange",
    3: "Sensor error",
    4: "Sensor off",
    5: "No sensor",
    6: "Identification error",
}
_AT_THE_LIMIT = (1, 2)

OFF, ON = 1, 2
GAUGES = {0: "Not switchable", OFF: "Off", ON: "On"}

UNITS = {0: "mbar", 1: "Torr", 2: "Pa", 3: "micron", 4: "hPa", 5: "V"}
_TORR_HPA = 1013.25 / 760
_IN_HPA = {0: 1.0, 1: _TORR_HPA, 2: 0.01, 3: _TORR_HPA / 1000, 4: 1.0}

ERRORS = {0: "syntax error", 1: "bad parameter", 2: "no hardware", 3: "controller error"}
"""The bits of the error word; the last digit is bit 0."""

_TYPES = re.compile(r"[A-Za-z0-9/ -]+")
# There is no check sum: a number that has lost a digit shows by its length.
_NUMBER = r"[+-]?\d\.\d{4}E[+-]\d\d"
_MEASUREMENT = re.compile(rf"[0-6],{_NUMBER}(,[0-6],{_NUMBER})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the unit says of one channel, with the unit that it says it in."""

    status: int
    """One of :data:`STATUSES`; only with 0 there is a value."""
    shown: float
    """The value as it was sent; at the end of the range, the limit."""
    unit: int
    """One of :data:`UNITS`."""

    @property
    def pressure_hpa(self) -> float | None:
        """The pressure in hectopascal; ``None``: there is none, and :attr:`reason` says why."""
        factor = _IN_HPA.get(self.unit)
        if self.status != OK or factor is None:
            return None
        return self.shown * factor

    @property
    def reason(self) -> str:
        """Why there is no pressure; empty if there is one."""
        if self.status in _AT_THE_LIMIT:
            limit = f"its limit is {self.shown:.4g} {UNITS[self.unit]}"
            return f"its status is {self.status} ({STATUSES[self.status].lower()}: {limit})"
        if self.status != OK:
            return f"its status is {self.status} ({STATUSES[self.status].lower()})"
        if self.unit not in _IN_HPA:
            return "it is set to show volts, which are no pressure; set its unit to another one"
        return ""


def to_measurements(text: str, count: int, unit: int) -> tuple[Measurement, ...]:
    """Read the answer to ``PRX`` or ``PR1``: a status and a value for each of *count* channels.

    Raises:
        ValueError: it is anything else.
    """
    parts = text.split(",")
    if len(parts) != 2 * count:
        raise ValueError(f"{2 * count} values are due")
    return tuple(
        Measurement(_digit(status, STATUSES), _number(value), unit)
        for status, value in zip(parts[::2], parts[1::2], strict=True)
    )


def is_measurement(text: str) -> bool:
    """Whether *text* looks like a line of the continuous mode, which an answer does as well."""
    return _MEASUREMENT.fullmatch(text) is not None


def to_unit(text: str) -> int:
    """Read the answer to ``UNI``.

    Raises:
        ValueError: it is anything else.
    """
    return _digit(text, UNITS)


def to_gauges(text: str, count: int) -> tuple[int, ...]:
    """Read the answer to ``SEN``, one of :data:`GAUGES` for each of *count* channels.

    Raises:
        ValueError: it is anything else.
    """
    found = tuple(_digit(part, GAUGES) for part in text.split(","))
    if len(found) != count:
        raise ValueError(f"{count} values are due")
    return found


def to_types(text: str, count: int) -> tuple[str, ...]:
    """Read the answer to ``TID``.

    Raises:
        ValueError: it is anything else.
    """
    found = tuple(part.strip() for part in text.split(","))
    if len(found) != count:
        raise ValueError(f"{count} types are due")
    for one in found:
        if not _TYPES.fullmatch(one) or one.isdecimal():
            raise ValueError(f"{one!r} is no type of a gauge")
    return found


def to_error_word(text: str) -> int:
    """Read an error word; bits of :data:`ERRORS`.

    Raises:
        ValueError: it is anything else.
    """
    if not re.fullmatch(r"[01]{4}", text):
        raise ValueError(f"{text!r} is no error word")
    return int(text, 2)


def words_of(word: int) -> str:
    """Return what the bits of an error word mean."""
    return ", ".join(words for bit, words in ERRORS.items() if word >> bit & 1) or "no error"


def to_identity(text: str) -> str:
    """Read the answer to ``AYT``.

    Raises:
        ValueError: it is anything else.
    """
    if not re.fullmatch(SPEECH["identify"]["reply"], text):
        raise ValueError(f"{text!r} is not a TPG 36x")
    return text


def to_firmware(text: str) -> str:
    """Read the answer to ``PNR``.

    Raises:
        ValueError: it is anything else.
    """
    if not re.fullmatch(r"[0-9A-Z]{1,10}", text):
        raise ValueError(f"{text!r} is no version of a firmware")
    return text


def checked_model(found: object) -> str:
    """Return *found*, the setting ``model``.

    Raises:
        ConfigurationError: it is not one of :data:`MODELS`.
    """
    if isinstance(found, str) and found in MODELS:
        return found
    raise ConfigurationError(f"model {found!r}: {suggestion(str(found), MODELS)}")


def channel_number(channel: object, count: int) -> int:
    """Return *channel*.

    Raises:
        BadValue: it is not a number from 1 to *count*.
    """
    if isinstance(channel, int) and not isinstance(channel, bool) and 1 <= channel <= count:
        return channel
    raise BadValue(f"a channel is a number from 1 to {count}, not {channel!r}")


def unit_number(unit: object) -> int:
    """Return *unit*, one of :data:`UNITS`.

    Raises:
        BadValue: it is not one.
    """
    if isinstance(unit, int) and not isinstance(unit, bool) and unit in UNITS:
        return unit
    known = ", ".join(f"{number} ({name})" for number, name in UNITS.items())
    raise BadValue(f"a unit is one of {known}, not {unit!r}")


def gauge_digit(state: object) -> int:
    """Return *state*, 1 for off or 2 for on.

    Raises:
        BadValue: it is not one of these; that a gauge is not switchable cannot be set.
    """
    if isinstance(state, int) and not isinstance(state, bool) and state in (OFF, ON):
        return state
    raise BadValue(f"a gauge can be set to {OFF} (Off) or {ON} (On), not to {state!r}")


def _digit(text: str, known: dict[int, str]) -> int:
    if len(text) != 1 or text not in map(str, known):
        raise ValueError(f"{text!r} is not one of {', '.join(map(str, known))}")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(_NUMBER, text, re.ASCII):
        raise ValueError(f"{text!r} is not a number as the unit writes it")
    return float(text)
