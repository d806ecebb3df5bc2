"""The twin of a Lake Shore Model 336 on a small detector cryostat.

Written from the sheet ``instruments/lakeshore_336.md`` alone, not from the driver. The instrument
is found at work: output 1 holds the detector mount (input A) at 77 K on the medium range. Inputs
are A mount, B cold plate, C radiation shield, D vessel; output 2 warms the shield; outputs 3 and
4 drive nothing.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- A word that is no number, or a wrong number of arguments, is a command error; a word that names
  no input, and a name of more than 15 characters, is an execution error.
- A message of more than 1024 characters is not obeyed, and is a command error.
- A set-point above the ``TLIMIT`` of the control input is out of range.
- While ramping, ``SETP?`` gives the set-point that is in force now, not the target.
- ``*STB?`` has bit 5 while ``*ESR?`` and bit 7 while ``OPST?`` is not zero (all enabled).
- Without a good reading of its control input, an output gives 0 percent.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from simulators._lakeshore336_commands import COMMANDS, INPUT_NAMES
from simulators._lakeshore336_input import DIODE, PLATINUM, Input, Sensor, Status
from simulators._lakeshore336_output import NO_INPUT, HeaterFault, Mode, Output
from simulators._quantities import flag
from simulators._quantities import number as attribute
from simulators._text_commands import Event, RefusedError, parse_command, split_unquoted
from simulators.cryostat import Cryostat, substeps
from simulators.device import Device, LineFramer, Quantity

LONGEST_MESSAGE = 1024
"""Characters (sheet, "Transport": newer models)."""
CONTROL_STEP_S = 0.5
"""Longest step of the control loops in simulated time."""

_HEATER_1_W = (0.0, 1.0, 10.0, 100.0)
_HEATER_2_W = (0.0, 0.5, 5.0, 50.0)
_ANALOG_W = (0.0, 0.0)
_INPUTS: Mapping[str, tuple[str, Sensor, float]] = {
    "A": ("Detector", DIODE, 0.001),
    "B": ("Cold plate", DIODE, 0.002),
    "C": ("Shield", PLATINUM, 0.005),
    "D": ("Vessel", PLATINUM, 0.01),
}


class LakeShore336(Device):
    """Instrument and cryostat."""

    name: ClassVar[str] = "lakeshore336"
    default_baud: ClassVar[int] = 57600
    min_gap_s: ClassVar[float] = 0.050

    identity = "LSCI,MODEL336,LSA00TW/#######,2.9"

    def __init__(self, *, seed: int | None = None) -> None:
        """Start at work, with the mount at 77 K; *seed* makes the noise repeatable."""
        self.cryostat = Cryostat()
        self.inputs = {
            name: Input(label, sensor, noise_k)
            for name, (label, sensor, noise_k) in _INPUTS.items()
        }
        self.outputs = {
            1: Output(_HEATER_1_W, mode=Mode.CLOSED_LOOP, input_number=1, range=2),
            2: Output(_HEATER_2_W, mode=Mode.CLOSED_LOOP, input_number=3),
            3: Output(_ANALOG_W),
            4: Output(_ANALOG_W),
        }
        self._powered = True
        self._chance = random.Random(seed)
        self._events = Event.POWER_ON
        self.outputs[1].set_target(self.cryostat.mount_k)
        self.outputs[1].loop.integral_percent = self.outputs[1].percent = 42.3
        self.outputs[2].set_target(self.cryostat.shield_k)
        self._follow_temperatures()
        self._measure()
        self._quantities = _quantities(self)

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> LineFramer:
        """Cut at LF, with or without CR; longer lines than 1024 characters are kept in part."""
        return LineFramer(longest=LONGEST_MESSAGE)

    def answer(self, message: bytes) -> bytes:
        """Obey a chain of commands; the replies of its queries come in one line (sheet)."""
        if len(message) > LONGEST_MESSAGE:
            self._events |= Event.COMMAND_ERROR
            return b""
        replies = [self._obey(text) for text in split_unquoted(message.decode("latin-1"), ";")]
        line = ";".join(reply for reply in replies if reply is not None)
        return f"{line}\r\n".encode("latin-1") if line else b""

    def _obey(self, text: str) -> str | None:
        if not text:
            return None
        try:
            command, arguments = parse_command(text, COMMANDS)
            return command.run(self, *arguments)
        except RefusedError as refused:
            self._events |= refused.event
            return None

    # -- what the command table uses ---------------------------------------------------------

    def source_of(self, output: int) -> Input | None:
        """Give the control input of *output*, None if it has none."""
        number = self.outputs[output].input_number
        return None if number == NO_INPUT else self.inputs[INPUT_NAMES[number - 1]]

    def take_events(self) -> int:
        """Read the event status register, which clears it."""
        events, self._events = self._events, Event(0)
        return int(events)

    def operation_status(self) -> int:
        """Give the bits of ``OPST?``; reading clears none, and "new reading" is always set."""
        inputs = self.inputs.values()
        overload = Status.TEMP_OVER | Status.UNITS_OVER
        bits = (
            any(each.alarm.high_active or each.alarm.low_active for each in inputs),
            any(each.status() & overload for each in inputs),
            self.outputs[2].ramp_done,
            self.outputs[1].ramp_done,
            True,
        )
        return sum(bit << place for place, bit in enumerate(bits))

    def status_byte(self) -> int:
        """Give the reply to ``*STB?``."""
        return (bool(self._events) << 5) | (bool(self.operation_status()) << 7)

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass in the instrument and in the cryostat.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, CONTROL_STEP_S):
            if self._powered:
                self._control(h_s)
            self.cryostat.step(
                h_s,
                mount_heater_w=self.outputs[1].power_w,
                shield_heater_w=self.outputs[2].power_w,
            )
            self._follow_temperatures()
        self._follow_temperatures()
        if dt_s > 0:
            self._measure()

    def power_off(self) -> None:
        """Take the supply away: no heater is driven; settings stay in memory."""
        self._powered = False
        for output in self.outputs.values():
            output.percent = 0.0

    def power_on(self) -> None:
        """Start with the power-on event; heaters off but where ``OUTMODE`` enables power-up."""
        self._powered = True
        self._events = Event.POWER_ON
        for output in self.outputs.values():
            output.power_up_again()
        for each in self.inputs.values():
            each.alarm.reset()

    def _control(self, h_s: float) -> None:
        if any(each.too_hot() for each in self.inputs.values()):
            for output in self.outputs.values():
                output.shut_off()
        for number, output in self.outputs.items():
            source = self.source_of(number)
            good = source is not None and not source.status()
            output.step(h_s, source.true_k if source and good else None)

    def _follow_temperatures(self) -> None:
        body = self.cryostat
        temperatures = (body.mount_k, body.plate_k, body.shield_k, body.vessel_k)
        for each, kelvin in zip(self.inputs.values(), temperatures, strict=True):
            each.true_k = kelvin
            if self._powered and not each.status():
                each.alarm.check(kelvin)

    def _measure(self) -> None:
        for each in self.inputs.values():
            each.measure(self._chance)

    def quantities(self) -> Mapping[str, Quantity]:
        """Temperatures and heat of the cryostat, state of sensors and heaters."""
        return self._quantities


_BODIES = {
    "mount_k": "temperature of the detector mount (input A)",
    "plate_k": "temperature of the cold plate (input B)",
    "shield_k": "temperature of the radiation shield (input C)",
    "vessel_k": "temperature of the vacuum vessel (input D)",
    "room_k": "temperature of the room",
    "base_k": "temperature that the second stage reaches without a load",
}


def _quantities(tc: LakeShore336) -> dict[str, Quantity]:
    found = {name: attribute(tc.cryostat, name, "K", doc, 0, 1000) for name, doc in _BODIES.items()}
    found["load_w"] = attribute(tc.cryostat, "load_w", "W", "extra heat into the mount", 0, 100)
    found["cooler_on"] = flag(tc.cryostat, "cooler_on", "1: the cooler runs")
    for name, each in tc.inputs.items():
        prefix = f"sensor_{name.lower()}"
        found[f"{prefix}_noise_k"] = attribute(each, "noise_k", "K", "noise of a reading", 0, 100)
        found[f"{prefix}_status"] = Quantity(
            "",
            "status bits that a broken sensor shows",
            partial(lambda each: float(each.broken), each),
            partial(lambda each, value: setattr(each, "broken", Status(int(value))), each),
            high=sum(Status),
            whole=True,
        )
    for number in (1, 2):
        found |= _of_heater(number, tc.outputs[number])
    return found


def _of_heater(number: int, output: Output) -> dict[str, Quantity]:
    return {
        f"heater_{number}_w": Quantity("W", "power into the heater", lambda: output.power_w),
        f"heater_{number}_fault": Quantity(
            "",
            "state of the load: 0 good, 1 open, 2 short",
            lambda: float(output.load),
            lambda value: setattr(output, "load", HeaterFault(int(value))),
            high=2,
            whole=True,
        ),
    }
