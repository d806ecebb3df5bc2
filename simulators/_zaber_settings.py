"""Settings of a Zaber device and of its axes: what can be read and set, and within what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators._zaber_axis import SPEED_UNITS, ZaberAxis

if TYPE_CHECKING:
    from simulators.zaber import Zaber

__all__ = ["AXIS_SETTINGS", "DEVICE_SETTINGS", "FASTEST", "AxisSetting", "DeviceSetting"]

FASTEST = 1_048_576
"""Largest maxspeed; the sheet has none, so this is the twin's choice, like the other ranges."""
MOST_STEPS = 1_000_000_000
"""Largest position that can be set or asked for."""


@dataclass(frozen=True, slots=True)
class AxisSetting:
    """One that each axis has."""

    read: Callable[[ZaberAxis], str]
    """Gives its text."""
    write: Callable[[ZaberAxis, int], None] | None = None
    """Takes a whole number; None: it cannot be set."""
    low: int = 0
    """Smallest value."""
    high: int = MOST_STEPS
    """Largest value."""
    at_rest: bool = False
    """True: not while the axis moves."""


@dataclass(frozen=True, slots=True)
class DeviceSetting:
    """One of the device."""

    read: Callable[[Zaber], str]
    """Gives its text."""
    write: Callable[[Zaber, int], None] | None = None
    """Takes a whole number; None: it cannot be set."""
    low: int = 0
    """Smallest value."""
    high: int = 1
    """Largest value."""


def _set_max_speed(axis: ZaberAxis, value: int) -> None:
    axis.max_speed = value


def _set_accel(axis: ZaberAxis, value: int) -> None:
    axis.accel = value


def _set_limit_min(axis: ZaberAxis, value: int) -> None:
    axis.limit_min = value


def _set_limit_max(axis: ZaberAxis, value: int) -> None:
    axis.limit_max = value


def _set_alert(device: Zaber, value: int) -> None:
    device.alerts = bool(value)


def _set_checksum(device: Zaber, value: int) -> None:
    device.checksums = bool(value)


def _fixed(value: float) -> str:
    return f"{value:.1f}"


AXIS_SETTINGS: Mapping[str, AxisSetting] = {
    "pos": AxisSetting(
        lambda axis: str(axis.position), ZaberAxis.call_position, -MOST_STEPS, at_rest=True
    ),
    "encoder.pos": AxisSetting(lambda axis: str(axis.encoder)),
    "vel": AxisSetting(lambda axis: str(round(axis.drive.motor.velocity * SPEED_UNITS))),
    "maxspeed": AxisSetting(lambda axis: str(axis.max_speed), _set_max_speed, 1, FASTEST),
    "accel": AxisSetting(lambda axis: str(axis.accel), _set_accel, 1, 32_767),
    "limit.min": AxisSetting(
        lambda axis: str(axis.limit_min), _set_limit_min, -MOST_STEPS, at_rest=True
    ),
    "limit.max": AxisSetting(
        lambda axis: str(axis.limit_max), _set_limit_max, -MOST_STEPS, at_rest=True
    ),
    "limit.home.state": AxisSetting(lambda axis: f"{axis.drive.at_low:d}"),
    "limit.away.state": AxisSetting(lambda axis: f"{axis.drive.at_high:d}"),
    "driver.enabled": AxisSetting(lambda axis: f"{axis.driver_on:d}"),
    "driver.temperature": AxisSetting(lambda axis: _fixed(axis.drive.temperature_c)),
    "parking.state": AxisSetting(lambda axis: f"{axis.parked:d}"),
}
"""By name."""


def _device_id(device: Zaber) -> str:
    return device.disguise or str(device.device_id)


DEVICE_SETTINGS: Mapping[str, DeviceSetting] = {
    "device.id": DeviceSetting(_device_id),
    "version": DeviceSetting(lambda device: device.version),
    "system.serial": DeviceSetting(lambda device: str(device.serial)),
    "system.axiscount": DeviceSetting(lambda device: str(len(device.axes))),
    "system.voltage": DeviceSetting(lambda device: _fixed(device.voltage_v)),
    "system.temperature": DeviceSetting(
        lambda device: _fixed(max(axis.drive.temperature_c for axis in device.axes))
    ),
    "comm.address": DeviceSetting(lambda device: str(device.number)),
    "comm.alert": DeviceSetting(lambda device: f"{device.alerts:d}", _set_alert),
    "comm.checksum": DeviceSetting(lambda device: f"{device.checksums:d}", _set_checksum),
}
"""By name."""
