"""Sexagesimal text, such as 12:34:56.7, in hours or in degrees.

As in :mod:`mktl._numbers`, the messages of errors are predicates.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ._numbers import brief, parse_number
from ._record import record
from .errors import BadValue

if TYPE_CHECKING:
    import re

__all__ = ["SexagesimalFormat"]

_MAX_TEXT = 60
"""Longest text that is read: more digits than this denote no angle."""

_PLAIN = str.maketrans({"\N{MINUS SIGN}": "-", "\N{PRIME}": "'", "\N{DOUBLE PRIME}": '"'})


@record
class _Field:
    """One conversion of the format."""

    flags: str
    """Any of ``+``, space, ``-``, ``0``."""
    width: int
    """Smallest number of characters, sign and decimal point included."""
    places: int = 0
    """Digits behind the decimal point."""

    def to_text(self, sign: str, digits: str) -> str:
        sign = sign or ("+" if "+" in self.flags else " " if " " in self.flags else "")
        if "-" in self.flags:
            return (sign + digits).ljust(self.width)
        if "0" in self.flags:
            return sign + digits.zfill(self.width - len(sign))
        return (sign + digits).rjust(self.width)


@record
class SexagesimalFormat:
    """A format of two or three fields with colons between, such as ``%02d:%02d:%05.2f``."""

    fields: tuple[_Field, ...]
    """Whole units, minutes, and seconds if there are three; only the last has decimal places."""

    @classmethod
    def parse(cls, text: str) -> SexagesimalFormat | None:
        """Understand *text*, the ``format`` of an item; ``None`` if it is not sexagesimal.

        Raises:
            BadValue: it is meant to be sexagesimal and is not right.
        """
        if ":" not in text or text.replace("%%", "").count("%") < 2:
            return None
        parts = text.strip().split(":")
        matches = [_field_pattern().fullmatch(part) for part in parts]
        fields = tuple(
            _Field(
                flags=match["flags"],
                width=int(match["width"] or 0),
                places=0 if match["type"] else int(match["places"] or 6),
            )
            for match in matches
            if match is not None
        )
        right = len(fields) == len(parts) and len(fields) in (2, 3)
        if not right or any(field.places for field in fields[:-1]):
            raise BadValue(
                f"must be sexagesimal like %02d:%02d:%05.2f or %02d:%02d, not {brief(text)}"
            )
        return cls(fields)

    def to_text(self, value: float | int) -> str:
        """Print *value*, in hours or degrees.

        It is rounded once, in units of the last digit, so that there is never a 60 in a field; a
        value that rounds to zero has no minus sign.
        """
        places = self.fields[-1].places
        last_units = 60 * 10**places
        total = _round_ratio(abs(value), 60 ** (len(self.fields) - 2) * last_units)
        total, last = divmod(total, last_units)
        counts = [total] if len(self.fields) == 2 else list(divmod(total, 60))
        sign = "-" if value < 0 and (total or last) else ""
        whole, fraction = divmod(last, 10**places)
        digits = [str(count) for count in counts]
        digits.append(f"{whole}.{fraction:0{places}d}" if places else str(whole))
        first, *others = self.fields
        texts = [first.to_text(sign, digits[0])]
        texts += [field.to_text("", text) for field, text in zip(others, digits[1:], strict=True)]
        return ":".join(texts)

    def from_text(self, text: str, unit: str | None = None) -> int | float:
        """Read an angle or a time, in hours or degrees, from any usual notation.

        That is: with colons, with spaces, with letters (``12h34m56s``, ``12d34m56s``), with signs
        for degrees, minutes and seconds, or as a plain number. Trailing fields may be left out.

        Args:
            text: What to read.
            unit: ``hour`` or ``degree`` to refuse the letters of the other; ``None`` takes both.

        Raises:
            BadValue: it is none of these, or has minutes or seconds of 60 and more.
        """
        compact = " ".join(text.split()).translate(_PLAIN)
        if len(compact) > _MAX_TEXT:
            raise self._refusal(text)
        match = _value_pattern().fullmatch(compact)
        if match is None:
            try:
                return parse_number(compact)
            except BadValue:
                raise self._refusal(text) from None
        _check_letter(match["mark"], unit, text)
        minutes, seconds = match["minutes"], match["seconds"] or "0"
        if "." in minutes and match["seconds"]:
            raise self._refusal(text)
        if float(minutes) >= 60 or float(seconds) >= 60:
            raise BadValue(f"must have minutes and seconds below 60, not {brief(text)}")
        return _combine(match["sign"], match["first"], minutes, seconds)

    def _refusal(self, text: str) -> BadValue:
        example = "12:34" if len(self.fields) == 2 else "12:34:56"
        if places := self.fields[-1].places:
            example += "." + "7890123456789"[:places]
        return BadValue(f"must be like {example} or a plain number, not {brief(text)}")


def _round_ratio(value: float | int, factor: int) -> int:
    """Return *value* times *factor* to the nearest whole number, without an error of its own."""
    numerator, denominator = value.as_integer_ratio()
    return (2 * numerator * factor + denominator) // (2 * denominator)


def _check_letter(mark: str, unit: str | None, text: str) -> None:
    marked = {"h": "hour", "d": "degree", "°": "degree"}.get(mark.strip().lower())
    if unit is not None and marked is not None and marked != unit:
        raise BadValue(f"must be in {unit}s, not {brief(text)}")


def _combine(sign: str, first: str, minutes: str, seconds: str) -> float:
    """Add the fields up in whole numbers and divide once, so that the result is exact."""
    places = 0
    total = 0
    for part, weight in ((first, 3600), (minutes, 60), (seconds, 1)):
        whole, _, fraction = part.partition(".")
        total = total * 10 ** len(fraction) + int(whole + fraction) * weight * 10**places
        places += len(fraction)
    value: float = total / (3600 * 10**places)
    return -value if sign == "-" else value


@functools.cache
def _field_pattern() -> re.Pattern[str]:
    import re

    return re.compile(
        r"%(?P<flags>[-+ 0]*)(?P<width>[0-9]{0,2})"
        r"(?:(?P<type>[diu])|(?:\.(?P<places>[0-9]|1[0-2]))?f)"
    )


@functools.cache
def _value_pattern() -> re.Pattern[str]:
    import re

    number = r"[0-9]+(?:\.[0-9]*)?"
    return re.compile(
        r"(?P<sign>[+-]?) ?(?P<first>[0-9]+)(?P<mark> ?[:hd°] ?| )"
        rf"(?P<minutes>{number})"
        rf"(?:(?: ?[:m'] ?| )(?P<seconds>{number}) ?(?:s|\"|'')?| ?[m'])?",
        re.IGNORECASE,
    )
