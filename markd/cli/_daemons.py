"""From what was typed to the daemons that hold it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import mktl
from mktl.errors import MktlError
from mktl.protocol.names import fold

from . import _keys

if TYPE_CHECKING:
    from mktl.catalog import Block

    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["Part", "find_parts", "tell_each"]


@dataclass(frozen=True)
class Part:
    """What was asked for, as far as one daemon has to do with it."""

    store: mktl.Store
    block: Block
    pattern: str
    """A key or a pattern, without the store."""
    keys: list[str]
    """The items of the daemon that it means."""

    def own_key(self, name: str) -> str:
        """Return the key of one of the daemon's own items, if it has that, or an empty text."""
        key = f"_{self.block.alias}{name}"
        return key if key in self.block.items else ""


def find_parts(arguments: Arguments, outcome: Outcome) -> list[Part]:
    """Return what the requests stand for, daemon by daemon; what is unknown is told."""
    parts: list[Part] = []
    requests = [_keys.split(typed, arguments.store) for typed in arguments.requests]
    if not requests and arguments.store is not None:
        requests = [(arguments.store.lower(), "")]
    for name, key in dict.fromkeys(requests):
        try:
            store = mktl.get(name, at=arguments.at)
            parts += _parts(store, key or "*", outcome)
        except MktlError as error:
            outcome.failed(f"{name}.{key}" if key else name, error)
    return parts


def tell_each(
    arguments: Arguments,
    outcome: Outcome,
    tell: Callable[[Part, Arguments], bool],
    nothing: Callable[[str], MktlError],
) -> None:
    """Have each daemon told its part; one that fails holds up no other.

    Args:
        arguments: What was asked for.
        outcome: What became of it.
        tell: Does it, and returns whether there was anything to do.
        nothing: Returns what to say of a request for which no daemon had anything to do.
    """
    tried: dict[str, bool] = {}
    for part in find_parts(arguments, outcome):
        subject = f"{part.store.name}.{part.pattern}"
        try:
            done = tell(part, arguments)
        except MktlError as error:
            outcome.failed(subject, error)
            done = True  # it was told why not
        tried[subject] = tried.get(subject, False) or done
    for subject, done in tried.items():
        if not done:
            outcome.failed(subject, nothing(subject))


def _parts(store: mktl.Store, pattern: str, outcome: Outcome) -> list[Part]:
    if not _keys.is_pattern(pattern):
        key = store[fold(pattern, "key")].key  # says what may be meant, where there is none
        return [Part(store, block, key, [key]) for block in store.blocks if key in block.items]
    # What is cached does not tell of a daemon that has come to the store since.
    if not store.refresh():
        outcome.unanswered(f"nobody answered about {store.name}: this is what was known before")
    hidden = pattern.startswith("_")
    parts = []
    for block in store.blocks:
        keys = [
            key
            for key in block.items
            if fnmatchcase(key, pattern) and (hidden or not key.startswith("_"))
        ]
        if keys or pattern == "*":
            parts.append(Part(store, block, pattern, keys))
    if not parts:
        raise mktl.errors.UnknownKey(f"{store.name} has no item that matches {pattern!r}")
    return parts
