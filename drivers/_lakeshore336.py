"""What the Lake Shore 336 means by its numbers: tables, strict readers, checks of arguments.

Source: ``shared/instruments/lakeshore_336.md``, section "Commands a daemon needs".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

from mktl.errors import BadValue, DeviceLost

__all__ = [
    "ESR_BITS",
    "ESR_ERRORS",
    "HEATER_FAULTS",
    "INPUTS",
    "MODES",
    "OPERATION_BITS",
    "OUTPUTS",
    "POWER_ON",
    "READING_BITS",
    "SENSOR_TYPES",
    "SWITCHED_OFF",
    "UNITS",
    "Alarm",
    "OutputMode",
    "Ramp",
    "SensorInput",
    "bits_in_words",
    "check_lost_reply",
    "errors_in_words",
    "input_letter",
    "number",
    "one_of",
    "output_number",
    "plain",
    "ranges_of",
    "sensor_name",
    "to_alarm",
    "to_flag",
    "to_float",
    "to_int",
    "to_output_mode",
    "to_reading",
    "to_sensor_input",
    "to_temperatures",
    "why_not_valid",
]

INPUTS = ("A", "B", "C", "D")
OUTPUTS = (1, 2, 3, 4)

READING_BITS = {
    0: "Invalid reading",
    4: "Temperature underrange",
    5: "Temperature overrange",
    6: "Sensor units zero",
    7: "Sensor units overrange",
}
ESR_BITS = {
    2: "query error",
    3: "device error",
    4: "execution error",
    5: "command error",
    7: "power on",
}
ESR_ERRORS = 4 | 8 | 16 | 32
POWER_ON = 128
SWITCHED_OFF = "the instrument was switched off and on"
OPERATION_BITS = {
    0: "Alarm",
    1: "Sensor overload",
    2: "Loop 2 ramp done",
    3: "Loop 1 ramp done",
    4: "New sensor reading",
    5: "Autotune done",
    6: "Calibration error",
    7: "Processor communication error",
}
HEATER_FAULTS = {0: "None", 1: "Open load", 2: "Short"}
MODES = {
    0: "Off",
    1: "Closed loop",
    2: "Zone",
    3: "Open loop",
    4: "Monitor",
    5: "Warm-up",
}
SENSOR_TYPES = {
    0: "Disabled",
    1: "Diode",
    2: "Platinum RTD",
    3: "NTC RTD",
    4: "Thermocouple",
    5: "Capacitance",
}
UNITS = {1: "kelvin", 2: "celsius", 3: "sensor units"}
_HEATER_RANGES = {0: "Off", 1: "Low", 2: "Medium", 3: "High"}
_ANALOG_RANGES = {0: "Off", 1: "On"}
_LONGEST_NAME = 15

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(E[+-]?\d+)?")
_SIGNED = re.compile(r"[+-]\d+(\.\d*)?(E[+-]?\d+)?")
_INTEGER = re.compile(r"\d{1,3}")
_ESR_AT_END = re.compile(r".*;(\d{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ramp:
    """The set-point ramp of one output."""

    enabled: bool
    """Whether a new set-point is approached at *rate*."""
    rate_k_per_min: float
    """0.1 to 100 kelvin per minute; 0 means at once."""


@dataclass(frozen=True, slots=True)
class OutputMode:
    """How one output is controlled."""

    mode: int
    """A number of :data:`MODES`."""
    control_input: str | None
    """``A`` to ``D``; ``None`` if there is none."""
    power_up: bool
    """Whether it stays on after the instrument was switched off and on."""


@dataclass(frozen=True, slots=True)
class SensorInput:
    """How one input is set up."""

    sensor_type: int
    """A number of :data:`SENSOR_TYPES`."""
    autorange: bool
    """Whether the range follows the sensor."""
    sensor_range: int
    """The range, as numbered by the instrument."""
    compensation: bool
    """Whether thermal voltages, or the reference junction, are compensated."""
    units: int
    """Preferred units, a number of :data:`UNITS`."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The alarm of one input. Limits are in the preferred units of the input."""

    enabled: bool
    """Whether it is checked."""
    high: float
    """Above this is an alarm."""
    low: float
    """Below this is an alarm."""
    deadband: float
    """How far back before an unlatched alarm ends."""
    latching: bool
    """Whether it stays until it is reset."""
    audible: bool
    """Whether the instrument beeps."""
    visible: bool
    """Whether the instrument blinks."""


def ranges_of(output: int) -> dict[int, str]:
    """Return the heater ranges of *output*: 1 and 2 are heaters, 3 and 4 analog."""
    return _HEATER_RANGES if output in (1, 2) else _ANALOG_RANGES


def bits_in_words(value: int, names: dict[int, str]) -> str:
    """Name the bits that are set, each with its weight."""
    return ", ".join(
        f"{names.get(bit, 'unknown')} ({1 << bit})" for bit in range(8) if value & 1 << bit
    )


def errors_in_words(esr: int) -> str:
    """Name the errors in the event status register, each with its weight."""
    return bits_in_words(esr & ESR_ERRORS, ESR_BITS)


def why_not_valid(status: int, kelvin: float | None = None) -> str:
    """Say why a reading, of *kelvin* if it is a temperature in kelvin, is not valid; empty: it is.

    Source: sheet, "Bad input": what is not valid is sent as ``+0.0000``, which no sensor can read.
    """
    if status:
        return bits_in_words(status, READING_BITS)
    if kelvin is not None and kelvin <= 0:
        return f"{kelvin:g} K cannot be, although no status bit is set: is the input disabled?"
    return ""


