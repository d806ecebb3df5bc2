"""Callbacks of one item: held weakly, called in order, never holding up other items.

They are called on the thread that has read the value if they have been quick so far, and otherwise
on one that does nothing else meanwhile.

Those that are slower than their item keep no more than a bounded number of its values waiting: the
oldest are dropped, so that they end on the newest. How many is counted, and logged.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from ._log import Log
from ._quick import Promptness, do_here
from ._ratelimit import RateLimitedLog
from .lanes import Lanes
from .payload import Payload
from .waiting import Queue

__all__ = ["Callback", "Callbacks"]

_log = Log(__name__)

_TURN = 100
"""Values that are told before it is the turn of another item."""

Callback = Callable[..., object]
"""Called with the item, its value, and UNIX seconds at which it took the value."""


def _reference(callback: Callback) -> Callable[[], Callback | None]:
    try:
        if hasattr(callback, "__self__") and hasattr(callback, "__func__"):
            return weakref.WeakMethod(callback)
        return weakref.ref(callback)
    except TypeError:  # of a kind that knows no weak references
        return lambda: callback


class _Registered:
    """A callback, whether it wants payloads, and what it did wrong."""

    __slots__ = ("callback", "payloads", "trouble")

    def __init__(self, callback: Callback, payloads: bool) -> None:
        self.callback = _reference(callback)
        self.payloads = payloads
        self.trouble: RateLimitedLog | None = None


class Callbacks:
    """What was registered with one item.

    Args:
        item: First argument of each call.
        lanes: Returns where calls are made; asked only when there is something to call.
    """

    def __init__(self, item: object, lanes: Callable[[], Lanes]) -> None:
        self._item = weakref.ref(item)
        self._lanes = lanes
        self._lock = threading.Lock()
        self._registered: tuple[_Registered, ...] = ()
        # Made when there is something to tell, as most items have nobody to tell it to.
        self._waiting: Queue[tuple[Payload, Callback | None]] | None = None
        self._promptness: Promptness | None = None
        self._is_telling = False
        self._trouble: RateLimitedLog | None = None
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._registered)

    def add(self, callback: Callback, *, payloads: bool = False) -> None:
        """Call *callback* from now on, once a value however often it is added.

        Args:
            callback: What to call.
            payloads: Call it with the item and the payload, instead of value and time.
        """
        if not callable(callback):
            raise TypeError(f"a callback must be callable, not {type(callback).__name__}")
        with self._lock:
            known = [entry for entry in self._registered if entry.callback() is not None]
            if callback not in [entry.callback() for entry in known]:
                known.append(_Registered(callback, payloads))
            self._registered = tuple(known)

    def remove(self, callback: Callback) -> None:
        """Call *callback* no longer. One that is not there is not missed."""
        with self._lock:
            self._registered = tuple(
                entry for entry in self._registered if entry.callback() not in (None, callback)
            )

    def deliver(self, payload: Payload, only: Callback | None = None) -> None:
        """Have all callbacks, or *only* one, called with *payload*, after all earlier ones."""
        if not self._registered:
            return
        with self._lock:
            if self._waiting is None:
                self._waiting, self._promptness = Queue(), Promptness()
            dropped = self._waiting.put((payload, only), payload)
            starts, self._is_telling = not self._is_telling, True
        if dropped:
            self.note_dropped(dropped)
        if starts and not self._start():
            self._is_telling = False

    def _start(self) -> bool:
        """See to it that what waits is told; return ``False`` if nothing is taken on any more."""
        promptness = self._promptness
        assert promptness is not None
        if promptness.is_good and do_here(self._tell_here, self._start_elsewhere):
            return True
        # A lane of their own: a callback may set the item, and wait for it.
        return self._lanes().submit(self, self._tell)

    def _start_elsewhere(self) -> None:
        if not self._lanes().submit(self, self._tell):
            self._is_telling = False

    def note_dropped(self, count: int) -> None:
        """Count values that were dropped as they came faster than they were taken."""
        if not count:
            return
        with self._lock:
            self.dropped += count
            trouble = self._trouble = self._trouble or RateLimitedLog(_log)
        item: Any = self._item()
        trouble.warning(
            "values of %s come faster than its callbacks take them: %d were dropped so far, the "
            "oldest each time",
            getattr(item, "full_key", "an item"),
            self.dropped,
        )

    def _tell_here(self) -> None:
        """Tell what waits, while others wait for it."""
        assert self._promptness is not None
        began = time.perf_counter()
        told, all_told = self._tell_some()
        self._promptness.note(told, time.perf_counter() - began)
        if not all_told and not self._start():
            self._tell()

    def _tell(self) -> None:
        """Tell what waits, on a thread for nothing else."""
        assert self._promptness is not None
        while True:
            _told, all_told = self._tell_some()
            self._promptness.note_elsewhere()
            if all_told or self._start():
                return  # otherwise nothing more is taken on: what waits is told here

    def _tell_some(self) -> tuple[int, bool]:
        """Tell what waits, as far as others let us; return how many, and whether that was all."""
        waiting = self._waiting
        assert waiting is not None
        for told in range(_TURN):
            with self._lock:
                entry = waiting.take()
                if entry is None:
                    self._is_telling = False
                    return told, True
            self._call(*entry)
        return _TURN, False

    def _call(self, payload: Payload, only: Callback | None) -> None:
        item: Any = self._item()
        for entry in self._registered:
            callback = entry.callback()
            if callback is None or item is None or (only is not None and callback != only):
                continue
            try:
                if entry.payloads:
                    callback(item, payload)
                else:
                    callback(item, payload.value, payload.time)
            except BaseException as error:  # even SystemExit: the next has a right to it, too
                trouble = entry.trouble = entry.trouble or RateLimitedLog(_log)
                trouble.warning("a callback of %s failed", item.full_key, exc_info=error)
