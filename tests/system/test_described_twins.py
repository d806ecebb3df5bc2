"""Drivers against twins of what a file describes: both are made from it, and from nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import simulators
from drivers import wiring
from drivers.base import ControllerBase
from mktl.errors import DeviceRefused, InvalidReading
from tests._support import wait_until

HEAD = 'store = "lab"\nalias = "hw"\n'
ACK = r'handshake = {ack = "\u0006", nak = "\u0015"'

PRESSURE = """
[items.pressure]
controller = "g"
ask = "PR1"
reply = "{status:d},{value:g}"
valid = {status = 0}
simulate = 3.5
[items.limit]
controller = "g"
ask = "LI?"
tell = "LI {value:.1f}"
ACK
range = [0, 10]
simulate = 2
"""


def text(settings: str, ack: str = "", url: str = "tcp://h:1") -> str:
    controller = f'[controllers.g]\ndriver = "text"\nurl = "{url}"\n'
    return f"{HEAD}{controller}{settings}\n{PRESSURE.replace('ACK', ack)}"


WAYS = {
    "plain": text('refused = "NO"', 'ack = "OK"'),
    "read back": text("", "read_back = true"),
    "error queue": text(r"""error_query = {ask = "ERR?", ok = '\+?0,.*'}"""),
    "acknowledged": text(ACK + "}"),
    "enquiry": text(ACK + r', enquiry = "\u0005"}'),
    "bare enquiry": text(ACK + r', enquiry = "\u0005", bare = true}'),
    "start, identity, restore": text(
        'identify = {ask = "ID", reply = "G[0-9]{2},.*"}\n'
        'start = ["ECHO 0", {ask = "UN?", reply = "(mbar|Torr)"}, {tell = "R", ack = "OK"}]\n'
        'restore = ["LI 4.5"]\n'
        'refused = "NO"',
        'ack = "OK"',
    ),
    "frame": text(
        r'prefix = "\u0002"' + "\n" + r'terminator = "\u0003"' + "\n"
        'checksum = "crc16-vaisala"\nrefused = "NO"\nencoding = "latin-1"',
        'ack = "OK"',
    ),
    "two ends, echo": text(
        'send_terminator = "\\r"\nreply_terminator = "\\n"\necho = true\nrefused = "NO"\n'
        r'ignore = "\u0011\u0013"',
        'ack = "OK"',
    ),
    "serial": text('refused = "NO"', 'ack = "OK"', "serial:///dev/ttyS9?baud=57600"),
    "visa socket": text('refused = "NO"', 'ack = "OK"', "visa://TCPIP::h::5025::SOCKET"),
    "vxi11": text('refused = "NO"', 'ack = "OK"', "visa://TCPIP::h::INSTR"),
    "hislip": text('refused = "NO"', 'ack = "OK"', "visa://TCPIP::h::hislip0::INSTR"),
}


class Bench:
    """A file's controllers, up and connected to their twins."""

    def __init__(self, path: Path, known: Path, stack: contextlib.ExitStack) -> None:
        """Make the twins of the file at *path*, and the controllers of that at *known*."""
        self.wiring = wiring.load(known)
        urls = {}
        for line in simulators.twins_of_file(path, seed=1).served():
            self.twin = stack.enter_context(line.simulator)
            urls |= {name: line.url_of(name) for name in line.units}
        self.controllers = self.wiring.open_controllers(urls)
        for controller in self.controllers.values():
            stack.callback(controller.close)
        self.channels = {
            key: item.bind(self.controllers[item.controller])
            for key, item in self.wiring.items.items()
            if item.controller is not None
        }
        for controller in self.controllers.values():
            self.start(controller)

    @staticmethod
    def start(controller: ControllerBase) -> None:
        controller.start()

        def is_up() -> bool:
            status = controller.status()
            assert status.state == "Up", status
            return True

        wait_until(is_up)

    def read(self, key: str) -> Any:
        read = self.channels[key].read
        assert read is not None
        return read()

    def set(self, key: str, value: object) -> None:
        write = self.channels[key].write
        assert write is not None
        write(value)


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    file, known = tmp_path / "lab.toml", tmp_path / "known.toml"
    file.write_text(request.param)
    known.write_text(request.param.replace("range = [0, 10]", ""))
    with contextlib.ExitStack() as stack:
        yield Bench(file, known, stack)


