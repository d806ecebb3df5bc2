"""``mark list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mktl
from mktl import directory
from mktl.errors import NoAnswer

from . import _keys
from ._json import json_line
from ._outcome import UsageError, one_line

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Print keys, types, and whether items can be read and written."""
    if not arguments.requests and arguments.store is None:
        arguments.requests = _all_stores(arguments)
    rows: dict[str, dict[str, Any]] = {}
    for name, (store, keys) in _keys.find(arguments, outcome, all_of_store=True).items():
        known = _keys.descriptions(store)
        for key in keys:
            rows[f"{name}.{key}"] = known[key] if key in known else store.describe(key)
    ordered = dict(sorted(rows.items()))
    if arguments.json:
        for full_key, description in ordered.items():
            print(json_line({"key": full_key, **description}))
        return
    widths = [max(map(len, column)) for column in zip(*map(_row, ordered.items()), strict=True)]
    for row in map(_row, ordered.items()):
        print(
            "   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def _row(entry: tuple[str, dict[str, Any]]) -> tuple[str, str, str]:
    full_key, description = entry
    readable = "r" if _keys.is_gettable(description) else ""
    writable = "w" if description.get("settable") is not False else ""
    return full_key, one_line(str(description.get("type") or "untyped")), readable + writable or "-"


def _all_stores(arguments: Arguments) -> list[str]:
    if arguments.at is not None:
        raise UsageError("--at needs a store: mark list STORE --at HOST:PORT")
    cached = directory.cached_stores()
    try:
        found = mktl.discover()
    except NoAnswer:
        if not cached:
            raise
        found = []  # the stores themselves are asked next
    return sorted({*cached, *found})
