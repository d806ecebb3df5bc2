"""The twin of a Pfeiffer TPG 361, 362 or 366 gauge controller on a small vacuum system.

Written from the sheet ``instruments/pfeiffer_tpg36x.md`` alone, not from the driver. The
controller has just been switched on, so it streams; it is a TPG 366. Chamber (50 l) and fore-line
(2 l) have been pumped for long. Channels 1 (PKR), 3 (CMR) and 4 (IKR) look into the chamber, 2
(TPR) into the fore-line, 5 and 6 are empty. From atmosphere to 1e-5 mbar takes about three
minutes, and what leaks in raises the pressure when the pump stops.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- ENQ without a question before it is not answered; ETX forgets the question, too, and is not
  answered. A setting can be read with ENQ as well: it gives what holds now.
- Mnemonics are in capitals. A line with spaces, or of more than 80 characters, is a syntax error;
  a surplus or impossible parameter a parameter error; an input that the model does not have, or
  ``SEN`` for one without a gauge, is "no hardware"; ``SEN`` for a gauge that cannot be switched is
  a parameter error. Empty lines are ignored. The relays (``SP1`` and so on) are not there.
- An error is also in the word that ``ERR`` reads, until somebody has read it; a controller error
  stays until it is gone.
- ``COM,0`` is a line every 0.1 s, ``COM,1`` (or ``COM``) every second, ``COM,2`` every minute; a
  line is what ``PRX`` gives. LF behind CR does not count as a character that ends the stream.
- Without a reading (status 3 to 6) the value is 0. A pressure in volts is the signal of the gauge.
- After a loss of supply units and switched-off gauges are as before, and it streams.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from simulators._names import unknown_name
from simulators._quantities import flag, number
from simulators._tpg_commands import STREAM_PERIODS_S, Fault, Reading, RefusedError, obey
from simulators._tpg_gauges import KINDS, Channel, Status
from simulators._vacuum import ATMOSPHERE_MBAR, Volume, settled
from simulators.device import Device, Quantity, SimulatorError

LONGEST_MESSAGE = 80
"""Characters; the longest line of the sheet has a quarter of them."""
MODELS: Mapping[str, tuple[int, str]] = {
    "TPG361": (1, "PTG28030"),
    "TPG362": (2, "PTG28290"),
    "TPG366": (6, "PTG28770"),
}
"""Inputs and part number by model."""

ETX, ENQ, ACK, NAK = b"\x03", b"\x05", b"\x06", b"\x15"
_END = b"\r\n"
_HPA = 4
_MOST_UNSENT = 10
_GAUGES = (("PKR", 0), ("TPR", 1), ("CMR", 0), ("IKR", 0), ("", 0), ("", 0))


class HandshakeFramer:
    """Lines that end with CR or LF, and the single characters ENQ and ETX, in their order."""

    def __init__(self, heard: Callable[[], None]) -> None:
        """Start empty; *heard* is called for each character, but an LF behind a CR."""
        self._heard = heard
        self._pending = bytearray()
        self._last = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return what is now complete, lines without their ends."""
        messages: list[bytes] = []
        for byte in data:
            char = bytes([byte])
            if not (char == b"\n" and self._last == b"\r"):
                self._heard()
                messages += self._take(char)
            self._last = char
        return messages

    def _take(self, char: bytes) -> list[bytes]:
        if char == ENQ:
            return [ENQ]
        if char == ETX:
            self._pending.clear()
            return [ETX]
        if char in (b"\r", b"\n"):
            line = bytes(self._pending)
            self._pending.clear()
            return [line] if line else []
        # One more byte than allowed shows that the line is too long.
        self._pending += char[: LONGEST_MESSAGE + 1 - len(self._pending)]
        return []


