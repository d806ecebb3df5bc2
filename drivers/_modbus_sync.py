"""Whether a Modbus unit is there, is the right one, and answers what it was asked last."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drivers import _modbus_pdu as pdus
from drivers._modbus_types import Register
from drivers.connection import Connection
from drivers.framing.base import SaidAbsent
from drivers.framing.modbus import EXCEPTION
from mktl.errors import DeviceTimeout, InvalidReading, WrongDevice

__all__ = ["Expected", "ModbusSync"]

_SILENT_AFTER = 2
_NO_PATH = 10
"""The exception of a gateway that cannot reach the unit at all, which has said nothing then."""
_NOT_NOW = (5, 6, _NO_PATH)


@dataclass(frozen=True, slots=True)
class Expected:
    """A register by which the right device is known."""

    register: Register
    """Where it is."""
    values: tuple[Any, ...]
    """What is in it, one of these."""


class ModbusSync:
    """The :class:`drivers.identity.Synchroniser` of one unit.

    A late reply on a serial line looks like the reply to the next question of the same kind. So
    after a timeout the unit is asked to send a number back (function 8): once that has come, and be
    it as a refusal, all that was asked before is over. Modbus TCP numbers its replies.
    """

    def __init__(
        self,
        frame: Callable[[bytes], bytes],
        *,
        numbered: bool,
        loopback: bool,
        expected: Expected | None,
        timeout_s: float,
    ) -> None:
        """Note how to ask.

        Args:
            frame: Wraps a PDU for the wire.
            numbered: Whether replies have a transaction number.
            loopback: Whether the unit answers function 8, if only with an exception.
            expected: How the right device is known; ``None``: any will do.
            timeout_s: Deadline of each question.
        """
        self._frame = frame
        self._numbered = numbered
        self._loopback = loopback
        self._expected = expected
        self._timeout_s = timeout_s
        self._nonces = itertools.count(random.randrange(0x10000))
        self._unanswered = 0
        self._owed = False
        self._loopback_owed = False
        self._hint = " (for devices that answer all but this there is loopback = false)"

    @property
    def possible(self) -> bool:
        """Whether the unit can be asked something at any time."""
        return self._loopback or self._expected is not None

    @property
    def identifies(self) -> bool:
        """Whether it tells the right device from another one."""
        return self._expected is not None

    def unanswered(self, message: bytes) -> None:  # noqa: ARG002 - part of the interface
        """Note that an answer is owed, whatever was asked."""
        self._unanswered += 1
        self._owed = True

    def answered(self) -> None:
        """Note that the unit has answered what it was asked last."""
        self._unanswered = 0

    def ask(self, connection: Connection) -> str:
        """Put the unit in step, and find out whether it is the right one.

        Returns:
            What it is known by; empty if nothing is.

        Raises:
            WrongDevice: it is another one.
            DeviceTimeout: it does not answer.
            ProtocolMismatch: what came back is damaged, or no answer.
            DeviceLost: the port broke.
        """
        if not self._numbered:
            self._in_step(connection)
        elif self._loopback and self._expected is None:
            self._ask_loopback(connection)
        who = "" if self._expected is None else self._identify(connection, self._expected)
        self._unanswered = 0
        self._owed = False
        connection.used_at = time.monotonic()
        return who

    def resynchronise(self, connection: Connection) -> str:
        """See to it that what was asked before cannot be answered any more.

        Raises:
            DeviceError: that failed, or the unit does not answer any more.
        """
        connection.pause()
        if connection.suspect:
            connection.drain()
        if self._numbered and self._unanswered == 1 and not self.possible:
            connection.suspect = ""
            return ""  # the number tells a late reply, and one may get lost
        if not self.possible and self._unanswered >= _SILENT_AFTER:
            unanswered, self._unanswered = self._unanswered, 0
            raise DeviceTimeout(f"{unanswered} questions one after the other were not answered")
        self.ask(connection)
        connection.suspect = ""
        return ""

    def _in_step(self, connection: Connection) -> None:
        if self._loopback:
            self._ask_loopback(connection)
        elif self._owed:
            connection.drain(quiet_s=3 * self._timeout_s)

    def _ask_loopback(self, connection: Connection) -> None:
        """Have a number sent back, and throw away what comes before it.

        Source: MODBUS Application Protocol Specification V1.1b3, section 6.8, subfunction 0.
        """
        question = pdus.loopback(next(self._nonces) & 0xFFFF)
        owed, self._loopback_owed = self._loopback_owed, True
        reply = b""
        deadline = time.monotonic() + self._timeout_s
        try:
            self._write(connection, question, deadline)
            while reply != question and reply[:1] != bytes((question[0] | EXCEPTION,)):
                connection.throw_away(reply)
                reply = connection.read_reply(deadline)
        except DeviceTimeout as error:
            raise DeviceTimeout(
                f"a loopback (function 8) was not answered{self._within(error)}: {error}"
                f"{self._hint}"
            ) from error
        refused = reply != question
        if refused and reply[1] == _NO_PATH:
            raise DeviceTimeout(
                f"a loopback (function 8) did not reach it: {pdus.exception_text(_NO_PATH)}"
            )
        if owed and refused:
            # A refusal has no number in it: it may be that of an earlier loopback.
            connection.drain(quiet_s=self._timeout_s)
        self._loopback_owed = False
        self._hint = ""

    def _identify(self, connection: Connection, expected: Expected) -> str:
        register = expected.register
        wanted = " or ".join(map(repr, expected.values))
        question = pdus.read(register.table, register.address, register.width)
        deadline = time.monotonic() + self._timeout_s
        try:
            self._write(connection, question, deadline)
            reply = connection.read_reply(deadline)
        except DeviceTimeout as error:
            raise DeviceTimeout(
                f"{register.place}, which tells who answers, was not read"
                f"{self._within(error)}: {error}"
            ) from error
        if reply[0] & EXCEPTION:
            text = f"{register.place} should be {wanted}, but {pdus.exception_text(reply[1])}"
            raise DeviceTimeout(text) if reply[1] in _NOT_NOW else WrongDevice(text)
        try:
            words = pdus.read_reply(register.table, register.width, reply)
            found = register.decode(words)
        except InvalidReading as error:
            raise WrongDevice(f"{register.place} should be {wanted}: {error}") from error
        if found not in expected.values:
            raise WrongDevice(f"{register.place} should be {wanted}, but it is {found!r}")
        return f"{register.place} = {found!r}"

    def _within(self, error: DeviceTimeout) -> str:
        return "" if isinstance(error, SaidAbsent) else f" within {self._timeout_s:g} s"

    def _write(self, connection: Connection, question: bytes, deadline: float) -> None:
        connection.pause()
        connection.write(self._frame(question), deadline)
