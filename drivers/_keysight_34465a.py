"""What the Keysight 34465A means by its texts: strict readers, and checks of arguments.

Source: the sheet of the instrument, sections "Commands" and "Bad input".
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real

from drivers.scpi import NoNumber, to_float
from mktl.errors import BadValue

__all__ = [
    "BUS",
    "EVENTS",
    "EXTERNAL",
    "FUNCTIONS",
    "IMMEDIATE",
    "MOST_SAMPLES",
    "NPLCS",
    "OTHER",
    "RANGES_V",
    "RESISTANCE",
    "SOURCES",
    "STATUS",
    "TEMPERATURE",
    "VOLTAGE",
    "Setup",
    "display_text",
    "function_text",
    "on_or_off",
    "one_of",
    "sample_count",
    "source_text",
    "to_byte",
    "to_function",
    "to_line_hz",
    "to_samples",
    "to_source",
    "to_values",
]

VOLTAGE, RESISTANCE, TEMPERATURE, OTHER = range(4)
FUNCTIONS = {
    VOLTAGE: "DC voltage",
    RESISTANCE: "Resistance",
    TEMPERATURE: "Temperature",
    OTHER: "Another one",
}
_FUNCTION_TEXTS = {VOLTAGE: "VOLT", RESISTANCE: "RES", TEMPERATURE: "TEMP"}
_FUNCTION = re.compile(r'"([A-Z]+)(:[A-Z]+)?"')

IMMEDIATE, BUS, EXTERNAL, INTERNAL = range(4)
SOURCES = {IMMEDIATE: "Immediate", BUS: "Bus", EXTERNAL: "External", INTERNAL: "Internal"}
_SOURCE_TEXTS = {"IMM": IMMEDIATE, "BUS": BUS, "EXT": EXTERNAL, "INT": INTERNAL}

RANGES_V = (0.1, 1.0, 10.0, 100.0, 1000.0)
NPLCS = (0.001, 0.02, 0.06, 0.2, 1.0, 10.0, 100.0)
MOST_SAMPLES = 10_000

EVENTS = {
    0: "Operation complete",
    2: "Query error",
    3: "Device error",
    4: "Execution error",
    5: "Command error",
    7: "Power on",
}
"""Bits of ``*ESR?``: those of the sheet, and of IEEE 488.2, 11.5.1."""
STATUS = {
    2: "Error queue",
    3: "Questionable",
    4: "Message available",
    5: "Event",
    6: "Service request",
    7: "Operation",
}
"""Bits of ``*STB?``; IEEE 488.2, 11.2.1, and SCPI-99, 9."""

_SETTLING_S = 0.02
_WORST_NPLC = max(NPLCS)


@dataclass(frozen=True, slots=True)
class Setup:
    """What decides how long a measurement takes, and what it is one of."""

    function: int
    """One of :data:`FUNCTIONS`."""
    nplc: float | None
    """Integration time in periods of the mains; ``None``: not known, so it may be the longest."""
    samples: int
    """How many readings it has."""
    source: int
    """What triggers it, one of :data:`SOURCES`."""
    line_hz: int
    """Frequency of the mains."""

    @property
    def longest_s(self) -> float:
        """How long it takes, once triggered, with autozero: each reading is done twice then."""
        nplc = _WORST_NPLC if self.nplc is None else self.nplc
        return self.samples * (2 * nplc / self.line_hz + _SETTLING_S)

    @property
    def shortest_s(self) -> float:
        """How long it takes at least, without autozero."""
        return 0.0 if self.nplc is None else self.samples * self.nplc / self.line_hz


def to_function(text: str) -> int:
    """Read the answer to ``SENS:FUNC?``, a name in quotes; one of :data:`FUNCTIONS`.

    Raises:
        ValueError: it is anything else.
    """
    found = _FUNCTION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not the name of a function")
    if found[2] not in (None, ":DC"):
        return OTHER
    return next((number for number, name in _FUNCTION_TEXTS.items() if name == found[1]), OTHER)


def function_text(function: object) -> str:
    """Return the name of *function* as it is sent, in quotes.

    Raises:
        BadValue: it is not one of those that can be chosen here.
    """
    if isinstance(function, int) and not isinstance(function, bool) and function in _FUNCTION_TEXTS:
        return f'"{_FUNCTION_TEXTS[function]}"'
    raise BadValue(f"a function is {_known(FUNCTIONS, _FUNCTION_TEXTS)}, not {function!r}")


def to_source(text: str) -> int:
    """Read the answer to ``TRIG:SOUR?``; one of :data:`SOURCES`.

    Raises:
        ValueError: it is anything else.
    """
    if text not in _SOURCE_TEXTS:
        raise ValueError(f"{text!r} is not one of {', '.join(_SOURCE_TEXTS)}")
    return _SOURCE_TEXTS[text]


def source_text(source: object) -> str:
    """Return the name of *source*, 0 to 2, as it is sent.

    Raises:
        BadValue: it is not one of these.
    """
    can = (IMMEDIATE, BUS, EXTERNAL)
    if isinstance(source, int) and not isinstance(source, bool) and source in can:
        return next(text for text, number in _SOURCE_TEXTS.items() if number == source)
    raise BadValue(f"a trigger source is {_known(SOURCES, can)}, not {source!r}")


def to_values(text: str) -> tuple[float, ...]:
    """Read the answer to ``FETC?``: numbers with commas between.

    Raises:
        NoNumber: one of them stands for an overload, or for no number.
        ValueError: it is anything else.
    """
    parts = text.split(",")
    values = []
    for index, part in enumerate(parts, 1):
        try:
            values.append(to_float(part))
        except NoNumber as error:
            which = f"reading {index} of {len(parts)}: " if len(parts) > 1 else ""
            raise NoNumber(f"{which}{error}") from None
    return tuple(values)


def to_samples(text: str) -> int:
    """Read the answer to ``SAMP:COUN?`` or ``DATA:POIN?``: a whole number.

    Raises:
        ValueError: it is anything else.
    """
    number = to_float(text)
    if number < 0 or number != int(number):
        raise ValueError(f"{text!r} is no count")
    return int(number)


def to_line_hz(text: str) -> int:
    """Read the answer to ``SYST:LFR?``.

    Raises:
        ValueError: it is neither 50 nor 60.
    """
    number = to_float(text)
    if number not in (50, 60):
        raise ValueError(f"{text!r} is neither 50 nor 60")
    return int(number)


def to_byte(text: str) -> int:
    """Read the answer to ``*STB?`` or ``*ESR?``.

    Raises:
        ValueError: it is no whole number from 0 to 255.
    """
    if not re.fullmatch(r"\+?[0-9]{1,3}", text) or int(text) > 255:
        raise ValueError(f"{text!r} is no register of eight bits")
    return int(text)


def one_of(value: object, known: tuple[float, ...], what: str) -> str:
    """Return *value*, one of *known*, as it is sent.

    Raises:
        BadValue: it is not one of them.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an int that no float can hold is none of them
            number = float(value)
            for one in known:
                if math.isclose(number, one, rel_tol=1e-9):
                    return f"{one:g}"
    raise BadValue(f"{what} is one of {', '.join(f'{one:g}' for one in known)}, not {value!r}")


def on_or_off(value: object) -> str:
    """Return ON or OFF.

    Raises:
        BadValue: it is neither true nor false; a text, such as "OFF", must not count as true.
    """
    if not (isinstance(value, int) and value in (0, 1)):
        raise BadValue(f"on or off is wanted, not {value!r}")
    return "ON" if value else "OFF"


def sample_count(count: object) -> int:
    """Return *count*.

    Raises:
        BadValue: it is no whole number from 1 to :data:`MOST_SAMPLES`.
    """
    if not isinstance(count, bool) and isinstance(count, int | float):
        whole = 1 <= count <= MOST_SAMPLES and count == int(count)
        if whole:
            return int(count)
    raise BadValue(f"a number of samples is from 1 to {MOST_SAMPLES}, not {count!r}")


def display_text(text: object) -> str:
    """Return *text* in quotes, as it is sent.

    Raises:
        BadValue: it is not printable ASCII.
    """
    if isinstance(text, str) and text.isascii() and text.isprintable():
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    raise BadValue(f"the display shows printable ASCII characters only, not {text!r}")


def _known(names: Mapping[int, str], numbers: Collection[int]) -> str:
    return ", ".join(f"{number} ({text})" for number, text in names.items() if number in numbers)
