"""Twins of units that speak the Pfeiffer vacuum protocol: a turbo drive, and digital gauges.

Written from the sheet ``instruments/pfeiffer_turbo.md`` alone, not from the driver. Several units
share one line, see `simulators.bus`. The drive (a TM 700, address 1) has just been switched on:
the pump stands still, ``010`` is off and ``023`` on. A gauge (an MPT, address 122) looks into a
chamber of 50 l that has been pumped for long.

Where the sheet says nothing, the twins do this (and a driver should not rely on it):

- Group addresses (9xx) and address 0 are those of no unit: silence, and nothing is obeyed.
- A well-formed request of another length than its parameter has, and a read request with other
  data than ``=?``, are ``_RANGE``; a read of ``009`` is ``_LOGIC``. LF behind CR is ignored.
- A change of ``797`` is confirmed with the old address, and holds from then on.
- The pump runs while ``010`` and ``023`` are on and there is no error: to ``308``, which is the
  nominal speed, or ``707`` per cent of it with ``026`` = 1; in standby two thirds of that.
- ``302`` is 80 % of the nominal speed, ``306`` within 1 % of the set speed; ``307`` is below that.
- Errors stop the pump until ``009`` is written, which does nothing while the cause is there; then
  it starts again if ``010`` is still on. Err006: not at ``302`` within 8 minutes. Err044:
  electronics above 70 C (``304``). Err045: bearing above 75 C or motor above 90 C (``305``).
  Temperatures must fall by 5 C before ``304`` and ``305`` go.
- After a loss of supply ``010``, ``002`` and errors are off, all other settings are as before.
- A pressure beyond the range of a gauge reads as the end of the range; with Err001 it reads 0
  (``000000``), with Err002 it is right. ``741`` and ``742`` can be 0 to 999 and 0.01 to 99.99.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from simulators._names import unknown_name
from simulators._pfeiffer_parameters import parameters_of_drive, parameters_of_gauge
from simulators._pfeiffer_rotor import SUPPLY_V, Rotor
from simulators._pfeiffer_unit import Parameter, PfeifferUnit
from simulators._quantities import flag, number
from simulators._vacuum import ATMOSPHERE_MBAR, Volume, settled
from simulators.cryostat import substeps
from simulators.device import Quantity, SimulatorError

NOMINAL_HZ = 820.0
"""Nominal speed of the pump."""
RUN_UP_S = 480.0
"""Longest time to the switch point before it is an error."""
SWITCH_POINT = 0.8
"""Part of the nominal speed that is the switch point."""

_NEAR = 0.01
_STANDBY = 2 / 3
_LOWEST_SUPPLY_V = 40.0
_HYSTERESIS_C = 5.0
_HOT_ELECTRONICS_C, _HOT_BEARING_C, _HOT_MOTOR_C = 70.0, 75.0, 90.0
_RUN_UP, _ELECTRONICS, _MOTOR = 6, 44, 45
_BROKEN_SENSOR = 1
_LONGEST_STEP_S = 1.0


class PfeifferDrive(PfeifferUnit):
    """Drive electronics with their turbo pump."""

    name: ClassVar[str] = "pfeiffer_turbo"
    stranger: ClassVar[str] = "A5"  # a gauge

    def __init__(self, *, seed: int | None = None, unit: int = 1) -> None:  # noqa: ARG002
        """Start at rest; nothing of it is left to chance, so *seed* has no effect.

        Raises:
            SimulatorError: *unit* cannot be an address.
        """
        super().__init__(unit=unit)
        self.rotor: Rotor = Rotor(NOMINAL_HZ)
        self.model = "TM 700"
        self.firmware = "010500"
        self.pumping = self.standby = False
        self.motor_on = True
        self.speed_mode = 0
        self.set_percent = 65.0
        self.power_percent = 100.0
        self.supply_v = SUPPLY_V
        self.error = self.warning = 0
        self.hot_electronics = self.hot_pump = False
        self.run_up_s = 0.0
        self.run_s = 1234 * 3600.0
        self._powered = True
        self._parameters = parameters_of_drive(self)
        self._quantities = _quantities_of_drive(self)

    def parameters(self) -> Mapping[int, Parameter]:
        """Give those of a drive."""
        return self._parameters

    @property
    def set_hz(self) -> float:
        """Speed that the pump is to have while it runs."""
        part = self.set_percent / 100.0 if self.speed_mode else 1.0
        return NOMINAL_HZ * part * (_STANDBY if self.standby else 1.0)

    @property
    def running(self) -> bool:
        """True while the motor drives the pump."""
        return (
            self._powered
            and self.supply_v >= _LOWEST_SUPPLY_V
            and self.pumping
            and self.motor_on
            and not self.error
        )

    @property
    def at_speed(self) -> bool:
        """True: the set speed is reached."""
        return self.running and abs(self.rotor.hz - self.set_hz) <= _NEAR * NOMINAL_HZ

    @property
    def accelerating(self) -> bool:
        """True: the pump is slower than it is to be."""
        return self.running and not self.at_speed and self.rotor.hz < self.set_hz

    @property
    def past_switch_point(self) -> bool:
        """True: the speed is 80 % or more."""
        return self.rotor.hz >= SWITCH_POINT * NOMINAL_HZ

    def trouble(self) -> str:
        """Give what parameter 303 says."""
        if self.error:
            return f"Err{self.error:03d}"
        return f"Wrn{self.warning:03d}" if self.warning else "000000"

    def acknowledge(self, really: bool) -> None:
        """Forget an error whose cause is gone."""
        if really and not (self.hot_electronics or self.hot_pump):
            self.error = 0
            self.run_up_s = 0.0

    def move_to(self, address: int) -> None:
        """Have another address from now on."""
        self.unit = address

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, _LONGEST_STEP_S):
            self._watch(h_s)
            self.rotor.step(
                h_s,
                target_hz=self.set_hz if self.running else 0.0,
                limit=self.power_percent / 100.0,
                powered=self._powered and self.supply_v >= _LOWEST_SUPPLY_V,
            )
        self._watch(0.0)

    def _watch(self, h_s: float) -> None:
        if not self._powered:
            return
        rotor = self.rotor
        self.run_s += h_s if self.running else 0.0
        late = self.running and not self.past_switch_point and not self.standby
        slow_on_purpose = self.set_hz < SWITCH_POINT * NOMINAL_HZ
        self.run_up_s = self.run_up_s + h_s if late and not slow_on_purpose else 0.0
        slack_c = _HYSTERESIS_C if self.hot_electronics else 0.0
        self.hot_electronics = rotor.electronics_c > _HOT_ELECTRONICS_C - slack_c
        slack_c = _HYSTERESIS_C if self.hot_pump else 0.0
        self.hot_pump = (
            rotor.bearing_c > _HOT_BEARING_C - slack_c or rotor.motor_c > _HOT_MOTOR_C - slack_c
        )
        if not self.error:
            self.error = (
                (_ELECTRONICS if self.hot_electronics else 0)
                or (_MOTOR if self.hot_pump else 0)
                or (_RUN_UP if self.run_up_s > RUN_UP_S else 0)
            )

    def power_off(self) -> None:
        """Take the supply away: the pump coasts."""
        self._powered = False

    def power_on(self) -> None:
        """Start with the pump off; it may still turn."""
        self._powered = True
        self.pumping = self.standby = False
        self.error = self.warning = 0
        self.run_up_s = 0.0

    def quantities(self) -> Mapping[str, Quantity]:
        """Speed, temperatures, load, supply and errors."""
        return self._quantities


@dataclass(frozen=True, slots=True)
class GaugeKind:
    """A kind of gauge; the sheet has the codes, the ranges are general knowledge."""

    code: str
    """What parameter 349 says."""
    low_hpa: float
    high_hpa: float


GAUGES: Mapping[str, GaugeKind] = MappingProxyType(
    {
        "CPT": GaugeKind("A1", 1.0, 1200.0),
        "MPT": GaugeKind("A5", 5e-9, 1000.0),
    }
)
"""Kinds of gauge by name."""


class PfeifferGauge(PfeifferUnit):
    """A digital gauge on a chamber of its own."""

    name: ClassVar[str] = "pfeiffer_gauge"
    stranger: ClassVar[str] = "TM 700"

    def __init__(self, *, seed: int | None = None, unit: int = 122, kind: str = "MPT") -> None:
        """Start with a good vacuum.

        Args:
            seed: Makes the noise repeatable.
            unit: Address on the line.
            kind: ``CPT`` or ``MPT``.

        Raises:
            SimulatorError: *unit* cannot be an address, or there is no such *kind*.
        """
        super().__init__(unit=unit)
        if kind not in GAUGES:
            raise SimulatorError(unknown_name("gauge", kind, GAUGES))
        self.kind: GaugeKind = GAUGES[kind]
        self.firmware = "010300"
        self.chamber: Volume = settled(50.0, 5.0, 1e-7, 1e-5)
        self.noise = 0.002
        self.error: int = 0
        self.selector: int = 0
        self.correction: float = 1.0
        self._error_part = 0.0
        self._chance = random.Random(seed)
        self._measure()
        self._parameters = parameters_of_gauge(self)
        self._quantities = _quantities_of_gauge(self)

    def parameters(self) -> Mapping[int, Parameter]:
        """Give those of a gauge."""
        return self._parameters

    def shown_hpa(self) -> float:
        """Give what parameter 740 says."""
        if self.error == _BROKEN_SENSOR:
            return 0.0
        hpa = self.chamber.mbar * (1.0 + self._error_part) * self.correction
        return min(max(hpa, self.kind.low_hpa), self.kind.high_hpa)

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass in the chamber.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")
        self.chamber.step(dt_s)
        if dt_s > 0:
            self._measure()

    def power_off(self) -> None:
        """Take the supply away: it only does not answer."""

    def power_on(self) -> None:
        """Go on with the settings as before."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Pressure, pump, leak, noise and error."""
        return self._quantities

    def _measure(self) -> None:
        self._error_part = max(-0.5, self._chance.gauss(0.0, self.noise))


