"""Short words for what a JSON Schema says at length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    "any_of",
    "flag",
    "list_of",
    "number",
    "one_of",
    "pair",
    "pattern_text",
    "positive",
    "table",
    "text",
    "whole",
]


def text(what: str, *, pattern: str | None = None) -> dict[str, Any]:
    """Describe a text; with *pattern*, one that matches it."""
    found: dict[str, Any] = {"type": "string", "description": what}
    if pattern is not None:
        found["pattern"] = pattern
    return found


def pattern_text(what: str) -> dict[str, Any]:
    """Describe a text that is a regular expression."""
    return {"type": "string", "format": "regex", "description": what}


def flag(what: str) -> dict[str, Any]:
    """Describe true or false."""
    return {"type": "boolean", "description": what}


def number(what: str, *, minimum: float | None = None) -> dict[str, Any]:
    """Describe a number, at least *minimum*."""
    found: dict[str, Any] = {"type": "number", "description": what}
    if minimum is not None:
        found["minimum"] = minimum
    return found


def positive(what: str) -> dict[str, Any]:
    """Describe a number above zero."""
    return {"type": "number", "exclusiveMinimum": 0, "description": what}


def whole(what: str, *, minimum: int = 0, maximum: int | None = None) -> dict[str, Any]:
    """Describe a whole number."""
    found: dict[str, Any] = {"type": "integer", "minimum": minimum, "description": what}
    if maximum is not None:
        found["maximum"] = maximum
    return found


def pair(what: str, *, of: str = "number") -> dict[str, Any]:
    """Describe ``[low, high]``."""
    return {
        "type": "array",
        "items": {"type": of},
        "minItems": 2,
        "maxItems": 2,
        "description": what,
    }


def one_of(words: Iterable[str], what: str) -> dict[str, Any]:
    """Describe one of a few words."""
    return {"enum": list(words), "description": what}


def list_of(items: dict[str, Any], what: str) -> dict[str, Any]:
    """Describe a list."""
    return {"type": "array", "items": items, "description": what}


def any_of(*forms: dict[str, Any]) -> dict[str, Any]:
    """Describe what has several forms."""
    return {"anyOf": list(forms)}


def table(properties: dict[str, Any], what: str, *, required: Iterable[str] = ()) -> dict[str, Any]:
    """Describe a table with these keys, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        "description": what,
    }
