"""``mark watch``."""

from __future__ import annotations

import queue
import select
import sys
import threading
import time
from typing import TYPE_CHECKING

import mktl
from mktl.errors import MktlError
from mktl.waiting import Waiting

from . import _keys
from ._lines import Printer
from ._outcome import warn

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]

_LOOK_S = 0.2
"""How often to look at connections, and at whether anybody still reads our output."""

_TELL_DROPPED_S = 10.0
"""How often to say how many values were left out, where they come faster than they are printed."""


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Print present values and then each new one, until interrupted or told to end."""
    watch = _Watch(arguments, outcome)
    for store, keys in _keys.find(arguments, outcome, _keys.is_gettable).values():
        watch.add(store, keys)
    watch.run()


class _Watch:
    """What is watched, and what has come in of it."""

    def __init__(self, arguments: Arguments, outcome: Outcome) -> None:
        self._duration_s = arguments.duration_s or float("inf")
        self._left = arguments.count
        self._printer = Printer(arguments, timestamps=True)
        self._outcome = outcome
        # The items of which something waits, each of them once; and what waits of each.
        self._arrived: queue.SimpleQueue[mktl.Item] = queue.SimpleQueue()
        self._queued: set[str] = set()
        self._waiting: dict[str, Waiting[mktl.Payload]] = {}
        self._lock = threading.Lock()
        self._dropped = 0
        self._tell_dropped_at = 0.0
        self._first: dict[str, mktl.Payload | None] = {}
        self._connections: dict[str, mktl.Item] = {}
        self._lost: set[str] = set()

    def add(self, store: mktl.Store, keys: list[str]) -> None:
        """Watch *keys* from now on; one that cannot be is told, and does not hold up the others."""
        if len(keys) > 1:
            store.subscribe(keys)  # which fails below where it does: here they wait together
        for key in keys:
            try:
                item = store[key]
                self._waiting[item.full_key] = Waiting()
                item.register(self._take, prime=True, payloads=True)
            except MktlError as error:
                self._outcome.failed(f"{store.name}.{key}", error)
                continue
            holder = next((block.name for block in store.blocks if key in block.items), store.name)
            self._connections.setdefault(holder, item)

    def _take(self, item: mktl.Item, payload: mktl.Payload) -> None:
        """Called by the library's threads, in the order of the broadcasts of an item."""
        dropped = self._waiting[item.full_key].put(payload, payload)
        with self._lock:
            self._dropped += dropped
            if item.full_key in self._queued:
                return
            self._queued.add(item.full_key)
        self._arrived.put(item)

    def _next(self, timeout_s: float) -> tuple[mktl.Item, mktl.Payload] | None:
        try:
            item = self._arrived.get(timeout=timeout_s)
        except queue.Empty:
            return None
        payload = self._waiting[item.full_key].get(0)
        with self._lock:
            more = len(self._waiting[item.full_key]) > 0
            if not more:
                self._queued.discard(item.full_key)
        if more:
            self._arrived.put(item)
        return None if payload is None else (item, payload)

    def run(self) -> None:
        """Print what comes in."""
        deadline = time.monotonic() + self._duration_s
        next_look = 0.0
        while self._connections and self._left != 0:
            now = time.monotonic()
            if now >= deadline:
                break
            if now >= next_look:
                next_look = now + _LOOK_S
                self._look()
            arrived = self._next(min(next_look, deadline) - now)
            if arrived is not None:
                self._show(*arrived)
        self._tell_dropped()
        if self._lost:
            self._outcome.unanswered(f"ended without a connection to {', '.join(self._lost)}")

    def _show(self, item: mktl.Item, payload: mktl.Payload) -> None:
        if self._is_present_again(item, payload):
            return
        try:
            self._printer.show(item.full_key, payload, item.description)
        except MktlError as error:
            self._outcome.failed(item.full_key, error)
            item.unregister(self._take)
            return
        sys.stdout.flush()
        if self._left is not None:
            self._left -= 1

    def _is_present_again(self, item: mktl.Item, payload: mktl.Payload) -> bool:
        """Return whether this is the present value, broadcast just when it was asked for."""
        if item.full_key not in self._first:
            self._first[item.full_key] = payload
            return False
        first, self._first[item.full_key] = self._first[item.full_key], None
        return first is not None and first.encode() == payload.encode()

    def _look(self) -> None:
        """Say which connections were lost or are back.

        Raises:
            BrokenPipeError: nobody reads our output any more.
        """
        if _reader_is_gone():
            raise BrokenPipeError
        if time.monotonic() >= self._tell_dropped_at:
            self._tell_dropped_at = time.monotonic() + _TELL_DROPPED_S
            self._tell_dropped()
        for holder, item in self._connections.items():
            if item.live and holder in self._lost:
                self._lost.remove(holder)
                warn(f"mark: the connection to {holder} is back")
            elif not item.live and holder not in self._lost:
                self._lost.add(holder)
                warn(f"mark: no connection to {holder}: its values above may be old by now")

    def _tell_dropped(self) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            warn(
                f"mark: {dropped} values came faster than they could be printed, and were left out"
            )


def _reader_is_gone() -> bool:
    poller = select.poll()
    poller.register(sys.stdout, 0)
    return any(event & select.POLLERR for _descriptor, event in poller.poll(0))
