"""The registers of a Watlow F4, and what they hold. Source: ``watlow_f4.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers._suggest import suggestion
from drivers.modbus import Place
from drivers.modbus import Register as ModbusRegister
from mktl.errors import BadValue, ConfigurationError, DeviceError, DeviceRefused, InvalidReading

__all__ = [
    "ACTION_START",
    "CELSIUS",
    "MODEL",
    "MODEL_CODE",
    "OPERATIONS",
    "OUTPUTS",
    "QUANTITIES",
    "REFUSALS",
    "SENSORS",
    "Setup",
    "check_inputs",
    "number_of",
    "place_of",
    "setup_of",
    "setup_registers",
]

MODEL, MODEL_CODE = 0, 5270
SERIAL = (1, 2)
MADE = 5
VOLATILE, SAVE = 24, 25
OPERATION = 200
CLEAR_INPUT_ERRORS, CLEAR_ALARMS, SILENCE_ALARMS = 311, 331, 332
CELSIUS = 901
RESUME, HOLD, TERMINATE = 1209, 1210, 1217
CLOCK = (1916, 1917, 1918, 1919, 1920, 1921)
PROFILE, STEP, ACTION = 4000, 4001, 4002
ACTION_START = 5
NOW_PROFILE, NOW_STEP = 4100, 4101
TIME_LEFT = (4119, 4120, 4121)

OUTPUTS: Mapping[str, int] = {"1A": 103, "1B": 107, "2A": 111, "2B": 115}
"""Registers of the output powers, in 0.01 percent."""
STATUS_WORDS = (102, 106, 110, 114)
SET_POINTS = {1: 300, 2: 319}
INPUTS = (1, 2, 3)
EVENTS = range(1, 9)
DIGITAL_INPUTS = range(1, 5)

OPERATIONS = {0: "Static", 2: "Profile running", 3: "Profile held"}
"""What register 200 says; 1 is static as well."""

REFUSALS = {
    2: "it is inactive as the controller is set up, or is run, now",
    3: "it is out of range; the old value stays",
}
"""What a refused write means, by its exception."""

QUANTITIES: Mapping[str, tuple[int, str | None]] = {
    "temperature": (0, "degC"),
    "humidity": (1, "percent"),
    "pressure": (2, "psi"),
    "process": (3, None),
}
"""What an input can measure, by the name in an instrument file: register 608, and units."""

SENSORS = {0: "Thermocouple", 1: "RTD", 2: "Process", 3: "Wet and dry bulb", 4: "Off"}
"""What registers 600, 610 and 620 say."""

_SENSOR_OFF = 4
# Where the sensor leaves no choice, the units (608, 618) may be inactive: refused, or read as 0.
_MEASURED = {0: 0, 1: 0, 3: 1}
_MOST_DECIMALS = 3
_EXTREMES = (-32768, 32767)


def limit_registers(number: int) -> tuple[int, int]:
    """Return the registers of the lowest and highest set-point *number*."""
    low = 602 + 10 * (number - 1)
    return low, low + 1


def sensor_register(number: int) -> int:
    """Return the register of the sensor type of input *number*."""
    return 600 + 10 * (number - 1)


def value_register(number: int) -> int:
    """Return the register of input *number*."""
    return 100 + 4 * (number - 1)


def event_register(number: int) -> int:
    """Return the register of event output *number*."""
    return 2000 + 10 * (number - 1)


def digital_register(number: int) -> int:
    """Return the register of digital input *number*."""
    return 201 + 12 * (number - 1)


def place_of(address: int, *, signed: bool = False, repeat: bool = True) -> Place:
    """Return holding register *address*; one with *repeat* false is never written twice."""
    return Place(
        register=ModbusRegister(
            table="holding", address=address, type="int16" if signed else "uint16"
        ),
        write_table="holding",
        write_address=address,
        repeat=repeat,
    )


def check_inputs(inputs: object) -> tuple[str, ...]:
    """Return what each input measures, or "off".

    Raises:
        ConfigurationError: it cannot be; the text begins with ``inputs``.
    """
    known = (*QUANTITIES, "off")
    if not isinstance(inputs, list | tuple) or not 1 <= len(inputs) <= len(INPUTS):
        raise ConfigurationError(f'inputs must be a list like ["temperature"], not {inputs!r}')
    for quantity in inputs:
        if quantity not in known:
            raise ConfigurationError(f"inputs: {suggestion(str(quantity), known)}")
    return (*inputs, *("off",) * (len(INPUTS) - len(inputs)))


@dataclass(frozen=True, slots=True)
class Setup:
    """How the numbers of one input are meant, as the controller is set up now."""

    decimals: int
    """Number = value * 10 ** decimals."""
    fahrenheit: bool
    """Whether it is a temperature, and shown in degrees Fahrenheit."""

    def value(self, raw: int) -> float:
        """Return what *raw* stands for; temperatures in degrees Celsius.

        Raises:
            InvalidReading: it stands at an end of what a register can hold.
        """
        if raw in _EXTREMES:
            raise InvalidReading(f"{raw} stands at the end of what the register can hold")
        shown = round(raw / 10.0**self.decimals, self.decimals)
        return (shown - 32) / 1.8 if self.fahrenheit else shown

    def raw(self, value: float) -> int:
        """Return the number that stands for *value*, which is finite, or for the nearest step."""
        shown = value * 1.8 + 32 if self.fahrenheit else value
        return round(shown * 10.0**self.decimals)


def setup_registers(number: int) -> tuple[int, ...]:
    """Return the registers that :func:`setup_of` looks at."""
    base = sensor_register(number)
    units = (base + 8,) if number < 3 else ()
    return (base, base + 6, *units, CELSIUS)


def setup_of(
    number: int, quantity: str, found: Mapping[int, int | DeviceError], *, label: str
) -> Setup:
    """Return how input *number* is set up.

    Args:
        number: 1 to 3.
        quantity: What it should measure.
        found: What is in the registers of :func:`setup_registers`.
        label: Names the controller in errors.

    Raises:
        InvalidReading: the input is off, or measures something else.
        DeviceError: the registers could not be read.
    """
    sensor_at, decimals_at, *units_at, celsius_at = setup_registers(number)
    sensor = whole(found, (sensor_at,))[0]
    if sensor not in SENSORS or sensor == _SENSOR_OFF:
        what = "switched off" if sensor == _SENSOR_OFF else f"of an unknown type, {sensor}"
        raise InvalidReading(f"{label}: input {number} is {what}")
    decimals, celsius = whole(found, (decimals_at, celsius_at))
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise InvalidReading(f"{label}: input {number} has {decimals} decimals, which cannot be")
    code = QUANTITIES[quantity][0]
    measured = _measured(sensor, found[units_at[0]]) if units_at else code
    if measured != code:
        names = {known: name for name, (known, _units) in QUANTITIES.items()}
        has = names.get(measured, f"something unknown ({measured})")
        raise InvalidReading(
            f"{label}: input {number} is set up for {has}, and the settings name {quantity}"
        )
    return Setup(decimals, fahrenheit=quantity == "temperature" and celsius == 0)


def _measured(sensor: int, units: int | DeviceError) -> int:
    """Return what an input measures, as a number of register 608."""
    if sensor in _MEASURED and (units == 0 or isinstance(units, DeviceRefused)):
        return _MEASURED[sensor]
    if isinstance(units, DeviceError):
        raise units
    return units


def whole(found: Mapping[int, int | DeviceError], addresses: Sequence[int]) -> list[int]:
    """Return what is in the registers at *addresses*.

    Raises:
        DeviceError: one of them could not be read.
    """
    values = []
    for address in addresses:
        value = found[address]
        if isinstance(value, DeviceError):
            raise value
        values.append(value)
    return values


def number_of(value: object, what: str) -> float:
    """Return *value*.

    Raises:
        BadValue: it is no finite number; *what* names it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadValue(f"{what} is a number, not {value!r}")
    return value
