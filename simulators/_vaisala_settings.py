"""The settings of a WXT530, as ``0XU``, ``0WU``, ``0TU``, ``0RU`` and ``0SU`` have them.

The sheet names the groups, ``M``, ``C``, ``B``, ``I`` and ``L`` of the first, and ``R`` and ``I``
of the others. The further fields are general knowledge (Vaisala, WXT530 user guide); what there is
neither a sheet nor a use for is left out. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["AUTOMATIC", "CHECKSUMMED", "MODES", "NMEA", "SettingError", "Settings"]

MODES = "AaPpNQ"
"""Message modes: automatic, automatic with CRC, polled, polled with CRC, NMEA, NMEA by query."""
AUTOMATIC, NMEA, CHECKSUMMED = "AaN", "NQ", "ap"
"""Those in which lines come unasked; in NMEA; and with a checksum."""

_MASK = re.compile(r"[01]{8}&[01]{8}")
_WHOLE = re.compile(r"-?[0-9]{1,6}")
_ADDRESS = re.compile(r"[0-9A-Za-z]")


class SettingError(Exception):
    """A setting that there is not, or that cannot be; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting."""

    default: str
    """As it comes."""
    words: tuple[str, ...] = ()
    """What it can be; empty: see the others."""
    low: int = 0
    high: int = 0
    """Smallest and largest of a whole number; equal: it is none."""
    shape: re.Pattern[str] | None = None
    """What it looks like."""

    def accepts(self, text: str) -> bool:
        """Tell whether it can be *text*."""
        if self.words:
            return text in self.words
        if self.shape is not None:
            return self.shape.fullmatch(text) is not None
        return bool(_WHOLE.fullmatch(text)) and self.low <= int(text) <= self.high


def _mask(default: str) -> Field:
    return Field(default, shape=_MASK)


def _whole(default: int, low: int, high: int) -> Field:
    return Field(str(default), low=low, high=high)


def _word(words: str, default: str = "") -> Field:
    return Field(default or words[0], words=tuple(words))


def _fixed(text: str) -> Field:
    return Field(text, shape=re.compile(r"(?!)"))


_BAUDS = ("1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200")

FIELDS: Mapping[str, Mapping[str, Field]] = {
    "X": {
        "A": Field("0", shape=_ADDRESS),
        "M": _word(MODES),
        "C": _word("1234", "2"),
        "I": _whole(0, 0, 3600),
        "B": Field("19200", words=_BAUDS),
        "D": _word("78", "8"),
        "P": _word("NEO"),
        "S": _word("12"),
        "L": _whole(25, 0, 10_000),
        "N": _fixed("WXT530"),
        "V": _fixed("1.00"),
    },
    "W": {
        "R": _mask("11111100&01001000"),
        "I": _whole(5, 1, 3600),
        "A": _whole(3, 1, 3600),
        "U": _word("MKSN"),
        "D": _whole(0, -180, 180),
        "N": _word("WT"),
    },
    "T": {
        "R": _mask("11010000&11010000"),
        "I": _whole(60, 1, 3600),
        "P": _word("HPBMI"),
        "T": _word("CF"),
    },
    "R": {
        "R": _mask("11111111&10110100"),
        "I": _whole(60, 1, 3600),
        "U": _word("MI"),
        "S": _word("MIH"),
        "Z": _word("MA"),
    },
    "S": {
        "R": _mask("11110000&11000000"),
        "I": _whole(15, 1, 3600),
        "S": _word("YN"),
        "H": _word("YN"),
    },
}
"""Fields by group and letter, in the order in which they are shown."""


class Settings:
    """All of them, as texts."""

    def __init__(self, *, address: str) -> None:
        """Have the defaults, and this *address*."""
        self._values = {
            group: {letter: field.default for letter, field in fields.items()}
            for group, fields in FIELDS.items()
        }
        self._values["X"]["A"] = address

    def get(self, group: str, letter: str) -> str:
        """Give one of them."""
        return self._values[group][letter]

    def number(self, group: str, letter: str) -> int:
        """Give one that is a whole number."""
        return int(self._values[group][letter])

    def set(self, group: str, letter: str, text: str) -> None:
        """Change one that can be *text*."""
        self._values[group][letter] = text

    def mask(self, group: str, *, composite: bool) -> str:
        """Give the eight bits that choose what is in a message of the group, or in the common."""
        single, common = self._values[group]["R"].split("&")
        return common if composite else single

    def show(self, group: str, letters: list[str] | None = None) -> str:
        """Give the fields of *letters*, or all of a group: ``M=P,C=2``."""
        values = self._values[group]
        return ",".join(f"{letter}={values[letter]}" for letter in letters or values)

    def change(self, group: str, text: str) -> list[str]:
        """Change all fields in *text*, such as ``M=P,C=2``, and give their letters.

        Raises:
            SettingError: one of them is unknown or cannot be so; none has changed.
        """
        wanted = {}
        for part in text.split(","):
            letter, equals, value = part.partition("=")
            field = FIELDS[group].get(letter)
            if not equals or field is None or not field.accepts(value):
                raise SettingError(part)
            wanted[letter] = value
        self._values[group] |= wanted
        return list(wanted)
