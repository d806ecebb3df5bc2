"""``mark limits``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mktl.errors import BadValue, MktlError, NotSupported

from ._daemons import Part, find_parts
from ._json import json_line
from ._keys import is_pattern, split
from ._limits_words import FIELDS, changed, shown
from ._outcome import UsageError, one_line

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Show what items are watched for, or change it."""
    words = [word for word in arguments.requests if "=" in word]
    arguments.requests = [word for word in arguments.requests if "=" not in word]
    if not arguments.requests and arguments.store is None:
        raise UsageError("limits of what? For example: mark limits cryo.temp alarm=60,100")
    if arguments.reset and words:
        raise UsageError("--reset takes back all that was set: it goes without new limits")
    if words or arguments.reset:
        _refuse_patterns(arguments)
    for part in find_parts(arguments, outcome):
        try:
            _show_or_change(part, words, arguments)
        except MktlError as error:
            outcome.failed(f"{part.store.name}.{part.pattern}", error)


def _refuse_patterns(arguments: Arguments) -> None:
    for typed in arguments.requests or [""]:
        _store, key = split(typed, arguments.store)
        if not key or is_pattern(key):
            raise UsageError(f"{typed!r} is no key: limits are set for one key, or several")


def _show_or_change(part: Part, words: list[str], arguments: Arguments) -> None:
    own = part.own_key("limits")
    if not own:
        if part.pattern in part.keys:
            raise NotSupported(f"the daemon {part.block.name} watches no limits")
        return
    in_force = _in_force(part, own, arguments)
    if words or arguments.reset:
        (key,) = part.keys
        change: dict[str, Any] = dict.fromkeys(FIELDS)
        if words:
            change = changed(
                in_force.get(key, {}), words, part.store[key].description, part.store.name
            )
        if arguments.why:
            change["why"] = arguments.why
        part.store[own].set({"key": key, **change}, timeout=arguments.timeout_s)
        in_force = _in_force(part, own, arguments)
    for key in in_force if part.pattern == "*" else part.keys:
        if key in part.block.items and (key in in_force or part.pattern == key):
            _show(part, key, in_force.get(key, {}), as_json=arguments.json)
    if is_pattern(part.pattern) and part.pattern != "*" and not in_force.keys() & set(part.keys):
        raise BadValue("no item that matches has limits")


def _in_force(part: Part, own: str, arguments: Arguments) -> dict[str, Any]:
    result = part.store.read([own], timeout=arguments.timeout_s)[own]
    if isinstance(result, MktlError):
        raise result
    value = result.value if isinstance(result.value, dict) else {}
    return {key: fields for key, fields in value.items() if isinstance(fields, dict)}


def _show(part: Part, key: str, fields: dict[str, Any], *, as_json: bool) -> None:
    full_key = f"{part.store.name}.{key}"
    if as_json:
        print(json_line({"key": full_key, "daemon": part.block.name, **fields}))
    else:
        line = shown(fields, part.store[key].description)
        print(one_line(f"{full_key}: {line}"), flush=True)
