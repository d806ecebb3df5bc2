"""What the text driver puts around a message, and takes off a reply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers._text_check import checked_choice, checked_table, checked_text
from drivers.framing.checksum import Checksum, checksum_named
from drivers.settings import Looks
from mktl.errors import BadValue, ConfigurationError

__all__ = ["Wire"]

_ENCODINGS = ("ascii", "latin-1", "utf-8")
_CHECKSUM_ON = ("both", "sent", "received")
_BLANKS = dict.fromkeys(map(ord, "\t\r\n"), " ")


@dataclass(frozen=True, slots=True)
class _LineLike:
    """A line whose text looks like a regular expression; whether its check sum is right or not."""

    begin: bytes
    sum_length: int
    encoding: str
    regex: re.Pattern[str]

    def fullmatch(self, string: str, /) -> object:
        line = string.encode("latin-1")
        if not line.startswith(self.begin):
            return None
        text = _inside(line, self.begin, self.sum_length)
        return self.regex.fullmatch(text.decode(self.encoding, "replace"))


class Wire:
    """How a text becomes bytes, and bytes a text: encoding, both ends, check sum."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Understand what *settings* say of it; all others are left alone.

        Raises:
            ConfigurationError: one is wrong; the text begins with its name.
        """
        self.encoding = checked_choice("encoding", settings.get("encoding", "ascii"), _ENCODINGS)
        self.send_end, self.reply_end = self._two_ways(settings, "terminator", "\r\n")
        self.send_begin, self.reply_begin = self._two_ways(settings, "prefix", "")
        if not self.reply_end:
            name = "reply_terminator" if "reply_terminator" in settings else "terminator"
            raise ConfigurationError(f"{name}: a reply needs an end: it cannot be empty")
        self._sum_sent, self._sum_received = _checksums(settings.get("checksum"))

    @property
    def is_plain(self) -> bool:
        """Whether a reply is a text and its end, and nothing else."""
        return self.encoding == "ascii" and not (self._sum_received or self.reply_begin)

    @property
    def overhead_bytes(self) -> tuple[int, int]:
        """How many bytes a message and a reply have beside their text."""
        sent = len(self.send_begin) + len(self.send_end)
        received = len(self.reply_begin) + len(self.reply_end)
        sent += self._sum_sent.length if self._sum_sent else 0
        received += self._sum_received.length if self._sum_received else 0
        return sent, received

    def message(self, text: str) -> bytes:
        """Return *text* as it is sent.

        Raises:
            BadValue: it has characters that are not printable, or not in the encoding.
        """
        if not text.isprintable():
            raise BadValue(f"{text!r} cannot be sent: only printable characters can")
        try:
            line = text.encode(self.encoding)
        except UnicodeEncodeError:
            raise BadValue(f"{text!r} cannot be sent as {self.encoding}") from None
        if self.send_end and self.send_end in line:
            raise BadValue(f"{text!r} cannot be sent: the terminator is in it")
        if self._sum_sent is not None:
            line = self._sum_sent.added(line)
        return self.send_begin + line + self.send_end

    def text(self, reply: bytes) -> str:
        """Return what *reply* says; between two lines of it is what ends a line.

        Raises:
            ValueError: the check sum of a line is wrong, or it is no text.
        """
        end = self.reply_end.decode(self.wide_encoding)
        return end.join(map(self._text_of_line, reply.split(self.reply_end)))

    def loose_text(self, line: bytes) -> str:
        """Return what *line* seems to say, of which something is wrong."""
        length = self._sum_received.length if self._sum_received is not None else 0
        return _inside(line, self.reply_begin, length).decode(self.encoding, "replace")

    def line_like(self, regex: re.Pattern[str]) -> Looks:
        """Return how lines look, byte for byte, whose text looks like *regex*."""
        length = self._sum_received.length if self._sum_received is not None else 0
        return _LineLike(self.reply_begin, length, self.encoding, regex)

    @property
    def wide_encoding(self) -> str:
        """How what is no text becomes bytes, such as ACK or a terminator."""
        return "latin-1" if self.encoding == "ascii" else self.encoding

    def to_bytes(self, name: str, found: object) -> bytes:
        """Return *found*, a text that may be empty, and may have any characters, as bytes.

        Raises:
            ConfigurationError: it cannot be; the text begins with *name*.
        """
        try:
            return checked_text(name, found, empty=True).encode(self.wide_encoding)
        except UnicodeEncodeError:
            raise ConfigurationError(f"{name}: {found!r} cannot be sent") from None

    def _two_ways(self, settings: Mapping[str, Any], name: str, usual: str) -> tuple[bytes, bytes]:
        """Return what is sent, and what comes back; a setting of its own goes first."""
        both = self.to_bytes(name, settings.get(name, usual))
        sent, received = (
            self.to_bytes(one, settings[one]) if one in settings else both
            for one in (f"send_{name}", f"reply_{name}")
        )
        return sent, received

    def _text_of_line(self, line: bytes) -> str:
        if not line.startswith(self.reply_begin):
            raise ValueError(f"{line!r} does not begin with {self.reply_begin!r}")
        line = line.removeprefix(self.reply_begin)
        if self._sum_received is not None:
            line = self._sum_received.removed(line)
        try:
            text = line.decode(self.encoding)
        except UnicodeDecodeError:
            raise ValueError(f"{line!r} is not {self.encoding}") from None
        if not text.translate(_BLANKS).isprintable():
            raise ValueError(f"{line!r} has characters in it that are not printable")
        return text


def _inside(line: bytes, begin: bytes, sum_length: int) -> bytes:
    line = line.removeprefix(begin)
    return line[:-sum_length] if sum_length else line


def _checksums(found: object) -> tuple[Checksum | None, Checksum | None]:
    if found is None:
        return None, None
    on: object = "both"
    name = found
    if not isinstance(found, str):
        table = checked_table("checksum", found, ("name", "on"))
        name, on = table.get("name"), table.get("on", "both")
    where = checked_choice("checksum.on", on, _CHECKSUM_ON)
    try:
        made = checksum_named(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"checksum: {error}") from None
    return (
        made if where in ("both", "sent") else None,
        made if where in ("both", "received") else None,
    )
