"""The base of drivers for controllers with axes that speak lines of text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from drivers.controller import Controller
from drivers.motion import AxisLike, AxisSettings, Motion, axes_from
from drivers.settings import LineSettings
from mktl.controllers import ControllerStatus
from mktl.errors import BadValue

__all__ = ["MotionController"]


class MotionController(Controller):
    """A controller of axes, which the setting ``axes`` names: ``[1, 2]``, or a table for each.

    A subclass says which axes there can be, and makes an :class:`AxisLike` of each.
    """

    driver_settings: ClassVar[tuple[str, ...]] = ("axes",)
    axes_exist: ClassVar[range | tuple[int, ...]] = range(1, 2)
    """Numbers that an axis may have."""
    axis_defaults: ClassVar[AxisSettings] = AxisSettings()
    """What its positions are counted in, and how exactly it goes there."""

    def __init__(self, url: str, **settings: Any) -> None:
        """Prepare a controller of one's own; :meth:`open` gives one that is shared.

        Args:
            url: Where it is.
            settings: As for all controllers, and ``axes``.

        Raises:
            ConfigurationError: the URL or a setting is not valid.
        """
        self.connection = 0
        """Number of the present connection."""
        super().__init__(url, **settings)
        self.motions = {
            number: Motion(self.axis(number), axis) for number, axis in self._axes.items()
        }
        """The moves of each axis, by its number."""
        self._line.on_change(self._link_changed)

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check the settings of the axes, and the others.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        given = settings.pop("axes", (self.axes_exist[0],))
        self._axes = axes_from(given, defaults=self.axis_defaults, exist=self.axes_exist)
        return super().line_settings(settings)

    def close(self) -> None:
        """Take back one :meth:`open`; with the last one, what waits for an axis fails at once."""
        super().close()
        self._wake()

    def on_connect(self) -> None:
        """Count the connections: what was under way over another one is not known any more."""
        self.connection += 1

    def axis(self, number: int) -> AxisLike:
        """Return what the common part of motion needs to know of an axis."""
        raise NotImplementedError

    def motion(self, number: int) -> Motion:
        """Return the moves of axis *number*.

        Raises:
            BadValue: the setting ``axes`` does not name it.
        """
        try:
            return self.motions[number]
        except KeyError:
            known = ", ".join(map(str, self.motions))
            raise BadValue(
                f"{self.label}: {number!r} is no axis; the setting axes names {known}"
            ) from None

    def stop_together(self, asked_at: float | None, halt: Callable[[], object]) -> None:
        """Stop all axes, by *halt*; see :meth:`Motion.stop`."""
        asked_at = time.monotonic() if asked_at is None else asked_at
        first, *others = self.motions.values()
        for motion in others:
            motion.drop("a stop of all axes was asked for", asked_at)
        first.stop(asked_at, halt=halt)

    def _link_changed(self, _status: ControllerStatus) -> None:
        self._wake()

    def _wake(self) -> None:
        for motion in self.motions.values():
            motion.wake()
