"""What the sensors of a Vantage station feel, and what its console makes of it over the days."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime

from simulators._davis_eeprom import Eeprom
from simulators._weather import START, Weather

__all__ = ["NO_BYTE", "NO_TEMPERATURE_F", "Sensors", "inches_of_mercury"]

NO_BYTE = 255
"""The dash value of a byte: there is no such sensor."""
NO_TEMPERATURE_F = NO_BYTE - 90
"""What the dash value would be as the temperature of a byte."""

_AVERAGE_S = 600.0
_STORM_ENDS_S = 24 * 3600.0
_TREND_EVERY_S, _TREND_OF = 900.0, 13
_MOST_CLICKS = 0xFFFE
# A sunny day takes about a fifth of an inch.
_ET_INCH_PER_J_M2 = 1e-8
_STEPS = ((0.06, 60), (0.02, 20), (-0.02, 0), (-0.06, -20))


def inches_of_mercury(hpa: float) -> float:
    """Convert a pressure."""
    return hpa / 33.8639


@dataclass(slots=True)
class Totals:
    """What is summed up over a day, a month or a year."""

    rain_clicks: int = 0
    et_inch: float = 0.0

    def add(self, clicks: int, et_inch: float) -> None:
        """Add some rain and evapotranspiration."""
        self.rain_clicks = min(_MOST_CLICKS, self.rain_clicks + clicks)
        self.et_inch += et_inch


@dataclass(slots=True)
class Sensors:
    """The outdoor unit (ISS), its sensors, the further ones, and those in the console."""

    weather: Weather
    eeprom: Eeprom
    iss_lost: bool = False
    """Nothing comes from the outdoor unit."""
    outside_missing: bool = False
    """No temperature and humidity outside."""
    anemometer_missing: bool = False
    solar_missing: bool = False
    uv_missing: bool = False
    inside_missing: bool = False
    """No temperature and humidity inside."""
    barometer_missing: bool = False
    inside_c: float = 21.0
    inside_percent: float = 40.0
    extra_temperature_f: list[float] = field(default_factory=lambda: [NO_TEMPERATURE_F] * 7)
    soil_temperature_f: list[float] = field(default_factory=lambda: [NO_TEMPERATURE_F] * 4)
    leaf_temperature_f: list[float] = field(default_factory=lambda: [NO_TEMPERATURE_F] * 4)
    extra_humidity: list[float] = field(default_factory=lambda: [NO_BYTE] * 7)
    soil_moisture: list[float] = field(default_factory=lambda: [NO_BYTE] * 4)
    leaf_wetness: list[float] = field(default_factory=lambda: [NO_BYTE] * 4)
    alarms: list[float] = field(default_factory=lambda: [0] * 16)
    low_transmitters: int = 0
    """Bit 0: the battery of transmitter 1 is low, and so on."""
    console_battery_v: float = 4.5
    day: Totals = field(default_factory=Totals)
    month: Totals = field(default_factory=Totals)
    year: Totals = field(default_factory=Totals)
    storm_clicks: int = 0
    storm_since: date | None = None
    wind_average_m_s: float = 0.0
    """Over ten minutes."""
    _in_bucket_mm: float = 0.0
    _dry_s: float = 0.0
    _date: date = field(default_factory=START.date)
    _pressures_hpa: deque[float] = field(default_factory=lambda: deque(maxlen=_TREND_OF))
    _trend_in_s: float = 0.0

    def __post_init__(self) -> None:
        """Have the last hours behind it."""
        self.wind_average_m_s = self.weather.wind_m_s
        self._pressures_hpa.extend([self.weather.pressure_hpa] * _TREND_OF)

    # -- what they feel now; None: there is no such sensor -----------------------------------

    @property
    def wind_m_s(self) -> float | None:
        """Speed of the wind."""
        missing = self.iss_lost or self.anemometer_missing
        return None if missing else self.weather.wind_m_s

    @property
    def outside_c(self) -> float | None:
        """Temperature outside."""
        missing = self.iss_lost or self.outside_missing
        return None if missing else self.weather.outside_c

    @property
    def outside_percent(self) -> float | None:
        """Humidity outside."""
        missing = self.iss_lost or self.outside_missing
        return None if missing else self.weather.humidity_percent

    @property
    def solar_w_m2(self) -> float | None:
        """Radiation of the sun."""
        return None if self.iss_lost or self.solar_missing else self.weather.solar_w_m2

    @property
    def uv_index(self) -> float | None:
        """Ultraviolet radiation, 0 to about 16."""
        return None if self.iss_lost or self.uv_missing else self.weather.solar_w_m2 / 125

    @property
    def pressure_hpa(self) -> float | None:
        """Pressure of the air."""
        return None if self.barometer_missing else self.weather.pressure_hpa

    @property
    def rain_clicks_h(self) -> float | None:
        """Intensity of the rain, in clicks of the bucket in an hour."""
        return None if self.iss_lost else self.weather.rain_mm_h / self.eeprom.click_mm

    def trend(self) -> int:
        """Give the trend of the barometer over three hours: -60, -20, 0, 20 or 60."""
        change = inches_of_mercury(self.weather.pressure_hpa - self._pressures_hpa[0])
        return next((code for least, code in _STEPS if change >= least), -60)

    # -- time --------------------------------------------------------------------------------

    def step(self, dt_s: float, now: datetime) -> int:
        """Take what *dt_s* seconds have brought, up to *now*; give the clicks of the bucket."""
        self._turn_page(now.date())
        fresh = 1 - math.exp(-dt_s / _AVERAGE_S)
        self.wind_average_m_s += ((self.wind_m_s or 0.0) - self.wind_average_m_s) * fresh
        self._trend_in_s -= dt_s
        if self._trend_in_s <= 0:
            self._trend_in_s += _TREND_EVERY_S
            self._pressures_hpa.append(self.weather.pressure_hpa)
        clicks = self._caught(dt_s)
        et_inch = (self.solar_w_m2 or 0.0) * dt_s * _ET_INCH_PER_J_M2
        for total in (self.day, self.month, self.year):
            total.add(clicks, et_inch)
        self._follow_storm(dt_s, clicks, now.date())
        return clicks

    def _caught(self, dt_s: float) -> int:
        if self.iss_lost:
            return 0
        self._in_bucket_mm += self.weather.rain_mm_h * dt_s / 3600
        clicks = int(self._in_bucket_mm / self.eeprom.click_mm)
        self._in_bucket_mm -= clicks * self.eeprom.click_mm
        return clicks

    def _follow_storm(self, dt_s: float, clicks: int, today: date) -> None:
        self._dry_s = 0.0 if clicks else self._dry_s + dt_s
        self.storm_clicks += clicks
        if clicks and self.storm_since is None:
            self.storm_since = today
        if self._dry_s > _STORM_ENDS_S:
            self.storm_clicks, self.storm_since = 0, None

    def _turn_page(self, today: date) -> None:
        if today == self._date:
            return
        before, self._date = self._date, today
        self.day = Totals()
        if today.month != before.month:
            self.month = Totals()
            if today.month == self.eeprom.rain_month:
                self.year = Totals()
