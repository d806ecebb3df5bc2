"""What type an item of the text driver has, where its table does not say so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from drivers.framing.patterns import Pattern
from drivers.framing.templates import Template

__all__ = ["NUMBER_CODES", "TYPES", "implied_type", "usual_reply"]

TYPES = ("numeric", "string", "boolean", "enumerated", "mask", "numeric array")
"""Types that such an item can have."""

NUMBER_CODES = "dgfex"
"""Specs of the fields of a reply that are numbers."""

_FOR_NUMBERS = (
    *("units", "format", "range", "limits", "deadband", "tracks"),
    *("scale", "offset", "plausible"),
)
_NUMBER_FORMAT = re.compile(r"\{(?!unit\b)\w+:[^{}]*[bdeEfFgGoxX]\}")
_SPECS = {"numeric": "g", "boolean": "d", "enumerated": "d", "mask": "d", "string": "s"}


def usual_reply(table: Mapping[str, Any]) -> str:
    """Return the pattern of a reply that is the value alone."""
    name = table.get("field", "value")
    given = table.get("type")
    values = table.get("values")
    if isinstance(values, Mapping) and values:
        whole = all(isinstance(text, str) and text.lstrip("+-").isdecimal() for text in values)
        return f"{{{name}:{'d' if whole else 's'}}}"
    if given is None:
        given = "enumerated" if "enumerators" in table else None
        given = given or ("numeric" if _is_for_numbers(table) else "string")
    return f"{{{name}:{_SPECS[given]}}}"


def implied_type(table: Mapping[str, Any], shapes: Sequence[Pattern], tell: Template | None) -> str:
    """Return the type of the item: as *table* says, or else as its protocol implies."""
    given = table.get("type")
    if isinstance(given, str):
        return given
    field = table.get("field", "value")
    if isinstance(field, list):
        return "numeric array"
    if tell is not None and not tell.fields and not shapes:
        return "boolean"
    if "values" in table:
        return _of_values(table)
    if "enumerators" in table:
        return "enumerated"
    codes = [shape.fields.get(field, "s") for shape in shapes]
    if not codes and tell is not None:
        codes = [code or ("g" if _is_for_numbers(table) else "s") for code in tell.fields.values()]
    return "string" if not codes or codes[0] in "sw" else "numeric"


def _of_values(table: Mapping[str, Any]) -> str:
    given = table["values"]
    values = list(given.values()) if isinstance(given, Mapping) else []
    if all(isinstance(value, bool) for value in values):
        return "boolean"
    if "enumerators" in table:
        return "enumerated"
    return "string" if any(isinstance(value, str) for value in values) else "numeric"


def _is_for_numbers(table: Mapping[str, Any]) -> bool:
    if any(name in table for name in _FOR_NUMBERS):
        return True
    tell = table.get("tell")
    return isinstance(tell, str) and _NUMBER_FORMAT.search(tell) is not None
