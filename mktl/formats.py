"""Values as people read and type them: numbers, arrays, names, and anything else.

Everything here is a pure function of a value or a text; units are not its business (see
:class:`mktl.description.Description`, which puts the two together). The messages of errors are
predicates, such as ``must be a number, not 'x'``: who knows the item's key puts it in front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ._numbers import NumberFormat, brief, parse_number, plain_text
from ._record import record
from ._sexagesimal import SexagesimalFormat
from .errors import BadValue, UnknownKey

__all__ = [
    "NULL_TEXT",
    "Formatter",
    "Names",
    "NumberFormat",
    "SexagesimalFormat",
    "array_from_text",
    "array_to_text",
    "bulk_to_text",
    "json_text",
    "mask_from_text",
    "mask_to_text",
    "number_to_text",
    "parse_format",
    "parse_number",
]

NULL_TEXT = "null"
"""How an unknown value prints. Not ``None``, which is a usual name for zero in a mask."""

Formatter: TypeAlias = NumberFormat | SexagesimalFormat
"""A ``format`` that has been understood."""

_MAX_DEPTH = 16
"""Deepest nesting of a numeric array that is read from text."""

_MAX_BITS = 256
"""Widest mask that is printed bit by bit."""


def parse_format(text: str) -> Formatter:
    """Understand the ``format`` of an item of numbers: printf-like, or sexagesimal with colons.

    Raises:
        BadValue: it is neither.
    """
    return SexagesimalFormat.parse(text) or NumberFormat.parse(text)


def number_to_text(value: Any, formatter: Formatter | None) -> str:
    """Print a number by *formatter*; without one, as the shortest text that denotes it.

    What is not a number (a peer may publish anything) prints as JSON.
    """
    if value is None:
        return NULL_TEXT
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return json_text(value)
    try:
        return plain_text(value) if formatter is None else formatter.to_text(value)
    except (OverflowError, ValueError):  # infinite, or too large for a floating-point number
        return str(value) if isinstance(value, float) else hex(value)


def array_to_text(value: Any, formatter: Formatter | None) -> str:
    """Print nested lists of numbers, every element by *formatter*: ``[1.00, 2.00]``."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(array_to_text(element, formatter) for element in value)}]"
    return number_to_text(value, formatter)


def array_from_text(text: str, read: Callable[[str], Any]) -> list[Any]:
    """Read what :func:`array_to_text` prints, or numbers with commas or spaces between.

    Args:
        text: What to read.
        read: Reads one element; raises BadValue if it cannot.

    Raises:
        BadValue: the brackets do not match, or an element cannot be read.
    """
    stack: list[list[Any]] = [[]]
    chunk = ""
    for character in text if "[" in text else f"[{text}]":
        if character not in "[]":
            chunk += character
            continue
        stack[-1] += _elements(chunk, read, follows=bool(stack[-1]), ended=character == "]")
        chunk = ""
        if character == "[" and len(stack) <= _MAX_DEPTH:
            stack.append([])
        elif character == "]" and len(stack) > 1:
            inner = stack.pop()
            stack[-1].append(inner)
        else:
            raise _bad_brackets(text)
    if len(stack) != 1 or len(stack[0]) != 1 or chunk.strip():
        raise _bad_brackets(text)
    result: list[Any] = stack[0][0]
    return result


def _bad_brackets(text: str) -> BadValue:
    return BadValue(f"must be numbers like [1, 2, 3], not {brief(text)}")


def _elements(chunk: str, read: Callable[[str], Any], *, follows: bool, ended: bool) -> list[Any]:
    """Read the elements between two brackets.

    Args:
        chunk: The text between them.
        read: Reads one element.
        follows: An inner array stands before, which may be followed by a comma.
        ended: The second bracket closes, so that a last comma would be followed by nothing.
    """
    chunk = chunk.strip()
    if not chunk or (chunk == "," and follows and not ended):
        return []
    if follows:
        chunk = chunk.removeprefix(",")
    if not ended:
        chunk = chunk.removesuffix(",")
    parts = chunk.split(",")
    if len(parts) > 1:
        return [read(part) for part in parts]
    try:  # a format may print a space within an element
        return [read(chunk)]
    except BadValue:
        words = chunk.split()
        if len(words) < 2:
            raise
    return [read(word) for word in words]


