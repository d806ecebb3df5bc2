"""``mark lock``."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import mktl
from mktl.errors import MktlError, NotSupported

from ._daemons import Part, find_parts
from ._durations import show_duration
from ._json import json_line
from ._outcome import UsageError, one_line

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["has", "locks_of", "refuse_locks", "run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Lock items for a while, or list the locks that there are."""
    if arguments.list_:
        _list(arguments, outcome)
        return
    if not arguments.duration_s or not arguments.why:
        raise UsageError(
            "for how long, and why? For example: mark lock 'cryo.temp*' --for 2h --why 'new sensor'"
        )
    for part in find_parts(arguments, outcome):
        try:
            _lock(part, arguments)
        except MktlError as error:
            outcome.failed(f"{part.store.name}.{part.pattern}", error)


def _lock(part: Part, arguments: Arguments) -> None:
    if not part.keys:
        return
    # Seconds rather than a time of day: the clocks of the two hosts need not agree.
    value = {"keys": part.pattern, "for_s": arguments.duration_s, "why": arguments.why}
    key = part.own_key("lock") or refuse_locks(part)
    part.store[key].set(value, timeout=arguments.timeout_s)
    subject = f"{part.store.name}.{part.pattern}"
    if arguments.json:
        print(json_line({"daemon": part.block.name, "items": len(part.keys), **value}))
        return
    items = "1 item" if len(part.keys) == 1 else f"{len(part.keys)} items"
    length = show_duration(arguments.duration_s or 0.0)
    print(one_line(f"Locked {subject} for {length} ({items} of {part.block.name})"), flush=True)


def refuse_locks(part: Part) -> str:
    """Say that a daemon has no locks.

    Raises:
        NotSupported: always.
    """
    raise NotSupported(f"the daemon {part.block.name} has no locks: nothing was done there")


def locks_of(part: Part, timeout_s: float | None) -> list[dict[str, Any]]:
    """Return the locks of a daemon, none for one that knows none.

    Raises:
        MktlError: it does not answer.
    """
    key = part.own_key("lock")
    if not key:
        return []
    result = part.store.read([key], timeout=timeout_s)[key]
    if isinstance(result, MktlError):
        raise result
    value = result.value
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("keys"), str)]


def has(pattern: str, key: str) -> bool:
    """Return whether *pattern* means *key*; as daemons have it, ``_`` only if it begins so too."""
    return fnmatchcase(key, pattern) and (pattern.startswith("_") or not key.startswith("_"))


def _list(arguments: Arguments, outcome: Outcome) -> None:
    if not arguments.requests and arguments.store is None:
        arguments.requests = _all_stores(arguments)
    for part in find_parts(arguments, outcome):
        try:
            found = locks_of(part, arguments.timeout_s)
        except MktlError as error:
            outcome.failed(part.block.name, error)
            continue
        for lock in found:
            if part.pattern != "*" and not any(has(lock["keys"], key) for key in part.keys):
                continue
            _show(part, lock, as_json=arguments.json)


def _all_stores(arguments: Arguments) -> list[str]:
    if arguments.at is not None:
        raise UsageError("--at needs a store: mark lock --list STORE --at HOST:PORT")
    from mktl import directory

    try:
        found = mktl.discover()
    except mktl.errors.NoAnswer:
        found = []  # those that are known are asked next
    return sorted({*directory.cached_stores(), *found})


def _show(part: Part, lock: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json_line({"daemon": part.block.name, **lock}))
        return
    until = lock.get("until")
    left = until - time.time() if isinstance(until, (int, float)) else 0.0
    name = f"{part.store.name}.{lock['keys']}"
    print(
        one_line(
            f"{name} ({part.block.name}): locked by {lock.get('who')} for another "
            f"{show_duration(left)}: {lock.get('why')}"
        )
    )
