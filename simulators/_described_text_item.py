"""One item of a text controller: the texts in its fields, and the values that they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators._described_pattern import (
    Field,
    Pattern,
    number_in,
    reply_pattern,
    told_pattern,
    with_unit,
)
from simulators._described_regex import text_like
from simulators._described_values import enumerator, most_plausible, number_pair
from simulators.device import SimulatorError

__all__ = ["Cell", "TextItem", "text_of"]

_USUAL_EVERY_S = 1.0
_NUMBER_TYPES = ("numeric", "boolean", "enumerated", "mask", "numeric array")
_WHOLE_TYPES = ("boolean", "enumerated", "mask")


@dataclass(slots=True, eq=False)
class Cell:
    """One text that the device holds, as it stands in a field; items may share it."""

    field: Field
    text: str
    given: bool
    """Whether the file says with which text it begins."""


@dataclass(slots=True, eq=False)
class TextItem:
    """What the tables of an item say, ready for use."""

    key: str
    where: str
    """What errors call it, e.g. ``items.pressure``."""
    table: Mapping[str, Any]
    ask: str | None
    reply: Pattern | None
    tell: Pattern | None
    heard: Pattern | None
    every_s: float
    """How often it is told unasked: often enough that no silence is noticed."""
    fields: tuple[str, ...]
    values: Mapping[str, Any]
    told_values: Mapping[str, Any]
    """The same for what it is told, where that is something else."""
    no_reading: str | None
    """What is answered if there is no value."""
    scale: float
    offset: float
    cells: list[Cell] = field(default_factory=list)

    @classmethod
    def of(cls, key: str, table: Mapping[str, Any], unit: int | None) -> TextItem:
        """Understand the table of an item.

        Raises:
            SimulatorError: something in it cannot be made sense of.
        """
        where = f"items.{key}"
        fields = table.get("field", "value")
        ask, tell, heard = (table.get(word) for word in ("ask", "tell", "heard"))
        kind = _default_kind(table)
        reply = None
        if ask is not None and "reply" in table:
            reply = reply_pattern(str(table["reply"]), unit, f"{where}.reply")
        elif ask is not None:
            reply = reply_pattern("{value}", unit, f"{where}.reply", kind)
        item = cls(
            key=key,
            where=where,
            table=table,
            ask=None if ask is None else with_unit(str(ask), unit, f"{where}.ask"),
            reply=reply,
            tell=None if tell is None else told_pattern(str(tell), unit, f"{where}.tell"),
            heard=None if heard is None else reply_pattern(str(heard), unit, f"{where}.heard"),
            every_s=min(_USUAL_EVERY_S, float(table.get("silence_s", math.inf)) / 3),
            fields=tuple(map(str, fields)) if isinstance(fields, list | tuple) else (str(fields),),
            values=table.get("values", {}),
            told_values=table.get("tell_values", {}),
            no_reading=_no_reading(table, unit, where),
            scale=float(table.get("scale", 1.0)),
            offset=float(table.get("offset", 0.0)),
        )
        item._fill(kind)
        return item

    @property
    def is_array(self) -> bool:
        """Whether it has several values."""
        return isinstance(self.table.get("field"), list | tuple)

    # -- its values --------------------------------------------------------------------------

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, or words that stand for numbers."""
        return bool(self.values) or not self.cells[0].field.is_text

    def number(self, index: int = 0) -> float:
        """Return the value as a number; of words without one, the place in their list.

        Raises:
            ValueError: what the device holds stands for none.
        """
        cell = self.cells[index]
        if self.values:
            return self._number_of_word(self._word_in(cell.text, cell.field, self.values))
        return number_in(cell.text.strip(), cell.field) * self.scale + self.offset

    def put_number(self, number: float, index: int = 0) -> None:
        """Have this value.

        Raises:
            SimulatorError: the device could not show it.
        """
        cell = self.cells[index]
        try:
            if not self.values:
                cell.text = cell.field.written((number - self.offset) / self.scale)
                return
            words = [word for word in self.values if self._number_of_word(word) == number]
            if not words:
                known = ", ".join(f"{self._number_of_word(word):g}" for word in self.values)
                raise SimulatorError(f"it is one of {known}, not {number:g}")
            cell.text = text_of(words[0], cell.field)
        except SimulatorError as error:
            raise SimulatorError(f"{self.key}: {error}") from None

    def in_range(self) -> bool:
        """Whether its values are within the range of the item."""
        low, high = number_pair(self.table.get("range"))
        if not self.is_number or (low is None or high is None):
            return True
        slack = 1e-9 * max(abs(low), abs(high))
        return all(low - slack <= self.number(at) <= high + slack for at in range(len(self.cells)))

    def take(self, texts: Mapping[str, str], told: Pattern) -> bool:
        """Have the values in *texts*, of the fields of *told*; False: they cannot be."""
        before = [cell.text for cell in self.cells]
        kinds = {each.name: each for each in told.fields}
        try:
            if not texts and self.table.get("type") == "boolean":
                self.put_number(1.0)
            for name, cell in zip(self.fields, self.cells, strict=True):
                # Of a single value it does not matter what it is called.
                source = name if self.is_array else next(iter(texts), name)
                if source in texts:
                    cell.text = self._as_shown(texts[source], kinds[source], cell.field)
            if self.in_range():
                return True
        except (ValueError, SimulatorError):
            pass  # what cannot be read or shown is refused like what is out of range
        for cell, text in zip(self.cells, before, strict=True):
            cell.text = text
        return False

    def _as_shown(self, text: str, told: Field, shown: Field) -> str:
        if self.told_values:
            word = self._word_in(text, told, self.told_values)
            return self._first_text(shown, self.told_values[word])
        if self.values:
            return text_of(self._word_in(text, told, self.values), shown)
        if shown.is_text:
            return shown.fitted(text)
        return shown.written(number_in(text.strip(), told))

    def _word_in(self, text: str, held: Field, words: Mapping[str, Any]) -> str:
        """Return the one of *words* that *text* is; ValueError: it is none of them."""
        word = text.strip()
        if word in words and held.kind not in ("x", "o", "b"):
            return word
        number = number_in(word, held)
        for key in words:
            try:
                if float(key) == number:
                    return key
            except ValueError:
                continue
        raise ValueError(f"{word!r} is none of {', '.join(words)}")

    def _number_of_word(self, word: str) -> float:
        value = self.values.get(word)
        if isinstance(value, str):
            found = enumerator(self.table, value)
            return float(list(self.values).index(word) if found is None else found)
        return float(value) if isinstance(value, int | float) else 0.0

    # -- what it begins with -----------------------------------------------------------------

    def _fill(self, kind: str) -> None:
        shown = self.reply or self.heard
        for place, name in enumerate(self.fields):
            self.cells.append(self._cell(self._field(shown, name, kind), place))

    def _field(self, shown: Pattern | None, name: str, kind: str) -> Field:
        if shown is None:
            told = {each.name: each for each in self.tell.fields} if self.tell else {}
            return Field(name, told[name].kind or kind if name in told else kind)
        for each in shown.fields:
            if each.name == name:
                return each
        raise SimulatorError(f"{self.where}: there is no field {{{name}}} in what is received")

    def _cell(self, shown: Field, place: int) -> Cell:
        given = self.table.get("simulate")
        if isinstance(given, list | tuple):
            given = given[place] if place < len(given) else None
        cell = Cell(shown, shown.default(), given is not None)
        try:
            cell.text = self._first_text(shown, given)
        except (SimulatorError, TypeError, ValueError) as error:
            if given is not None:
                raise SimulatorError(f"{self.where}.simulate: {given!r}: {error}") from error
            if self.values:
                raise SimulatorError(f"{self.where}.values: {error}") from error
        return cell

    def _first_text(self, shown: Field, given: Any) -> str:
        if self.values:
            return text_of(self._first_word(given), shown)
        valid = self.table.get("valid", {}).get(shown.name)
        if valid is not None and given is None:
            return text_of(valid[0] if isinstance(valid, list) else valid, shown)
        if shown.is_text:
            return shown.fitted(str("simulated"[: shown.width] if given is None else given))
        number = most_plausible(self.table) if given is None else _number(self.table, given)
        raw = (number - self.offset) / self.scale
        return shown.written(round(raw) if shown.kind in ("d", "x") and given is None else raw)

    def _first_word(self, given: Any) -> str:
        if given is None:
            return next(iter(self.values))
        for word, value in self.values.items():
            if value == given or enumerator(self.table, value) == given:
                return word
        if str(given) in self.values:
            return str(given)
        raise ValueError(f"it is one of {', '.join(self.values)}")


def text_of(value: Any, shown: Field) -> str:
    """Return *value* of the protocol, a number or a text, as the field shows it.

    Raises:
        SimulatorError: it does not fit, or is neither.
        ValueError: it is no number, and should be one.
    """
    if not isinstance(value, str | int | float):
        raise SimulatorError(f"{value!r} is neither a number nor a text")
    return shown.fitted(str(value)) if shown.is_text else shown.written(float(value))


def _no_reading(table: Mapping[str, Any], unit: int | None, where: str) -> str | None:
    regex = table.get("no_reading")
    if regex is None:
        return None
    return text_like(with_unit(str(regex), unit, f"{where}.no_reading"), f"{where}.no_reading")


def _number(table: Mapping[str, Any], given: Any) -> float:
    found = enumerator(table, given)
    return float(given) if found is None else float(found)


def _default_kind(table: Mapping[str, Any]) -> str:
    """Return the kind of ``{value}`` where the pattern does not say it."""
    if table.get("values") or table.get("type") == "string":
        return "s"
    if table.get("type", "enumerated" if "enumerators" in table else None) in _WHOLE_TYPES:
        return "d"
    if table.get("type") in _NUMBER_TYPES or not isinstance(table.get("simulate"), str):
        return "g"
    return "s"
