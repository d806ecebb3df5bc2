"""A turbo pump: a rotor that is driven, braked by gas and bearings, and gets warm.

The motor gives what power is left after the losses, up to a limit, and no more than a certain
torque at low speed. Numbers are those of a pump of 300 l/s, not of a certain one: a minute and a
half to 80 % of its speed, most of an hour to stand still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulators.cryostat import substeps

MAX_STEP_S = 1.0
"""Longest step of the integration."""
SUPPLY_V = 48.0

_INERTIA_KG_M2 = 2e-3
_BEARING_NM = 2e-3
_TOP_TORQUE_NM = 0.12
_DRAG_W = 15.0  # at nominal speed, without gas
_ELECTRONICS_W = 8.0  # without any motion
_LOSS = 0.15  # of what the motor takes
_GAIN_W_PER_HZ = 20.0  # how hard the drive holds its speed

_BODIES = {
    # name: watts to kelvin, seconds to get there
    "electronics_c": (0.9, 600.0),
    "bottom_c": (0.2, 1800.0),
    "bearing_c": (0.8, 1500.0),
    "motor_c": (0.6, 1200.0),
}


@dataclass(slots=True)
class Rotor:
    """Speed, power and temperatures."""

    nominal_hz: float
    room_c: float = 25.0
    """Temperature of the cooling water or air."""
    cooling_works: bool = True
    """False: heat goes away three times as slowly."""
    gas_w: float = 0.0
    """Load of the gas at nominal speed."""
    top_w: float = 300.0
    """Power of the drive at a power limit of 100 %."""
    hz: float = 0.0
    power_w: float = 0.0
    """What it takes from its supply."""
    electronics_c: float = 25.0
    bottom_c: float = 25.0
    bearing_c: float = 25.0
    motor_c: float = 25.0

    def step(self, dt_s: float, *, target_hz: float, limit: float, powered: bool) -> None:
        """Let *dt_s* seconds pass.

        Args:
            dt_s: Simulated seconds.
            target_hz: Speed to go to and hold; 0: coast.
            limit: Power limit, as a part of `top_w`.
            powered: False: the drive takes no power at all.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, MAX_STEP_S):
            motor_w = self._motor_w(target_hz, limit) if powered else 0.0
            self._spin(h_s, motor_w)
            self.power_w = motor_w + (_ELECTRONICS_W if powered else 0.0)
            self._warm(h_s, motor_w)

    def _losses_w(self) -> tuple[float, float]:
        """Give what friction and gas take now."""
        part = (self.hz / self.nominal_hz) ** 2
        return _DRAG_W * part + _BEARING_NM * math.tau * self.hz, self.gas_w * part

    def _motor_w(self, target_hz: float, limit: float) -> float:
        if target_hz <= 0:
            return 0.0
        wanted_w = max(0.0, sum(self._losses_w()) + _GAIN_W_PER_HZ * (target_hz - self.hz))
        return min(wanted_w / (1 - _LOSS), self.top_w * limit)

    def _spin(self, h_s: float, motor_w: float) -> None:
        rate = math.tau * self.hz
        torque = min(_TOP_TORQUE_NM, motor_w * (1 - _LOSS) / max(rate, 1e-3)) if motor_w else 0.0
        brake = sum(self._losses_w()) / max(rate, 1e-3)
        rate += h_s * (torque - brake) / _INERTIA_KG_M2
        self.hz = max(0.0, rate / math.tau)

    def _warm(self, h_s: float, motor_w: float) -> None:
        friction_w, gas_w = self._losses_w()
        heats_w = {
            "electronics_c": self.power_w * _LOSS + _ELECTRONICS_W * (self.power_w > 0),
            "bottom_c": friction_w + gas_w,
            "bearing_c": friction_w,
            "motor_c": motor_w * _LOSS + gas_w / 2,
        }
        slower = 1.0 if self.cooling_works else 3.0
        for name, (kelvin_per_w, time_s) in _BODIES.items():
            end_c = self.room_c + kelvin_per_w * heats_w[name] * slower
            now_c = getattr(self, name)
            kept = math.exp(-h_s / (time_s * slower))
            setattr(self, name, end_c + (now_c - end_c) * kept)
