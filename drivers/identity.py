"""Which device answers, and whether its answers are in step with our questions."""

from __future__ import annotations

import time
from typing import Protocol

from drivers.connection import Connection
from drivers.settings import Identity, LineSettings
from mktl.errors import DeviceLost, DeviceTimeout, WrongDevice

__all__ = ["DrainOnly", "IdentityCheck", "Synchroniser"]

_LATE = 3.0
"""So many deadlines after the last one, an answer is not waited for any more."""


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
        """Note how long the line must be quiet.

        Args:
            quiet_s: The deadline of an exchange, where late replies have to be waited for; by
                default the line is quiet as its settings say.
        """
        self._quiet_s = quiet_s
        self._late = _Late(quiet_s or 0.0)

    def unanswered(self, message: bytes) -> None:  # noqa: ARG002 - part of the interface
        """Note that an answer is owed."""
        self._late.owe()

    def ask(self, connection: Connection) -> str:
        """Ask nothing, but wait for what may still come."""
        self._late.wait_out(connection)
        return ""

    def resynchronise(self, connection: Connection) -> str:
        """Wait until the line is quiet."""
        connection.pause()
        if not self._late.wait_out(connection):
            connection.drain(quiet_s=self._quiet_s)
        connection.suspect = ""
        return ""


class _Late:
    """Until when an answer may come to a question that got none in time.

    A port that is opened anew does not end it: the device, or a serial server, may keep the answer.
    """

    def __init__(self, timeout_s: float) -> None:
        self._after_s = _LATE * timeout_s
        self._until = 0.0

    def owe(self) -> None:
        """Note that a question has got no answer by now."""
        self._until = time.monotonic() + self._after_s

    def wait_out(self, connection: Connection) -> bool:
        """Throw away what comes until then, and until it is quiet; tell whether that was needed."""
        until, self._until = self._until, 0.0
        if time.monotonic() >= until:
            return False
        connection.wait_out(until)
        connection.drain()
        return True


class IdentityCheck:
    """Asks the identification query of one line, and knows whether an answer to it is owed."""

    def __init__(self, settings: LineSettings) -> None:
        """Take the query, its answer and the deadline from *settings*."""
        self._identity = settings.identity
        self._timeout_s = settings.timeout_s
        self._reply_end = settings.reply_end
        self._owed = False
        self._doubtful = False
        """Whether the answer that comes may be to an earlier query."""
        self._late = _Late(settings.timeout_s)

    @property
    def possible(self) -> bool:
        """Whether the device has an identification query."""
        return self._identity is not None

    @property
    def identifies(self) -> bool:
        """Whether it tells the right device from another one."""
        return self._identity is not None and self._identity.tells_model

    def unanswered(self, message: bytes) -> None:
        """Note that *message* got no answer: it may have been the identification query."""
        if self._identity is None:
            self._late.owe()
        elif message == self._identity.ask:
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
            self._late.wait_out(connection)
            return ""
        connection.pause()
        self._doubtful, self._owed = self._owed, True
        deadline = time.monotonic() + self._timeout_s
        connection.write(identity.ask, deadline)
        answer = self._read_answer(connection, identity, deadline)
        if self._doubtful:
            # An earlier identification query got no answer: this may have been it, and the
            # answer to ours still be on its way.
            connection.drain(quiet_s=self._timeout_s)
        self._owed = False
        connection.used_at = time.monotonic()
        return answer

    def _read_answer(self, connection: Connection, identity: Identity, deadline: float) -> str:
        other = aside = b""
        while True:
            try:
                line = connection.read_reply(deadline)
            except DeviceTimeout as error:
                if other:
                    raise WrongDevice(f"{other!r} answered {identity.ask!r}") from error
                raise DeviceTimeout(
                    f"{identity.ask!r} was not answered within {self._timeout_s:g} s: "
                    f"{f'{aside!r} came back' if aside else error}"
                ) from error
            if self._is_aside(connection, line, deadline):
                aside = line
            elif (text := self._text(line)) is not None and identity.reply.fullmatch(text):
                return text
            else:
                other = line
            connection.throw_away(line + self._reply_end)

    def _is_aside(self, connection: Connection, line: bytes, deadline: float) -> bool:  # noqa: ARG002
        """Tell whether *line* says nothing of who answers; see to what is due after it."""
        return False

    def _text(self, line: bytes) -> str | None:
        """Return what *line* says; ``None``: it is no text."""
        return line.decode("ascii", "replace")

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
