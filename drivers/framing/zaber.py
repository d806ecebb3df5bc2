"""Lines of the Zaber ASCII protocol: addresses, numbers of messages, check sums. Pure.

Source: the sheet of the instrument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers.framing.checksum import CHECKSUMS
from drivers.framing.terminator import TerminatedReplies
from mktl.errors import ProtocolMismatch

__all__ = ["Alert", "Info", "Reply", "ZaberReplies", "message", "to_reply", "to_unasked"]

_LRC = CHECKSUMS["zaber"]
_SENT = re.compile(rb"/(\d{1,2}) \d (\d{1,2})\b")
_ANSWERS = re.compile(rb"@(\d{1,2}) \d (\d{1,2}) ")
_CHECKED = re.compile(r"(.*):[0-9A-Fa-f]{2}")
_REPLY = re.compile(r"@(\d{2}) (\d) (\d{1,2}) (OK|RJ) (IDLE|BUSY) (--|[A-Z0-9]{2})(?: (.*))?")
_ALERT = re.compile(r"!(\d{2}) (\d) (IDLE|BUSY) (--|[A-Z0-9]{2})(?: .*)?")
_INFO = re.compile(r"#(\d{2}) (\d)(?: (.*))?")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a device answers."""

    axis: int
    """The axis that was spoken to; 0: the device."""
    ok: bool
    """Whether it was taken; else :attr:`data` is the word that says why not."""
    busy: bool
    """Whether something moves."""
    flag: str
    """The most important warning flag; empty if there is none."""
    data: str
    """What it says."""
    checked: bool
    """Whether it had a check sum, which was right."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What a device says unasked, when a move has ended, say."""

    address: int
    """The device."""
    axis: int
    """The axis; 0: all of it."""


@dataclass(frozen=True, slots=True)
class Info:
    """What a device says besides, for people."""

    address: int
    """The device."""
    text: str
    """What it says."""


class ZaberReplies(TerminatedReplies):
    """Lines that end with CR LF; replies to another message, or of another device, are dropped."""

    def __init__(self, *, limit: int = 1024) -> None:
        """Begin with an empty buffer; *limit* as for all replies with a terminator."""
        super().__init__(b"\r\n", limit=limit)
        self._due: tuple[int, int] | None = None

    def sent(self, message: bytes) -> None:
        """Note who is asked, and by which number the reply is known."""
        found = _SENT.match(message)
        self._due = None if found is None else (int(found[1]), int(found[2]))

    def next_reply(self) -> bytes | None:
        """Return the oldest complete line that is not a reply to something else."""
        while (line := super().next_reply()) is not None and self._is_of_another(line):
            pass
        return line

    def _is_of_another(self, line: bytes) -> bool:
        found = _ANSWERS.match(line)
        if found is None or self._due is None or not _is_intact(line):
            return False  # whose it is cannot be told: whoever reads it has to judge
        return (int(found[1]), int(found[2])) != self._due


def message(address: int, axis: int, number: int, text: str) -> bytes:
    """Return a message with its check sum; an empty *text* asks for nothing but the status."""
    line = f"/{address:02d} {axis} {number:02d} {text}".rstrip().encode("ascii")
    return _LRC.added(line) + b"\n"


def to_reply(line: str, address: int, number: int) -> Reply:
    """Read the reply of the device at *address* to the message with *number*.

    Raises:
        ProtocolMismatch: it is not one, or its check sum is wrong.
    """
    text, checked = _without_check_sum(line)
    found = _REPLY.fullmatch(text)
    if found is None:
        raise ProtocolMismatch(f"{line!r} is not a reply")
    if (int(found[1]), int(found[3])) != (address, number):
        raise ProtocolMismatch(f"{line!r} is the reply of another device, or to another message")
    return Reply(
        axis=int(found[2]),
        ok=found[4] == "OK",
        busy=found[5] == "BUSY",
        flag="" if found[6] == "--" else found[6],
        data=found[7] or "",
        checked=checked,
    )


def to_unasked(line: str) -> Alert | Info | None:
    """Read a line that came unasked; ``None`` if it is neither, or its check sum is wrong."""
    try:
        text, _checked = _without_check_sum(line)
    except ProtocolMismatch:
        return None
    if found := _ALERT.fullmatch(text):
        return Alert(int(found[1]), int(found[2]))
    if found := _INFO.fullmatch(text):
        return Info(int(found[1]), found[3] or "")
    return None


def _without_check_sum(line: str) -> tuple[str, bool]:
    """Return *line* without its check sum, and whether it had one.

    Raises:
        ProtocolMismatch: it is wrong.
    """
    if not _CHECKED.fullmatch(line):
        return line, False
    try:
        return _LRC.removed(line.encode("latin-1")).decode("latin-1"), True
    except ValueError as error:
        raise ProtocolMismatch(str(error)) from None


def _is_intact(line: bytes) -> bool:
    try:
        _without_check_sum(line.decode("latin-1"))
    except ProtocolMismatch:
        return False
    return True
