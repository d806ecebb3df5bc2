"""Two threads with one loop: when what one does there is held up, the other goes on with it.

To hand work to another thread costs as much as ten messages. So a thread that reads requests may
carry one out itself, though code that nobody knows may block: then the other thread, which looks
every few milliseconds while there is such work, takes the loop over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from .._ratelimit import RateLimitedLog

__all__ = ["Relay"]

_log = logging.getLogger(__name__)

LOOK_S = 0.002
"""How often to look whether work in the loop is held up. Nobody is read for up to twice that."""
_CALM_LOOKS = 3
"""Looks in a row without new work, after which nobody looks until there is some again."""
_END_S = 1.0
"""For how long the end waits for work that is held up."""


class _Work:
    """Work that is done in the loop."""

    __slots__ = ("held_up",)

    def __init__(self, held_up: Callable[[], object]) -> None:
        self.held_up = held_up


class Relay:
    """The threads of one loop.

    Args:
        loop: Goes round as long as :attr:`is_mine`, on whichever thread it is called.
        name: For the threads.
    """

    def __init__(self, loop: Callable[[], None], name: str) -> None:
        self._loop = loop
        self._name = name
        self._owner = 0
        self._lock = threading.Lock()
        self._work: _Work | None = None
        self._last: _Work | None = None
        self._is_ready = self._looks = self._stopping = False
        self._call = threading.Event()
        self._threads: list[threading.Thread] = []
        self._trouble = RateLimitedLog(_log)

    @property
    def is_mine(self) -> bool:
        """Whether this thread has the loop, and is to go on with it."""
        return self.is_here and not self._stopping

    @property
    def is_here(self) -> bool:
        """Whether this thread has the loop."""
        return self._owner == threading.get_ident()

    def start(self) -> None:
        """Begin to go round."""
        self._begin(self._go_round)

    def work(self, work: Callable[[], object], held_up: Callable[[], object]) -> bool:
        """Do *work* on this thread, which has the loop.

        Args:
            work: Raises nothing.
            held_up: Called on the other thread if *work* lasts for some milliseconds.

        Returns:
            False where it was not done, as nobody could take over.
        """
        if not (self.is_here and self._is_someone_ready()):
            return False
        with self._lock:
            if self._work is not None:  # this is part of it
                return False
            begun = self._work = self._last = _Work(held_up)
        if not self._looks:
            self._looks = True
            self._call.set()
        try:
            work()
        finally:
            with self._lock:
                if self._work is begun:
                    self._work = None
        return True

    @property
    def threads(self) -> list[threading.Thread]:
        """Those that there are."""
        return list(self._threads)

    def stop(self, wake: Callable[[], object]) -> bool:
        """Have the loop end; return whether it has, and is not held up by work in it.

        Args:
            wake: Ends what the loop waits for.
        """
        self._stopping = True
        self._call.set()
        wake()
        deadline = time.monotonic() + _END_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _begin(self, target: Callable[[], None]) -> None:
        number = len(self._threads)
        name = f"{self._name}-{number}" if number else self._name
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _is_someone_ready(self) -> bool:
        if len(self._threads) < 2:
            try:
                self._begin(self._stand_by_first)
            except RuntimeError as error:  # the system gives no more of them: there is a next time
                self._trouble.warning("%s lacks threads: %s", self._name, error)
        return self._is_ready

    def _go_round(self) -> None:
        self._owner = threading.get_ident()
        while True:
            self._loop()
            if not self._stand_by():
                return

    def _stand_by_first(self) -> None:
        if self._stand_by():
            self._go_round()

    def _stand_by(self) -> bool:
        """Wait until the loop has to be taken over; return false when all is to end."""
        self._is_ready = True
        seen: _Work | None = None
        calm = _CALM_LOOKS
        while not self._stopping:
            if calm >= _CALM_LOOKS:
                self._wait_for_work()
            time.sleep(LOOK_S)
            last = self._last
            if last is not seen:
                seen, calm = last, 0
            elif last is not None and last is self._work:
                if self._take_over(last):
                    return True
            else:
                calm += 1
        return False

    def _wait_for_work(self) -> None:
        self._call.clear()
        self._looks = False
        # Whoever begins before this sees that nobody looks, and calls.
        if self._work is None and not self._stopping:
            self._call.wait()
        self._looks = True

    def _take_over(self, work: _Work) -> bool:
        with self._lock:
            if self._work is not work:  # it has just ended
                return False
            self._work = None
            self._is_ready = False
            self._owner = threading.get_ident()
        try:
            work.held_up()
        except Exception:  # the loop has to go on
            _log.exception("%s: it could not be told that work is held up", self._name)
        return True
