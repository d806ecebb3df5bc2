"""The mechanics of one axis: a motor that draws a carriage along a rail with switches and stops.

Positions are in steps of the motor from the zero of the rail. The carriage is where the motor is,
less the steps that were lost while something held it; the load on it follows with a lag, which is
what an encoder sees. No controller is in it: whoever owns a drive says what happens at a switch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, IntEnum

from simulators._trajectory import Trajectory

__all__ = ["Drive", "Happening", "Rail", "Switch", "Works"]

_NEAR = 1e-6
_WARM_UP_S = 300.0
_IDLE_K, _MOVING_K = 6.0, 14.0


class Works(IntEnum):
    """How well a switch works."""

    WELL = 0
    STUCK = 1
    """Active always, as with a broken wire."""
    DEAD = 2
    """Never active."""


class Happening(Enum):
    """What may interrupt the passing of time."""

    ARRIVED = "the motor stands still"
    LOW = "the carriage has reached the switch at the low end"
    HIGH = "the carriage has reached the switch at the high end"
    HOME = "the carriage has reached the home switch"
    HELD = "the carriage has reached an end stop: it goes no further, the motor does"
    SLIPPED = "the motor is as many steps away from the carriage as the controller tolerates"


@dataclass(frozen=True, slots=True)
class Rail:
    """Where things are, in steps."""

    low_switch: float
    """At and below it the switch of the low end is active."""
    high_switch: float
    """At and above it the switch of the high end is active."""
    low_stop: float
    """Where the carriage hits the frame."""
    high_stop: float
    """Where it does so at the other end."""
    home: tuple[float, float] | None = None
    """From where to where the home switch is active; None: there is none."""


@dataclass(slots=True)
class Switch:
    """One of them; a controller sees `active`, which may be wrong."""

    works: Works = Works.WELL

    def active(self, pressed: bool) -> bool:
        """Tell what its wire says while it is *pressed*, or is not."""
        return self.works is Works.STUCK or (pressed and self.works is Works.WELL)


class Drive:
    """Motor, carriage, load and switches."""

    def __init__(self, rail: Rail, *, position: float = 0.0, lag_s: float = 0.005) -> None:
        """Stand still at *position*; *lag_s* is the time constant of the load."""
        self.rail = rail
        self.motor = Trajectory(position)
        self.slip = 0.0
        self.blocked = False
        self.powered = True
        self.low = Switch()
        self.high = Switch()
        self.home = Switch()
        self.room_c = 22.0
        self.temperature_c = self.room_c + _IDLE_K
        self.lag = 0.0
        self._lag_s = lag_s

    # -- where things are --------------------------------------------------------------------

    @property
    def carriage(self) -> float:
        """Where the carriage is, but for the lag of the load."""
        return self.motor.position - self.slip

    @property
    def load(self) -> float:
        """Where the load is, which an encoder sees."""
        return self.carriage - self.lag

    @property
    def velocity(self) -> float:
        """Velocity of the carriage in steps per second."""
        return 0.0 if self._held(self.motor.direction) else self.motor.velocity

    @property
    def at_low(self) -> bool:
        """What the wire of the switch at the low end says."""
        return self.low.active(self.carriage <= self.rail.low_switch + _NEAR)

    @property
    def at_high(self) -> bool:
        """What the wire of the switch at the high end says."""
        return self.high.active(self.carriage >= self.rail.high_switch - _NEAR)

    @property
    def at_home(self) -> bool:
        """What the wire of the home switch says."""
        begin, end = self.rail.home or (math.inf, -math.inf)
        return self.home.active(begin - _NEAR <= self.carriage <= end + _NEAR)

    def push(self, position: float) -> None:
        """Have somebody move the carriage to *position*, whatever the motor does."""
        position = min(self.rail.high_stop, max(self.rail.low_stop, position))
        self.slip = self.motor.position - position
        self.lag = 0.0

    def regain(self) -> None:
        """Have the motor know of all steps that were lost: it is where the carriage is."""
        self.motor.position -= self.slip
        self.slip = 0.0

    # -- time --------------------------------------------------------------------------------

    def settles_in_s(self, window: float) -> float:
        """Give the seconds until a load whose motor stands still lags by *window* steps only."""
        ratio = abs(self.lag) / window
        return self._lag_s * math.log(ratio) if ratio > 1 else 0.0

    def advance(self, limit_s: float, *, tolerance: float) -> tuple[float, Happening | None]:
        """Let time pass until something happens, but not more than *limit_s* seconds.

        Args:
            limit_s: Seconds.
            tolerance: Steps between motor and carriage that its controller tolerates.

        Returns:
            The seconds that have passed, and what has happened then.
        """
        motor = self.motor
        held = self._held(motor.direction)
        marks = self._marks(motor.direction, held, tolerance)
        moving, velocity, acceleration = motor.moving, motor.velocity, motor.acceleration
        before = motor.position
        elapsed_s, mark = motor.advance(limit_s, list(marks))
        if held:
            self.slip += motor.position - before
            velocity = acceleration = 0.0
        self._follow(elapsed_s, velocity, acceleration)
        self._warm(elapsed_s, moving)
        if mark is not None:
            return elapsed_s, marks[mark]
        return elapsed_s, Happening.ARRIVED if moving and not motor.moving else None

    def _held(self, direction: int) -> bool:
        rail, at = self.rail, self.carriage
        at_stop = (direction > 0 and at >= rail.high_stop - _NEAR) or (
            direction < 0 and at <= rail.low_stop + _NEAR
        )
        return self.blocked or at_stop

    def _marks(self, direction: int, held: bool, tolerance: float) -> dict[float, Happening]:
        """Give where the motor will be when something happens on its way."""
        if held:
            return {self.motor.position - self.slip + direction * tolerance: Happening.SLIPPED}
        rail, slip = self.rail, self.slip
        marks = {}
        if direction > 0:
            marks[rail.high_stop + slip] = Happening.HELD
            if self.high.works is Works.WELL:
                marks[rail.high_switch + slip] = Happening.HIGH
        else:
            marks[rail.low_stop + slip] = Happening.HELD
            if self.low.works is Works.WELL:
                marks[rail.low_switch + slip] = Happening.LOW
        if rail.home is not None and self.home.works is Works.WELL:
            marks[rail.home[direction < 0] + slip] = Happening.HOME
        return marks

    def _follow(self, elapsed_s: float, velocity: float, acceleration: float) -> None:
        """Let the load follow, as a lag of first order does: exact for constant acceleration."""
        tau_s = self._lag_s
        at_first = tau_s * velocity - tau_s**2 * acceleration
        at_last = at_first + tau_s * acceleration * elapsed_s
        self.lag = at_last + (self.lag - at_first) * math.exp(-elapsed_s / tau_s)

    def _warm(self, elapsed_s: float, moving: bool) -> None:
        heat_k = (_IDLE_K + _MOVING_K * moving) if self.powered else 0.0
        settled_c = self.room_c + heat_k
        decay = math.exp(-elapsed_s / _WARM_UP_S)
        self.temperature_c = settled_c + (self.temperature_c - settled_c) * decay
