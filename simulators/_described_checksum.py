"""Checksums of lines of text, by the names that instrument files call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import xor

from simulators._names import unknown_name
from simulators.device import SimulatorError

__all__ = ["CHECKSUMS", "checksum_named"]


def _sum8(data: bytes) -> int:
    return sum(data) % 256


def _xor8(data: bytes) -> int:
    return reduce(xor, data, 0)


def _crc16_of_byte(byte: int) -> int:
    # Polynomial 0x8005, least significant bit first.
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


# Streams made fast are checked thousands of times in a second.
_CRC16 = tuple(_crc16_of_byte(byte) for byte in range(256))


def _crc16(data: bytes, first: int) -> int:
    crc = first
    for byte in data:
        crc = crc >> 8 ^ _CRC16[(crc ^ byte) & 0xFF]
    return crc


def _crc16_xmodem(data: bytes) -> int:
    # Polynomial 0x1021, most significant bit first, begins with zeros.
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def _vaisala(data: bytes) -> bytes:
    # WXT530 manual, appendix "CRC-16 computation": six bits in each of three characters.
    crc = _crc16(data, 0)
    return bytes([0x40 | crc >> 12, 0x40 | crc >> 6 & 0x3F, 0x40 | crc & 0x3F])


CHECKSUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "sum8-hex": lambda data: b"%02X" % _sum8(data),
    "sum8-dec": lambda data: b"%03d" % _sum8(data),
    "sum16-hex": lambda data: b"%04X" % (sum(data) % 0x10000),
    "xor8-hex": lambda data: b"%02X" % _xor8(data),
    "lrc-hex": lambda data: b"%02X" % (-sum(data) % 256),
    "crc16-modbus-hex": lambda data: b"%04X" % _crc16(data, 0xFFFF),
    "crc16-ccitt-hex": lambda data: b"%04X" % _crc16_xmodem(data),
    "crc16-vaisala": _vaisala,
    # These two leave out the first character: $ or !, and @ or /.
    "nmea": lambda data: b"*%02X" % _xor8(data[1:]),
    "zaber": lambda data: b":%02X" % (-sum(data[1:]) % 256),
}
"""What is appended to the bytes of a line, before its terminator, by name."""


def checksum_named(name: str) -> Callable[[bytes], bytes]:
    """Return the checksum of this name.

    Raises:
        SimulatorError: there is none.
    """
    if name not in CHECKSUMS:
        raise SimulatorError(unknown_name("checksum", name, CHECKSUMS))
    return CHECKSUMS[name]
