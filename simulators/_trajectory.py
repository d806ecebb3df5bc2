"""How a motion controller gets a motor from here to there: a trapezoid of velocity over time.

Pure, and exact: a trajectory is a row of segments of constant acceleration, so where the motor is
does not depend on the steps in which time passes. Positions are in steps, from anywhere.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Segment", "Trajectory", "segments_to", "segments_to_velocity"]

# What is nearer than this, in steps, has been reached already.
_NEAR = 1e-6


@dataclass(slots=True)
class Segment:
    """A time of constant acceleration, in which the velocity does not change its sign."""

    acceleration: float
    """Steps per second squared."""
    left_s: float
    """Seconds that it still takes; infinite: until it is told otherwise."""


def segments_to(
    distance: float, *, velocity: float, speed: float, acceleration: float
) -> list[Segment]:
    """Give the quickest way to go *distance* steps and stand still there.

    Args:
        distance: Steps, with its sign.
        velocity: What it has now, steps per second; from this it may have to come back.
        speed: Largest velocity, steps per second.
        acceleration: Steps per second squared, up and down.
    """
    found = []
    braking = velocity * abs(velocity) / (2 * acceleration)
    if velocity * distance < 0 or abs(braking) > abs(distance):
        found += segments_to_velocity(velocity, 0.0, acceleration)
        distance -= braking
        velocity = 0.0
    direction = math.copysign(1.0, distance)
    now, gap = abs(velocity), abs(distance)
    if now > speed:
        found += segments_to_velocity(velocity, direction * speed, acceleration)
        gap -= (now**2 - speed**2) / (2 * acceleration)
        now = speed
    peak = max(now, min(speed, math.sqrt(acceleration * gap + now**2 / 2)))
    cruise = gap - (2 * peak**2 - now**2) / (2 * acceleration)
    found.append(Segment(direction * acceleration, (peak - now) / acceleration))
    found.append(Segment(0.0, max(0.0, cruise / peak) if peak else 0.0))
    found.append(Segment(-direction * acceleration, peak / acceleration))
    return [segment for segment in found if segment.left_s > 0]


def segments_to_velocity(velocity: float, wanted: float, acceleration: float) -> list[Segment]:
    """Give the quickest way from *velocity* to the velocity *wanted*, all in steps and seconds."""
    if velocity * wanted < 0:
        return [
            *segments_to_velocity(velocity, 0.0, acceleration),
            *segments_to_velocity(0.0, wanted, acceleration),
        ]
    change = wanted - velocity
    if not change:
        return []
    return [Segment(math.copysign(acceleration, change), abs(change) / acceleration)]


class Trajectory:
    """Position and velocity that a controller demands of its motor."""

    def __init__(self, position: float = 0.0) -> None:
        """Stand still at *position*."""
        self.position = position
        self.velocity = 0.0
        self._segments: deque[Segment] = deque()
        self._target: float | None = None

    @property
    def moving(self) -> bool:
        """True until the last segment has ended."""
        return bool(self._segments)

    @property
    def acceleration(self) -> float:
        """Steps per second squared, now."""
        return self._segments[0].acceleration if self._segments else 0.0

    @property
    def direction(self) -> int:
        """1 or -1: where it moves, or begins to; 0: it stands still."""
        heading = self.velocity or self.acceleration
        return (heading > 0) - (heading < 0)

    @property
    def left_s(self) -> float:
        """Seconds until it stands still; infinite: it does not without being told."""
        return sum(segment.left_s for segment in self._segments)

    def move_to(self, target: float, *, speed: float, acceleration: float) -> None:
        """Go to *target* from wherever it is, at most *speed* fast."""
        self._begin(
            segments_to(
                target - self.position,
                velocity=self.velocity,
                speed=speed,
                acceleration=acceleration,
            ),
            target,
        )

    def run_at(self, velocity: float, *, acceleration: float) -> None:
        """Go on at *velocity* until told otherwise; 0: stop."""
        segments = segments_to_velocity(self.velocity, velocity, acceleration)
        if velocity:
            segments.append(Segment(0.0, math.inf))
        self._begin(segments, None)

    def halt(self) -> None:
        """Stand still at once."""
        self.velocity = 0.0
        self._begin([], None)

    def advance(self, limit_s: float, marks: Sequence[float] = ()) -> tuple[float, float | None]:
        """Let time pass until a mark is reached or a segment ends, but not more than *limit_s*.

        Args:
            limit_s: Seconds.
            marks: Positions at which to pause; those that it is at already do not count.

        Returns:
            The seconds that have passed, and the mark that it is at now, if it is at one.
        """
        if not self._segments:
            return limit_s, None
        segment = self._segments[0]
        step_s = min(limit_s, segment.left_s)
        travel = self.velocity * step_s + segment.acceleration * step_s**2 / 2
        mark = _first(marks, self.position, travel)
        if mark is None:
            self.position += travel
        else:
            step_s = min(step_s, self._time_to(mark))
            self.position = mark
        self.velocity += segment.acceleration * step_s
        segment.left_s -= step_s
        if mark is None and segment.left_s <= 0:
            self._end_segment()
        return step_s, mark

    def _begin(self, segments: Iterable[Segment], target: float | None) -> None:
        self._segments = deque(segments)
        self._target = target

    def _end_segment(self) -> None:
        self._segments.popleft()
        if self._segments:
            return
        # Rounding must not leave it creeping, nor beside its target.
        self.velocity = 0.0
        if self._target is not None:
            self.position = self._target

    def _time_to(self, mark: float) -> float:
        distance = mark - self.position
        root = math.sqrt(max(0.0, self.velocity**2 + 2 * self.acceleration * distance))
        return 2 * distance / (self.velocity + math.copysign(root, distance))


def _first(marks: Sequence[float], position: float, travel: float) -> float | None:
    """Give the nearest of *marks* that lies on the way, not counting where it is."""
    sign = 1 if travel > 0 else -1
    ahead = [mark for mark in marks if _NEAR < (mark - position) * sign <= abs(travel)]
    return min(ahead, key=lambda mark: abs(mark - position), default=None)
