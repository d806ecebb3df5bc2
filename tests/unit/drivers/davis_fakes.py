"""A Davis console on a real socket or pseudo-terminal, written from the sheet."""

from __future__ import annotations

import binascii
import contextlib
import itertools
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from drivers.davis_vantage import DavisVantage
from drivers.settings import Wake
from tests.unit.drivers.fakes import FakeDevice
from tests.unit.drivers.text_fakes import PtyDevice

__all__ = [
    "DASHES",
    "Console",
    "QuickVantage",
    "console",
    "crc",
    "opened",
    "packet",
]

DASH8, DASH16, DASH_I16 = 0xFF, 0xFFFF, 0x7FFF

DASHES: dict[str, Any] = {
    "barometer": DASH16,
    "inside_t": DASH_I16,
    "inside_rh": DASH8,
    "outside_t": DASH_I16,
    "wind": DASH8,
    "wind_10": DASH8,
    "direction": 0,
    "extra_t": bytes([DASH8] * 7),
    "soil_t": bytes([DASH8] * 4),
    "leaf_t": bytes([DASH8] * 4),
    "outside_rh": DASH8,
    "extra_rh": bytes([DASH8] * 7),
    "rain_rate": DASH16,
    "uv": DASH8,
    "solar": DASH_I16,
    "storm_rain": DASH16,
    "storm_date": DASH16,
    "rain_today": DASH16,
    "rain_month": DASH16,
    "rain_year": DASH16,
    "et_today": DASH16,
    "et_month": DASH16,
    "et_year": DASH16,
    "moisture": bytes([DASH8] * 4),
    "wetness": bytes([DASH8] * 4),
    "sunrise": DASH16,
    "sunset": DASH16,
}
"""What the sheet says of sensors that are not there, by field."""

USUAL: dict[str, Any] = {
    **DASHES,
    "trend": 20,
    "type": 0,
    "record": 0x1234,
    "barometer": 29921,
    "inside_t": 700,
    "inside_rh": 40,
    "outside_t": 500,
    "wind": 10,
    "wind_10": 20,
    "direction": 270,
    "outside_rh": 80,
    "rain_rate": 10,
    "uv": 35,
    "solar": 812,
    "storm_rain": 5,
    "storm_date": 5 << 12 | 17 << 7 | 26,
    "rain_today": 100,
    "rain_month": 200,
    "rain_year": 300,
    "et_today": 100,
    "et_month": 100,
    "et_year": 200,
    "alarms": bytes(16),
    "tx_battery": 0,
    "console_battery": 798,
    "icon": 0b1010,
    "rule": 45,
    "sunrise": 612,
    "sunset": 1947,
}


