"""The channels of a Rigol DP832: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from functools import partial
from typing import Any

from drivers import _rigol_dp832 as dp
from drivers._block_plan import Block
from drivers._channel_words import item_fields, texts_of
from drivers.channel import Channel
from drivers.rigol_dp832 import RigolDP832
from mktl.errors import BadValue

__all__ = ["blocks_of", "channels_of"]

_FAST_S, _USUAL_S, _SLOW_S = 1.0, 5.0, 60.0
_MEASURED = (
    ("voltage", "voltage_v", "Voltage at the terminals of channel", "volt", "%.3f"),
    ("current", "current_a", "Current from channel", "ampere", "%.4f"),
    ("power", "power_w", "Power from channel", "watt", "%.3f"),
)
_ON_OFF = {"0": "Off", "1": "On"}


def channels_of(psu: RigolDP832) -> tuple[Channel, ...]:
    """Return all channels, bound to *psu*; nothing is sent."""
    return (
        *(channel for of in _OF_CHANNEL for n in dp.CHANNELS for channel in of(psu, n)),
        Channel(
            "identity",
            {"description": "Maker, model, serial, firmware", "type": "string"},
            psu.identity,
            poll_s=None,
            sent_bytes=6,
            received_bytes=50,
        ),
    )


def blocks_of(psu: RigolDP832) -> Iterator[Block]:
    """Give what one message can read together."""
    for n in dp.CHANNELS:
        yield Block(
            tuple(f"{name}.{n}" for name, *_ in _MEASURED),
            partial(_all_measured, psu, n),
            f":MEAS:ALL? CH{n}",
            15,
            22,
        )
        yield Block(
            (f"setpoint.voltage.{n}", f"setpoint.current.{n}"),
            partial(psu.setpoints, n),
            f":APPL? CH{n}",
            11,
            26,
        )


def _all_measured(psu: RigolDP832, n: int) -> tuple[float, ...]:
    return astuple(psu.measured(n))


def _of_measured(psu: RigolDP832, n: int) -> Iterator[Channel]:
    for name, field, description, units, format_ in _MEASURED:
        yield Channel(
            f"{name}.{n}",
            item_fields(f"{description} {n}", units=units, format=format_),
            partial(_measured, psu, n, field),
            poll_s=_FAST_S,
            sent_bytes=15,
            received_bytes=22,
        )
    yield Channel(
        f"mode.{n}",
        item_fields(
            f"How channel {n} regulates (CV, CC or UR)",
            "enumerated",
            enumerators=texts_of(dp.MODES),
        ),
        partial(psu.regulation_mode, n),
        poll_s=_FAST_S,
        sent_bytes=16,
        received_bytes=3,
    )


def _measured(psu: RigolDP832, n: int, field: str) -> float:
    value: float = getattr(psu.measured(n), field)
    return value


def _of_setpoints(psu: RigolDP832, n: int) -> Iterator[Channel]:
    volts, amperes = dp.HIGHEST_V[n], dp.HIGHEST_A[n]
    yield Channel(
        f"setpoint.voltage.{n}",
        item_fields(
            f"Voltage that channel {n} is set to, up to {volts:g} V",
            units="volt",
            format="%.3f",
            range=[0, volts],
        ),
        partial(psu.setpoint_v, n),
        partial(psu.set_setpoint_v, n),
        sent_bytes=13,
        received_bytes=7,
    )
    yield Channel(
        f"setpoint.current.{n}",
        item_fields(
            f"Limit of the current from channel {n}, up to {amperes:g} A",
            units="ampere",
            format="%.4f",
            range=[0, amperes],
        ),
        partial(psu.setpoint_a, n),
        partial(psu.set_setpoint_a, n),
        sent_bytes=13,
        received_bytes=7,
    )
    yield Channel(
        f"output.{n}",
        item_fields(f"Output of channel {n}; a trip turns it off", "boolean", enumerators=_ON_OFF),
        partial(psu.output, n),
        partial(psu.set_output, n),
        _FAST_S,
        sent_bytes=11,
        received_bytes=4,
    )


def _of_over_voltage(psu: RigolDP832, n: int) -> Iterator[Channel]:
    yield Channel(
        f"ovp.{n}.level",
        item_fields(f"Voltage at which channel {n} trips", units="volt", format="%.3f"),
        partial(psu.over_voltage_level_v, n),
        partial(psu.set_over_voltage_level_v, n),
        _SLOW_S,
        sent_bytes=19,
        received_bytes=7,
    )
    yield Channel(
        f"ovp.{n}.enabled",
        item_fields(f"Over-voltage protection of channel {n}", "boolean", enumerators=_ON_OFF),
        partial(psu.over_voltage_enabled, n),
        partial(psu.set_over_voltage_enabled, n),
        _SLOW_S,
        sent_bytes=15,
        received_bytes=4,
    )
    yield _trip(
        f"ovp.{n}.tripped",
        f"Whether over-voltage has turned channel {n} off; setting it to OK clears the trip",
        partial(psu.over_voltage_tripped, n),
        partial(psu.clear_over_voltage, n),
    )


def _of_over_current(psu: RigolDP832, n: int) -> Iterator[Channel]:
    yield Channel(
        f"ocp.{n}.level",
        item_fields(f"Current at which channel {n} trips", units="ampere", format="%.4f"),
        partial(psu.over_current_level_a, n),
        partial(psu.set_over_current_level_a, n),
        _SLOW_S,
        sent_bytes=19,
        received_bytes=7,
    )
    yield Channel(
        f"ocp.{n}.enabled",
        item_fields(f"Over-current protection of channel {n}", "boolean", enumerators=_ON_OFF),
        partial(psu.over_current_enabled, n),
        partial(psu.set_over_current_enabled, n),
        _SLOW_S,
        sent_bytes=15,
        received_bytes=4,
    )
    yield _trip(
        f"ocp.{n}.tripped",
        f"Whether over-current has turned channel {n} off; setting it to OK clears the trip",
        partial(psu.over_current_tripped, n),
        partial(psu.clear_over_current, n),
    )


def _trip(path: str, description: str, read: Any, clear: Any) -> Channel:
    return Channel(
        path,
        item_fields(description, "boolean", enumerators={"0": "OK", "1": "Tripped"}),
        read,
        partial(_clear, path, clear),
        _FAST_S,
        sent_bytes=20,
        received_bytes=4,
    )


def _clear(path: str, clear: Any, value: object) -> None:
    if dp.on_or_off(value) == "ON":
        raise BadValue(f"{path} can be set to OK only, which clears a trip")
    clear()


_OF_CHANNEL = (_of_measured, _of_setpoints, _of_over_voltage, _of_over_current)
