"""In which order targets come to an axis: as they were asked for, and none from before a stop."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Iterator

from mktl.errors import MoveFailed, Stopped

__all__ = ["MoveQueue"]


class MoveQueue:
    """A lock for one axis, in the order of the requests, that a stop empties.

    Moments are of :func:`time.monotonic`: when something was asked for, not when it came here.
    """

    def __init__(self, label: str) -> None:
        """Begin with nothing to do; *label* is what errors call the axis."""
        self._label = label
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int]] = []
        self._count = itertools.count()
        self._under_way = ""
        self._since = 0.0
        self._dropped_until = float("-inf")
        self._why = ""

    @contextlib.contextmanager
    def turn(self, what: str, asked_at: float, *, wait_s: float) -> Iterator[None]:
        """Have the axis for oneself, after all that was asked for before.

        Args:
            what: What is going to be done, for people.
            asked_at: When it was asked for.
            wait_s: So long after that it does not begin any more: nobody expects it then.

        Raises:
            Stopped: the axis was stopped since it was asked for; it is not to begin any more.
            MoveFailed: it is too late for it, as others went before.
        """
        self._acquire(what, asked_at, wait_s)
        try:
            yield
        finally:
            with self._changed:
                self._under_way = ""
                self._changed.notify_all()

    def drop(self, why: str, asked_until: float) -> None:
        """Let nothing begin that was asked for until then; tell what is under way, by *why*."""
        with self._changed:
            if asked_until >= self._dropped_until:
                self._dropped_until, self._why = asked_until, why
            self._changed.notify_all()

    def dropped(self, asked_at: float) -> str:
        """Return why what was asked for then is not to be done any more; empty if it is."""
        with self._changed:
            return self._why if asked_at <= self._dropped_until else ""

    def check(self, what: str, asked_at: float) -> None:
        """Raise Stopped if *what* is not to begin any more."""
        if why := self.dropped(asked_at):
            raise Stopped(f"{self._label}: {what} was not begun: {why}")

    def _acquire(self, what: str, asked_at: float, wait_s: float) -> None:
        deadline = asked_at + wait_s
        with self._changed:
            ticket = (asked_at, next(self._count))
            heapq.heappush(self._waiting, ticket)
            try:
                while True:
                    self.check(what, asked_at)
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        raise MoveFailed(self._held_up(what, wait_s))
                    if not self._under_way and self._waiting[0] == ticket:
                        break
                    self._changed.wait(left_s)
                self._under_way, self._since = what, time.monotonic()
            finally:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()

    def _held_up(self, what: str, wait_s: float) -> str:
        text = f"{self._label}: {what} was not begun within {wait_s:g} s: "
        if not self._under_way:
            return text + "what was asked for before it took so long"
        return text + f"{self._under_way} is under way since {time.monotonic() - self._since:.0f} s"
