"""Weather for the stations that stand in it: slow by the hour, gusty by the second.

Each quantity follows the time of day and strays from it; showers come and go. Numbers are those of
a mild summer at sea level. Nothing here knows a station: what a sensor makes of it is the sensor's
affair.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulators.cryostat import substeps

__all__ = ["MAX_STEP_S", "START", "SUNRISE_H", "SUNSET_H", "Weather"]

MAX_STEP_S = 1.0
"""Longest step in simulated time; gusts last for some seconds."""
START = datetime(2026, 6, 15, 12, 0, 0)
"""When it begins."""
SUNRISE_H, SUNSET_H = 5.0, 19.0
"""Hours of the day, the whole year round."""

_SLOW_STEP_S = 10.0
_NOON_W_M2 = 950.0
_SHOWER_EVERY_S, _SHOWER_S, _SHORTEST_SHOWER_S = 8 * 3600.0, 1200.0, 300.0
_HEAVIEST_MM_H = 60.0
_GUST_SHARE, _VEER_DEG = 0.3, 12.0


@dataclass(slots=True)
class Stray:
    """What strays around zero, and never far: *spread* is its standard deviation."""

    spread: float
    time_s: float
    """After that long it has mostly forgotten where it was."""
    value: float = 0.0

    def step(self, dt_s: float, chance: random.Random) -> None:
        """Let *dt_s* seconds pass, however many."""
        kept = math.exp(-dt_s / self.time_s)
        self.value = self.value * kept + self.spread * math.sqrt(1 - kept * kept) * chance.gauss()


class Course:
    """One quantity: its course over the day, what strays from it, and what a user has added."""

    def __init__(
        self, daily: Callable[[float], float], stray: Stray, *, low: float, high: float
    ) -> None:
        """Follow *daily*, a function of the hour, within *low* and *high*."""
        self._daily = daily
        self._stray = stray
        self._low, self._high = low, high
        self._base = daily(START.hour)
        self._added = 0.0

    @property
    def value(self) -> float:
        """Its value now."""
        return min(self._high, max(self._low, self._base + self._stray.value + self._added))

    def put(self, value: float) -> None:
        """Have this *value* now, and stray from there."""
        self._added = value - self._base - self._stray.value

    def step(self, dt_s: float, hour: float, chance: random.Random) -> None:
        """Let *dt_s* seconds pass, up to *hour*."""
        self._base = self._daily(hour)
        self._stray.step(dt_s, chance)


class Weather:
    """What there is to be measured at one place."""

    def __init__(self, *, seed: int | None = None) -> None:
        """Begin at noon on a dry day; *seed* makes it repeatable."""
        self.steady = False
        self.elapsed_s = 0.0
        self.hail_hits_cm2_h = 0.0
        self._chance = random.Random(seed)
        self._temperature = Course(
            lambda hour: 14 + 6 * _afternoon(hour), Stray(1.5, 6 * 3600), low=-60, high=60
        )
        self._humidity = Course(
            lambda hour: 60 - 20 * _afternoon(hour), Stray(6, 3 * 3600), low=1, high=100
        )
        self._pressure = Course(lambda _: 1013, Stray(7, 24 * 3600), low=500, high=1200)
        self._wind = Course(
            lambda hour: 4 + 2 * _afternoon(hour), Stray(1.5, 3600), low=0.3, high=75
        )
        self._cloud = Course(lambda _: 0.4, Stray(0.3, 2 * 3600), low=0, high=1)
        self._heading_deg = Course(lambda _: 240, Stray(60, 4 * 3600), low=-1e6, high=1e6)
        self._slow = (
            self._temperature,
            self._humidity,
            self._pressure,
            self._wind,
            self._cloud,
            self._heading_deg,
        )
        self._gust = Stray(_GUST_SHARE, 5.0)
        self._veer_deg = Stray(_VEER_DEG, 5.0)
        self._rain_mm_h = 0.0
        self._change_in_s = self._until_shower()
        self._slow_to_s = 0.0
        self._sun_w_m2 = self._clear_w_m2()
        self._sun_added_w_m2 = 0.0

    # -- what there is -----------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """Date and time of day."""
        return START + timedelta(seconds=self.elapsed_s)

    @property
    def hour(self) -> float:
        """Time of day in hours."""
        return (START.hour + self.elapsed_s / 3600) % 24

    @property
    def outside_c(self) -> float:
        """Temperature of the air."""
        return self._temperature.value

    @outside_c.setter
    def outside_c(self, value: float) -> None:
        self._temperature.put(value)

    @property
    def humidity_percent(self) -> float:
        """Relative humidity."""
        return self._humidity.value

    @humidity_percent.setter
    def humidity_percent(self, value: float) -> None:
        self._humidity.put(value)

    @property
    def pressure_hpa(self) -> float:
        """Pressure of the air."""
        return self._pressure.value

    @pressure_hpa.setter
    def pressure_hpa(self, value: float) -> None:
        self._pressure.put(value)

    @property
    def wind_m_s(self) -> float:
        """Speed of the wind at this moment."""
        return max(0.0, self._wind.value * (1 + self._gust.value))

    @wind_m_s.setter
    def wind_m_s(self, value: float) -> None:
        self._wind.put(value)
        # The mean is never zero, and the wind can be.
        self._gust.value = value / self._wind.value - 1

    @property
    def wind_deg(self) -> float:
        """Where the wind comes from at this moment, 0 to less than 360."""
        return (self._heading_deg.value + self._veer_deg.value) % 360

    @wind_deg.setter
    def wind_deg(self, value: float) -> None:
        self._veer_deg.value = 0.0
        self._heading_deg.put(value)

    @property
    def rain_mm_h(self) -> float:
        """Intensity of the rain."""
        return self._rain_mm_h

    @rain_mm_h.setter
    def rain_mm_h(self, value: float) -> None:
        self._rain_mm_h = value
        self._change_in_s = _SHOWER_S if value else self._until_shower()

    @property
    def solar_w_m2(self) -> float:
        """Radiation of the sun."""
        return min(1800.0, max(0.0, self._sun_w_m2 + self._sun_added_w_m2))

    @solar_w_m2.setter
    def solar_w_m2(self, value: float) -> None:
        self._sun_added_w_m2 = value - self._sun_w_m2

    @property
    def cloud(self) -> float:
        """How much of the sky is covered, 0 to 1."""
        return 1.0 if self._rain_mm_h else self._cloud.value

    # -- time --------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, MAX_STEP_S):
            self.elapsed_s += h_s
            if not self.steady:
                self._change(h_s)

    def _change(self, h_s: float) -> None:
        chance = self._chance
        if self.elapsed_s - self._slow_to_s >= _SLOW_STEP_S:
            slow_s = self.elapsed_s - self._slow_to_s
            self._slow_to_s = self.elapsed_s
            for course in self._slow:
                course.step(slow_s, self.hour, chance)
            self._sun_w_m2 = self._clear_w_m2()
        self._gust.step(h_s, chance)
        self._veer_deg.step(h_s, chance)
        self._change_in_s -= h_s
        if self._change_in_s <= 0:
            self._turn()

    def _turn(self) -> None:
        if self._rain_mm_h:
            self._rain_mm_h = 0.0
            self._change_in_s = self._until_shower()
            return
        self._rain_mm_h = min(_HEAVIEST_MM_H, self._chance.lognormvariate(1.0, 0.8))
        self._change_in_s = _SHORTEST_SHOWER_S + self._chance.expovariate(1 / _SHOWER_S)

    def _until_shower(self) -> float:
        return self._chance.expovariate(1 / _SHOWER_EVERY_S)

    def _clear_w_m2(self) -> float:
        height = math.sin(math.pi * (self.hour - SUNRISE_H) / (SUNSET_H - SUNRISE_H))
        up = SUNRISE_H < self.hour < SUNSET_H
        return up * _NOON_W_M2 * max(0.0, height) * (1 - 0.75 * self.cloud)


def _afternoon(hour: float) -> float:
    """Give the course of a day: 1 at three in the afternoon, -1 twelve hours before."""
    return math.cos(math.pi * (hour - 15) / 12)
