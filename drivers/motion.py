"""Axes that move: what a SET of a position means, whatever the controller.

A driver gives an :class:`AxisLike` for each axis and makes a :class:`Motion` of it; its channels
come from :mod:`drivers._motion_channels`. The rules, which ``docs/motion.md`` states for users:

- a move returns when the axis has settled within the tolerance of its target, or raises;
- targets of one axis are carried out in the order in which they were asked for, one at a time;
- a stop goes past all of them: it ends the move, and what was asked for before it never begins;
- what ends a move elsewhere (a limit, a fault, a lost link) does the same;
- limits are checked before anything is sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from drivers._motion_axis import AxisLike, AxisState, Bounds, Order
from drivers._motion_follow import Follower, told_to_stop
from drivers._motion_queue import MoveQueue
from drivers._motion_settings import AxisSettings, axes_from
from drivers._motion_watch import Watch
from drivers.channel import Reading
from mktl.errors import (
    BadValue,
    DeviceError,
    DeviceRefused,
    LinkDown,
    MoveFailed,
    Stopped,
)

__all__ = ["AxisLike", "AxisSettings", "AxisState", "Bounds", "Motion", "axes_from"]

_log = logging.getLogger(__name__)

_UNKNOWN_S = 300.0
"""Longest move of an axis whose speed is not known."""
_SPARE, _SPARE_S = 1.5, 10.0
"""So many times what a move should take, and so much more, it may take."""


class Motion:
    """The moves of one axis. Safe to use from several threads.

    What moves the axis raises:

    - BadValue: the target is outside a limit, or is not a number; nothing was sent;
    - Stopped: it was stopped; or it was not begun, as the axis was stopped since it was asked for;
    - MoveFailed: it has ended elsewhere, for the reason that is given; or it could not begin in
      time, as something else moves the axis;
    - DeviceTimeout: it took too long, and the axis was told to stop;
    - DeviceRefused: the controller did not take it;
    - DeviceLost: it is not known what has become of it;
    - DeviceError: as always, and nothing was begun.
    """

    def __init__(self, axis: AxisLike, settings: AxisSettings) -> None:
        """Begin without a move."""
        self.axis = axis
        self.settings = settings
        self._queue = MoveQueue(axis.label)
        self._woken = threading.Event()
        self._listeners: list[Callable[[AxisState], None]] = []
        self._order: Order | None = None

    # --- what it can be told ----------------------------------------------------------------------

    def move_to(self, position: float, asked_at: float | None = None) -> None:
        """Move to *position*, in units, and return when the axis has settled there.

        Args:
            position: Where to.
            asked_at: When it was asked for, by :func:`time.monotonic`; now, if not given.
        """
        steps = self.settings.steps(position)
        self._check(steps)

        def target(_state: AxisState) -> int:
            self._check(steps)  # again: the controller's own limits may be others by then
            return steps

        self._carry_out(Order(f"moving to {self.settings.text(steps)}", target), asked_at)

    def move_by(self, distance: float, asked_at: float | None = None) -> None:
        """Move by *distance*, in units, from where the axis stands when its turn has come."""
        steps = self.settings.distance(distance)

        def target(state: AxisState) -> int:
            self._check(state.steps + steps)
            return state.steps + steps

        units = self.settings.shown_units
        self._carry_out(Order(f"moving by {distance:g} {units}", target), asked_at)

    def home(
        self,
        begin: Callable[[], object],
        finish: Callable[[AxisState], str | None],
        asked_at: float | None = None,
    ) -> None:
        """Find the reference.

        Args:
            begin: Has the axis begin, as :meth:`AxisLike.start` does.
            finish: Says, when it stands still, why it has not found it; see :class:`Order`.
            asked_at: When it was asked for.
        """
        timeout_s = self.settings.home_timeout_s
        order = Order("homing", None, begin, finish, timeout_s, homes=True)
        self._carry_out(order, asked_at)

    def stop(
        self, asked_at: float | None = None, *, halt: Callable[[], object] | None = None
    ) -> None:
        """Stop the axis at once; what was asked for before this ends, or never begins.

        Args:
            asked_at: When it was asked for; now, if not given.
            halt: Stops it, where that is not :meth:`AxisLike.halt`.

        Raises:
            DeviceError: the controller could not be told.
        """
        self.drop("a stop was asked for", asked_at)
        try:
            with self.axis.prioritised("set"):
                (halt or self.axis.halt)()
        finally:
            self.wake()

    def drop(self, why: str, asked_at: float | None = None) -> None:
        """Let nothing go on, or begin, that was asked for before *asked_at*; tells no hardware."""
        self._queue.drop(why, time.monotonic() if asked_at is None else asked_at)
        self.wake()

    def wake(self) -> None:
        """Look at the axis at once: it has called, or the link has changed."""
        self._woken.set()

    # --- what is known of it ----------------------------------------------------------------------

    @property
    def doing(self) -> str:
        """What the axis does, for people; empty if it was not sent anywhere from here."""
        order = self._order
        return "" if order is None else order.what

    @property
    def homing(self) -> bool:
        """Whether it finds its reference anew, so that it may have none meanwhile."""
        order = self._order
        return order is not None and order.homes

    def position(self, state: AxisState) -> Any:
        """Return the position in *state*, in units; a Reading if there is more to say of it."""
        value = self.settings.value(state.steps)
        if not state.referenced and not state.moving:
            return Reading(value, "warning", "it has no reference: the axis has to be homed")
        return self.told(value, state)

    def told(self, value: Any, state: AxisState) -> Any:
        """Return *value*, which follows the axis, as changing while that moves."""
        if not state.moving:
            return value
        return Reading(value, "changing", self.doing or "it moves, without being told from here")

    def listen(self, callback: Callable[[AxisState], None]) -> None:
        """Have *callback* called with each look at the axis during a move; it must be quick."""
        self._listeners.append(callback)

    # --- inside -----------------------------------------------------------------------------------

    def _check(self, steps: int) -> None:
        """Raise BadValue if a limit is in the way."""
        bounds = list(self.axis.bounds())
        if (limits := self.settings.limit_steps) is not None:
            bounds.insert(0, Bounds(*limits, "the soft limits"))
        for bound in bounds:
            too_low = bound.low is not None and steps < bound.low
            if too_low or (bound.high is not None and steps > bound.high):
                at, low, high = (
                    "open" if one is None else self.settings.text(one)
                    for one in (steps, bound.low, bound.high)
                )
                raise BadValue(
                    f"{self.axis.label}: {at} is outside {bound.whose}, {low} to {high}; nothing "
                    f"was sent"
                )

    def _carry_out(self, order: Order, asked_at: float | None) -> None:
        asked_at = time.monotonic() if asked_at is None else asked_at
        wait_s = self.settings.begin_within_s
        with self._queue.turn(order.what, asked_at, wait_s=wait_s):
            try:
                self._begin(order, asked_at).follow()
            except Stopped:
                raise
            except DeviceError as error:
                # If it had begun, what was asked for since was to go on from its end.
                if self._order is not None:
                    self._queue.drop(f"{order.what} has failed: {error}", time.monotonic())
                raise
            finally:
                self._order = None

    def _begin(self, order: Order, asked_at: float) -> Follower:
        """Have the axis begin as soon as it stands still."""
        deadline = time.monotonic() + self.settings.begin_within_s
        while True:
            self._woken.clear()
            follower, state = self._try_to_begin(order, asked_at)
            if follower is not None:
                return follower
            self._tell(state)
            if time.monotonic() > deadline:
                raise MoveFailed(
                    f"{self.axis.label}: {order.what} was not begun: the axis moves since "
                    f"{self.settings.begin_within_s:g} s, without being told from here"
                )
            self._woken.wait(self.axis.period_s)

    def _try_to_begin(self, order: Order, asked_at: float) -> tuple[Follower | None, AxisState]:
        try:
            # One turn: what is looked at is what is sent somewhere, over one connection.
            with self.axis.turn():
                state = self.axis.state()
                self._queue.check(order.what, asked_at)
                if state.moving:
                    return None, state
                target = None if order.target is None else order.target(state)
                limit_s = self._limit_s(order, state, target)
                self._order = order
                if order.begin is not None:
                    order.begin()
                elif target is not None:
                    self.axis.start(target)
        except (LinkDown, DeviceRefused):
            self._order = None
            raise
        except DeviceError as error:
            if self._order is None:
                raise
            stopped = told_to_stop(self.axis)
            raise type(error)(
                f"{self.axis.label}: {order.what}: {error}; it may have begun{stopped}"
            ) from error
        watch = Watch(
            state,
            target=target,
            tolerance=self.settings.within_steps,
            limit_s=limit_s,
            begun_at=time.monotonic(),
        )
        return self._follower(order, asked_at, state, target, watch), state

    def _limit_s(self, order: Order, state: AxisState, target: int | None) -> float:
        limit_s = order.timeout_s or self.settings.move_timeout_s
        if limit_s is not None:
            return limit_s
        takes_s = None if target is None else self.axis.move_time_s(abs(target - state.steps))
        return _UNKNOWN_S if takes_s is None else _SPARE * takes_s + _SPARE_S

    def _follower(
        self,
        order: Order,
        asked_at: float,
        before: AxisState,
        target: int | None,
        watch: Watch,
    ) -> Follower:
        def where(state: AxisState) -> str:
            at = f"it stands at {self.settings.text(state.steps)}"
            if state.moving:
                at = f"it still moves, at {self.settings.text(state.steps)}"
            if target is None or target == state.steps:
                return at
            return f"{at}, not at {self.settings.text(target)}"

        def wait(longest_s: float) -> None:
            self._woken.wait(longest_s)
            self._woken.clear()

        return Follower(
            self.axis,
            order,
            before=before,
            watch=watch,
            where=where,
            dropped=lambda: self._queue.dropped(asked_at),
            wait=wait,
            tell=self._tell,
        )

    def _tell(self, state: AxisState) -> None:
        for callback in tuple(self._listeners):
            try:
                callback(state)
            except Exception:  # who listens must not end a move
                _log.exception("%s: a look at it could not be told", self.axis.label)
