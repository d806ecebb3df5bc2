"""The channels of a Pfeiffer TPG 36x: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from drivers import _pfeiffer_tpg36x as tpg
from drivers._block_plan import Block
from drivers.channel import Channel
from drivers.pfeiffer_tpg36x import PfeifferTPG36x

__all__ = ["blocks_of", "channels_of"]

_FAST_S, _USUAL_S, _SLOW_S = 1.0, 5.0, 60.0
# Around each query: CR and ENQ, and the acknowledgement with two ends of a line.
_SENT, _RECEIVED = 2, 5
_ONE = 13  # a status, a value and a comma
# The unit is asked before and after.
_UNIT_SENT, _UNIT_RECEIVED = 2 * (3 + _SENT), 2 * (1 + _RECEIVED)


def channels_of(unit: PfeifferTPG36x) -> tuple[Channel, ...]:
    """Return all channels, bound to *unit*; nothing is sent."""
    return (
        *(channel for n in range(1, unit.count + 1) for channel in _of_channel(unit, n)),
        *_of_unit(unit),
    )


def blocks_of(unit: PfeifferTPG36x) -> tuple[Block, ...]:
    """Return what one message can read together."""
    numbers = range(1, unit.count + 1)
    return (
        Block(
            (*(f"pressure.{n}" for n in numbers), *(f"status.{n}" for n in numbers)),
            partial(_all_measured, unit),
            "PRX",
            3 + _SENT + _UNIT_SENT,
            _ONE * unit.count + _RECEIVED + _UNIT_RECEIVED,
        ),
        Block(
            tuple(f"gauge.{n}" for n in numbers),
            unit.gauges,
            "SEN",
            3 + _SENT,
            2 * unit.count + _RECEIVED,
        ),
        Block(
            tuple(f"type.{n}" for n in numbers),
            unit.gauge_types,
            "TID",
            3 + _SENT,
            9 * unit.count + _RECEIVED,
        ),
    )


def _all_measured(unit: PfeifferTPG36x) -> tuple[Any, ...]:
    found = unit.measurements()
    pressures = (unit.pressure_of(n, one) for n, one in enumerate(found, 1))
    return (*pressures, *(one.status for one in found))


def _of_channel(unit: PfeifferTPG36x, n: int) -> Iterator[Channel]:
    yield Channel(
        f"pressure.{n}",
        _item(f"Pressure at channel {n}; 1 hPa is 1 mbar", units="hPa", format="%.3e"),
        partial(unit.pressure_hpa, n),
        poll_s=_FAST_S,
        sent_bytes=3 + _SENT + _UNIT_SENT,
        received_bytes=_ONE + _RECEIVED + _UNIT_RECEIVED,
    )
    yield Channel(
        f"status.{n}",
        _item(
            f"Whether channel {n} has a pressure, or why not",
            "enumerated",
            enumerators=_texts(tpg.STATUSES),
        ),
        partial(unit.gauge_status, n),
        poll_s=_FAST_S,
        sent_bytes=3 + _SENT,
        received_bytes=_ONE + _RECEIVED,
    )
    yield Channel(
        f"gauge.{n}",
        _item(
            f"Whether the gauge of channel {n} is on", "enumerated", enumerators=_texts(tpg.GAUGES)
        ),
        partial(unit.gauge, n),
        partial(unit.set_gauge, n),
        _USUAL_S,
        sent_bytes=3 + _SENT,
        received_bytes=2 * unit.count + _RECEIVED,
    )
    yield Channel(
        f"type.{n}",
        _item(f"What gauge is plugged into channel {n}", "string"),
        partial(unit.gauge_type, n),
        poll_s=_SLOW_S,
        sent_bytes=3 + _SENT,
        received_bytes=9 * unit.count + _RECEIVED,
    )


def _of_unit(unit: PfeifferTPG36x) -> Iterator[Channel]:
    yield Channel(
        "unit",
        _item(
            "The unit that the panel shows; the pressures here are in hPa all the same",
            "enumerated",
            enumerators=_texts(tpg.UNITS),
        ),
        unit.display_unit,
        unit.set_display_unit,
        _USUAL_S,
        sent_bytes=3 + _SENT,
        received_bytes=1 + _RECEIVED,
    )
    yield Channel(
        "errors",
        _item(
            "The error word; reading it clears it in the unit",
            "mask",
            enumerators={"None": "None", **_texts(tpg.ERRORS)},
        ),
        unit.error_word,
        poll_s=None,
        sent_bytes=3 + _SENT,
        received_bytes=4 + _RECEIVED,
    )
    yield Channel(
        "identity",
        _item("Model, part number, serial number, firmware, hardware", "string"),
        unit.identity,
        poll_s=None,
        sent_bytes=3 + _SENT,
        received_bytes=40 + _RECEIVED,
    )
    yield Channel(
        "firmware",
        _item("Version of the firmware", "string"),
        unit.firmware,
        poll_s=None,
        sent_bytes=3 + _SENT,
        received_bytes=6 + _RECEIVED,
    )


def _item(description: str, kind: str = "numeric", **fields: Any) -> dict[str, Any]:
    return {"description": description, "type": kind, **fields}


def _texts(names: dict[int, str]) -> dict[str, str]:
    return {str(number): text for number, text in names.items()}
