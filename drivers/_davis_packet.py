"""What a LOOP packet says: its fields, and how each becomes a value in our units. Pure.

Source: the sheet of the instrument, section "LOOP packet". General knowledge, of the serial
communication reference of Davis, are the codes of the trend and the packing of the storm date.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "DASH8",
    "DASH16",
    "DASH_I16",
    "TREND_CODES",
    "Loop",
    "NoValue",
    "Read",
    "as_it_is",
    "date",
    "fahrenheit_above_90",
    "fahrenheit_tenths",
    "number",
    "rain",
    "time_of_day",
    "to_loop",
    "trend",
]

_PACKET = struct.Struct("<3xbBHHhBhBBH7s4s4sB7sHBHHHHHHHHH4s4s16sBHBBHH")
DASH8, DASH16, DASH_I16 = 0xFF, 0xFFFF, 0x7FFF
"""What stands for dashes on the display: there is no value. Source: sheet, "Dash values"."""

TREND_CODES = (-60, -20, 0, 20, 60)
"""From falling rapidly to rising rapidly; in the packet, signed."""
_NO_TREND_IN_REVISION_A = ord("P")


class Loop(NamedTuple):
    """The fields of a packet, as they come; see the sheet for units."""

    trend: int
    kind: int
    next_record: int
    barometer: int
    inside_temperature: int
    inside_humidity: int
    outside_temperature: int
    wind: int
    wind_average: int
    wind_direction: int
    extra_temperatures: bytes
    soil_temperatures: bytes
    leaf_temperatures: bytes
    outside_humidity: int
    extra_humidities: bytes
    rain_rate: int
    uv: int
    solar: int
    storm_rain: int
    storm_date: int
    rain_today: int
    rain_month: int
    rain_year: int
    et_today: int
    et_month: int
    et_year: int
    soil_moistures: bytes
    leaf_wetness: bytes
    alarms: bytes
    transmitter_battery: int
    console_battery: int
    forecast_icons: int
    forecast_rule: int
    sunrise: int
    sunset: int


@dataclass(frozen=True, slots=True)
class NoValue:
    """There is no value, and why."""

    reason: str
    """Why, in one line."""
    odd: bool = False
    """Whether that is so because what came cannot be true."""


Read = Callable[[int, int | None], Any]
"""From a field, and the micrometres of a click of the rain bucket, to a value or a NoValue."""


def to_loop(packet: bytes) -> Loop:
    """Return the fields of a packet that is whole."""
    return Loop(*_PACKET.unpack_from(packet))


# --- readers --------------------------------------------------------------------------------------


def number(
    low: int, high: int, dashes: Collection[int], convert: Callable[[int], float] = float
) -> Read:
    """Return what reads a number that has to be within *low* and *high* as it comes."""

    def read(raw: int, _click_um: int | None) -> Any:
        if raw in dashes:
            return NoValue("the console shows dashes: it has no such sensor, or does not hear it")
        if not low <= raw <= high:
            return NoValue(f"{convert(raw):g} is not plausible", odd=True)
        return convert(raw)

    return read


def rain(high: int = DASH16) -> Read:
    """Return what reads a number of clicks of the rain bucket as millimetres."""
    clicks = number(0, high, (DASH16,), int)

    def read(raw: int, click_um: int | None) -> Any:
        found = clicks(raw, None)
        if isinstance(found, NoValue):
            return found
        if click_um is None:
            return NoValue("what a click of its rain bucket means is not known")
        return found * click_um / 1000

    return read


def fahrenheit_tenths(raw: int) -> float:
    """Return tenths of a degree Fahrenheit as degrees Celsius."""
    return (raw - 320) / 18


def fahrenheit_above_90(raw: int) -> float:
    """Return degrees Fahrenheit, with 90 added to them, as degrees Celsius."""
    return (raw - 90 - 32) / 1.8


def as_it_is(raw: int, _click_um: int | None) -> Any:
    """Read what needs no conversion, and may be anything: bits."""
    return raw


def trend(raw: int, _click_um: int | None) -> Any:
    """Read a trend, as its place in :data:`TREND_CODES`."""
    if raw in TREND_CODES:
        return TREND_CODES.index(raw)
    if raw == _NO_TREND_IN_REVISION_A:
        return NoValue("the firmware of the console (revision A) tells no trend")
    return NoValue("the console has no trend before it has run for three hours")


def time_of_day(raw: int, _click_um: int | None) -> Any:
    """Read hhmm as hours."""
    if raw in (DASH16, DASH_I16):
        return NoValue("the console shows dashes: it does not know where it is")
    hour, minute = divmod(raw, 100)
    if hour > 23 or minute > 59:
        return NoValue(f"{raw} is no time of a day", odd=True)
    return hour + minute / 60


def date(raw: int, _click_um: int | None) -> Any:
    """Read month (4 bits), day (5) and year (7) as a text; empty if there is none."""
    if raw == DASH16:
        return ""
    year, month, day = 2000 + (raw & 0x7F), raw >> 12, raw >> 7 & 0x1F
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return NoValue(f"{raw:#06x} is no date", odd=True)
    return f"{year:04d}-{month:02d}-{day:02d}"
