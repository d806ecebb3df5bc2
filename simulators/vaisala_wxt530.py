"""The twin of a Vaisala WXT530 weather transmitter, and the weather around it.

Written from the sheet ``vaisala_wxt530.md`` alone (which names the Vaisala manuals), not from the
driver. A unit alone on its line is found in automatic mode (RS-232); one that shares a line, in
polled mode (RS-485). It is a dry noon in June.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- A new mode, baud rate or interface is shown at once, and in force after ``0XZ`` or a loss of
  supply; all other settings are at once. A change is answered with the fields that have changed,
  from the new address if that is one of them. All fields of a command change, or none.
- The order of the bits in the masks ``R`` is that of the user guide: Pa, Ta, Tp, Ua for the second
  group, and as they are sent for the others. There is no Tp.
- A command is known by its letters in either case; a small letter after the address means that it
  has a checksum, and so has the answer. A wrong one is answered like none.
- ``Unable to measure``: no value has been chosen. ``Sync/address error``: the line begins with
  something that is no address, and the unit is alone; to another address it is silent.
- Before the first measurement after a restart all values are invalid; of such a value the number
  is zero. Wind is that of the last ``A`` seconds.
- Resets are answered ``Start-up``, ``Rain reset``, ``Inty reset``, ``Measurement reset``; after a
  loss of supply ``Start-up`` comes by itself in the automatic modes.
- ``Z=A`` begins to count anew after each rain message that comes by itself; ``M`` never does.
- In the NMEA modes ASCII commands are obeyed all the same, and errors come as ``$WITXT``; a query
  is ``$--WIQ,XDR*2D`` from any talker, and is not heard if its checksum is wrong.
- The address of unit 10 is A, that of unit 36 is a.
- A host that connects in an automatic mode hears the end of a line first.
- The pace of the line stays what it is, whatever baud rate is set.
"""

from __future__ import annotations

import math
import random
import string
from collections import deque
from collections.abc import Mapping
from typing import ClassVar

from simulators._vaisala_commands import obey
from simulators._vaisala_measuring import Heating, RainGauge, Wind, WindSensor
from simulators._vaisala_messages import (
    COMPOSITE,
    DIGITS,
    data_line,
    nmea_lines,
    text_line,
)
from simulators._vaisala_quantities import quantities_of
from simulators._vaisala_settings import AUTOMATIC, CHECKSUMMED, NMEA, Settings
from simulators._weather import MAX_STEP_S, Weather
from simulators.cryostat import substeps
from simulators.device import Device, LineFramer, Quantity, SimulatorError

LONGEST_LINE = 200
"""Characters; the longest command of the sheet has a third of them."""
MOST_UNSENT = 1000
"""Lines that wait to be sent."""
FIRST_MEASUREMENT_S = 1.0
"""From a restart to the first values."""

_AVERAGES_S = 1200.0
"""After so long in the same weather, averages are what it is."""
_ADDRESSES = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RS485 = "3"


