"""Volumes with a pump and a leak, and the gauges that look into them.

A volume obeys ``V dp/dt = leak - S (p - base)``, whose solution is exact for any length of step.
Numbers are those of a small instrument, not of a certain one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ATMOSPHERE_MBAR = 1013.25
"""Where a volume ends that nobody pumps."""


@dataclass(slots=True)
class Volume:
    """One volume and its pump; pressures in mbar, which are hPa."""

    litres: float
    pump_l_per_s: float
    """Pumping speed at the volume; 0 while `pumping` is False."""
    base_mbar: float
    """Where the pump alone would end."""
    leak_mbar_l_per_s: float
    """Gas that comes in, from outside and from the walls."""
    mbar: float = ATMOSPHERE_MBAR
    """The pressure."""
    pumping: bool = True

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass."""
        speed = self.pump_l_per_s if self.pumping else 0.0
        if speed:
            end_mbar = self.base_mbar + self.leak_mbar_l_per_s / speed
            self.mbar = end_mbar + (self.mbar - end_mbar) * math.exp(-dt_s * speed / self.litres)
        else:
            self.mbar += dt_s * self.leak_mbar_l_per_s / self.litres
        self.mbar = min(self.mbar, ATMOSPHERE_MBAR)


def settled(litres: float, pump_l_per_s: float, base_mbar: float, leak: float) -> Volume:
    """Make a volume that has been pumped for long; *leak* in mbar l/s."""
    return Volume(litres, pump_l_per_s, base_mbar, leak, mbar=base_mbar + leak / pump_l_per_s)
