"""The twin of a WAGO 750-352 Ethernet coupler with the inputs and outputs of a small dome.

Written from the sheet ``wago_750_352.md`` (which names manual 750-880, p. 242, for the register
table) alone, not from the driver. The modules, in their order on the coupler:

======== =========== ==========================================================================
750-430  8 DI        0 shutter open, 1 shutter closed, 2 remote, 3 emergency stop released,
                     4 door closed, 5 rain, 6 fan runs, 7 heater too hot
750-530  8 DO        0 open shutter, 1 close shutter, 2 fan, 3 heater, 4 lamp, 5 to 7 free
750-454  2 AI 4-20mA 0 humidity 0 to 100 %, 1 wind 0 to 50 m/s
750-456  2 AI +-10 V 2 shutter position 0 to 10 V, 3 free (0 V)
750-461  2 AI Pt100  4 air in the dome, 5 structure
750-550  2 AO 0-10 V 0 speed of the fan, 1 free
======== =========== ==========================================================================

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- The module list begins with the coupler itself (352), as register 0x2012 does.
- The watchdog starts when a time is written; its time is 0 when the coupler is switched on.
- While it has expired, every write outside 0x1000 to 0x100A is answered with exception 4.
- A write to an input, and to a register that only tells something, is answered with exception 2.
- A broken Pt100 reads 0xFFFF, which is -0.1 C as well; a broken 4-20 mA loop reads 0.
- After a loss of supply outputs are 0 and all settings are those of the first start.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, TypeVar

from simulators._wago_dome import Dome
from simulators._wago_watchdog import Watchdog
from simulators.device import Quantity
from simulators.modbus import Code, ModbusDevice, ModbusError, Table

OUTPUTS_AT = 0x200
"""Where outputs are read back; coils can be written there, too."""
FULL_SCALE = 0x7FFF
"""Word of 20 mA and of 10 V (sheet, "Scaling examples")."""

_DIGITAL_INPUTS = _DIGITAL_OUTPUTS = 8
_ANALOG_INPUTS = 6
_ANALOG_OUTPUTS = 2
_CONSTANTS = (0, 0xFFFF, 0x1234, 0xAAAA, 0x5555, 0x7FFF, 0x8000, 0x3FFF, 0x4000)
_IDENTITY = (1, 750, 352, 2, 11)
_OTHER_IDENTITY = (1, 750, 881, 2, 11)
_MAC = (0x0030, 0xDE42, 0x0352)
# Number of the module, or bit 15 with the number of bits and whether they are inputs or outputs.
_MODULES = (352, 0x8801, 0x8802, 454, 456, 461, 550)
_STRINGS = {
    0x2020: ("750-352 Ethernet coupler", 16),
    0x2021: ("10:24:00", 8),
    0x2022: ("24.11.2020", 8),
    0x2023: ("Programmed by WAGO", 32),
}
_BLOCKS = {0x1031: _MAC, 0x1050: (0, 0, 0), 0x2000: _CONSTANTS, 0x2010: _IDENTITY}
_LIST_LENGTHS = {0x2030: 65, 0x2031: 64, 0x2032: 64, 0x2033: 63}
_IDLE_TIMEOUT = 0x1030

_T = TypeVar("_T")


class Wago750352(ModbusDevice):
    """Coupler, its modules, and the dome that they are wired to."""

    name: ClassVar[str] = "wago_750_352"
    functions = frozenset({1, 2, 3, 4, 5, 6, 15, 16, 23})
    any_unit = True

    def __init__(self, *, seed: int | None = None, unit: int = 1) -> None:
        """Start with all outputs off and the shutter closed; *seed* makes the noise repeatable."""
        super().__init__(unit=unit)
        self.dome = Dome()
        self.watchdog = Watchdog()
        self.coils = [False] * _DIGITAL_OUTPUTS
        self.analog_outputs = [0] * _ANALOG_OUTPUTS
        self.idle_timeout_ms = 0
        self._powered = True
        self._chance = random.Random(seed)
        self._noise_percent = 0.05
        self._inputs = [0] * _ANALOG_INPUTS
        self._measure()
        self._quantities = self.dome.quantities() | _quantities(self)

    # -- tables ------------------------------------------------------------------------------

    def before(self, function: int) -> None:
        """Let a request re-trigger the watchdog, if its mask says so."""
        self.watchdog.hear(function)

    def read_bits(self, table: Table, address: int, count: int) -> Sequence[bool]:  # noqa: ARG002
        """Read inputs, or from 0x200 on outputs; both functions read the same."""
        return self._slice([*self._digital_inputs()], self.coils, address, count)

    def check_bit(self, address: int, value: bool) -> None:  # noqa: ARG002
        """Pass if there is an output at *address*, and the watchdog is content."""
        self._refuse_expired()
        if _output(address) >= _DIGITAL_OUTPUTS:
            raise ModbusError(Code.ILLEGAL_ADDRESS)

    def write_bit(self, address: int, value: bool) -> None:
        """Switch an output."""
        self.coils[_output(address)] = value
        self._drive()

    def read_words(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Read the analog image, or one block of registers."""
        if address < 0x1000:
            return self._slice(self._inputs, self.analog_outputs, address, count)
        words = _block(address, other=self.disguise is not None)
        if words is not None:
            if count > len(words):
                raise ModbusError(Code.ILLEGAL_ADDRESS)
            return words[:count]
        return super().read_words(table, address, count)

    def read_word(self, table: Table, address: int) -> int:  # noqa: ARG002
        """Read one register outside the process image."""
        read = self._registers().get(address)
        if read is None:
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        return read()

    def check_word(self, address: int, value: int) -> None:
        """Pass if *value* may be written at *address*."""
        if self.watchdog.has(address):
            self.watchdog.check(address, value)
            return
        self._refuse_expired()
        if address != _IDLE_TIMEOUT and address >= _ANALOG_OUTPUTS:
            raise ModbusError(Code.ILLEGAL_ADDRESS)

    def write_word(self, address: int, value: int) -> None:
        """Write an analog output or a setting."""
        if self.watchdog.has(address):
            self.watchdog.write(address, value)
        elif address == _IDLE_TIMEOUT:
            self.idle_timeout_ms = value
        else:
            self.analog_outputs[address] = value
            self._drive()

    def _slice(
        self, inputs: Sequence[_T], outputs: Sequence[_T], address: int, count: int
    ) -> Sequence[_T]:
        image, begin = inputs, address
        if address >= OUTPUTS_AT:
            image, begin = outputs, address - OUTPUTS_AT
        if begin + count > len(image):
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        return image[begin : begin + count]

    def _registers(self) -> Mapping[int, Callable[[], int]]:
        return self.watchdog.registers() | {
            0x1020: lambda: 0,
            0x1021: lambda: 0,
            0x1022: lambda: 16 * _ANALOG_OUTPUTS,
            0x1023: lambda: 16 * _ANALOG_INPUTS,
            0x1024: lambda: _DIGITAL_OUTPUTS,
            0x1025: lambda: _DIGITAL_INPUTS,
            _IDLE_TIMEOUT: lambda: self.idle_timeout_ms,
        }

    def _refuse_expired(self) -> None:
        if self.watchdog.expired:
            raise ModbusError(Code.DEVICE_FAILURE)

    def idle_limit_s(self) -> float | None:
        """Close a connection that is idle for as long as register 0x1030 says."""
        return self.idle_timeout_ms / 1000 or None

    # -- wires -------------------------------------------------------------------------------

    def _digital_inputs(self) -> Sequence[bool]:
        dome = self.dome
        return (
            dome.shutter >= 1.0,
            dome.shutter <= 0.0,
            dome.remote,
            not dome.emergency_stop,
            dome.door_closed,
            dome.rain,
            dome.fan > 0.0,
            dome.heater_hot,
        )

    def _drive(self) -> None:
        """Bring the dome what the outputs say; without a supply they say nothing."""
        opening, closing, fan, heater, lamp, *_ = [each and self._powered for each in self.coils]
        dome = self.dome
        dome.drive = opening - closing
        # Without a speed the contactor alone runs the fan, slowly.
        speed = self.analog_outputs[0] / FULL_SCALE if self._powered else 0.0
        dome.fan = max(0.25, min(1.0, speed)) if fan else 0.0
        dome.heater_on = heater
        dome.lamp_on = lamp

    def _measure(self) -> None:
        dome = self.dome
        humidity = dome.humidity_percent + self._chance.gauss(0.0, self._noise_percent)
        self._inputs = [
            0 if dome.humidity_wire_broken else _unsigned(humidity / 100),
            _unsigned(dome.wind_m_s / 50),
            _unsigned(dome.shutter),
            0,
            _pt100(dome.air_c, broken=dome.air_wire_broken),
            _pt100(dome.structure_c, broken=dome.structure_wire_broken),
        ]

    def hold(self) -> float:
        """Have no noise, and inputs that differ from one another; time has to stand still."""
        self._noise_percent = 0.0
        self.dome.structure_c = self.dome.air_c + 1.5
        self._measure()
        return 0.0

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass; if the watchdog expires, outputs go to 0 at that moment.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        before_s = min(dt_s, self.watchdog.left_s()) if self._powered else dt_s
        self.dome.step(before_s)
        if self._powered and self.watchdog.step(dt_s):
            self._all_off()
        self.dome.step(dt_s - before_s)
        self._measure()

    def power_off(self) -> None:
        """Take the supply away: all outputs are off, and the dome goes on."""
        self._powered = False
        self._all_off()

    def power_on(self) -> None:
        """Start with outputs off and no watchdog."""
        self._powered = True
        self.watchdog = Watchdog()
        self.idle_timeout_ms = 0

    def _all_off(self) -> None:
        self.coils = [False] * _DIGITAL_OUTPUTS
        self.analog_outputs = [0] * _ANALOG_OUTPUTS
        self._drive()

    def quantities(self) -> Mapping[str, Quantity]:
        """The dome with its weather, and the state of the coupler."""
        return self._quantities


