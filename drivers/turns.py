"""Whose turn it is on a line: most urgent first, and first come, first served among equals."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import get_args

from mktl.controllers import TurnKind
from mktl.errors import DeviceTimeout

__all__ = ["Turns"]

_RANK = {kind: rank for rank, kind in enumerate(get_args(TurnKind))}


class Turns:
    """A lock with priorities, which its holder may take again."""

    def __init__(self) -> None:
        """Begin with nobody's turn."""
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, int]] = []
        self._arrival = itertools.count()
        self._owner: int | None = None
        self._thread = threading.local()

    @contextlib.contextmanager
    def prioritised(self, kind: TurnKind) -> Iterator[None]:
        """Give this thread's turns the priority of *kind*, until the context ends.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in _RANK:
            raise ValueError(f"a turn is one of {', '.join(_RANK)}, not {kind!r}")
        before = self._rank
        self._thread.rank = _RANK[kind]
        try:
            yield
        finally:
            self._thread.rank = before

    @contextlib.contextmanager
    def turn(self, *, wait_s: float, check: Callable[[], None]) -> Iterator[bool]:
        """Hold the turn; gives whether this is the outermost of this thread's nested ones.

        Args:
            wait_s: Longest wait for those before us.
            check: Called while waiting, after each :meth:`wake` and before the turn is given; what
                it raises ends the wait.

        Raises:
            DeviceTimeout: the turn did not come in time.
        """
        outermost = not self.mine
        try:
            # Inside the try: a KeyboardInterrupt right after the turn was given must release it.
            if outermost:
                self._acquire(wait_s, check)
            yield outermost
        finally:
            if outermost and self.mine:
                self._release()

    @property
    def mine(self) -> bool:
        """Whether this thread holds the turn."""
        return self._owner == threading.get_ident()

    @property
    def taken(self) -> bool:
        """Whether anybody holds the turn."""
        return self._owner is not None

    @property
    def waiting(self) -> int:
        """How many threads wait for it."""
        with self._changed:
            return len(self._waiting)

    def wake(self) -> None:
        """Have all who wait call their *check*."""
        with self._changed:
            self._changed.notify_all()

    @property
    def _rank(self) -> int:
        return int(getattr(self._thread, "rank", _RANK["refresh"]))

    def _acquire(self, wait_s: float, check: Callable[[], None]) -> None:
        deadline = time.monotonic() + wait_s
        with self._changed:
            ticket = (self._rank, next(self._arrival))
            heapq.heappush(self._waiting, ticket)
            try:
                check()
                while self._owner is not None or self._waiting[0] != ticket:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise DeviceTimeout(
                            f"its turn did not come within {wait_s:g} s; nothing was sent"
                        )
                    self._changed.wait(left)
                    check()
                self._owner = threading.get_ident()
            finally:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()

    def _release(self) -> None:
        with self._changed:
            self._owner = None
            self._changed.notify_all()
