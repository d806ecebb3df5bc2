"""The twin of a Julabo circulator that cools a camera head.

Written from the sheet ``instruments/julabo.md`` alone (which names the CF31 manual), not from the
driver. The unit is found at work: in remote mode, started, the bath at 15 C, the pump on stage 2,
the external Pt100 on the camera head.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- A value that is missing or no number, one that has decimals where whole numbers are wanted, a
  value after an ``in_`` command, and a line of more than 80 characters are invalid commands (-08).
- Of several rejections before a ``status`` it tells the last; it tells it before an alarm.
- An alarm stays until its cause is gone and somebody resets it at the unit (or switches it off
  and on); a refused start is -09. Warnings (-03, -04, -40, -41) stop nothing and go by themselves.
- A set-point beyond -30 to 200 C is too small or too large; one beyond the warning limits is -13.
- A temperature without a working sensor reads ``---.--``.
- The external sensor raises an alarm only while it is controlled on.
- After a loss of supply the unit is stopped, and all settings are kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from simulators._framers import AnyEndFramer
from simulators._julabo_bath import Bath, Controller
from simulators._julabo_commands import obey
from simulators._julabo_quantities import quantities_of
from simulators._julabo_status import (
    RejectedError,
    Rejection,
    Sensor,
    alarm_of,
    line_of,
    warning_of,
)
from simulators.cryostat import substeps
from simulators.device import Device, Quantity

LONGEST_MESSAGE = 80
"""Characters; the longest command of the sheet has a quarter of them."""
CONTROL_STEP_S = 0.5
"""Longest step of the control loop in simulated time."""
SETTING_GAP_S = 0.250
"""Seconds that the unit wants after a setting (sheet, from the CF31 manual, p. 72)."""
QUERY_GAP_S = 0.010
"""Seconds that it wants after a query (as above)."""

_XON, _XOFF = b"\x11", b"\x13"


class CommandFramer(AnyEndFramer):
    """Messages that end with CR, LF or both; empty ones are ignored, and so are XON and XOFF."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(longest=LONGEST_MESSAGE, ignored=_XON + _XOFF)


