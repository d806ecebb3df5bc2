"""``mark alarms``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import mktl
from mktl.errors import MktlError

from ._daemons import Part, find_parts
from ._json import json_line
from ._outcome import ALARMS, UsageError, one_line, warn

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["local_time", "means", "rows_of", "run"]

_WORST_FIRST = ("Invalid", "Alarm", "Warning")


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Print what is wrong with which items, worst first."""
    if not arguments.requests and arguments.store is None:
        arguments.requests = _all_stores(arguments)
    found: list[tuple[Part, dict[str, Any]]] = []
    for part in find_parts(arguments, outcome):
        try:
            found += [(part, row) for row in rows_of(part, arguments) if means(part, row["key"])]
        except MktlError as error:
            outcome.failed(part.block.name, error)
    found.sort(key=_order)
    for part, row in found:
        if arguments.json:
            fields = {**row, "key": f"{part.store.name}.{row['key']}", "daemon": part.block.name}
            print(json_line(fields))
        else:
            print(one_line(_line(part, row)))
    if any(not row.get("shelved") for _part, row in found):
        outcome.status = max(outcome.status, ALARMS)


def means(part: Part, key: str) -> bool:
    """Return whether *key* was asked for; by a whole store, what its daemons have of their own."""
    return part.pattern == "*" or key in part.keys


def rows_of(part: Part, arguments: Arguments) -> list[dict[str, Any]]:
    """Return what a daemon says is wrong; nothing for one that watches nothing.

    Raises:
        MktlError: it does not answer.
    """
    key = part.own_key("alarmlist")
    if not key:
        return []
    result = part.store.read([key], refresh=True, timeout=arguments.timeout_s)[key]
    if isinstance(result, MktlError):
        raise result
    more = result.extra.get("more")
    if more:
        warn(f"mark: {part.block.name} has {more} more alarms than it lists")
    rows = result.value if isinstance(result.value, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("key"), str)]


def _all_stores(arguments: Arguments) -> list[str]:
    if arguments.at is not None:
        raise UsageError("--at needs a store: mark alarms STORE --at HOST:PORT")
    from mktl import directory

    try:
        found = mktl.discover()
    except mktl.errors.NoAnswer:
        found = []  # those that are known are asked next
    return sorted({*directory.cached_stores(), *found})


def _order(entry: tuple[Part, dict[str, Any]]) -> tuple[bool, int, bool, str, str]:
    part, row = entry
    severity = row.get("severity")
    rank = _WORST_FIRST.index(severity) if severity in _WORST_FIRST else len(_WORST_FIRST)
    shelved, acknowledged = bool(row.get("shelved")), bool(row.get("acknowledged"))
    return shelved, rank, acknowledged, part.store.name, row["key"]


def _line(part: Part, row: dict[str, Any]) -> str:
    name = f"{part.store.name}.{row['key']}"
    line = f"{row.get('severity')!s:7} {name}: {row.get('reason')}"
    line += f" (since {local_time(row.get('since'))}"
    for what, done in (("acknowledged", "acknowledged"), ("shelved", "shelved")):
        by = row.get(what)
        if isinstance(by, dict):
            until = f" until {local_time(by.get('until'))}" if "until" in by else ""
            because = f": {by['why']}" if by.get("why") else ""
            line += f"; {done}{until} by {by.get('who')}{because}"
    return f"{line})"


def local_time(moment: object) -> str:
    """Return the local date and time of UNIX seconds."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(moment)))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):  # a peer may send anything
        return "an unknown time"
