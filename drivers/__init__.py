"""Drivers: instruments behind a line, one connection each and any number of users.

- ``controller``: :class:`Controller`, the base of every driver; ``channel``: what it offers.
- ``line``: turns, deadlines, resynchronising, reconnecting; with ``turns``, ``link``,
  ``connection``, ``identity``, ``backoff`` and ``meter`` below it, and ``settings`` for all.
- ``ports``, ``framing``: bytes in and out, and where a reply ends.
- ``catalog``: drivers by name; ``wiring``: instrument file -> controllers and items.
- ``lakeshore336``: the first real one.

Importing this package imports nothing else: names are looked up when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drivers.channel import Channel
    from drivers.controller import Controller
    from drivers.line import Line
    from drivers.settings import Identity, LineSettings

__all__ = ["Channel", "Controller", "Identity", "Line", "LineSettings"]

_WHERE = {
    "Channel": "drivers.channel",
    "Controller": "drivers.controller",
    "Identity": "drivers.settings",
    "Line": "drivers.line",
    "LineSettings": "drivers.settings",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
