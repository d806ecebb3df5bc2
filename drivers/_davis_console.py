"""What a Davis console means by its answers: strict readers, and checks of arguments. Pure.

Source: the sheet of the instrument, section "Commands". General knowledge, of the serial
communication reference of Davis, are the bits of the setup byte and the form of ``SETTIME``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from mktl.errors import BadValue, ConfigurationError

__all__ = [
    "ALTITUDE",
    "ARCHIVE_PERIOD",
    "ASK_STATION",
    "RAIN_YEAR",
    "SETUP",
    "TIME_FORMAT",
    "Setting",
    "Value",
    "checked_silence",
    "eeprom_query",
    "from_text",
    "now_and",
    "raw_message",
    "time_bytes",
    "to_ok_text",
    "to_station",
    "to_time",
]

Value = TypeVar("Value")

ASK_STATION = b"WRD\x12\x4d\n"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

_STATIONS = {16: "Vantage Pro or Pro2", 17: "Vantage Vue"}
_CLICKS_UM = {0: 254, 1: 200, 2: 100}
"""Micrometres of rain, by bits 4 and 5 of the setup: 0.01 inch, 0.2 mm, 0.1 mm."""
_LEAST_SILENCE_S = 3.0
_RAW = re.compile(r"TEST|N?VER|GETTIME|EEBRD ([0-9A-F]{2}) (?!00)([0-9A-F]{2})")
_MOST_EEPROM = 0x100


@dataclass(frozen=True, slots=True)
class Setting(Generic[Value]):
    """Something that stands in the EEPROM of a console."""

    address: int
    """Where."""
    length: int
    """How many bytes."""
    read: Callable[[bytes], Value]
    """What they mean; raises ValueError."""


def _click_um(data: bytes) -> int | None:
    return _CLICKS_UM.get(data[0] >> 4 & 3)


def _month(data: bytes) -> int:
    if not 1 <= data[0] <= 12:
        raise ValueError(f"{data[0]} is no month")
    return data[0]


def _minutes(data: bytes) -> int:
    if not 1 <= data[0] <= 120:
        raise ValueError(f"{data[0]} min is no period of an archive")
    return data[0]


SETUP = Setting(0x2B, 1, _click_um)
"""Of it, micrometres of rain that a click of the bucket means; ``None``: it says none we know."""
RAIN_YEAR = Setting(0x2C, 1, _month)
ARCHIVE_PERIOD = Setting(0x2D, 1, _minutes)
ALTITUDE = Setting(0x0F, 2, lambda data: int.from_bytes(data, "little", signed=True))


def to_station(data: bytes) -> str:
    """Read the answer to ``WRD``, without its ACK.

    Raises:
        ValueError: it is anything else.
    """
    if len(data) != 1 or data[0] not in _STATIONS:
        raise ValueError(f"{data!r} is none of {', '.join(map(str, _STATIONS))}")
    return _STATIONS[data[0]]


def to_ok_text(data: bytes) -> str:
    """Read the answer to ``VER`` or ``NVER``: two lines, the first one OK.

    Raises:
        ValueError: it is anything else.
    """
    text = data.decode("ascii")
    ok, _, said = text.partition("\n")
    if ok.strip() != "OK" or not said.strip() or not said.isprintable():
        raise ValueError("OK and a text are due")
    return said.strip()


def to_time(data: bytes) -> datetime:
    """Read the answer to ``GETTIME``, without its ACK and its check sum.

    Raises:
        ValueError: it is no time.
    """
    second, minute, hour, day, month, year = data
    return datetime(1900 + year, month, day, hour, minute, second)


def time_bytes(when: object) -> bytes:
    """Return *when* as ``SETTIME`` takes it, without a check sum.

    Raises:
        BadValue: it has a time zone, or is out of range.
    """
    if not isinstance(when, datetime) or when.tzinfo is not None:
        raise BadValue(f"the console takes a local time without a time zone, not {when!r}")
    if not 2000 <= when.year <= 2099:
        raise BadValue(f"the console takes times of 2000 to 2099, not {when}")
    return bytes((when.second, when.minute, when.hour, when.day, when.month, when.year - 1900))


def from_text(text: str) -> datetime:
    """Read a time as people write it here.

    Raises:
        BadValue: it is none.
    """
    try:
        return datetime.strptime(text.strip(), TIME_FORMAT)
    except ValueError:
        raise BadValue(f"{text!r} is not a time like 2026-01-31 23:59:59") from None


def now_and(ahead_s: float) -> datetime:
    """Return the time of this machine and *ahead_s*, to the nearest second.

    Raises:
        BadValue: that is no number of seconds.
    """
    if isinstance(ahead_s, bool) or not isinstance(ahead_s, int | float):
        raise BadValue(f"how far the clock is ahead is a number of seconds, not {ahead_s!r}")
    if not math.isfinite(ahead_s) or abs(ahead_s) > 86400:
        raise BadValue(f"the clock can be set at most a day ahead or behind, not {ahead_s:g} s")
    when = datetime.now() + timedelta(seconds=ahead_s + 0.5)
    return when.replace(microsecond=0)


def eeprom_query(address: int, count: int) -> bytes:
    """Return what asks for *count* bytes of the EEPROM.

    Raises:
        BadValue: they are not all there.
    """
    for number in (address, count):
        if isinstance(number, bool) or not isinstance(number, int):
            raise BadValue(f"an address and a count of bytes are whole numbers, not {number!r}")
    if not (address >= 0 and 1 <= count <= 0xFF and address + count <= _MOST_EEPROM):
        raise BadValue(
            f"the EEPROM has 256 bytes, of which up to 255 can be asked for, not {count} at "
            f"{address:#x}"
        )
    return f"EEBRD {address:02X} {count:02X}\n".encode("ascii")


def raw_message(text: str) -> bytes:
    """Return what is sent for *text*, a command whose answer is known.

    Raises:
        BadValue: it is another one.
    """
    command = " ".join(text.upper().split())
    if command == "WRD":
        return ASK_STATION
    if not _RAW.fullmatch(command):
        raise BadValue(
            f"{text!r} cannot be sent: only TEST, VER, NVER, GETTIME, WRD and EEBRD 2B 01 can, as "
            f"where the answer to anything else ends is not known"
        )
    return command.encode("ascii") + b"\n"


def checked_silence(found: object) -> float:
    """Return the setting ``silence_s``.

    Raises:
        ConfigurationError: it is not a time in which a packet could come.
    """
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ConfigurationError(f"silence_s must be a number of seconds, not {found!r}")
    if not (math.isfinite(found) and found >= _LEAST_SILENCE_S):
        raise ConfigurationError(
            f"silence_s must be at least {_LEAST_SILENCE_S:g}, as a packet comes about every 2 s, "
            f"not {found:g}"
        )
    return float(found)