def crc(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(2, "big")


def packet(**changes: Any) -> bytes:
    """Return a LOOP packet, as the sheet lays it out."""
    v = {**USUAL, **changes}
    parts = (
        b"LOO",
        struct.pack("<bBH", v["trend"], v["type"], v["record"]),
        struct.pack("<HhBh", v["barometer"], v["inside_t"], v["inside_rh"], v["outside_t"]),
        struct.pack("<BBH", v["wind"], v["wind_10"], v["direction"]),
        v["extra_t"],
        v["soil_t"],
        v["leaf_t"],
        bytes([v["outside_rh"]]),
        v["extra_rh"],
        struct.pack("<HBH", v["rain_rate"], v["uv"], v["solar"]),
        struct.pack("<HH", v["storm_rain"], v["storm_date"]),
        struct.pack("<HHH", v["rain_today"], v["rain_month"], v["rain_year"]),
        struct.pack("<HHH", v["et_today"], v["et_month"], v["et_year"]),
        v["moisture"],
        v["wetness"],
        v["alarms"],
        struct.pack("<BH", v["tx_battery"], v["console_battery"]),
        struct.pack("<BBHH", v["icon"], v["rule"], v["sunrise"], v["sunset"]),
        b"\n\r",
    )
    data = b"".join(parts)
    assert len(data) == 97
    return data + crc(data)


class Console:
    """What a console does with the bytes that come to it."""

    def __init__(self) -> None:
        self.say: Callable[[bytes], None] = lambda data: None
        self.packets: Iterable[bytes] = itertools.repeat(packet())
        """What it streams; when it is at its end, it falls silent."""
        self.period_s = 0.02
        self.station = 16
        self.memory = bytearray(256)
        self.clock = bytes((5, 4, 3, 2, 1, 126))
        self.deaf_for = 0
        """So many line feeds are not answered: it sleeps."""
        self.answers: dict[bytes, bytes | None] = {}
        """What certain commands get in the place of the usual answer; ``None``: silence."""
        self.commands: list[bytes] = []
        self.cancelled = 0
        self._pending = b""
        self._time_is_due = False
        self._source: Iterator[bytes] = iter(())
        self._left = 0
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._stream, name="fake-console", daemon=True)
        self._thread.start()

    @property
    def streams(self) -> bool:
        return self._left > 0

    def told(self, command: bytes) -> int:
        """Return how often *command* came."""
        return self.commands.count(command)

    def fall_asleep(self) -> None:
        """End the stream, as if the power had failed for a moment."""
        with self._changed:
            self._left = 0

    def stop(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(30)

    def take(self, data: bytes) -> None:
        with self._changed:
            if self._left:
                self.cancelled += 1
                self._left = 0
            self._pending += data
            while self._pending:
                if self._time_is_due:
                    if len(self._pending) < 8:
                        return
                    message, self._pending = self._pending[:8], self._pending[8:]
                    self._time_is_due = False
                    self.say(self._set_clock(message))
                    continue
                line, found, rest = self._pending.partition(b"\n")
                if not found:
                    return
                self._pending = rest
                if answer := self._answer(line):
                    self.say(answer)

    def _answer(self, line: bytes) -> bytes | None:
        if not line:
            self.deaf_for -= 1
            return b"\n\r" if self.deaf_for < 0 else None
        self.commands.append(line)
        word, *arguments = line.split(b" ")
        if line in self.answers or word in self.answers:
            return self.answers.get(line, self.answers.get(word))
        if word == b"EEBRD":
            address, count = (int(one, 16) for one in arguments)
            data = bytes(self.memory[address : address + count])
            return b"\x06" + data + crc(data)
        if word == b"LOOP":
            self._begin(int(arguments[0]))
            return None
        self._time_is_due = word == b"SETTIME"
        return {
            b"TEST": b"\n\rTEST\n\r",
            b"VER": b"\n\rOK\n\rSep 29 2009\n\r",
            b"NVER": b"\n\rOK\n\r1.90\n\r",
            b"WRD\x12\x4d": b"\x06" + bytes([self.station]),
            b"GETTIME": b"\x06" + self.clock + crc(self.clock),
            b"SETTIME": b"\x06",
        }.get(word, b"\x21")

    def _set_clock(self, message: bytes) -> bytes:
        if binascii.crc_hqx(message, 0) != 0:
            return b"\x18"
        self.clock = message[:6]
        return self.answers.get(b"the time", b"\x06") or b""

    def _begin(self, count: int) -> None:
        self.say(b"\x06")
        self._source = iter(self.packets)
        self._left = count
        self._changed.notify_all()

    def _stream(self) -> None:
        with self._changed:
            while not self._ended:
                if not self._left:
                    self._changed.wait()
                    continue
                data = next(self._source, b"")
                self._left = self._left - 1 if data else 0
                if data:
                    self.say(data)
                if self.period_s:
                    self._changed.wait(self.period_s)


class _TcpConsole(FakeDevice):
    def __init__(self, brain: Console) -> None:
        self._brain = brain
        super().__init__()

    def _serve(self, peer: socket.socket) -> None:
        def say(data: bytes) -> None:
            with contextlib.suppress(OSError):
                peer.sendall(data)

        self._brain.say = say
        with contextlib.suppress(OSError):
            while data := peer.recv(4096):
                self._brain.take(data)


class _PtyConsole(PtyDevice):
    def __init__(self, brain: Console) -> None:
        self._brain = brain
        super().__init__(lambda message: None)
        brain.say = self.send

    @property
    def url(self) -> str:
        return super().url.replace("9600", "19200")

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._device_end, self._wake_read], [], [])
            if self._wake_read in ready:
                return
            self._brain.take(os.read(self._device_end, 4096))


PORTS = {"tcp": _TcpConsole, "pty": _PtyConsole}


@contextlib.contextmanager
def console(port: str = "tcp") -> Iterator[Console]:
    """Run one; its ``url`` says where."""
    brain = Console()
    server = PORTS[port](brain)
    brain.url = server.url  # type: ignore[attr-defined]
    brain.server = server  # type: ignore[attr-defined]
    try:
        yield brain
    finally:
        brain.stop()
        server.stop()


class QuickVantage(DavisVantage):
    """Waits for a fast console."""

    line_defaults = replace(
        DavisVantage.line_defaults,
        quiet_s=0.03,
        timeout_s=1.5,
        idle_probe_s=0.4,
        retry_first_s=0.05,
        retry_longest_s=0.2,
        wake=Wake(b"\n", b"\n\r", within_s=0.6, tries=3),
    )


@contextlib.contextmanager
def opened(
    device: Console, cls: type[DavisVantage] = QuickVantage, *, up: bool = True, **settings: Any
) -> Iterator[DavisVantage]:
    made = cls(device.url, name="ws", **settings)  # type: ignore[attr-defined]
    try:
        made.start()
        if up:
            made.wait_until_up(timeout_s=30)
        yield made
    finally:
        made.close()
