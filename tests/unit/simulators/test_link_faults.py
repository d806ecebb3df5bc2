"""Faults of the link itself, replies that trickle, and devices that are held still."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pyvisa

import simulators
from simulators.device import SimulatorError
from simulators.faults import Faults, parameters_of
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator

Wait = Callable[[Callable[[], bool]], None]


def refused(sim: Simulator) -> bool:
    host, _, port = sim.url.removeprefix("tcp://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def link_of(sim: Simulator) -> Path:
    return Path(sim.url.partition("://")[2].partition("?")[0])


def test_who_is_refused_loses_the_connection_and_gets_none_until_the_fault_ends(
    sim: Simulator, connect: Any
) -> None:
    host = connect(sim.url)
    host.ask("*OPC?")
    sim.fault("refuse")
    with pytest.raises(ConnectionResetError):
        host.read()
    assert refused(sim)
    assert sim.ask({"cmd": "status"})["connected"] is False
    assert "refuse" in sim.ask({"cmd": "status"})["faults"]
    sim.clear_faults()
    assert connect(sim.url).ask("*OPC?") == "1"


def test_a_cut_outlives_the_fault_and_the_fault_outlives_a_cut(sim: Simulator) -> None:
    sim.fault("refuse")
    sim.cut()
    sim.clear_faults()
    assert refused(sim)
    sim.fault("refuse")
    sim.restore()
    assert refused(sim)
    sim.clear_faults()
    assert not refused(sim)


def test_the_port_of_a_serial_line_is_gone_while_it_is_refused(tmp_path: Path) -> None:
    with Simulator(LakeShore336(seed=1), pty=tmp_path / "tc", time_factor=0.0) as sim:
        assert link_of(sim).exists()
        sim.fault("refuse")
        assert not link_of(sim).is_symlink()
        sim.clear_faults()
        assert link_of(sim).exists()


def test_power_that_comes_back_lets_nobody_in_who_is_refused(
    sim: Simulator, wait_until: Wait
) -> None:
    sim.fault("refuse")
    sim.fault("power-cycle", off_s=0.05)
    wait_until(lambda: bool(sim.ask({"cmd": "status"})["powered"]))
    assert refused(sim)


def test_a_half_open_connection_swallows_what_it_gets_and_others_are_welcome(
    sim: Simulator, connect: Any
) -> None:
    old = connect(sim.url)
    assert old.ask("*OPC?") == "1"
    sim.fault("half-open")
    old.send("SETP 1,80")
    old.send("*OPC?")
    assert old.hears_nothing()
    new = connect(sim.url)
    assert new.ask("SETP? 1") == "+77.000"
    old.send("*OPC?")
    assert old.hears_nothing()
    # A reset ends the old one as well.
    sim.fault("reset")
    with pytest.raises(ConnectionResetError):
        old.read()


def test_a_half_open_connection_takes_the_place_of_nobody() -> None:
    twin = simulators.start_twin("keysight_34465a", "tcp", seed=1)
    with contextlib.closing(twin), contextlib.ExitStack() as stack:
        host, _, port = twin.url.removeprefix("tcp://").rpartition(":")
        for _ in range(8):
            opened = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            opened.sendall(b"*OPC?\n")
            answer = opened.recv(16)
            assert answer == b"1\n"
            twin.fault("half-open")


def test_a_host_on_hislip_is_left_alone_and_can_open_it_again() -> None:
    with (
        Simulator(LakeShore336(seed=1), serve={"hislip": ("127.0.0.1", 0)}) as sim,
        contextlib.closing(pyvisa.ResourceManager("@py")) as manager,
    ):
        name = sim.url.removeprefix("visa://")
        with manager.open_resource(name, open_timeout=20_000, timeout=20_000) as old:
            assert old.query("*OPC?") == "1\r\n"
            sim.fault("half-open")
            old.timeout = 200
            with pytest.raises(pyvisa.errors.VisaIOError):
                old.query("*OPC?")
            with manager.open_resource(name, open_timeout=20_000, timeout=20_000) as new:
                assert new.query("*OPC?") == "1\r\n"


NULL_CALL = struct.pack(">11I", 0x8000_0000 | 40, 7, 0, 2, 0x0607AF, 1, 0, 0, 0, 0, 0)
"""A record of VXI-11 that asks for nothing but an answer."""


def test_a_host_on_vxi11_is_left_alone_and_can_open_it_again() -> None:
    with Simulator(LakeShore336(seed=1), serve={"vxi11": ("127.0.0.1", 0)}) as sim:
        host, _, port = sim.url.removeprefix("visa://TCPIP::").partition("::")[0].partition(",")
        with (
            socket.create_connection((host, int(port)), timeout=20) as old,
        ):
            old.sendall(NULL_CALL)
            assert len(old.recv(64)) == 28
            sim.fault("half-open")
            old.sendall(NULL_CALL)
            old.settimeout(0.2)
            with pytest.raises(TimeoutError):
                old.recv(64)
            with socket.create_connection((host, int(port)), timeout=20) as other:
                other.sendall(NULL_CALL)
                assert len(other.recv(64)) == 28


def test_a_serial_line_cannot_be_half_open(tmp_path: Path) -> None:
    with (
        Simulator(LakeShore336(seed=1), pty=tmp_path / "tc", time_factor=0.0) as sim,
        pytest.raises(SimulatorError, match="no connection"),
    ):
        sim.fault("half-open")


def test_a_slow_reply_is_whole_in_the_end(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.fault("slow", gap_s=0.03)
    assert host.ask("*IDN?").startswith("LSCI,MODEL336")
    assert host.ask("RANGE? 1") == "2"


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 300])
def test_a_slow_reply_comes_in_eight_parts_at_most_with_the_same_gap(length: int) -> None:
    faults = Faults(seed=1)
    faults.start("slow", parameters_of("slow", {"gap_s": 0.5}))
    pieces = faults.deform(bytes(range(length % 256)) or b"x")
    assert 1 <= len(pieces) <= 8
    assert [piece.delay_s for piece in pieces[1:]] == [0.5] * (len(pieces) - 1)
    assert b"".join(piece.data for piece in pieces) == (bytes(range(length % 256)) or b"x")


@pytest.mark.parametrize("kind", ["garbage", "noise"])
def test_what_spoils_bytes_can_be_told_to_leave_ascii(kind: str) -> None:
    given = {"lowest": 128} | ({"probability": 0.5} if kind == "noise" else {})
    faults = Faults(seed=1)
    faults.start(kind, parameters_of(kind, given))
    chance = random.Random(1)
    for _ in range(200):
        reply = f"{chance.uniform(-500, 500):+.3f}\r\n".encode()
        sent = b"".join(piece.data for piece in faults.deform(reply))
        assert len(sent) == len(reply)
        changed = [now for now, before in zip(sent, reply, strict=True) if now != before]
        assert all(byte >= 128 for byte in changed)


@pytest.mark.parametrize("name", sorted(simulators.MODELS))
def test_every_device_can_be_held(name: str) -> None:
    with contextlib.closing(simulators.start_twin(name, seed=1)) as twin:
        twin.skip(5)
        factor = twin.hold()
        assert factor in (0.0, 1.0)
        assert twin.ask({"cmd": "status"})["factor"] == factor
        if not factor:
            before = twin.get()
            assert twin.ask({"cmd": "hold"})["factor"] == 0.0
            assert twin.get() == before


def test_what_is_set_shows_while_the_device_is_held(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.hold()
    assert host.ask("KRDG? A") == host.ask("KRDG? A")
    sim.set(mount_k=90)
    assert float(host.ask("KRDG? A")) == pytest.approx(90, abs=0.1)


@pytest.fixture
def chained() -> Iterator[Simulator]:
    units = {1: "pfeiffer_turbo", 122: "pfeiffer_gauge"}
    with contextlib.closing(simulators.start_bus(units, "tcp", seed=1)) as bus:
        yield bus


def test_all_units_of_a_line_are_held_together(chained: Simulator) -> None:
    assert chained.hold() == 0.0
    assert chained.ask({"cmd": "status"})["factor"] == 0.0
