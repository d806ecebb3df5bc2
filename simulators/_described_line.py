"""Lines that several items read: one text that fits the pattern of each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators._described_pattern import Field, Pattern
from simulators._described_text_item import TextItem, text_of
from simulators.device import SimulatorError

__all__ = ["Line"]

Span = tuple[int, int]


@dataclass(slots=True, eq=False)
class _Part:
    """What one item says of the line."""

    item: TextItem
    pattern: Pattern
    valid: dict[str, str] = field(default_factory=dict)
    """Texts of the fields that say that the value is good."""
    spoilt: tuple[str, str] | None = None
    """Field, and the text in it that says that there is no value."""


class Line:
    """One line that the device sends, made from the patterns of the items that are in it."""

    def __init__(self, what: str, no_value: str) -> None:
        """Begin without items.

        Args:
            what: What errors call it, e.g. ``the reply to 'PR1'``.
            no_value: What stands in the place of a number that there is none of.
        """
        self._what = what
        self._no_value = no_value
        self._parts: list[_Part] = []

    @property
    def items(self) -> list[TextItem]:
        """Those that are in it."""
        return [part.item for part in self._parts]

    def add(self, item: TextItem, pattern: Pattern) -> None:
        """Have *item* in it, too, which sees it as *pattern*.

        Raises:
            SimulatorError: no line can be as both this item and those before it say; then it is
                as if it had not been added.
        """
        part = _Part(item, pattern)
        part.valid, part.spoilt = _marks(item, pattern, self._no_value)
        self._parts.append(part)
        try:
            self._join()
        except SimulatorError:
            self._parts.pop()
            raise

    def can_be_spoilt(self, item: TextItem) -> bool:
        """Whether the line can say that *item* has no value."""
        return any(
            part.item is item and (part.spoilt or self._instead(part)) for part in self._parts
        )

    def text(self, spoilt: set[str]) -> str:
        """Return the line as it is now; the items whose keys are in *spoilt* have no value."""
        for part in self._parts:
            instead = self._instead(part)
            if instead is not None and part.item.key in spoilt:
                return instead
        line = self._filled()
        marks: dict[Span, str] = {}
        for part in self._parts:
            match = part.pattern.regex.fullmatch(line)
            if part.spoilt and match and part.item.key in spoilt:
                name, text = part.spoilt
                marks |= {
                    span: shown.fitted(text)
                    for shown, span in _spans(part.pattern, match)
                    if shown.name == name
                }
        return _replaced(line, marks)

    def _instead(self, part: _Part) -> str | None:
        """Return what comes instead of the line, as all that read it know."""
        line = part.item.no_reading if part.pattern is part.item.reply else None
        known = line is not None and all(each.item.no_reading == line for each in self._parts)
        return line if known else None

    def _filled(self) -> str:
        base = max(self._parts, key=lambda part: len(part.pattern.fields))
        line = base.pattern.filled({**base.valid, **_texts(base.item)})
        wanted: dict[Span, str] = {}
        for weak in (True, False):
            for part in self._parts:
                match = part.pattern.regex.fullmatch(line)
                if match is None:
                    continue
                texts: Mapping[str, str] = part.valid if weak else _texts(part.item)
                wanted |= {
                    span: texts[shown.name]
                    for shown, span in _spans(part.pattern, match)
                    if shown.name in texts
                }
        return _replaced(line, wanted)

    def _join(self) -> None:
        """Let items share what they both read, and see that the line is right for all."""
        base = max(self._parts, key=lambda part: len(part.pattern.fields))
        line = base.pattern.filled({**base.valid, **_texts(base.item)})
        owners: dict[Span, tuple[TextItem, int]] = {}
        for part in self._parts:
            for place, span in self._places(part, line):
                item, other = owners.setdefault(span, (part.item, place))
                if item is not part.item:
                    _share(item, other, part.item, place)
            for shown, span in _spans(part.pattern, self._match(part, line)):
                self._obey_valid(part, shown, owners.get(span))
        self._check()

    def _obey_valid(self, part: _Part, shown: Field, owner: tuple[TextItem, int] | None) -> None:
        """Have an item that others depend on begin with what makes them valid."""
        if owner is None or owner[0] is part.item or shown.name not in part.valid:
            return
        cell = owner[0].cells[owner[1]]
        if not cell.given:
            cell.text = part.valid[shown.name]

    def _places(self, part: _Part, line: str) -> Iterator[tuple[int, Span]]:
        match = self._match(part, line)
        for shown, span in _spans(part.pattern, match):
            if shown.name in part.item.fields:
                yield part.item.fields.index(shown.name), span

    def _check(self) -> None:
        line = self._filled()
        for part in self._parts:
            match = self._match(part, line)
            found = {shown.name: line[slice(*span)] for shown, span in _spans(part.pattern, match)}
            for name, text in _texts(part.item).items():
                if found.get(name, "").strip() != text.strip():
                    raise SimulatorError(
                        f"{self._what}: items {self._names()} cannot be read from one line: in "
                        f"{line!r} the field {{{name}}} of {part.item.key} is not {text!r}"
                    )

    def _match(self, part: _Part, line: str) -> re.Match[str]:
        match = part.pattern.regex.fullmatch(line)
        if match is None:
            raise SimulatorError(
                f"{self._what}: items {self._names()} cannot be read from one line: {line!r} is "
                f"none for {part.item.key}"
            )
        return match

    def _names(self) -> str:
        return ", ".join(part.item.key for part in self._parts)


def _texts(item: TextItem) -> dict[str, str]:
    return {name: cell.text for name, cell in zip(item.fields, item.cells, strict=True)}


def _spans(pattern: Pattern, match: re.Match[str]) -> Iterator[tuple[Field, Span]]:
    for group, shown in enumerate(pattern.fields, 1):
        yield shown, match.span(group)


def _replaced(line: str, texts: Mapping[Span, str]) -> str:
    end = len(line) + 1
    for (begin, stop), text in sorted(texts.items(), reverse=True):
        # Two that overlap cannot both be had; the check at the begin has told whom it matters to.
        if stop <= end:
            line = line[:begin] + text + line[stop:]
            end = begin
    return line


def _share(owner: TextItem, place: int, other: TextItem, at: int) -> None:
    """Have both items hold one text: that with which the file says that it begins."""
    cell, given = owner.cells[place], other.cells[at]
    if given.given and not cell.given:
        cell.text, cell.given = given.text, True
    other.cells[at] = cell


def _marks(
    item: TextItem, pattern: Pattern, no_value: str
) -> tuple[dict[str, str], tuple[str, str] | None]:
    """Return the texts of the fields that say that it is valid, and one that says that it is not.

    Raises:
        SimulatorError: there is no such field, or the text does not fit.
    """
    valid: dict[str, str] = {}
    spoilt = None
    shown = {each.name: each for each in pattern.fields}
    for name, allowed in item.table.get("valid", {}).items():
        choices = allowed if isinstance(allowed, list | tuple) else [allowed]
        if name not in shown or not choices:
            raise SimulatorError(f"{item.where}.valid: there is no field {{{name}}} to be valid")
        try:
            good = [text_of(choice, shown[name]) for choice in choices]
        except (SimulatorError, ValueError) as error:
            raise SimulatorError(f"{item.where}.valid.{name}: {error}") from error
        valid[name] = good[0]
        bad = _other_than(good, shown[name], item.table.get("reasons", {}).get(name, {}))
        spoilt = spoilt or (None if bad is None else (name, bad))
    name = item.fields[0]
    if spoilt is None and name in shown and not shown[name].is_text:
        width = shown[name].width
        text = no_value if width is None or len(no_value) <= width else "-" * width
        spoilt = (name, text.rjust(width or 0))
    return valid, spoilt


def _other_than(good: list[str], shown: Field, reasons: Mapping[str, Any]) -> str | None:
    for choice in (*reasons, *range(1, 16), "x", "0"):
        try:
            text = text_of(choice, shown)
        except (SimulatorError, ValueError):
            continue
        if text.strip() not in [each.strip() for each in good]:
            return text
    return None
