"""The twin of a Davis Vantage Pro2: console, outdoor unit, and the weather around it.

Written from the sheet ``davis_vantage.md`` alone (which names two open drivers), not from the
driver. The station is found awake on a dry noon in June, with every sensor of a Vantage Pro2 Plus
and no further ones, and with an empty archive.

Where the sheet says nothing, the twin does this (and a driver should not rely on it):

- What comes while the console sleeps only wakes it up, and is lost up to its LF.
- A stream keeps it awake. A character that ends a stream is heard all the same, so that an LF is
  answered. The first packet comes half a second after the ACK, and then one every two seconds.
- A command that is unknown, in lower case, or with other arguments than the sheet has, is answered
  0x21; what it is answered can be set.
- Of the packets of ``LPS`` it knows LOOP (bit 0 of the type) only.
- When bytes that it waits for do not come for ten seconds, it waits for a command again; a byte in
  a dump that is neither ACK nor NAK (0x15, 0x21) ends the dump.
- The clicks of the rain are those of bits 4 and 5 of EEPROM byte 0x2B: 0.01 inch, 0.2 or 0.1 mm.
- The rain rate is that of the moment; the mean wind fades; a storm ends after a dry day.
- A date that cannot be is answered as a command that is not obeyed.
- A WeatherLinkIP serves one host; who connects amid a stream hears the end of a packet first.
- After a loss of supply it is awake and silent; totals, archive and clock are kept.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from simulators._davis_archive import Archive
from simulators._davis_commands import Block, NotObeyedError, obey
from simulators._davis_eeprom import Eeprom
from simulators._davis_framer import LONGEST_COMMAND, ConsoleFramer
from simulators._davis_packets import LINE_END, LOOP_LENGTH, loop_packet
from simulators._davis_quantities import quantities_of
from simulators._davis_sensors import Sensors
from simulators._weather import Weather
from simulators.cryostat import substeps
from simulators.device import Device, Quantity

PACKET_EVERY_S = 2.0
"""From one LOOP packet to the next (sheet: about every 2 s)."""
FIRST_PACKET_S = 0.5
"""From the ACK to the first packet."""
SAMPLE_S = 2.0
"""Longest step of its sensors and its archive in simulated time."""
_AVERAGES_S = 1200.0
"""After so long in the same weather, averages are what it is."""
SLEEP_AFTER_S = 120.0
"""From the last character to sleep."""
BLOCK_TIMEOUT_S = 10.0
"""Longest wait for the bytes that a command has announced."""
MOST_UNSENT = 1000
"""Packets that wait to be sent."""


class DavisVantage(Device):
    """Console, data logger and sensors."""

    name: ClassVar[str] = "davis_vantage"
    default_baud: ClassVar[int] = 19_200

    abilities = frozenset({"nak"})
    firmware_date = "Sep 29 2009"
    firmware_version = "1.90"

    def __init__(self, *, seed: int | None = None) -> None:
        """Start awake at noon; *seed* makes weather and noise repeatable."""
        self.weather: Weather = Weather(seed=seed)
        self.eeprom: Eeprom = Eeprom()
        self.sensors: Sensors = Sensors(self.weather, self.eeprom)
        self.archive: Archive = Archive()
        self.station_type: int = 16
        self.nak_byte: int = 0x21
        self.sleep_after_s: float = SLEEP_AFTER_S
        self.wakeups_lost: int = 1
        self.packets_left: int = 0
        self.packets_sent: int = 0
        self._chance = random.Random(seed)
        self._clock_ahead = timedelta()
        self._quiet_s = 0.0
        self._next_packet_s = 0.0
        self._unsent: deque[bytes] = deque(maxlen=MOST_UNSENT)
        self._block: Block | None = None
        self._powered = True
        self._quantities = quantities_of(self)

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> ConsoleFramer:
        """Cut at LF, or where the bytes end that a command has announced."""
        return ConsoleFramer(self)

    def hear(self) -> int:
        """Note that characters have come, which end a stream; give the LF that are lost."""
        lost = self.wakeups_lost if self.asleep else 0
        self._quiet_s = 0.0
        self._end_stream()
        return lost

    def expected(self) -> int:
        """Give how many bytes it waits for; 0: for a command."""
        return self._block.length if self._block else 0

    def answer(self, message: bytes) -> bytes:
        """Obey a command, or take the bytes that it waits for."""
        block, self._block = self._block, None
        try:
            if block is not None and len(message) == block.length:
                return block.take(message)
            if len(message) > LONGEST_COMMAND:
                raise NotObeyedError
            return obey(self, message.decode("latin-1")) if message else LINE_END
        except NotObeyedError:
            return self._nak()

    def refusal(
        self,
        transport: str,  # noqa: ARG002 - the same on both
        message: bytes,  # noqa: ARG002
        fault: str,  # noqa: ARG002 - it has one
        how: Mapping[str, float | str],  # noqa: ARG002
    ) -> bytes:
        """Give what it answers to what it does not obey."""
        return self._nak()

    def framing_bytes(self, transport: str, reply: bytes) -> Collection[int]:
        """Give line ends of texts and of LOOP packets; other blocks have a length and no end."""
        if reply.startswith(LINE_END):
            return super().framing_bytes(transport, reply)
        return range(95, 97) if reply.startswith(b"LOO") and len(reply) == LOOP_LENGTH else ()

    def unasked(self, transport: str, text: str) -> bytes:  # noqa: ARG002 - the same on both
        """Give *text* as a line."""
        return text.encode("latin-1", "replace") + LINE_END

    def take_unasked(self) -> list[bytes]:
        """Give the packets of a stream that have become due."""
        packets = list(self._unsent)
        self._unsent.clear()
        return packets

    def speaks_in_s(self) -> float:
        """Give the seconds until the next packet."""
        return self._next_packet_s if self.packets_left else math.inf

    def overheard(self, transport: str) -> bytes:  # noqa: ARG002 - the same on both
        """Give the end of a packet while there is a stream."""
        return (
            self._packet()[self._chance.randrange(1, LOOP_LENGTH) :] if self.packets_left else b""
        )

    def most_hosts(self, transport: str) -> int | None:  # noqa: ARG002 - there is one TCP port
        """Serve one host at once."""
        return 1

    def _nak(self) -> bytes:
        return bytes([self.nak_byte]) if self.nak_byte else b""

    def _packet(self) -> bytes:
        return loop_packet(self.sensors, next_record=self.archive.next_record)

    # -- what the command table uses ---------------------------------------------------------

    @property
    def clock(self) -> datetime:
        """Date and time of the console."""
        return self.weather.now + self._clock_ahead

    @clock.setter
    def clock(self, now: datetime) -> None:
        self._clock_ahead = now - self.weather.now

    @property
    def asleep(self) -> bool:
        """It must be woken up before it understands anything."""
        return 0 < self.sleep_after_s < self._quiet_s

    def expect(self, block: Block) -> None:
        """Wait for the bytes of *block*."""
        self._block = block

    def begin_stream(self, count: int) -> None:
        """Send *count* packets."""
        self.packets_left = count
        self._next_packet_s = FIRST_PACKET_S

    # -- time and supply ---------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass in the weather and in the console.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, SAMPLE_S):
            self.weather.step(h_s)
            if self._powered:
                self._work(h_s)

    def hold(self) -> float:
        """Have the weather stay as it is; the console goes on speaking."""
        self.weather.steady = True
        self.step(_AVERAGES_S)
        self.take_unasked()  # nobody was told of it meanwhile
        return 1.0

    def power_off(self) -> None:
        """Take the supply away, and the batteries: it says nothing, and measures nothing."""
        self._powered = False
        self._end_stream()
        self._block = None

    def power_on(self) -> None:
        """Start awake, without a stream."""
        self._powered = True
        self._quiet_s = 0.0

    def _work(self, h_s: float) -> None:
        now = self.clock
        clicks = self.sensors.step(h_s, now)
        self.archive.step(self.sensors, clicks, now, self.eeprom.archive_minutes)
        self._quiet_s = 0.0 if self.packets_left else self._quiet_s + h_s
        if self._quiet_s > BLOCK_TIMEOUT_S:
            self._block = None
        if not self.packets_left:
            return
        self._next_packet_s -= h_s
        if self._next_packet_s <= 0:
            self._next_packet_s += PACKET_EVERY_S
            self.packets_left -= 1
            self.packets_sent += 1
            self._unsent.append(self._packet())

    def _end_stream(self) -> None:
        self.packets_left = 0
        self._unsent.clear()
        self.taken_back += 1

    def quantities(self) -> Mapping[str, Quantity]:
        """Weather, sensors that are missing, totals, and the state of the console."""
        return self._quantities
