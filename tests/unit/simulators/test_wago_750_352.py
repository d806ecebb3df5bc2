"""The twin of the WAGO coupler: its sheet line by line, with pymodbus as the host."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymodbus.client import ModbusTcpClient

import simulators
from simulators._modbus_frames import mbap_frame
from simulators.serve import Simulator


@pytest.fixture
def coupler() -> Iterator[Simulator]:
    twin = simulators.start_twin("wago_750_352", time_factor=0.0, seed=1)
    yield twin
    twin.close()


@pytest.fixture
def host(coupler: Simulator) -> Iterator[ModbusTcpClient]:
    client = opened(coupler)
    yield client
    client.close()


def opened(twin: Simulator, *, timeout: float = 20.0) -> ModbusTcpClient:
    where = urlsplit(twin.url)
    assert where.scheme == "modbus+tcp"
    assert where.query == "unit=1"
    client = ModbusTcpClient(str(where.hostname), port=where.port or 0, timeout=timeout, retries=0)
    assert client.connect()
    return client


def words(host: Any, address: int, count: int = 1) -> list[int]:
    reply = host.read_holding_registers(address, count=count)
    assert not reply.isError(), reply
    return list(reply.registers)


def bits(host: Any, address: int, count: int = 8) -> list[bool]:
    return list(host.read_coils(address, count=count).bits[:count])


def test_constants_and_identity_are_those_of_the_sheet(host: Any) -> None:
    constants = [0, 0xFFFF, 0x1234, 0xAAAA, 0x5555, 0x7FFF, 0x8000, 0x3FFF, 0x4000]
    assert words(host, 0x2000, 9) == constants
    assert [words(host, 0x2000 + n)[0] for n in range(9)] == constants
    assert words(host, 0x2011, 2) == [750, 352]
    assert words(host, 0x1031, 3)[0] == 0x0030
    text = b"".join(word.to_bytes(2, "little") for word in words(host, 0x2020, 16))
    assert text.startswith(b"750-352")


def test_the_module_list_and_the_sizes_of_the_image_agree(host: Any) -> None:
    modules = words(host, 0x2030, 65)
    assert modules[:3] == [352, 0x8801, 0x8802]
    assert modules[7:] == [0] * 58
    assert words(host, 0x1022, 4) == [2 * 16, 6 * 16, 8, 8]
    assert not host.read_input_registers(0, count=6).isError()
    assert host.read_input_registers(0, count=7).exception_code == 2


def test_outputs_are_read_back_behind_the_inputs(host: Any) -> None:
    before = bits(host, 0)
    assert not host.write_coils(5, [True, False, True]).isError()
    assert not host.write_coil(512 + 4, True).isError()
    assert bits(host, 512) == [False, False, False, False, True, True, False, True]
    assert bits(host, 0) == before
    assert not host.write_registers(0, [0x7FFF, 1234]).isError()
    assert words(host, 0x200, 2) == [0x7FFF, 1234]


def test_bad_requests_are_answered_with_their_exception(host: Any) -> None:
    for reply, code in (
        (host.read_coils(8, count=1), 2),
        (host.read_coils(512 + 8, count=1), 2),
        (host.write_coil(8, True), 2),
        (host.write_register(2, 1), 2),
        (host.write_register(0x2012, 1), 2),
        (host.write_register(0x1006, 1), 2),
        (host.write_register(0x1007, 2), 3),
        (host.read_holding_registers(0x1100, count=1), 2),
        (host.mask_write_register(address=0), 1),
    ):
        assert reply.exception_code == code


@pytest.mark.parametrize(
    ("request_hex", "code"),
    [
        ("01 0000 0000", 3),
        ("02 0000 07d1", 3),
        ("03 0000 0000", 3),
        ("04 0000 007e", 3),
        ("05 0200 1234", 3),
        ("0f 0200 0008 02 ff", 3),
        ("10 0000 0002 02 0001", 3),
        ("02 0000 0009", 2),
        ("0f 0200 0009 02 ffff", 2),
        ("10 0001 0002 04 0001 0002", 2),
        ("03 ffff 0002", 2),
        ("07", 1),
        ("08 0000 1234", 1),
        ("2b 0e 01 00", 1),
    ],
)
def test_bad_values_quantities_and_functions_are_told_apart(
    coupler: Simulator, request_hex: str, code: int
) -> None:
    where = urlsplit(coupler.url)
    pdu = bytes.fromhex(request_hex)
    with socket.create_connection((str(where.hostname), where.port or 0), timeout=20) as sock:
        sock.sendall(mbap_frame(1, pdu, 7))
        assert sock.recv(100) == mbap_frame(1, bytes([pdu[0] | 0x80, code]), 7)


def test_inputs_are_read_by_either_function_and_words_by_either_table(host: Any) -> None:
    assert list(host.read_discrete_inputs(0, count=8).bits[:8]) == bits(host, 0)
    analog = host.read_input_registers(2, count=2).registers
    assert words(host, 2, 2) == analog


def test_outputs_are_written_and_inputs_read_with_one_request(host: Any) -> None:
    reply = host.readwrite_registers(
        read_address=0x200, read_count=2, write_address=0, values=[100, 200]
    )
    assert reply.registers == [100, 200]


def test_several_hosts_are_served_at_once(coupler: Simulator, host: Any) -> None:
    others = [opened(coupler) for _ in range(5)]
    for n, other in enumerate(others):
        assert not other.write_coil(512 + n, True).isError()
    assert bits(host, 512) == [True] * 5 + [False] * 3
    for other in others:
        assert bits(other, 512) == bits(host, 512)
        other.close()


def test_every_unit_address_is_answered(host: Any) -> None:
    for unit in (0, 1, 17, 255):
        assert host.read_holding_registers(0x2012, count=1, device_id=unit).registers == [352]


def test_the_shutter_travels_between_its_limit_switches(coupler: Simulator, host: Any) -> None:
    assert bits(host, 0, 2) == [False, True]
    host.write_coil(0, True)
    coupler.skip(15)
    assert bits(host, 0, 2) == [False, False]
    assert host.read_input_registers(2, count=1).registers[0] == pytest.approx(0x3FFF, abs=1)
    coupler.skip(20)
    assert bits(host, 0, 2) == [True, False]
    host.write_coils(0, [False, True])
    coupler.set(emergency_stop=1)
    coupler.skip(60)
    assert bits(host, 0, 2) == [True, False]


def test_the_heater_warms_the_air_and_the_pt100_shows_it(coupler: Simulator, host: Any) -> None:
    assert host.read_input_registers(4, count=1).registers == [120]
    host.write_coil(3, True)
    coupler.skip(600)
    warm = host.read_input_registers(4, count=1).registers[0]
    assert warm > 150
    assert warm == round(coupler.get("air_c")["air_c"] * 10)
    coupler.set(air_c=-12.3)
    coupler.skip(0.001)
    assert host.read_input_registers(4, count=1).registers[0] == 0x10000 - 123
    coupler.set(air_wire_broken=1)
    coupler.skip(0.001)
    assert host.read_input_registers(4, count=1).registers == [0xFFFF]


def test_an_expired_watchdog_clears_outputs_and_refuses_writes(
    coupler: Simulator, host: Any
) -> None:
    host.write_coil(4, True)
    host.write_register(0, 100)
    assert not host.write_register(0x1000, 50).isError()  # 5 s
    assert words(host, 0x1006) == [1]
    coupler.skip(4.9)
    assert bits(host, 512)[4]  # and this has triggered it
    coupler.skip(4.9)
    assert coupler.get("watchdog") == {"watchdog": 1.0}
    coupler.skip(0.2)
    assert words(host, 0x1006) == [2]
    assert not any(bits(host, 512))
    assert words(host, 0x200) == [0]
    assert host.write_coil(4, True).exception_code == 4
    assert host.write_register(0, 100).exception_code == 4
    assert not host.write_register(0x1007, 1).isError()
    assert not host.write_coil(4, True).isError()


def test_the_shutter_stops_when_the_watchdog_expires(coupler: Simulator, host: Any) -> None:
    host.write_register(0x1000, 30)
    host.write_coil(0, True)
    coupler.skip(100)
    assert coupler.get("shutter")["shutter"] == pytest.approx(3 / 30)


def test_only_functions_of_the_mask_trigger_the_watchdog(coupler: Simulator, host: Any) -> None:
    host.write_registers(0x1000, [50, 1 << (5 - 1), 0])
    for _ in range(4):
        coupler.skip(1)
        bits(host, 0)
    coupler.skip(0.9)
    assert words(host, 0x1006) == [1]
    host.write_coil(0, False)
    coupler.skip(4.9)
    assert words(host, 0x1006) == [1]
    coupler.skip(0.2)
    assert words(host, 0x1006) == [2]


@pytest.mark.parametrize("stop", [[(0x1005, 0xAAAA), (0x1005, 0x5555)], [(0x1008, 0x55AA)]])
def test_the_watchdog_can_be_stopped(coupler: Simulator, host: Any, stop: Any) -> None:
    host.write_register(0x1000, 10)
    for address, value in stop:
        assert not host.write_register(address, value).isError()
    coupler.skip(100)
    assert words(host, 0x1006) == [0]


def test_half_a_stop_sequence_stops_nothing(coupler: Simulator, host: Any) -> None:
    host.write_register(0x1000, 10)
    host.write_register(0x1005, 0x5555)
    host.write_register(0x1005, 0xAAAA)
    host.write_register(0x1003, 1)
    host.write_register(0x1005, 0x5555)
    assert words(host, 0x1006) == [1]


def test_an_idle_connection_is_closed_after_its_time(coupler: Simulator, host: Any) -> None:
    host.write_register(0x1030, 50)
    assert host.socket is not None
    words(host, 0x1030)
    host.socket.settimeout(20)
    assert host.socket.recv(1) == b""


def test_after_a_loss_of_supply_everything_is_off(
    coupler: Simulator, host: Any, wait_until: Any
) -> None:
    host.write_coils(0, [True] * 8)
    coupler.fault("power-cycle", off_s=0.05)
    wait_until(lambda: coupler.ask({"cmd": "status"})["powered"])
    again = opened(coupler)
    assert not any(bits(again, 512))
    again.close()
