"""The channels of a Davis console: what packets say, and what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from drivers import _davis_console as da
from drivers._davis_quantities import QUANTITIES
from drivers.channel import Channel
from drivers.davis_vantage import DavisVantage

__all__ = ["channels_of"]


def channels_of(station: DavisVantage) -> tuple[Channel, ...]:
    """Return all channels, bound to *station*; nothing is sent."""
    return (*_heard(station), *_of_stream(station), *_clock(station), *_asked(station))


def _heard(station: DavisVantage) -> Iterator[Channel]:
    for one in QUANTITIES:
        yield Channel(
            one.path,
            {"description": one.description, "type": one.type, **one.fields},
            partial(station.value, one.path),
            poll_s=None,
            listen=partial(station.listen, one.path),
        )


def _of_stream(station: DavisVantage) -> Iterator[Channel]:
    yield Channel(
        "packets.damaged",
        _item("About how many packets came damaged, and were dropped", format="%d"),
        lambda: station.damage.count,
        poll_s=60.0,
        sent_bytes=0,
        received_bytes=0,
    )


def _clock(station: DavisVantage) -> Iterator[Channel]:
    query: dict[str, Any] = {"sent_bytes": 9, "received_bytes": 11}
    yield Channel(
        "clock",
        _item("Clock of the console, as YYYY-MM-DD hh:mm:ss", "string"),
        lambda: station.console_time().strftime(da.TIME_FORMAT),
        lambda text: station.set_console_time(da.from_text(text)),
        poll_s=None,
        **query,
    )
    yield Channel(
        "clock.offset",
        _item(
            "By how much the clock of the console is ahead of that of this machine; 0 sets it",
            units="s",
            format="%.0f",
            range=[-86400, 86400],
        ),
        station.clock_offset_s,
        station.set_clock_offset_s,
        poll_s=3600.0,
        **query,
    )


def _asked(station: DavisVantage) -> Iterator[Channel]:
    reads: tuple[tuple[str, dict[str, Any], Callable[[], Any]], ...] = (
        ("identity", _item("Kind of the station", "string"), station.station),
        ("firmware", _item("Version of the firmware", "string"), station.firmware),
        ("firmware.date", _item("Date of the firmware", "string"), station.firmware_date),
        (
            "rain.click",
            _item("Rain that a click of the bucket means", units="mm", format="%.3f"),
            station.rain_click_mm,
        ),
        (
            "rain.year.begins",
            _item("Month in which the year of rain begins", format="%d"),
            station.rain_year_month,
        ),
        (
            "archive.period",
            _item("How often the console archives", units="min", format="%d"),
            station.archive_period_min,
        ),
        (
            "altitude",
            _item("Altitude that the console was told", units="m", format="%.0f"),
            station.altitude_m,
        ),
    )
    for path, item, read in reads:
        yield Channel(path, item, read, poll_s=None, sent_bytes=13, received_bytes=10)


def _item(description: str, kind: str = "numeric", **fields: Any) -> dict[str, Any]:
    return {"description": description, "type": kind, **fields}
