"""The twin on a pseudo-terminal, with pyserial as the host."""

from __future__ import annotations

import asyncio
import os
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

import simulators
from simulators import _pace, _pty_link
from simulators.device import SimulatorError
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator


def path_of(sim: Simulator) -> Path:
    return Path(sim.urls["serial"].removeprefix("serial://").partition("?")[0])


def opened(sim: Simulator, *, baud: int = 57600) -> serial.Serial:
    return serial.Serial(str(path_of(sim)), baud, timeout=20, exclusive=True)


def ask(port: serial.Serial, text: str) -> bytes:
    port.write(text.encode() + b"\n")
    return bytes(port.read_until(b"\r\n"))


@pytest.fixture
def serial_sim(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(LakeShore336(seed=1), pty=tmp_path / "tc", time_factor=0.0, seed=1) as running:
        yield running


def test_a_serial_host_asks_and_sets(serial_sim: Simulator) -> None:
    with opened(serial_sim) as port:
        assert ask(port, "*IDN?").startswith(b"LSCI,MODEL336,")
        assert ask(port, "SETP 1,80;SETP? 1\r") == b"+80.000\r\n"


def test_the_terminal_is_raw_and_does_not_echo(serial_sim: Simulator) -> None:
    end = os.open(path_of(serial_sim), os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(end, b"RANGE 1,1;*OPC?\r\n")
        reply = b""
        while not reply.endswith(b"\n"):
            reply += os.read(end, 100)
        assert reply == b"1\r\n"
    finally:
        os.close(end)


def test_the_url_says_what_a_pseudo_terminal_can_carry(serial_sim: Simulator) -> None:
    query = "baud=57600&bits=8&parity=none&stop=1"
    assert serial_sim.url == f"serial://{path_of(serial_sim)}?{query}"


def test_the_port_can_be_closed_and_opened_again(serial_sim: Simulator) -> None:
    for _ in range(5):
        with opened(serial_sim) as port:
            assert ask(port, "*OPC?") == b"1\r\n"


class StoppedClock:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.block(max(0.0, delay_s))

    def block(self, delay_s: float) -> None:
        self.now_s += delay_s


def test_bytes_take_their_time_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    baud, data = 2400, b"*OPC?;" * 20
    clock = StoppedClock()
    monkeypatch.setattr(_pty_link, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    monkeypatch.setattr(_pace, "sleep", clock.block)
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        wire = _pty_link._PtyWire(master, baud=baud)
        asyncio.run(wire.send(data))
        sent = b""
        while len(sent) < len(data):
            sent += os.read(slave, 1000)
        assert sent == data
        assert clock.now_s == pytest.approx(len(data) * 10 / baud)
        os.write(slave, data)

        async def receive_all() -> bytes:
            received = b""
            while len(received) < len(data):
                received += await wire.receive()
            return received

        assert asyncio.run(receive_all()) == data
        assert clock.now_s == pytest.approx(2 * len(data) * 10 / baud)
    finally:
        os.close(master)
        os.close(slave)


def test_a_loop_that_is_a_little_late_does_not_make_the_line_slower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = StoppedClock()
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    monkeypatch.setattr(_pace, "sleep", clock.block)
    pace = _pace.Pace(9600, now=clock.monotonic)

    async def converse(late_s: float) -> float:
        begin_s = clock.now_s
        for _ in range(10):
            await pace.heard(4)
            clock.block(late_s)
        await pace.send(b"12345678", lambda _part: None)
        return clock.now_s - begin_s

    assert asyncio.run(converse(0.0003)) == pytest.approx(48 * 10 / 9600)
    assert asyncio.run(converse(0.01)) == pytest.approx(48 * 10 / 9600 + 10 * 0.01)


def test_a_slow_line_carries_the_same(tmp_path: Path) -> None:
    slow = Simulator(LakeShore336(), pty=tmp_path / "slow", baud=2400)
    with slow as sim, opened(sim, baud=2400) as port:
        assert ask(port, "*OPC?;" * 20) == b";".join([b"1"] * 20) + b"\r\n"


def test_a_flood_without_a_terminator_neither_blocks_nor_breaks_it(serial_sim: Simulator) -> None:
    with opened(serial_sim) as port:
        port.write(b"x" * 5000 + b"\n")
        assert ask(port, "*ESR?") == b"160\r\n"


def test_replies_that_nobody_reads_are_lost_and_not_kept(tmp_path: Path) -> None:
    fast = Simulator(LakeShore336(), pty=tmp_path / "tc", baud=4_000_000)
    with fast as sim, opened(sim, baud=115200) as port:
        for _ in range(1000):
            port.write(b"*IDN?\n")
        deadline_s = time.monotonic() + 10
        while sim.get("messages")["messages"] < 1000 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        port.reset_input_buffer()
        assert ask(port, "*OPC?") == b"1\r\n"


def test_a_cut_takes_the_link_away_and_restore_brings_it_back(serial_sim: Simulator) -> None:
    link = path_of(serial_sim)
    with opened(serial_sim) as port:
        assert ask(port, "*OPC?") == b"1\r\n"
        serial_sim.cut()
        assert not link.is_symlink()
        with pytest.raises((serial.SerialException, OSError)):
            ask(port, "*OPC?")
    with pytest.raises(serial.SerialException):
        opened(serial_sim)
    serial_sim.restore()
    with opened(serial_sim) as port:
        assert ask(port, "*OPC?") == b"1\r\n"


def test_a_reset_unplugs_it_and_plugs_it_in_again(serial_sim: Simulator) -> None:
    with opened(serial_sim) as port:
        assert ask(port, "*OPC?") == b"1\r\n"
        serial_sim.fault("reset")
        with pytest.raises((serial.SerialException, OSError)):
            ask(port, "*OPC?")
    with opened(serial_sim) as port:
        assert ask(port, "*OPC?") == b"1\r\n"


def test_one_instrument_can_be_on_both_links(tmp_path: Path) -> None:
    with Simulator(LakeShore336(), tcp=("127.0.0.1", 0), pty=tmp_path / "tc") as sim:
        assert list(sim.urls) == ["tcp", "serial"]
        assert sim.url.startswith("tcp://")
        with opened(sim) as port:
            assert ask(port, "SETP 1,79;*OPC?") == b"1\r\n"
        assert [exchange["link"] for exchange in sim.log()] == ["serial"]


def test_a_link_that_a_killed_simulator_left_behind_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "tc"
    link.symlink_to("/dev/pts/999999")
    with Simulator(LakeShore336(), pty=link) as sim, opened(sim) as port:
        assert ask(port, "*OPC?") == b"1\r\n"
    assert not link.is_symlink()


def test_a_path_that_is_taken_is_left_alone_and_named(tmp_path: Path) -> None:
    precious = tmp_path / "tc"
    precious.write_text("precious")
    with pytest.raises(SimulatorError, match=str(precious)):
        Simulator(LakeShore336(), pty=precious).start()
    assert precious.read_text() == "precious"


def test_two_simulators_do_not_share_a_link(serial_sim: Simulator) -> None:
    with pytest.raises(SimulatorError, match="exists"):
        Simulator(LakeShore336(), pty=path_of(serial_sim)).start()
    with opened(serial_sim) as port:
        assert ask(port, "*OPC?") == b"1\r\n"


def test_a_link_that_somebody_has_replaced_is_not_removed(tmp_path: Path) -> None:
    link = tmp_path / "tc"
    with Simulator(LakeShore336(), pty=link):
        link.unlink()
        link.symlink_to("/dev/null")
    assert link.is_symlink()


def test_a_twin_on_a_terminal_cleans_up_after_itself() -> None:
    twin = simulators.start_twin("lakeshore336", "serial", seed=1)
    link = path_of(twin)
    with opened(twin) as port:
        assert ask(port, "*OPC?") == b"1\r\n"
    twin.close()
    assert not link.parent.exists()
