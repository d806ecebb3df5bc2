"""The state of a link, since when and why: what is told to people, to logs and to callbacks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from drivers.meter import Meter
from mktl.controllers import ControllerStatus, LinkState

__all__ = ["Link"]

_log = logging.getLogger(__name__)

_MEANING = {
    "Down": "the link is down",
    "Connecting": "it is connecting",
    "Wrong device": "the wrong device answers",
    "Paused": "the link is paused",
    "Up": "the link is up",
}


class Link:
    """What is known of one link. Safe to use from several threads; never blocks on hardware."""

    def __init__(self, label: Callable[[], str], meter: Meter) -> None:
        """Begin as "Down", not started; *label* names the controller and its port."""
        self.changed = threading.Condition()
        self._label = label
        self._meter = meter
        self._state: LinkState = "Down"
        self._reason = "it was not started"
        self._since = time.time()
        self._next_try: float | None = None
        self._last_error = ""
        self._errors = 0
        self._closed = False
        self._logged: set[str] = set()
        self._is_down_quietly = False
        self._callbacks: list[Callable[[ControllerStatus], None]] = []
        self._untold: deque[ControllerStatus] = deque()

    @property
    def state(self) -> LinkState:
        """The state now."""
        return self._state

    @property
    def reason(self) -> str:
        """Why it is in that state; the same text from try to try."""
        return self._reason

    def change(
        self,
        state: LinkState,
        reason: str = "",
        *,
        next_try: float | None = None,
        quietly: bool = False,
    ) -> None:
        """Enter *state*, or stay in it with another reason.

        Args:
            state: The new state.
            reason: Why; for "Up", who answered.
            next_try: When (``time.monotonic()``) the next attempt is made, if one is planned.
            quietly: Do not log it, nor that it is up again, as somebody else tells it.
        """
        with self.changed:
            new = state != self._state
            self._reason = reason
            self._next_try = next_try
            if new:
                self._state = state
                self._since = time.time()
            up_again = self._is_down_quietly and state == "Up"
            self._is_down_quietly = quietly
            if not (quietly or up_again):
                self._tell_log(state, reason, new=new)
            if new and self._callbacks:
                self._untold.append(self._status())
            self.changed.notify_all()

    def close(self) -> None:
        """Enter the last state: "Down", and no callbacks any more."""
        with self.changed:
            if not self._closed:
                self._closed = True
                self._callbacks.clear()
                self.change("Down", "it was closed")

    def plan(self, next_try: float) -> None:
        """Note when (``time.monotonic()``) the next attempt is made."""
        with self.changed:
            self._next_try = None if self._closed else next_try

    def note_error(self, text: str) -> None:
        """Count an error, and remember its text as the last one."""
        with self.changed:
            self._errors += 1
            self._last_error = f"{time.strftime('%H:%M:%S')} {text}"

    def why_not(self) -> str:
        """Say in one line why nothing can be sent: who, what, since when, what happens next."""
        with self.changed:
            return f"{self._why_not()}; nothing was sent"

    def status(self) -> ControllerStatus:
        """Return all of it, as of now."""
        with self.changed:
            return self._status()

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        """Have *callback* called by :meth:`deliver` after each change of state from now on."""
        with self.changed:
            self._callbacks.append(callback)

    def deliver(self) -> None:
        """Call the callbacks for the changes since the last time, in order."""
        while self._untold:
            status = self._untold.popleft()
            for callback in tuple(self._callbacks):
                try:
                    callback(status)
                except Exception:  # the line must outlive a mistake of who listens to it
                    _log.exception("%s: a callback for changes of state failed", self._label())

    def _status(self) -> ControllerStatus:
        failing = self._state in ("Down", "Wrong device")
        return ControllerStatus(
            state=self._state,
            error=self._why_not() if failing else self._last_error,
            errors=self._errors,
            latency_ms=self._meter.latency_ms,
            load_percent=self._meter.load_percent,
        )

    def _why_not(self) -> str:
        since = time.strftime("%H:%M:%S", time.localtime(self._since))
        text = f"{self._label()}: {_MEANING[self._state]} since {since}"
        if self._reason:
            text += f": {self._reason}"
        if self._next_try is not None:
            left_s = self._next_try - time.monotonic()
            text += f"; next try in {left_s:.1f} s" if left_s > 0 else "; trying again now"
        return text

    def _tell_log(self, state: LinkState, reason: str, *, new: bool) -> None:
        if state == "Up":
            self._logged.clear()
            _log.info("%s: up%s", self._label(), f" ({reason})" if reason else "")
        elif state == "Connecting":
            _log.info("%s: connecting", self._label())
        elif self._closed:
            _log.info("%s: closed", self._label())
        elif new or reason not in self._logged:
            self._logged.add(reason)
            _log.warning("%s: %s: %s", self._label(), _MEANING[state], reason)
