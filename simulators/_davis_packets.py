"""Bytes of a Vantage console: the LOOP packet, and how it writes numbers, dates and checksums.

The layout is that of the sheet. Pure.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Iterable
from datetime import date, datetime

from simulators._davis_sensors import NO_BYTE, Sensors, inches_of_mercury

__all__ = [
    "LINE_END",
    "LOOP_LENGTH",
    "checked",
    "date_code",
    "loop_packet",
    "mph",
    "pressure",
    "temperature",
    "time_code",
    "uv",
    "whole",
    "with_crc",
]

LINE_END = b"\n\r"
"""In this order."""
LOOP_LENGTH = 99
"""Bytes of a LOOP packet, with its checksum."""
_NO_TEMPERATURE, _NO_WORD, _NO_SOLAR = 0x7FFF, 0xFFFF, 0x7FFF
_SUNRISE, _SUNSET = 500, 1900
_RAIN_ICON, _CLOUD_ICON, _PARTLY_ICON, _SUN_ICON = 0x03, 0x02, 0x06, 0x08
_CLOUDY, _CLEAR = 0.7, 0.3
_RULE = 45
_LOOP = struct.Struct("<3sbBHHhBhBBH7s4s4sB7sHBHHHHHHHHH4s4s16sBHBBHH2s")


def with_crc(data: bytes) -> bytes:
    """Give *data* with its CRC-16/CCITT behind it, high byte first."""
    return data + crc_hqx(data, 0).to_bytes(2, "big")


def checked(data: bytes) -> bytes | None:
    """Give *data* without its checksum; None: that is wrong."""
    # The checksum over data and checksum is zero.
    return data[:-2] if crc_hqx(data, 0) == 0 else None


def whole(value: float | None, *, none: int, high: int) -> int:
    """Round *value* to what fits; *none* stands for none."""
    return none if value is None else min(high, max(0, round(value)))


def temperature(celsius: float | None) -> int:
    """Give tenths of a degree Fahrenheit."""
    return _NO_TEMPERATURE if celsius is None else round((celsius * 1.8 + 32) * 10)


def pressure(hpa: float | None) -> int:
    """Give thousandths of an inch of mercury."""
    inches = None if hpa is None else inches_of_mercury(hpa) * 1000
    return whole(inches, none=_NO_WORD, high=_NO_WORD - 1)


def mph(m_s: float | None) -> int:
    """Give miles per hour."""
    return whole(None if m_s is None else m_s / 0.44704, none=NO_BYTE, high=NO_BYTE - 1)


def uv(index: float | None) -> int:
    """Give tenths of the UV index."""
    return whole(None if index is None else index * 10, none=NO_BYTE, high=NO_BYTE - 1)


def date_code(day: date | None) -> int:
    """Give a date as the archive has it: day, month from bit 5, years since 2000 from bit 9."""
    return _NO_WORD if day is None else day.day | day.month << 5 | (day.year - 2000) << 9


def time_code(time: datetime) -> int:
    """Give hours times hundred and minutes."""
    return time.hour * 100 + time.minute


def loop_packet(sensors: Sensors, *, next_record: int) -> bytes:
    """Give a LOOP packet of what the sensors feel now."""
    day, month, year = sensors.day, sensors.month, sensors.year
    average_m_s = None if sensors.wind_m_s is None else sensors.wind_average_m_s
    return with_crc(
        _LOOP.pack(
            b"LOO",
            sensors.trend(),
            0,
            next_record,
            pressure(sensors.pressure_hpa),
            temperature(None if sensors.inside_missing else sensors.inside_c),
            NO_BYTE if sensors.inside_missing else round(sensors.inside_percent),
            temperature(sensors.outside_c),
            mph(sensors.wind_m_s),
            mph(average_m_s),
            0 if sensors.wind_m_s is None else round(sensors.weather.wind_deg) or 360,
            _offset(sensors.extra_temperature_f),
            _offset(sensors.soil_temperature_f),
            _offset(sensors.leaf_temperature_f),
            whole(sensors.outside_percent, none=NO_BYTE, high=100),
            bytes(map(int, sensors.extra_humidity)),
            whole(sensors.rain_clicks_h, none=_NO_WORD, high=_NO_WORD - 1),
            uv(sensors.uv_index),
            whole(sensors.solar_w_m2, none=_NO_SOLAR, high=_NO_SOLAR - 1),
            sensors.storm_clicks,
            _storm_date(sensors.storm_since),
            *(total.rain_clicks for total in (day, month, year)),
            round(day.et_inch * 1000),
            round(month.et_inch * 100),
            round(year.et_inch * 100),
            bytes(map(int, sensors.soil_moisture)),
            bytes(map(int, sensors.leaf_wetness)),
            bytes(map(int, sensors.alarms)),
            sensors.low_transmitters,
            round(sensors.console_battery_v * 100 * 512 / 300),
            _icon(sensors),
            _RULE,
            _SUNRISE,
            _SUNSET,
            LINE_END,
        )
    )


def _offset(temperatures_f: Iterable[float]) -> bytes:
    return bytes(round(value) + 90 for value in temperatures_f)


def _storm_date(day: date | None) -> int:
    # Not as in the archive: month from bit 12, day from bit 7, years since 2000.
    return _NO_WORD if day is None else day.month << 12 | day.day << 7 | day.year - 2000


def _icon(sensors: Sensors) -> int:
    if sensors.weather.rain_mm_h:
        return _RAIN_ICON
    if sensors.weather.cloud > _CLOUDY:
        return _CLOUD_ICON
    return _PARTLY_ICON if sensors.weather.cloud > _CLEAR else _SUN_ICON
