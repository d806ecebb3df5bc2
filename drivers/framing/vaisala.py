"""Lines of a Vaisala WXT transmitter: answers, and the same lines when they come unasked. Pure.

Source: the sheet of the instrument, sections "Transport" and "Commands".
"""

from __future__ import annotations

import string

from drivers.framing.checksum import CHECKSUMS
from drivers.framing.terminator import TerminatedReplies

__all__ = ["ADDRESSES", "CHECKSUM", "END", "UNASKED", "WxtReplies", "message"]

ADDRESSES = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""The character of each address, by the number that an URL has for it."""
CHECKSUM = CHECKSUMS["crc16-vaisala"]
END = b"\r\n"
UNASKED = "\0"
"""Stands before a line that is no answer; no line has it."""

_LONGEST = 512


def message(text: str, *, checked: bool = False) -> bytes:
    """Return *text* as it is sent; with its check sum, if it is to be *checked*."""
    line = text.encode("ascii")
    return (CHECKSUM.added(line) if checked else line) + END


class WxtReplies(TerminatedReplies):
    """The answer to what was sent last, and all other lines with :data:`UNASKED` before them.

    A transmitter says by itself the same lines that it answers. The first one that answers by its
    looks is taken for the answer: both say what it measures now. A line that had begun before
    anything was asked is no answer.
    """

    def __init__(self) -> None:
        """Begin with an empty buffer, and nothing asked."""
        super().__init__(END, limit=_LONGEST)
        self._asked = b""
        self._begun = False

    def sent(self, message: bytes) -> None:
        """Note what is asked, by which the answer is known."""
        self._asked = message.removesuffix(END)
        self._begun = bool(self.pending)

    def next_reply(self) -> bytes | None:
        """Return the oldest complete line; ``None`` means that more bytes are needed."""
        line = super().next_reply()
        if line is None:
            return None
        begun, self._begun = self._begun, False
        if begun or not self._answers(line):
            return UNASKED.encode("ascii") + line
        self._asked = b""
        return line

    def _answers(self, line: bytes) -> bool:
        address, command = self._asked[:1], self._asked[1:3]
        if address == b"?":
            return len(line) == 1
        if not command:
            return line == address != b""
        # What is damaged on its way there is answered with an error, with a check sum or without.
        return line.startswith((address + command, address + b"TX", address + b"tX"))
