"""``mark shelve``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mktl.errors import BadValue, MktlError, NotSupported

from ._daemons import Part, tell_each
from ._durations import show_duration
from ._json import json_line
from ._outcome import UsageError, one_line

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Have the limits of items disregarded for a while, or end that."""
    if arguments.end and (arguments.duration_s or arguments.why):
        raise UsageError("--end goes without --for and --why")
    if not arguments.end and not (arguments.duration_s and arguments.why):
        raise UsageError(
            "for how long, and why? For example: mark shelve cryo.temp --for 2h --why 'new sensor'"
        )
    what = "is not shelved" if arguments.end else "has no limits to shelve"
    tell_each(
        arguments,
        outcome,
        _unshelve if arguments.end else _shelve,
        lambda _: BadValue(f"it {what}"),
    )


def _shelve(part: Part, arguments: Arguments) -> bool:
    if not part.keys or not part.own_key("shelve"):
        return _without(part)
    began = time.time()
    # Seconds rather than a time of day: the clocks of the two hosts need not agree.
    value = {"key": part.pattern, "for_s": arguments.duration_s, "why": arguments.why}
    try:
        part.store[part.own_key("shelve")].set(value, timeout=arguments.timeout_s)
    except BadValue as error:
        if part.pattern in part.keys or "to shelve" not in str(error):
            raise
        return False  # perhaps another daemon has something
    shelved = _shelved(part, arguments)
    for key in part.keys:
        if key in shelved:
            until = began + (arguments.duration_s or 0.0)
            _show(part, key, arguments, f"for {show_duration(until - began)}", shelved[key])
    return True


def _unshelve(part: Part, arguments: Arguments) -> bool:
    if not part.own_key("shelve"):
        return _without(part)
    shelved = _shelved(part, arguments)
    keys = [key for key in part.keys if key in shelved]
    if not keys:
        return False
    part.store[part.own_key("shelve")].set({"key": keys, "until": 0}, timeout=arguments.timeout_s)
    for key in keys:
        _show(part, key, arguments, "", {})
    return True


def _without(part: Part) -> bool:
    if part.pattern in part.keys:
        raise NotSupported(f"the daemon {part.block.name} shelves nothing: nothing was done there")
    return False


def _shelved(part: Part, arguments: Arguments) -> dict[str, Any]:
    own = part.own_key("shelve")
    result = part.store.read([own], timeout=arguments.timeout_s)[own]
    if isinstance(result, MktlError):
        raise result
    return result.value if isinstance(result.value, dict) else {}


def _show(part: Part, key: str, arguments: Arguments, length: str, shelf: Any) -> None:
    full_key = f"{part.store.name}.{key}"
    if arguments.json:
        print(json_line({"key": full_key, "daemon": part.block.name, "shelved": shelf or None}))
    elif length:
        print(one_line(f"Shelved {full_key} {length}"), flush=True)
    else:
        print(one_line(f"Ended: {full_key} is no longer shelved"), flush=True)
