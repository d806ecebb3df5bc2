"""Modbus twins on their transports: pace, faults, and what a host sees of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
import serial
from pymodbus import FramerType
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

import simulators
from simulators._modbus_frames import RtuFramer, mbap_frame, rtu_frame, unframe
from simulators.device import SimulatorError
from simulators.serve import Simulator
from simulators.watlow_f4 import WatlowF4

READ_MODEL = bytes.fromhex("03 0000 0001")
MODEL = bytes.fromhex("03 02 1496")


def connected(twin: Simulator, transport: str) -> socket.socket:
    where = urlsplit(twin.urls[transport])
    return socket.create_connection((str(where.hostname), where.port or 0), timeout=20)


def received(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return data


@pytest.fixture
def f4() -> Iterator[Simulator]:
    with Simulator(
        WatlowF4(seed=1),
        serve={
            "modbus+tcp": ("127.0.0.1", 0),
            "modbus+rtu+tcp": ("127.0.0.1", 0),
            "modbus+rtu": True,
        },
        control=("127.0.0.1", 0),
        time_factor=0.0,
        seed=1,
    ) as running:
        yield running


def test_one_device_is_on_three_transports_at_once(f4: Simulator) -> None:
    with connected(f4, "modbus+tcp") as sock:
        sock.sendall(mbap_frame(1, READ_MODEL, 5))
        assert received(sock, 11) == mbap_frame(1, MODEL, 5)
    with connected(f4, "modbus+rtu+tcp") as sock:
        sock.sendall(rtu_frame(1, READ_MODEL))
        assert received(sock, 7) == rtu_frame(1, MODEL)
    with serial.Serial(urlsplit(f4.urls["modbus+rtu"]).path, 19_200, timeout=20) as port:
        port.write(rtu_frame(1, READ_MODEL))
        assert port.read(7) == rtu_frame(1, MODEL)
    assert [each["link"] for each in f4.log()] == ["modbus+tcp", "modbus+rtu+tcp", "modbus+rtu"]
    assert f4.log()[1]["received"] == "01 03 00 00 00 01 84 0a"


def test_pymodbus_reads_rtu_through_a_tcp_port() -> None:
    twin = simulators.start_twin("watlow_f4", "modbus+rtu+tcp", unit=17, time_factor=0.0)
    with closing(twin):
        where = urlsplit(twin.url)
        assert where.query == "unit=17"
        host: Any = ModbusTcpClient(
            str(where.hostname), port=where.port or 0, framer=FramerType.RTU, retries=0
        )
        assert host.read_holding_registers(0, count=1, device_id=17).registers == [5270]
        host.close()


def test_a_serial_line_behind_a_tcp_port_has_its_pace() -> None:
    # Of five exchanges, 8 bytes there and 7 back, on a real line of 4800 baud.
    twin = simulators.start_twin("watlow_f4", "modbus+rtu+tcp", baud=4800, time_factor=0.0)
    with closing(twin), connected(twin, "modbus+rtu+tcp") as sock:
        begin_s = time.monotonic()
        for _ in range(5):
            sock.sendall(rtu_frame(1, READ_MODEL))
            assert received(sock, 7) == rtu_frame(1, MODEL)
        assert time.monotonic() - begin_s >= 5 * ((8 + 7) * 10 / 4800 + WatlowF4.turnaround_s)


def test_a_request_in_two_halves_with_a_silence_between_is_ignored(f4: Simulator) -> None:
    frame = rtu_frame(1, READ_MODEL)
    with connected(f4, "modbus+rtu+tcp") as sock:
        sock.settimeout(0.3)
        sock.sendall(frame[:5])
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.sendall(frame[5:])
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(20)
        sock.sendall(frame)
        assert received(sock, 7) == rtu_frame(1, MODEL)


@pytest.mark.parametrize(("fault", "code"), [("exception", 4), ("busy", 6)])
def test_a_fault_answers_with_an_exception_and_the_request_is_not_obeyed(
    f4: Simulator, fault: str, code: int
) -> None:
    write = bytes.fromhex("06 012c 012c")
    f4.fault(fault, count=1)
    with connected(f4, "modbus+tcp") as sock:
        sock.sendall(mbap_frame(1, write, 5))
        assert received(sock, 9) == mbap_frame(1, bytes([0x86, code]), 5)
        sock.sendall(mbap_frame(1, bytes.fromhex("03 012c 0001"), 6))
        assert received(sock, 11) == mbap_frame(1, bytes.fromhex("03 02 00e6"), 6)


@pytest.mark.parametrize("transport", ["modbus+tcp", "modbus+rtu+tcp"])
def test_garbage_is_never_a_good_frame_and_ends_where_one_would(
    f4: Simulator, transport: str
) -> None:
    f4.fault("garbage")
    tcp = transport == "modbus+tcp"
    request = mbap_frame(1, READ_MODEL, 5) if tcp else rtu_frame(1, READ_MODEL)
    good = mbap_frame(1, MODEL, 5) if tcp else rtu_frame(1, MODEL)
    with connected(f4, transport) as sock:
        for _ in range(20):
            sock.sendall(request)
            reply = received(sock, len(good))
            assert not any(
                a == b
                for n, (a, b) in enumerate(zip(reply, good, strict=True))
                if not (tcp and n in (4, 5))
            )
            assert unframe(reply, rtu=not tcp) is None
            if tcp:
                assert reply[4:6] == good[4:6]


def test_a_truncated_frame_has_always_lost_something(f4: Simulator, wait_until: Any) -> None:
    f4.fault("truncated")
    with connected(f4, "modbus+tcp") as sock:
        for transaction in range(20):
            sock.sendall(mbap_frame(1, READ_MODEL, transaction))
        wait_until(lambda: f4.get("messages") == {"messages": 20.0})
        f4.clear_faults()
        sock.sendall(mbap_frame(1, READ_MODEL, 99))
        data = b""
        while not data.endswith(mbap_frame(1, MODEL, 99)):
            data += sock.recv(4096)
    sent = [each["sent"] for each in f4.log()]
    assert all(text is None or len(text.split()) < 11 for text in sent[:-1])


def test_a_silent_device_is_a_timeout_for_pymodbus_and_then_answers_again(f4: Simulator) -> None:
    where = urlsplit(f4.urls["modbus+tcp"])
    host: Any = ModbusTcpClient(str(where.hostname), port=where.port or 0, timeout=0.2, retries=0)
    f4.fault("silence", count=1)
    with pytest.raises(ModbusIOException):
        host.read_holding_registers(0, count=1)
    host.comm_params.timeout_connect = 20
    assert host.read_holding_registers(0, count=1).registers == [5270]
    host.close()


def test_a_line_with_an_echo_gives_back_what_was_sent(f4: Simulator) -> None:
    f4.fault("echo")
    request = rtu_frame(1, READ_MODEL)
    with serial.Serial(urlsplit(f4.urls["modbus+rtu"]).path, 19_200, timeout=20) as port:
        port.write(request)
        assert port.read(15) == request + rtu_frame(1, MODEL)


def test_bytes_that_nobody_asked_for_reach_every_host(f4: Simulator) -> None:
    with (
        connected(f4, "modbus+tcp") as first,
        connected(f4, "modbus+rtu+tcp") as second,
        serial.Serial(urlsplit(f4.urls["modbus+rtu"]).path, 19_200, timeout=20) as port,
    ):
        for sock, frame, size in (
            (first, mbap_frame(1, READ_MODEL, 1), 11),
            (second, rtu_frame(1, READ_MODEL), 7),
        ):
            sock.sendall(frame)
            received(sock, size)
        f4.fault("unsolicited", text="noise")
        assert [received(first, 7), received(second, 7), port.read(7)] == [b"noise\r\n"] * 3


def test_faults_that_a_device_cannot_have_are_refused_and_not_listed() -> None:
    with closing(simulators.start_twin("lakeshore336", time_factor=0.0)) as tc:
        with pytest.raises(SimulatorError, match="cannot have the fault exception"):
            tc.fault("exception")
        assert "exception" not in tc.ask({"cmd": "faults"})["kinds"]
    with closing(simulators.start_twin("wago_750_352", time_factor=0.0)) as coupler:
        assert {"exception", "busy"} <= set(coupler.ask({"cmd": "faults"})["kinds"])
        with pytest.raises(SimulatorError, match="within 1 to 255"):
            coupler.fault("exception", code=0)


def test_what_cannot_be_served_is_refused() -> None:
    with pytest.raises(SimulatorError, match="did you mean modbus"):
        Simulator(WatlowF4(), serve={"modbus+rt": True})
    with pytest.raises(SimulatorError, match="at a path"):
        Simulator(WatlowF4(), serve={"modbus+rtu": ("127.0.0.1", 0)})
    with pytest.raises(SimulatorError, match="a host and a port"):
        Simulator(WatlowF4(), serve={"modbus+tcp": True})
    with pytest.raises(SimulatorError, match="no unit address"):
        simulators.start_twin("lakeshore336", unit=2)


def test_cut_and_restore_keep_the_places(f4: Simulator) -> None:
    before = f4.urls
    f4.cut()
    with pytest.raises(ConnectionRefusedError):
        connected(f4, "modbus+tcp")
    f4.restore()
    assert f4.urls == before
    test_one_device_is_on_three_transports_at_once(f4)


def test_a_long_reply_is_cut_where_the_frames_are() -> None:
    frames = [rtu_frame(1, READ_MODEL), rtu_frame(9, READ_MODEL)]
    assert RtuFramer().feed(b"".join(frames)) == frames
