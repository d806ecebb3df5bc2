"""The base of drivers that speak lines of text."""

from __future__ import annotations

from typing import Any, ClassVar

from drivers.base import ControllerBase
from mktl.errors import BadValue, ConfigurationError, ProtocolMismatch

__all__ = ["Controller"]


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
            reply = self._line.exchange(message, timeout_s=timeout_s)
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
        return tuple(restore)

    def restore_setting(self, setting: str) -> None:
        """Send one of the ``restore`` commands, and see to it that it was taken."""
        self.tell(setting)

    # --- inside -----------------------------------------------------------------------------------

    def _message(self, text: str) -> bytes:
        if not (text.isascii() and text.isprintable()):
            raise BadValue(f"{self.label}: {text!r} cannot be sent: only printable ASCII can")
        return (text + self.message_end).encode("ascii")
