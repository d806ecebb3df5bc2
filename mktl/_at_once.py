"""Requests that are carried out where they were read, as long as that is quick.

To hand one to another thread takes longer than most items need for it. What has once been slow is
handed over until it was quick again; what is slow for the first time holds up nobody for long, as
another thread goes on reading then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from ._quick import has_waited

if TYPE_CHECKING:
    from ._first_use import AnyResponder
    from .lanes import Lanes

__all__ = ["AtOnce"]

_log = logging.getLogger(__name__)

QUICK_S = 0.001
"""What takes longer is done by another thread the next time."""


class AtOnce:
    """Requests of one kind, for one item.

    Args:
        lanes: Where they are done otherwise.
        lane: In which they are done, one after the other.
    """

    __slots__ = ("_is_quick", "_lane", "_lanes")

    def __init__(self, lanes: Lanes, lane: Hashable) -> None:
        self._lanes, self._lane = lanes, lane
        self._is_quick = True

    def do(
        self,
        asked: AnyResponder,
        job: Callable[[], object],
        after: Callable[[], object] = bool,
    ) -> bool:
        """Do *job* on this thread, which reads requests.

        Args:
            asked: Answers the request; it is acknowledged if *job* turns out not to be quick.
            job: Raises nothing that its author knows of.
            after: Done after it, when the next one may begin already.

        Returns:
            Whether it was done: not if others have to be done first, or it may take long.
        """
        if not self._is_quick or not self._lanes.claim(self._lane):
            return False

        def work() -> None:
            try:
                job()
            except BaseException:  # even SystemExit, which would end this thread
                _log.exception("a request failed")
            finally:
                self._lanes.release(self._lane)
            after()

        def note_slow() -> None:
            self._is_quick = False
            asked.acknowledge()

        done = asked.work(work, note_slow)
        if not done:
            self._lanes.release(self._lane)
        return done

    def timed(self, job: Callable[[], object]) -> Callable[[], None]:
        """Return *job*, to be done by another thread: how long it takes tells about the next."""

        def do() -> None:
            began, used_s = time.monotonic(), time.process_time()
            try:
                job()
            finally:
                self._is_quick = not has_waited(began, used_s, QUICK_S)

        return do
