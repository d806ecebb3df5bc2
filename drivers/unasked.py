"""What devices say unasked: who listens for it, and that they have become silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Listeners", "SilenceWatch"]

_JOIN_S = 1.0


class Listeners:
    """Those who want to know of values that come unasked, by path of the channel."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._callbacks: dict[str, list[Callable[[Any], None]]] = {}

    def add(self, path: str, callback: Callable[[Any], None]) -> None:
        """Have *callback* called with each value of *path*, or with the error that says why not."""
        self._callbacks.setdefault(path, []).append(callback)

    @property
    def paths(self) -> tuple[str, ...]:
        """What somebody listens for."""
        return tuple(self._callbacks)

    def tell(self, path: str, value: Any) -> None:
        """Give *value* to those who listen for *path*."""
        for callback in tuple(self._callbacks.get(path, ())):
            callback(value)


class SilenceWatch:
    """Calls back when something was not heard for too long; once, until it is heard again."""

    def __init__(self, name: str) -> None:
        """Begin with nothing to wait for; *name* is for the thread."""
        self._name = name
        self._changed = threading.Condition()
        self._waits: dict[str, tuple[float, Callable[[], None]]] = {}
        self._due: dict[str, float] = {}
        self._closed = False
        self._thread: threading.Thread | None = None

    def expect(self, key: str, within_s: float, silent: Callable[[], None]) -> None:
        """Have *silent* called when *key* is not heard within *within_s* seconds, from now on."""
        with self._changed:
            if self._closed:
                return
            self._waits[key] = (within_s, silent)
            self._due[key] = time.monotonic() + within_s
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"{self._name}-silence", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def heard(self, key: str) -> None:
        """Note that *key* was heard now."""
        with self._changed:
            if key in self._waits:
                self._due[key] = time.monotonic() + self._waits[key][0]
                self._changed.notify_all()

    def close(self) -> None:
        """End it; nothing is called any more. Again is harmless."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _run(self) -> None:
        while True:
            # Called with the lock held: what is heard meanwhile is told of after the silence.
            with self._changed:
                silent = self._next()
                if silent is None:
                    return
                silent()

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next silence; ``None``: it was closed."""
        while not self._closed:
            key = min(self._due, key=self._due.__getitem__, default=None)
            left_s = None if key is None else self._due[key] - time.monotonic()
            if key is not None and left_s is not None and left_s <= 0:
                del self._due[key]
                return self._waits[key][1]
            self._changed.wait(None if left_s is None else min(left_s, threading.TIMEOUT_MAX))
        return None
