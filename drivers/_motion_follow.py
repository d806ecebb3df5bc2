"""Stays by a move until it has ended, and says what has become of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from drivers._motion_axis import AxisLike, AxisState, Order
from drivers._motion_watch import Verdict, Watch
from mktl.errors import DeviceError, DeviceLost, DeviceTimeout, MoveFailed, Stopped

__all__ = ["Follower", "told_to_stop"]

MOST_MISSED = 3
"""So many looks that fail, one after the other, and a move cannot be followed any more."""
STOP_S = 10.0
"""So long an axis may take to stand still after it was told to stop."""

Found = TypeVar("Found")


class Follower:
    """Follows one move. Used by one thread."""

    def __init__(
        self,
        axis: AxisLike,
        order: Order,
        *,
        before: AxisState,
        watch: Watch,
        where: Callable[[AxisState], str],
        dropped: Callable[[], str],
        wait: Callable[[float], None],
        tell: Callable[[AxisState], None],
    ) -> None:
        """Take what was just begun.

        Args:
            axis: The axis.
            order: What it was told.
            before: How it was before that.
            watch: Judges what is seen.
            where: Says where it stands, and where it should.
            dropped: Says why it was stopped; empty: it was not.
            wait: Waits so long, or until there is something to see.
            tell: Gets each look.
        """
        self._axis = axis
        self._order = order
        self._before = before
        self._watch = watch
        self._where = where
        self._dropped = dropped
        self._wait = wait
        self._tell = tell
        self._missed = 0
        self._ending: tuple[type[DeviceError], str] | None = None
        self._stands_by = float("inf")

    def follow(self) -> None:
        """Return when the axis has settled where it should be.

        Raises:
            Stopped: a stop was asked for; it stands still.
            MoveFailed: it stands elsewhere, or cannot be followed.
            DeviceTimeout: it took too long, and was told to stop.
            DeviceLost: it is not known what has become of it.
        """
        while True:
            stopped = self._dropped()
            if stopped and self._ending is None:
                self._end(Stopped, stopped)
            state = self._ask(self._axis.state)
            if state is not None:
                self._check_same(state)
                self._tell(state)
                if self._has_ended(state):
                    return
            self._wait(self._axis.period_s)

    def _has_ended(self, state: AxisState) -> bool:
        now = time.monotonic()
        verdict, why = self._watch.judge(state, now)
        if verdict is Verdict.DONE:
            unfinished = self._ask(lambda: self._order.finish(state))
            # A search that was cut short may look like an earlier one, which has found something.
            cut_short = self._ending is not None and self._order.target is None
            if unfinished == "" and not cut_short:
                return True
            if unfinished is None and self._ending is None:
                verdict, why = self._watch.going(now)
            else:
                verdict, why = Verdict.FAILED, unfinished or why
        if self._ending is not None:
            if (verdict is Verdict.FAILED and not state.moving) or now > self._stands_by:
                self._raise_ended(state)
            return False
        if verdict is Verdict.FAILED:
            raise MoveFailed(f"{self._begins}: {why}; {self._where(state)}")
        if verdict is Verdict.LATE:
            self._end(DeviceTimeout, why + told_to_stop(self._axis))
        return False

    def _end(self, kind: type[DeviceError], why: str) -> None:
        """From now on only wait until it stands still, and raise *kind* then."""
        self._ending = kind, why
        self._stands_by = time.monotonic() + STOP_S

    def _raise_ended(self, state: AxisState) -> NoReturn:
        assert self._ending is not None
        kind, why = self._ending
        raise kind(f"{self._begins}: {why}; {self._where(state)}")

    def _ask(self, question: Callable[[], Found]) -> Found | None:
        """Return the answer, or ``None`` if there was none this time.

        Raises:
            DeviceLost: the link is down.
            MoveFailed: there was no answer for several times.
        """
        try:
            with self._axis.prioritised("poll"):
                found = question()
        except DeviceLost as error:
            # When it is tried again, and that nothing was sent, says nothing about the move.
            raise self._unknown(str(error).partition("; ")[0]) from error
        except DeviceError as error:
            self._missed += 1
            if self._missed < MOST_MISSED:
                return None
            raise MoveFailed(
                f"{self._begins}: it cannot be followed, as {self._missed} looks at it failed, the "
                f"last one with: {error}{told_to_stop(self._axis)}"
            ) from error
        self._missed = 0
        return found

    def _check_same(self, state: AxisState) -> None:
        """Make sure that it is still the move that was begun.

        Raises:
            DeviceLost: the link was lost, or the axis has lost its power.
        """
        if state.connection != self._before.connection:
            raise self._unknown("the link was lost meanwhile and made anew")
        if self._before.referenced and not state.referenced and not self._order.homes:
            raise self._unknown("it has lost its reference, as it does without power")

    def _unknown(self, why: str) -> DeviceLost:
        return DeviceLost(
            f"{self._begins}: {why}; it is not known where it stands, or whether it moves"
        )

    @property
    def _begins(self) -> str:
        return f"{self._axis.label}: {self._order.what}"


def told_to_stop(axis: AxisLike) -> str:
    """Tell *axis* to stop, and return how that went, for the end of an error text."""
    try:
        with axis.prioritised("set"):
            axis.halt()
    except DeviceError as error:
        return f"; it could not be told to stop: {error}"
    return "; it was told to stop"
