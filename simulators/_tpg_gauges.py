"""The gauges of a TPG 36x: their names, their ranges, and what the controller says of them.

Names and status are those of the sheet. It has no ranges and no voltages: these are general
knowledge of such gauges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from simulators._vacuum import Volume


class Status(IntEnum):
    """Measurement status (sheet)."""

    GOOD = 0
    UNDERRANGE = 1
    OVERRANGE = 2
    SENSOR_ERROR = 3
    OFF = 4
    NO_SENSOR = 5
    IDENTIFICATION = 6


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of gauge."""

    label: str
    """Reply of ``TID``."""
    low_mbar: float
    high_mbar: float
    volts: Callable[[float], float]
    """Gives its signal for a pressure in mbar."""
    switchable: bool = False
    """True: ``SEN`` switches it."""


def _decades(per_decade: float, offset: float) -> Callable[[float], float]:
    return lambda mbar: offset + per_decade * math.log10(mbar)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "PKR": Kind("PKR", 5e-9, 1000.0, _decades(1.667, 11.33), switchable=True),
        "TPR": Kind("TPR/PCR", 8e-4, 1000.0, _decades(1.0, 5.5)),
        "IKR": Kind("IKR", 2e-9, 1e-2, _decades(1.0, 10.5), switchable=True),
        "CMR": Kind("CMR/APR", 1e-4, 1.1, lambda mbar: 10.0 * mbar),
        "IMR": Kind("IMR", 2e-6, 1000.0, _decades(0.75, 7.75), switchable=True),
        "PBR": Kind("PBR", 5e-10, 1000.0, _decades(0.75, 7.75), switchable=True),
    }
)
"""Kinds by a short name."""

_TORR = 1.333_223_684
UNITS: Sequence[tuple[str, float]] = (
    ("mbar", 1.0),
    ("Torr", 1.0 / _TORR),
    ("Pa", 100.0),
    ("micron", 1000.0 / _TORR),
    ("hPa", 1.0),
    ("V", 0.0),
)
"""Units by the number of ``UNI``, with what a mbar is in them; 0: the signal of the gauge."""


@dataclass(slots=True)
class Channel:
    """One input of the controller."""

    kind: Kind | None
    """What is plugged in; None: nothing."""
    volume: Volume
    """What it looks into."""
    on: bool = True
    trouble: Status = Status.GOOD
    """A sensor error, an identification error, or a gauge that is unplugged."""
    error: float = 0.0
    """Noise of the present reading, as a part of it."""

    @property
    def plugged_in(self) -> bool:
        """True: there is a gauge, and its kind is known."""
        return self.kind is not None and self.trouble not in (
            Status.NO_SENSOR,
            Status.IDENTIFICATION,
        )

    @property
    def switchable(self) -> bool:
        """True: ``SEN`` can switch it."""
        return self.plugged_in and self.kind is not None and self.kind.switchable

    def label(self) -> str:
        """Give what ``TID`` says."""
        if self.kind is None or self.trouble is Status.NO_SENSOR:
            return "noSENSOR"
        return "noIDENT" if self.trouble is Status.IDENTIFICATION else self.kind.label

    def switch_state(self) -> int:
        """Give what ``SEN`` says: 0 not switchable, 1 off, 2 on."""
        return 1 + self.on if self.switchable else 0

    def measured(self, unit: int) -> tuple[Status, float]:
        """Give status and value in a unit of `UNITS`; without a value it is 0."""
        if self.kind is None:
            return Status.NO_SENSOR, 0.0
        if self.trouble:
            return self.trouble, 0.0
        if not self.on:
            return Status.OFF, 0.0
        mbar = self.volume.mbar * (1.0 + self.error)
        status = Status.GOOD
        if mbar < self.kind.low_mbar:
            status, mbar = Status.UNDERRANGE, self.kind.low_mbar
        elif mbar > self.kind.high_mbar:
            status, mbar = Status.OVERRANGE, self.kind.high_mbar
        factor = UNITS[unit][1]
        return status, mbar * factor if factor else self.kind.volts(mbar)
