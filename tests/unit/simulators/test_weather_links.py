"""Streams on real links: who hears them, what ends them, what spoils them."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serial

from simulators.bus import Bus
from simulators.davis_vantage import DavisVantage
from simulators.serve import Simulator
from simulators.vaisala_wxt530 import VaisalaWXT530

LOOPBACK = ("127.0.0.1", 0)
Connect = Callable[[str], Any]


@pytest.fixture
def davis() -> Iterator[Simulator]:
    """A console on TCP and on a pseudo-terminal, time stopped; it does not sleep."""
    console = DavisVantage(seed=1)
    console.sleep_after_s = 0
    with Simulator(console, tcp=LOOPBACK, pty=True, time_factor=0, seed=1) as running:
        yield running


@pytest.fixture
def vaisala() -> Iterator[Simulator]:
    """A transmitter in automatic mode on TCP and on a pseudo-terminal, time stopped."""
    with Simulator(VaisalaWXT530(seed=1), tcp=LOOPBACK, pty=True, time_factor=0, seed=1) as running:
        yield running


def port_of(sim: Simulator) -> str:
    """Give the URL of the port, whatever units there are behind it."""
    return sim.urls["tcp"].partition("?")[0]


def receive(host: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = host.socket.recv(count - len(data))
        assert more, f"closed after {data!r}"
        data += more
    return data


def everything(host: Any, *, until_quiet_s: float = 1.0) -> bytes:
    """Give what comes until nothing has come for a while."""
    host.socket.settimeout(until_quiet_s)
    data = b""
    try:
        while more := host.socket.recv(65536):
            data += more
    except TimeoutError:
        return data
    raise AssertionError(f"closed after {data!r}")


def is_closed(host: Any) -> bool:
    """Wait until the other side has closed the connection, in whatever way."""
    try:
        while host.socket.recv(65536):
            continue
    except ConnectionError:
        return True
    return True


def is_packet(data: bytes) -> bool:
    return len(data) == 99 and data[:3] == b"LOO" and crc_hqx(data, 0) == 0


# -- Davis Vantage -------------------------------------------------------------------------------


def test_a_serial_host_wakes_the_console_and_reads_a_stream(davis: Simulator) -> None:
    assert "baud=19200&bits=8&parity=none" in davis.urls["serial"]
    path = davis.urls["serial"].removeprefix("serial://").partition("?")[0]
    davis.set(sleep_after_s=120)
    davis.skip(150)
    with serial.Serial(path, 19200, timeout=20, exclusive=True) as port:
        port.write(b"\n")
        port.write(b"\n")
        assert port.read(2) == b"\n\r"
        port.write(b"WRD\x12\x4d\n")
        assert port.read(2) == b"\x06\x10"
        port.write(b"LOOP 3\n")
        assert port.read(1) == b"\x06"
        davis.skip(6)
        assert all(is_packet(port.read(99)) for _ in range(3))
        davis.skip(60)
        port.timeout = 0.2
        assert port.read(1) == b""


def test_after_the_character_that_ends_a_fast_stream_no_packet_comes(
    davis: Simulator, connect: Connect
) -> None:
    host = connect(davis.url)
    davis.set_time_factor(2000)
    host.socket.sendall(b"LOOP 65535\n")
    assert receive(host, 1) == b"\x06"
    assert all(is_packet(receive(host, 99)) for _ in range(50))
    host.socket.sendall(b"\n")
    rest = everything(host)
    assert rest.endswith(b"\n\r")
    assert len(rest) % 99 == 2
    assert davis.get("packets_left") == {"packets_left": 0}


def test_a_data_logger_serves_one_host_and_then_the_next(
    davis: Simulator, connect: Connect
) -> None:
    first = connect(davis.urls["tcp"])
    first.socket.sendall(b"\n")
    assert receive(first, 2) == b"\n\r"
    second = connect(davis.urls["tcp"])
    assert is_closed(second)
    first.close()
    third = connect(davis.urls["tcp"])
    third.socket.sendall(b"\n")
    assert receive(third, 2) == b"\n\r"


def test_a_host_that_connects_amid_a_stream_hears_the_end_of_a_packet_first(
    davis: Simulator, connect: Connect
) -> None:
    first = connect(davis.url)
    first.socket.sendall(b"LOOP 100\n")
    assert receive(first, 1) == b"\x06"
    first.close()
    second = connect(davis.url)
    heard = receive(second, 1)
    davis.skip(2)
    heard += everything(second)
    assert 99 < len(heard) < 198
    assert is_packet(heard[-99:])


def test_a_stream_with_noise_has_packets_that_are_wrong_and_others_that_are_right(
    davis: Simulator, connect: Connect
) -> None:
    host = connect(davis.url)
    host.socket.sendall(b"LOOP 65535\n")
    assert receive(host, 1) == b"\x06"
    davis.fault("noise", probability=0.001)
    davis.skip(1000)
    packets = [receive(host, 99) for _ in range(500)]
    # One byte in a thousand is one packet in eleven.
    assert 20 < sum(not is_packet(packet) for packet in packets) < 80
    davis.clear_faults()
    davis.skip(20)
    assert all(is_packet(receive(host, 99)) for _ in range(10))


def test_a_lost_byte_desynchronises_packets_until_it_is_woken_up(
    davis: Simulator, connect: Connect
) -> None:
    host = connect(davis.url)
    host.socket.sendall(b"LOOP 65535\n")
    assert receive(host, 1) == b"\x06"
    davis.fault("lost-bytes", probability=1, count=1)
    davis.skip(20)
    assert not any(is_packet(receive(host, 99)) for _ in range(9))
    host.socket.sendall(b"\n")
    assert everything(host).endswith(b"\n\r")
    host.socket.sendall(b"LOOP 1\n")
    assert receive(host, 1) == b"\x06"
    davis.skip(2)
    assert is_packet(receive(host, 99))


@pytest.mark.parametrize(
    ("fault", "lengths"),
    [("silence", {0}), ("mute", {0}), ("truncated", set(range(99))), ("garbage", {99})],
)
def test_a_fault_spoils_a_packet(
    davis: Simulator, connect: Connect, fault: str, lengths: set[int]
) -> None:
    host = connect(davis.url)
    host.socket.sendall(b"LOOP 65535\n")
    assert receive(host, 1) == b"\x06"
    davis.fault(fault, count=1)
    davis.skip(2)
    packet = everything(host)
    assert len(packet) in lengths
    assert not is_packet(packet)
    davis.skip(2)
    host.socket.settimeout(20)
    assert is_packet(receive(host, 99))


def test_a_split_packet_comes_whole_in_the_end(davis: Simulator, connect: Connect) -> None:
    host = connect(davis.url)
    host.socket.sendall(b"LOOP 1\n")
    assert receive(host, 1) == b"\x06"
    davis.fault("split", gap_s=0.05)
    davis.skip(2)
    assert is_packet(receive(host, 99))


def test_a_loss_of_supply_ends_a_stream(davis: Simulator, connect: Connect) -> None:
    host = connect(davis.url)
    host.socket.sendall(b"LOOP 65535\n")
    assert receive(host, 1) == b"\x06"
    davis.fault("power-cycle", off_s=0.05)
    assert is_closed(host)
    again = connect_when_it_is_back(davis, connect)
    davis.skip(60)
    assert everything(again) == b""


def connect_when_it_is_back(sim: Simulator, connect: Connect) -> Any:
    while not sim.ask({"cmd": "status"})["powered"]:
        continue
    return connect(sim.url)


# -- Vaisala WXT530 ------------------------------------------------------------------------------


def test_lines_come_to_every_host_and_the_first_is_partial(
    vaisala: Simulator, connect: Connect
) -> None:
    hosts = [connect(port_of(vaisala)) for _ in range(2)]
    # What is sent to a host before it is served is not for it.
    assert [len(receive(host, 1)) for host in hosts] == [1, 1]
    vaisala.skip(60)
    for host in hosts:
        lines = [host.read() for _ in range(18)]
        assert all(line.startswith("0R") and line.endswith("\r\n") for line in lines[1:])
        assert not lines[0].startswith("0R")


def test_polls_are_answered_on_a_pseudo_terminal(vaisala: Simulator) -> None:
    path = vaisala.urls["serial"].removeprefix("serial://").partition("?")[0]
    with serial.Serial(path, 19200, timeout=20, exclusive=True) as port:
        port.write(b"0r1Goe\r\n")
        assert port.read_until(b"\r\n").startswith(b"0r1,Dn=")
        port.write(b"0r1\r\n")
        assert port.read_until(b"\r\n") == b"0tX,Use chksum GoeIU~\r\n"


def test_a_host_that_never_reads_keeps_no_lines_from_the_others(
    vaisala: Simulator, connect: Connect
) -> None:
    deaf, other = connect(port_of(vaisala)), connect(port_of(vaisala))
    deaf.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):  # the replies fill the buffers, so it stops reading us
        while True:
            deaf.socket.sendall(b"0R\r\n" * 500)
    other.ask("0")
    vaisala.skip(60)
    assert [other.read()[:3] for _ in range(18)].count("0R1") == 12


def test_units_on_a_bus_are_polled_and_a_dead_one_is_silent(connect: Connect) -> None:
    bus = Bus({number: VaisalaWXT530(seed=number, unit=number) for number in (0, 1, 2)})
    with Simulator(bus, tcp=LOOPBACK, time_factor=0) as sim:
        assert sim.url_of(2) == f"{sim.url}?unit=2"
        host = connect(sim.url)
        assert [host.ask(f"{unit}R2")[:4] for unit in (0, 1, 2)] == ["0R2,", "1R2,", "2R2,"]
        sim.fault("dead-unit", unit=1)
        host.send("1R2")
        assert host.ask("2R2").startswith("2R2,")
        sim.clear_faults()
        sim.set(**{"unit1.temperature_invalid": 1})
        assert "Ta=0.0#" in host.ask("1R2")


def test_noise_is_on_replies_and_on_lines_that_come_unasked(
    vaisala: Simulator, connect: Connect
) -> None:
    host = connect(port_of(vaisala))
    receive(host, 1)
    everything(host)
    host.socket.settimeout(20)
    vaisala.fault("noise", probability=1)
    host.socket.sendall(b"0R2\r\n")
    reply = everything(host)
    assert len(reply) == len(b"0R2,Ta=19.3C,Ua=40.8P,Pa=1015.9H\r\n")
    assert all(a != b for a, b in zip(reply[:7], b"0R2,Ta=", strict=True))
    vaisala.skip(5)
    assert not everything(host).startswith(b"0R1")
