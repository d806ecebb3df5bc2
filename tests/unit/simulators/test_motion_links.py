"""IcePAP and Zaber through real ports: TCP, pseudo-terminals, faults, alerts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import serial

from simulators._zaber_lines import with_lrc
from simulators.bus import Bus
from simulators.icepap import IcePAP
from simulators.serve import Simulator
from simulators.zaber import Zaber

HERE = ("127.0.0.1", 0)


class Host:
    """A host on either kind of port, which ends its lines as it is told."""

    def __init__(self, url: str, *, end: str = "\r") -> None:
        where = urlsplit(url)
        self.end = end.encode()
        self._socket: socket.socket | None = None
        if where.scheme == "tcp":
            self._socket = socket.create_connection((str(where.hostname), int(where.port or 0)), 5)
            self._stream: Any = self._socket.makefile("rwb", buffering=0)
        else:
            baud = int(where.query.partition("baud=")[2].partition("&")[0])
            self._stream = serial.Serial(where.path, baud, timeout=20, exclusive=True)

    def send(self, text: str) -> None:
        self._stream.write(text.encode("latin-1") + self.end)

    def read(self) -> str:
        line = bytes(self._stream.readline())
        assert line.endswith(b"\r\n"), line
        return line.decode("latin-1").removesuffix("\r\n")

    def ask(self, text: str) -> str:
        self.send(text)
        return self.read()

    def hears_nothing(self, *, within_s: float = 0.2) -> bool:
        """Tell that no byte comes: a wait that has to pass, there is no condition for silence."""
        if self._socket is None:
            self._stream.timeout = within_s
            heard = self._stream.read(1)
            self._stream.timeout = 20
            return not heard
        self._socket.settimeout(within_s)
        try:
            return not self._socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(20)

    def close(self) -> None:
        self._stream.close()
        if self._socket is not None:
            self._socket.close()


Open = Callable[..., Host]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open hosts that are closed when the test ends."""
    hosts: list[Host] = []

    def opened(url: str, *, end: str = "\r") -> Host:
        hosts.append(Host(url, end=end))
        return hosts[-1]

    yield opened
    for host in hosts:
        host.close()


def stopped(device: Any, **places: Any) -> Simulator:
    return Simulator(device, serve=places or {"tcp": HERE}, time_factor=0.0, seed=1)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("transport", ["tcp", "serial"])
def test_an_icepap_is_reached_over_tcp_and_a_serial_port_and_takes_any_line_end(
    opened: Open, transport: str, end: str
) -> None:
    with stopped(IcePAP(), tcp=HERE, serial=True) as sim:
        host = opened(sim.urls[transport], end=end)
        assert host.ask("1:?pos") == "1:?POS 0"
        assert host.ask("#1:MOVE 1000") == "1:MOVE OK"
        sim.skip(5)
        assert host.ask("?FPOS 1 2") == "?FPOS 1000 0"
        host.send("1:MOVE nonsense")
        host.send("")
        assert host.ask("#0:NONSENSE") == "0:NONSENSE ERROR Command not recognised"


def test_a_block_of_lines_arrives_whole(opened: Open) -> None:
    with stopped(IcePAP()) as sim:
        host = opened(sim.url)
        lines = [host.ask("0:?VER INFO")]
        while lines[-1] != "$":
            lines.append(host.read())
        assert lines[0] == "0:?VER $"
        assert lines[1].startswith("SYSTEM ")


def test_two_commands_in_one_packet_are_obeyed_in_turn(opened: Open) -> None:
    with stopped(IcePAP()) as sim:
        host = opened(sim.url)
        assert host.ask("#1:MOVE 5\r1:?STATUS") == "1:MOVE OK"
        assert host.read() == "1:?STATUS 0x00A00403"


