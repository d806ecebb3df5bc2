"""Replies that end with a terminator, found in a stream of bytes that may be cut anywhere."""

from __future__ import annotations

from mktl.errors import ProtocolMismatch

__all__ = ["TerminatedReplies"]


class TerminatedReplies:
    """A bounded buffer that gives back one reply at a time, without its terminator."""

    def __init__(
        self, terminator: bytes, *, limit: int = 4096, alone: tuple[bytes, ...] = ()
    ) -> None:
        """Begin with an empty buffer.

        Args:
            terminator: What ends each reply; at least one byte.
            limit: Most bytes of a reply, and most that are kept while no terminator has come.
            alone: What is a whole reply without a terminator, such as an ACK. No other reply can
                begin so.

        Raises:
            ValueError: the terminator is empty, or the limit is not positive.
        """
        if not (terminator and all(alone)) or limit <= 0:
            raise ValueError("a terminator has at least one byte, and a limit is positive")
        self._alone = sorted(alone, key=len, reverse=True)
        self._terminator = terminator
        self._limit = limit
        self._buffer = b""

    @property
    def pending(self) -> bytes:
        """What has come and was not given back yet."""
        return self._buffer

    def sent(self, message: bytes) -> None:
        """Note what is about to be asked: a terminator is the same for all replies."""

    def feed(self, data: bytes) -> None:
        """Add *data*, as it came.

        Raises:
            ProtocolMismatch: more than the limit came without a terminator; the buffer is empty
                again, so that no memory is lost to a device that does not stop.
        """
        self._buffer += data
        if len(self._buffer) > self._limit and self._terminator not in self._buffer:
            head = self._buffer[:40]
            self._buffer = b""
            raise ProtocolMismatch(
                f"more than {self._limit} bytes came without the end of a reply; "
                f"they begin with {head!r}"
            )

    def next_reply(self) -> bytes | None:
        """Return the oldest complete reply; ``None`` means that more bytes are needed.

        Raises:
            ProtocolMismatch: it is longer than the limit.
        """
        for reply in self._alone:
            if self._buffer.startswith(reply):
                self._buffer = self._buffer[len(reply) :]
                return reply
        reply, terminator, rest = self._buffer.partition(self._terminator)
        if not terminator:
            return None
        self._buffer = rest
        if len(reply) > self._limit:
            raise ProtocolMismatch(
                f"a reply of {len(reply)} bytes came, and {self._limit} is the most; it begins "
                f"with {reply[:40]!r}"
            )
        return reply

    def clear(self) -> bytes:
        """Forget everything that is pending, and return it."""
        forgotten, self._buffer = self._buffer, b""
        return forgotten