def _quantities_of_drive(drive: PfeifferDrive) -> dict[str, Quantity]:
    rotor = drive.rotor
    temperatures = {
        f"{name}_c": number(rotor, f"{name}_c", "C", f"temperature of the {what}", -40, 300)
        for name, what in (
            ("electronics", "electronics"),
            ("bottom", "bottom of the pump"),
            ("bearing", "bearing"),
            ("motor", "motor"),
            ("room", "cooling water"),
        )
    }
    return {
        **temperatures,
        "speed_hz": number(rotor, "hz", "Hz", "speed of the rotor", 0, 2000),
        "gas_w": number(rotor, "gas_w", "W", "load of the gas at nominal speed", 0, 5000),
        "cooling_works": flag(rotor, "cooling_works", "0: the cooling has failed"),
        "supply_v": number(drive, "supply_v", "V", "supply; below 40 no motor", 0, 60),
        "error": number(drive, "error", "", "0: none, or n of Errn", 0, 999, whole=True),
        "warning": number(drive, "warning", "", "0: none, or n of Wrnn", 0, 999, whole=True),
        "power_w": Quantity("W", "power that it takes", lambda: rotor.power_w),
        "pumping": Quantity("", "1: parameter 010 is on", lambda: float(drive.pumping)),
        "running": Quantity("", "1: the motor drives the pump", lambda: float(drive.running)),
    }


def _quantities_of_gauge(gauge: PfeifferGauge) -> dict[str, Quantity]:
    chamber = gauge.chamber
    return {
        "pressure_hpa": number(
            chamber, "mbar", "hPa", "pressure in the chamber", 1e-12, ATMOSPHERE_MBAR
        ),
        "pumping": flag(chamber, "pumping", "0: the pump of the chamber does nothing"),
        "leak": number(
            chamber, "leak_mbar_l_per_s", "mbar l/s", "gas that comes into the chamber", 0, 1e6
        ),
        "noise": number(gauge, "noise", "", "noise of a reading, as a part of it", 0, 1),
        "error": number(
            gauge, "error", "", "0: none, 1: defective sensor, 2: memory", 0, 2, whole=True
        ),
    }
