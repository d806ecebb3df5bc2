"""A control output of the Model 336: set-point, ramp, PID, modes, heater faults.

Source: the sheet lakeshore_336.md. Beyond it, from general knowledge of the instrument and not
promised: the powers of the ranges (decades up to 100 W and 50 W), and how P, I and D enter
(percent per kelvin, 1000/I seconds, D percent of a quarter of that).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Mode(IntEnum):
    """Second field of ``OUTMODE``."""

    OFF = 0
    CLOSED_LOOP = 1
    ZONE = 2
    OPEN_LOOP = 3
    MONITOR = 4
    WARM_UP = 5


class HeaterFault(IntEnum):
    """Reply of ``HTRST?``."""

    NONE = 0
    OPEN_LOAD = 1
    SHORT = 2


NO_INPUT = 0
MONITOR_FULL_SCALE_K = 1000.0
"""Temperature at which a monitor output gives 100 percent (a choice of this twin)."""


@dataclass(slots=True)
class Loop:
    """A PID controller with an output of 0 to 100 percent that does not wind up."""

    p: float = 50.0
    i: float = 20.0
    d: float = 0.0
    integral_percent: float = 0.0
    _last_error_k: float | None = None

    def reset(self) -> None:
        """Forget the past."""
        self.integral_percent = 0.0
        self._last_error_k = None

    def step(self, error_k: float, dt_s: float) -> float:
        """Give the output in percent, after *dt_s* seconds at a distance of *error_k*."""
        slope = 0.0 if self._last_error_k is None else (error_k - self._last_error_k) / dt_s
        self._last_error_k = error_k
        integral_s = 1000.0 / self.i
        derivative_s = self.d / 100.0 * integral_s / 4.0
        now = self.p * (error_k + derivative_s * slope)
        wanted = now + self.integral_percent
        saturated = (wanted >= 100 and error_k > 0) or (wanted <= 0 and error_k < 0)
        if not saturated:
            grown = self.integral_percent + self.p * error_k * dt_s / integral_s
            self.integral_percent = min(100.0, max(0.0, grown))
        return min(100.0, max(0.0, now + self.integral_percent))


@dataclass(slots=True)
class Output:
    """One of the outputs 1 to 4."""

    range_powers_w: tuple[float, ...]
    """Full power of each range, from 0 (off); analog outputs drive no heater."""
    mode: Mode = Mode.OFF
    input_number: int = NO_INPUT
    power_up: bool = False
    range: int = 0
    manual_percent: float = 0.0
    loop: Loop = field(default_factory=Loop)
    setpoint_k: float = 0.0
    """The set-point that is in force now; it moves while ramping."""
    target_k: float = 0.0
    ramp_on: bool = False
    ramp_k_per_min: float = 0.0
    ramp_done: bool = False
    fault: HeaterFault = HeaterFault.NONE
    """What ``HTRST?`` will say and then forget."""
    load: HeaterFault = HeaterFault.NONE
    """What is wrong with the heater itself."""
    percent: float = 0.0

    @property
    def is_heater(self) -> bool:
        """True for the outputs 1 and 2."""
        return any(self.range_powers_w)

    @property
    def top_range(self) -> int:
        """Highest range that can be set."""
        return len(self.range_powers_w) - 1

    @property
    def ramping(self) -> bool:
        """True while the set-point is on its way."""
        return self.setpoint_k != self.target_k

    @property
    def power_w(self) -> float:
        """Power into the heater."""
        return self.range_powers_w[self.range] * self.percent / 100.0

    def set_target(self, kelvin: float) -> None:
        """Go to *kelvin*: at once, or on a ramp that starts from where the set-point is."""
        self.target_k = kelvin
        if self.ramp_on and self.ramp_k_per_min > 0:
            self.ramp_done = False
        else:
            self.setpoint_k = kelvin

    def set_ramp(self, on: bool, k_per_min: float) -> None:
        """Set the ramp for the next set-point; switching off ends one under way, where it is."""
        self.ramp_on = on
        self.ramp_k_per_min = k_per_min
        if self.ramping and not (on and k_per_min > 0):
            self.target_k = self.setpoint_k

    def set_range(self, new: int) -> None:
        """Select a range; the loop starts afresh when the heater had been off."""
        if self.range == 0:
            self.loop.reset()
        self.range = new

    def shut_off(self) -> None:
        """Turn the heater off."""
        self.range = 0
        self.percent = 0.0

    def power_up_again(self) -> None:
        """Start as after a loss of supply: off, unless it is enabled to come up by itself."""
        if not self.power_up:
            self.shut_off()
        self.loop.reset()
        self.fault = HeaterFault.NONE
        self.target_k = self.setpoint_k

    def step(self, dt_s: float, kelvin: float | None) -> None:
        """Let *dt_s* seconds pass; *kelvin* is the control temperature, None: no good reading."""
        self._ramp(dt_s)
        if self.range and self.load:
            self.fault = self.load
            self.shut_off()
        self.percent = self._demand(dt_s, kelvin) if self.range else 0.0

    def _ramp(self, dt_s: float) -> None:
        if not self.ramping:
            return
        reach_k = self.ramp_k_per_min / 60.0 * dt_s
        left_k = self.target_k - self.setpoint_k
        if abs(left_k) <= reach_k:
            self.setpoint_k = self.target_k
            self.ramp_done = True
        else:
            self.setpoint_k += reach_k if left_k > 0 else -reach_k

    def _demand(self, dt_s: float, kelvin: float | None) -> float:
        if self.mode is Mode.OPEN_LOOP:
            return self.manual_percent
        if kelvin is None:
            return 0.0
        if self.mode in (Mode.CLOSED_LOOP, Mode.ZONE):
            # The sheet has no zone table: a zone output runs with the PID that it has.
            return self.loop.step(self.setpoint_k - kelvin, dt_s)
        if self.mode is Mode.WARM_UP:
            return 100.0 if kelvin < self.setpoint_k else 0.0
        if self.mode is Mode.MONITOR and not self.is_heater:
            return min(100.0, 100.0 * kelvin / MONITOR_FULL_SCALE_K)
        return 0.0
