"""An environmental chamber: air, a product and walls in it, humidity, and a room around it."""

from __future__ import annotations

from dataclasses import dataclass

from simulators.cryostat import substeps

_AIR_J_PER_K = 10_000.0
_PRODUCT_J_PER_K = 60_000.0
_PRODUCT_W_PER_K = 40.0
_LEAK_W_PER_K = 8.0
_HEATER_W = 2_500.0
_COOLER_W = 1_800.0
# The refrigerator gives out towards its lowest temperature.
_COOLER_FULL_C, _COOLER_NONE_C = 20.0, -75.0
_HUMIDITY_TAU_S = 600.0
_HUMIDIFY_PER_S = 0.25
_LONGEST_STEP_S = 5.0


@dataclass(slots=True)
class Chamber:
    """Degrees Celsius and percent of relative humidity; starts at the temperature of the room."""

    chamber_c: float = 23.0
    """Air in the chamber (input 1)."""
    product_c: float = 23.0
    """What stands in it, and its walls."""
    room_c: float = 23.0
    """The room; nothing changes it but the user."""
    humidity_percent: float = 40.0
    """Relative humidity in the chamber (input 2)."""
    room_humidity_percent: float = 40.0
    """Where humidity drifts."""
    door_open: bool = False
    """The door is open: the room comes in."""

    def step(self, dt_s: float, *, temperature: float, humidity: float) -> None:
        """Let *dt_s* seconds pass.

        Args:
            dt_s: Seconds, not negative.
            temperature: -1 full cooling to 1 full heating.
            humidity: -1 full drying to 1 full humidifying.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, _LONGEST_STEP_S):
            self._short_step(h_s, temperature, humidity)

    def _short_step(self, h_s: float, temperature: float, humidity: float) -> None:
        power_w = _HEATER_W * max(0.0, temperature)
        if temperature < 0:
            left = (self.chamber_c - _COOLER_NONE_C) / (_COOLER_FULL_C - _COOLER_NONE_C)
            power_w = _COOLER_W * temperature * max(0.0, min(1.0, left))
        leak_w_per_k = _LEAK_W_PER_K * (20.0 if self.door_open else 1.0)
        leak_w = leak_w_per_k * (self.room_c - self.chamber_c)
        to_product_w = _PRODUCT_W_PER_K * (self.chamber_c - self.product_c)
        self.chamber_c += h_s / _AIR_J_PER_K * (power_w + leak_w - to_product_w)
        self.product_c += h_s / _PRODUCT_J_PER_K * to_product_w
        drift = (self.room_humidity_percent - self.humidity_percent) / _HUMIDITY_TAU_S
        moist = self.humidity_percent + h_s * (drift + _HUMIDIFY_PER_S * humidity)
        self.humidity_percent = max(0.0, min(100.0, moist))


@dataclass(slots=True)
class Loop:
    """A PI controller whose integral does not wind up."""

    gain: float
    """Output, -1 to 1, per unit of deviation."""
    integral_s: float
    """Integral time."""
    integral: float = 0.0
    """What the integral part gives."""
    output: float = 0.0
    """-1 to 1."""

    def step(self, dt_s: float, deviation: float) -> None:
        """Let *dt_s* seconds pass with set-point minus value at *deviation*."""
        proportional = self.gain * deviation
        wanted = proportional + self.integral
        if abs(wanted) < 1.0 or wanted * deviation < 0:
            self.integral += proportional * dt_s / self.integral_s
        self.integral = max(-1.0, min(1.0, self.integral))
        self.output = max(-1.0, min(1.0, proportional + self.integral))

    def rest(self) -> None:
        """Drive nothing, and forget."""
        self.integral = self.output = 0.0
