"""How the text driver asks and tells: handshake, check sums, refusals, the error queue."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from drivers._text_identity import TextIdentity
from drivers._text_settings import SETTINGS, Speech, Step, line_settings_of
from drivers.connection import Silence
from drivers.controller import Controller
from drivers.identity import Synchroniser
from drivers.settings import LineSettings
from mktl.errors import (
    BadValue,
    DeviceError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    ProtocolMismatch,
)

__all__ = ["TextTalk"]

_log = logging.getLogger(__name__)
_MOST_ERRORS = 20
_IN_STEP = "the line is put back in step before anything else is sent"
_SHORTEST_S = 0.001


class TextTalk(Controller):
    """A controller whose way of speaking is given by settings; see :class:`Speech`."""

    driver_settings: ClassVar[tuple[str, ...]] = SETTINGS

    _speech: Speech

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Understand all settings, those of the driver too.

        Raises:
            ConfigurationError: one is wrong; the text begins with its name.
        """
        self._speech = Speech(settings, self.unit)
        return line_settings_of(self.line_defaults, self._speech, settings)

    def synchroniser(self) -> Synchroniser:
        """Return what finds out who answers, and puts the line back in step."""
        speech = self._speech
        plain = speech.is_plain and speech.handshake is None and speech.busy is None
        if self._settings.identity is None or plain:
            return super().synchroniser()
        return TextIdentity(self._settings, speech)

    def check_restore(self, restore: object) -> tuple[Step, ...]:
        """Return the steps to be sent again on each connect, texts or tables as in ``start``.

        Raises:
            ConfigurationError: one cannot be sent.
        """
        return self._speech.steps("restore", restore)

    def on_connect(self) -> None:
        """Empty the error queue, and take the steps of ``start``."""
        if self._speech.error_query is not None:
            self._empty_queue()
        for step in self._speech.start:
            self._take(step, "start")

    def restore_setting(self, setting: str | Step) -> None:
        """Take one of the steps of ``restore``, and see to it that it was taken."""
        self._take(Step(tell=setting) if isinstance(setting, str) else setting, "restore")

    def ask(
        self, text: str, *, timeout_s: float | None = None, lines: int = 1, query: bool = False
    ) -> str:
        """Send *text* and return the reply, both without what is around them.

        Args:
            text: What to send.
            timeout_s: As for :meth:`drivers.line.Line.exchange`.
            lines: How many lines the reply has; a terminator stands between each two.
            query: Whether *text* changes nothing in the device.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceRefused: the reply looks like ``refused``, or was a "not acknowledged".
            ProtocolMismatch: the reply is no text, or its check sum is wrong.
            DeviceError: as for :meth:`drivers.line.Line.exchange`.
        """
        with self.turn():
            reply = self._asked(text, timeout_s, lines, query=query)
            self._check_refused(text, reply)
            return reply

    def tell(self, text: str) -> None:
        """Send *text*, and find out whether it was taken, as far as the device says so.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceRefused: it was "not acknowledged", or is in the error queue.
            DeviceError: as for :meth:`drivers.line.Line.exchange`.
        """
        self.tell_checked(text)

    def tell_checked(
        self,
        text: str,
        *,
        ack: re.Pattern[str] | None = None,
        ack_optional: bool = False,
        check: bool = True,
    ) -> None:
        """Send *text*.

        Args:
            text: What to send.
            ack: What the whole reply must look like; ``None``: none is due.
            ack_optional: Whether silence is an answer, too, of a device that then says who it is.
            check: Whether to read the error queue after it, if the device has one.

        Raises:
            BadValue, DeviceError: as for :meth:`tell`.
        """
        message = self._message(text)
        with self.turn():
            checked = check and self._speech.error_query is not None
            if checked:
                # What was in it before, from the front panel say, is not of this.
                self._empty_queue()
            if ack is not None:
                self._tell_acked(text, ack, optional=ack_optional)
            elif self._speech.handshake is not None:
                self._told(text, message)
            else:
                self._line.exchange(message, reply=False)
            if checked:
                self._check_queue(text)

    def ack_due(self, text: str) -> tuple[re.Pattern[str] | None, bool]:
        """Return what acknowledges *text*, where nobody says so; and whether silence does, too."""
        del text
        return None, False

    def _tell_acked(self, text: str, ack: re.Pattern[str], *, optional: bool) -> None:
        try:
            reply = self.ask(text)
        except DeviceTimeout as error:
            if not (optional and _is_silence(error)):
                raise
            try:
                self._line.put_in_step()  # one that is off would have been silent, too
            except DeviceError as another:
                raise DeviceTimeout(f"{error}; but then {another}") from error
            return
        if not ack.fullmatch(reply):
            raise ProtocolMismatch(
                f"{self.label}: told {text!r}, and {reply!r} came back, which is not like "
                f"{ack.pattern!r}; {_IN_STEP}"
            )

    # --- one exchange -----------------------------------------------------------------------------

    def _message(self, text: str) -> bytes:
        try:
            return self._speech.message(text)
        except BadValue as error:
            raise BadValue(f"{self.label}: {error}") from None

    def _exchange(
        self,
        text: str,
        message: bytes,
        *,
        timeout_s: float | None = None,
        lines: int = 1,
        query: bool = False,
    ) -> bytes:
        """Return the reply to *message*, unless it is what a device says that was switched on."""
        reply = self._line.exchange(message, timeout_s=timeout_s, lines=lines, query=query)
        for line in reply.split(self._speech.reply_end):
            if self._speech.is_of_a_restart(line):
                lost = f"it was switched off and on, as {line!r} came"
                self._line.reconnect(lost)
                raise DeviceLost(
                    f"{self.label}: sent {text!r}, and {lost}; connecting again, with all settings"
                )
        return reply

    def _asked(
        self, text: str, timeout_s: float | None = None, lines: int = 1, *, query: bool = False
    ) -> str:
        """Return the reply to *text*, and ask again while the device is busy."""
        message = self._message(text)
        line = self._when_ready(
            text, timeout_s, lambda left_s: self._data(text, message, left_s, lines, query=query)
        )
        return self._text_of(text, line)

    def _told(self, text: str, message: bytes) -> None:
        """Send *message* to a device that acknowledges, and see to it that it does."""

        def once(left_s: float) -> bytes:
            line = self._exchange(text, message, timeout_s=left_s)
            if not self._speech.is_busy(line):
                self._check_ack(text, line)
            return line

        self._when_ready(text, None, once)

    def _when_ready(
        self, text: str, timeout_s: float | None, once: Callable[[float], bytes]
    ) -> bytes:
        """Return what *once* does, which is done again while it says that the device is busy."""
        timeout_s = self._settings.timeout_s if timeout_s is None else timeout_s
        deadline: float | None = None
        while True:
            begin = time.monotonic()
            deadline = begin + timeout_s if deadline is None else deadline
            line = once(max(deadline - begin, _SHORTEST_S))
            if not self._speech.is_busy(line):
                return line
            if time.monotonic() + self._speech.retry_s >= deadline:
                raise DeviceTimeout(
                    f"{self.label}: sent {text!r}, and for {timeout_s:g} s nothing but {line!r} "
                    f"came back"
                )
            time.sleep(self._speech.retry_s)

    def _data(
        self, text: str, message: bytes, timeout_s: float, lines: int, *, query: bool
    ) -> bytes:
        """Return what the device answers to *message*, fetched if need be."""
        handshake = self._speech.handshake
        fetched = handshake is not None and bool(handshake.enquiry)
        exchange = partial(self._exchange, text, timeout_s=timeout_s, query=query)
        line = exchange(message, lines=1 if fetched else lines)
        if handshake is None or self._speech.is_busy(line):
            return line
        if fetched:
            self._check_ack(text, line)
            return exchange(handshake.enquiry, lines=lines)
        if line == handshake.nak:
            raise self._refusal(text, "", line)
        return line

    def _text_of(self, text: str, line: bytes) -> str:
        try:
            return self._speech.text(line)
        except ValueError as error:
            raise ProtocolMismatch(
                f"{self.label}: asked {text!r}, and {line!r} came back: {error}; {_IN_STEP}"
            ) from None

    def _check_ack(self, text: str, line: bytes) -> None:
        handshake = self._speech.handshake
        assert handshake is not None
        if line == handshake.ack:
            return
        if line == handshake.nak:
            words = ""
            if handshake.enquiry:
                words = self._text_of(text, self._exchange(text, handshake.enquiry))
            raise self._refusal(text, words, line)
        try:
            words = self._speech.text(line)
        except ValueError:
            words = ""  # then it cannot be a refusal in words
        self._check_refused(text, words)
        raise ProtocolMismatch(
            f"{self.label}: sent {text!r}, and {line!r} came back, which is not {handshake.shown}; "
            f"{_IN_STEP}"
        )

    def _refusal(self, text: str, words: str, line: bytes) -> DeviceRefused:
        said = f", and then {words!r}{self._speech.meaning(words)}" if words else ""
        return DeviceRefused(f"{self.label}: {text!r} was refused: {line!r} came back{said}")

    def _check_refused(self, text: str, reply: str) -> None:
        refused = self._speech.refused
        if refused is not None and refused.fullmatch(reply):
            raise DeviceRefused(
                f"{self.label}: {text!r} was refused: {reply!r} came back"
                f"{self._speech.meaning(reply)}"
            )

    def exchange_perhaps(self, text: str) -> str:
        """Send *text* and return the reply; empty if nothing comes in time.

        A reply may still come then, so the line is put back in step before anything else is sent.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: something came that is no reply, or the connection broke.
        """
        message = self._message(text)
        with self.turn():
            try:
                line = self._exchange(text, message)
            except DeviceTimeout as error:
                if _is_silence(error):
                    return ""
                raise
            handshake = self._speech.handshake
            if handshake is not None and line in (handshake.ack, handshake.nak):
                self._check_ack(text, line)
                return ""
            return self._text_of(text, line)

    # --- the error queue --------------------------------------------------------------------------

    def _errors(self) -> list[str]:
        """Read the error queue until it is empty; return what was in it."""
        query = self._speech.error_query
        assert query is not None
        found: list[str] = []
        while len(found) < _MOST_ERRORS:
            reply = self._asked(query.ask, query=True)
            if query.ok.fullmatch(reply):
                return found
            found.append(f"{reply}{self._speech.meaning(reply)}")
        found.append(f"and no end after {_MOST_ERRORS}")
        return found

    def _check_queue(self, text: str) -> None:
        found = self._errors()
        if found:
            raise DeviceRefused(
                f"{self.label}: after {text!r} the device reports {'; '.join(found)}: most likely "
                f"it refused that and changed nothing"
            )

    def _empty_queue(self) -> None:
        found = self._errors()
        if found:
            _log.warning(
                "%s: the device reports %s, of what was sent before", self.label, "; ".join(found)
            )

    # --- on connecting ----------------------------------------------------------------------------

    def _take(self, step: Step, where: str) -> None:
        if step.ask is None:
            ack, optional = (step.reply, False) if step.reply else self.ack_due(step.tell)
            self.tell_checked(step.tell, ack=ack, ack_optional=optional, check=step.check)
            return
        reply = self.ask(step.ask, query=True)
        assert step.reply is not None  # what is asked has a reply
        if not step.reply.fullmatch(reply):
            raise ProtocolMismatch(
                f"{self.label}: {where}: asked {step.ask!r}, and {reply!r} came back, which is not "
                f"like {step.reply.pattern!r}"
            )


def _is_silence(error: BaseException | None) -> bool:
    """Whether nothing at all had come when *error* was raised, whoever has told it on since."""
    while error is not None:
        if isinstance(error, Silence):
            return True
        error = error.__cause__
    return False
