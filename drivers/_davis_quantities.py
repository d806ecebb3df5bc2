"""All that a LOOP packet carries, as a table: where it stands, what it means, what it is called.

Source: the sheet of the instrument, section "LOOP packet". General knowledge, of the serial
communication reference of Davis, are the names of alarms and icons, and that evapotranspiration
comes in 1/1000 inch for the day, in 1/100 inch for month and year.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any

from drivers._davis_packet import (
    DASH8,
    DASH16,
    DASH_I16,
    Loop,
    Read,
    as_it_is,
    date,
    fahrenheit_above_90,
    fahrenheit_tenths,
    number,
    rain,
    time_of_day,
    trend,
)

__all__ = ["QUANTITIES", "Quantity", "decoded"]

_INHG_HPA = 33.8638866667
_MPH_M_S = 0.44704
_INCH_MM = 25.4


@dataclass(frozen=True, slots=True)
class Quantity:
    """One value that packets carry."""

    path: str
    """Path of its channel."""
    description: str
    """What it is."""
    raw: Callable[[Loop], int]
    """Where it stands."""
    read: Read
    """What it means."""
    type: str = "numeric"
    """Type of its values."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else its description says."""


def decoded(loop: Loop, click_um: int | None) -> dict[str, Any]:
    """Return all values of a packet, by path; a :class:`NoValue` where there is none.

    Args:
        loop: The fields.
        click_um: Micrometres of rain that one click of the bucket means; ``None``: not known.
    """
    return {one.path: one.read(one.raw(loop), click_um) for one in QUANTITIES}


# --- what the readers and descriptions have in common ---------------------------------------------

_CELSIUS = {"units": "degC", "format": "%.1f"}
_PERCENT = {"units": "percent", "format": "%.0f"}
_SPEED = {"units": "m/s", "format": "%.1f"}
_RAIN = {"units": "mm", "format": "%.1f"}
_TIME = {"units": "hours", "format": "%02d:%02d"}

_humidity = number(0, 100, (DASH8,))
_small_temperature = number(0, 254, (DASH8,), fahrenheit_above_90)
_wind = number(0, 200, (DASH8,), lambda mph: mph * _MPH_M_S)


def _names(texts: Collection[str], *, mask: bool = False) -> dict[str, Any]:
    names = {str(place): text for place, text in enumerate(texts) if text}
    return {"enumerators": {"None": "None", **names} if mask else names}


def _byte_of(name: str, index: int) -> Callable[[Loop], int]:
    return lambda loop: int(getattr(loop, name)[index])


# --- the values -----------------------------------------------------------------------------------


def _weather() -> Iterator[Quantity]:
    for place, low, high in (("outside", -900, 1600), ("inside", -400, 1500)):
        yield Quantity(
            f"temperature.{place}",
            f"Temperature {place}",
            attrgetter(f"{place}_temperature"),
            number(low, high, (DASH_I16,), fahrenheit_tenths),
            fields=_CELSIUS,
        )
        yield Quantity(
            f"humidity.{place}",
            f"Relative humidity {place}",
            attrgetter(f"{place}_humidity"),
            _humidity,
            fields=_PERCENT,
        )
    yield Quantity(
        "pressure",
        "Pressure of the air, reduced to sea level as the console is set",
        attrgetter("barometer"),
        # A console that was not calibrated sends 0.
        number(20000, 32500, (0, DASH16), lambda raw: raw * _INHG_HPA / 1000),
        fields={"units": "hPa", "format": "%.1f"},
    )
    yield Quantity(
        "pressure.trend",
        "How the pressure has changed in three hours",
        attrgetter("trend"),
        trend,
        "enumerated",
        _names(("Falling rapidly", "Falling slowly", "Steady", "Rising slowly", "Rising rapidly")),
    )
    for path, description, name in (
        ("wind.speed", "Speed of the wind", "wind"),
        ("wind.average", "Speed of the wind, average of 10 minutes", "wind_average"),
    ):
        yield Quantity(path, description, attrgetter(name), _wind, fields=_SPEED)
    yield Quantity(
        "wind.direction",
        "Where the wind comes from; without one, there is no value",
        attrgetter("wind_direction"),
        number(1, 360, (0, DASH16, DASH_I16)),
        fields={"units": "deg", "format": "%.0f"},
    )
    yield Quantity(
        "uv", "Index of UV radiation", attrgetter("uv"), number(0, 250, (DASH8,), lambda v: v / 10),
        fields={"format": "%.1f"},
    )  # fmt: skip
    yield Quantity(
        "solar", "Solar radiation", attrgetter("solar"), number(0, 1800, (DASH_I16, DASH16)),
        fields={"units": "W/m^2", "format": "%.0f"},
    )  # fmt: skip


def _water() -> Iterator[Quantity]:
    yield Quantity(
        "rain.rate", "Rate of rain", attrgetter("rain_rate"), rain(10000),
        fields={"units": "mm/h", "format": "%.1f"},
    )  # fmt: skip
    for path, description, name in (
        ("rain.storm", "Rain of the present storm", "storm_rain"),
        ("rain.today", "Rain since midnight", "rain_today"),
        ("rain.month", "Rain of this month", "rain_month"),
        ("rain.year", "Rain since the month in which the year of rain begins", "rain_year"),
    ):
        yield Quantity(path, description, attrgetter(name), rain(), fields=_RAIN)
    yield Quantity(
        "rain.storm.begun",
        "Day on which the present storm began, as YYYY-MM-DD; empty if there is none",
        attrgetter("storm_date"),
        date,
        "string",
    )
    for path, description, name, per_inch in (
        ("evapotranspiration.today", "Evapotranspiration since midnight", "et_today", 1000),
        ("evapotranspiration.month", "Evapotranspiration of this month", "et_month", 100),
        ("evapotranspiration.year", "Evapotranspiration of this year", "et_year", 100),
    ):
        read = number(0, DASH16, (DASH16,), partial(_inches, per_inch))
        yield Quantity(path, description, attrgetter(name), read, fields=_RAIN)