class VaisalaWXT530(Device):
    """The transmitter on its mast."""

    name: ClassVar[str] = "vaisala_wxt530"
    default_baud: ClassVar[int] = 19_200

    line_end = b"\r\n"
    reply_end = b"\r\n"

    def __init__(self, *, seed: int | None = None, unit: int = 0) -> None:
        """Start at noon; *seed* makes the weather repeatable.

        Raises:
            SimulatorError: *unit* is no address.
        """
        if not 0 <= unit < len(_ADDRESSES):
            raise SimulatorError(f"a WXT530 is unit 0 to {len(_ADDRESSES) - 1}, not {unit}")
        self.unit = unit
        self.weather: Weather = Weather(seed=seed)
        self.settings: Settings = Settings(address=_ADDRESSES[unit])
        self.gauge: RainGauge = RainGauge()
        self.heating: Heating = Heating(self.weather.outside_c)
        self.wind_invalid: bool = False
        self.temperature_invalid: bool = False
        self.humidity_invalid: bool = False
        self.pressure_invalid: bool = False
        self.rain_invalid: bool = False
        self.supervisor_invalid: bool = False
        self.heating_v: float = 12.0
        self.supply_v: float = 12.1
        self.reference_v: float = 3.509
        self.mode: str = "A"
        self.restarts: int = 0
        self._alone = True
        self._powered = True
        self._wind_sensor = WindSensor()
        self._wind_sensor.step(0.0, self.weather)
        self._measured_s = FIRST_MEASUREMENT_S
        self._chance = random.Random(seed)
        self._unsent: deque[bytes] = deque(maxlen=MOST_UNSENT)
        self._now_s = 0.0
        self._due_s: dict[str, float] = {}
        self._soonest_s = 0.0
        self._begin_intervals()
        self._quantities = quantities_of(self)

    # -- messages ----------------------------------------------------------------------------

    @property
    def shares_line(self) -> bool:
        """Others are on its line, so that it speaks only when it is polled."""
        return not self._alone

    @shares_line.setter
    def shares_line(self, shared: bool) -> None:
        self._alone = not shared
        if shared:
            self.settings.set("X", "C", _RS485)
            self.set_mode("P")
            self.apply_settings()

    def framer(self) -> LineFramer:
        """Cut at LF, with or without a CR before it."""
        return LineFramer(longest=LONGEST_LINE)

    def answer(self, message: bytes) -> bytes:
        """Obey one line."""
        return obey(self, message.decode("latin-1"))

    def take_unasked(self) -> list[bytes]:
        """Give the lines that have become due in an automatic mode."""
        lines = list(self._unsent)
        self._unsent.clear()
        return lines

    def speaks_in_s(self) -> float:
        """Give the seconds until the next line."""
        talks = self._powered and self.mode in AUTOMATIC
        return self._soonest_s - self._now_s if talks else math.inf

    def overheard(self, transport: str) -> bytes:  # noqa: ARG002 - the same on both
        """Give the end of a line in an automatic mode."""
        if self.mode not in AUTOMATIC:
            return b""
        line = self._group_line("W")
        return line[self._chance.randrange(1, len(line)) :] if line else b""

    # -- what the commands use ---------------------------------------------------------------

    @property
    def address(self) -> str:
        """The character that its messages begin with."""
        return self.settings.get("X", "A")

    @property
    def speaks_nmea(self) -> bool:
        """It is in one of the NMEA modes."""
        return self.mode in NMEA

    @property
    def measuring(self) -> bool:
        """It has values already."""
        return self._measured_s >= FIRST_MEASUREMENT_S

    def wind(self) -> Wind | None:
        """Give the wind of the averaging time; None: there is none to be measured."""
        if self.wind_invalid or not self.measuring:
            return None
        return self._wind_sensor.over(self.settings.number("W", "A"))

    def air_c(self) -> float | None:
        """Give the temperature of the air."""
        invalid = self.temperature_invalid or not self.measuring
        return None if invalid else self.weather.outside_c

    def air_percent(self) -> float | None:
        """Give the humidity of the air."""
        invalid = self.humidity_invalid or not self.measuring
        return None if invalid else self.weather.humidity_percent

    def air_hpa(self) -> float | None:
        """Give the pressure of the air."""
        invalid = self.pressure_invalid or not self.measuring
        return None if invalid else self.weather.pressure_hpa

    def apply_settings(self) -> None:
        """Do what is set, as far as it is in force at once."""
        on_bus = self.settings.get("X", "C") == _RS485
        self.turnaround_s = self.settings.number("X", "L") / 1000 if on_bus else 0.0
        for group in self._due_s:
            self._due_s[group] = min(self._due_s[group], self._now_s + self._interval_s(group))
        self._soonest_s = min(self._due_s.values())

    def set_mode(self, mode: str) -> None:
        """Be in a message mode from now on."""
        self.settings.set("X", "M", mode)
        self.mode = mode
        self._begin_intervals()
        self.taken_back += 1
        self._unsent.clear()

    def measure_anew(self) -> None:
        """Forget what has been measured, but not what has been counted."""
        self._wind_sensor.forget()
        self._measured_s = 0.0

    def restart(self) -> None:
        """Begin anew with the settings as they are."""
        self.restarts += 1
        self.gauge = RainGauge()
        self.measure_anew()
        self.set_mode(self.settings.get("X", "M"))

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass in the weather and in the unit.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, MAX_STEP_S):
            self.weather.step(h_s)
            self._now_s += h_s
            if self._powered:
                self._measure(h_s)
                if self.mode in AUTOMATIC:
                    self._talk()

    def hold(self) -> float:
        """Have the weather stay as it is; the transmitter goes on measuring and speaking."""
        self.weather.steady = True
        self.step(_AVERAGES_S)
        self.take_unasked()  # nobody was told of it meanwhile
        return 1.0

    def power_off(self) -> None:
        """Take the supply away: it says nothing and counts nothing; settings are kept."""
        self._powered = False
        self._unsent.clear()
        self.taken_back += 1

    def power_on(self) -> None:
        """Start, with all settings in force and counters at zero."""
        self._powered = True
        self.restart()
        if self.mode in AUTOMATIC:
            self._unsent.append(text_line(self, "Start-up", checksummed=self._checksummed))

    @property
    def _checksummed(self) -> bool:
        return self.mode in CHECKSUMMED

    def _measure(self, h_s: float) -> None:
        self._measured_s += h_s
        self._wind_sensor.step(h_s, self.weather)
        self.gauge.step(h_s, self.weather)
        allowed = self.settings.get("S", "H") == "Y"
        self.heating.step(h_s, self.weather.outside_c, allowed=allowed)

    def _interval_s(self, group: str) -> float:
        return self.settings.number(group, "I") or math.inf

    def _begin_intervals(self) -> None:
        groups = (*DIGITS.values(), "X")
        self._due_s = {group: self._now_s + self._interval_s(group) for group in groups}
        self._soonest_s = min(self._due_s.values())

    def _talk(self) -> None:
        # Floating point must not make it late by a step.
        now_s = self._now_s + 1e-6
        if self._soonest_s > now_s:
            return
        for group, due_s in self._due_s.items():
            if due_s > now_s:
                continue
            self._due_s[group] = due_s + self._interval_s(group)
            line = self._group_line(group)
            if line:
                self._unsent.append(line)
            if group == "R" and self.settings.get("R", "Z") == "A":
                self.gauge.reset_counters()
        self._soonest_s = min(self._due_s.values())

    def _group_line(self, group: str) -> bytes:
        if self.speaks_nmea:
            return nmea_lines(self, group) if group != "X" else b""
        digit = next((each for each in DIGITS if DIGITS[each] == group), COMPOSITE)
        return data_line(self, digit, checksummed=self._checksummed)

    def quantities(self) -> Mapping[str, Quantity]:
        """Weather, sensors that are invalid, counters, supply and message mode."""
        return self._quantities
