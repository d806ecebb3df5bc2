"""The parameters of Pfeiffer turbo drives and gauges, and how each looks as an item.

Source: sheet "Pfeiffer Vacuum Protocol", sections "Telegram" and "Parameters".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from drivers._pfeiffer_types import BOOLEAN, EXPONENT, INTEGER, REAL, SHORT, STRING, DataType
from mktl.errors import BadValue, DeviceError

__all__ = [
    "ADDRESS",
    "DRIVE",
    "ERROR_CODE",
    "FLAGS",
    "FLAG_TEXTS",
    "GAUGE",
    "NAME",
    "Parameter",
    "mask_of",
]

_OFF_ON = MappingProxyType({"0": "Off", "1": "On"})
_NO_YES = MappingProxyType({"0": "No", "1": "Yes"})
_FAST_S, _USUAL_S, _SLOW_S = 1.0, 5.0, 60.0

ERROR_CODE = 303
NAME = 349


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a unit."""

    number: int
    """Its number."""
    kind: DataType
    """How its value is written."""
    text: str
    """What it is, for people."""
    item: Mapping[str, Any] = field(default_factory=dict)
    """What else its item's description has, beside the type."""
    bounds: tuple[float, float] | None = None
    """What it may be set to, where that is less than the type can say."""
    readable: bool = True
    """Whether it can be asked for."""
    writable: bool = False
    """Whether it can be set."""
    poll_s: float | None = _USUAL_S
    """How often its item is read, where nobody says otherwise."""

    def data(self, value: object) -> str:
        """Return *value* as it is sent.

        Raises:
            BadValue: it is out of bounds, or of another type.
        """
        data = self.kind.write(value)
        if self.bounds is not None:
            low, high = self.bounds
            if not low <= self.kind.read(data) <= high:
                raise BadValue(f"a number from {low:g} to {high:g} is wanted, not {value!r}")
        return data


def _flag(number: int, text: str, names: Mapping[str, str] = _NO_YES, **more: Any) -> Parameter:
    return Parameter(number, BOOLEAN, text, {"enumerators": dict(names)}, **more)


def _number(
    number: int, text: str, units: str, format_: str = "%d", kind: DataType = INTEGER, **more: Any
) -> Parameter:
    return Parameter(number, kind, text, {"units": units, "format": format_}, **more)


FLAGS = {
    "switch_point": _flag(302, "Whether the switch point is reached", poll_s=_FAST_S),
    "at_speed": _flag(306, "Whether the set speed is reached", poll_s=_FAST_S),
    "accelerating": _flag(307, "Whether the pump speeds up", poll_s=_FAST_S),
    "hot.electronics": _flag(304, "Whether the electronics are too hot"),
    "hot.pump": _flag(305, "Whether the pump is too hot"),
}
"""What a drive says by yes and no; the bits of its ``status``, in this order."""
FLAG_TEXTS = (
    "Switch point reached",
    "Set speed reached",
    "Accelerating",
    "Electronics too hot",
    "Pump too hot",
)

ADDRESS = Parameter(
    797,
    INTEGER,
    "Address on the line",
    {"format": "%d"},
    bounds=(1, 255),
    writable=True,
    poll_s=None,
)

_COMMON = {
    "firmware": Parameter(312, STRING, "Version of the firmware", poll_s=None),
}

DRIVE: Mapping[str, Parameter] = MappingProxyType(
    {
        "pumping": _flag(10, "The pumping station", _OFF_ON, writable=True, poll_s=_FAST_S),
        "motor": _flag(23, "The motor of the pump", _OFF_ON, writable=True, poll_s=_FAST_S),
        "standby": _flag(2, "Standby, at a lower speed", _OFF_ON, writable=True),
        "acknowledge": _flag(
            9, "Set to On: acknowledge an error", _OFF_ON, readable=False, writable=True
        ),
        "speed.mode": Parameter(
            26,
            SHORT,
            "Speed-set mode; 0: off, the pump runs at its nominal speed",
            {"format": "%d", "range": [0, 999]},
            writable=True,
        ),
        "speed.setpoint": _number(
            707,
            "Set speed in the speed-set mode, of the nominal speed",
            "percent",
            "%.2f",
            REAL,
            bounds=(20, 100),
            writable=True,
        ),
        "power.limit": _number(
            708, "Highest power", "percent", kind=SHORT, bounds=(10, 100), writable=True
        ),
        **FLAGS,
        "speed": _number(309, "Rotation speed", "hertz", poll_s=_FAST_S),
        "speed.set": _number(308, "Rotation speed that it is to have", "hertz"),
        "speed.nominal": _number(315, "Nominal rotation speed", "hertz", poll_s=_SLOW_S),
        "rpm": _number(398, "Rotation speed", "rpm", poll_s=_FAST_S),
        "rpm.set": _number(397, "Rotation speed that it is to have", "rpm"),
        "rpm.nominal": _number(399, "Nominal rotation speed", "rpm", poll_s=_SLOW_S),
        "current": _number(310, "Current of the drive", "ampere", "%.2f", REAL),
        "voltage": _number(313, "Voltage of the drive", "volt", "%.2f", REAL),
        "power": _number(316, "Power of the drive", "watt"),
        "hours": _number(311, "How long the pump has run", "hour", poll_s=_SLOW_S),
        "temperature.electronics": _number(326, "Temperature of the electronics", "degC"),
        "temperature.pump": _number(330, "Temperature of the bottom part of the pump", "degC"),
        "temperature.bearing": _number(342, "Temperature of the bearing", "degC"),
        "temperature.motor": _number(346, "Temperature of the motor", "degC"),
        "model": Parameter(NAME, STRING, "Name of the drive", poll_s=None),
        # Not an item to be set: the unit would be gone for who has set it.
        "address": replace(ADDRESS, writable=False),
        **_COMMON,
    }
)
"""Those of a drive, by path of the channel."""

GAUGE: Mapping[str, Parameter] = MappingProxyType(
    {
        "pressure": _number(
            740, "Pressure; 1 hPa is 1 mbar", "hPa", "%.3e", EXPONENT, poll_s=_FAST_S
        ),
        "correction": Parameter(
            742, REAL, "Factor that corrects for the kind of gas", {"format": "%.2f"}, writable=True
        ),
        "setpoint.selector": Parameter(
            741, SHORT, "Set-point selector", {"format": "%d", "range": [0, 999]}, writable=True
        ),
        "type": Parameter(NAME, STRING, "What kind of gauge it is", poll_s=None),
        **_COMMON,
    }
)
"""Those of a gauge, by path of the channel."""


def mask_of(flags: Sequence[bool | DeviceError]) -> int:
    """Return *flags* as bits, the first one in bit 0.

    Raises:
        DeviceError: one of them is an error: then there is no mask either.
    """
    mask = 0
    for bit, flag in enumerate(flags):
        if isinstance(flag, DeviceError):
            raise flag
        mask |= flag << bit
    return mask
