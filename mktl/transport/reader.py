"""The thread that reads the broadcasts of all daemons, and makes calls that are quick."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections import deque
from collections.abc import Callable

from .. import _quick
from .relay import Relay
from .shared import Wakeup
from .subscriber import Listener

__all__ = ["Reader"]

_LOOK_S = 0.5
"""How often listeners are told for how long they have been listened to."""
_LOOK_AT_MOST_S = 1.0
"""What one such look counts at most: a thread that was held up has not listened meanwhile."""
_HELD_UP_S = 5.0
"""After a pause of that length, broadcasts may have been missed."""
# It goes on while the machine is suspended, where there is such a clock; none follows the time of
# day, which may be set.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_log = logging.getLogger(__name__)

Job = Callable[[], object]


class Reader:
    """The thread that reads all listeners of a process.

    It makes calls by itself where these are known to be quick: see :mod:`mktl._quick`. Where one of
    them is not, another thread reads on meanwhile.
    """

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._lock = threading.Lock()
        self._wakeup = Wakeup()
        self._looked = time.clock_gettime(_CLOCK)
        self._attending = threading.Lock()
        self._due: deque[tuple[Job, Job]] = deque()
        self._relay = Relay(self._run, "mktl-broadcasts")
        self._relay.start()

    def add(self, listener: Listener) -> None:
        """Attend *listener* from now on."""
        listener.attended_by(self._wakeup.set)
        with self._lock:
            if not self._listeners:
                self._looked = time.clock_gettime(_CLOCK)
            for descriptor in listener.descriptors():
                self._listeners[descriptor] = listener
        self._wakeup.set()

    def remove(self, listener: Listener) -> None:
        """Attend *listener* no longer; it can be closed when this returns."""
        with self._attending, self._lock:
            for descriptor in listener.descriptors():
                self._listeners.pop(descriptor, None)
        self._wakeup.set()

    def close(self) -> None:
        """End the threads; one in a call that does not return ends with that."""
        self._relay.stop(self._wakeup.set)
        self._wakeup.close()

    def _run(self) -> None:
        """Read, as long as this thread is to."""
        _quick.offer(self._take)
        while self._relay.is_mine:
            with self._lock:
                listeners = dict(self._listeners)
            poller = select.poll()
            poller.register(self._wakeup.fileno(), select.POLLIN)
            for descriptor in listeners:
                poller.register(descriptor, select.POLLIN)
            self._attend_all(listeners)
            self._look(listeners)
            self._make_calls()
            self._poll_until_woken(poller, listeners)
        while self._due and self._relay.is_here:  # it is the end
            _job, otherwise = self._due.popleft()
            otherwise()

    def _attend_all(self, listeners: dict[int, Listener]) -> None:
        """Attend to what may have arrived before the descriptors were waited for."""
        for descriptor in listeners:
            self._attend(descriptor)

    def _poll_until_woken(self, poller: select.poll, listeners: dict[int, Listener]) -> None:
        while self._relay.is_mine:
            events = poller.poll(self._until_look_ms(listeners))
            ready = [descriptor for descriptor, _event in events]
            # The first of each and its calls, before it is looked whether there is more.
            for only_first in (True, False):
                for descriptor in reversed(ready):
                    self._attend(descriptor, only_first=only_first)
                if self._due and not self._make_calls():
                    return
            if self._is_time_to_look():
                # What came in while this thread was held up is a sign of life, too.
                self._attend_all(listeners)
                self._look(listeners)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
                return

    def _until_look_ms(self, listeners: dict[int, Listener]) -> float | None:
        if not listeners:
            return None
        return max(0.0, 1000 * (self._looked + _LOOK_S - time.clock_gettime(_CLOCK)))

    def _is_time_to_look(self) -> bool:
        return time.clock_gettime(_CLOCK) >= self._looked + _LOOK_S

    def _look(self, listeners: dict[int, Listener]) -> None:
        """Tell all listeners for how long they have been listened to since the last time."""
        if not self._is_time_to_look():
            return
        now = time.clock_gettime(_CLOCK)
        passed_s, self._looked = now - self._looked, now
        for listener in dict.fromkeys(listeners.values()):
            self._tell(listener, min(passed_s, _LOOK_AT_MOST_S), passed_s > _HELD_UP_S)

    def _tell(self, listener: Listener, listened_s: float, held_up: bool) -> None:
        with self._attending:
            if listener not in self._listeners.values():
                return
            try:
                listener.listened(listened_s, held_up)
            except Exception:  # one daemon's trouble must not end the broadcasts of all others
                _log.exception("it could not be noted whether a daemon is heard")

    def _attend(self, descriptor: int, *, only_first: bool = False) -> None:
        with self._attending:
            listener = self._listeners.get(descriptor)
            if listener is None:
                return
            try:
                if only_first:
                    listener.attend_to(descriptor)
                else:
                    listener.attend()
            except Exception:  # one item's trouble must not end the broadcasts of all others
                _log.exception("broadcasts could not be handed over")

    # Calls. No lock is held while they are made: they may ask for anything.

    def _take(self, job: Job, otherwise: Job) -> bool:
        """Do *job* when all that came is handed over; ``False`` on a thread that does not read."""
        if not self._relay.is_here:
            return False
        self._due.append((job, otherwise))
        return True

    def _make_calls(self) -> bool:
        """Make the calls that are due; return whether this thread has to read on."""
        while self._due:
            job, otherwise = self._due.popleft()
            if not self._relay.work(job, _nothing):
                otherwise()  # there is nobody who could read on
            elif not self._relay.is_here:
                return False
        return True


def _nothing() -> None:
    """Tell nobody that a call takes long: who reads on finds what else is due."""
