"""What the control port can read and set of a Zaber device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators._motion_quantities import mechanics_of, shown, switch
from simulators._quantities import flag, number
from simulators._zaber_axis import Reference, ZaberAxis
from simulators.device import Quantity

if TYPE_CHECKING:
    from simulators.zaber import Zaber

_FASTEST_KNOB = 500_000.0


def quantities_of(device: Zaber) -> dict[str, Quantity]:
    """Give all quantities of *device* by name."""
    found = {
        "voltage_v": number(
            device,
            "voltage_v",
            "V",
            "supply: a warning below 20 and above 50, no motor is driven below 12",
            0,
            100,
        ),
        "emergency_stop": flag(
            device, "emergency_stop", "1: a button has taken the power of all motors away"
        ),
        "wants_reference": flag(
            device, "wants_reference", "1: without a reference move abs is BADDATA"
        ),
        "alerts": flag(device, "alerts", "comm.alert"),
        "checksums": flag(device, "checksums", "comm.checksum"),
        "number": Quantity("", "its number on the chain", lambda: float(device.number)),
    }
    for axis in device.axes:
        found |= _of_axis(axis, f"axis{axis.number}_")
    return found


def _of_axis(axis: ZaberAxis, prefix: str) -> dict[str, Quantity]:
    drive = axis.drive
    own = {
        "pos": Quantity("microsteps", "what get pos says", lambda: float(axis.position)),
        "moving": shown("1: it moves or settles", lambda: axis.busy),
        "home_sensor": shown("1: the sensor is active", lambda: drive.at_low),
        "away_sensor": shown("1: the sensor is active", lambda: drive.at_high),
        "home_sensor_fault": switch(drive.low, "home sensor"),
        "away_sensor_fault": switch(drive.high, "away sensor"),
        "driver_on": shown("1: the motor is driven", lambda: axis.driver_on),
        "active": flag(axis, "active", "0: nothing is attached to the controller"),
        "parked": flag(axis, "parked", "1: it is parked"),
        "encoder_fault": flag(axis, "encoder_fault", "1: the encoder gives nonsense (FQ)"),
        "critical_fault": flag(axis, "critical", "1: the driver is broken (FF)"),
        "reference": Quantity(
            "",
            "what it knows of its position: 0 nothing (WR), 1 not homed (WH), 2 homed",
            lambda: float(axis.reference),
            lambda value: setattr(axis, "reference", Reference(int(value))),
            high=2,
            whole=True,
        ),
        "knob": Quantity(
            "microsteps/s",
            "somebody turns the knob; 0: lets go of it",
            lambda: drive.velocity if axis.manual else 0.0,
            axis.turn_knob,
            low=-_FASTEST_KNOB,
            high=_FASTEST_KNOB,
        ),
    }
    named = {f"{prefix}{name}": quantity for name, quantity in own.items()}
    return mechanics_of(drive, prefix, unit="microsteps") | named
