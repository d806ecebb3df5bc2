"""The base of drivers that speak lines of text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

from drivers.base import ControllerBase
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    InvalidReading,
    ProtocolMismatch,
)

__all__ = ["Controller", "NoNumber"]


class NoNumber(ValueError):
    """What came stands for a value that the device does not have."""


class Controller(ControllerBase):
    """One device behind one line of text, shared by all who open the same URL.

    A driver is a subclass: it sets the class attributes, and adds typed methods and
    :meth:`channels`::

        with LakeShore336.open("tcp://192.168.10.21") as tc:
            print(tc.temperature_k("A"))
    """

    message_end: ClassVar[str] = "\n"
    """What ends each message that is sent."""

    def raw(self, text: str) -> str:
        """Send *text* as it is, in a turn of its own, and return the reply.

        Returns:
            The reply; empty if :meth:`replies_to` says that none is due.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: as for any turn.
        """
        if self.replies_to(text):
            return self.ask(text)
        self.tell(text)
        return ""

    def ask(self, text: str, *, timeout_s: float | None = None) -> str:
        """Send *text* and return the reply, both without terminators.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: as for :meth:`Line.exchange`.
        """
        message = self._message(text)
        # One turn to the end: a line that is out of step must not be anybody else's meanwhile.
        with self.turn():
            query = self.is_query(text)
            reply = self._line.exchange(message, timeout_s=timeout_s, query=query)
            try:
                answer = reply.decode("ascii")
            except UnicodeDecodeError:
                answer = ""
            if not answer.isprintable() or (reply and not answer):
                raise ProtocolMismatch(f"{self.label}: asked {text!r}, and {reply!r} came back")
            return answer

    def tell(self, text: str) -> None:
        """Send *text*, to which no reply is due.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: as for :meth:`Line.exchange`.
        """
        self._line.exchange(self._message(text), reply=False)

    # --- what drivers override --------------------------------------------------------------------

    def replies_to(self, text: str) -> bool:
        """Whether the device answers *text*; needed for :meth:`raw` only."""
        return bool(text)

    def is_query(self, text: str) -> bool:
        """Whether *text* surely changes nothing: then no error says that it may have."""
        return text.partition(" ")[0].endswith("?") and ";" not in text

    def check_restore(self, restore: object) -> tuple[Any, ...]:
        """Return the commands to be sent again on each connect.

        Raises:
            ConfigurationError: one cannot be sent.
        """
        if not isinstance(restore, list | tuple):
            raise ConfigurationError(f"restore must be a list of commands, not {restore!r}")
        for text in restore:
            if not (isinstance(text, str) and text.isascii() and text.isprintable() and text):
                raise ConfigurationError(
                    f"restore: {text!r} cannot be sent: only printable ASCII can"
                )
            if text.partition(" ")[0].endswith("?"):
                raise ConfigurationError(
                    f"restore: {text!r} is a question, which restores nothing: leave it out"
                )
        return tuple(restore)

    def restore_setting(self, setting: str) -> None:
        """Send one of the ``restore`` commands, and see to it that it was taken."""
        self.tell(setting)

    # --- inside -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _understanding(self, text: str, came: str) -> Iterator[None]:
        """Read in the context, and in the turn, what *came* when *text* was asked.

        A NoNumber in it becomes an InvalidReading; any other ValueError is a reply that cannot be:
        a ProtocolMismatch.
        """
        try:
            yield
        except DeviceError:
            raise
        except NoNumber as error:
            raise InvalidReading(f"{self.label}: asked {text!r}: {error}") from error
        except ValueError as error:
            raise self._mismatch(text, came, error) from error

    def _mismatch(self, text: str, came: str, error: Exception) -> ProtocolMismatch:
        """Return what to raise, in the turn, where *text* was asked and *came* cannot answer it."""
        return ProtocolMismatch(
            f"{self.label}: asked {text!r}, and {came!r} came back: {error}; the line is put back "
            f"in step before anything else is sent"
        )

    def _message(self, text: str) -> bytes:
        if not (text.isascii() and text.isprintable()):
            raise BadValue(f"{self.label}: {text!r} cannot be sent: only printable ASCII can")
        return (text + self.message_end).encode("ascii")