def _quantities(coupler: Wago750352) -> dict[str, Quantity]:
    found = {
        "watchdog": Quantity(
            "", "0 off, 1 runs, 2 expired", lambda: float(coupler.watchdog.status())
        ),
        "fan_speed": Quantity("", "speed of the fan, 0 to 1", lambda: coupler.dome.fan),
    }
    for number in range(_DIGITAL_OUTPUTS):
        found[f"output_{number}"] = Quantity(
            "", f"digital output {number}", partial(lambda n: float(coupler.coils[n]), number)
        )
    return found


def _output(address: int) -> int:
    return address - OUTPUTS_AT if address >= OUTPUTS_AT else address


def _unsigned(fraction: float) -> int:
    return round(max(0.0, min(1.0, fraction)) * FULL_SCALE)


def _pt100(celsius: float, *, broken: bool) -> int:
    """Give tenths of a degree, signed, as a word."""
    return 0xFFFF if broken else round(celsius * 10) & 0xFFFF


def _block(address: int, *, other: bool = False) -> Sequence[int] | None:
    """Give the block that begins at *address*; None: there is none of several words.

    Args:
        address: Where it begins.
        other: Say that it is another coupler.
    """
    if address in _STRINGS:
        text, length = _STRINGS[address]
        padded = text.encode("ascii").ljust(2 * length, b"\0")
        # Low byte first (sheet, row "strings").
        return struct.unpack(f"<{length}H", padded)
    if address in _LIST_LENGTHS:
        modules = _MODULES if address == 0x2030 else ()
        return (*modules, *[0] * (_LIST_LENGTHS[address] - len(modules)))
    for begin, known in _BLOCKS.items():
        words = _OTHER_IDENTITY if other and known is _IDENTITY else known
        if begin <= address < begin + len(words):
            return words[address - begin :]
    return None
