"""A small dome: a shutter with limit switches, a heater, a fan, and the weather outside."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulators._quantities import flag, number
from simulators.device import Quantity

TRAVEL_S = 30.0
"""Time that the shutter takes from one end to the other."""
HEATER_HOT_C = 60.0
"""Air temperature at which the thermostat of the heater reports."""

_AIR_J_PER_K = 20_000.0
_STRUCTURE_J_PER_K = 200_000.0
_HEATER_W = 1_000.0
_WALL_W_PER_K = 15.0
_STRUCTURE_W_PER_K = 60.0
_OPENING_W_PER_K = 400.0
_FAN_W_PER_K = 200.0
_LONGEST_STEP_S = 10.0


@dataclass(slots=True)
class Dome:
    """Temperatures in degrees Celsius; what the outputs drive, and what the weather is."""

    shutter: float = 0.0
    """0 closed, 1 open."""
    air_c: float = 12.0
    """Air in the dome."""
    structure_c: float = 12.0
    """Steel of the telescope."""
    outside_c: float = 8.0
    """Air outside; nothing changes it but the user."""
    humidity_percent: float = 45.0
    """Relative humidity outside."""
    wind_m_s: float = 3.0
    """Speed of the wind."""
    rain: bool = False
    """The rain sensor is wet."""
    remote: bool = True
    """The key switch is at "remote"."""
    emergency_stop: bool = False
    """The button is pressed, so the shutter does not move."""
    door_closed: bool = True
    """The door is closed."""
    shutter_jammed: bool = False
    """The shutter does not move, whatever drives it."""
    humidity_wire_broken: bool = False
    """The current loop is open."""
    air_wire_broken: bool = False
    """The Pt100 of the air is disconnected."""
    structure_wire_broken: bool = False
    """The Pt100 of the structure is disconnected."""
    drive: int = 0
    """1 opens, -1 closes the shutter; 0: it stands."""
    fan: float = 0.0
    """Speed of the fan, 0 to 1."""
    heater_on: bool = False
    """The heater is on."""
    lamp_on: bool = False
    """The lamp is on."""

    @property
    def heater_hot(self) -> bool:
        """The thermostat of the heater reports."""
        return self.air_c >= HEATER_HOT_C

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")
        count = math.ceil(dt_s / _LONGEST_STEP_S)
        for _ in range(count):
            self._short_step(dt_s / count)

    def _short_step(self, h_s: float) -> None:
        if self.drive and not (self.emergency_stop or self.shutter_jammed):
            self.shutter = max(0.0, min(1.0, self.shutter + self.drive * h_s / TRAVEL_S))
        outward_w_per_k = _WALL_W_PER_K + _OPENING_W_PER_K * self.shutter + _FAN_W_PER_K * self.fan
        heater_w = _HEATER_W if self.heater_on and not self.heater_hot else 0.0
        to_structure_w = _STRUCTURE_W_PER_K * (self.air_c - self.structure_c)
        from_outside_w = outward_w_per_k * (self.outside_c - self.air_c)
        self.air_c += h_s / _AIR_J_PER_K * (heater_w + from_outside_w - to_structure_w)
        self.structure_c += h_s / _STRUCTURE_J_PER_K * to_structure_w

    def quantities(self) -> dict[str, Quantity]:
        """Give what the control port can read and set."""
        found = {
            name: number(self, name, units, doc, low, high)
            for name, (units, doc, low, high) in _NUMBERS.items()
        }
        return found | {name: flag(self, name, doc) for name, doc in _SWITCHES.items()}


_NUMBERS = {
    "shutter": ("", "position of the shutter: 0 closed, 1 open", 0.0, 1.0),
    "air_c": ("degC", "temperature of the air in the dome", -50.0, 100.0),
    "structure_c": ("degC", "temperature of the structure", -50.0, 100.0),
    "outside_c": ("degC", "temperature outside", -50.0, 60.0),
    "humidity_percent": ("%", "relative humidity", 0.0, 100.0),
    "wind_m_s": ("m/s", "speed of the wind", 0.0, 50.0),
}
_SWITCHES = {
    "rain": "1: it rains",
    "remote": "1: the key switch is at remote",
    "emergency_stop": "1: the button is pressed",
    "door_closed": "1: the door is closed",
    "shutter_jammed": "1: the shutter does not move",
    "humidity_wire_broken": "1: the loop of the humidity sensor is open",
    "air_wire_broken": "1: the Pt100 of the air is disconnected",
    "structure_wire_broken": "1: the Pt100 of the structure is disconnected",
}
