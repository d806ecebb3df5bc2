"""The twin of a Keysight 34465A multimeter, with a voltage, a current and a resistor on it.

Written from the sheet ``instruments/keysight_34465a.md`` alone, not from the driver. The
instrument has just been switched on: DC voltage, autorange, 10 NPLC, 1 V at its terminals. The
mains have 50 Hz until ``SYST:LFR`` says otherwise, and there are no options.

A reading takes its time (NPLC cycles of the mains, twice with autozero) in simulated time, and
nobody else waits for it. A host that sends more before it has read a reply loses that reply and
gets -410 in the queue; on a plain socket that can only happen until the reply has been sent. What
is being measured goes on, and ``FETC?`` gives it.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- A number out of range is -222, a word that is none of those allowed is -224, a word for a number
  is -104, too few parameters are -109, too many -108. A message of more than 1024 characters is
  not obeyed, and is -363.
- An NPLC between two that there are becomes the next longer one, a range the next higher one. A
  resolution behind ``CONF`` chooses an NPLC. A range holds 20 % more than it says (1000 V: not).
- ``INIT`` while it measures is -213, ``*TRG`` that nothing waits for -211, ``READ?`` with
  ``TRIG:SOUR BUS`` -214, ``FETC?`` and ``R?`` without any reading -230; those reply nothing.
- Whatever concerns the measuring aborts it. ``FETC?`` gives what has been measured up to then.
- ``R?`` gives the oldest readings and forgets them, joined with commas like all others.
- DC voltage and current, resistance and temperature are measured, the others are -113.
- ``SYST:COMM:TCP:CONT?`` is 0: there is no control socket.
- ``*STB?`` has bit 2 while the error queue is not empty, bit 5 while an event is set that ``*ESE``
  lets through, bit 6 while one of these is in ``*SRE``.
- ``*RST`` and a loss of supply set everything as at the start; ``*RST`` keeps the error queue.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import ClassVar

from simulators._keysight_commands import INTERPRETER
from simulators._keysight_front import Front
from simulators._keysight_meter import Meter
from simulators._quantities import number
from simulators._scpi import Chain, Errors, ScpiError
from simulators.device import Device, Later, LineFramer, Quantity

LONGEST_MESSAGE = 1024
"""Characters."""
ERRORS_KEPT = 20
"""Length of the error queue (sheet)."""
MOST_HOSTS = 2
"""Connections at once to a data socket (sheet)."""

_OPERATION_COMPLETE, _POWER_ON = 1, 128
_QUEUE, _EVENTS, _SERVICE = 4, 32, 64


class Keysight34465A(Device):
    """Multimeter and inputs."""

    name: ClassVar[str] = "keysight_34465a"

    identity = "Keysight Technologies,34465A,MY00000000,A.03.01-03.15-03.01-00.52-04-02"
    options = "0"

    def __init__(self, *, seed: int | None = None) -> None:
        """Start idle; *seed* makes noise and drift repeatable."""
        # Annotated because the table that uses them is imported here, which is a circle to mypy.
        self.front: Front = Front(random.Random(seed))
        self.meter: Meter = Meter(self.front)
        self.errors: Errors = Errors(longest=ERRORS_KEPT, signed=True)
        self.text: str = ""
        self.display_on: bool = True
        self.event_mask: int = 0
        self.service_mask: int = 0
        self._completion_wanted = False
        self.errors.events = _POWER_ON
        self._quantities = _quantities(self)

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> LineFramer:
        """Cut at LF, with or without CR; longer lines than 1024 characters are kept in part."""
        return LineFramer(longest=LONGEST_MESSAGE)

    def answer(self, message: bytes) -> bytes | Later:
        """Obey a chain of commands; the replies of its queries come in one line."""
        if len(message) > LONGEST_MESSAGE:
            self.errors.add(-363)
            return b""
        chain = INTERPRETER.begin(self, message.decode("latin-1"), self.errors)
        if chain.advance():
            return _line(chain)
        return Later(
            lambda: _line(chain) if chain.advance() else None,
            lambda: chain.asks and self.interrupted(),
        )

    def hold(self) -> float:
        """Have nothing stray; a measurement takes its time."""
        self.front.noise_ppm = self.front.drift_v = self.front.hum_v = 0.0
        return 1.0

    def interrupted(self) -> bool:
        """Note that a reply is lost, since its host has sent more before it has read it."""
        self.errors.add(-410)
        return True

    def most_hosts(self, transport: str) -> int | None:
        """Give what the data sockets are limited to."""
        return MOST_HOSTS if transport in ("tcp", "visa") else None

    def trigger(self) -> bool:
        """Take a trigger of the bus, as ``*TRG`` does."""
        try:
            self.meter.trigger()
        except ScpiError as error:
            self.errors.add(error.code)
        return True

    # -- what the command table uses ---------------------------------------------------------

    def clear_status(self) -> None:
        """Forget errors and events."""
        self.errors.clear()
        self._completion_wanted = False

    def note_completion(self) -> None:
        """Set bit 0 of the event register once nothing is measured any longer."""
        self._completion_wanted = True
        self._watch()

    def reset(self) -> None:
        """Set everything as at the start; inputs, line frequency and error queue stay."""
        self.meter.reset()
        self.text = ""
        self.display_on = True
        self._completion_wanted = False

    def status_byte(self) -> int:
        """Give the reply to ``*STB?``."""
        status = _QUEUE if self.errors else 0
        status |= _EVENTS if self.errors.events & self.event_mask else 0
        return status | (_SERVICE if status & self.service_mask else 0)

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass: it measures, and the voltage drifts.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")
        self.meter.step(dt_s)
        self._watch()

    def power_off(self) -> None:
        """Take the supply away: nothing is measured."""
        self.meter.abort()

    def power_on(self) -> None:
        """Start afresh."""
        self.reset()
        self.errors.clear()
        self.errors.events = _POWER_ON
        self.event_mask = self.service_mask = 0

    def _watch(self) -> None:
        if self._completion_wanted and self.meter.idle:
            self._completion_wanted = False
            self.errors.events |= _OPERATION_COMPLETE

    def quantities(self) -> Mapping[str, Quantity]:
        """Inputs with noise, drift and hum, the trigger input, and what it does now."""
        return self._quantities


def _line(chain: Chain) -> bytes:
    if not chain.replies:
        return b""
    return f"{';'.join(chain.replies)}\n".encode("latin-1", "replace")


def _quantities(dmm: Keysight34465A) -> dict[str, Quantity]:
    front, meter = dmm.front, dmm.meter
    return {
        "input_v": number(front, "input_v", "V", "voltage, before drift", -2000, 2000),
        "input_a": number(front, "input_a", "A", "current", -20, 20),
        "input_ohm": number(front, "input_ohm", "ohm", "resistance; 1e12 is open", 0, 1e12),
        "input_c": number(front, "input_c", "C", "temperature of the probe", -273.15, 2000),
        "noise_ppm": number(
            front, "noise_ppm", "ppm", "noise of a reading at 1 NPLC, of its range", 0, 1e5
        ),
        "drift_v": number(front, "drift_v", "V", "how far the voltage strays", 0, 100),
        "hum_v": number(front, "hum_v", "V", "amplitude of the mains on the voltage", 0, 100),
        "trigger_input": Quantity(
            "",
            "setting it to 1 is a pulse at the trigger input",
            lambda: 0.0,
            lambda level: meter.trigger_from_outside() if level else None,
            whole=True,
        ),
        "present_v": Quantity(
            "V", "voltage with drift", lambda: front.input_v + front.drift_v * front.stray
        ),
        "state": Quantity(
            "",
            "1: idle, 2: waits for a trigger, 3: measures",
            lambda: float(meter.state.value),
        ),
        "readings": Quantity("", "readings in memory", lambda: float(len(meter.memory))),
    }
