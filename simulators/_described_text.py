"""A text device that an instrument file describes: whatever its items ask and tell, it knows."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from simulators._described_framer import TextFramer
from simulators._described_line import Line
from simulators._described_manners import Manners
from simulators._described_pattern import Field, Pattern
from simulators._described_regex import text_like
from simulators._described_shapes import TEXT_ITEM, TEXT_SETTINGS, check_shapes
from simulators._described_text_item import TextItem
from simulators.device import Device, Framer, Quantity, SimulatorError

__all__ = ["DescribedText"]

_MOST_ERRORS = 20
_FARTHEST = 1e12


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a message."""

    reply: str | None = None
    """What is answered; None: nothing."""
    refused: bool = False
    meant: bool = True
    """False: it was for another unit on the line."""


@dataclass(slots=True)
class _Heard:
    """A line that the device sends by itself."""

    line: Line
    every_s: float
    shape: tuple[str | Field, ...]
    waited_s: float = 0.0


class DescribedText(Device):
    """The device: its items hold what they are told, and say it when they are asked."""

    name: ClassVar[str] = "text"

    def __init__(
        self,
        name: str,
        table: Mapping[str, Any],
        items: Mapping[str, Mapping[str, Any]],
        *,
        unit: int | None = None,
    ) -> None:
        """Make the device of the controller *name*.

        Args:
            name: What errors call it.
            table: Its table in the instrument file.
            items: The tables of its items, by key.
            unit: Its address, of a line that it may share.

        Raises:
            SimulatorError: something cannot be made; the text says what.
        """
        check_shapes(f"controllers.{name}", table, TEXT_SETTINGS)
        for key, item in items.items():
            check_shapes(f"items.{key}", item, TEXT_ITEM)
        self.unit = unit
        self._manners = Manners(name, table, unit)
        self.line_end = self._manners.send_end or b"\n"
        self.reply_end = self._manners.reply_end
        self.abilities = frozenset(
            fault
            for fault, sign in (
                ("nak", self._manners.nak or self._manners.refused),
                ("busy", self._manners.busy),
            )
            if sign
        )
        self._items = {key: TextItem.of(key, item, unit) for key, item in items.items()}
        self._acks = {key: self._ack(item) for key, item in self._items.items()}
        self._tells = sorted(
            ((item.tell, item) for item in self._items.values() if item.tell is not None),
            key=lambda pair: -pair[0].literals,
        )
        self._answers = self._manners.answers()
        self._identity = self._manners.identity()
        self._error_query = self._manners.error_query()
        self._lines = self._asked_lines()
        self._heard = self._heard_lines()
        sent = [str(each[key]) for each in items.values() for key in ("ask", "tell") if key in each]
        self._addresses = self._manners.addresses([*self._manners.templates(), *sent])
        self._spoilt: set[str] = set()
        self._errors: deque[str] = deque(maxlen=_MOST_ERRORS)
        self._pending: str | None = None
        self._to_say: list[str] = []

    # -- bytes -------------------------------------------------------------------------------

    def framer(self) -> Framer:
        """Cut at the terminator, and take the enquiry for a message."""
        return TextFramer(self._manners.send_end, self._manners.enquiry)

    def answer(self, message: bytes) -> bytes:
        """Obey one message, or answer an enquiry."""
        manners = self._manners
        if manners.enquiry and message == manners.enquiry:
            pending, self._pending = self._pending, None
            return b"" if pending is None else manners.line(pending)
        self._pending = None
        text = manners.received(message)
        outcome = self._unreadable() if text is None else self._obey(text)
        if not outcome.meant:
            return b""
        echo = message + manners.send_end if manners.echo else b""
        return echo + (self._shaken(outcome) if manners.has_handshake else self._plain(outcome))

    def refusal(
        self, transport: str, message: bytes, fault: str, how: Mapping[str, float | str]
    ) -> bytes:
        """Say what the file calls refused, or busy."""
        text = self._manners.received(message)
        if fault not in self.abilities:
            return super().refusal(transport, message, fault, how)
        if text is None or not self._is_meant(text):
            return b""
        if fault == "busy":
            return self._manners.line(self._manners.busy or "")
        refused = _Outcome(refused=True)
        return self._shaken(refused) if self._manners.has_handshake else self._plain(refused)

    def framing_bytes(self, transport: str, reply: bytes) -> Collection[int]:  # noqa: ARG002
        """Spare the terminator."""
        return [place for place, byte in enumerate(reply) if byte in self._manners.reply_end]

    def unasked(self, transport: str, text: str) -> bytes:  # noqa: ARG002
        """Give *text* as a line of the device."""
        return self._manners.line(text)

    def pace_s(self) -> float:
        """Give the gap between messages that the file says."""
        return self._manners.min_gap_s

    def take_unasked(self) -> list[bytes]:
        """Give the lines that it has said by itself since the last time."""
        said, self._to_say = self._to_say, []
        return [self._manners.line(text) for text in said]

    def _plain(self, outcome: _Outcome) -> bytes:
        reply = self._manners.refused if outcome.refused else outcome.reply
        return b"" if reply is None else self._manners.line(reply)

    def _shaken(self, outcome: _Outcome) -> bytes:
        manners = self._manners
        if outcome.refused:
            if manners.enquiry:
                self._pending = "ERROR" if manners.refused is None else manners.refused
            return manners.signal(manners.nak) if manners.nak else b""
        if outcome.reply is None:
            return manners.signal(manners.ack)
        if not manners.enquiry:
            return manners.line(outcome.reply)
        self._pending = outcome.reply
        return manners.signal(manners.ack)

    # -- messages ----------------------------------------------------------------------------

    def _obey(self, text: str) -> _Outcome:
        if text == self._identity and self.disguise is not None:
            return _Outcome(self.disguise)
        if text in self._lines:
            return _Outcome(self._lines[text].text(self._spoilt))
        if self._error_query is not None and text == self._error_query[0]:
            return _Outcome(self._errors.popleft() if self._errors else self._error_query[1])
        return self._told(text) or self._otherwise(text)

    def _otherwise(self, text: str) -> _Outcome:
        if text in self._answers:
            return _Outcome(self._answers[text])
        return self._refuse() if self._is_meant(text) else _Outcome(meant=False)

    def _told(self, text: str) -> _Outcome | None:
        """Have the item that *text* sets take its value; None: it sets none."""
        matches = [
            (tell, item, match)
            for tell, item in self._tells
            if (match := tell.regex.fullmatch(text)) is not None
        ]
        for tell, item, match in matches:
            texts = dict(zip((each.name for each in tell.fields), match.groups(), strict=True))
            if item.take(texts, tell):
                self._changed(item)
                return _Outcome(self._acks[item.key])
        if not matches:
            return None
        refused = self._refuse()
        # Where errors are asked for, nobody waits for an answer to what needs none.
        silent = self._error_query is not None and self._acks[matches[0][1].key] is None
        return _Outcome() if silent and not self._manners.has_handshake else refused

    def _refuse(self) -> _Outcome:
        if self._error_query is not None:
            self._errors.append(self._error_query[2])
        return _Outcome(refused=True)

    def _unreadable(self) -> _Outcome:
        return _Outcome(refused=True, meant=not self.shares_line)

    def _is_meant(self, text: str) -> bool:
        return not self.shares_line or text.startswith(self._addresses) or text in self._lines

    def _changed(self, changed: TextItem) -> None:
        """Have the items that follow this one follow."""
        for item in self._items.values():
            if item.table.get("tracks", {}).get("item") == changed.key and changed.is_number:
                # One that cannot show the value stays where it is.
                with contextlib.suppress(SimulatorError, ValueError):
                    item.put_number(changed.number())

    # -- making ------------------------------------------------------------------------------

    def _ack(self, item: TextItem) -> str | None:
        ack = item.table.get("ack")
        if ack is None:
            return None
        return text_like(self._manners.said("ack", ack), f"{item.where}.ack")

    def _asked_lines(self) -> dict[str, Line]:
        lines: dict[str, Line] = {}
        for item in self._items.values():
            if item.ask is not None and item.reply is not None:
                what = f"{self._manners.where}: the reply to {item.ask!r}"
                lines.setdefault(item.ask, Line(what, self._manners.no_value)).add(item, item.reply)
        return lines

    def _heard_lines(self) -> list[_Heard]:
        found: list[_Heard] = []
        for item in self._items.values():
            if item.heard is None:
                continue
            shape = _shape(item.heard)
            same = [each for each in found if each.shape == shape]
            if not same:
                what = f"{self._manners.where}: the line {item.table['heard']!r}"
                same = [_Heard(Line(what, self._manners.no_value), item.every_s, shape)]
                found += same
            same[0].line.add(item, item.heard)
        return found

    # -- time, supply and the control port ---------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let time pass: lines that come by themselves become due.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")
        for heard in self._heard:
            heard.waited_s += dt_s
            if heard.waited_s >= heard.every_s:
                heard.waited_s = 0.0
                self._to_say.append(heard.line.text(self._spoilt))

    def hold(self) -> float:
        """Change nothing: only what is told changes, and lines go on coming by themselves."""
        return 1.0

    def power_off(self) -> None:
        """Forget errors and what was to be fetched; the values stay, as the file says none."""
        self._errors.clear()
        self._pending = None
        self._to_say.clear()

    def power_on(self) -> None:
        """Go on as before."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Give each item that is a number, and ``invalid.KEY`` where the device can say so."""
        found: dict[str, Quantity] = {}
        for key, item in self._items.items():
            if item.is_number:
                found |= self._numbers(key, item)
            if any(line.can_be_spoilt(item) for line in self._all_lines()):
                found[f"invalid.{key}"] = Quantity(
                    units="",
                    doc=f"1: the device says that {key} has no value",
                    read=lambda key=key: float(key in self._spoilt),  # type: ignore[misc]
                    write=partial(self._spoil, item),
                    whole=True,
                )
        return found

    def _numbers(self, key: str, item: TextItem) -> dict[str, Quantity]:
        units = item.table.get("units", "")
        return {
            f"{key}.{name}" if item.is_array else key: Quantity(
                units=str(units.get("", "") if isinstance(units, Mapping) else units),
                doc=str(item.table.get("description", f"item {key}")),
                read=partial(item.number, place),
                write=partial(self._put, item, place),
                low=-_FARTHEST,
                high=_FARTHEST,
            )
            for place, name in enumerate(item.fields)
        }

    def _put(self, item: TextItem, place: int, value: float) -> None:
        item.put_number(value, place)
        self._changed(item)
        self._say(item)

    def _spoil(self, item: TextItem, value: float) -> None:
        if value:
            self._spoilt.add(item.key)
        else:
            self._spoilt.discard(item.key)
        self._say(item)

    def _say(self, item: TextItem) -> None:
        for heard in self._heard:
            if item in heard.line.items:
                heard.waited_s = 0.0
                self._to_say.append(heard.line.text(self._spoilt))

    def _all_lines(self) -> list[Line]:
        return [*self._lines.values(), *(heard.line for heard in self._heard)]


def _shape(pattern: Pattern) -> tuple[str | Field, ...]:
    """Return the pattern without the names that items give to its fields."""
    return tuple(
        Field("", each.kind, each.width) if isinstance(each, Field) else each
        for each in pattern.tokens
    )
