"""From what was typed to the items that are meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import mktl
from mktl.errors import MktlError, UnknownKey
from mktl.protocol.names import fold

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["Found", "descriptions", "find", "is_gettable", "is_pattern", "split"]

Found = dict[str, tuple[mktl.Store, list[str]]]
"""By the name of a store: the store, and keys in it, as they were asked for."""


def split(typed: str, store: str | None) -> tuple[str, str]:
    """Return store and key; the key is empty where all of a store is meant.

    Args:
        typed: ``store.key``, ``store``, or ``key`` where *store* is given.
        store: That of ``-s``.
    """
    if store is not None and "." not in typed:
        return store.lower(), typed.lower()
    name, _dot, key = typed.lower().partition(".")
    return name, key


def is_pattern(key: str) -> bool:
    """Return whether *key* stands for all keys that it matches, as in a shell."""
    return any(char in key for char in "*?[")


def is_gettable(description: dict[str, Any]) -> bool:
    """Return whether an item with this description can be read."""
    return description.get("gettable") is not False


def find(
    arguments: Arguments,
    outcome: Outcome,
    wanted: Callable[[dict[str, Any]], bool] = lambda _description: True,
    *,
    all_of_store: bool = False,
) -> Found:
    """Return what the requests stand for; what they do not find is told and left out.

    Args:
        arguments: What was typed.
        outcome: Told what is unknown.
        wanted: Whether an item with this description belongs to a pattern, or to all of a store.
        all_of_store: Whether a store has in it what begins with ``_``.
    """
    found: Found = {}
    requests = [split(typed, arguments.store) for typed in arguments.requests]
    if not requests and arguments.store is not None:
        requests = [(arguments.store.lower(), "")]
    for name, key in dict.fromkeys(requests):
        try:
            store = mktl.get(name, at=arguments.at)
            if key and not is_pattern(key):
                keys: Iterable[str] = [fold(key, "key")]
            else:
                hidden = key.startswith("_") or (all_of_store and not key)
                keys = _matching(store, key or "*", wanted, outcome, hidden=hidden)
        except MktlError as error:
            outcome.failed(f"{name}.{key}" if key else name, error)
            continue
        known = found.setdefault(name, (store, []))[1]
        known.extend(one for one in keys if one not in known)
    return found


def descriptions(store: mktl.Store) -> dict[str, dict[str, Any]]:
    """Return what the daemons of *store* say about their items, by key, sorted."""
    described: dict[str, dict[str, Any]] = {}
    for block in store.blocks:
        described.update(block.items)
    return dict(sorted(described.items()))


def _matching(
    store: mktl.Store,
    pattern: str,
    wanted: Callable[[dict[str, Any]], bool],
    outcome: Outcome,
    *,
    hidden: bool,
) -> Iterable[str]:
    from fnmatch import fnmatchcase

    # What is cached does not tell of a daemon that has come to the store since.
    if not store.refresh():
        outcome.unanswered(f"nobody answered about {store.name}: this is what was known before")
    known = descriptions(store)
    # As a shell hides files whose names begin with a dot: "cryo" and "cryo.*" mean the instrument.
    keys = [
        key for key in known if fnmatchcase(key, pattern) and (hidden or not key.startswith("_"))
    ]
    if not keys and pattern != "*":
        raise UnknownKey(f"{store.name} has no item that matches {pattern!r}")
    return [key for key in keys if wanted(known[key])]