def test_an_icepap_moves_in_real_time(opened: Open) -> None:
    with Simulator(IcePAP(), tcp=HERE, time_factor=20) as sim:
        host = opened(sim.url)
        host.ask("#1:MOVE 20000")
        seen = []
        while int(host.ask("1:?STATUS").split()[1], 16) & 0xC00:
            seen.append(int(host.ask("1:?POS").split()[1]))
        assert seen == sorted(seen)
        assert host.ask("1:?POS") == "1:?POS 20000"


def test_a_power_cycle_loses_the_positions_of_an_icepap(
    opened: Open, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    with stopped(IcePAP()) as sim:
        host = opened(sim.url)
        host.ask("#1:MOVE 1000")
        sim.skip(0.05)
        sim.fault("power-cycle", off_s=0.01)
        wait_until(lambda: bool(sim.ask({"cmd": "status"})["connected"]))
        again = opened(sim.url)
        assert again.ask("?POS 1") == "?POS 0"
        assert again.ask("?POWER 1") == "?POWER OFF"
        assert 0 < sim.get("axis1_at_steps")["axis1_at_steps"] < 1000


@pytest.mark.parametrize("fault", ["silence", "mute"])
def test_a_lost_command_moves_nothing_and_a_lost_reply_hides_a_move(
    opened: Open, fault: str
) -> None:
    with stopped(IcePAP()) as sim:
        host = opened(sim.url)
        sim.fault(fault, count=1)
        host.send("#1:MOVE 1000")
        assert host.hears_nothing()
        sim.skip(5)
        assert host.ask("1:?POS") == f"1:?POS {1000 * (fault == 'mute')}"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("transport", ["tcp", "serial"])
def test_a_zaber_is_reached_over_tcp_and_a_serial_port_and_takes_any_line_end(
    opened: Open, transport: str, end: str
) -> None:
    with stopped(Zaber(seed=1), tcp=HERE, serial=True) as sim:
        assert "baud=115200" in sim.urls["serial"]
        host = opened(sim.urls[transport], end=end)
        assert host.ask("/1 0 01 get device.id") == "@01 0 01 OK IDLE -- 50081"
        assert host.ask(with_lrc("/1 1 02 move abs 1000")) == "@01 1 02 OK BUSY -- 0"
        sim.skip(1)
        assert host.ask("/1") == "@01 0 OK IDLE -- 0"
        host.send("/1 1 03 home:00")
        assert host.hears_nothing()
        assert host.ask("/1 1 04 fly") == "@01 1 04 RJ IDLE -- BADCOMMAND"


@pytest.mark.parametrize("transport", ["tcp", "serial"])
def test_an_alert_reaches_every_host_without_being_asked(opened: Open, transport: str) -> None:
    with Simulator(Zaber(), serve={"tcp": HERE, "serial": True}) as sim:
        host, other = opened(sim.urls[transport]), opened(sim.urls["tcp"])
        assert host.ask("/1 set comm.alert 1") == "@01 0 OK IDLE -- 0"
        assert host.ask("/1 1 move abs 10000") == "@01 1 OK BUSY -- 0"
        assert host.read() == "!01 1 IDLE --"
        assert other.read() == "!01 1 IDLE --"


@pytest.mark.parametrize("transport", ["tcp", "serial"])
def test_an_alert_comes_before_the_reply_to_a_later_command(opened: Open, transport: str) -> None:
    with Simulator(Zaber(), serve={"tcp": HERE, "serial": True}) as sim:
        host = opened(sim.urls[transport])
        host.ask("/1 set comm.alert 1")
        host.ask("/1 move abs 20000")
        lines = []
        while not any(" IDLE " in line for line in lines):
            lines.append(host.ask("/1"))
        assert lines[-1] == "!01 1 IDLE --"
        assert host.read() == "@01 0 OK IDLE -- 0"


def test_alerts_of_a_whole_chain_arrive(opened: Open) -> None:
    chain = Bus({unit: Zaber(unit=unit, axes=2) for unit in (1, 2, 3)})
    with Simulator(chain, serve={"serial": True}) as sim:
        host = opened(sim.url)
        host.send("/0 set comm.alert 1")
        assert [host.read()[:3] for _ in range(3)] == ["@01", "@02", "@03"]
        host.send("/move abs 3000")
        lines = [host.read() for _ in range(9)]
        assert [line[:3] for line in lines[:3]] == ["@01", "@02", "@03"]
        assert sorted(lines[3:]) == [
            f"!0{unit} {axis} IDLE --" for unit in (1, 2, 3) for axis in (1, 2)
        ]


def test_a_lost_alert_is_lost_and_the_status_says_the_same(opened: Open) -> None:
    with stopped(Zaber()) as sim:
        host = opened(sim.url)
        host.ask("/1 set comm.alert 1")
        host.ask("/1 move abs 1000")
        sim.fault("silence", count=1)
        sim.skip(1)
        assert host.hears_nothing()
        assert host.ask("/1") == "@01 0 OK IDLE -- 0"


def test_garbage_does_not_match_its_checksum(opened: Open) -> None:
    with stopped(Zaber()) as sim:
        host = opened(sim.url)
        host.ask("/1 set comm.checksum 1")
        sim.fault("garbage", count=1)
        line = host.ask("/1 1 05 get pos")
        assert line != with_lrc(line.rpartition(":")[0])
        assert host.ask("/1 1 06 get pos") == with_lrc("@01 1 06 OK IDLE -- 0")


def test_a_late_reply_has_its_own_message_id(opened: Open) -> None:
    with stopped(Zaber()) as sim:
        host = opened(sim.url)
        sim.fault("late", delay_s=2.0, count=1)
        host.send("/1 1 05 get pos")
        assert host.hears_nothing(within_s=0.05)
        host.send("/1 1 06 get pos")
        assert [host.read() for _ in range(2)] == [
            "@01 1 05 OK IDLE -- 0",
            "@01 1 06 OK IDLE -- 0",
        ]


def test_a_power_cycle_takes_the_reference_of_a_zaber(
    opened: Open, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    with stopped(Zaber()) as sim:
        host = opened(sim.url)
        host.ask("/1 move abs 100000")
        sim.skip(0.2)
        sim.fault("power-cycle", off_s=0.01)
        wait_until(lambda: bool(sim.ask({"cmd": "status"})["connected"]))
        assert opened(sim.url).ask("/1 get pos") == "@01 0 OK IDLE WR 0"


def test_refusals_can_be_asked_for_on_the_control_port(opened: Open) -> None:
    with stopped(Bus({1: Zaber(unit=1), 2: Zaber(unit=2)})) as sim:
        host = opened(sim.url)
        sim.fault("busy", count=1)
        assert host.ask("/2 1 01 home") == "@02 1 01 RJ IDLE -- STATUSBUSY"
        sim.fault("nak", count=1)
        assert host.ask("/2 1 02 home") == "@02 1 02 RJ IDLE -- AGAIN"
        assert host.ask("/2 1 03 home") == "@02 1 03 OK BUSY -- 0"


def test_every_quantity_of_both_can_be_read_and_has_a_range_that_holds_its_value() -> None:
    for device in (IcePAP(), Zaber(axes=2)):
        for name, quantity in device.quantities().items():
            value = quantity.read()
            assert quantity.doc, name
            if quantity.write is not None:
                assert quantity.low <= value <= quantity.high, name
                quantity.write(value)
        device.step(1.0)
        before = {name: each.read() for name, each in device.quantities().items()}
        assert not any(moved for name, moved in before.items() if name.endswith("_moving"))


def test_twins_have_the_axes_that_their_instrument_file_has() -> None:
    def made(model: Any, *axes: str) -> Any:
        return model(**model.made_for({"url": "tcp://x:1", "axes": {axis: {} for axis in axes}}))

    assert len(made(Zaber, "1").axes) == 1
    assert len(made(Zaber, "1", "2").axes) == 2
    assert list(made(IcePAP, "1", "25", "9", "top").axes) == [1, 2, 3, 4, 11, 12, 25]
    for model in (IcePAP, Zaber):
        assert model(**model.made_for({"axes": 7})).name == model.name
