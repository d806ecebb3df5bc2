"""What patterns of replies and templates of messages are made of: literals and fields. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter

from mktl.errors import ConfigurationError

__all__ = ["Part", "parts_of", "with_unit"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNIT = re.compile(r"\{unit(?::([^{}]*))?\}")


@dataclass(frozen=True, slots=True)
class Part:
    """A literal text, or a field."""

    literal: str = ""
    """The text, of what is no field."""
    name: str | None = None
    """Name of the field; empty: nobody wants to know what is in it."""
    spec: str = ""
    """What stands behind the colon."""

    @property
    def width(self) -> int | None:
        """Exactly so many characters; ``None``: as many as it takes."""
        found = re.match(r"[0-9]+", self.spec)
        return int(found[0]) if found else None

    @property
    def code(self) -> str:
        """The letter that says what kind of field it is."""
        return self.spec[-1:] if self.spec[-1:].isalpha() else "s"


def with_unit(text: str, unit: int | None, *, escaped: bool = False) -> str:
    """Return *text* with the unit number in the place of ``{unit}`` or ``{unit:02d}``.

    Args:
        text: A message, or a regular expression: nothing else in braces is looked at.
        unit: The unit of the URL.
        escaped: Whether *text* is a regular expression.

    Raises:
        ConfigurationError: there is no unit, or it cannot be written so.
    """

    def written(found: re.Match[str]) -> str:
        shown = _unit_text(text, found[1] or "", unit)
        return re.escape(shown) if escaped else shown

    return _UNIT.sub(written, text)


def _unit_text(text: str, spec: str, unit: int | None) -> str:
    if unit is None:
        raise ConfigurationError(
            f"{text!r} has {{unit}} in it, the unit number in the URL (?unit=1), and there is none"
        )
    try:
        return format(unit, spec)
    except ValueError as error:
        raise ConfigurationError(f"{text!r}: the unit number: {error}") from None


def parts_of(text: str, unit: int | None) -> list[Part]:
    """Return literals and fields of *text*, in their order; ``{unit}`` is a literal.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"must be a text, not {text!r}")
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ConfigurationError(
            f"{text!r}: {error}; a brace that is meant itself is written twice"
        ) from None
    parts = []
    for literal, name, spec, conversion in parsed:
        if literal:
            parts.append(Part(literal))
        if name is None:
            continue
        if name == "unit":
            parts.append(Part(_unit_of_field(text, spec or "", unit)))
            continue
        if conversion or (name and not _NAME.fullmatch(name)):
            raise ConfigurationError(f"{text!r}: a field is {{name:spec}}, not {{{name}}}")
        parts.append(Part(name=name, spec=spec or ""))
    return _merged(parts)


def _unit_of_field(text: str, spec: str, unit: int | None) -> str:
    if unit is None:
        raise ConfigurationError(
            f"{text!r}: {{unit}} is the unit number in the URL (?unit=1), and there is none; a "
            f"field has another name, such as {{unit_is}}"
        )
    return _unit_text(text, spec, unit)


def _merged(parts: list[Part]) -> list[Part]:
    """Join literals that follow each other, as a unit number makes them."""
    merged: list[Part] = []
    for part in parts:
        if part.name is None and merged and merged[-1].name is None:
            merged[-1] = Part(merged[-1].literal + part.literal)
        else:
            merged.append(part)
    return merged
