"""The twin of an IcePAP stepper motor controller with two racks.

Written from the sheet ``instruments/icepap.md`` alone, not from the driver. The system is found at
work: motors powered, home found, every axis in the middle of its rail at position 0. Each has limit
switches at 100,000 steps to either side, a home switch at 20,000, an encoder with as many counts
as the motor has steps, and a control loop.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- The first line of a reply of several lines is the query word and ``$``, the last one ``$`` alone.
  Replies have the words in capitals; commands may have them in lower case.
- A motion is refused while the axis moves (but JOG while it jogs), has no power, or the mode is not
  OPER; so are POS, ENC, VELOCITY and ACCTIME while it moves. The reasons have the twin's words.
- A motion into an active limit switch is accepted, and ends at once with the stop code of that
  limit. Nothing but STOP slows down: limits, ABORT, POWER OFF and alarms end a motion at once.
- An alarm switches the power off, and lasts until POWER ON finds its cause gone.
- POWER ON gives the position that the encoder sees to a motor with a control loop.
- HOME makes the edge of the switch position 0 of motor and encoder.
- After a loss of supply positions are 0, home is not found, motors have no power, and velocity and
  acceleration time are as they were configured.
- A board that is not alive answers as one that is not present.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from simulators._framers import AnyEndFramer
from simulators._icepap_axis import IcepapAxis
from simulators._icepap_commands import LONGEST_MESSAGE, obey
from simulators._icepap_quantities import quantities_of
from simulators._icepap_words import Mode
from simulators._motion_quantities import checked_dt
from simulators.device import Device, Quantity, SimulatorError

AXES = (1, 2, 3, 4, 11, 12)
"""Addresses of the axes that it has, unless it is told otherwise."""
_HIGHEST_ADDRESS = 158


class IcePAP(Device):
    """Controller board, drivers and motors."""

    name: ClassVar[str] = "icepap"

    line_end = b"\r"
    reply_end = b"\r\n"

    def __init__(self, *, seed: int | None = None, axes: Sequence[int] = AXES) -> None:  # noqa: ARG002
        """Start at rest; *axes* are addresses, rack * 10 + driver. Nothing is left to chance.

        Raises:
            SimulatorError: there is no such address.
        """
        for address in axes:
            if not _is_address(address):
                raise SimulatorError(f"an IcePAP has no axis {address}: it is rack * 10 + 1 to 8")
        self.axes: dict[int, IcepapAxis] = {address: IcepapAxis(address) for address in axes}
        self.mode: Mode = Mode.OPER
        self._quantities = quantities_of(self)

    @classmethod
    def made_for(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have those axes, too, that the instrument file has."""
        axes = settings.get("axes")
        named = list(axes) if isinstance(axes, Mapping) else []
        wanted = {int(name) for name in named if re.fullmatch(r"\d{1,3}", str(name))}
        return {"axes": sorted({*AXES, *filter(_is_address, wanted)})}

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> AnyEndFramer:
        """Cut at CR, LF or both; of a longer line than 1000 characters a part is kept."""
        return AnyEndFramer(longest=LONGEST_MESSAGE)

    def answer(self, message: bytes) -> bytes:
        """Obey one command; queries and what has ``#`` before it are answered."""
        reply = obey(self, message.decode("latin-1"))
        if reply is None:
            return b""
        return f"{reply}\n".replace("\n", "\r\n").encode("latin-1", "replace")

    # -- time and supply ---------------------------------------------------------------------

    def set_mode(self, mode: Mode) -> None:
        """Put all boards into *mode*."""
        self.mode = mode
        for axis in self.axes.values():
            axis.mode = mode

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass for all axes.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        checked_dt(dt_s)
        for axis in self.axes.values():
            axis.step(dt_s)

    def power_off(self) -> None:
        """Take the supply away: the motors stop where they are."""
        for axis in self.axes.values():
            axis.set_power(False)

    def power_on(self) -> None:
        """Start without power for the motors, and without knowing where they are."""
        self.set_mode(Mode.OPER)
        for axis in self.axes.values():
            axis.lose_memory()

    def quantities(self) -> Mapping[str, Quantity]:
        """Positions, velocities, switches, temperatures, and what can go wrong with each axis."""
        return self._quantities


def _is_address(number: int) -> bool:
    return 0 < number <= _HIGHEST_ADDRESS and 1 <= number % 10 <= 8
