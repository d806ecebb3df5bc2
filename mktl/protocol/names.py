"""What the name of a store, a key or an alias may look like.

A name becomes part of a ZeroMQ topic and of a file name, so it is checked wherever one arrives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeGuard

from ..errors import BadName

__all__ = ["LONGEST", "fold", "is_host", "join", "nearest", "split"]

LONGEST = 200
"""Most characters that a name can have: file systems end at 255, and ``.json`` has to fit."""

_HOST = re.compile(r"[A-Za-z0-9_.:%-]{1,255}")
_NAME = re.compile(r"[a-z0-9_:+-]+")


def fold(name: object, what: str = "name") -> str:
    """Return *name* in the lower case of the wire.

    Raises:
        BadName: it is not text, empty, too long, or holds anything but letters, digits,
            ``_``, ``-``, ``:`` and ``+``.
    """
    if not isinstance(name, str):
        raise BadName(f"{what} must be text, not {type(name).__name__}")
    folded = name.lower()
    # Some letters of other scripts fold to ours: the Kelvin sign is no k.
    if name.isascii() and len(folded) <= LONGEST and _NAME.fullmatch(folded):
        return folded
    shown = ascii(name if len(name) <= 60 else name[:57] + "...")
    raise BadName(
        f"{what} {shown} cannot be used: 1 to {LONGEST} letters, digits, '_', '-', ':' and '+' only"
    )


def is_host(name: object) -> TypeGuard[str]:
    """Return whether *name* can be the name or the address of a host."""
    return isinstance(name, str) and _HOST.fullmatch(name) is not None


def split(full_key: object) -> tuple[str, str]:
    """Return store and key of a full key such as ``cryo.temp``, folded.

    Raises:
        BadName: it is not two names joined by a dot.
    """
    if not isinstance(full_key, str):
        raise BadName(f"a full key must be text, not {type(full_key).__name__}")
    store, dot, key = full_key.partition(".")
    if not dot:
        shown = ascii(full_key if len(full_key) <= 60 else full_key[:57] + "...")
        raise BadName(f"{shown} is not a full key: write store.key, for example cryo.temp")
    return fold(store, "store"), fold(key, "key")


def join(store: str, key: str) -> str:
    """Return the full key of two names that are folded already."""
    return f"{store}.{key}"


_MOST_COMPARED = 200
"""Names that are compared letter by letter, which takes a daemon of 10,000 items a quarter of a
second else: long enough for others to notice."""


def _plausible(name: str, known: list[str]) -> list[str]:
    """Return those of *known* that begin or end most like *name*, if there are many."""
    if len(known) <= _MOST_COMPARED:
        return known
    import bisect

    found: dict[str, None] = {}
    for way in (1, -1):
        ordered = sorted(one[::way] for one in known)
        at = bisect.bisect_left(ordered, name[::way])
        near = ordered[max(0, at - _MOST_COMPARED // 4) : at + _MOST_COMPARED // 4]
        found.update(dict.fromkeys(one[::way] for one in near))
    return list(found)


def nearest(name: str, candidates: Iterable[str], most: int = 3) -> list[str]:
    """Return the *candidates* that a person who typed *name* most likely meant, best first."""
    import difflib

    known = list(candidates)
    close = difflib.get_close_matches(name[:LONGEST], _plausible(name, known), n=most, cutoff=0.6)
    within = [candidate for candidate in known if name and name in candidate]
    return list(dict.fromkeys([*close, *within]))[:most]