@pytest.mark.parametrize("bench", WAYS.values(), ids=WAYS.keys(), indirect=True)
def test_a_twin_speaks_as_the_file_says(bench: Bench) -> None:
    assert bench.read("pressure") == 3.5
    bench.set("limit", 7.5)
    assert bench.read("limit") == 7.5
    assert bench.twin.get("limit")["limit"] == 7.5
    bench.twin.set(pressure=4.5)
    assert bench.read("pressure") == 4.5
    bench.twin.ask({"cmd": "set", "values": {"invalid.pressure": 1}})
    with pytest.raises(InvalidReading):
        bench.read("pressure")
    assert bench.read("limit") == 7.5


@pytest.mark.parametrize(
    "bench",
    [WAYS["plain"], WAYS["error queue"], WAYS["acknowledged"], WAYS["enquiry"], WAYS["frame"]],
    ids=["plain", "error queue", "acknowledged", "enquiry", "frame"],
    indirect=True,
)
def test_a_driver_notices_what_a_twin_refuses(bench: Bench) -> None:
    with pytest.raises(DeviceRefused):
        bench.set("limit", 99)  # the driver's file says nothing of a range
    assert bench.read("limit") == 2.0


MANY = """
[controllers.g]
driver = "text"
url = "tcp://h:1"

[items.hex]
controller = "g"
ask = "X?"
tell = "X {value:04X}"
reply = "{value:4x}h"
simulate = 255

[items.counts]
controller = "g"
ask = "C?"
reply = "{value:d} counts"
tell = "C {value:d}"
scale = 0.5
offset = -1
simulate = 9

[items.bits]
controller = "g"
ask = "B?"
tell = "B {value:b}"
reply = "{value:d}"
simulate = 5

[items.mode]
controller = "g"
ask = "M?"
tell = "M {value}"
type = "enumerated"
enumerators = {0 = "Off", 1 = "Auto"}
values = {OFF = "Off", AUTO = "Auto"}

[items.on]
controller = "g"
ask = "O?"
tell = "O {value:d}"
type = "boolean"

[items.name]
controller = "g"
ask = "N?"
tell = "N {value}"
type = "string"
simulate = "left"

[items.xyz]
controller = "g"
ask = "P?"
reply = "X{x:g} Y{y:g}"
field = ["x", "y"]
tell = "P {x:.1f} {y:.1f}"
simulate = [1.5, -2]

[items.y]
controller = "g"
ask = "P?"
reply = "X{:g} Y{value:g}"
"""


@pytest.mark.parametrize("bench", [HEAD + MANY], ids=[""], indirect=True)
def test_what_is_set_is_read_whatever_it_looks_like(bench: Bench) -> None:
    begin = {"hex": 255, "counts": 9, "bits": 5, "mode": 0, "on": False, "name": "left"}
    assert {key: bench.read(key) for key in begin} == begin
    assert (bench.read("xyz"), bench.read("y")) == ([1.5, -2], -2)
    values = {"hex": 48879, "counts": 4.5, "bits": 6, "mode": 1, "on": True, "name": "r 2"}
    for key, value in values.items():
        bench.set(key, value)
    assert {key: bench.read(key) for key in values} == values
    bench.set("xyz", [0.5, 3.0])
    assert (bench.read("xyz"), bench.read("y")) == ([0.5, 3.0], 3.0)


