"""The channels of a Keysight 34465A: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drivers import _keysight_34465a as dmm
from drivers._block_plan import Block
from drivers._keysight_34465a_measuring import Measured
from drivers.channel import Channel
from drivers.keysight_34465a import Keysight34465A
from mktl.errors import InvalidReading

__all__ = ["blocks_of", "channels_of"]

_FAST_S, _USUAL_S, _SLOW_S = 1.0, 5.0, 60.0
_OF_FUNCTION = {"voltage": dmm.VOLTAGE, "resistance": dmm.RESISTANCE}
# All that belongs to one measurement: the settings, INIT, some looks, the readings.
_MEASUREMENT: dict[str, Any] = {"sent_bytes": 140, "received_bytes": 120, "slow": True}


def channels_of(meter: Keysight34465A) -> tuple[Channel, ...]:
    """Return all channels, bound to *meter*; nothing is sent."""
    return tuple(channel for of in (_readings, _settings, _instrument) for channel in of(meter))


def blocks_of(meter: Keysight34465A) -> tuple[Block, ...]:
    """Return what one measurement can read together."""

    def read() -> tuple[Any, ...]:
        found = meter.measure()
        return (*(_only(meter, found, path) for path in _OF_FUNCTION), found.mean, [*found.values])

    paths = (*_OF_FUNCTION, "reading", "readings")
    sent, received = _MEASUREMENT["sent_bytes"], _MEASUREMENT["received_bytes"]
    return (Block(paths, read, "a measurement", sent, received),)


def _only(meter: Keysight34465A, found: Measured, path: str) -> float | InvalidReading:
    if found.function == _OF_FUNCTION[path]:
        return found.mean
    function = dmm.FUNCTIONS[found.function]
    return InvalidReading(f"{meter.label}: its function is {function}, so that there is no {path}")


def _readings(meter: Keysight34465A) -> Iterator[Channel]:
    yield Channel(
        "voltage",
        _item("DC voltage, mean of the samples", units="volt", format="%.8g"),
        meter.voltage_v,
        poll_s=_USUAL_S,
        **_MEASUREMENT,
    )
    yield Channel(
        "resistance",
        _item("Resistance, mean of the samples", units="ohm", format="%.8g"),
        meter.resistance_ohm,
        poll_s=_USUAL_S,
        **_MEASUREMENT,
    )
    yield Channel(
        "reading",
        _item("What it measures, mean of the samples, in the unit of its function", format="%.8g"),
        meter.reading,
        poll_s=_USUAL_S,
        **_MEASUREMENT,
    )
    yield Channel(
        "readings",
        _item("All samples of a measurement, in the unit of its function", "numeric array"),
        lambda: [*meter.measure().values],
        poll_s=_USUAL_S,
        **_MEASUREMENT,
    )


def _settings(meter: Keysight34465A) -> Iterator[Channel]:
    yield Channel(
        "function",
        _item(
            "What it measures; of these, all but the last can be set",
            "enumerated",
            enumerators=_texts(dmm.FUNCTIONS),
        ),
        meter.function,
        meter.set_function,
        sent_bytes=11,
        received_bytes=7,
    )
    yield Channel(
        "voltage.range",
        _item(
            "Range for DC voltage: 0.1, 1, 10, 100 or 1000 V",
            units="volt",
            format="%g",
            range=[0.1, 1000],
        ),
        meter.range_v,
        meter.set_range_v,
        sent_bytes=19,
        received_bytes=16,
    )
    yield Channel(
        "voltage.autorange",
        _item(
            "Whether it finds the range for DC voltage by itself",
            "boolean",
            enumerators={"0": "Off", "1": "On"},
        ),
        meter.autorange,
        meter.set_autorange,
        sent_bytes=24,
        received_bytes=2,
    )
    yield Channel(
        "voltage.nplc",
        _item(
            "Integration time for DC voltage in periods of the mains: 0.001 (an option), 0.02, "
            "0.06, 0.2, 1, 10 or 100",
            format="%g",
            range=[0.001, 100],
        ),
        meter.nplc,
        meter.set_nplc,
        sent_bytes=19,
        received_bytes=16,
    )
    yield Channel(
        "samples",
        _item("How many readings a measurement has", format="%d", range=[1, dmm.MOST_SAMPLES]),
        meter.samples,
        meter.set_samples,
        sent_bytes=11,
        received_bytes=7,
    )
    yield Channel(
        "trigger",
        _item(
            "What triggers a measurement; with Bus, the driver does it",
            "enumerated",
            enumerators=_texts(dmm.SOURCES),
        ),
        meter.trigger_source,
        meter.set_trigger_source,
        sent_bytes=11,
        received_bytes=4,
    )


def _instrument(meter: Keysight34465A) -> Iterator[Channel]:
    yield Channel(
        "display",
        _item("Text on the display; the empty text shows the readings again", "string"),
        write=meter.set_display,
        poll_s=None,
    )
    for path, description, bits, read, poll_s in (
        ("status", "Status byte", dmm.STATUS, meter.status_byte, _USUAL_S),
        (
            "events",
            "Events since it was last read; reading clears it in the meter",
            dmm.EVENTS,
            meter.events,
            None,
        ),
    ):
        yield Channel(
            path,
            _item(description, "mask", enumerators={"None": "None", **_texts(bits)}),
            read,
            poll_s=poll_s,
            sent_bytes=6,
            received_bytes=4,
        )
    yield Channel(
        "mains",
        _item("Frequency of the mains, as the meter has found it", units="hertz", format="%d"),
        meter.line_hz,
        poll_s=_SLOW_S,
        sent_bytes=10,
        received_bytes=3,
    )
    for path, description, read_text, length in (
        ("identity", "Maker, model, serial, firmware", meter.identity, 60),
        ("options", "Options that are installed; 0: none", meter.options, 8),
    ):
        yield Channel(
            path,
            _item(description, "string"),
            read_text,
            poll_s=None,
            sent_bytes=6,
            received_bytes=length,
        )


def _item(description: str, kind: str = "numeric", **fields: Any) -> dict[str, Any]:
    return {"description": description, "type": kind, **fields}


def _texts(names: dict[int, str]) -> dict[str, str]:
    return {str(number): text for number, text in names.items()}
