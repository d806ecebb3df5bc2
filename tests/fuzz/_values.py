"""Values and texts of items, and units."""

from __future__ import annotations

import math
from typing import Any

from mktl import units
from mktl.description import Description
from mktl.errors import BadMessage, BadUnits, BadValue, ConfigurationError, UnknownKey, WrongType
from mktl.protocol.message import decode_json, encode_json

from ._wire import check_told

__all__ = ["unit_names", "value"]

REFUSALS = (BadValue, WrongType, UnknownKey)
MOST_TEXT = 200_000
"""Characters that a value of a few thousand bytes may print as."""


def value(data: bytes) -> None:
    """A value or a text is taken as the description has it, or refused; all can be printed.

    The input is ``{"is": description, "value": any, "text": any}``.
    """
    try:
        fields = decode_json(data)
    except BadMessage:
        return
    description = Description.from_json("key", fields.get("is", {}), lenient=True)
    given = fields.get("value")
    check_printed(description, given)
    for check in (description.validate, description.coerce):
        try:
            taken = check(given)
        except REFUSALS as error:
            check_told(error)
            continue
        encode_json({"value": taken})
        assert not (isinstance(taken, float) and not math.isfinite(taken))
        assert same_again(description, check, taken)
    read_text(description, fields.get("text"))


def same_again(description: Description, check: Any, taken: Any) -> bool:
    """Return whether what was taken is taken again, as it is, and can be printed."""
    check_printed(description, taken)
    return encode_json({"": check(taken)}) == encode_json({"": taken})


def read_text(description: Description, text: object) -> None:
    """A text is understood or refused."""
    if not isinstance(text, str):
        return
    try:
        taken = description.from_text(text)
    except (*REFUSALS, BadUnits, ConfigurationError) as error:
        check_told(error)
        return
    check_printed(description, taken)


def check_printed(description: Description, value: Any) -> None:
    """Any value can be printed, unless its units cannot be converted."""
    try:
        text = description.to_text(value)
    except (BadUnits, ConfigurationError) as error:
        check_told(error)
    else:
        assert len(text) < MOST_TEXT


def unit_names(data: bytes) -> None:
    """Units convert there and back, or are refused; nothing that is no unit takes long."""
    one, _, other = data.decode("utf-8", "replace").partition("\n")
    try:
        there = units.convert(1.5, one, other)
    except BadUnits as error:
        check_told(error)
        return
    assert isinstance(there, (int, float))
    assert units.compatible(one, other) or not math.isfinite(there)
