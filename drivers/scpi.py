"""What instruments that speak SCPI have in common: the error queue, and numbers that are none.

A command is never answered, also when it is refused, and neither is a query that the instrument
does not know: both leave an entry in its error queue. So the queue is read after each command, in
the same turn, and after a query that was not answered.

Source: SCPI-99, sections 21.8 (the error queue) and 7.2.1 (9.9E37 for infinity, 9.91E37 for "not a
number"), and the sheets of the instruments.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from drivers._outcome import reason_only
from drivers.controller import Controller, NoNumber
from mktl.errors import (
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    ProtocolMismatch,
)

__all__ = ["ErrorEntry", "NoNumber", "ScpiController", "to_entry", "to_flag", "to_float"]

_log = logging.getLogger(__name__)

_ENTRY = re.compile(r'([+-]?\d{1,5}),\s?"([^"]*)"')
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?", re.ASCII)
_MARKER = 9.9e37
_WORDS = {"NAN": "not a number", "INF": "overload", "-INF": "overload", "+INF": "overload"}
_FLAGS = {"1": True, "0": False, "ON": True, "OFF": False}
_MOST_ENTRIES = 100  # the deepest queue of the sheets holds 20


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One entry of an error queue."""

    number: int
    """Its number; negative ones are those of the standard, 0 is the end of the queue."""
    text: str
    """What the instrument says of it."""

    def __str__(self) -> str:
        """Give it as the instrument writes it."""
        return f'{self.number},"{self.text}"'


def to_entry(text: str) -> ErrorEntry:
    """Read the answer to ``:SYST:ERR?``.

    Raises:
        ValueError: it is anything else.
    """
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an entry of an error queue")
    return ErrorEntry(int(found[1]), found[2])


def to_float(text: str) -> float:
    """Read a number.

    Raises:
        NoNumber: it is what instruments send for overload, or for "not a number".
        ValueError: it is anything else, such as the half of a reply.
    """
    if text.upper() in _WORDS:
        raise NoNumber(f"the instrument has no value, it says {text!r}: {_WORDS[text.upper()]}")
    if not text.isascii() or not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{text!r} is not a number as the instrument writes it")
    value = float(text)
    if abs(value) >= _MARKER:
        meaning = "not a number" if value >= 9.905e37 else "overload"
        raise NoNumber(f"the instrument has no value, it says {text!r}: {meaning}")
    return value


def to_flag(text: str) -> bool:
    """Read ON, OFF, 1 or 0.

    Raises:
        ValueError: it is anything else.
    """
    if text not in _FLAGS:
        raise ValueError(f"{text!r} is neither ON nor OFF")
    return _FLAGS[text]


def check_lost_reply(reply: str) -> str:
    """Look at a reply that nobody gets: an entry of the error queue is gone once it was sent."""
    try:
        entry = to_entry(reply.rstrip("\r"))
    except ValueError:
        return ""
    if not entry.number:
        return ""
    return (
        f"the instrument reports {entry}; something that was sent and not answered may have been "
        f"refused"
    )


class ScpiController(Controller):
    """Base of drivers that speak SCPI.

    Their ``Identity`` should have :func:`check_lost_reply` as its ``check``.
    """

    error_query: ClassVar[str] = ":SYST:ERR?"
    """Asks for the oldest entry of the error queue, and takes it out."""

    _queue_is_empty = False
    """Whether what is found in the queue is surely new; on each connect it is emptied first."""

    def on_connect(self) -> None:
        """Empty the error queue, so that an old error is not blamed on the next command."""
        self._empty_old()

    def errors(self) -> tuple[ErrorEntry, ...]:
        """Empty the error queue, and return what was in it, oldest first.

        Raises:
            ProtocolMismatch: an answer is no entry of a queue, or there is no end of them.
        """
        found: list[ErrorEntry] = []
        with self.turn():
            while len(found) < _MOST_ENTRIES:
                text = self.ask(self.error_query)
                try:
                    entry = to_entry(text)
                except ValueError as error:
                    raise self._mismatch(self.error_query, text, error) from error
                if not entry.number:
                    self._queue_is_empty = True
                    return tuple(found)
                found.append(entry)
            raise ProtocolMismatch(
                f"{self.label}: {self.error_query!r} gave {len(found)} entries, the last one "
                f"{found[-1]}, and no end"
            )

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        """Ask *text* and return the reply; where none comes, ask the error queue for the reason.

        Raises:
            DeviceRefused: no reply came, and the queue says why.
            DeviceError: as for :meth:`ask`.
        """
        with self.turn():
            try:
                return self.ask(text, timeout_s=timeout_s)
            except DeviceTimeout as error:
                raise self._unanswered(text, error) from error
            except DeviceError:
                self._queue_is_empty = False
                raise

    def command(self, text: str) -> None:
        """Send *text*, and see to it that it was taken.

        Raises:
            DeviceRefused: the error queue has entries after it; it names them.
            DeviceError: as for :meth:`tell` and :meth:`ask`.
        """
        with self.turn():
            if not self._queue_is_empty:
                self._empty_old()
            self._queue_is_empty = False
            self.tell(text)
            found = self.errors()
        if found:
            raise DeviceRefused(
                f"{self.label}: after {text!r} the error queue of the instrument has "
                f"{_joined(found)}: most likely it refused that and changed nothing"
            )

    def replies_to(self, text: str) -> bool:
        """Whether *text* has a query in it."""
        return "?" in text

    def raw(self, text: str) -> str:
        """Send *text* as it is and return the reply; empty for a command.

        Raises:
            DeviceRefused: the error queue has entries after it.
        """
        if self.replies_to(text):
            return self.query(text)
        self.command(text)
        return ""

    def restore_setting(self, setting: str) -> None:
        """Send one of the ``restore`` commands; refused, it raises DeviceRefused."""
        self.command(setting)

    @contextlib.contextmanager
    def answered(self, query: str) -> Iterator[str]:
        """Ask *query*, and give its reply.

        In the context a NoNumber becomes an InvalidReading, and any other ValueError is a reply
        that cannot be: a ProtocolMismatch.
        """
        with self.turn():
            reply = self.query(query)
            try:
                with self._understanding(query, reply):
                    yield reply
            except ProtocolMismatch:
                self._queue_is_empty = False
                raise

    def _unanswered(self, text: str, error: DeviceTimeout) -> DeviceError:
        """Return the error to raise for a query without an answer, after a look at the queue."""
        was_empty, self._queue_is_empty = self._queue_is_empty, False
        try:
            found = self.errors()
        except DeviceError as another:
            why = reason_only(another)
            return DeviceTimeout(f"{error}; the error queue cannot be read either: {why}")
        if not found:
            return DeviceTimeout(f"{error}; the error queue of the instrument is empty")
        if not was_empty:
            return DeviceTimeout(
                f"{error}; the error queue of the instrument has {_joined(found)}, of this or of "
                f"what was sent before"
            )
        return DeviceRefused(
            f"{self.label}: {text!r} was not answered, and the error queue of the instrument has "
            f"{_joined(found)}: most likely it does not know that query, or not now"
        )

    def _empty_old(self) -> None:
        found = self.errors()
        if found:
            _log.warning(
                "%s: the error queue had %s, of what was sent before", self.label, _joined(found)
            )


def _joined(entries: tuple[ErrorEntry, ...]) -> str:
    return "; ".join(map(str, entries))
