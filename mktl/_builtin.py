"""The items that every daemon has about itself."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ._alarm_items import ALARM_ITEMS, alarm_descriptions
from ._history import AuditItem, HistoryItem
from ._locks import LockItem
from ._memory import resident_kilobytes
from .item import Item
from .payload import Payload
from .transport.hosts import hostname

if TYPE_CHECKING:
    from .daemon import Daemon

__all__ = ["add_builtin_items", "builtin_descriptions", "described_by_class"]


def builtin_descriptions(alias: str, uuid: str) -> dict[str, dict[str, Any]]:
    """Return the descriptions of the built-in items of the daemon *alias*."""
    host = hostname()
    fixed = {"settable": False}
    number = {"type": "numeric", **fixed}
    described: dict[str, dict[str, Any]] = {
        **alarm_descriptions(),
        "audit": {
            "description": "Whether every SET is recorded: ok, or since when and why not.",
            "type": "string",
            **fixed,
        },
        "cat": {"description": "JSON description of all items for this daemon.", **fixed},
        "clk": {
            "description": "Uptime for this daemon.",
            **number,
            "units": "seconds",
            "format": "%.3f",
        },
        "cpu": {
            "description": "Processor consumption by this daemon.",
            **number,
            "units": "percent",
            "format": "%.2f",
        },
        "dev": {
            "description": "A terse description for the function of this daemon.",
            "type": "string",
            "persist": True,
            "initial": "",
        },
        "host": {
            "description": "The hostname where this daemon is running.",
            "type": "string",
            "initial": host,
            **fixed,
        },
        "history": {
            "description": "SETs of this daemon's items, the newest last. A GET may ask for one "
            "key, since when, and for the last so many.",
            **fixed,
        },
        "lock": {
            "description": "Maintenance locks: who alone may set which items, why, until when.",
            "persist": True,
            "initial": [],
        },
        "mem": {
            "description": "Physical memory consumption by this daemon.",
            **number,
            "units": "kilobytes",
        },
        # Its value is no part of the description, which would change with every start.
        "pid": {"description": "Process identifier (PID) for this daemon.", **number},
        "uuid": {
            "description": "Universally unique identifier (UUID) for this daemon.",
            "type": "string",
            "initial": uuid,
            **fixed,
        },
    }
    return {f"_{alias}{name}": fields for name, fields in described.items()}


class _Own(Item):
    """An item about the daemon itself."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key)
        self.daemon = daemon


class Catalog(_Own):
    """The daemon's own block."""

    def req_refresh(self) -> Any:
        """Return the block as it travels."""
        return self.daemon.block.to_json()


class Clock(_Own):
    """Seconds since the daemon started; whoever watches it knows that the daemon lives."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key, daemon)
        self._began = time.monotonic()
        self.poll(1.0)

    def req_refresh(self) -> float:
        """Return seconds since the start."""
        return time.monotonic() - self._began


class Processor(_Own):
    """Share of one processor used since the last look, in percent."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key, daemon)
        self._last = (time.monotonic(), time.process_time())
        self.poll(5.0)

    def req_refresh(self) -> Any:
        """Return percent of one processor; what was known, if it was only just asked."""
        now = (time.monotonic(), time.process_time())
        elapsed = now[0] - self._last[0]
        if elapsed < 0.1:
            return None if self.timestamp is not None else Payload(None)
        used = 100.0 * (now[1] - self._last[1]) / elapsed
        self._last = now
        return used


class Memory(_Own):
    """Physical memory of the process, in kilobytes."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key, daemon)
        self.poll(5.0)

    def req_refresh(self) -> int:
        """Return kilobytes."""
        return resident_kilobytes()


class ProcessId(_Own):
    """The process identifier."""

    def req_refresh(self) -> int:
        """Return the process identifier."""
        return os.getpid()


_CLASSES: dict[str, type[Item]] = {
    **ALARM_ITEMS,
    "audit": AuditItem,
    "cat": Catalog,
    "clk": Clock,
    "cpu": Processor,
    "history": HistoryItem,
    "lock": LockItem,
    "mem": Memory,
    "pid": ProcessId,
}


def add_builtin_items(daemon: Daemon) -> None:
    """Give *daemon* its built-in items that are not plain values."""
    for name, item_class in _CLASSES.items():
        daemon.add_item(item_class, f"_{daemon.alias}{name}", daemon)


def described_by_class(item_class: type[Item]) -> dict[str, Any]:
    """Describe an item that nobody described by the first line of its class's docstring."""
    if item_class is Item or not item_class.__doc__:
        return {}
    return {"description": item_class.__doc__.strip().splitlines()[0]}
