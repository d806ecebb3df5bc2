"""Frames of Modbus on the wire: MBAP over TCP, RTU with its checksum; bytes in, frames out.

Sources: MODBUS Application Protocol Specification V1.1b3 (sizes of requests, chapter 6), MODBUS
Messaging on TCP/IP Implementation Guide V1.0b (MBAP header, 3.1.3), MODBUS over Serial Line
V1.02 (RTU framing, 2.5.1; CRC, 6.2.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

LONGEST_PDU = 253
"""Bytes of function code and data (Application Protocol, 4.1)."""
_MBAP = struct.Struct(">HHHB")
_LONGEST_RTU = 256
# Requests of a fixed length, and where the others have their count of bytes.
_FIXED_RTU = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10, 24: 6}
_COUNT_AT = {15: 6, 16: 6, 20: 2, 21: 2, 23: 10}


@dataclass(frozen=True, slots=True)
class Request:
    """What a frame carries."""

    unit: int
    """Address of the device; 0 on a serial line: all of them."""
    pdu: bytes
    """Function code and data."""
    transaction: int = 0
    """What the reply repeats; RTU has none."""


def crc16(data: bytes) -> int:
    """Give the checksum of an RTU frame (Serial Line, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """Give the bytes on a serial line."""
    body = bytes([unit]) + pdu
    return body + struct.pack("<H", crc16(body))


def mbap_frame(unit: int, pdu: bytes, transaction: int) -> bytes:
    """Give the bytes on a TCP connection."""
    return _MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def unframe(message: bytes, *, rtu: bool) -> Request | None:
    """Read one frame; None: it is damaged, and nobody answers it."""
    if rtu:
        if not 4 <= len(message) <= _LONGEST_RTU or rtu_frame(message[0], message[1:-2]) != message:
            return None
        return Request(message[0], message[1:-2])
    if len(message) < 8:
        return None
    transaction, protocol, length, unit = _MBAP.unpack_from(message)
    if protocol != 0 or length != len(message) - 6:
        return None
    return Request(unit, message[7:], transaction)


class MbapFramer:
    """Cuts a TCP stream at the lengths in its headers.

    A header that can be none makes the bytes that have come with it worthless; they are dropped.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the frames that are now complete."""
        self._pending += data
        frames = []
        while len(self._pending) >= _MBAP.size:
            _, protocol, length, _ = _MBAP.unpack_from(self._pending)
            if protocol != 0 or not 2 <= length <= LONGEST_PDU + 1:
                frames.append(bytes(self._pending))
                self._pending.clear()
                break
            if len(self._pending) < 6 + length:
                break
            frames.append(bytes(self._pending[: 6 + length]))
            del self._pending[: 6 + length]
        return frames


class RtuFramer:
    """Cuts a serial stream where the function code says, or at a silence.

    After a damaged frame it listens to nothing before the next silence, as a device does that
    goes by the 3.5 characters between frames.
    """

    gap_s = 0.0
    """Nothing beside the silence that the line itself needs."""

    def __init__(self) -> None:
        """Start after a silence."""
        self._pending = bytearray()
        self._deaf = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the frames that are now complete, good or damaged."""
        frames: list[bytes] = []
        if self._deaf:
            return frames
        self._pending += data
        while not self._deaf and (length := self._length()) is not None:
            if len(self._pending) < length:
                break
            frame = bytes(self._pending[:length])
            self._deaf = unframe(frame, rtu=True) is None
            frames.append(bytes(self._pending) if self._deaf else frame)
            del self._pending[: None if self._deaf else length]
        return frames

    def silence(self) -> list[bytes]:
        """Take what is pending for a frame; unfinished, it is a damaged one."""
        frames = [bytes(self._pending)] if self._pending else []
        self._pending.clear()
        self._deaf = False
        return frames

    def _length(self) -> int | None:
        """Length of the frame that has begun; None: only silence will tell."""
        if len(self._pending) < 2:
            return None
        function = self._pending[1]
        if function in _FIXED_RTU:
            return _FIXED_RTU[function]
        at = _COUNT_AT.get(function)
        if at is not None:
            return at + 3 + self._pending[at] if len(self._pending) > at else None
        # Longer than any frame: damaged, whatever it is.
        return _LONGEST_RTU + 1 if len(self._pending) > _LONGEST_RTU else None
