"""Patterns of replies: ``{status:d},{value:g}``. Pure.

A pattern is the whole of a reply, and nothing in it is guessed: a field ends in one way only, a
number is one that the protocol could mean, and what does not fit is no match. A field does not go
over the end of a line; only a literal does. Literal braces are doubled.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

from drivers.framing.parts import Part, parts_of
from mktl.errors import ConfigurationError

__all__ = ["NO_VALUE", "NoMatch", "NoNumber", "Pattern", "Read"]

NO_VALUE = re.compile(r"[+-]?(?:NAN|INFINITY|INF)|OL|[-#*+?._]+", re.IGNORECASE)
"""What instruments write in the place of a number that they do not have."""

_DECIMAL = r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,4})?"
_NUMBERS = {
    "d": r"[+-]?[0-9]{1,40}",
    "x": r"(?:0[xX])?[0-9A-Fa-f]{1,32}",
    **dict.fromkeys("gfe", _DECIMAL),
}
_SPEC = re.compile(r"([1-9][0-9]{0,2})?([dgfexsw])?")
_USUAL_CHARACTERS = {"d": 4, "x": 4, "s": 10, "w": 6}
_MOST_WHOLE = 2**64
_SCPI_NO_NUMBER = 9.9e37
"""SCPI-99, 7.2.1: 9.9E37 is infinity, 9.91E37 is not-a-number; no instrument measures as much."""
_ANY = r"[^\r\n]"
_GOES_ON = r"(?![0-9.,+\-]|[eE](?![A-Za-z]))"
"""What follows a number at once must not look as if it were a part of it."""
_GOES_ON_BEHIND_BLANKS = r"(?![0-9.,]|[+\-][ \t]*[0-9.,]|[eE][+\-]?[0-9])"
"""Nor what follows behind blanks: 1 234, 0 -5 and 1.5 E-3 are no 1, no 0, and no 1.5."""


class NoMatch(ValueError):
    """A text that does not match the whole pattern."""


@dataclass(frozen=True, slots=True)
class NoNumber:
    """What stands in a reply in the place of a number, and means that there is none."""

    text: str
    """As it came."""


Read: TypeAlias = int | float | str | NoNumber
"""What a field can be: its spec says which."""


class Pattern:
    """What one reply, or one line, looks like."""

    def __init__(
        self, text: str, *, unit: int | None = None, no_value: re.Pattern[str] | None = None
    ) -> None:
        """Understand *text*.

        Args:
            text: Literals and fields ``{name:spec}``, where spec is an optional width (exactly so
                many characters) and ``d``, ``g``/``f``/``e``, ``x``, ``s`` or ``w``.
            unit: What stands for ``{unit}``, which is a literal.
            no_value: What may stand for a number besides :data:`NO_VALUE`; matched against the
                whole field, without blanks around it.

        Raises:
            ConfigurationError: it is no pattern, or what is a field in it cannot be told.
        """
        self.text = text
        self._no_value = no_value
        self._parts = parts_of(text, unit)
        self._fields = [part for part in self._parts if part.name is not None]
        _check_fields(text, self._parts)
        try:
            self.regex = re.compile(self._regex())
        except re.error as error:
            raise ConfigurationError(f"{text!r} is no pattern: {error}") from None

    @property
    def fields(self) -> dict[str, str]:
        """Name and spec letter of each field that has a name, in their order."""
        return {part.name: part.code for part in self._fields if part.name}

    def ends(self, end: str) -> int:
        """Return how often *end*, which ends a line, is in it: a reply may have several."""
        return sum(part.literal.count(end) for part in self._parts if part.name is None)

    @property
    def usual_length(self) -> int:
        """About how many characters such a reply has."""
        return sum(
            len(part.literal)
            if part.name is None
            else part.width or _USUAL_CHARACTERS.get(part.code, 8)
            for part in self._parts
        )

    def match(self, text: str) -> dict[str, Read]:
        """Return the fields of *text* by name; a number that is none as :class:`NoNumber`.

        Raises:
            NoMatch: *text* is something else, in whole or in part.
        """
        found = self.regex.fullmatch(text)
        if found is None:
            raise NoMatch(f"{text!r} does not look like {self.text!r}")
        values = {}
        for index, part in enumerate(self._fields):
            value = self._value(part, found[f"_{index}"], text)
            if part.name:
                values[part.name] = value
        return values

    def _value(self, part: Part, came: str, text: str) -> Read:
        if part.code == "s":
            return came
        if part.code == "w":
            word = came.strip(" ")
            if not word or " " in word:
                raise NoMatch(f"{came!r} in {text!r} is not one word")
            return word
        number = came.strip(" \t")
        if NO_VALUE.fullmatch(number) or (self._no_value and self._no_value.fullmatch(number)):
            return NoNumber(number)
        if not re.fullmatch(_NUMBERS[part.code], number):
            raise NoMatch(f"{came!r} in {text!r} is not a number of the kind {part.code!r}")
        if part.code in "dx":
            whole = int(number, 16 if part.code == "x" else 10)
            if abs(whole) >= _MOST_WHOLE:
                raise NoMatch(f"{came!r} in {text!r} is too large a number")
            return whole
        value = float(number)
        if not math.isfinite(value):
            raise NoMatch(f"{came!r} in {text!r} is too large a number")
        return NoNumber(number) if abs(value) >= _SCPI_NO_NUMBER else value

    def _regex(self) -> str:
        pieces: list[str] = []
        fields = 0
        followers = [*self._parts, Part()][1:]
        for part, follows in zip(self._parts, followers, strict=True):
            if part.name is None:
                pieces.append(re.escape(part.literal))
            else:
                pieces.append(self._field_regex(part, f"_{fields}", follows))
                fields += 1
        return "".join(pieces)

    def _field_regex(self, part: Part, name: str, follows: Part) -> str:
        after = follows.literal
        if part.width is not None:
            return f"(?P<{name}>{_ANY}{{{part.width}}})"
        if part.code == "s":
            # It ends where the literal after it begins for the first time, and nowhere else.
            body = f"(?>(?:(?!{re.escape(after)}){_ANY})*)" if after else f"{_ANY}*"
            return f"(?P<{name}>{body})"
        if part.code == "w":
            stop = f"(?!{re.escape(after)})" if after else ""
            behind = "" if after.startswith(" ") else "(?> *)"
            return rf"(?> *)(?P<{name}>(?>(?:{stop}\S)+)){behind}"
        # Atomic: to give back a digit, so that the rest fits, would be to make up a number.
        body = f"(?>{_NUMBERS[part.code]})|(?>(?i:{NO_VALUE.pattern}))"
        if self._no_value is not None:
            body += f"|(?:{self._no_value.pattern})"
        return rf"(?>[ \t]*)(?P<{name}>{body}){_behind_number(follows)}"


def _behind_number(follows: Part) -> str:
    """Return what may come between a number and what follows it."""
    # Blanks around it are not looked at, but for those that the pattern has itself.
    blanks = "" if follows.literal[:1] in (" ", "\t") else r"(?>[ \t]*)"
    if follows.name is None:
        return blanks if follows.literal else r"(?>[ \t]*)"
    if follows.width is not None:
        blanks = ""
    if follows.code in "sw":
        return f"{_GOES_ON}{blanks}{_GOES_ON_BEHIND_BLANKS}"
    return rf"(?=[ \t+\-]){blanks}"


def _check_fields(text: str, parts: list[Part]) -> None:
    seen = set()
    for index, part in enumerate(parts):
        if part.name is None:
            continue
        if not _SPEC.fullmatch(part.spec):
            raise ConfigurationError(
                f"{text!r}: {part.spec!r} is no spec: d, g, f, e, x, s or w, and before it "
                f"perhaps a width"
            )
        if part.name and part.name in seen:
            raise ConfigurationError(f"{text!r} has two fields {part.name!r}")
        seen.add(part.name)
        follows = parts[index + 1] if index + 1 < len(parts) else None
        if part.code in "sw" and part.width is None and follows and follows.name is not None:
            raise ConfigurationError(
                f"{text!r}: nobody can tell where {part.name!r} ends and the next field begins: "
                f"give a width, as in {{{part.name}:4{part.code}}}"
            )
