"""Modbus frames: a request wrapped for the wire, and its answer found in what comes back.

Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1 (MBAP), and MODBUS over
Serial Line V1.02, section 2.5.1 (RTU).
"""

from __future__ import annotations

import struct

from drivers.framing.base import SaidAbsent
from mktl.errors import ProtocolMismatch

__all__ = ["MbapFraming", "RtuFraming", "crc16", "mbap_frame", "rtu_frame"]

EXCEPTION = 0x80
"""This bit of the function code marks an exception reply."""
TARGET_SILENT = 11
"""The exception of a gateway that got no answer from the unit."""

_HEADER = struct.Struct(">HHHB")
_LONGEST_PDU = 253
_RTU_LENGTHS = {5: 8, 6: 8, 7: 5, 8: 8, 11: 8, 15: 8, 16: 8, 22: 10}
_ANSWERED_ALIKE = (5, 6, 8, 22)
"""The reply to these, if all went well, is what was asked."""
_RTU_COUNTED = (1, 2, 3, 4, 12, 17, 20, 21, 23)
_RTU_SHORTEST, _RTU_LONGEST = 4, 256


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def crc16(data: bytes, first: int = 0xFFFF) -> int:
    """Return the CRC of the RTU frame that begins with *data*; it is sent low byte first.

    Another *first* makes it one that begins otherwise, with the same polynomial.
    """
    crc = first
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def mbap_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return *pdu* (function code and data) as it is sent over Modbus TCP."""
    return _HEADER.pack(transaction & 0xFFFF, 0, len(pdu) + 1, unit) + pdu


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """Return *pdu* as it is sent over a serial line."""
    frame = bytes((unit,)) + pdu
    return frame + crc16(frame).to_bytes(2, "little")


def _checked(pdu: bytes, unit: int, function: int) -> bytes:
    """Return *pdu*, the answer of *unit* to *function*, unless it says that there is no answer."""
    if pdu[0] == function:
        return pdu
    if pdu[0] != function | EXCEPTION or len(pdu) != 2:
        raise ProtocolMismatch(
            f"function {function} of unit {unit} was asked, and {pdu.hex(' ')} answered"
        )
    if pdu[1] == TARGET_SILENT:
        raise SaidAbsent(f"the gateway answered that unit {unit} did not answer it (exception 11)")
    return pdu


class MbapFraming:
    """Replies of Modbus TCP, told from late ones by their transaction number.

    Gives back the PDU of each reply, its header checked.
    """

    def __init__(self) -> None:
        """Begin with an empty buffer, and nothing asked."""
        self._buffer = b""
        self._asked = (-1, 0, 0)

    @property
    def pending(self) -> bytes:
        """What has come and was not given back yet."""
        return self._buffer

    def sent(self, message: bytes) -> None:
        """Note what is about to be asked."""
        transaction, _, _, unit = _HEADER.unpack_from(message)
        self._asked = (transaction, unit, message[_HEADER.size])

    def feed(self, data: bytes) -> None:
        """Add *data*, as it came."""
        self._buffer += data

    def next_reply(self) -> bytes | None:
        """Return the reply to what was asked last; late replies to what was asked before are lost.

        Raises:
            ProtocolMismatch: this is no Modbus TCP, or it answers for another unit or function.
            SaidAbsent: a gateway says that the unit did not answer.
        """
        while len(self._buffer) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(self._buffer)
            if protocol != 0 or not 2 <= length <= _LONGEST_PDU + 1:
                raise ProtocolMismatch(f"{self.clear()[:40].hex(' ')} is no Modbus TCP reply")
            if len(self._buffer) < 6 + length:
                return None
            pdu = self._buffer[_HEADER.size : 6 + length]
            self._buffer = self._buffer[6 + length :]
            if transaction != self._asked[0]:
                continue
            if unit != self._asked[1]:
                raise ProtocolMismatch(f"unit {self._asked[1]} was asked, and unit {unit} answered")
            return _checked(pdu, unit, self._asked[2])
        return None

    def clear(self) -> bytes:
        """Forget everything that is pending, and return it."""
        forgotten, self._buffer = self._buffer, b""
        return forgotten


class RtuFraming:
    """Replies of a serial line, told from others by unit and function, and checked by their CRC.

    Nothing in a reply says to which of two equal-looking questions it is the answer: after a
    timeout the line has to be put back in step by other means. Gives back the PDU.
    """

    def __init__(self) -> None:
        """Begin with an empty buffer, and nothing asked."""
        self._buffer = b""
        self._sent = b""
        self._unit, self._function = -1, 0

    @property
    def pending(self) -> bytes:
        """What has come and was not given back yet."""
        return self._buffer

    def sent(self, message: bytes) -> None:
        """Note what is about to be asked."""
        self._sent = message
        self._unit, self._function = message[0], message[1]

    def feed(self, data: bytes) -> None:
        """Add *data*, as it came."""
        self._buffer += data

    def next_reply(self) -> bytes | None:
        """Return the reply to what was asked last; frames of others are lost.

        Raises:
            ProtocolMismatch: a frame is damaged, or where it ends cannot be known.
            SaidAbsent: a gateway says that the unit did not answer.
        """
        self._refuse_echo()
        while (length := self._frame_length()) is not None:
            frame = self._buffer[:length]
            if crc16(frame) != 0:  # that of a whole frame, its own CRC included
                if len(self._buffer) < len(self._sent) and self._sent.startswith(self._buffer):
                    return None  # the rest of an echo may be on its way
                raise ProtocolMismatch(f"{self.clear()[:40].hex(' ')} came back damaged (CRC)")
            self._buffer = self._buffer[length:]
            if frame[0] == self._unit and frame[1] & ~EXCEPTION == self._function:
                return _checked(frame[1:-2], self._unit, self._function)
        return None

    def clear(self) -> bytes:
        """Forget everything that is pending, and return it."""
        forgotten, self._buffer = self._buffer, b""
        return forgotten

    def _refuse_echo(self) -> None:
        """Raise a ProtocolMismatch if what was sent came back, and no reply looks so."""
        if self._function in _ANSWERED_ALIKE or not self._sent:
            return
        if self._buffer.startswith(self._sent):
            raise ProtocolMismatch(
                f"{self.clear()[:40].hex(' ')} came back, which is what was sent: the line sends "
                f"back what it is told (if its adapter does so, set echo = true)"
            )

    def _frame_length(self) -> int | None:
        """Return the length of the first frame; ``None`` while it is not all there."""
        if len(self._buffer) < _RTU_SHORTEST:
            return None
        function = self._buffer[1]
        if function & EXCEPTION:
            length = 5
        elif function in _RTU_COUNTED:
            length = 5 + self._buffer[2]
        elif function in _RTU_LENGTHS:
            length = _RTU_LENGTHS[function]
        else:
            return self._length_by_crc(function)
        return length if len(self._buffer) >= length else None

    def _length_by_crc(self, function: int) -> int | None:
        """Return where the CRC first fits, for functions that we know nothing of."""
        if function != self._function or len(self._buffer) > _RTU_LONGEST:
            raise ProtocolMismatch(f"{self.clear()[:40].hex(' ')} came back: no frame that we know")
        crc = crc16(self._buffer[: _RTU_SHORTEST - 1])
        for end in range(_RTU_SHORTEST, len(self._buffer) + 1):
            crc = crc16(self._buffer[end - 1 : end], crc)
            if crc == 0:
                return end
        return None
