"""The twin of a Rigol DP832 triple supply, with a resistor on each channel.

Written from the sheet ``instruments/rigol_dp832.md`` alone (which names the programming guide
PGH03109), not from the driver. The instrument has just been switched on: all outputs off at 0 V
and 0.1 A, 10 ohm on CH1, 100 ohm on CH2, 5 ohm on CH3.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- A number out of range is -222, a word that is none of those allowed (``CH4``, too) is -224, a
  word for a number is -104, too few parameters are -109, too many -108, ``:SOUR4`` is -114. A
  message of more than 1024 characters is not obeyed, and is -363.
- In a chain a header without a colon goes on below the one before it, as SCPI-99 wants; one
  that fails does not stop the others; their replies come in one line, joined with semicolons.
- The error queue keeps 20; the last one then says that there were more (-350).
- An output that is off is not regulated: mode UR. So it is with a feeding load or low mains.
- An output whose protection has tripped cannot be turned on before that is cleared (-221).
- A protection trips beyond its level, not at it, at once, and only while the output is on.
- ``*STB?`` has bit 2 while the error queue and bit 5 while the event register is not empty.
- ``*RST`` and a loss of supply set everything as at the start; ``*RST`` keeps the error queue.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import ClassVar

from simulators._quantities import number as attribute
from simulators._rigol_channel import BIG, OPEN_OHM, SMALL, Channel
from simulators._rigol_commands import CHANNELS, INTERPRETER
from simulators._scpi import Errors, ScpiError
from simulators.device import Device, LineFramer, Quantity

LONGEST_MESSAGE = 1024
"""Characters."""
ERRORS_KEPT = 20
"""Length of the error queue."""


class RigolDP832(Device):
    """Supply and loads."""

    name: ClassVar[str] = "rigol_dp832"
    default_baud: ClassVar[int] = 9600
    min_gap_s: ClassVar[float] = 0.020

    identity = "RIGOL TECHNOLOGIES,DP832,DP8A000000000,00.01.16"
    options = "0"

    def __init__(self, *, seed: int | None = None) -> None:
        """Start with all outputs off; *seed* makes the noise repeatable."""
        self.channels: dict[int, Channel] = {
            1: Channel(BIG, load_ohm=10.0),
            2: Channel(BIG, load_ohm=100.0),
            3: Channel(SMALL, load_ohm=5.0),
        }
        self.selected: int = 1
        self.errors: Errors = Errors(longest=ERRORS_KEPT)
        self.mains: float = 1.0
        self.noise_v: float = 0.0005
        self.noise_a: float = 0.0002
        self._chance = random.Random(seed)
        self._measure()
        self._quantities = _quantities(self)

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> LineFramer:
        """Cut at LF, with or without CR; longer lines than 1024 characters are kept in part."""
        return LineFramer(longest=LONGEST_MESSAGE)

    def answer(self, message: bytes) -> bytes:
        """Obey a chain of commands; the replies of its queries come in one line."""
        if len(message) > LONGEST_MESSAGE:
            self.errors.add(-363)
            return b""
        replies = INTERPRETER.obey(self, message.decode("latin-1"), self.errors)
        return f"{';'.join(replies)}\n".encode("latin-1", "replace") if replies else b""

    # -- what the command table uses ---------------------------------------------------------

    def channel(self, number: int | None) -> Channel:
        """Give a channel by its number; None: the one that is selected.

        Raises:
            ScpiError: there is none of this number.
        """
        self._watch()
        if number is not None and number not in CHANNELS:
            raise ScpiError(-114)
        return self.channels[self.selected if number is None else number]

    def readings(self, channel: Channel) -> tuple[str, str, str]:
        """Give voltage, current and power as ``:MEAS:ALL?`` shows them."""
        volts, amps, watts = channel.shown(self.mains)
        return f"{volts:.4f}", f"{amps:.4f}", f"{watts:.3f}"

    def reset(self) -> None:
        """Set everything as at the start; loads and error queue stay."""
        self.selected = 1
        for channel in self.channels.values():
            channel.reset()

    def status_byte(self) -> int:
        """Give the reply to ``*STB?``."""
        return (bool(self.errors) << 2) | (bool(self.errors.events) << 5)

    def hold(self) -> float:
        """Have no noise, and three channels that are on and differ from one another."""
        self.noise_v = self.noise_a = 0.0
        for number, channel in self.channels.items():
            channel.volts, channel.amps, channel.on = number + 1.25, 0.5 + number / 4, True
        self._measure()
        return 0.0

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass: only readings change with time.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")
        self._watch()
        if dt_s > 0:
            self._measure()

    def power_off(self) -> None:
        """Take the supply away: nothing is driven."""
        for channel in self.channels.values():
            channel.on = False

    def power_on(self) -> None:
        """Start afresh with all outputs off."""
        self.reset()
        self.errors.clear()

    def _watch(self) -> None:
        for channel in self.channels.values():
            channel.watch(self.mains)

    def _measure(self) -> None:
        for channel in self.channels.values():
            channel.measure(self._chance, noise_v=self.noise_v, noise_a=self.noise_a)

    def quantities(self) -> Mapping[str, Quantity]:
        """Loads, mains, noise, and what is at the terminals."""
        return self._quantities


def _quantities(psu: RigolDP832) -> dict[str, Quantity]:
    found = {
        "mains_percent": Quantity(
            "%",
            "mains voltage; with too little an output is not regulated",
            lambda: psu.mains * 100.0,
            lambda value: setattr(psu, "mains", value / 100.0),
            high=120,
        ),
        "noise_v": attribute(psu, "noise_v", "V", "noise of a voltage reading", 0, 1),
        "noise_a": attribute(psu, "noise_a", "A", "noise of a current reading", 0, 1),
    }
    for number, channel in psu.channels.items():
        found |= _of_channel(psu, f"ch{number}", channel)
    return found


def _of_channel(psu: RigolDP832, prefix: str, channel: Channel) -> dict[str, Quantity]:
    return {
        f"{prefix}_load_ohm": attribute(
            channel, "load_ohm", "ohm", f"load; {OPEN_OHM:g} is none", 1e-3, OPEN_OHM
        ),
        f"{prefix}_feed_v": attribute(
            channel, "feed_v", "V", "voltage that the load itself feeds in", 0, 100
        ),
        f"{prefix}_on": Quantity("", "1: the output is on", lambda: float(channel.on)),
        f"{prefix}_tripped": Quantity(
            "",
            "bits: 1 over-voltage, 2 over-current protection has tripped",
            lambda: float(channel.ovp.tripped + 2 * channel.ocp.tripped),
        ),
        f"{prefix}_v": Quantity(
            "V", "voltage at the terminals", lambda: channel.state(psu.mains)[0]
        ),
        f"{prefix}_a": Quantity(
            "A", "current through the load", lambda: channel.state(psu.mains)[1]
        ),
    }
