"""What stands in the protocol of the text driver for the values of an item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from drivers.base import BadItem
from drivers.framing.templates import Template
from mktl.description import Description
from mktl.errors import MktlError

__all__ = ["is_number", "numeral", "tells_texts", "values_from"]


def values_from(
    key: str, given: object, description: Description, *, texts: bool
) -> dict[int | float | str, Any]:
    """Return the values of an item by what stands for them in the protocol.

    Args:
        key: What the table is called in that of the item.
        given: What stands there.
        description: What values the item can have.
        texts: Whether texts stand for them, and no numbers.

    Raises:
        BadItem: it is no such table.
    """
    if not (isinstance(given, Mapping) and given):
        raise BadItem(key, f"must be a table, such as {{ON = true}}, not {given!r}")
    found: dict[int | float | str, Any] = {}
    for text, value in given.items():
        sent = text if texts else numeral(key, text)
        try:
            stored = description.validate(value)
        except MktlError as error:
            raise BadItem(key, f"{text} = {value!r}: {error}") from None
        if sent in found or stored in found.values():
            raise BadItem(key, f"{text} = {value!r}: there is another one like that")
        found[sent] = stored
    return found


def numeral(key: str, text: Any) -> int | float:
    """Return the number that *text*, the key of a table, is.

    Raises:
        BadItem: it is none; names *key*.
    """
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadItem(key, f"{text!r} is not a number, as the field in the protocol is")
    return int(number) if number == int(number) else number


def tells_texts(tell: Template, values: object) -> bool:
    """Whether what *tell* sends for one of *values* is a text, and no number."""
    codes = set(tell.fields.values())
    if codes <= {""}:
        return not (isinstance(values, Mapping) and all(map(_is_numeral, values)))
    return codes <= {"", "s"}


def is_number(value: object) -> bool:
    """Whether *value* is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_numeral(text: object) -> bool:
    return isinstance(text, str) and text.lstrip("+-").isdecimal()
