"""Devices that speak lines of text, on real sockets and pseudo-terminals; a test is the device."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from drivers.text import TextDriver
from mktl.errors import DeviceError
from tests._support import wait_until
from tests.unit.drivers.fakes import FakeDevice

__all__ = [
    "ACK",
    "ENQ",
    "ETX",
    "IDENTIFY",
    "NAK",
    "SCPI",
    "SUPPLY",
    "TPG",
    "TPG_ITEMS",
    "Answer",
    "Fetched",
    "PtyDevice",
    "Scpi",
    "TextDevice",
    "listening",
    "opened",
    "pty_device",
    "read",
    "read_at_last",
    "table",
    "text_device",
    "write",
]

Answer = Callable[[bytes], "bytes | None"]

IDENTIFY = {"ask": "ID?", "reply": "VG-1"}
"""Identity of the devices of the tests, by which a line can be put back in step."""

QUICK: dict[str, Any] = {
    "timeout_s": 2.0,
    "retry_first_s": 0.05,
    "retry_longest_s": 0.2,
}


class Messages:
    """Cuts what a host sends: at *end*, and at each byte of *alone*, which is a whole message."""

    def __init__(self, end: bytes, alone: bytes) -> None:
        self._end = end
        self._alone = alone
        self._pending = b""

    def of(self, data: bytes) -> Iterator[bytes]:
        self._pending += data
        while self._pending:
            if self._pending[0] in self._alone:
                message, self._pending = self._pending[:1], self._pending[1:]
            else:
                message, found, rest = self._pending.partition(self._end)
                if not found:
                    return
                self._pending = rest
            yield message


class TextDevice(FakeDevice):
    """A TCP server that gives each message, as bytes without its end, to ``answer``."""

    def __init__(self, answer: Answer, *, end: bytes = b"\r\n", alone: bytes = b"") -> None:
        self.reply = answer
        self.asked: list[bytes] = []
        self._cut = (end, alone)
        super().__init__()

    def told(self, message: bytes) -> int:
        """Return how often *message* came."""
        return self.asked.count(message)

    def _serve(self, peer: socket.socket) -> None:
        messages = Messages(*self._cut)
        with contextlib.suppress(OSError):
            while data := peer.recv(4096):
                for message in messages.of(data):
                    self.asked.append(message)
                    if reply := self.reply(message):
                        peer.sendall(reply)


@contextlib.contextmanager
def text_device(answer: Answer, **how: Any) -> Iterator[TextDevice]:
    made = TextDevice(answer, **how)
    try:
        yield made
    finally:
        made.stop()


class PtyDevice:
    """The same behind a pseudo-terminal."""

    def __init__(self, answer: Answer, *, end: bytes = b"\r\n", alone: bytes = b"") -> None:
        self.reply = answer
        self.asked: list[bytes] = []
        self._cut = (end, alone)
        self._device_end, self._host_end = os.openpty()
        tty.setraw(self._host_end)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="fake-pty", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"serial://{os.ttyname(self._host_end)}?baud=9600&bits=8&parity=none"

    def send(self, data: bytes) -> None:
        """Say something unasked."""
        os.write(self._device_end, data)

    def stop(self) -> None:
        os.write(self._wake_write, b"x")
        self._thread.join(30)
        for end in (self._device_end, self._host_end, self._wake_read, self._wake_write):
            os.close(end)

    def _serve(self) -> None:
        messages = Messages(*self._cut)
        while True:
            ready, _, _ = select.select([self._device_end, self._wake_read], [], [])
            if self._wake_read in ready:
                return
            for message in messages.of(os.read(self._device_end, 4096)):
                self.asked.append(message)
                if reply := self.reply(message):
                    os.write(self._device_end, reply)


@contextlib.contextmanager
def pty_device(answer: Answer, **how: Any) -> Iterator[PtyDevice]:
    made = PtyDevice(answer, **how)
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def opened(
    device: TextDevice | PtyDevice,
    items: dict[str, dict[str, Any]] | None = None,
    *,
    up: bool = True,
    query: str = "",
    **settings: Any,
) -> Iterator[TextDriver]:
    """Return a driver for *device* whose channels are *items*; *query* goes behind its URL."""
    given = {**QUICK, "channels": items or {}, **settings}
    driver = TextDriver(f"{device.url}{query}", name="dev", **given)
    try:
        driver.start()
        if up:
            driver.wait_until_up(timeout_s=30)
        yield driver
    finally:
        driver.close()


def table(replies: Mapping[bytes, bytes | None], end: bytes = b"\r\n") -> Answer:
    """Return a device that knows *replies*, each of which gets an *end*, and is silent else."""

    def answer(message: bytes) -> bytes | None:
        reply = {b"ID?": b"VG-1", **replies}.get(message)
        return None if reply is None else reply + end

    return answer


def read(driver: TextDriver, key: str) -> Any:
    channel = driver.channel(key)
    assert channel.read is not None
    return channel.read()


def read_at_last(driver: TextDriver, key: str) -> Any:
    """Read until there is a value: an error is none, and what comes must be right."""

    def value() -> Any:
        with contextlib.suppress(DeviceError):
            return read(driver, key)

    return wait_until(value)


def write(driver: TextDriver, key: str, value: Any) -> None:
    channel = driver.channel(key)
    assert channel.write is not None
    channel.write(value)


def listening(driver: TextDriver, *keys: str) -> dict[str, list[Any]]:
    heard: dict[str, list[Any]] = {key: [] for key in keys}
    for key in keys:
        channel = driver.channel(key)
        assert channel.listen is not None
        channel.listen(heard[key].append)
    return heard


class Scpi:
    """A device with an error queue, as SCPI has it."""

    def __init__(self) -> None:
        self.queue: list[bytes] = []
        self.volts = b"0.000"

    def __call__(self, message: bytes) -> bytes | None:
        if message == b"SYST:ERR?":
            return (self.queue.pop(0) if self.queue else b'+0,"No error"') + b"\n"
        if message == b"VOLT?":
            return self.volts + b"\n"
        head, _, value = message.partition(b" ")
        if head != b"VOLT":
            self.queue.append(b'-113,"Undefined header"')
        elif float(value) > 30:
            self.queue.append(b'-222,"Data out of range"')
        else:
            self.volts = value
        return None


SUPPLY = {
    "volts": {"ask": "VOLT?", "tell": "VOLT {value:.3f}", "units": "V"},
    "fast": {"tell": "VOLT {value:.3f}", "check": False},
}
SCPI = {"terminator": "\n", "error_query": {"ask": "SYST:ERR?", "ok": r"\+?0,.*"}}


ACK, NAK, ENQ, ETX = b"\x06", b"\x15", b"\x05", b"\x03"


class Fetched:
    """A gauge controller that answers ACK or NAK, and gives its data to ENQ."""

    def __init__(self) -> None:
        self.end = b"\r\n"
        self.data = b""
        self.known = {b"AYT": b"TPG362,PTG28290,44990000", b"PR1": b"0,1.5E-03", b"PR2": b"5,0"}
        self.take: Callable[[bytes], bool] = lambda message: True

    def __call__(self, message: bytes) -> bytes | None:
        if message == ENQ:
            return self.data + b"\r\n"
        name, comma, value = message.partition(b",")
        if comma and self.take(message):
            self.known[name] = value
        if name not in self.known or (comma and not self.take(message)):
            self.data = b"0001"
            return NAK + self.end
        self.data = self.known[name]
        return ACK + self.end


TPG: dict[str, Any] = {
    "identify": {"ask": "AYT", "reply": "TPG36[126],.*"},
    "handshake": {"ack": "\x06", "nak": "\x15", "enquiry": "\x05"},
}
TPG_ITEMS: dict[str, dict[str, Any]] = {
    "p1": {"ask": "PR1", "reply": "{s:d},{value:g}", "valid": {"s": 0}, "units": "mbar"},
    "p2": {"ask": "PR2", "reply": "{s:d},{value:g}", "valid": {"s": 0}, "units": "mbar"},
    "p3": {"ask": "PR3", "reply": "{s:d},{value:g}", "valid": {"s": 0}, "units": "mbar"},
    "unit": {"ask": "UNI", "reply": "{value:d}", "tell": "UNI,{value:d}", "read_back": True},
}
