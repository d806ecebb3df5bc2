"""Numbers as text: printf-like formats, and reading numbers that people typed.

The messages of errors raised here are predicates, such as ``must be a number, not 'x'``: the
caller, who knows the item's key, puts it in front.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from ._record import record
from .errors import BadValue

if TYPE_CHECKING:
    import re

__all__ = ["NumberFormat", "brief", "parse_number", "plain_text"]

_MAX_TEXT = 400
"""Longest text that is read as a number."""

_BASES = {"x": (16, "0x"), "X": (16, "0x"), "o": (8, "0o")}


def brief(value: object) -> str:
    """Return *value* as JSON people would write it, shortened, for the text of an error."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def plain_text(value: float | int) -> str:
    """Return the shortest text that denotes *value*."""
    return repr(value)


@functools.cache
def _number_pattern() -> re.Pattern[str]:
    import re

    return re.compile(
        r"[+-]?([0-9]+|[0-9]+\.[0-9]*([eE][+-]?[0-9]+)?|"
        r"\.[0-9]+([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)"
    )


def parse_number(text: str) -> int | float:
    """Read a decimal number: an ``int`` where there is neither point nor exponent.

    Raises:
        BadValue: *text* is something else, or too large for a floating-point number.
    """
    stripped = text.strip()
    match = _number_pattern().fullmatch(stripped) if len(stripped) <= _MAX_TEXT else None
    if match is None:
        raise BadValue(f"must be a number, not {brief(text)}")
    number = float(stripped)
    if not math.isfinite(number):
        raise BadValue(f"must be a finite number, not {brief(text)}")
    return number if match[1] is None or not match[1].isdigit() else int(stripped)


@record
class NumberFormat:
    """One printf-like conversion with literal text around it, such as ``%.3f``."""

    spec: str
    """The conversion for Python's ``%`` operator, e.g. ``%+08.3f``."""
    prefix: str = ""
    """Literal text before it."""
    suffix: str = ""
    """Literal text behind it."""

    @classmethod
    def parse(cls, text: str) -> NumberFormat:
        """Understand *text*, the ``format`` of an item.

        Raises:
            BadValue: it has not exactly one conversion, or one that numbers cannot be printed with.
        """
        conversions = list(_conversion_pattern().finditer(text))
        found = [match for match in conversions if match["type"] != "%"]
        rest = _conversion_pattern().sub("", text)
        if len(found) != 1 or "%" in rest:
            raise BadValue(
                "must have one conversion such as %d, %.3f, %g, %e, %x, %o or %s, "
                f"or two or three with colons for sexagesimal, not {brief(text)}"
            )
        match = found[0]
        letter = {"i": "d", "u": "d"}.get(match["type"], match["type"])
        return cls(
            spec=f"%{match['flags']}{match['width']}{match['precision']}{letter}",
            prefix=text[: match.start()].replace("%%", "%"),
            suffix=text[match.end() :].replace("%%", "%"),
        )

    def to_text(self, value: float | int) -> str:
        """Print *value*; integer conversions round to the nearest (a half to the even one)."""
        return f"{self.prefix}{self._convert(value)}{self.suffix}"

    def _convert(self, value: float | int) -> str:
        letter = self.spec[-1]
        if letter == "s":
            return self.spec % plain_text(value)
        if not math.isfinite(value):
            return str(value)
        if letter in "dxXo":
            return self.spec % round(value)
        return self.spec % value

    def from_text(self, text: str) -> int | float:
        """Read what :meth:`to_text` prints; the literal text may be left out.

        Raises:
            BadValue: *text* is not a number in this form.
        """
        number = text.strip()
        if len(number) > _MAX_TEXT:
            raise BadValue(f"must be a number, not {brief(text)}")
        prefix, suffix = self.prefix.strip(), self.suffix.strip()
        if prefix:
            number = number.removeprefix(prefix)
        if suffix:
            number = number.removesuffix(suffix)
        base, mark = _BASES.get(self.spec[-1], (10, ""))
        if base != 10:
            return _parse_based(number.strip(), base, mark)
        try:
            return parse_number(number)
        except BadValue as error:
            if not (prefix or suffix):
                raise
            raise BadValue(
                f"must be a number such as {self.to_text(1).strip()}, not {brief(text)}"
            ) from error


def _parse_based(text: str, base: int, mark: str) -> int:
    digits = text.lower().removeprefix("-").removeprefix("+").removeprefix(mark)
    try:
        if not digits.isalnum() or not digits.isascii():
            raise ValueError
        number = int(digits, base)
        float(number)
    except (ValueError, OverflowError):
        kind = "hexadecimal" if base == 16 else "octal"
        raise BadValue(f"must be a whole number in {kind}, not {brief(text)}") from None
    return -number if text.startswith("-") else number


@functools.cache
def _conversion_pattern() -> re.Pattern[str]:
    import re

    # Width and precision of two digits at most: a stranger's format must not take all memory.
    return re.compile(
        r"%(?P<flags>[-+ #0]*)(?P<width>[0-9]{0,2})(?P<precision>(?:\.[0-9]{0,2})?)"
        r"(?:hh|h|ll|l|L)?(?P<type>[diuxXoeEfFgGs%])"
    )
