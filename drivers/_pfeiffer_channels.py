"""The channels of Pfeiffer drives and gauges: what each parameter looks like as an item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from drivers._block_plan import Block
from drivers._pfeiffer_errors import LEVELS
from drivers._pfeiffer_parameters import FLAG_TEXTS, FLAGS, Parameter, mask_of
from drivers._pfeiffer_types import BOOLEAN, STRING
from drivers._pfeiffer_unit import PfeifferUnit
from drivers.channel import Channel
from drivers.pfeiffer_turbo import PfeifferGauge, PfeifferTurbo
from mktl.errors import DeviceError

__all__ = ["blocks_of_drive", "blocks_of_gauge", "channels_of_drive", "channels_of_gauge"]

_REQUEST = 16
_AROUND = 14  # of a reply: all but its data
_CODE: dict[str, Any] = {"sent_bytes": _REQUEST, "received_bytes": _AROUND + 6}
_FAST_S, _USUAL_S = 1.0, 5.0


def channels_of_drive(drive: PfeifferTurbo) -> tuple[Channel, ...]:
    """Return all channels, bound to *drive*; nothing is sent."""
    return (
        *(_of_parameter(drive, path, one) for path, one in drive.parameters.items()),
        Channel(
            "status",
            _item(
                "What the drive says by yes and no",
                "mask",
                enumerators={"None": "None", **_texts(dict(enumerate(FLAG_TEXTS)))},
            ),
            drive.flags,
            sent_bytes=len(FLAGS) * _REQUEST,
            received_bytes=len(FLAGS) * (_AROUND + 6),
        ),
        *_of_fault(drive),
    )


def channels_of_gauge(gauge: PfeifferGauge) -> tuple[Channel, ...]:
    """Return all channels, bound to *gauge*; nothing is sent."""
    own = {
        "pressure": Channel(
            "pressure",
            _described(gauge.parameters["pressure"]),
            gauge.pressure_hpa,
            poll_s=_FAST_S,
            sent_bytes=2 * _REQUEST,
            received_bytes=2 * (_AROUND + 6),
        ),
        "type": Channel(
            "type",
            _described(gauge.parameters["type"]),
            gauge.gauge_type,
            poll_s=None,
            sent_bytes=_REQUEST,
            received_bytes=_AROUND + 6,
        ),
    }
    return (
        *(
            own[path] if path in own else _of_parameter(gauge, path, one)
            for path, one in gauge.parameters.items()
        ),
        *_of_fault(gauge),
    )


def blocks_of_drive(drive: PfeifferTurbo) -> Iterable[Block]:
    """Return what can be read together."""
    yield Block(
        ("status", *FLAGS),
        partial(_flags, drive),
        "flags (302, 304 to 307)",
        len(FLAGS) * _REQUEST,
        len(FLAGS) * (_AROUND + 6),
    )
    yield Block(("fault", "error"), partial(_fault, drive), "303", _REQUEST, _AROUND + 6)


def blocks_of_gauge(gauge: PfeifferGauge) -> Iterable[Block]:
    """Return what can be read together."""
    yield Block(
        ("pressure", "fault", "error"),
        partial(_pressure, gauge),
        "740 and 303",
        2 * _REQUEST,
        2 * (_AROUND + 6),
    )


def _flags(drive: PfeifferTurbo) -> tuple[Any, ...]:
    found = drive.read_each(list(FLAGS.values()))
    try:
        return (mask_of(found), *found)
    except DeviceError as error:
        return (error, *found)


def _fault(unit: PfeifferUnit) -> tuple[int, str]:
    fault = unit.fault()
    return fault.level, str(fault)


def _pressure(gauge: PfeifferGauge) -> tuple[Any, ...]:
    pressure, fault = gauge.pressure_and_fault()
    return pressure, fault.level, str(fault)


def _of_fault(unit: PfeifferUnit) -> tuple[Channel, ...]:
    return (
        Channel(
            "fault",
            _item(
                "Whether the unit reports a warning or an error",
                "enumerated",
                enumerators=_texts(LEVELS),
            ),
            lambda: unit.fault().level,
            poll_s=_FAST_S,
            **_CODE,
        ),
        Channel(
            "error",
            _item("The error or warning that the unit reports, with its code", "string"),
            lambda: str(unit.fault()),
            poll_s=_FAST_S,
            **_CODE,
        ),
    )


def _of_parameter(unit: PfeifferUnit, path: str, parameter: Parameter) -> Channel:
    reads = parameter.readable
    return Channel(
        path,
        _described(parameter),
        partial(unit.read, parameter) if reads else None,
        partial(unit.write, parameter) if parameter.writable else None,
        parameter.poll_s if reads else None,
        sent_bytes=_REQUEST,
        received_bytes=_AROUND + parameter.kind.lengths[0],
    )


def _described(parameter: Parameter) -> dict[str, Any]:
    kind = {BOOLEAN: "boolean", STRING: "string"}.get(parameter.kind, "numeric")
    item = _item(parameter.text, kind, **parameter.item)
    if parameter.bounds is not None and parameter.writable:
        item["range"] = list(parameter.bounds)
    return item


def _texts(names: Mapping[int, str]) -> dict[str, str]:
    return {str(number): text for number, text in names.items()}


def _item(description: str, kind: str = "numeric", **fields: Any) -> dict[str, Any]:
    return {"description": description, "type": kind, **fields}
