"""What a process has once, made when it is first needed, and ended by :func:`close`."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

from .lanes import Lanes

if TYPE_CHECKING:
    from .store import Store
    from .transport.reader import Reader

__all__ = ["Process", "close", "current"]


class Process:
    """The stores, the callback threads and the broadcast reader of this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stores: dict[str, Store] = {}
        self._lanes: Lanes | None = None
        self._reader: Reader | None = None
        self._ended = False

    def lanes(self) -> Lanes:
        """Return the threads that run callbacks and other work for clients."""
        with self.lock:
            if self._lanes is None:
                self._lanes = Lanes("mktl-client")
                if self._ended:  # nobody would end them any more
                    self._lanes.close(timeout_s=0.0)
            return self._lanes

    def reader(self) -> Reader:
        """Return the thread that reads broadcasts."""
        from .transport.reader import Reader

        with self.lock:
            if self._reader is None:
                self._reader = Reader()
            return self._reader

    def end(self) -> None:
        """Close all connections of clients and end their threads."""
        with self.lock:
            stores, self.stores = list(self.stores.values()), {}
        for store in stores:
            store.close()
        with self.lock:
            self._ended = True
            lanes, reader = self._lanes, self._reader
        if reader is not None:
            reader.close()
        if lanes is not None:
            lanes.close(timeout_s=1.0)


_process: Process | None = None
_lock = threading.Lock()


def current() -> Process:
    """Return what this process has."""
    global _process  # noqa: PLW0603 - once a process is what this module is for
    with _lock:
        if _process is None:
            _process = Process()
            atexit.register(close)
        return _process


def close() -> None:
    """Close every connection that this process made as a client, and end its threads.

    Called by itself at the end of the process. Stores and items got before are of no use
    afterwards; :func:`mktl.get` makes new ones.
    """
    global _process
    with _lock:
        process, _process = _process, None
    if process is not None:
        atexit.unregister(close)
        process.end()
