"""What a WXT530 measures of the weather: wind over a while, rain since a reset, its own heating."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from simulators._weather import Weather

__all__ = ["Heating", "RainGauge", "Wind", "WindSensor"]

_SAMPLE_S = 0.25
_LONGEST_MEAN_S = 3600.0
_RAIN_STEP_S = 10.0
_HEATING_TIME_S = 120.0
_HALF_BELOW_C, _FULL_BELOW_C = 4.0, 0.0
_HALF_K, _FULL_K = 8.0, 14.0


@dataclass(frozen=True, slots=True)
class Wind:
    """Smallest, mean and largest of directions and speeds over a while."""

    degrees: tuple[float, float, float]
    m_s: tuple[float, float, float]


class WindSensor:
    """Remembers the wind of the last hour."""

    def __init__(self) -> None:
        """Start without any."""
        self._samples: deque[tuple[float, float, float]] = deque()
        self._now_s = 0.0
        self._last: tuple[tuple[float, float], Wind | None] | None = None

    def forget(self) -> None:
        """Start measuring anew."""
        self._samples.clear()
        self._last = None

    def step(self, dt_s: float, weather: Weather) -> None:
        """Let *dt_s* seconds pass."""
        self._now_s += dt_s
        samples = self._samples
        if samples and self._now_s - samples[-1][0] < _SAMPLE_S:
            return
        samples.append((self._now_s, weather.wind_deg, weather.wind_m_s))
        while samples[0][0] < self._now_s - _LONGEST_MEAN_S:
            samples.popleft()

    def over(self, seconds: float) -> Wind | None:
        """Give the wind of the last *seconds*; None: nothing has been measured."""
        # One message asks for it six times.
        asked = self._now_s, seconds
        if self._last is None or self._last[0] != asked:
            self._last = asked, self._computed(seconds)
        return self._last[1]

    def _computed(self, seconds: float) -> Wind | None:
        samples: list[tuple[float, float]] = []
        for at_s, degrees, m_s in reversed(self._samples):
            if samples and at_s <= self._now_s - seconds:
                break
            samples.append((degrees, m_s))
        if not samples:
            return None
        directions = [degrees for degrees, _ in samples]
        speeds = [m_s for _, m_s in samples]
        mean_m_s = sum(speeds) / len(speeds)
        return Wind(_spread(directions), (min(speeds), mean_m_s, max(speeds)))


def _spread(directions: list[float]) -> tuple[float, float, float]:
    """Give the leftmost, the mean and the rightmost direction, across north too."""
    east = sum(math.sin(math.radians(each)) for each in directions)
    north = sum(math.cos(math.radians(each)) for each in directions)
    mean = math.degrees(math.atan2(east, north))
    off = [(each - mean + 180) % 360 - 180 for each in directions]
    return (mean + min(off)) % 360, mean % 360, (mean + max(off)) % 360


@dataclass(slots=True)
class Precipitation:
    """Rain or hail since the last reset."""

    amount: float = 0.0
    """Millimetres, or hits on a square centimetre."""
    duration_s: float = 0.0
    """In steps of ten seconds."""
    peak_per_h: float = 0.0
    _begun_s: float = 0.0

    def step(self, dt_s: float, per_h: float) -> None:
        """Let *dt_s* seconds pass at this intensity."""
        if per_h <= 0:
            return
        self.amount += per_h * dt_s / 3600
        self.peak_per_h = max(self.peak_per_h, per_h)
        self._begun_s += dt_s
        self.duration_s = math.ceil(self._begun_s / _RAIN_STEP_S) * _RAIN_STEP_S


@dataclass(slots=True)
class RainGauge:
    """The piezoelectric sensor on the top."""

    rain: Precipitation = field(default_factory=Precipitation)
    hail: Precipitation = field(default_factory=Precipitation)

    def step(self, dt_s: float, weather: Weather) -> None:
        """Let *dt_s* seconds pass."""
        self.rain.step(dt_s, weather.rain_mm_h)
        self.hail.step(dt_s, weather.hail_hits_cm2_h)

    def reset_counters(self) -> None:
        """Count from zero."""
        self.rain, self.hail = Precipitation(), Precipitation()

    def reset_intensity(self) -> None:
        """Forget the peaks."""
        self.rain.peak_per_h = self.hail.peak_per_h = 0.0


@dataclass(slots=True)
class Heating:
    """Keeps ice off the sensors; *level* is the letter that the supervisor shows."""

    heater_c: float
    """Temperature of the heating element."""
    level: str = "N"
    """N: off, V: half, W: full, F: fault."""
    fault: bool = False

    def step(self, dt_s: float, outside_c: float, *, allowed: bool) -> None:
        """Let *dt_s* seconds pass; *allowed* tells whether it is switched on at all."""
        self.level, warmer_k = self._chosen(outside_c, allowed)
        aim_c = outside_c + warmer_k
        self.heater_c += (aim_c - self.heater_c) * (1 - math.exp(-dt_s / _HEATING_TIME_S))

    def _chosen(self, outside_c: float, allowed: bool) -> tuple[str, float]:
        if self.fault:
            return "F", 0.0
        if not allowed or outside_c >= _HALF_BELOW_C:
            return "N", 0.0
        return ("W", _FULL_K) if outside_c < _FULL_BELOW_C else ("V", _HALF_K)
