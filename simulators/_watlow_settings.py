"""What a Watlow F4 remembers about its inputs, and how its values become registers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

NO_VALUE = -32768
"""What the register of an input with an error shows."""


class Sensor(IntEnum):
    """Registers 600, 610, 620 (sheet)."""

    THERMOCOUPLE = 0
    RTD = 1
    PROCESS = 2
    WET_DRY = 3
    OFF = 4


class Units(IntEnum):
    """Registers 608, 618 (sheet)."""

    TEMPERATURE = 0
    HUMIDITY = 1
    PRESSURE = 2
    NONE = 3


@dataclass(slots=True)
class InputSettings:
    """One input; limits and set-point in Celsius, or in its units if it is no temperature."""

    sensor: Sensor
    """What is connected."""
    units: Units
    """What it measures."""
    low: float
    """Lowest set-point."""
    high: float
    """Highest set-point."""
    set_point: float
    """Static set-point."""
    decimals: int = 1
    """Places behind the point in its registers, 0 to 3."""
    latch: int = 0
    """1: an error stays until it is cleared."""

    @property
    def is_temperature(self) -> bool:
        """Its registers are in the units of register 901."""
        return self.units is Units.TEMPERATURE


@dataclass(slots=True)
class Settings:
    """All that the EEPROM keeps."""

    celsius: bool = True
    """Registers of temperatures are in Celsius, else Fahrenheit."""
    inputs: dict[int, InputSettings] = field(
        default_factory=lambda: {
            1: InputSettings(Sensor.RTD, Units.TEMPERATURE, -42.0, 130.0, 23.0),
            2: InputSettings(Sensor.PROCESS, Units.HUMIDITY, 0.0, 100.0, 40.0),
            3: InputSettings(Sensor.OFF, Units.TEMPERATURE, -42.0, 130.0, 23.0),
        }
    )
    """By number."""

    def to_register(self, number: int, value: float) -> int:
        """Give *value* of an input as signed counts; what does not fit is the nearest that does."""
        settings = self.inputs[number]
        if settings.is_temperature and not self.celsius:
            value = value * 1.8 + 32.0
        return max(-32767, min(32767, round(value * 10.0**settings.decimals)))

    def from_register(self, number: int, counts: int) -> float:
        """Give the value of signed *counts*."""
        settings = self.inputs[number]
        value = counts / 10.0**settings.decimals
        if settings.is_temperature and not self.celsius:
            return (value - 32.0) / 1.8
        return value


def signed(word: int) -> int:
    """Read a word as two's complement."""
    return word - 0x10000 if word & 0x8000 else word
