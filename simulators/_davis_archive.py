"""The archive of a Vantage console: a ring of records, which a host dumps in pages of five.

The sheet has a page of 267 bytes and the date that a dump begins after. What is in a page and in a
record is general knowledge (Davis, Vantage serial communication reference, revision B records):
one byte of sequence, five records of 52 bytes, four unused bytes, checksum.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from simulators._davis_packets import (
    date_code,
    mph,
    pressure,
    temperature,
    time_code,
    uv,
    whole,
    with_crc,
)
from simulators._davis_sensors import NO_BYTE, Sensors

__all__ = ["RECORDS", "Archive", "stamp"]

RECORDS = 2560
"""Records in the ring; the oldest is overwritten."""
_PER_PAGE = 5
_NO_WORD = 0xFFFF
_RECORD = struct.Struct("<HHhhhHHHHHhBBBBBBBBHBB2s2s4sB2s3s4s")
_EMPTY = b"\xff" * _RECORD.size
_SECTOR_DEG = 22.5


def stamp(time: datetime) -> tuple[int, int]:
    """Give the date and the time of a record, as it has them."""
    return date_code(time.date()), time_code(time)


@dataclass(slots=True)
class Mean:
    """Mean and extremes of one quantity over a period; it has none while nothing was added."""

    total: float = 0.0
    count: int = 0
    high: float | None = None
    low: float | None = None

    def add(self, value: float | None) -> None:
        """Add a reading, if there is one."""
        if value is None:
            return
        self.total += value
        self.count += 1
        self.high = value if self.high is None else max(self.high, value)
        self.low = value if self.low is None else min(self.low, value)

    @property
    def mean(self) -> float | None:
        """The mean; None: nothing was added."""
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class Period:
    """What the sensors have felt since the last record."""

    outside_c: Mean = field(default_factory=Mean)
    wind_m_s: Mean = field(default_factory=Mean)
    solar_w_m2: Mean = field(default_factory=Mean)
    uv_index: Mean = field(default_factory=Mean)
    rain_clicks_h: Mean = field(default_factory=Mean)
    sectors: Counter[int] = field(default_factory=Counter)
    high_sector: int = NO_BYTE
    rain_clicks: int = 0
    et_inch_before: float = 0.0

    def add(self, sensors: Sensors, clicks: int) -> None:
        """Take what the sensors feel now, and the *clicks* of the bucket."""
        wind_m_s = sensors.wind_m_s
        if wind_m_s is not None:
            sector = round(sensors.weather.wind_deg / _SECTOR_DEG) % 16
            self.sectors[sector] += 1
            if self.wind_m_s.high is None or wind_m_s > self.wind_m_s.high:
                self.high_sector = sector
        self.wind_m_s.add(wind_m_s)
        self.outside_c.add(sensors.outside_c)
        self.solar_w_m2.add(sensors.solar_w_m2)
        self.uv_index.add(sensors.uv_index)
        self.rain_clicks_h.add(sensors.rain_clicks_h)
        self.rain_clicks += clicks

    def record(self, sensors: Sensors, time: datetime) -> bytes:
        """Give the record that ends at *time*."""
        prevailing = self.sectors.most_common(1)
        et_inch = max(0.0, sensors.year.et_inch - self.et_inch_before)
        return _RECORD.pack(
            *stamp(time),
            temperature(self.outside_c.mean),
            # An extreme that there is none of is beyond all that there could be.
            -32768 if self.outside_c.high is None else temperature(self.outside_c.high),
            temperature(self.outside_c.low),
            self.rain_clicks,
            whole(self.rain_clicks_h.high, none=0, high=_NO_WORD - 1),
            pressure(sensors.pressure_hpa),
            whole(self.solar_w_m2.mean, none=0x7FFF, high=0x7FFE),
            self.wind_m_s.count,
            temperature(None if sensors.inside_missing else sensors.inside_c),
            NO_BYTE if sensors.inside_missing else round(sensors.inside_percent),
            whole(sensors.outside_percent, none=NO_BYTE, high=100),
            mph(self.wind_m_s.mean),
            mph(self.wind_m_s.high),
            self.high_sector,
            prevailing[0][0] if prevailing else NO_BYTE,
            uv(self.uv_index.mean),
            whole(et_inch * 1000, none=0, high=NO_BYTE),
            whole(self.solar_w_m2.high, none=0, high=0x7FFE),
            uv(self.uv_index.high),
            NO_BYTE,
            *(b"\xff" * 2, b"\xff" * 2, b"\xff" * 4),
            0,
            *(b"\xff" * 2, b"\xff" * 3, b"\xff" * 4),
        )


class Archive:
    """The ring, and the period that the next record will be of."""

    def __init__(self) -> None:
        """Begin empty."""
        self.next_record = 0
        self._ring = [_EMPTY] * RECORDS
        self._written = 0
        self._period = Period()
        self._interval: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """How many records there are."""
        return min(self._written, RECORDS)

    def step(self, sensors: Sensors, clicks: int, now: datetime, minutes: int) -> None:
        """Take what the sensors feel *now*; each time that *minutes* are over: write a record."""
        self._period.add(sensors, clicks)
        if not minutes:
            return
        interval = now.toordinal(), (now.hour * 60 + now.minute) // minutes
        before, self._interval = self._interval, interval
        if before is not None and before != interval:
            self._write(self._period.record(sensors, now.replace(second=0)))
            self._period = Period(et_inch_before=sensors.year.et_inch)

    def pages_after(self, begin: tuple[int, int]) -> tuple[list[bytes], int]:
        """Give the pages with the records after *begin*, and which of the first page is the first.

        The last page goes on with what is in the ring from the last time around.
        """
        oldest = self._written - self.count
        first = next(
            (at for at in range(oldest, self._written) if self._stamp_of(at) > begin), None
        )
        if first is None:
            return [], 0
        begin_page, end_page = first // _PER_PAGE, (self._written - 1) // _PER_PAGE
        pages = [
            self._page(number, page) for number, page in enumerate(range(begin_page, end_page + 1))
        ]
        return pages, first % _PER_PAGE

    def _write(self, record: bytes) -> None:
        self._ring[self.next_record] = record
        self._written += 1
        self.next_record = self._written % RECORDS

    def _stamp_of(self, at: int) -> tuple[int, int]:
        date, time = struct.unpack_from("<HH", self._ring[at % RECORDS])
        return date, time

    def _page(self, number: int, page: int) -> bytes:
        records = (self._ring[(page * _PER_PAGE + each) % RECORDS] for each in range(_PER_PAGE))
        return with_crc(bytes([number % 256]) + b"".join(records) + b"\xff" * 4)
