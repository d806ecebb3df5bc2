"""Patterns of lines: ``{status:d},{value:g}`` is what comes, ``SP {value:.2f}`` what is sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from simulators.device import SimulatorError

__all__ = ["Field", "Pattern", "number_in", "reply_pattern", "told_pattern", "with_unit"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SPEC = re.compile(
    r"(?P<fill>.?[<>=^])?[+ -]?#?0?(?P<width>\d*)[,_]?(?:\.(?P<digits>\d+))?(?P<kind>[a-zA-Z]?)"
)
_UNIT = re.compile(r"\{unit(?::([^{}]*))?\}")
_BASES = {"x": 16, "o": 8, "b": 2}
_KINDS = {"i": "d", "X": "x", "E": "e", "F": "f", "G": "g"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a line."""

    name: str
    """Empty: nobody wants to know."""
    kind: str
    """``d``, ``x``, ``o``, ``b``, ``g``, ``f``, ``e``, ``s`` or ``w``; empty: it was not said."""
    width: int | None = None
    """Exactly so many characters; None: any number of them."""
    digits: int | None = None
    """Digits after the point; None: as many as it takes."""

    @property
    def is_text(self) -> bool:
        """Whether it holds any text rather than a number."""
        return self.kind in ("s", "w", "")

    def regex(self) -> str:
        """Return what the field looks like, as one group."""
        if self.width is not None:
            return f"(.{{{self.width}}})"
        if self.kind == "d":
            return r"\s*([+-]?\d+)\s*"
        if self.kind in _BASES:
            return rf"\s*((?:0[{self.kind}{self.kind.upper()}])?[0-9A-Fa-f]+)\s*"
        if self.kind == "w":
            return r" *(\S+?) *"
        return "(.*?)" if self.is_text else rf"\s*({_NUMBER})\s*"

    def written(self, number: float) -> str:
        """Return *number* as this field shows it.

        Raises:
            SimulatorError: it does not fit, or it has to be a whole one.
        """
        return self.fitted(self._digits_of(number))

    def fitted(self, text: str) -> str:
        """Return *text* in the width of the field.

        Raises:
            SimulatorError: it is longer.
        """
        if self.width is None:
            return text
        if len(text) > self.width:
            raise SimulatorError(f"{text!r} does not fit into {self.width} characters")
        if self.kind == "d" or self.kind in _BASES:
            return text.zfill(self.width)
        return text.ljust(self.width) if self.is_text else text.rjust(self.width)

    def _digits_of(self, number: float) -> str:
        if not math.isfinite(number):
            raise SimulatorError(f"{number} cannot be written")
        if self.kind == "d" or self.kind in _BASES:
            if abs(number - round(number)) > 1e-6 or (self.kind != "d" and number < 0):
                raise SimulatorError(f"{number:g} cannot be written as a whole number")
            return f"{round(number):{self.kind}}".upper()
        if self.kind == "e":
            return f"{number:.{9 if self.digits is None else self.digits}E}"
        if self.digits is not None:
            return f"{number:.{self.digits}f}"
        if self.kind == "f":
            whole, _, rest = f"{number:.9f}".partition(".")
            return f"{whole}.{rest.rstrip('0') or '0'}"
        return f"{number:.10g}" if number != int(number) or abs(number) >= 1e9 else f"{number:.1f}"

    def default(self) -> str:
        """Return what stands in it while nobody has said anything else."""
        if self.is_text:
            return "x" * (self.width or 1)
        text = "0" if self.kind == "d" or self.kind in _BASES or self.width in (1, 2) else "0.0"
        return self.fitted(text)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line: literal text and fields, in their order."""

    tokens: tuple[str | Field, ...]
    """A text is literal."""
    regex: re.Pattern[str]
    """Matches the whole line; one group for each field."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields, in the order of the groups."""
        return tuple(token for token in self.tokens if isinstance(token, Field))

    @property
    def literals(self) -> int:
        """Number of characters that are literal: the more, the more it says."""
        return sum(len(token) for token in self.tokens if isinstance(token, str))

    def filled(self, texts: Mapping[str, str]) -> str:
        """Return the line with *texts* by name of the field; defaults in the others."""
        return "".join(
            token if isinstance(token, str) else texts.get(token.name) or token.default()
            for token in self.tokens
        )


def with_unit(text: str, unit: int | None, what: str) -> str:
    """Return *text* with the unit number where ``{unit}`` or ``{unit:02d}`` stands.

    Raises:
        SimulatorError: there is no unit number, or it cannot be written so.
    """

    def number(match: re.Match[str]) -> str:
        if unit is None:
            raise SimulatorError(f"{what}: {{unit}} needs a url with unit=N")
        return _formatted(unit, match[1] or "", what)

    return _UNIT.sub(number, text)


def reply_pattern(text: str, unit: int | None, what: str, default_kind: str = "") -> Pattern:
    """Read the pattern of what the device sends; *default_kind* is that of ``{value}``.

    Raises:
        SimulatorError: it is none; *what* says where it stands.
    """
    tokens = _tokens(text, unit, what)
    return _pattern(
        [
            Field(token.name, default_kind, token.width, token.digits)
            if isinstance(token, Field) and token.name and not token.kind
            else token
            for token in tokens
        ]
    )


def told_pattern(text: str, unit: int | None, what: str) -> Pattern:
    """Read the template of what the host sends to set a value.

    Raises:
        SimulatorError: it is none; *what* says where it stands.
    """
    # What the host writes may be wider than the least width that the format gives.
    tokens = [
        Field(token.name, token.kind) if isinstance(token, Field) else token
        for token in _tokens(text, unit, what)
    ]
    return _pattern(tokens)


def number_in(text: str, field: Field) -> float:
    """Return the number that *text*, of this field, stands for.

    Raises:
        ValueError: it is none.
    """
    return float(int(text, _BASES[field.kind])) if field.kind in _BASES else float(text)


def _pattern(tokens: list[str | Field]) -> Pattern:
    parts = (re.escape(each) if isinstance(each, str) else each.regex() for each in tokens)
    return Pattern(tuple(tokens), re.compile("".join(parts), re.DOTALL))


def _tokens(text: str, unit: int | None, what: str) -> list[str | Field]:
    tokens: list[str | Field] = []
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise SimulatorError(f"{what}: {text!r} cannot be read: {error}") from error
    for literal, name, spec, _ in pieces:
        if literal:
            tokens.append(literal)
        if name == "unit":
            tokens.append(with_unit(f"{{unit:{spec}}}", unit, what))
        elif name is not None:
            tokens.append(_field(name, spec or "", what))
    return tokens


def _field(name: str, spec: str, what: str) -> Field:
    match = _SPEC.fullmatch(spec)
    kind = _KINDS.get(match["kind"], match["kind"]) if match else "?"
    if match is None or kind not in ("", "d", *_BASES, "g", "f", "e", "s", "w"):
        raise SimulatorError(f"{what}: the field {{{name}:{spec}}} is of an unknown kind")
    width, digits = (int(match[key]) if match[key] else None for key in ("width", "digits"))
    return Field(name, kind, width, digits)


def _formatted(unit: int, spec: str, what: str) -> str:
    try:
        return format(unit, spec)
    except ValueError as error:
        raise SimulatorError(f"{what}: {{unit:{spec}}} cannot be written: {error}") from error
