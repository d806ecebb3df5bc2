"""Cutting the bytes of a line into messages, where hosts may end them as they like."""

from __future__ import annotations

import re

__all__ = ["AnyEndFramer"]

_END = re.compile(rb"[\r\n]")


class AnyEndFramer:
    """Messages that end with CR, LF or both; empty ones are ignored.

    Of a message longer than *longest* only a part is kept, which is still recognisably too long:
    ``len(message) > longest``. So a host that never sends a terminator takes no memory.
    """

    def __init__(self, *, longest: int, ignored: bytes = b"") -> None:
        """Start empty; *longest* in bytes, bytes of *ignored* (flow control) are dropped."""
        self._longest = longest
        self._ignored = ignored
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the messages that are now complete, without their ends."""
        messages = []
        *ended, rest = _END.split(data.translate(None, self._ignored))
        for piece in ended:
            self._keep(piece)
            line = bytes(self._pending)
            self._pending.clear()
            if line.strip():
                messages.append(line)
        self._keep(rest)
        return messages

    def _keep(self, piece: bytes) -> None:
        # One more byte than allowed shows that the message is too long.
        self._pending += piece[: self._longest + 1 - len(self._pending)]
