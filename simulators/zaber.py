"""The twin of a Zaber X-series stage, or of a controller with two of them, on its chain.

Written from the sheet ``instruments/zaber.md`` alone, not from the driver. It is found at work:
homed, standing at limit.min, alerts and checksums off. Several make a chain with `simulators.bus`.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- Replies, alerts and info lines have an LRC while comm.checksum is 1, whether or not the command
  had one. The LRC of a command is checked whenever it is there.
- maxspeed is in units of 1/1.6384 microsteps per second, accel of 10,000 times that per second.
- Without a reference positions count from 0 at power-up, the limits of travel do not hold for
  ``move rel``, ``vel``, ``min`` and ``max``, and ``move abs`` within them is obeyed, unless the
  control port says otherwise.
- A movement replaces the one before, which is flagged NI, as are ``stop`` and ``estop``. Flags that
  tell how a movement ended (FS, FE, WL, WM, NI) last until the next one, or ``warnings clear``.
- Words are known in lower case only. A setting that can only be read is NOACCESS, a word too many
  or too few BADCOMMAND.
- A limit sensor that it meets while it does not look for home stops it, flag WL. The sensors are
  100 microsteps beyond the limits of travel.
- A message that is longer than 255 characters is ignored; more than one device with the same
  number all answer, one after the other.
- A loss of supply takes the reference of an axis that is not parked (WR); settings are kept.
- ``system reset`` answers when it is done.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any, ClassVar

from simulators._framers import AnyEndFramer
from simulators._motion_quantities import checked_dt
from simulators._zaber_axis import ZaberAxis
from simulators._zaber_commands import (
    COMMANDS,
    DONE,
    HELP,
    Order,
    Reject,
    RejectedError,
    flags_of,
)
from simulators._zaber_lines import HIGHEST_DEVICE, HIGHEST_ID, Line, parse, with_lrc
from simulators._zaber_quantities import quantities_of
from simulators.device import Device, Quantity, SimulatorError

LONGEST_MESSAGE = 255
"""Characters; what is longer is ignored."""
LOWEST_V, HIGHEST_V = 20.0, 50.0
"""Supply voltages beyond which it warns."""
TOO_LOW_V = 12.0
"""Supply voltage below which no motor is driven."""


class Zaber(Device):
    """One device with one or two axes."""

    name: ClassVar[str] = "zaber"
    default_baud: ClassVar[int] = 115_200

    reply_end = b"\r\n"
    abilities = frozenset({"busy", "nak"})
    daisy_chain = True

    device_id = 50_081
    version = "7.38"

    def __init__(self, *, seed: int | None = None, unit: int = 1, axes: int = 1) -> None:
        """Stand still at limit.min.

        Args:
            seed: Makes its serial number repeatable.
            unit: Its number on the chain.
            axes: How many it has, 1 or 2.

        Raises:
            SimulatorError: there is no such number.
        """
        if not 1 <= unit <= HIGHEST_DEVICE:
            raise SimulatorError(
                f"a Zaber device has a number of 1 to {HIGHEST_DEVICE}, not {unit}"
            )
        if axes not in (1, 2):
            raise SimulatorError(f"a Zaber device has 1 or 2 axes, not {axes}")
        self.unit = unit
        self.number: int = unit
        self.serial: int = random.Random(seed).randrange(10_000, 100_000)
        self.axes: list[ZaberAxis] = [ZaberAxis(n, self._alert) for n in range(1, axes + 1)]
        self.alerts: bool = False
        self.checksums: bool = False
        self.wants_reference: bool = False
        self.voltage_v: float = 48.0
        self.emergency_stop: bool = False
        self._powered = True
        self._unasked: list[bytes] = []
        self._quantities = quantities_of(self)

    @classmethod
    def made_for(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have two axes if the instrument file has a second one."""
        axes = settings.get("axes")
        return {"axes": 2} if isinstance(axes, Mapping) and "2" in axes else {}

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> AnyEndFramer:
        """Cut at CR, LF or both; of a longer line than 255 characters a part is kept."""
        return AnyEndFramer(longest=LONGEST_MESSAGE)

    def answer(self, message: bytes) -> bytes:
        """Obey one command, if it is for this device; then there is a reply always."""
        line = self._meant(message)
        if line is None:
            return b""
        axes, why = self._axes_of(line)
        data = DONE
        if why is None:
            try:
                data = self._obey(line, axes)
            except RejectedError as rejected:
                why = rejected.why
        reply = self._reply(line, axes, data, why)
        if why is None and list(line.words[:1]) == ["help"]:
            start = self._start("#", line.axis, line.message_id)
            reply += b"".join(self._line(f"{start} {text}") for text in HELP)
        return reply

    def refusal(
        self,
        transport: str,  # noqa: ARG002 - the same on all
        message: bytes,
        fault: str,
        how: Mapping[str, float | str],  # noqa: ARG002 - it has no choice of words
    ) -> bytes:
        """Say STATUSBUSY (fault busy) or AGAIN (nak)."""
        line = self._meant(message)
        if line is None:
            return b""
        axes, _ = self._axes_of(line)
        return self._reply(line, axes, DONE, Reject.BUSY if fault == "busy" else Reject.AGAIN)

    def take_unasked(self) -> list[bytes]:
        """Give the alerts since the last time."""
        unasked, self._unasked = self._unasked, []
        return unasked

    def speaks_in_s(self) -> float:
        """Give the seconds until the next axis stands still, or has settled then."""
        return min(axis.rests_in_s for axis in self.axes)

    def _meant(self, message: bytes) -> Line | None:
        line = parse(message) if len(message) <= LONGEST_MESSAGE else None
        return line if line is not None and line.device in (0, self.number) else None

    def _axes_of(self, line: Line) -> tuple[list[ZaberAxis], Reject | None]:
        if line.message_id is not None and line.message_id > HIGHEST_ID:
            return self.axes, Reject.BAD_MESSAGE_ID
        if line.axis > len(self.axes):
            return self.axes, Reject.BAD_AXIS
        return (self.axes[line.axis - 1 : line.axis] if line.axis else self.axes), None

    def _obey(self, line: Line, axes: list[ZaberAxis]) -> str:
        if not line.words:
            return DONE
        first, *words = line.words
        if first not in COMMANDS:
            raise RejectedError(Reject.BAD_COMMAND)
        return COMMANDS[first](Order(self, axes, line.axis > 0, line.device == 0, words))

    def _reply(self, line: Line, axes: list[ZaberAxis], data: str, why: Reject | None) -> bytes:
        known = line.message_id if why is not Reject.BAD_MESSAGE_ID else None
        start = self._start("@", line.axis, known)
        outcome = "OK" if why is None else "RJ"
        return self._line(f"{start} {outcome} {_state(axes)} {data if why is None else why.value}")

    def _alert(self, axis: ZaberAxis) -> None:
        if self.alerts and self._powered:
            start = self._start("!", axis.number, None)
            self._unasked.append(self._line(f"{start} {_state([axis])}"))

    def _start(self, kind: str, axis: int, message_id: int | None) -> str:
        start = f"{kind}{self.number:02d} {axis}"
        return start if message_id is None else f"{start} {message_id:02d}"

    def _line(self, text: str) -> bytes:
        return f"{with_lrc(text) if self.checksums else text}\r\n".encode("latin-1", "replace")

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass for all axes.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        checked_dt(dt_s)
        for axis in self.axes:
            if not self._powered:
                axis.drive.advance(dt_s, tolerance=math.inf)
                continue
            axis.supplied = self.voltage_v >= TOO_LOW_V and not self.emergency_stop
            axis.voltage_wrong = not LOWEST_V <= self.voltage_v <= HIGHEST_V
            axis.step(dt_s)

    def power_off(self) -> None:
        """Take the supply away: carriages stop where they are, alerts are never sent."""
        self._powered = False
        self._unasked.clear()
        for axis in self.axes:
            axis.lose_supply()

    def power_on(self) -> None:
        """Start; only parked axes know where they are."""
        self._powered = True
        for axis in self.axes:
            axis.start_up()

    def quantities(self) -> Mapping[str, Quantity]:
        """Positions, velocities, sensors, temperatures, supply, and what can go wrong."""
        return self._quantities


def _state(axes: list[ZaberAxis]) -> str:
    busy = "BUSY" if any(axis.busy for axis in axes) else "IDLE"
    return f"{busy} {next(iter(flags_of(axes)), '--')}"
