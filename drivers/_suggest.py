"""The nearest names to one that does not exist, for error texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["suggestion"]

_LISTED = 12
_NAMED = 3


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """Return ``"did you mean ...?"``, or all names if none is near and they are few."""
    known = {name.lower(): name for name in names}
    near = _nearest(wrong.lower(), difflib.get_close_matches(wrong.lower(), known, 3 * _NAMED))
    if near:
        return f"did you mean {' or '.join(repr(known[name]) for name in near)}?"
    if 0 < len(known) <= _LISTED:
        return f"choose from {', '.join(sorted(known.values()))}"
    return f"there are {len(known)} of them, none with a name like it"


def _nearest(wrong: str, near: list[str]) -> list[str]:
    """Return those of *near* that take hardly more slips of a finger than the nearest."""
    slips = {name: _slips(wrong, name) for name in near}
    fewest = min(slips.values(), default=0)
    close = [name for name in near if slips[name] <= fewest + 1]
    return sorted(close, key=lambda name: (slips[name], name))[:_NAMED]


def _slips(one: str, other: str) -> int:
    """Return how many letters are missing, added, wrong, or in the place of their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, its in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != its)))
            swapped = i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its
            if swapped:
                row[-1] = min(row[-1], above[j - 2] + 1)
    return row[-1]