@record
class Names:
    """The texts of an item's enumerators: those of its values, or of its bits."""

    texts: Mapping[int, str]
    """The text for each value, or for each bit number of a mask."""
    zero: str | None = None
    """For a mask: the text for no bit at all."""

    def find(self, text: str) -> int | None:
        """Return the value with that text, without regard to case; ``None`` if there is none.

        Raises:
            BadValue: several values have that text.
        """
        wanted = _folded(text)
        found = [value for value, name in self.texts.items() if _folded(name) == wanted]
        if len(found) > 1:
            numbers = ", ".join(map(str, found))
            raise BadValue(f"has the text {brief(text)} for each of {numbers}: give the number")
        return found[0] if found else None

    def is_zero(self, text: str) -> bool:
        """Return whether *text* is the text for no bit at all, without regard to case."""
        return self.zero is not None and _folded(text) == _folded(self.zero)

    def unknown(self, found: Any, *, several: bool = False) -> UnknownKey:
        """Make the error for *found*: it lists what is allowed, and suggests the nearest."""
        allowed = [f"{name} ({value})" for value, name in self.texts.items()]
        if self.zero is not None:
            allowed.insert(0, self.zero)
        kind = "any of" if several else "one of"
        message = f"must be {kind} {', '.join(allowed)}, not {brief(found)}"
        if isinstance(found, str) and (nearest := self._nearest(found)):
            message += f"; did you mean {nearest!r}?"
        return UnknownKey(message)

    def _nearest(self, text: str) -> str | None:
        from difflib import get_close_matches

        by_folded = {_folded(name): name for name in self.texts.values()}
        if self.zero is not None:
            by_folded[_folded(self.zero)] = self.zero
        matches = get_close_matches(_folded(text)[:60], by_folded, n=1)
        return by_folded[matches[0]] if matches else None


def _folded(text: str) -> str:
    return text.strip().casefold()


def mask_to_text(value: int, names: Names) -> str:
    """Print the texts of the bits that are set, lowest first; one without a text as ``bit N``."""
    if value == 0:
        return "0" if names.zero is None else names.zero
    if value < 0 or value.bit_length() > _MAX_BITS:
        return hex(value)
    bits = (bit for bit in range(value.bit_length()) if value >> bit & 1)
    return ", ".join(names.texts.get(bit, f"bit {bit}") for bit in bits)


def mask_from_text(text: str, names: Names) -> int:
    """Read what :func:`mask_to_text` prints: texts with commas between, or one number.

    Raises:
        UnknownKey: a text that no bit has.
        BadValue: the text for no bit at all together with others.
    """
    if names.is_zero(text):
        return 0
    whole = names.find(text)  # a text may have a comma in it
    if whole is not None:
        return 1 << whole
    value = 0
    for part in text.split(","):
        value |= _bits_of(part, text, names)
    return value


def _bits_of(part: str, text: str, names: Names) -> int:
    bit = names.find(part)
    if bit is not None:
        return 1 << bit
    if names.is_zero(part):
        raise BadValue(f"cannot be {names.zero!r} and something else: {brief(text)}")
    word = _folded(part)
    if word == _folded(text) and _is_digits(word):
        return int(word)
    number = word.removeprefix("bit ").strip()
    if number != word and _is_digits(number) and int(number) < _MAX_BITS:
        return 1 << int(number)
    raise names.unknown(part.strip(), several=True)


def _is_digits(text: str) -> bool:
    return text.isdigit() and text.isascii() and len(text) <= 80


def bulk_to_text(value: Any) -> str:
    """Print what an array is, and not its elements: ``uint16[3,4]``."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{getattr(value, 'dtype', 'array')}[{','.join(map(str, shape))}]"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"uint8[{len(value)}]"
    return json_text(value)


def json_text(value: Any) -> str:
    """Print any value: text as it is, an array as :func:`bulk_to_text` does, others as JSON."""
    if isinstance(value, str):
        return value
    if hasattr(value, "shape"):
        return bulk_to_text(value)
    import json

    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # not from JSON: show at least something
        return brief(value)
