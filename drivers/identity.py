"""Which device answers, and whether its answers are in step with our questions."""

from __future__ import annotations

import time
from typing import Protocol

from drivers.connection import Connection
from drivers.settings import LineSettings
from mktl.errors import DeviceLost, DeviceTimeout, WrongDevice

__all__ = ["DrainOnly", "IdentityCheck", "Synchroniser"]


class Synchroniser(Protocol):
    """Finds out which device answers, and puts it back in step with our questions."""

    @property
    def possible(self) -> bool:
        """Whether the device can be asked something at any time, to see that it is there."""

    def unanswered(self, message: bytes) -> None:
        """Note that *message* got no answer, which may still come."""

    def ask(self, connection: Connection) -> str:
        """Find out, on connecting, that the right device answers; return what it calls itself.

        Raises:
            WrongDevice: another one does.
            DeviceError: none does.
        """

    def resynchronise(self, connection: Connection) -> str:
        """Make sure that what was asked before cannot be answered any more.

        Returns:
            What people should know of what was found on the way; empty if nothing.

        Raises:
            DeviceError: that failed; the port must be opened anew.
        """


class DrainOnly:
    """Waits for silence: all that can be done where there is nothing to ask.

    It is enough where replies say whose answer they are, and what is late is known by its looks.
    """

    possible = False

    def __init__(self, *, quiet_s: float | None = None) -> None:
        """Note how long the line must be quiet; as its settings say, if not given."""
        self._quiet_s = quiet_s

    def unanswered(self, message: bytes) -> None:
        """Nothing to note."""

    def ask(self, connection: Connection) -> str:  # noqa: ARG002 - part of the interface
        """Ask nothing."""
        return ""

    def resynchronise(self, connection: Connection) -> str:
        """Wait until the line is quiet."""
        connection.pause()
        connection.drain(quiet_s=self._quiet_s)
        connection.suspect = ""
        return ""


class IdentityCheck:
    """Asks the identification query of one line, and knows whether an answer to it is owed."""

    def __init__(self, settings: LineSettings) -> None:
        """Take the query, its answer and the deadline from *settings*."""
        self._identity = settings.identity
        self._timeout_s = settings.timeout_s
        self._reply_end = settings.reply_end
        self._owed = False

    @property
    def possible(self) -> bool:
        """Whether the device has an identification query."""
        return self._identity is not None

    def unanswered(self, message: bytes) -> None:
        """Note that *message* got no answer: it may have been the identification query."""
        if self._identity is not None and message == self._identity.ask:
            self._owed = True

    def ask(self, connection: Connection) -> str:
        """Ask, read until the answer of the right device, and return it.

        Returns:
            The answer; empty if the device has no such query.

        Raises:
            WrongDevice: something else came back, and nothing right after it.
            DeviceTimeout: nothing came back.
            DeviceLost: the port broke.
            ProtocolMismatch: what came back has no end.
        """
        identity = self._identity
        if identity is None:
            return ""
        connection.pause()
        owed, self._owed = self._owed, True
        deadline = time.monotonic() + self._timeout_s
        connection.write(identity.ask, deadline)
        other = b""
        while True:
            try:
                answer = connection.read_reply(deadline)
            except DeviceTimeout as error:
                if other:
                    raise WrongDevice(f"{other!r} answered {identity.ask!r}") from error
                raise DeviceTimeout(
                    f"{identity.ask!r} was not answered within {self._timeout_s:g} s: {error}"
                ) from error
            text = answer.decode("ascii", "replace")
            if identity.reply.fullmatch(text):
                break
            other = answer
            connection.throw_away(answer + self._reply_end)
        if owed:
            # An earlier identification query got no answer: this may have been it, and the
            # answer to ours still be on its way.
            connection.drain(quiet_s=self._timeout_s)
        self._owed = False
        connection.used_at = time.monotonic()
        return text

    def resynchronise(self, connection: Connection) -> str:
        """Put *connection* back in step: what was asked before cannot be answered after this.

        Returns:
            What the replies that nobody got said besides; empty if nothing.

        Raises:
            DeviceError: that failed, or cannot be done; the port must be opened anew.
        """
        connection.pause()
        connection.drain()
        if self._identity is None:
            raise DeviceLost("there is no identification query to get back in step with")
        answer = self.ask(connection)
        told = self._check(connection, answer)
        connection.suspect = ""
        return told

    def _check(self, connection: Connection, answer: str) -> str:
        thrown_away, connection.thrown_away = connection.thrown_away, b""
        if self._identity is None or self._identity.check is None:
            return ""
        lost = (one.decode("ascii", "replace") for one in thrown_away.split(self._reply_end))
        told = [self._identity.check(text) for text in (*filter(None, lost), answer)]
        return "; ".join(filter(None, told))