def _inches(per_inch: int, raw: int) -> float:
    return raw * _INCH_MM / per_inch


def _extra() -> Iterator[Quantity]:
    for path, description, name, count, read, fields in (
        ("temperature.extra", "Temperature of extra station", "extra_temperatures", 7,
         _small_temperature, _CELSIUS),
        ("humidity.extra", "Relative humidity at extra station", "extra_humidities", 7,
         _humidity, _PERCENT),
        ("temperature.soil", "Temperature of soil, sensor", "soil_temperatures", 4,
         _small_temperature, _CELSIUS),
        ("temperature.leaf", "Temperature of leaf, sensor", "leaf_temperatures", 4,
         _small_temperature, _CELSIUS),
        ("moisture.soil", "Suction of water in soil, sensor", "soil_moistures", 4,
         number(0, 200, (DASH8,)), {"units": "centibar", "format": "%.0f"}),
        ("wetness.leaf", "Wetness of leaf, 0 (dry) to 15, sensor", "leaf_wetness", 4,
         number(0, 15, (DASH8,)), {"format": "%.0f"}),
    ):  # fmt: skip
        for index in range(count):
            raw = _byte_of(name, index)
            yield Quantity(
                f"{path}.{index + 1}", f"{description} {index + 1}", raw, read, fields=fields
            )


# --- alarms, and what the console says of itself --------------------------------------------------

_ALARMS_INSIDE = (
    "Pressure falls", "Pressure rises", "Low temperature", "High temperature",
    "Low humidity", "High humidity", "Time",
)  # fmt: skip
_ALARMS_RAIN = ("High rate", "15 minutes", "24 hours", "Storm", "Daily evapotranspiration")
_ALARMS_OUTSIDE = (
    "Low temperature", "High temperature", "Wind", "Wind of 10 minutes",
    "Low dew point", "High dew point", "Heat", "Wind chill",
    "High THSW", "High solar radiation", "High UV", "UV dose", "UV dose is on", "", "", "",
    "Low humidity", "High humidity",
)  # fmt: skip
_ALARMS_EXTRA = ("Low temperature", "High temperature", "Low humidity", "High humidity")
_ALARMS_SOIL = (
    "Low leaf wetness", "High leaf wetness", "Low soil moisture", "High soil moisture",
    "Low leaf temperature", "High leaf temperature", "Low soil temperature",
    "High soil temperature",
)  # fmt: skip
_ICONS = ("Rain", "Cloud", "Partly cloudy", "Sun", "Snow")


def _outside_alarms(loop: Loop) -> int:
    # The first of the bytes for humidity belongs to the outside station.
    return loop.alarms[2] | loop.alarms[3] << 8 | (loop.alarms[4] >> 2 & 3) << 16


def _alarms() -> Iterator[Quantity]:
    for path, of, raw, names in (
        ("alarm.inside", "inside", _byte_of("alarms", 0), _ALARMS_INSIDE),
        ("alarm.rain", "of rain", _byte_of("alarms", 1), _ALARMS_RAIN),
        ("alarm.outside", "outside", _outside_alarms, _ALARMS_OUTSIDE),
        *(
            (f"alarm.extra.{n}", f"of extra station {n}", _byte_of("alarms", 4 + n), _ALARMS_EXTRA)
            for n in range(1, 8)
        ),
        *(
            (
                f"alarm.soil.{n}",
                f"of soil and leaf sensors {n}",
                _byte_of("alarms", 11 + n),
                _ALARMS_SOIL,
            )
            for n in range(1, 5)
        ),
    ):
        texts = _names(names, mask=True)
        yield Quantity(path, f"Alarms {of}, as set at the console", raw, as_it_is, "mask", texts)


def _console() -> Iterator[Quantity]:
    yield Quantity(
        "battery.console",
        "Battery of the console",
        attrgetter("console_battery"),
        number(171, 1706, (), lambda raw: raw * 300 / 512 / 100),
        fields={"units": "V", "format": "%.2f"},
    )
    yield Quantity(
        "battery.transmitters",
        "Transmitters with a low battery",
        attrgetter("transmitter_battery"),
        as_it_is,
        "mask",
        _names([f"Transmitter {n}" for n in range(1, 9)], mask=True),
    )
    yield Quantity(
        "forecast",
        "Icons of the forecast",
        attrgetter("forecast_icons"),
        as_it_is,
        "mask",
        _names(_ICONS, mask=True),
    )
    yield Quantity(
        "forecast.rule",
        "Number of the sentence with which the console words the forecast",
        attrgetter("forecast_rule"),
        number(0, 254, (DASH8,), int),
        fields={"format": "%d"},
    )
    for path, name in (("sunrise", "sunrise"), ("sunset", "sunset")):
        yield Quantity(
            path,
            f"Time of {name}, by the clock of the console",
            attrgetter(name),
            time_of_day,
            fields=_TIME,
        )


QUANTITIES: tuple[Quantity, ...] = (*_weather(), *_water(), *_extra(), *_alarms(), *_console())
"""All of them."""
