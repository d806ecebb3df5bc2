"""Who answers, where a reply is more than a text and its end, or has to be fetched."""

from __future__ import annotations

from drivers._text_settings import Speech
from drivers.connection import Connection
from drivers.identity import IdentityCheck
from drivers.settings import LineSettings

__all__ = ["TextIdentity"]


class TextIdentity(IdentityCheck):
    """Asks the identification query as the device wants to be asked."""

    def __init__(self, settings: LineSettings, speech: Speech) -> None:
        """Take the query from *settings*, and how to speak from *speech*."""
        super().__init__(settings)
        self._speech = speech
        handshake = speech.handshake
        self._ack = handshake.ack if handshake and handshake.enquiry else None
        self._enquiry = handshake.enquiry if handshake else b""
        self._enquiries = 0

    def unanswered(self, message: bytes) -> None:
        """Note that *message* got no answer: it may have been, or have fetched, the identity."""
        super().unanswered(message)
        self._owed = self._owed or message == self._enquiry

    def ask(self, connection: Connection) -> str:
        """Ask, fetch and read until the answer of the right device, and return it.

        Raises:
            WrongDevice, DeviceError: as for :meth:`IdentityCheck.ask`.
        """
        self._enquiries = 0
        return super().ask(connection)

    def _is_aside(self, connection: Connection, line: bytes, deadline: float) -> bool:
        if line == self._ack:
            # A second one is that of an earlier message: more than one answer may be on its way.
            self._doubtful = self._doubtful or self._enquiries > 0
            self._enquiries += 1
            connection.pause()
            connection.write(self._enquiry, deadline)
            return True
        return self._speech.is_busy(line)

    def _text(self, line: bytes) -> str | None:
        try:
            return self._speech.text(line)
        except ValueError:
            return None
