"""Lengths of time as people write them: ``90``, ``90s``, ``10m``, ``2h``, ``1d``."""

from __future__ import annotations

import contextlib
import re

__all__ = ["parse_duration", "show_duration"]

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)")


def parse_duration(text: str) -> float:
    """Return the seconds that *text* means: a number of seconds, or such as ``1h30m``.

    Raises:
        ValueError: it is no length of time above 0.
    """
    seconds, rest = 0.0, text.strip().lower()
    with contextlib.suppress(ValueError):  # a plain number, in whatever way it is written
        seconds, rest = float(rest), ""
    while rest:
        part = _PART.match(rest)
        if part is None or part[2] not in _SECONDS:
            break
        seconds += float(part[1]) * _SECONDS[part[2]]
        rest = rest[part.end() :].lstrip()
    if rest or not 0 < seconds < float("inf"):
        raise ValueError(f"must be a length of time such as 90s, 10m, 2h or 1d, not {text!r}")
    return seconds


def show_duration(seconds: float) -> str:
    """Return *seconds* as people read them, to two units: ``1 h 59 min``."""
    left = max(0, round(seconds))
    shown: list[tuple[int, str]] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or shown:
            shown.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in shown[:2] if count) or "0 s"
