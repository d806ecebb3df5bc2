"""Modbus devices whose answers a test decides, and an independent one: the server of pymodbus."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import struct
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from drivers.framing.modbus import crc16, mbap_frame, rtu_frame
from drivers.modbus import ModbusDriver
from tests._support import free_tcp_port
from tests.unit.drivers.fakes import FakeDevice

__all__ = ["FakeModbus", "crossed_ptys", "fake", "opened", "pymodbus_server"]

QUICK = {"retry_first_s": 0.05, "retry_longest_s": 0.2, "timeout_s": 2.0}

Pdu = Callable[[int, bytes], "bytes | None"]


class FakeModbus(FakeDevice):
    """Holding registers 0 to 199 and as many coils, over Modbus TCP or as RTU over TCP.

    ``answer_pdu`` gives the reply to each request, ``None`` is silence; ``dress`` makes the bytes
    of it that are really sent.
    """

    def __init__(self, *, rtu: bool = False, port: int = 0) -> None:
        self.rtu = rtu
        self.words = list(range(200))
        self.coils = [0] * 200
        self.asked: list[bytes] = []
        self.answer_pdu: Pdu = self.behave
        self.dress: Callable[[bytes], bytes] = bytes
        super().__init__(port=port)

    def url_of(self, unit: int = 1) -> str:
        kind = "modbus+rtu+tcp" if self.rtu else "modbus+tcp"
        return f"{kind}://127.0.0.1:{self.port}?unit={unit}"

    def seen(self, function: int) -> list[bytes]:
        return [pdu for pdu in self.asked if pdu[0] == function]

    def behave(self, unit: int, pdu: bytes) -> bytes | None:
        """What a device without faults answers."""
        function = pdu[0]
        if function == 8:
            return pdu
        address, second = struct.unpack_from(">HH", pdu, 1)
        end = address + (second if function in (1, 3, 15, 16) else 1)
        if function not in (1, 3, 5, 6, 15, 16, 22):
            return bytes((function | 0x80, 1))
        if end > 200:
            return bytes((function | 0x80, 2))
        return self._carry_out(function, address, second, pdu)

    def _carry_out(self, function: int, address: int, second: int, pdu: bytes) -> bytes:
        if function == 3:
            words = self.words[address : address + second]
            return bytes((3, 2 * second)) + struct.pack(f">{second}H", *words)
        if function == 1:
            size = (second + 7) // 8
            bits = sum(bit << i for i, bit in enumerate(self.coils[address : address + second]))
            return bytes((1, size)) + bits.to_bytes(size, "little")
        if function == 6:
            self.words[address] = second
        if function == 5:
            self.coils[address] = int(second == 0xFF00)
        if function == 16:
            self.words[address : address + second] = struct.unpack(f">{second}H", pdu[6:])
        if function == 15:
            bits = int.from_bytes(pdu[6:], "little")
            self.coils[address : address + second] = [bits >> i & 1 for i in range(second)]
        if function == 22:
            kept, ones = struct.unpack_from(">HH", pdu, 3)
            self.words[address] = self.words[address] & kept | ones & ~kept
        return pdu[:5] if function in (15, 16) else pdu

    def _serve(self, peer: socket.socket) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := peer.recv(4096):
                buffer += data
                while (found := self._take(buffer)) is not None:
                    head, unit, pdu, buffer = found
                    self.asked.append(pdu)
                    reply = self.answer_pdu(unit, pdu)
                    if reply is not None:
                        peer.sendall(self.dress(self.frame(head, unit, reply)))

    def frame(self, head: int, unit: int, pdu: bytes) -> bytes:
        return rtu_frame(unit, pdu) if self.rtu else mbap_frame(head, unit, pdu)

    def _take(self, buffer: bytes) -> tuple[int, int, bytes, bytes] | None:
        if self.rtu:
            end = _rtu_end(buffer)
            return None if end is None else (0, buffer[0], buffer[1 : end - 2], buffer[end:])
        if len(buffer) < 8 or len(buffer) < 6 + int.from_bytes(buffer[4:6], "big"):
            return None
        end = 6 + int.from_bytes(buffer[4:6], "big")
        return int.from_bytes(buffer[:2], "big"), buffer[6], buffer[7:end], buffer[end:]


def _rtu_end(buffer: bytes) -> int | None:
    """Return where the request ends that *buffer* begins with; ``None``: it is not complete."""
    function = buffer[1] if len(buffer) > 6 else 0
    lengths = {**dict.fromkeys((1, 2, 3, 4, 5, 6, 8), 8), 22: 10}
    if function in (15, 16):
        lengths[function] = 9 + buffer[6]
    # By its checksum alone a longer one is mistaken now and then, when its data happen to fit.
    ends = (lengths[function],) if function in lengths else range(4, len(buffer) + 1)
    return next((n for n in ends if n <= len(buffer) and crc16(buffer[:n]) == 0), None)


@contextlib.contextmanager
def fake(*, rtu: bool = False, port: int = 0) -> Iterator[FakeModbus]:
    made = FakeModbus(rtu=rtu, port=port)
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def opened(
    url: str, kind: type[Any] = ModbusDriver, *, name: str = "plc", up: bool = True, **settings: Any
) -> Iterator[Any]:
    """A driver that is quick to give up and quick to try again."""
    driver = kind(url, name=name, **{**QUICK, **settings})
    try:
        driver.start()
        if up:
            driver.wait_until_up(timeout_s=30)
        yield driver
    finally:
        driver.close()


@contextlib.contextmanager
def crossed_ptys() -> Iterator[tuple[str, str]]:
    """Two serial ports with a cable between them."""
    pairs = [os.openpty() for _ in range(2)]
    for _, slave in pairs:
        tty.setraw(slave)
    (a, slave_a), (b, slave_b) = pairs
    end_read, end_write = os.pipe()

    def pump() -> None:
        while True:
            ready, _, _ = select.select([a, b, end_read], [], [])
            if end_read in ready:
                return
            for source in ready:
                os.write(b if source == a else a, os.read(source, 4096))

    thread = threading.Thread(target=pump, name="cable")
    thread.start()
    try:
        yield os.ttyname(slave_a), os.ttyname(slave_b)
    finally:
        os.write(end_write, b"x")
        thread.join()
        for fd in (a, b, slave_a, slave_b, end_read, end_write):
            os.close(fd)


@contextlib.contextmanager
def pymodbus_server(
    kind: str, units: tuple[int, ...] = (1,), *, holding: Mapping[int, list[int]] | None = None
) -> Iterator[str]:
    """Run the server of pymodbus: ``tcp``, ``rtu+tcp`` or ``rtu``; gives a URL without the unit.

    Holding and input registers 0 to 999 hold their address, coils 0 to 2047 are off, discrete
    inputs 0 to 2047 on. *holding*: holding registers instead, words in a row by first address.
    """
    with contextlib.ExitStack() as stack:
        if kind == "rtu":
            near, far = stack.enter_context(crossed_ptys())
            url, where = f"modbus+rtu://{near}", far
        else:
            port = free_tcp_port()
            url, where = f"modbus+{kind}://127.0.0.1:{port}", str(port)
        ready, loop = threading.Event(), asyncio.new_event_loop()
        stop: list[asyncio.Event] = []

        async def serve() -> None:
            server = _server(kind, where, units, holding or {0: list(range(1000))})
            await server.serve_forever(background=True)
            stop.append(asyncio.Event())
            ready.set()
            await stop[0].wait()
            await server.shutdown()

        def run() -> None:
            try:
                loop.run_until_complete(serve())
            finally:
                loop.close()

        thread = threading.Thread(target=run, name="pymodbus-server")
        thread.start()
        try:
            assert ready.wait(10), "the server of pymodbus does not start"
            yield url
        finally:
            loop.call_soon_threadsafe(stop[0].set)
            thread.join(30)


def _server(kind: str, where: str, units: tuple[int, ...], holding: Mapping[int, list[int]]) -> Any:
    from pymodbus import FramerType
    from pymodbus.server import ModbusSerialServer, ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    def registers(found: Mapping[int, list[int]]) -> list[SimData]:
        return [
            SimData(address, values=words, datatype=DataType.REGISTERS)
            for address, words in sorted(found.items())
        ]

    def bits(value: bool) -> list[SimData]:
        return [SimData(0, values=[value] * 2048, datatype=DataType.BITS)]

    inputs = {0: list(range(1000))}
    devices = [
        SimDevice(unit, (bits(False), bits(True), registers(holding), registers(inputs)))
        for unit in units
    ]
    if kind == "rtu":
        return ModbusSerialServer(devices, port=where, baudrate=19200)
    framer = FramerType.RTU if kind == "rtu+tcp" else FramerType.SOCKET
    return ModbusTcpServer(devices, framer=framer, address=("127.0.0.1", int(where)))
