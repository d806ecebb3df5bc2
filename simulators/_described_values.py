"""What a value of an item could be, as far as its table says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["enumerator", "most_plausible", "number_pair"]


def enumerator(table: Mapping[str, Any], text: Any) -> int | None:
    """Return the number of the enumerator *text*; None: there is none like it."""
    if not isinstance(text, str):
        return None
    for number, name in table.get("enumerators", {}).items():
        if str(name).strip().lower() == text.strip().lower() and str(number).strip().isdecimal():
            return int(number)
    return None


def number_pair(pair: Any) -> tuple[float | None, float | None]:
    """Return both ends of a range like ``[20, 120]``; None for what is not there."""
    if isinstance(pair, list | tuple) and len(pair) == 2:
        low, high = (
            float(end) if isinstance(end, int | float) and math.isfinite(end) else None
            for end in pair
        )
        return low, high
    return None, None


def most_plausible(table: Mapping[str, Any]) -> float:
    """Return a value that nobody would wonder about: amid what is allowed, or a small number."""
    if table.get("enumerators"):
        numbers = [int(key) for key in table["enumerators"] if str(key).strip().isdecimal()]
        return float(min(numbers, default=0))
    if table.get("type") in ("boolean", "mask", "enumerated"):
        return 0.0
    limits = table.get("limits", {})
    for pair in (
        table.get("range"),
        limits.get("warning"),
        limits.get("alarm"),
        table.get("plausible"),
    ):
        low, high = number_pair(pair)
        if low is not None and high is not None:
            return (low + high) / 2
    return 1.0
