"""The twin of a Watlow Series F4 on an environmental chamber.

Written from the sheet ``watlow_f4.md`` (which names the Watlow communications guide) alone, not
from the driver. Input 1 is an RTD in the air, input 2 the humidity, input 3 is off. Profiles 1 and
2 are stored; see `simulators._watlow_profile`.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- A write to a register that can only be read is answered with exception 2, as is a register that
  does not exist, and each of an input that is off; the set-points can be written while static only.
- The profile registers 4100, 4101 and 4119 to 4121 read 0 while no profile runs; time left is that
  of the step.
- An input with an error reads -32768, and its outputs are off. With 607 at 1 the error stays until
  311 is written; with 0 it ends by itself.
- 102 and 106 are 1 while alarm 1 (high) and 2 (low) are active, also when what caused them is over,
  until 331 is written; 110 and 114 are 1 while input 1 and 2 have an error.
- What was written while 24 is 1, and not saved with 25, is lost with the supply; so is 24 itself,
  a profile that runs, and what the event outputs are.
- A read of what is inactive is answered with exception 2, or with 0 where the control port says so:
  the sheet has both.
- Decimals, sensors and units of registers change what others read, not what they mean.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from simulators._quantities import number as attribute
from simulators._watlow_chamber import Chamber, Loop
from simulators._watlow_profile import Operation, Profile
from simulators._watlow_registers import Register, registers
from simulators._watlow_settings import NO_VALUE, Sensor, Settings
from simulators.cryostat import substeps
from simulators.device import Quantity
from simulators.modbus import Code, ModbusDevice, ModbusError, Table

CONTROL_STEP_S = 1.0
"""Longest step of the control loops in simulated time."""
EVENTS = 8
"""Number of event outputs."""
DIGITAL_INPUTS = 4
"""Number of digital inputs."""

_START = datetime(2024, 1, 1, 12, 0, 0)


class WatlowF4(ModbusDevice):
    """Controller and chamber."""

    name: ClassVar[str] = "watlow_f4"
    default_baud: ClassVar[int] = 19_200
    functions = frozenset({3, 4, 6, 8, 16})
    turnaround_s = 0.005

    def __init__(self, *, seed: int | None = None, unit: int = 1) -> None:
        """Start static at the temperature of the room; *seed* makes the noise repeatable."""
        super().__init__(unit=unit)
        self.chamber = Chamber()
        self.settings = Settings()
        self.profile = Profile()
        self.loops = {1: Loop(0.15, 150.0), 2: Loop(0.08, 200.0)}
        self.broken = {1: False, 2: False, 3: False}
        self.errors = {1: False, 2: False, 3: False}
        self.alarms = {1: False, 2: False}
        self.silenced = False
        self.alarm_high_c = 140.0
        self.alarm_low_c = -50.0
        self.noise_c = 0.02
        self.digital_inputs = [False] * DIGITAL_INPUTS
        self.events = [False] * EVENTS
        self.clock = _START
        self.no_save = False
        self.inactive_reads_zero = False
        self.eeprom_writes = 0
        self.chosen_profile = self.chosen_step = 1
        self._saved = copy.deepcopy(self.settings)
        self._powered = True
        self._chance = random.Random(seed)
        self._readings = {1: 0.0, 2: 0.0, 3: 0.0}
        self._registers = registers(self)
        self._measure()
        self._quantities = _quantities(self)

    # -- registers ---------------------------------------------------------------------------

    def read_word(self, table: Table, address: int) -> int:  # noqa: ARG002 - both are the same
        """Read a register."""
        register = self._registers.get(address)
        if self.inactive_reads_zero and register is not None and not register.active():
            return 0
        return self._find(address).read() & 0xFFFF

    def check_word(self, address: int, value: int) -> None:
        """Pass if the register takes *value* now."""
        register = self._find(address)
        if register.write is None:
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        register.check(value)

    def write_word(self, address: int, value: int) -> None:
        """Write a register; most of them go to the EEPROM at once."""
        register = self._find(address)
        assert register.write is not None, "check_word has passed"
        register.write(value)
        if register.kept and not self.no_save:
            self.save()

    def _find(self, address: int) -> Register:
        register = self._registers.get(address)
        if register is None or not register.active():
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        return register

    # -- what the registers use --------------------------------------------------------------

    def is_on(self, number: int) -> bool:
        """Tell whether an input is in use."""
        return self.settings.inputs[number].sensor is not Sensor.OFF

    def reading(self, number: int) -> int:
        """Give the value of an input in counts."""
        if self.errors[number]:
            return NO_VALUE
        return self.settings.to_register(number, self._readings[number])

    def set_point(self, number: int) -> float:
        """Give the set-point that is in force."""
        if number == 1 and self.profile.operation is not Operation.STATIC:
            return self.profile.set_point_c
        return self.settings.inputs[number].set_point

    def save(self) -> None:
        """Write settings to the EEPROM, which wears it."""
        self._saved = copy.deepcopy(self.settings)
        self.eeprom_writes += 1

    def clear_errors(self) -> None:
        """End the errors of inputs that are well again."""
        self.errors = dict(self.broken)

    def clear_alarms(self) -> None:
        """End the alarms whose cause is over."""
        self.alarms = self._alarms_now()
        self.silenced = False

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass in the controller and in the chamber.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        self._follow_sensors()
        for h_s in substeps(dt_s, CONTROL_STEP_S):
            if self._powered:
                self._control(h_s)
            self.chamber.step(h_s, temperature=self.loops[1].output, humidity=self.loops[2].output)
        self.clock += timedelta(seconds=dt_s)
        if dt_s > 0:
            self._measure()

    def power_off(self) -> None:
        """Take the supply away: no output drives anything; what is not saved is lost."""
        self._powered = False
        for loop in self.loops.values():
            loop.rest()
        self.events = [False] * EVENTS

    def power_on(self) -> None:
        """Start static with what the EEPROM has."""
        self._powered = True
        self.settings = copy.deepcopy(self._saved)
        self.profile = Profile()
        self.no_save = False
        self.clear_errors()
        self.clear_alarms()

    def _control(self, h_s: float) -> None:
        was_static = self.profile.operation is Operation.STATIC
        self.profile.step(h_s)
        if not was_static and self.profile.operation is Operation.STATIC:
            self.settings.inputs[1].set_point = self.profile.set_point_c
        values = {1: self.chamber.chamber_c, 2: self.chamber.humidity_percent}
        for number, loop in self.loops.items():
            if self.errors[number] or not self.is_on(number):
                loop.rest()
            else:
                loop.step(h_s, self.set_point(number) - values[number])
        for number, active in self._alarms_now().items():
            self.alarms[number] |= active

    def _alarms_now(self) -> dict[int, bool]:
        value_c = self.chamber.chamber_c
        return {1: value_c > self.alarm_high_c, 2: value_c < self.alarm_low_c}

    def _follow_sensors(self) -> None:
        for number, broken in self.broken.items():
            latched = self.errors[number] and self.settings.inputs[number].latch
            self.errors[number] = broken or bool(latched)

    def _measure(self) -> None:
        noise = [self._chance.gauss(0.0, self.noise_c) for _ in self._readings]
        values = (self.chamber.chamber_c, self.chamber.humidity_percent, self.chamber.product_c)
        for number, value, error in zip(self._readings, values, noise, strict=True):
            self._readings[number] = value + error

    def quantities(self) -> Mapping[str, Quantity]:
        """The chamber, the state of sensors and outputs, and the wear of the EEPROM."""
        return self._quantities


_NUMBERS = {
    "chamber_c": ("degC", "temperature of the air (input 1)", -100.0, 200.0),
    "product_c": ("degC", "temperature of what stands in the chamber", -100.0, 200.0),
    "room_c": ("degC", "temperature of the room", -40.0, 60.0),
    "humidity_percent": ("%", "relative humidity (input 2)", 0.0, 100.0),
    "room_humidity_percent": ("%", "relative humidity of the room", 0.0, 100.0),
}
_OWN_NUMBERS = {
    "alarm_high_c": ("degC", "alarm 1 is active above it", -200.0, 800.0),
    "alarm_low_c": ("degC", "alarm 2 is active below it", -200.0, 800.0),
    "noise_c": ("degC", "noise of a reading", 0.0, 10.0),
}


def _quantities(f4: WatlowF4) -> dict[str, Quantity]:
    found = {
        name: attribute(owner, name, *rest)
        for owner, table in ((f4.chamber, _NUMBERS), (f4, _OWN_NUMBERS))
        for name, rest in table.items()
    }
    found["door_open"] = Quantity(
        "",
        "1: the door is open",
        lambda: float(f4.chamber.door_open),
        lambda value: setattr(f4.chamber, "door_open", bool(value)),
        whole=True,
    )
    found["inactive_reads_zero"] = Quantity(
        "",
        "1: a read of an inactive parameter gives 0, not exception 2",
        lambda: float(f4.inactive_reads_zero),
        lambda value: setattr(f4, "inactive_reads_zero", bool(value)),
        whole=True,
    )
    for number in f4.broken:
        found[f"input_{number}_broken"] = _of_item(
            f4, "broken", number, f"1: the sensor of input {number} is disconnected"
        )
    for number in range(DIGITAL_INPUTS):
        found[f"digital_input_{number + 1}"] = _of_item(
            f4, "digital_inputs", number, f"1: digital input {number + 1} is closed"
        )
    found["heat"] = Quantity(
        "", "output 1: -1 full cooling to 1 full heating", lambda: f4.loops[1].output
    )
    found["eeprom_writes"] = Quantity(
        "", "times that the EEPROM was written", lambda: float(f4.eeprom_writes)
    )
    return found


def _of_item(owner: object, name: str, key: int, doc: str) -> Quantity:
    return Quantity(
        "",
        doc,
        lambda: float(getattr(owner, name)[key]),
        lambda value: getattr(owner, name).__setitem__(key, bool(value)),
        whole=True,
    )
