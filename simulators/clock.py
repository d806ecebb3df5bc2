"""Simulated time: real time times a factor, which may be zero.

Only the shells hold a clock. Physics takes the time that has passed as an argument.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

MAX_FACTOR = 5000.0
"""Largest factor: beyond it the physics would need more than its share of a processor."""


class SimulatedClock:
    """Seconds of simulated time since the start, from a real clock that only goes forward."""

    def __init__(
        self, factor: float = 1.0, *, source: Callable[[], float] = time.monotonic
    ) -> None:
        """Start at zero.

        Args:
            factor: Simulated seconds in a real one, 0 to `MAX_FACTOR`; 0 stops time.
            source: Gives the real time in seconds.

        Raises:
            ValueError: the factor is out of range.
        """
        self._factor = _checked(factor)
        self._source = source
        self._real_s = source()
        self._simulated_s = 0.0

    @property
    def factor(self) -> float:
        """Simulated seconds in a real one."""
        return self._factor

    @factor.setter
    def factor(self, factor: float) -> None:
        checked = _checked(factor)
        self.now_s()
        self._factor = checked

    def now_s(self) -> float:
        """Give the simulated time in seconds; never less than before."""
        real_s = self._source()
        self._simulated_s += (real_s - self._real_s) * self._factor
        self._real_s = real_s
        return self._simulated_s

    def skip(self, dt_s: float) -> None:
        """Jump *dt_s* simulated seconds ahead, also while time is stopped.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")
        self._simulated_s += dt_s


def _checked(factor: float) -> float:
    if not 0 <= factor <= MAX_FACTOR:
        raise ValueError(f"time factor must be within 0 to {MAX_FACTOR:g}, not {factor}")
    return float(factor)
