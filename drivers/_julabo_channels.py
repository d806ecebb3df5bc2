"""The channels of a Julabo: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drivers import _julabo as ju
from drivers._block_plan import Block
from drivers._channel_words import item_fields, texts_of
from drivers.channel import Channel
from drivers.julabo import Julabo

__all__ = ["blocks_of", "channels_of"]

_FAST_S, _USUAL_S, _SLOW_S = 1.0, 5.0, 60.0
_CELSIUS: dict[str, Any] = {"units": "degC", "format": "%.2f"}
_QUERY: dict[str, Any] = {"sent_bytes": 9, "received_bytes": 7}
_MODE_QUERY: dict[str, Any] = {"sent_bytes": 11, "received_bytes": 3}
_STATUS_QUERY: dict[str, Any] = {"sent_bytes": 7, "received_bytes": 17}


def channels_of(unit: Julabo) -> tuple[Channel, ...]:
    """Return all channels, bound to *unit*; nothing is sent."""
    return tuple(channel for of in _ALL for channel in of(unit))


def blocks_of(unit: Julabo) -> tuple[Block, ...]:
    """Return what one message can read together."""

    def read() -> tuple[int, int, str]:
        status = unit.unit_status()
        return status.state, status.alarm, status.text

    return (Block(("status", "alarm", "status.text"), read, "status", 7, 17),)


def _readings(unit: Julabo) -> Iterator[Channel]:
    yield Channel(
        "temperature",
        item_fields("Temperature of the bath", **_CELSIUS),
        unit.bath_temperature_c,
        poll_s=_FAST_S,
        **_QUERY,
    )
    yield Channel(
        "power",
        item_fields("Heating power; negative when it cools", units="percent", format="%.1f"),
        unit.heating_percent,
        **_QUERY,
    )
    for path, description, read in (
        ("temperature.external", "Temperature of the external Pt100", unit.external_temperature_c),
        ("temperature.safety", "Temperature of the safety sensor", unit.safety_temperature_c),
    ):
        yield Channel(path, item_fields(description, **_CELSIUS), read, **_QUERY)
    for path, description, read in (
        ("excess", "Setting of the excess temperature protection", unit.excess_temperature_c),
        ("limit.high", "High warning limit", unit.high_limit_c),
        ("limit.low", "Low warning limit", unit.low_limit_c),
    ):
        yield Channel(path, item_fields(description, **_CELSIUS), read, poll_s=_SLOW_S, **_QUERY)


def _status(unit: Julabo) -> Iterator[Channel]:
    yield Channel(
        "status",
        item_fields(
            "Who commands the unit, and whether it runs; or that it has an alarm",
            "enumerated",
            enumerators=texts_of(
                {
                    **ju.STATES,
                    ju.ALARM_STATE: "Alarm",
                    ju.UNCLEAR_STATE: "Unclear: see status.text",
                }
            ),
        ),
        lambda: unit.unit_status().state,
        poll_s=_FAST_S,
        **_STATUS_QUERY,
    )
    yield Channel(
        "alarm",
        item_fields(
            "The alarm or warning that the unit gives as its status",
            "enumerated",
            enumerators=texts_of(
                {ju.NO_ALARM: "None", **ju.ALARMS, ju.OTHER_ALARM: "Another one: see status.text"}
            ),
        ),
        lambda: unit.unit_status().alarm,
        poll_s=_FAST_S,
        **_STATUS_QUERY,
    )
    yield Channel(
        "status.text",
        item_fields("Status in the words of the unit", "string"),
        lambda: unit.unit_status().text,
        poll_s=_FAST_S,
        **_STATUS_QUERY,
    )
    yield Channel(
        "identity",
        item_fields("Model and version of the firmware", "string"),
        unit.identity,
        poll_s=None,
        sent_bytes=8,
        received_bytes=40,
    )


def _settings(unit: Julabo) -> Iterator[Channel]:
    yield Channel(
        "setpoint",
        item_fields("Set-point 1", range=[-273.15, 999.99], **_CELSIUS),
        unit.setpoint_c,
        unit.set_setpoint_c,
        **_QUERY,
    )
    yield Channel(
        "setpoint.active",
        item_fields(
            "The set-point that is in force",
            "enumerated",
            enumerators=texts_of({index: f"Set-point {index + 1}" for index in range(3)}),
        ),
        unit.active_setpoint,
        unit.set_active_setpoint,
        **_MODE_QUERY,
    )
    yield Channel(
        "running",
        item_fields(
            "Whether the unit circulates and controls",
            "boolean",
            enumerators=texts_of({0: "Stopped", 1: "Running"}),
        ),
        unit.running,
        unit.set_running,
        _FAST_S,
        **_MODE_QUERY,
    )
    yield Channel(
        "control",
        item_fields(
            "The sensor that is controlled with",
            "boolean",
            enumerators=texts_of({0: "Internal", 1: "External"}),
        ),
        unit.external_control,
        unit.set_external_control,
        **_MODE_QUERY,
    )
    yield Channel(
        "pump",
        item_fields("Stage of the pump, 1 to 4", format="%d", range=[1, 4]),
        unit.pump_stage,
        unit.set_pump_stage,
        **_QUERY,
    )


def _controller(unit: Julabo) -> Iterator[Channel]:
    for path, description, format_, bounds, read, write in (
        ("xp", "Xp, the proportional band", "%.1f", [0.1, 99.9], unit.xp, unit.set_xp),
        ("tn", "Tn, the reset time", "%d", [3, 9999], unit.tn, unit.set_tn),
        ("tv", "Tv, the derivative time", "%d", [0, 999], unit.tv, unit.set_tv),
    ):
        yield Channel(
            path,
            item_fields(description, format=format_, range=bounds),
            read,
            write,
            _SLOW_S,
            sent_bytes=10,
            received_bytes=7,
        )


_ALL = (_readings, _status, _settings, _controller)