BUS = """
[controllers.a]
driver = "text"
url = "serial:///dev/ttyS9?baud=115200&unit=3"
checksum = "sum8-dec"
refused = "{unit:03d}NO"

[controllers.b]
driver = "text"
url = "serial:///dev/ttyS9?baud=115200&unit=14"
checksum = "sum8-dec"
refused = "{unit:03d}NO"

[items.pa]
controller = "a"
ask = "{unit:03d}P"
reply = "{unit:03d}{value:g}"
simulate = 1.5

[items.pb]
controller = "b"
ask = "{unit:03d}P"
reply = "{unit:03d}{value:g}"
simulate = 2.5
"""


@pytest.mark.parametrize("bench", [HEAD + BUS], ids=[""], indirect=True)
def test_units_of_one_line_are_told_apart(bench: Bench) -> None:
    assert (bench.read("pa"), bench.read("pb")) == (1.5, 2.5)
    bench.twin.ask({"cmd": "set", "values": {"unit14.pb": 7.5}})
    assert (bench.read("pa"), bench.read("pb")) == (1.5, 7.5)


REGISTERS = """
[controllers.m]
driver = "modbus"
url = "URL"
numbering = "one-based"
MORE
identify = {table = "holding", address = 101, value = 352}
restore = [{table = "holding", address = 102, value = 60}]

[items.i16]
controller = "m"
register = {table = "holding", address = 1, type = "int16", scale = 0.1}
settable = true
simulate = -3.5

[items.f32]
controller = "m"
register = {table = "holding", address = 2, type = "float32", words = "little"}
settable = true
simulate = 1.25

[items.u64]
controller = "m"
register = {table = "holding", address = 4, type = "uint64", bytes = "little"}
settable = true
simulate = 1099511627776

[items.bcd]
controller = "m"
register = {table = "holding", address = 8, type = "bcd32"}
settable = true
simulate = 1234567

[items.word]
controller = "m"
register = {table = "holding", address = 10, type = "string", length = 4}
settable = true
simulate = "pump"

[items.low]
controller = "m"
register = {table = "holding", address = 14, bits = [0, 3]}
settable = true
simulate = 5

[items.top]
controller = "m"
register = {table = "holding", address = 14, bit = 15}
settable = true
simulate = true

[items.row]
controller = "m"
register = {table = "input", address = 1, count = 3}
simulate = [7, 8, 9]

[items.coil]
controller = "m"
register = {table = "coil", address = 1, read_back = true}
settable = true

[items.input]
controller = "m"
register = {table = "discrete", address = 1}
simulate = true

[items.broken]
controller = "m"
register = {table = "input", address = 9, type = "int16", invalid = -32768}
simulate = 5
"""


def registers(url: str, more: str = "") -> str:
    return HEAD + REGISTERS.replace("URL", url).replace("MORE", more)


@pytest.mark.parametrize(
    "bench",
    [
        registers("modbus+tcp://h?unit=5"),
        registers("modbus+rtu:///dev/ttyS9?baud=115200&unit=5"),
        registers("modbus+rtu+tcp://h:1?unit=5", "echo = true"),
    ],
    ids=["tcp", "rtu", "rtu over tcp with echo"],
    indirect=True,
)
def test_registers_hold_what_a_file_says_and_what_is_written(bench: Bench) -> None:
    begin = {
        **{"i16": -3.5, "f32": 1.25, "u64": 2**40, "bcd": 1234567, "word": "pump"},
        **{"low": 5, "top": True, "row": [7, 8, 9], "coil": False, "input": True, "broken": 5},
    }
    assert {key: bench.read(key) for key in begin} == begin
    values = {
        **{"i16": 12.5, "f32": -0.5, "u64": 2**50 + 1, "bcd": 87654321, "word": "fan"},
        **{"low": 9, "top": False, "coil": True},
    }
    for key, value in values.items():
        bench.set(key, value)
    assert {key: bench.read(key) for key in values} == values
    bench.twin.ask({"cmd": "set", "values": {"invalid.broken": 1}})
    with pytest.raises(InvalidReading):
        bench.read("broken")
