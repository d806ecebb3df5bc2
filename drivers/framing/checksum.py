"""Check sums at the end of lines of text, by name. Pure.

None of them has a control character in it that could look like a terminator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import xor

from drivers._suggest import suggestion
from drivers.framing.modbus import crc16
from mktl.errors import ConfigurationError

__all__ = ["CHECKSUMS", "Checksum", "WrongChecksum", "checksum_named"]


class WrongChecksum(ValueError):
    """A line whose check sum is wrong, or that has none."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """A way to see that no character of a line was changed on its way."""

    name: str
    """As it is called in a file."""
    length: int
    """How many characters it has."""
    of: Callable[[bytes], bytes]
    """Returns the characters that follow the given ones."""
    any_case: bool = True
    """Whether letters in it may be small or large; else they are taken as they are."""

    def added(self, line: bytes) -> bytes:
        """Return *line* with its check sum behind it."""
        return line + self.of(line)

    def removed(self, line: bytes) -> bytes:
        """Return *line* without its check sum, which is right.

        Raises:
            WrongChecksum: it is not, or *line* is too short to have one.
        """
        if len(line) <= self.length:
            raise WrongChecksum(f"{line!r} is too short for a check sum {self.name!r}")
        text, came = line[: -self.length], line[-self.length :]
        due = self.of(text)
        same = came.upper() == due.upper() if self.any_case else came == due
        if not same:
            raise WrongChecksum(
                f"the check sum {self.name!r} of {line!r} is {came!r}, and should be {due!r}"
            )
        return text


def _hex(value: int, digits: int) -> bytes:
    return f"{value:0{digits}X}".encode("ascii")


def _sum8_hex(line: bytes) -> bytes:
    return _hex(sum(line) & 0xFF, 2)


def _sum16_hex(line: bytes) -> bytes:
    return _hex(sum(line) & 0xFFFF, 4)


def _sum8_dec(line: bytes) -> bytes:
    return f"{sum(line) & 0xFF:03d}".encode("ascii")


def _lrc_hex(line: bytes) -> bytes:
    return _hex(-sum(line) & 0xFF, 2)


def _xor8_hex(line: bytes) -> bytes:
    return _hex(reduce(xor, line, 0), 2)


def _nmea(line: bytes) -> bytes:
    return b"*" + _xor8_hex(line[1:])


def _zaber(line: bytes) -> bytes:
    return b":" + _lrc_hex(line[1:])


def _crc16_modbus_hex(line: bytes) -> bytes:
    return _hex(crc16(line), 4)


def _crc16_vaisala(line: bytes) -> bytes:
    crc = crc16(line, 0)
    return bytes(0x40 | bits for bits in (crc >> 12, (crc >> 6) & 0x3F, crc & 0x3F))


def _crc16_ccitt_hex(line: bytes) -> bytes:
    crc = 0
    for byte in line:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return _hex(crc, 4)


CHECKSUMS: dict[str, Checksum] = {
    made.name: made
    for made in (
        Checksum("sum8-hex", 2, _sum8_hex),
        Checksum("sum8-dec", 3, _sum8_dec),
        Checksum("sum16-hex", 4, _sum16_hex),
        Checksum("lrc-hex", 2, _lrc_hex),
        Checksum("xor8-hex", 2, _xor8_hex),
        Checksum("crc16-modbus-hex", 4, _crc16_modbus_hex),
        Checksum("crc16-ccitt-hex", 4, _crc16_ccitt_hex),
        Checksum("crc16-vaisala", 3, _crc16_vaisala, any_case=False),
        Checksum("nmea", 3, _nmea),
        Checksum("zaber", 3, _zaber),
    )
}
"""By name:

- ``sum8-hex``, ``sum16-hex``: sum of all bytes, as 2 or 4 hexadecimal digits;
- ``sum8-dec``: the same modulo 256 as 3 decimal digits (Pfeiffer Vacuum protocol);
- ``lrc-hex``: two's complement of the sum of all bytes, 2 hexadecimal digits;
- ``xor8-hex``: exclusive or of all bytes, 2 hexadecimal digits;
- ``crc16-modbus-hex``: CRC-16 of Modbus, 4 hexadecimal digits, high byte first;
- ``crc16-ccitt-hex``: polynomial 0x1021, begins with 0 (XMODEM), 4 hexadecimal digits;
- ``crc16-vaisala``: CRC-16 in 3 printable characters (Vaisala WXT manual, appendix on the CRC);
- ``nmea``: ``*`` and the exclusive or of all but the first character (NMEA 0183);
- ``zaber``: ``:`` and the ``lrc-hex`` of all but the first character (Zaber ASCII protocol).
"""


def checksum_named(name: object) -> Checksum:
    """Return the check sum called *name*.

    Raises:
        ConfigurationError: there is none; the text has the nearest names.
    """
    if isinstance(name, str) and name in CHECKSUMS:
        return CHECKSUMS[name]
    raise ConfigurationError(f"unknown check sum {name!r}: {suggestion(str(name), CHECKSUMS)}")
