"""One output of a laboratory supply, with what is connected to it.

The output is as quick as its settings: there is no settling in this model. Source of the limits:
the sheet rigol_dp832.md; those of the protections are not in it (general knowledge: 1 V more
than the rating of CH1 and CH2, 0.1 A more than what can be set).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum


class Regulation(StrEnum):
    """Reply of ``:OUTP:MODE?``."""

    VOLTAGE = "CV"
    CURRENT = "CC"
    NONE = "UR"


@dataclass(frozen=True, slots=True)
class Rating:
    """What a channel can give."""

    label: str
    """As ``:APPL?`` says it."""
    top_v: float
    """Highest voltage that can be set."""
    top_a: float
    """Highest current that can be set."""
    top_ovp_v: float
    """Highest level of the over-voltage protection."""
    top_ocp_a: float = 3.3
    """Highest level of the over-current protection."""
    headroom_v: float = 2.0
    """How much more the rectifier has than the highest voltage, at full mains."""


BIG = Rating("30V/3A", top_v=32.0, top_a=3.2, top_ovp_v=33.0)
"""CH1 and CH2."""
SMALL = Rating("5V/3A", top_v=5.3, top_a=3.2, top_ovp_v=5.5)
"""CH3."""

LEAST_PROTECTION = 0.001
"""Lowest level of a protection, in V and in A."""
OPEN_OHM = 1e9
"""A load of so much is no load."""


@dataclass(slots=True)
class Protection:
    """Over-voltage or over-current protection of one channel."""

    level: float
    """In V or in A."""
    on: bool = False
    tripped: bool = False


@dataclass(slots=True)
class Channel:
    """One of the channels 1 to 3."""

    rating: Rating
    load_ohm: float
    """Resistance between the terminals."""
    volts: float = 0.0
    """Voltage that is set."""
    amps: float = 0.1
    """Current limit that is set."""
    on: bool = False
    ovp: Protection = field(default_factory=lambda: Protection(0.0))
    ocp: Protection = field(default_factory=lambda: Protection(0.0))
    feed_v: float = 0.0
    """Voltage that the load itself feeds into the terminals, as a battery or a motor does."""
    error_v: float = 0.0
    """Noise of the present reading of the voltage."""
    error_a: float = 0.0
    """The same of the current."""

    def __post_init__(self) -> None:
        """Begin with the protections as after a reset."""
        self.reset()

    def reset(self) -> None:
        """Set everything as ``*RST`` does; what is connected stays."""
        self.volts, self.amps, self.on = 0.0, 0.1, False
        self.ovp = Protection(self.rating.top_ovp_v)
        self.ocp = Protection(self.rating.top_ocp_a)

    @property
    def tripped(self) -> bool:
        """True until the protection that has tripped is cleared."""
        return self.ovp.tripped or self.ocp.tripped

    def state(self, mains: float) -> tuple[float, float, Regulation]:
        """Give voltage and current at the terminals, and what is regulated.

        Args:
            mains: Mains voltage, 1 is full; with too little of it nothing is regulated.
        """
        if not self.on:
            return self.feed_v, 0.0, Regulation.NONE
        reach_v = (self.rating.top_v + self.rating.headroom_v) * mains
        wanted_v = min(self.volts, reach_v)
        if self.feed_v > wanted_v:
            return self.feed_v, 0.0, Regulation.NONE
        wanted_a = (wanted_v - self.feed_v) / self.load_ohm
        if wanted_a > self.amps:
            return self.feed_v + self.amps * self.load_ohm, self.amps, Regulation.CURRENT
        unregulated = reach_v < self.volts
        return wanted_v, wanted_a, Regulation.NONE if unregulated else Regulation.VOLTAGE

    def watch(self, mains: float) -> None:
        """Trip what has a reason to trip; that turns the output off."""
        volts, amps, _ = self.state(mains)
        self.ovp.tripped |= self.on and self.ovp.on and volts > self.ovp.level
        self.ocp.tripped |= self.on and self.ocp.on and amps > self.ocp.level
        if self.tripped:
            self.on = False

    def measure(self, chance: random.Random, *, noise_v: float, noise_a: float) -> None:
        """Take a new reading, with new noise."""
        self.error_v, self.error_a = chance.gauss(0.0, noise_v), chance.gauss(0.0, noise_a)

    def shown(self, mains: float) -> tuple[float, float, float]:
        """Give the readings of voltage, current and power."""
        volts, amps, _ = self.state(mains)
        noisy = self.on
        volts = max(0.0, volts + noisy * self.error_v)
        amps = max(0.0, amps + noisy * self.error_a)
        return volts, amps, volts * amps