class PfeifferTpg36x(Device):
    """Controller, gauges and vacuum system."""

    name: ClassVar[str] = "pfeiffer_tpg36x"
    default_baud: ClassVar[int] = 9600

    abilities = frozenset({"nak"})
    line_end = b"\r"
    firmware = "010400"

    def __init__(self, *, seed: int | None = None, model: str = "TPG366") -> None:
        """Start with a good vacuum, streaming.

        Args:
            seed: Makes the noise repeatable.
            model: ``TPG361``, ``TPG362`` or ``TPG366``, which have 1, 2 and 6 inputs.

        Raises:
            SimulatorError: there is no such model.
        """
        if model not in MODELS:
            raise SimulatorError(unknown_name("model", model, MODELS))
        inputs, part = MODELS[model]
        self.identity: str = f"{model},{part},44990000,{self.firmware},010100"
        self.chamber: Volume = settled(50.0, 5.0, 1e-7, 1e-5)
        self.foreline: Volume = settled(2.0, 1.0, 1e-2, 1e-3)
        volumes = (self.chamber, self.foreline)
        self.channels: Sequence[Channel] = [
            Channel(KINDS.get(kind), volumes[which]) for kind, which in _GAUGES[:inputs]
        ]
        self.unit_number: int = _HPA
        self.controller_error: bool = False
        self.noise: float = 0.002
        self._word = 0
        self._questions: dict[str, Reading] = {}
        self._period_s: float | None = STREAM_PERIODS_S[1]
        self._due_in_s = STREAM_PERIODS_S[1]
        self._unsent: list[bytes] = []
        self._chance = random.Random(seed)
        self._measure()
        self._quantities = _quantities(self)

    @classmethod
    def made_for(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Be the model that the instrument file names."""
        model = settings.get("model")
        return {"model": model.upper()} if isinstance(model, str) else {}

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> HandshakeFramer:
        """Cut at CR, LF or both; ENQ and ETX are messages of their own."""
        return HandshakeFramer(self._stop_stream)

    def answer(self, message: bytes) -> bytes:
        """Obey a message that came over TCP; see `answer_on`."""
        return self.answer_on("tcp", message)

    def answer_on(self, transport: str, message: bytes) -> bytes:
        """Obey a line or a control character; each interface has a question of its own."""
        self._stop_stream()
        if message == ETX:
            self._questions.pop(transport, None)
            return b""
        if message == ENQ:
            question = self._questions.get(transport)
            return question().encode("latin-1", "replace") + _END if question else b""
        try:
            if len(message) > LONGEST_MESSAGE:
                raise RefusedError(Fault.SYNTAX)
            self._questions[transport] = obey(self, message.decode("latin-1"))
        except RefusedError as refused:
            return self._refused(transport, refused.fault)
        return ACK + _END

    def refusal(
        self, transport: str, message: bytes, fault: str, how: Mapping[str, float | str]
    ) -> bytes:
        """Answer a line with NAK, as if it were none; control characters are not refused."""
        if fault != "nak":
            return super().refusal(transport, message, fault, how)
        if message in (ENQ, ETX):
            return self.answer_on(transport, message)
        self._stop_stream()
        return self._refused(transport, Fault.SYNTAX)

    def take_unasked(self) -> list[bytes]:
        """Give the lines of the stream."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def speaks_in_s(self) -> float:
        """Give the seconds until the next line of the stream."""
        return math.inf if self._period_s is None else self._due_in_s

    def _refused(self, transport: str, fault: Fault) -> bytes:
        digit = int(fault)
        self._word += digit if self._word // digit % 10 == 0 else 0
        self._questions[transport] = self.take_error_word
        return NAK + _END

    # -- what the command table uses ---------------------------------------------------------

    def shown(self, channels: Sequence[Channel]) -> str:
        """Give status and value of each of *channels*."""
        measured = [channel.measured(self.unit_number) for channel in channels]
        return ",".join(f"{status:d},{value:.4E}" for status, value in measured)

    def take_error_word(self) -> str:
        """Give the error word, and forget what it says of messages."""
        word, self._word = self._word, 0
        return f"{word + Fault.CONTROLLER * self.controller_error:04d}"

    def start_stream(self, period_s: float) -> None:
        """Send a line every *period_s* seconds until a host sends something."""
        self._period_s = self._due_in_s = period_s

    def _stop_stream(self) -> None:
        if self._period_s is not None:
            self.taken_back += 1
        self._period_s = None
        self._unsent.clear()

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass in the vacuum system.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")
        self.chamber.step(dt_s)
        self.foreline.step(dt_s)
        if dt_s > 0:
            self._measure()
            self._say(dt_s)

    def _say(self, dt_s: float) -> None:
        if self._period_s is None:
            return
        self._due_in_s -= dt_s
        if self._due_in_s <= 0:
            lines = 1 + int(-self._due_in_s / self._period_s)
            self._due_in_s += lines * self._period_s
            self._unsent += [self.shown(self.channels).encode() + _END] * min(lines, _MOST_UNSENT)
            # What no host has taken is not kept.
            del self._unsent[:-_MOST_UNSENT]

    def power_off(self) -> None:
        """Take the supply away: it says nothing; the pumps have a supply of their own."""
        self._stop_stream()

    def power_on(self) -> None:
        """Start streaming, with the settings as before."""
        self._word = 0
        self._questions.clear()
        self.start_stream(STREAM_PERIODS_S[1])

    def _measure(self) -> None:
        for channel in self.channels:
            channel.error = max(-0.5, self._chance.gauss(0.0, self.noise))

    def quantities(self) -> Mapping[str, Quantity]:
        """Pressures, pumps and leaks, and what is wrong with gauges and controller."""
        return self._quantities


def _quantities(unit: PfeifferTpg36x) -> dict[str, Quantity]:
    found = {
        "noise": number(unit, "noise", "", "noise of a reading, as a part of it", 0, 1),
        "controller_error": flag(unit, "controller_error", "1: the controller is broken"),
    }
    for name, volume in (("chamber", unit.chamber), ("foreline", unit.foreline)):
        found |= {
            f"{name}_mbar": number(
                volume, "mbar", "mbar", f"pressure in the {name}", 1e-12, ATMOSPHERE_MBAR
            ),
            f"{name}_pumping": flag(volume, "pumping", "0: its pump does nothing"),
            f"{name}_leak": number(
                volume, "leak_mbar_l_per_s", "mbar l/s", "gas that comes in", 0, 1e6
            ),
        }
    for place, channel in enumerate(unit.channels, 1):
        found |= _of_channel(f"ch{place}", channel)
    return found


def _of_channel(prefix: str, channel: Channel) -> dict[str, Quantity]:
    def trouble(which: Status, doc: str) -> Quantity:
        def write(there: float) -> None:
            if there:
                channel.trouble = which
            elif channel.trouble is which:
                channel.trouble = Status.GOOD

        return Quantity("", doc, lambda: float(channel.trouble is which), write, whole=True)

    return {
        f"{prefix}_on": flag(channel, "on", "0: the gauge is switched off"),
        f"{prefix}_sensor_error": trouble(Status.SENSOR_ERROR, "1: the gauge is broken"),
        f"{prefix}_unplugged": trouble(Status.NO_SENSOR, "1: the gauge is unplugged"),
        f"{prefix}_unidentified": trouble(
            Status.IDENTIFICATION, "1: the controller does not know the gauge"
        ),
    }
