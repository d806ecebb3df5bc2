"""The lines of a Zaber chain: who is meant, message ids, and the checksum (LRC). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["HIGHEST_DEVICE", "HIGHEST_ID", "Line", "lrc", "parse", "with_lrc"]

HIGHEST_DEVICE = 99
"""Largest number of a device on its chain."""
HIGHEST_ID = 99
"""Largest message id."""

_LRC = re.compile(r"[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Line:
    """What a host has sent."""

    device: int = 0
    """Whom it is for; 0: everybody on the chain."""
    axis: int = 0
    """Which axis; 0: all of the device."""
    message_id: int | None = None
    """What the reply has to repeat; None: nothing."""
    words: Sequence[str] = ()
    """The command; none: only the status is wanted."""


def lrc(body: str) -> str:
    """Give the two digits that make the sum of all bytes of *body* and their value zero."""
    return f"{-sum(body.encode('latin-1')) & 0xFF:02X}"


def with_lrc(line: str) -> str:
    """Give *line* with its checksum; its first character does not count."""
    return f"{line}:{lrc(line[1:])}"


def parse(message: bytes) -> Line | None:
    """Read what a host has sent; None: no device would take note of it."""
    _, slash, body = message.decode("latin-1").rpartition("/")
    if not slash or not body.isascii():
        return None
    body, colon, checksum = body.rstrip().partition(":")
    if colon and (not _LRC.fullmatch(checksum) or checksum.upper() != lrc(body)):
        return None
    words = body.split()
    device, axis = _number(words) or 0, _number(words) or 0
    if words and words[0] == "--":
        return Line(device, axis, None, words[1:])
    return Line(device, axis, _number(words), words)


def _number(words: list[str]) -> int | None:
    """Take a number off the front of *words*; None: there is none."""
    return int(words.pop(0)[:9]) if words and words[0].isdecimal() else None
