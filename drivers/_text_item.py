"""One item of the text driver: from a reply to its value, and from a value to a message. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from re import Pattern as Regex
from typing import Any

from drivers.base import BadItem
from drivers.framing.patterns import NoMatch, NoNumber, Pattern, Read
from drivers.framing.templates import Template
from mktl.description import Description
from mktl.errors import BadValue, InvalidReading, ProtocolMismatch

__all__ = ["TextItem", "Told", "check_beside", "read_fields"]


@dataclass(frozen=True, slots=True)
class Told:
    """A message that sets an item."""

    text: str
    """The message, without check sum and terminator."""
    values: Mapping[str, float | str]
    """What was put into each of its fields."""
    texts: Mapping[str, str]
    """How that is written in it."""
    value: Any = None
    """What the item is set to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextItem:
    """What an instrument file says of one item."""

    key: str
    """Its key."""
    type: str
    """Type of its values."""
    fields: tuple[str, ...] = ("value",)
    """The fields that are its value; several for an array only."""
    lines: int = 1
    """How many lines the reply has."""
    ask: str | None = None
    """What is sent to read it."""
    reply: Pattern | None = None
    """What comes back then."""
    no_reading: Regex[str] | None = None
    """What comes back instead, as a whole, if there is no value."""
    heard: Pattern | None = None
    """What the device says of it unasked."""
    silence_s: float | None = None
    """Not heard for so long, and it has no value."""
    tell: Template | None = None
    """What is sent to set it."""
    ack: Regex[str] | None = None
    """What the device answers to that; ``None``: nothing."""
    ack_optional: bool = False
    """Whether it may be silent instead."""
    check: bool = True
    """Whether the error queue is asked after it."""
    read_back: bool = False
    """Whether it is read after it was set."""
    valid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """What fields must be, so that there is a value."""
    reasons: Mapping[str, Mapping[Any, str]] = field(default_factory=dict)
    """What it means if they are something else."""
    plausible: tuple[float, float] | None = None
    """Outside, it is no reading."""
    values: Mapping[int | float | str, Any] | None = None
    """From what is in the protocol to the value of the item."""
    sent_values: Mapping[int | float | str, Any] | None = None
    """The same for what is sent, where that is something else."""
    scale: float = 1
    """Value = number in the protocol * scale + offset."""
    offset: float = 0
    """See *scale*."""
    description: Description
    """What values can be set."""

    def value_of(self, text: str, pattern: Pattern) -> Any:
        """Return the value that *text*, which should look like *pattern*, has for this item.

        Raises:
            InvalidReading: the device says that it has none, or it cannot be true.
            ProtocolMismatch: *text* is something else.
        """
        if pattern is self.reply:
            self._check_reading(text)
        found = read_fields(text, pattern)
        self._check_valid(found, text)
        numbers = [self._value(found[name], text) for name in self.fields]
        return numbers if self.type == "numeric array" else numbers[0]

    def check_reply(self, text: str) -> None:
        """Pass if *text* can be what is due to ``ask``, though there may be no value in it.

        Raises:
            ProtocolMismatch: it is something else.
        """
        assert self.reply is not None  # else nothing is asked
        if self.no_reading is None or not self.no_reading.fullmatch(text):
            read_fields(text, self.reply)

    def told(self, value: Any) -> Told:
        """Return the message that sets the item to *value*.

        Raises:
            MktlError: it cannot have that value, or it cannot be sent so that it stays the same.
        """
        assert self.tell is not None  # else the channel has no write
        value = self.description.validate(value)
        codes = self.tell.fields
        if not codes:
            if value is not True:
                raise BadValue(f"{self.key} can only be set to true, which sends {self.tell.text}")
            return Told(self.tell.text, {}, {})
        if self.type == "numeric array":
            if len(value) != len(self.fields):
                raise BadValue(f"{self.key} has {len(self.fields)} numbers, not {len(value)}")
            given = {
                name: self._sent(one, codes.get(name, ""))
                for name, one in zip(self.fields, value, strict=True)
            }
        else:
            given = {name: self._sent(value, code) for name, code in codes.items()}
        text, texts = self.tell.render(given)
        return Told(text, given, texts, value)

    def difference(self, told: Told, reply: str) -> str:
        """Return how *reply* differs from what was *told*; empty if it does not.

        A number with a fixed count of digits behind the point may differ by half a unit of the
        last one.

        Raises:
            InvalidReading: the device says that it has no value.
            ProtocolMismatch: *reply* is something else.
        """
        assert self.reply is not None and self.tell is not None
        self._check_reading(reply)
        found = read_fields(reply, self.reply)
        if self.sent_values is not None:
            if self._value(found[self.fields[0]], reply) == told.value:
                return ""
            return f"{told.text!r} was sent, and {reply!r} came back then"
        for name, sent in told.values.items():
            read = found[name if name in self.fields else self.fields[0]]
            if not _agree(sent, told.texts[name], self.tell.fields[name], read):
                shown = read.text if isinstance(read, NoNumber) else read
                return f"{told.texts[name]!r} was sent, and {shown!r} is what it has then"
        return ""

    # --- reading ----------------------------------------------------------------------------------

    def _check_reading(self, text: str) -> None:
        if self.no_reading is not None and self.no_reading.fullmatch(text):
            raise InvalidReading(f"{text!r} came back: there is no reading")

    def _check_valid(self, found: Mapping[str, Read], text: str) -> None:
        for name, allowed in self.valid.items():
            value = found[name]
            if isinstance(value, str):
                value = value.strip(" ")
            if isinstance(value, NoNumber) or value not in allowed:
                shown = value.text if isinstance(value, NoNumber) else value
                words = self.reasons.get(name, {}).get(value)
                reason = f" ({words})" if words else ""
                raise InvalidReading(f"{text!r} came back: {name} is {shown}{reason}")

    def _value(self, read: Read, text: str) -> Any:
        if isinstance(read, NoNumber):
            raise InvalidReading(f"{text!r} came back: {read.text!r} is no number")
        if self.values is not None:
            found = self.values.get(read.strip(" ") if isinstance(read, str) else read)
            if found is None:
                known = ", ".join(map(str, self.values))
                raise ProtocolMismatch(f"{text!r} came back: {read!r} is none of {known}")
            return found
        if isinstance(read, str):
            return read
        if self.type in ("numeric", "numeric array"):
            return self._scaled(read, text)
        return self._counted(read, text)

    def _counted(self, read: float, text: str) -> Any:
        if self.type == "boolean":
            if read not in (0, 1):
                raise ProtocolMismatch(f"{text!r} came back: {read!r} is neither 0 nor 1")
            return bool(read)
        if read < 0 or read != int(read):
            raise ProtocolMismatch(f"{text!r} came back: {read!r} is no {self.type} value")
        if self.type == "enumerated" and read not in self.description.enumerators:
            known = ", ".join(f"{number} ({word})" for number, word in self._enumerators)
            raise ProtocolMismatch(f"{text!r} came back: {read!r} is none of {known}")
        return int(read)

    @property
    def _enumerators(self) -> list[tuple[int, str]]:
        return sorted(self.description.enumerators.items())

    def _scaled(self, read: float, text: str) -> float:
        value = read if self._is_plain else read * self.scale + self.offset
        if not math.isfinite(value):
            raise ProtocolMismatch(f"{text!r} came back: {read!r} is too large a number")
        if self.plausible is not None:
            low, high = self.plausible
            if not low <= value <= high:
                raise InvalidReading(
                    f"{text!r} came back: {value:g} is not plausible, which is {low:g} to {high:g}"
                )
        return value

    @property
    def _is_plain(self) -> bool:
        return self.scale == 1 and self.offset == 0

    # --- setting ----------------------------------------------------------------------------------

    def _sent(self, value: Any, code: str) -> float | str:
        values = self.values if self.sent_values is None else self.sent_values
        if values is not None:
            return self._sent_of_values(values, value, code)
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, str) or self._is_plain:
            sent: float | str = value
            return sent
        # What a division by 0.1 makes of a number is not what anybody wants to send.
        return float(f"{(value - self.offset) / self.scale:.12g}")

    def _sent_of_values(
        self, values: Mapping[int | float | str, Any], value: Any, code: str
    ) -> float | str:
        for sent, one in values.items():
            if one == value:
                return str(sent) if code == "s" else sent
        known = ", ".join(map(repr, values.values()))
        raise BadValue(f"{self.key} cannot be set to {value!r}: only to {known}")


