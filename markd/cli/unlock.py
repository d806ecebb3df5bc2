"""``mark unlock``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mktl.errors import UnknownKey

from ._daemons import Part, tell_each
from ._json import json_line
from ._outcome import one_line
from .lock import has, locks_of

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """End locks before their time."""
    tell_each(arguments, outcome, _unlock, _no_lock)


def _unlock(part: Part, arguments: Arguments) -> bool:
    present = [lock["keys"] for lock in locks_of(part, arguments.timeout_s)]
    ended = [keys for keys in present if keys == part.pattern or has(part.pattern, keys)]
    if not ended:
        return False
    value = {"keys": part.pattern, "until": 0}
    if arguments.break_:
        value["break"] = True
    part.store[part.own_key("lock")].set(value, timeout=arguments.timeout_s)
    for keys in ended:
        if arguments.json:
            print(json_line({"daemon": part.block.name, "keys": keys}))
        else:
            print(one_line(f"Unlocked {part.store.name}.{keys} ({part.block.name})"), flush=True)
    return True


def _no_lock(subject: str) -> UnknownKey:
    store = subject.partition(".")[0]
    return UnknownKey(f"there is no such lock: mark lock --list {store} shows those that there are")