class Julabo(Device):
    """Circulator, hose and camera head."""

    name: ClassVar[str] = "julabo"
    default_baud: ClassVar[int] = 4800
    min_gap_s: ClassVar[float] = QUERY_GAP_S

    identity = "JULABO CRYOCOMPACT CF31 VERSION 5.0"
    line_end = b"\r"

    def __init__(self, *, seed: int | None = None) -> None:
        """Start at work at 15 C; *seed* makes the noise repeatable."""
        # Annotated because the tables that use them are imported here, which is a circle to mypy.
        self.bath: Bath = Bath()
        self.controller: Controller = Controller(integral_percent=-12.5)
        self.setpoints_c: list[float] = [15.0, 20.0, 5.0]
        self.active_setpoint: int = 0
        self.pump_stage: int = 2
        self.running: bool = True
        self.percent: float = self.controller.integral_percent
        self.external_control: bool = False
        self.remote: bool = True
        self.high_limit_c: float = 100.0
        self.low_limit_c: float = -25.0
        self.excess_c: float = 120.0
        self.level_percent: float = 80.0
        self.working_broken: bool = False
        self.safety_broken: bool = False
        self.external_sensor: Sensor = Sensor.GOOD
        self.safety_offset_k: float = 0.1
        self.internal_error: int = 0
        self.watchdog_on: bool = False
        self.unheard_s: float = 0.0
        self.alarm: int = 0
        self.noise_k: float = 0.005
        self.flow_bytes: bool = False
        self._rejection: Rejection | None = None
        self._powered = True
        self._gap_s = QUERY_GAP_S
        self._chance = random.Random(seed)
        self._noises_k = (0.0, 0.0, 0.0)
        self._measure()
        self._quantities = quantities_of(self)

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> CommandFramer:
        """Cut at CR, LF or both; of a longer line than 80 characters a part is kept."""
        return CommandFramer()

    def pace_s(self) -> float:
        """Give what the last message wants: 250 ms after a setting, 10 ms after a query."""
        return self._gap_s

    def answer(self, message: bytes) -> bytes:
        """Obey one command; only ``version``, ``status`` and known ``in_`` commands reply."""
        line = message.decode("latin-1").strip(" \t").lower()
        self._gap_s = SETTING_GAP_S if line.startswith("out") else QUERY_GAP_S
        self.unheard_s = 0.0
        try:
            if len(message) > LONGEST_MESSAGE:
                raise RejectedError(Rejection.INVALID)
            reply = obey(self, line)
        except RejectedError as rejected:
            self._rejection = rejected.why
            return b""
        self._watch()
        return b"" if reply is None else self._packed(reply)

    def _packed(self, reply: str) -> bytes:
        body = reply.encode("latin-1", "replace")
        if self.flow_bytes:
            half = len(body) // 2
            body = _XON + body[:half] + _XOFF + _XON + body[half:]
        return body + b"\r\n"

    # -- what the command table uses ---------------------------------------------------------

    def take_status(self) -> str:
        """Give the reply to ``status``: a rejection (once), an alarm, a warning, or the mode."""
        rejection, self._rejection = self._rejection, None
        code = rejection or self.alarm or warning_of(self)
        if code:
            return line_of(code)
        mode = "REMOTE" if self.remote else "MANUAL"
        number = 2 * self.remote + self.running
        return f"{number:02d} {mode} {'START' if self.running else 'STOP'}"

    def start(self) -> None:
        """Start pump and control; while it runs: no effect."""
        if not self.running:
            self.controller.reset()
        self.running = True

    def stop(self) -> None:
        """Stop pump, heater and cooler."""
        self.running = False
        self.percent = 0.0

    def acknowledge(self) -> None:
        """Press the key at the unit that ends an alarm; it comes again if its cause is there."""
        self.alarm = 0
        self._watch()

    @property
    def safety_c(self) -> float:
        """What the safety sensor feels."""
        return self.bath.bath_c + self.safety_offset_k

    def shown_bath_c(self) -> float | None:
        """Give the reading of the working sensor; None: it is broken."""
        return None if self.working_broken else self.bath.bath_c + self._noises_k[0]

    def shown_external_c(self) -> float | None:
        """Give the reading of the external Pt100; None: it is missing or broken."""
        return None if self.external_sensor else self.bath.head_c + self._noises_k[1]

    def shown_safety_c(self) -> float | None:
        """Give the reading of the safety sensor; None: it is broken."""
        return None if self.safety_broken else self.safety_c + self._noises_k[2]

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass in the unit and in the camera head.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, CONTROL_STEP_S):
            self.unheard_s = self.unheard_s + h_s if self.watchdog_on else 0.0
            self._watch()
            self._control(h_s)
            stage = self.pump_stage if self.running else 0
            self.bath.step(h_s, percent=self.percent, pump_stage=stage)
        self._watch()
        if dt_s > 0:
            self._measure()

    def power_off(self) -> None:
        """Take the supply away: nothing is heated, cooled or pumped; settings stay in memory."""
        self._powered = False
        self.stop()

    def power_on(self) -> None:
        """Start stopped, without the alarms whose cause is gone, and as if just heard."""
        self._powered = True
        self._rejection = None
        self._gap_s = QUERY_GAP_S
        self.unheard_s = 0.0
        self.acknowledge()

    def _watch(self) -> None:
        if not self._powered:
            return
        self.alarm = self.alarm or alarm_of(self)
        if self.alarm:
            self.stop()

    def _control(self, h_s: float) -> None:
        if self.running:
            felt_c = self.bath.head_c if self.external_control else self.bath.bath_c
            error_k = self.setpoints_c[self.active_setpoint] - felt_c
            self.percent = self.controller.step(error_k, h_s)

    def _measure(self) -> None:
        noise = self._chance.gauss
        self._noises_k = (noise(0, self.noise_k), noise(0, self.noise_k), noise(0, self.noise_k))

    def quantities(self) -> Mapping[str, Quantity]:
        """Temperatures and heat, sensors and level, and what is set at the unit itself."""
        return self._quantities
