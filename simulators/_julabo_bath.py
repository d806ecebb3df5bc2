"""The thermal side of a circulator that cools a camera head through a hose.

Two bodies::

    room -- bath -- (pump) -- camera head -- room
             |                    |
      heater and cooler    load of the camera

Numbers are those of a small unit, not of a certain one. The controller is the one that the sheet
names the parameters of (``out_par_06`` to ``out_par_08``): a proportional band Xp in kelvin, a
reset time Tn and a derivative time Tv in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulators.cryostat import substeps

MAX_STEP_S = 1.0
"""Longest step of the integration; the camera head has a time constant of about half a minute."""
HEATER_W = 1000.0
"""Heat at +100 percent."""
COOLER_W = 500.0
"""Heat that is taken away at -100 percent, with the bath at 0 C or more."""

_BATH_J_PER_K = 12_000.0
_HEAD_J_PER_K = 2_000.0
_BATH_ROOM_W_PER_K = 2.0
_HEAD_ROOM_W_PER_K = 1.0
_HOSE_W_PER_K = 1.0
_HOSE_W_PER_K_STAGE = 25.0
# Where the cooler cannot go any deeper.
_COLDEST_C = -40.0


@dataclass(slots=True)
class Bath:
    """Temperatures in degrees Celsius; starts in balance at 15 C with the pump on stage 2."""

    bath_c: float = 15.0
    """The liquid in the unit."""
    head_c: float = 16.06
    """The camera head at the other end of the hose, where the external Pt100 is."""
    room_c: float = 20.0
    """The room around both; nothing changes it but the user."""
    load_w: float = 50.0
    """Heat of the camera."""
    cooler_works: bool = True
    """False: the compressor does nothing, whatever is asked of it."""
    heater_stuck: bool = False
    """True: the heater gives its full power always, as with a welded relay."""

    def step(self, dt_s: float, *, percent: float, pump_stage: int) -> None:
        """Let *dt_s* seconds pass at *percent* of power, negative: cooling.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        hose_w_per_k = _HOSE_W_PER_K + _HOSE_W_PER_K_STAGE * pump_stage
        for h_s in substeps(dt_s, MAX_STEP_S):
            hose_w = hose_w_per_k * (self.bath_c - self.head_c)
            bath_w = _BATH_ROOM_W_PER_K * (self.room_c - self.bath_c) + self._power_w(percent)
            head_w = _HEAD_ROOM_W_PER_K * (self.room_c - self.head_c) + self.load_w
            self.bath_c += h_s / _BATH_J_PER_K * (bath_w - hose_w)
            self.head_c += h_s / _HEAD_J_PER_K * (head_w + hose_w)

    def _power_w(self, percent: float) -> float:
        stuck_w = HEATER_W if self.heater_stuck else 0.0
        if percent >= 0:
            return max(stuck_w, HEATER_W * percent / 100.0)
        reach = min(1.0, max(0.0, (self.bath_c - _COLDEST_C) / -_COLDEST_C))
        return stuck_w + self.cooler_works * COOLER_W * reach * percent / 100.0


@dataclass(slots=True)
class Controller:
    """A PID controller with an output of -100 to 100 percent that does not wind up."""

    band_k: float = 2.0
    """Xp: at this distance the proportional part alone gives full power."""
    reset_s: float = 300.0
    """Tn."""
    derivative_s: float = 20.0
    """Tv."""
    integral_percent: float = 0.0
    _last_error_k: float | None = None

    def reset(self) -> None:
        """Forget the past."""
        self.integral_percent = 0.0
        self._last_error_k = None

    def step(self, error_k: float, dt_s: float) -> float:
        """Give the power in percent, after *dt_s* seconds at a distance of *error_k*."""
        slope = 0.0 if self._last_error_k is None else (error_k - self._last_error_k) / dt_s
        self._last_error_k = error_k
        gain = 100.0 / self.band_k
        now = gain * (error_k + self.derivative_s * slope)
        # Beyond the proportional band it would only wind up.
        if abs(now) < 100:
            self.integral_percent += gain * error_k * dt_s / self.reset_s
            self.integral_percent = _within_100(self.integral_percent)
        return _within_100(now + self.integral_percent)


def _within_100(percent: float) -> float:
    return min(100.0, max(-100.0, percent))
