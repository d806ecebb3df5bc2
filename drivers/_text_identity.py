"""Who answers, where a reply is more than a text and its end, or has to be fetched."""

from __future__ import annotations

import time

from drivers._text_settings import Speech
from drivers.connection import Connection
from drivers.identity import IdentityCheck
from drivers.settings import LineSettings
from mktl.errors import DeviceTimeout, WrongDevice

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

    def unanswered(self, message: bytes) -> None:
        """Note that *message* got no answer: it may have been, or have fetched, the identity."""
        super().unanswered(message)
        self._owed = self._owed or message == self._enquiry

    def ask(self, connection: Connection) -> str:
        """Ask, fetch and read until the answer of the right device, and return it.

        Raises:
            WrongDevice, DeviceError: as for :meth:`IdentityCheck.ask`.
        """
        identity = self._identity
        if identity is None:
            return ""
        connection.pause()
        owed, self._owed = self._owed, True
        deadline = time.monotonic() + self._timeout_s
        connection.write(identity.ask, deadline)
        other, busy, enquiries = b"", "", 0
        while True:
            try:
                line = connection.read_reply(deadline)
            except DeviceTimeout as error:
                if other:
                    raise WrongDevice(f"{other!r} answered {identity.ask!r}") from error
                raise DeviceTimeout(
                    f"{identity.ask!r} was not answered within {self._timeout_s:g} s: "
                    f"{busy or error}"
                ) from error
            if line == self._ack:
                enquiries += 1
                connection.pause()
                connection.write(self._enquiry, deadline)
                continue
            text = self._said(line)
            if text is not None and identity.reply.fullmatch(text):
                break
            if self._speech.is_busy(line):
                busy = f"{line!r} came back"
            else:
                other = line
            connection.throw_away(line + self._reply_end)
        if owed or enquiries > 1:
            # An earlier message was acknowledged late: more than one answer may be on its way.
            connection.drain(quiet_s=self._timeout_s)
        self._owed = False
        connection.used_at = time.monotonic()
        return text

    def _said(self, line: bytes) -> str | None:
        try:
            return self._speech.text(line)
        except ValueError:
            return None
