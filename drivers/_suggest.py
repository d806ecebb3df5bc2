"""The nearest names to one that does not exist, for error texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["suggestion"]

_LISTED = 12


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """Return ``"did you mean ...?"``, or all names if none is near and they are few."""
    known = {name.lower(): name for name in names}
    near = difflib.get_close_matches(wrong.lower(), known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(repr(known[name]) for name in near)}?"
    if 0 < len(known) <= _LISTED:
        return f"choose from {', '.join(sorted(known.values()))}"
    return f"there are {len(known)} of them, none with a name like it"
