"""A sensor input of the Model 336: curve, reading, status bits, alarm.

Source: the sheet lakeshore_336.md; what goes beyond it says so.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

ZERO_CELSIUS_K = 273.15
NAME_LENGTH = 15


class Status(IntFlag):
    """Bits of ``RDGST?``; 0 is a good reading."""

    INVALID = 1
    TEMP_UNDER = 16
    TEMP_OVER = 32
    UNITS_ZERO = 64
    UNITS_OVER = 128


GOOD = Status(0)


class Units(IntEnum):
    """Preferred units of an input, the last field of ``INTYPE``."""

    KELVIN = 1
    CELSIUS = 2
    SENSOR = 3


DISABLED = 0


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor with a straight curve; real ones bend, which no driver sees."""

    type_code: int
    """Its type in ``INTYPE``: 1 diode, 2 platinum."""
    offset: float
    """Sensor units at 0 K."""
    per_k: float
    """Sensor units per kelvin."""
    low_k: float
    """Below it the curve ends: temperature under range."""
    high_k: float
    """Above it the curve ends: temperature over range."""

    def units_at(self, kelvin: float) -> float:
        """Give what the sensor shows at *kelvin*, in volts or ohms."""
        return self.offset + self.per_k * kelvin

    def kelvin_at(self, units: float) -> float:
        """Give the temperature at which it shows *units*."""
        return (units - self.offset) / self.per_k


DIODE = Sensor(type_code=1, offset=1.19, per_k=-0.0021, low_k=1.4, high_k=500.0)
PLATINUM = Sensor(type_code=2, offset=-6.746, per_k=0.3908, low_k=18.0, high_k=873.0)


@dataclass(slots=True)
class Alarm:
    """The alarm of an input; thresholds in kelvin (the sheet names no units for them)."""

    on: bool = False
    high_k: float = 2000.0
    low_k: float = 0.0
    deadband_k: float = 0.0
    latching: bool = False
    audible: bool = False
    visible: bool = False
    high_active: bool = False
    low_active: bool = False

    def check(self, kelvin: float) -> None:
        """Follow the temperature: on beyond a threshold, off again inside the dead band."""
        if not self.on:
            return
        self.high_active = self._next(self.high_active, kelvin - self.high_k)
        self.low_active = self._next(self.low_active, self.low_k - kelvin)

    def _next(self, active: bool, beyond_k: float) -> bool:
        return beyond_k > 0 or (active and (self.latching or beyond_k > -self.deadband_k))

    def reset(self) -> None:
        """End both alarms, latched or not; what is still beyond its threshold comes again."""
        self.high_active = self.low_active = False


@dataclass(slots=True)
class Input:
    """One of the inputs A to D."""

    name: str
    sensor: Sensor
    noise_k: float
    """Standard deviation of a reading."""
    type_code: int = 0
    autorange: int = 1
    range: int = 0
    compensation: int = 0
    units: Units = Units.KELVIN
    limit_k: float = 325.0
    """Above it all heaters shut off; 0: no limit."""
    alarm: Alarm = field(default_factory=Alarm)
    broken: Status = GOOD
    """Status bits that the user forces, as a broken sensor would."""
    true_k: float = 0.0
    """Temperature of the body that it sits on."""
    error_k: float = 0.0
    """Noise of the present reading."""

    def __post_init__(self) -> None:
        """Configure the type that is wired."""
        self.type_code = self.sensor.type_code

    def status(self) -> Status:
        """Tell what is wrong with the present reading; a wrong type shows as units over range."""
        if self.type_code == DISABLED:
            return Status.INVALID
        bits = self.broken
        if self.type_code != self.sensor.type_code:
            bits |= Status.UNITS_OVER
        if self.true_k < self.sensor.low_k:
            bits |= Status.TEMP_UNDER
        if self.true_k > self.sensor.high_k:
            bits |= Status.TEMP_OVER
        return bits

    def measure(self, chance: random.Random) -> None:
        """Take a new reading, with new noise."""
        self.error_k = chance.gauss(0.0, self.noise_k)

    def shown(self, units: Units) -> float:
        """Give the reading in *units*; 0 while the status says that there is none."""
        if self.status():
            return 0.0
        return self.from_kelvin(max(0.0, self.true_k + self.error_k), units)

    def from_kelvin(self, kelvin: float, units: Units) -> float:
        """Convert a temperature to *units*."""
        if units is Units.CELSIUS:
            return kelvin - ZERO_CELSIUS_K
        return self.sensor.units_at(kelvin) if units is Units.SENSOR else kelvin

    def to_kelvin(self, value: float) -> float:
        """Convert *value* from the preferred units of this input."""
        if self.units is Units.CELSIUS:
            return value + ZERO_CELSIUS_K
        return self.sensor.kelvin_at(value) if self.units is Units.SENSOR else value

    def too_hot(self) -> bool:
        """Tell whether a good reading is above the limit."""
        return 0 < self.limit_k < self.true_k and not self.status()
