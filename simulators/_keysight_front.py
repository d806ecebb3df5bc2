"""What is connected to a multimeter, and what its converter makes of it.

Inputs have noise that shrinks with the square root of the integration time, hum of the mains that
vanishes when whole cycles are integrated, and (the voltage) a slow drift.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

OVERLOAD = 9.9e37
"""What stands for a value beyond the range (sheet, row "single")."""

_OVERRANGE = 1.2
_DRIFT_TIME_S = 1800.0


@dataclass(frozen=True, slots=True)
class Function:
    """Something that can be measured."""

    header: str
    """As in a header; capitals are the short form."""
    unit: str
    """Unit that may stand behind a range."""
    source: str
    """Attribute of `Front` that is measured."""
    ranges: Sequence[float]
    """Full scales; the sheet has those of the voltage, the others are general knowledge."""
    top: float
    """Beyond this it is an overload on the highest range."""


_OHMS = (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "VOLT": Function("VOLTage[:DC]", "V", "input_v", (0.1, 1.0, 10.0, 100.0, 1e3), 1e3),
        "CURR": Function(
            "CURRent[:DC]", "A", "input_a", (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 3.0), 3.6
        ),
        "RES": Function("RESistance", "OHM", "input_ohm", _OHMS, 1.2e9),
        "FRES": Function("FRESistance", "OHM", "input_ohm", _OHMS, 1.2e9),
        # A temperature has no ranges; this one is what a Pt100 reaches.
        "TEMP": Function("TEMPerature", "", "input_c", (1e3,), 1e3),
    }
)
"""By the name that ``SENS:FUNC?`` gives."""


@dataclass(slots=True)
class Front:
    """The terminals."""

    chance: random.Random
    """Of the noise and the drift."""
    input_v: float = 1.0
    """Voltage, before drift."""
    input_a: float = 1e-3
    """Current."""
    input_ohm: float = 1e3
    """Resistance."""
    input_c: float = 23.0
    """Temperature of the probe, in degrees Celsius."""
    noise_ppm: float = 0.3
    """Noise of a reading at 1 NPLC, in parts per million of the range."""
    drift_v: float = 5e-6
    """How far the voltage strays, as a standard deviation; within half an hour."""
    hum_v: float = 0.0
    """Amplitude of the mains on the voltage."""
    stray: float = 0.0
    """Present drift in units of `drift_v`."""

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass: the voltage strays, the same way in any number of steps."""
        kept = math.exp(-dt_s / _DRIFT_TIME_S)
        self.stray = self.stray * kept + self.chance.gauss(0.0, math.sqrt(1.0 - kept * kept))

    def present(self, function: Function) -> float:
        """Give what there is to be measured, without noise."""
        value = float(getattr(self, function.source))
        return value + self.drift_v * self.stray if function.unit == "V" else value

    def reading(self, function: Function, full_scale: float, nplc: float) -> float:
        """Give one reading on the range *full_scale*, after *nplc* cycles of the mains."""
        value = self.present(function)
        value += self.chance.gauss(0.0, self.noise_ppm * 1e-6 * full_scale / math.sqrt(nplc))
        if function.unit == "V" and self.hum_v:
            # The mean of a sine over nplc cycles, that begin at any phase.
            left = math.sin(math.pi * nplc) / (math.pi * nplc)
            value += self.hum_v * left * math.sin(self.chance.uniform(0.0, math.tau))
        if abs(value) > limit_of(function, full_scale):
            return math.copysign(OVERLOAD, value)
        return value


def limit_of(function: Function, full_scale: float) -> float:
    """Give the largest value that is no overload on a range."""
    return min(full_scale * _OVERRANGE, function.top)


def range_for(function: Function, value: float, *, overrange: bool) -> float:
    """Give the lowest range for *value*, the highest one if there is none.

    Args:
        function: What is measured.
        value: Without its sign.
        overrange: True: some more than the full scale is welcome, as for a reading.
    """
    for full_scale in function.ranges:
        if abs(value) <= (limit_of(function, full_scale) if overrange else full_scale):
            return full_scale
    return function.ranges[-1]
