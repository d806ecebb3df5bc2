"""Cutting what a host sends to a Vantage console: commands, and blocks of bytes after some."""

from __future__ import annotations

from typing import Protocol

__all__ = ["LONGEST_COMMAND", "ConsoleFramer", "Ear"]

LONGEST_COMMAND = 80
"""Characters; the longest command of the sheet has a quarter of them."""


class Ear(Protocol):
    """What a console notices before it understands anything."""

    def hear(self) -> int:
        """Note that some characters have come; give how many LF it needs to wake up."""
        ...

    def expected(self) -> int:
        """Give how many bytes without a terminator it waits for; 0: for a command."""
        ...


class ConsoleFramer:
    """Messages that end with LF, without that and one CR before it; an empty one is a message.

    While the console waits for bytes, that many are a message. What wakes it up is lost.
    """

    def __init__(self, ear: Ear) -> None:
        """Start empty; *ear* is told of all that comes."""
        self._ear = ear
        self._pending = bytearray()
        self._lost_ends = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return what is now complete, in order."""
        if not data:
            return []
        self._lost_ends = max(self._lost_ends, self._ear.hear())
        while self._lost_ends:
            _, end, data = data.partition(b"\n")
            self._pending.clear()
            if not end:
                return []
            self._lost_ends -= 1
        messages = []
        count = self._ear.expected()
        if count:
            self._pending += data
            if len(self._pending) < count:
                return []
            block, data = self._pending[:count], bytes(self._pending[count:])
            messages.append(bytes(block))
            self._pending.clear()
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._keep(piece)
            messages.append(self._taken().removesuffix(b"\r"))
        self._keep(rest)
        return messages

    def _taken(self) -> bytes:
        message = bytes(self._pending)
        self._pending.clear()
        return message

    def _keep(self, piece: bytes) -> None:
        # Two more bytes than allowed: the limit was passed, though one is the CR.
        self._pending += piece[: max(0, LONGEST_COMMAND + 2 - len(self._pending))]
