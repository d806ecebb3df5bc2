"""What finds the replies in a stream of bytes, whatever they look like."""

from __future__ import annotations

from typing import Protocol

from mktl.errors import DeviceTimeout

__all__ = ["Framing", "SaidAbsent"]


class SaidAbsent(DeviceTimeout):
    """Something on the way to the device says that the device did not answer."""


class Framing(Protocol):
    """A bounded buffer that gives back one reply at a time. Pure; made anew for each connection."""

    @property
    def pending(self) -> bytes:
        """What has come and was not given back yet."""

    def sent(self, message: bytes) -> None:
        """Note what is about to be asked, by which the reply may have to be told from others."""

    def feed(self, data: bytes) -> None:
        """Add *data*, as it came.

        Raises:
            ProtocolMismatch: it cannot be, or become, a reply; the buffer is empty again.
        """

    def next_reply(self) -> bytes | None:
        """Return the oldest complete reply; ``None`` means that more bytes are needed.

        Raises:
            ProtocolMismatch: what came cannot be a reply.
            SaidAbsent: it says that there is none.
        """

    def clear(self) -> bytes:
        """Forget everything that is pending, and return it."""
