"""Cuts what a host sends into messages, at any terminator and at bytes that stand alone."""

from __future__ import annotations

__all__ = ["TextFramer"]

LONGEST = 4096
"""Bytes of a message that are kept; a host that sends no terminator takes no more memory."""


class TextFramer:
    """Messages that end with a terminator; one of *alone* at their begin is a message itself."""

    def __init__(self, terminator: bytes, alone: bytes = b"") -> None:
        """Start empty.

        Args:
            terminator: Ends a message; empty: whatever comes at once is one.
            alone: Bytes such as ENQ that are whole messages, without a terminator.
        """
        self._terminator = terminator
        self._alone = alone
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the messages that are now complete, without their ends."""
        if not self._terminator:
            return [data] if data else []
        self._pending += data
        messages = []
        while True:
            if self._pending[:1] and self._pending[0] in self._alone:
                messages.append(bytes(self._pending[:1]))
                del self._pending[:1]
                continue
            line, found, rest = self._pending.partition(self._terminator)
            if not found:
                break
            if line:
                messages.append(bytes(line))
            self._pending = bytearray(rest)
        # Of a line that long nothing is understood; its end is all that matters.
        if len(self._pending) > LONGEST:
            del self._pending[: len(self._pending) - LONGEST]
        return messages
