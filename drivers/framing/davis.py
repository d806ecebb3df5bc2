"""What a Davis console says: texts, signs, data with a CRC, and a stream of LOOP packets. Pure.

Source: the sheet of the instrument, sections "Transport", "Commands" and "LOOP packet".
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from mktl.errors import ProtocolMismatch

__all__ = [
    "ACK",
    "COMMANDS",
    "CRLF",
    "NAKS",
    "PACKET_LENGTH",
    "Damage",
    "DavisReplies",
    "is_packet",
    "with_crc",
]

ACK = b"\x06"
NAKS = {
    b"\x21": "it does not know that",
    b"\x15": "it does not know that, or did not understand it",
    b"\x18": "the check sum was wrong when it arrived",
}
"""The signs in the place of an ACK, in words."""
CRLF = b"\n\r"
"""The end of a line, in the order of the console."""
PACKET_LENGTH = 99

_HEAD = b"LOO"
_LIMIT = 4096
_WORD = re.compile(rb"([A-Z]+)(?: |\n|\x12)")
_EEBRD = re.compile(rb"EEBRD [0-9A-F]{2} ([0-9A-F]{2})\n")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a command is answered with."""

    lines: int = 0
    """So many lines of text, each between two CRLF."""
    data: int = 0
    """So many bytes behind an ACK, check sum not counted."""
    checked: bool = False
    """Whether a check sum follows them."""
    streams: bool = False
    """Whether packets follow, and go on."""


COMMANDS = {
    b"TEST": _Answer(lines=1),
    b"VER": _Answer(lines=2),
    b"NVER": _Answer(lines=2),
    b"WRD": _Answer(data=1),
    b"GETTIME": _Answer(data=6, checked=True),
    b"SETTIME": _Answer(),
    b"LOOP": _Answer(streams=True),
}
"""The commands that we know the answer to, beside ``EEBRD``; all else is answered by a sign."""


@dataclass(slots=True)
class Damage:
    """What became of a stream on its way."""

    count: int = 0
    """How many packets were not whole, about."""
    last: bytes = b""
    """The beginning of the last one."""


def with_crc(data: bytes) -> bytes:
    """Return *data* with its check sum behind it."""
    return data + binascii.crc_hqx(data, 0).to_bytes(2, "big")


def is_packet(data: bytes) -> bool:
    """Whether *data* is a whole LOOP packet: check sum, and all that is the same in each."""
    return (
        len(data) == PACKET_LENGTH
        and data.startswith(_HEAD)
        and data[4] == 0  # another type has other values in other places
        and data[95:97] == CRLF
        and binascii.crc_hqx(data, 0) == 0
    )


class DavisReplies:
    """The answer to what was sent last, or packets, if that was ``LOOP``.

    Gives back text lines with a line feed between them; an ACK with the data behind it, without
    their check sum; the sign alone if it is another one; whole packets. What is between whole
    packets is dropped; what comes when nothing is due is given back as it is.
    """

    def __init__(self, damage: Damage | None = None) -> None:
        """Begin with an empty buffer, and nothing asked; what is dropped is noted in *damage*."""
        self._buffer = b""
        self._answer: _Answer | None = None
        self._streams = False
        self._dropping = False
        self._damage = damage or Damage()

    @property
    def pending(self) -> bytes:
        """What has come and was not given back yet."""
        return self._buffer

    def sent(self, message: bytes) -> None:
        """Note what is about to be asked."""
        found = _WORD.match(message)
        self._answer = COMMANDS.get(found[1] if found else b"", _Answer())
        if count := _EEBRD.fullmatch(message):
            self._answer = _Answer(data=int(count[1], 16), checked=True)
        self._streams = self._dropping = False

    def feed(self, data: bytes) -> None:
        """Add *data*, as it came.

        Raises:
            ProtocolMismatch: it cannot be, or become, a reply; the buffer is empty again.
        """
        self._buffer += data
        streams = self._streams or (self._answer is not None and self._answer.streams)
        if not streams and len(self._buffer) > _LIMIT:
            raise ProtocolMismatch(
                f"more than {_LIMIT} bytes came; they begin with {self.clear()[:40]!r}"
            )

    def next_reply(self) -> bytes | None:
        """Return the answer, or the oldest packet; ``None`` means that more bytes are needed.

        Raises:
            ProtocolMismatch: what came cannot be the answer.
        """
        if self._streams:
            return self._packet()
        if not self._buffer:
            return None
        answer = self._answer
        if answer is None:
            return self.clear()
        if self._buffer[:1] in NAKS:
            self._answer = None
            return self._taken(1)
        return self._text(answer.lines) if answer.lines else self._data(answer)

    def clear(self) -> bytes:
        """Forget everything that is pending, and return it."""
        forgotten, self._buffer = self._buffer, b""
        self._dropping = False
        return forgotten

    def _taken(self, length: int) -> bytes:
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def _text(self, lines: int) -> bytes | None:
        if not CRLF.startswith(self._buffer[: len(CRLF)]):
            raise ProtocolMismatch(f"{self.clear()[:40]!r} came back, which is no text")
        parts = self._buffer.split(CRLF, lines + 1)
        if len(parts) < lines + 2:
            return None
        self._buffer = parts[-1]
        self._answer = None
        return b"\n".join(parts[1:-1])

    def _data(self, answer: _Answer) -> bytes | None:
        if not self._buffer.startswith(ACK):
            raise ProtocolMismatch(f"{self.clear()[:40]!r} came back, which begins with no ACK")
        checked = 2 if answer.checked else 0
        length = len(ACK) + answer.data + checked
        if len(self._buffer) < length:
            return None
        reply = self._taken(length)
        if checked and binascii.crc_hqx(reply[len(ACK) :], 0) != 0:
            self.clear()
            raise ProtocolMismatch(f"{reply.hex(' ')} came back damaged (CRC)")
        self._answer, self._streams = None, answer.streams
        return reply[: length - checked]

    def _packet(self) -> bytes | None:
        """Return the next whole packet, wherever it begins."""
        while True:
            begin = self._buffer.find(_HEAD)
            if begin < 0:
                # The head of the next packet may have come in part.
                begin = max(0, len(self._buffer) - len(_HEAD) + 1)
                self._drop(begin)
                return None
            self._drop(begin)
            if len(self._buffer) < PACKET_LENGTH:
                return None
            if is_packet(self._buffer[:PACKET_LENGTH]):
                self._dropping = False
                return self._taken(PACKET_LENGTH)
            self._dropping = False
            self._drop(1)

    def _drop(self, length: int) -> None:
        """Drop what is no packet; what is dropped in one go, or in several, counts once."""
        if not length:
            return
        if not self._dropping:
            self._damage.count += 1
            self._damage.last = self._buffer[:40]
            self._dropping = True
        self._buffer = self._buffer[length:]
