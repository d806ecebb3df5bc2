"""What the common part of motion needs to know of one axis, and what it is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from mktl.controllers import TurnKind

__all__ = ["AxisLike", "AxisState", "Bounds", "Order"]


@dataclass(frozen=True, slots=True)
class AxisState:
    """One axis, as one look at it has found it."""

    steps: int
    """Where it is, asked for after it was found out whether it moves."""
    moving: bool
    """Whether it moves, or has not settled yet."""
    connection: int
    """Number of the connection: another one means that the link was lost in between."""
    stop: str = ""
    """Why the last move ended before its target, in words; empty if it did not."""
    faults: tuple[str, ...] = ()
    """What is wrong with the axis now, in words, as far as it can keep it from its target."""
    referenced: bool = True
    """Whether its position means anything; an axis may lose that with its power."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where an axis may be sent."""

    low: int | None
    """Least position in steps; ``None``: there is no limit."""
    high: int | None
    """Greatest position in steps."""
    whose: str
    """Which limits they are, for errors: ``the limits of the device``."""


class AxisLike(Protocol):
    """One axis of a controller. All positions are in its own steps."""

    @property
    def label(self) -> str:
        """Controller and axis, as error texts show them."""

    @property
    def period_s(self) -> float:
        """How often to look at it while it moves, where it does not call by itself."""

    def turn(self) -> AbstractContextManager[None]:
        """Return a context that keeps the line for several exchanges."""

    def prioritised(self, kind: TurnKind) -> AbstractContextManager[None]:
        """Return a context in which this thread's turns have the priority of *kind*."""

    def state(self) -> AxisState:
        """Look at it.

        Raises:
            DeviceError: that failed.
        """

    def bounds(self) -> Iterable[Bounds]:
        """Return what the controller itself lets it do, as far as known; asks nothing."""

    def move_time_s(self, distance: int) -> float | None:
        """Return how long it should take for *distance* steps; ``None``: cannot be told.

        It is called in the turn in which the move is begun, and may ask.
        """

    def start(self, steps: int) -> None:
        """Send it to *steps*, and return when the controller has taken that.

        Raises:
            DeviceRefused: the controller did not.
            DeviceError: as always.
        """

    def halt(self) -> None:
        """Stop it, and return when the controller has taken that.

        Raises:
            DeviceError: as always.
        """


@dataclass(frozen=True, slots=True)
class Order:
    """One thing that an axis is to do."""

    what: str
    """What it is, for people: ``moving to 12000 steps``."""
    target: Callable[[AxisState], int] | None = None
    """Returns where to, from where it stands; raises BadValue. ``None``: the device knows."""
    begin: Callable[[], object] | None = None
    """Has it begin, where that is not :meth:`AxisLike.start`."""
    finish: Callable[[AxisState], str | None] = lambda _state: ""
    """Returns why it is not done though it stands still; empty: it is done; ``None``: it goes on.
    May ask, and raise a DeviceError."""
    timeout_s: float | None = None
    """Longest duration; ``None``: as follows from distance and speed."""
    homes: bool = False
    """Whether it finds its reference anew."""