def check_beside(item: TextItem, others: Iterable[TextItem]) -> None:
    """Refuse *item* if it cannot be told what is said to it, beside *others* of its controller.

    Raises:
        BadItem: names the key of its table.
    """
    for other in (item, *others):
        for heard, asked in ((item, other), (other, item)):
            if heard.heard is None or asked.reply is None:
                continue
            if heard.heard.regex.pattern == asked.reply.regex.pattern:
                raise BadItem(
                    "heard" if heard is item else "reply",
                    f"the reply to {asked.ask!r} and what {heard.key} hears look the same, and "
                    f"what may come unasked is never taken for a reply",
                )
        if item.ask is not None and item.ask == other.ask and item.lines != other.lines:
            raise BadItem(
                "reply",
                f"has {item.lines} lines, and the reply of {other.key}, which asks the same, has "
                f"{other.lines}",
            )


def read_fields(text: str, pattern: Pattern) -> dict[str, Read]:
    """Return the fields of *text*, which must look like *pattern*.

    Raises:
        ProtocolMismatch: it does not.
    """
    try:
        return pattern.match(text)
    except NoMatch as error:
        raise ProtocolMismatch(f"{text!r} came back, which is no reply to that: {error}") from None


def _agree(sent: float | str, written: str, code: str, read: Read) -> bool:
    if isinstance(read, NoNumber):
        return False
    if isinstance(read, str):
        return read.strip(" ") == str(sent).strip(" ")
    number = float(sent)
    if code in ("d", "x", "X", "o", "b"):
        return read == number
    # What a device that counts in single precision makes of a number.
    near = 1e-6 * abs(number)
    digits = -int(Decimal(written.strip().replace(",", "")).as_tuple().exponent)
    if code in ("e", "E") or (code in ("f", "F") and digits > 0):
        near = max(near, 0.5 * 10.0**-digits)
    return abs(read - number) <= near * (1 + 1e-9)
