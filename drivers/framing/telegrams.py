"""Telegrams of the Pfeiffer Vacuum protocol: several units on one line, each with an address.

One is ``aaa`` address, action (0: request, 1: write or reply), ``0``, ``ppp`` parameter, ``ll``
length, as many characters of data, ``ccc`` check sum, CR: ``0010034902=?111``. Pure.

Source: sheet "Pfeiffer Vacuum Protocol", section "Telegram".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers.framing.checksum import WrongChecksum, checksum_named
from drivers.framing.terminator import TerminatedReplies
from mktl.errors import ProtocolMismatch

__all__ = ["NOISE", "Telegram", "TelegramReplies", "to_telegram"]

_CHECKSUM = checksum_named("sum8-dec")
_END = b"\r"
_LONGEST = 3 + 1 + 1 + 3 + 2 + 99 + 3
_PARTS = re.compile(r"(\d{3})([01])0(\d{3})(\d{2})([ -~]*)", re.ASCII)

NOISE = bytes({*range(0x20), *range(0x7F, 0x100)} - {*_END})
"""What no telegram has in it: transceivers that change direction make such bytes."""


@dataclass(frozen=True, slots=True)
class Telegram:
    """One telegram, without what is around it."""

    address: int
    """Of the unit, 1 to 255, whoever sends it."""
    parameter: int
    """Number of the parameter."""
    data: str = "=?"
    """What is written, or was read; ``=?`` asks."""
    asks: bool = True
    """Whether it asks for a value; else it writes one, or is a reply."""

    @property
    def text(self) -> str:
        """The telegram without check sum and CR."""
        return (
            f"{self.address:03d}{0 if self.asks else 1}0{self.parameter:03d}"
            f"{len(self.data):02d}{self.data}"
        )

    @property
    def line(self) -> bytes:
        """The whole telegram, as it is sent."""
        return _CHECKSUM.added(self.text.encode("ascii")) + _END


def to_telegram(text: str) -> Telegram:
    """Read *text*, a telegram without check sum and CR.

    Raises:
        ValueError: it is anything else.
    """
    found = _PARTS.fullmatch(text)
    if found is None or int(found[4]) != len(found[5]):
        raise ValueError(
            f"{text!r} is no telegram: address, 00 or 10, parameter, length and data are due"
        )
    return Telegram(int(found[1]), int(found[3]), found[5], found[2] == "0")


class TelegramReplies:
    """Replies of a line, told from others by address and parameter, and checked.

    What neighbours say, too late perhaps, is lost; so is what the wiring sends back of our own.
    Gives back the text of each telegram, without check sum.
    """

    def __init__(self) -> None:
        """Begin with an empty buffer, and nothing asked."""
        self._replies = TerminatedReplies(_END, limit=4 * _LONGEST)
        self._sent = Telegram(0, 0)
        self._line_echoes = False
        self._echo_is_due = False

    @property
    def pending(self) -> bytes:
        """What has come and was not given back yet."""
        return self._replies.pending

    def sent(self, message: bytes) -> None:
        """Note what is about to be asked."""
        self._sent = to_telegram(message[: -_CHECKSUM.length - len(_END)].decode("ascii"))
        self._echo_is_due = self._line_echoes

    def feed(self, data: bytes) -> None:
        """Add *data*, as it came.

        Raises:
            ProtocolMismatch: too much came without the end of a telegram.
        """
        self._replies.feed(data)

    def next_reply(self) -> bytes | None:
        """Return the reply to what was asked last.

        Raises:
            ProtocolMismatch: a telegram is damaged.
        """
        while (line := self._replies.next_reply()) is not None:
            text = self._checked(line)
            telegram = to_telegram(text)
            if not self._is_echo(telegram) and self._is_ours(telegram):
                return text.encode("ascii")
        return None

    def clear(self) -> bytes:
        """Forget everything that is pending, and return it."""
        return self._replies.clear()

    def _checked(self, line: bytes) -> str:
        try:
            text = _CHECKSUM.removed(line).decode("ascii", "replace")
            to_telegram(text)
        except (WrongChecksum, ValueError) as error:
            self.clear()
            raise ProtocolMismatch(f"{line[:40]!r} came back damaged: {error}") from None
        return text

    def _is_echo(self, telegram: Telegram) -> bool:
        """Whether it is what we have sent, and comes back over the wiring."""
        if telegram.asks:
            # Only hosts ask. From now on a unit that confirms a write is the second one to say it.
            self._line_echoes = self._line_echoes or telegram == self._sent
            self._echo_is_due = False
            return True
        due, self._echo_is_due = self._echo_is_due, False
        return due and telegram == self._sent

    def _is_ours(self, telegram: Telegram) -> bool:
        return (telegram.address, telegram.parameter) == (self._sent.address, self._sent.parameter)