def check_lost_reply(reply: str) -> str:
    """Look at the status register in a reply that nobody gets: reading it has cleared it.

    Raises:
        DeviceLost: the instrument was switched on since the register was last read.
    """
    found = _ESR_AT_END.fullmatch(reply)
    esr = int(found[1]) if found else 0
    if esr & POWER_ON:
        raise DeviceLost(SWITCHED_OFF)
    if esr & ESR_ERRORS:
        return (
            f"the instrument reports {errors_in_words(esr)}; something that was sent and not "
            f"answered may have been refused"
        )
    return ""


def to_float(text: str) -> float:
    """Read a number as the instrument writes settings.

    Raises:
        ValueError: it is anything else, such as ``nan`` or the half of a reply.
    """
    return _finite(_NUMBER, text)


def to_reading(text: str) -> float:
    """Read a number as the instrument writes readings: always with its sign.

    A reading that lost its first characters on the way has none.

    Raises:
        ValueError: it is anything else.
    """
    return _finite(_SIGNED, text)


def to_int(text: str, allowed: Iterable[int]) -> int:
    """Read a small number that is one of *allowed*.

    Raises:
        ValueError: it is anything else.
    """
    if not _INTEGER.fullmatch(text) or int(text) not in allowed:
        raise ValueError(f"{text!r} is not one of the numbers that can come here")
    return int(text)


def _finite(pattern: re.Pattern[str], text: str) -> float:
    if not text.isascii() or not pattern.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{text!r} is not a number as the instrument writes it")
    return float(text)


def to_temperatures(text: str, status: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Read the reply to ``KRDG? 0`` and those to ``RDGST?`` of each input, in their order.

    Raises:
        ValueError: one is anything else, or there is not one for each input.
    """
    numbers = (to_reading(part) for part in text.split(","))
    masks = (to_int(one, range(256)) for one in status)
    return dict(zip(INPUTS, zip(numbers, masks, strict=True), strict=True))


def to_flag(text: str) -> bool:
    """Read 0 or 1.

    Raises:
        ValueError: it is anything else.
    """
    return bool(to_int(text, (0, 1)))


def to_output_mode(text: str) -> OutputMode:
    """Read the reply to ``OUTMODE?``.

    Raises:
        ValueError: it is anything else.
    """
    mode, number, power_up = text.split(",")
    letter = (None, *INPUTS)[to_int(number, range(len(INPUTS) + 1))]
    return OutputMode(to_int(mode, MODES), letter, to_flag(power_up))


def to_sensor_input(text: str) -> SensorInput:
    """Read the reply to ``INTYPE?``.

    Raises:
        ValueError: it is anything else.
    """
    kind, autorange, sensor_range, compensation, units = text.split(",")
    return SensorInput(
        to_int(kind, SENSOR_TYPES),
        to_flag(autorange),
        to_int(sensor_range, range(100)),
        to_flag(compensation),
        to_int(units, UNITS),
    )


def to_alarm(text: str) -> Alarm:
    """Read the reply to ``ALARM?``.

    Raises:
        ValueError: it is anything else.
    """
    on, high, low, deadband, latch, audible, visible = text.split(",")
    return Alarm(
        to_flag(on),
        to_float(high),
        to_float(low),
        to_float(deadband),
        to_flag(latch),
        to_flag(audible),
        to_flag(visible),
    )


def input_letter(sensor_input: object) -> str:
    """Return the letter of an input, in upper case.

    Raises:
        BadValue: it is not one of A to D.
    """
    letter = str(sensor_input).upper()
    if letter not in INPUTS:
        raise BadValue(f"an input is one of {', '.join(INPUTS)}, not {sensor_input!r}")
    return letter


def sensor_name(name: str) -> str:
    """Return *name*.

    Raises:
        BadValue: it is longer than 15 characters, or has some that cannot be sent.
    """
    if len(name) > _LONGEST_NAME or not (name.isascii() and name.isprintable()):
        raise BadValue(f"a sensor name has up to 15 printable ASCII characters, not {name!r}")
    if any(character in name for character in '";,'):
        raise BadValue(f"a sensor name has no quotes, commas or semicolons: {name!r}")
    return name


def output_number(output: int) -> int:
    """Return *output*.

    Raises:
        BadValue: it is not 1 to 4.
    """
    return one_of(output, OUTPUTS, "an output")


def one_of(value: int, allowed: Iterable[int], what: str) -> int:
    """Return *value* as an integer.

    Raises:
        BadValue: it is not one of *allowed*.
    """
    allowed = tuple(allowed)
    if isinstance(value, bool) or value not in allowed:
        raise BadValue(f"{what} is one of {', '.join(map(str, allowed))}, not {value!r}")
    return int(value)


def number(value: object, low: float, high: float, what: str) -> str:
    """Return *value* as the instrument reads it.

    Raises:
        BadValue: it is not a number from *low* to *high*.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        as_float = float(value)
        if low <= as_float <= high and math.isfinite(as_float):
            return plain(as_float)
    raise BadValue(f"{what} is a number from {low:g} to {high:g}, not {value!r}")


def plain(value: float) -> str:
    """Write *value* without an exponent and without needless zeros."""
    text = f"{value:.5f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
