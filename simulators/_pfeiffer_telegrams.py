"""Telegrams of the Pfeiffer vacuum protocol, and the data in them.

Pure: bytes in, a checked telegram out, or None for what a unit does not answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

READ, WRITE = "0", "1"
"""The action of a telegram; a reply has that of a write."""
ASK = "=?"
"""The data of a read request."""
LONGEST_TELEGRAM = 3 + 1 + 1 + 3 + 2 + 99 + 3
"""Characters, without the CR at the end."""

_TELEGRAM = re.compile(rb"(\d{3})([01])0(\d{3})(\d{2})([\x20-\x7e]*)(\d{3})")


class Complaint(StrEnum):
    """Data of a reply that says what was wrong (sheet)."""

    NO_DEF = "NO_DEF"
    RANGE = "_RANGE"
    LOGIC = "_LOGIC"


class RefusedError(Exception):
    """A request that is not obeyed; nothing has changed."""

    def __init__(self, complaint: Complaint) -> None:
        """Remember what the reply says."""
        super().__init__(complaint.value)
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Telegram:
    """One request or reply."""

    address: int
    action: str
    """`READ` or `WRITE`."""
    parameter: int
    data: str

    def encoded(self) -> bytes:
        """Give its bytes, with checksum and CR."""
        body = (
            f"{self.address:03d}{self.action}0{self.parameter:03d}{len(self.data):02d}{self.data}"
        ).encode("ascii")
        return body + f"{checksum(body):03d}\r".encode("ascii")


def checksum(body: bytes) -> int:
    """Give the sum of all characters, modulo 256."""
    return sum(body) % 256


def parse(message: bytes) -> Telegram | None:
    """Read a message without its CR; None: malformed, or its checksum is wrong."""
    match = _TELEGRAM.fullmatch(message)
    if match is None:
        return None
    address, action, parameter, length, data, check = match.groups()
    if int(length) != len(data) or int(check) != checksum(message[:-3]):
        return None
    return Telegram(int(address), action.decode(), int(parameter), data.decode("ascii"))


# -- data ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DataType:
    """How a value is written; sheet, "data types"."""

    width: int
    """Characters."""
    encode: Callable[[float], str]
    """Gives the text of a value."""
    decode: Callable[[str], float]
    """Gives the value of a text of the right width, or raises `RefusedError`."""


def _digits(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise RefusedError(Complaint.RANGE)
    return int(text)


def _clipped(value: float, width: int) -> str:
    most = 10**width - 1
    return f"{min(max(0, round(value)), most):0{width}d}"


def _boolean(text: str) -> float:
    if text not in ("000000", "111111"):
        raise RefusedError(Complaint.RANGE)
    return float(text == "111111")


def _exponent(hpa: float) -> str:
    """Write a pressure as ``mmmmee``: mmmm / 1000 times ten to the power of ee - 20."""
    if hpa <= 0:
        return "000000"
    exponent = math.floor(math.log10(hpa))
    mantissa = round(hpa / 10.0**exponent * 1000)
    if mantissa == 10_000:
        mantissa, exponent = 1000, exponent + 1
    return f"{mantissa:04d}{exponent + 20:02d}"


def _pressure(text: str) -> float:
    digits = f"{_digits(text):06d}"
    return int(digits[:4]) / 1000.0 * 10.0 ** (int(digits[4:]) - 20)


BOOLEAN = DataType(6, lambda value: "111111" if value else "000000", _boolean)
"""boolean_old."""
INTEGER = DataType(6, lambda value: _clipped(value, 6), _digits)
"""u_integer."""
REAL = DataType(6, lambda value: _clipped(value * 100, 6), lambda text: _digits(text) / 100)
"""u_real."""
SHORT = DataType(3, lambda value: _clipped(value, 3), _digits)
"""u_short_int."""
EXPONENT = DataType(6, _exponent, _pressure)
"""u_expo_new."""
TEXT_WIDTH = 6
"""Characters of a string."""
