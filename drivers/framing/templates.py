"""Templates of messages: ``SP {value:.2f}``. Pure.

Nothing is rounded on its way: a value that cannot be written as the template has it is not sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal

from drivers.framing.parts import Part, parts_of
from mktl.errors import BadValue, ConfigurationError

__all__ = ["Template"]

_INTEGER_CODES = "dxXob"
_ROUNDING = 1e-6
"""A number that misses a step of the last digit by less of a step was only rounded on its way."""


class Template:
    """A message with values in it: ``SP {value:.2f}``."""

    def __init__(self, text: str, *, unit: int | None = None) -> None:
        """Understand *text*: literals, and fields with a format as in Python.

        Raises:
            ConfigurationError: it is no template.
        """
        self.text = text
        self._parts = parts_of(text, unit)
        for part in self._parts:
            if part.name is not None:
                _check_format(text, part)

    @property
    def fields(self) -> dict[str, str]:
        """Name of each field, and the letter of its format (empty if there is none)."""
        return {
            part.name: part.spec[-1:] if part.spec[-1:].isalpha() else ""
            for part in self._parts
            if part.name
        }

    @property
    def literal(self) -> str:
        """All of it that is no field."""
        return "".join(part.literal for part in self._parts)

    @property
    def regex(self) -> re.Pattern[str]:
        """What a message made of it looks like; no text takes long to be matched with it."""
        head, after = "", list[str]()
        for part in self._parts:
            if part.name is not None:
                after.append("")
            elif after:
                after[-1] += re.escape(part.literal)
            else:
                head += re.escape(part.literal)
        # A field ends where what follows it comes first; for the last one that is the end.
        fields = [f"(?>.*?{literal})" for literal in after[:-1]]
        return re.compile("".join((head, *fields, *(f".*{literal}" for literal in after[-1:]))))

    def render(self, values: Mapping[str, float | str]) -> tuple[str, dict[str, str]]:
        """Return the message with *values* in it, and the text of each of them.

        Raises:
            BadValue: one cannot be written so that it stays the same, or has characters that are
                not printable.
        """
        texts: dict[str, str] = {}
        pieces = []
        for part in self._parts:
            if part.name is None:
                pieces.append(part.literal)
                continue
            text = _written(values[part.name], part.spec)
            texts[part.name] = text
            pieces.append(text)
        return "".join(pieces), texts


def _check_format(text: str, part: Part) -> None:
    if not part.name:
        raise ConfigurationError(f"{text!r}: a field needs a name, such as {{value}}")
    if part.spec[-1:] in ("n", "c", "%"):
        raise ConfigurationError(f"{text!r}: a number cannot be sent as {part.spec!r}")
    # What is wrong with a spec itself is wrong for a number and for a text.
    for sample in (1, 1.5, "a"):
        try:
            _written(sample, part.spec)
        except BadValue:
            continue
        return
    raise ConfigurationError(f"{text!r}: {part.spec!r} is no format of a number or a text")


def _written(value: float | str, spec: str) -> str:
    """Return *value* as *spec* has it.

    Raises:
        BadValue: it would not be the same value any more, or cannot be written so at all.
    """
    try:
        text = _formatted(value, spec)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadValue(f"{value!r} cannot be written as {spec!r}: {error}") from None
    if not text.isprintable():
        raise BadValue(f"{value!r} has characters that cannot be sent: only printable ones can")
    if isinstance(value, str):
        if text.strip() != value.strip():
            raise BadValue(f"{value!r} would be cut off: only {text!r} would be sent")
    elif not _is_same(float(value), text.strip(), spec):
        raise BadValue(f"{value!r} would be sent as {text.strip()!r}, which is another number")
    return text


def _formatted(value: float | str, spec: str) -> str:
    if isinstance(value, str):
        return format(value, spec)
    if isinstance(value, bool):
        value = int(value)
    number = float(value)
    if not math.isfinite(number):
        raise BadValue(f"{value!r} is not a number that can be sent")
    if spec[-1:] and spec[-1] in _INTEGER_CODES:
        nearest = round(number)
        if abs(number - nearest) > _ROUNDING:
            raise BadValue(f"{value!r} is not a whole number, and only such can be sent")
        if nearest < 0 and spec[-1] != "d":
            raise BadValue(f"{value!r} is negative, and digits in {spec!r} have no sign")
        return format(nearest if not isinstance(value, int) else value, spec)
    return format(value, spec)


def _is_same(number: float, text: str, spec: str) -> bool:
    code = spec[-1:]
    if code in ("x", "X", "o", "b"):
        return True  # whole, which was seen to before
    try:
        sent = Decimal(text.replace(",", "") if "," in spec else text)
    except ArithmeticError:
        return False
    step = 10.0 ** int(sent.as_tuple().exponent) if code and code in "fFdeE" else 0.0
    return abs(float(sent) - number) <= max(_ROUNDING * step, 1e-12 * abs(number))
