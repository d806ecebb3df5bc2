"""Lines that a WXT530 sends: ASCII with and without a checksum, and NMEA 0183."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from simulators._described_checksum import checksum_named
from simulators._vaisala_parameters import Text, chosen

if TYPE_CHECKING:
    from simulators.vaisala_wxt530 import VaisalaWXT530

__all__ = [
    "COMPOSITE",
    "DIGITS",
    "ascii_line",
    "crc",
    "data_line",
    "nmea_groups",
    "nmea_lines",
    "text_line",
]

DIGITS: Mapping[str, str] = {"1": "W", "2": "T", "3": "R", "5": "S"}
"""Groups by the digit of their message, in the order in which they are sent."""
COMPOSITE = "0"
"""The digit of the message with all groups."""

crc = checksum_named("crc16-vaisala")
_nmea_sum = checksum_named("nmea")

# Type and number of a transducer by parameter. The sheet has the types; the numbers are general
# knowledge (WXT530 user guide, XDR).
_TRANSDUCERS = {
    "Dn": ("A", 0),
    "Dm": ("A", 1),
    "Dx": ("A", 2),
    "Sn": ("S", 0),
    "Sm": ("S", 1),
    "Sx": ("S", 2),
    "Ta": ("C", 0),
    "Ua": ("H", 0),
    "Pa": ("P", 0),
    "Rc": ("V", 0),
    "Rd": ("Z", 0),
    "Ri": ("R", 0),
    "Hc": ("V", 1),
    "Hd": ("Z", 1),
    "Hi": ("R", 1),
    "Rp": ("R", 2),
    "Hp": ("R", 3),
    "Th": ("C", 2),
    "Vh": ("U", 0),
    "Vs": ("U", 1),
    "Vr": ("U", 2),
}
_TEXT_NUMBERS = {
    "Unable to measure error": 1,
    "Sync/address error": 2,
    "Unknown cmd error": 3,
    "Start-up": 7,
    "Measurement reset": 8,
    "Rain reset": 9,
    "Inty reset": 10,
}


def ascii_line(body: str, *, checksummed: bool) -> bytes:
    """Give a line, with its end."""
    line = body.encode("latin-1", "replace")
    return line + (crc(line) if checksummed else b"") + b"\r\n"


def nmea_line(fields: Sequence[str]) -> bytes:
    """Give a sentence of the weather instrument, with its end."""
    line = ("$WI" + ",".join(fields)).encode("latin-1", "replace")
    return line + _nmea_sum(line) + b"\r\n"


def text_line(unit: VaisalaWXT530, text: str, *, checksummed: bool) -> bytes:
    """Give a text, as the mode has it."""
    number = next((code for begin, code in _TEXT_NUMBERS.items() if text == begin), 0)
    if unit.speaks_nmea and number:
        return nmea_line(["TXT", "01", "01", f"{number:02d}", text])
    letter = "t" if checksummed else "T"
    return ascii_line(f"{unit.address}{letter}X,{text}", checksummed=checksummed)


def data_line(unit: VaisalaWXT530, digit: str, *, checksummed: bool) -> bytes:
    """Give one message of values; empty: none has been chosen."""
    if digit == COMPOSITE:
        values: dict[str, Text] = {}
        for group in DIGITS.values():
            values |= chosen(unit, group, composite=True)
    else:
        values = chosen(unit, DIGITS[digit], composite=False)
    if not values:
        return b""
    letter = "r" if checksummed else "R"
    parts = [f"{name}={text.number}{text.unit}" for name, text in values.items()]
    body = ",".join([f"{unit.address}{letter}{digit}", *parts])
    return ascii_line(body, checksummed=checksummed)


def nmea_groups(unit: VaisalaWXT530, sentence: str) -> list[str]:
    """Give the groups that are in sentences of a kind, ``MWV`` or ``XDR``."""
    wind_apart = unit.settings.get("W", "N") == "W"
    if sentence == "MWV":
        return ["W"] if wind_apart else []
    return [group for group in DIGITS.values() if group != "W" or not wind_apart]


def nmea_lines(unit: VaisalaWXT530, group: str) -> bytes:
    """Give the sentence of one group; empty: nothing has been chosen."""
    if group == "W" and unit.settings.get("W", "N") == "W":
        return _wind_sentence(unit)
    fields = []
    for name, text in chosen(unit, group, composite=False).items():
        kind, number = _TRANSDUCERS[name]
        fields += [kind, text.number, text.unit, str(number)]
    return nmea_line(["XDR", *fields]) if fields else b""


def _wind_sentence(unit: VaisalaWXT530) -> bytes:
    values = chosen(unit, "W", composite=False)
    direction, speed = values.get("Dm"), values.get("Sm")
    if direction is None or speed is None:
        return b""
    if not (direction.valid and speed.valid):
        return nmea_line(["MWV", "", "R", "", "", "V"])
    return nmea_line(["MWV", direction.number, "R", speed.number, speed.unit, "A"])
