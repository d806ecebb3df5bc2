"""A TC-9, written from manual_b.md alone: ``python simulator_b.py``.

It listens on two free ports of the loopback, and prints ``ready PORT CONTROL``. On the first it is
the instrument. On the second each line is an order to the simulator, answered by one line:

    set NAME JSON              change the state (the names are those of Carousel)
    show                       the state, as JSON
    exception FUNCTION CODE    the next request of this function is refused with this exception
    silent FUNCTION COUNT      so many requests of this function are obeyed, not answered; 0: of any
    deaf FUNCTION COUNT        so many requests of this function are neither obeyed nor answered
    garbage HEX                the next answer is these bytes instead
    short COUNT                so many answers to reads have one register too few
    drop                       close the connections of the instrument
"""

from __future__ import annotations

import asyncio
import json
import struct

UNIT = 17
UNKNOWN_ANGLE = -0x80000000
NO_READING = -0x8000
NOT_MEASURED = 0xFFFF


class Refused(Exception):
    """An exception of Modbus, with its code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def low_word_first(value: float, kind: str) -> list[int]:
    high, low = struct.unpack(">HH", struct.pack(">" + kind, value))
    return [low, high]


class Carousel:
    """The instrument."""

    def __init__(self) -> None:
        self.angle = 12345
        self.homed = True
        self.powered = True
        self.moving = False
        self.phase = 2
        self.position = 4
        self.door = False
        self.temperature: int | None = -1510  # -75.50 degC
        self.current: int | None = 842
        self.hours = 1234.5
        self.serial = "MW-TC9/00417-b"
        self.alarm = 0
        self.energy = 70000
        self.setpoint = -1500
        self.target = 0
        self.mode = 1
        self.speed = 40
        self.ramp = 12
        self.starts: list[int] = []

    def input(self) -> dict[int, int]:
        """Return the input registers, by their addresses on the wire."""
        raw = self.serial.encode("ascii").ljust(16, b"\0")
        angle = self.angle if self.homed else UNKNOWN_ANGLE
        temperature = NO_READING if self.temperature is None else self.temperature
        current = NOT_MEASURED if self.current is None else self.current
        status = self.powered | self.homed << 1 | self.moving << 2 | self.phase << 3
        status |= self.position << 8 | self.door << 15
        registers = dict(enumerate(low_word_first(angle, "i"), 100))
        registers |= {102: temperature & 0xFFFF, 103: current, 104: status}
        registers |= dict(enumerate(low_word_first(self.hours, "f"), 109))
        registers |= {111 + i: raw[2 * i] | raw[2 * i + 1] << 8 for i in range(8)}
        registers |= {0x140: self.alarm}
        return registers | dict(enumerate(low_word_first(self.energy, "I"), 0x141))

    def holding(self) -> dict[int, int]:
        """Return the holding registers that can be read."""
        registers = {200: self.setpoint & 0xFFFF, 203: self.mode}
        registers |= {205: self.speed | self.ramp << 8}
        return registers | dict(enumerate(low_word_first(self.target, "i"), 201))

    def write(self, address: int, values: list[int]) -> None:
        """Write registers: all of them, or none."""
        new = dict(enumerate(values, address))
        if not {200, 201, 202, 203, 204, 205}.issuperset(new) or (201 in new) != (202 in new):
            raise Refused(2)
        changes = {}
        if 200 in new:
            changes |= self.new_setpoint(new[200])
        if 201 in new:
            changes |= self.new_target(new[201], new[202])
        if 203 in new:
            changes |= self.new_mode(new[203])
        if 205 in new:
            changes |= self.new_settings(new[205])
        if 204 in new:
            self.start(new[204])
        for name, value in changes.items():
            setattr(self, name, value)

    def new_setpoint(self, value: int) -> dict[str, int]:
        signed = struct.unpack(">h", struct.pack(">H", value))[0]
        if not -1600 <= signed <= 1200:
            raise Refused(3)
        return {} if self.mode == 5 else {"setpoint": signed}

    def new_target(self, low: int, high: int) -> dict[str, int]:
        signed = struct.unpack(">i", struct.pack(">HH", high, low))[0]
        if not -180000 <= signed <= 180000:
            raise Refused(3)
        return {"target": signed}

    def new_mode(self, value: int) -> dict[str, int]:
        if value not in (0, 1, 2, 5):
            raise Refused(3)
        if value == 5 and self.door:
            raise Refused(4)
        return {"mode": value}

    def new_settings(self, value: int) -> dict[str, int]:
        ramp, speed = divmod(value, 256)
        if not (1 <= speed <= 100 and ramp <= 50):
            raise Refused(3)
        return {"speed": speed, "ramp": ramp}

    def start(self, order: int) -> None:
        if order not in (1, 2, 3, 4):
            raise Refused(3)
        if self.moving and order != 3:
            raise Refused(6)
        self.starts.append(order)
        if order == 1:
            self.angle = self.target
        elif order == 2:
            self.homed, self.angle, self.position = True, 0, 1
        elif order == 3:
            self.moving = False
        else:
            self.position = self.position % 12 + 1


class Simulator:
    """The instrument on a port, and its bad days."""

    def __init__(self) -> None:
        self.carousel = Carousel()
        self.silences: dict[int, int] = {}
        self.deafnesses: dict[int, int] = {}
        self.exceptions: dict[int, int] = {}
        self.raw: bytes | None = None
        self.shorts = 0
        self.writers: set[asyncio.StreamWriter] = set()

    async def instrument(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.writers.add(writer)
        try:
            while True:
                head = await reader.readexactly(7)
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                pdu = await reader.readexactly(length - 1)
                if unit == UNIT:
                    writer.write(self.answer(transaction, pdu))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def answer(self, transaction: int, pdu: bytes) -> bytes:
        """Obey one request and return the answer, unless something is the matter."""
        if takes(self.deafnesses, pdu[0]):
            return b""
        reply = self.request(pdu)
        if takes(self.silences, pdu[0]):
            return b""
        if self.raw is not None:
            raw, self.raw = self.raw, None
            return raw
        return struct.pack(">HHHB", transaction, 0, len(reply) + 1, UNIT) + reply

    def request(self, pdu: bytes) -> bytes:
        function = pdu[0]
        try:
            if function in self.exceptions:
                raise Refused(self.exceptions.pop(function))
            if function in (3, 4):
                return self.read(*struct.unpack(">BHH", pdu))
            if function == 6:
                _, address, value = struct.unpack(">BHH", pdu)
                self.carousel.write(address, [value])
                return pdu
            if function == 16:
                _, address, count, size = struct.unpack(">BHHB", pdu[:6])
                if size != 2 * count or len(pdu) != 6 + size or not count:
                    raise Refused(3)
                self.carousel.write(address, list(struct.unpack(f">{count}H", pdu[6:])))
                return pdu[:5]
            raise Refused(1)
        except Refused as refused:
            return bytes([function | 0x80, refused.code])

    def read(self, function: int, address: int, count: int) -> bytes:
        registers = self.carousel.holding() if function == 3 else self.carousel.input()
        if not 1 <= count <= 125:
            raise Refused(3)
        if not set(range(address, address + count)) <= set(registers):
            raise Refused(2)
        values = [registers[a] for a in range(address, address + count)]
        if self.shorts:
            self.shorts -= 1
            del values[-1]
        return struct.pack(f">BB{len(values)}H", function, 2 * len(values), *values)

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take orders."""
        while line := await reader.readline():
            order, _, rest = line.decode().rstrip("\r\n").partition(" ")
            try:
                answer = getattr(self, f"do_{order}")(*rest.split(" ", 1)) or "ok"
            except Exception as error:
                answer = f"error: {error!r}"
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()

    def do_show(self, _: str) -> str:
        return json.dumps(vars(self.carousel))

    def do_set(self, name: str, value: str) -> None:
        if name not in vars(self.carousel):
            raise KeyError(name)
        setattr(self.carousel, name, json.loads(value))

    def do_exception(self, function: str, code: str) -> None:
        self.exceptions[int(function)] = int(code)

    def do_silent(self, function: str, count: str) -> None:
        self.silences[int(function)] = int(count)

    def do_deaf(self, function: str, count: str) -> None:
        self.deafnesses[int(function)] = int(count)

    def do_garbage(self, text: str) -> None:
        self.raw = bytes.fromhex(text)

    def do_short(self, count: str) -> None:
        self.shorts = int(count)

    def do_drop(self, _: str) -> None:
        for writer in list(self.writers):
            writer.close()


def takes(counts: dict[int, int], function: int) -> bool:
    """Whether a request of *function* is one of those counted; then it is counted down."""
    for name in (function, 0):
        if counts.get(name, 0):
            counts[name] -= 1
            return True
    return False


async def main() -> None:
    simulator = Simulator()
    servers = [
        await asyncio.start_server(serve, "127.0.0.1", 0)
        for serve in (simulator.instrument, simulator.control)
    ]
    print("ready", *(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
