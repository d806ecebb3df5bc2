"""The twin of the Watlow F4: its sheet line by line, with pymodbus as the host on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import serial
from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusIOException

import simulators
from simulators._modbus_frames import rtu_frame
from simulators.serve import Simulator


@pytest.fixture
def f4() -> Iterator[Simulator]:
    twin = simulators.start_twin("watlow_f4", time_factor=0.0, seed=1)
    twin.set(noise_c=0)
    twin.skip(0.001)
    yield twin
    twin.close()


@pytest.fixture
def host(f4: Simulator) -> Iterator[ModbusSerialClient]:
    client = ModbusSerialClient(urlsplit(f4.url).path, baudrate=19_200, timeout=20, retries=0)
    assert client.connect()
    yield client
    client.close()


def word(host: Any, address: int) -> int:
    reply = host.read_holding_registers(address, count=1)
    assert not reply.isError(), reply
    value = int(reply.registers[0])
    return value - 0x10000 if value & 0x8000 else value


def write(host: Any, address: int, value: int) -> int:
    """Write and give the exception code, 0 for none."""
    reply = host.write_register(address, value & 0xFFFF)
    return int(reply.exception_code) if reply.isError() else 0


def test_the_url_is_that_of_a_terminal_without_parity(f4: Simulator) -> None:
    assert f4.url.startswith("modbus+rtu:///")
    assert urlsplit(f4.url).query == "baud=19200&parity=none&unit=1"


def test_it_says_who_it_is_and_how_warm(f4: Simulator, host: Any) -> None:
    assert word(host, 0) == 5270
    assert word(host, 606) == 1
    assert word(host, 100) == 230
    f4.set(chamber_c=-12.34)
    f4.skip(0.0001)
    assert word(host, 100) == -123
    assert write(host, 606, 2) == 0
    assert word(host, 100) == -1234


def test_a_set_point_is_reached_and_held(f4: Simulator, host: Any) -> None:
    assert write(host, 300, 500) == 0
    assert word(host, 300) == 500
    f4.skip(1)
    assert word(host, 103) == 10_000
    f4.skip(3600)
    assert word(host, 100) == pytest.approx(500, abs=2)
    assert write(host, 300, -200) == 0
    f4.skip(10)
    assert word(host, 107) == 10_000
    assert word(host, 103) == 0
    f4.skip(7200)
    assert word(host, 100) == pytest.approx(-200, abs=2)


def test_a_set_point_out_of_its_limits_is_refused_and_the_old_one_kept(host: Any) -> None:
    assert (word(host, 602), word(host, 603)) == (-420, 1300)
    assert write(host, 300, 1301) == 3
    assert write(host, 300, -421) == 3
    assert word(host, 300) == 230
    assert write(host, 603, 500) == 0
    assert write(host, 300, 501) == 3
    assert write(host, 300, 500) == 0
    assert write(host, 602, 501) == 3


def test_exceptions_are_those_of_the_sheet(host: Any) -> None:
    assert write(host, 100, 5) == 2
    assert write(host, 0, 5) == 2
    assert write(host, 901, 2) == 3
    assert host.read_holding_registers(108, count=1).exception_code == 2
    assert host.read_holding_registers(7, count=1).exception_code == 2
    assert host.read_coils(0, count=1).exception_code == 1
    assert host.read_input_registers(100, count=1).registers == [230]
    assert write(host, 620, 1) == 0
    assert word(host, 108) == 230


def test_an_inactive_parameter_may_read_as_0_and_is_not_written(f4: Simulator, host: Any) -> None:
    f4.set(inactive_reads_zero=1)
    assert word(host, 108) == 0
    assert word(host, 626) == 0
    assert write(host, 626, 1) == 2
    assert host.read_holding_registers(7, count=1).exception_code == 2
    f4.set(inactive_reads_zero=0)
    assert host.read_holding_registers(108, count=1).exception_code == 2


def test_several_registers_are_written_and_read_at_once_or_not_at_all(host: Any) -> None:
    assert not host.write_registers(602, [0xFFFF, 800]).isError()
    assert [word(host, address) for address in (602, 603)] == [-1, 800]
    assert host.write_registers(602, [0, 65000]).exception_code == 3
    assert host.read_holding_registers(602, count=2).registers == [0xFFFF, 800]
    assert not host.write_registers(300, [255]).isError()
    assert word(host, 300) == 255


def test_fahrenheit_changes_what_registers_show_and_not_what_is_meant(host: Any) -> None:
    assert write(host, 300, 1000) == 0
    assert write(host, 901, 0) == 0
    assert word(host, 300) == 2120
    assert word(host, 100) == 734
    assert word(host, 603) == 2660
    assert write(host, 300, 320) == 0
    assert write(host, 901, 1) == 0
    assert word(host, 300) == 0


def test_a_broken_sensor_is_an_error_that_may_be_latched(f4: Simulator, host: Any) -> None:
    write(host, 300, 500)
    f4.skip(5)
    assert word(host, 103) > 0
    write(host, 607, 1)
    f4.set(input_1_broken=1)
    f4.skip(1)
    assert word(host, 100) == -32768
    assert word(host, 110) == 1
    assert word(host, 103) == 0
    f4.set(input_1_broken=0)
    assert word(host, 100) == -32768
    assert write(host, 311, 1) == 0
    assert word(host, 100) > 230
    assert word(host, 311) == 0


def test_an_alarm_stays_until_it_is_cleared(f4: Simulator, host: Any) -> None:
    f4.set(chamber_c=150, alarm_high_c=140)
    f4.skip(1)
    assert word(host, 102) == 1
    assert write(host, 331, 1) == 0
    f4.skip(1)
    assert word(host, 102) == 1
    f4.set(chamber_c=23)
    f4.skip(1)
    assert word(host, 102) == 1
    assert write(host, 331, 1) == 0
    assert word(host, 102) == 0


def test_a_profile_runs_is_held_and_ends(f4: Simulator, host: Any) -> None:
    assert word(host, 200) in (0, 1)
    assert write(host, 1210, 1) == 2
    assert write(host, 4000, 1) == 0
    assert write(host, 4001, 1) == 0
    assert write(host, 4002, 5) == 0
    f4.skip(300)
    assert word(host, 200) == 2
    assert word(host, 300) == pytest.approx((230 + 400) / 2, abs=1)
    assert (word(host, 4100), word(host, 4101)) == (1, 1)
    assert [word(host, 4119 + n) for n in range(2)] == [0, 5]
    assert write(host, 300, 250) == 2
    assert write(host, 1210, 1) == 0
    f4.skip(1000)
    assert word(host, 200) == 3
    assert word(host, 300) == pytest.approx(315, abs=1)
    assert write(host, 1209, 1) == 0
    f4.skip(700)
    assert word(host, 4101) == 3
    f4.skip(600)
    assert word(host, 200) in (0, 1)
    assert (word(host, 300), word(host, 4100)) == (230, 0)


def test_a_profile_is_terminated_where_it_is(f4: Simulator, host: Any) -> None:
    write(host, 4000, 1)
    write(host, 4002, 5)
    f4.skip(300)
    assert write(host, 1217, 1) == 0
    assert word(host, 300) == pytest.approx(315, abs=1)
    assert write(host, 4000, 9) == 0
    assert write(host, 4002, 5) == 3


def test_writes_wear_the_eeprom_unless_they_are_not_saved(
    f4: Simulator, host: Any, wait_until: Any
) -> None:
    write(host, 300, 300)
    write(host, 2000, 1)
    assert word(host, 2000) == 1
    assert f4.get("eeprom_writes") == {"eeprom_writes": 1.0}
    write(host, 24, 1)
    write(host, 300, 400)
    assert f4.get("eeprom_writes") == {"eeprom_writes": 1.0}
    f4.fault("power-cycle", off_s=0.05)
    wait_until(lambda: f4.ask({"cmd": "status"})["powered"])
    again = ModbusSerialClient(urlsplit(f4.url).path, baudrate=19_200, timeout=20, retries=0)
    assert again.connect()
    assert (word(again, 300), word(again, 24), word(again, 2000)) == (300, 0, 0)
    write(again, 24, 1)
    write(again, 300, 400)
    assert write(again, 25, 0) == 0
    assert f4.get("eeprom_writes") == {"eeprom_writes": 2.0}
    again.close()


def test_digital_inputs_and_the_clock_can_be_read(f4: Simulator, host: Any) -> None:
    f4.set(digital_input_2=1)
    assert [word(host, 201 + 12 * n) for n in range(4)] == [0, 1, 0, 0]
    assert word(host, 1921) == 2024
    assert write(host, 1920, 29) == 0
    assert write(host, 1919, 2) == 0  # 29 February, in a leap year
    assert write(host, 1921, 2025) == 3
    f4.skip(3600)
    assert word(host, 1916) == 13


def test_a_frame_with_a_wrong_checksum_is_met_with_silence_and_the_next_one_is_not(
    f4: Simulator,
) -> None:
    good = rtu_frame(1, bytes.fromhex("03 0000 0001"))
    with serial.Serial(urlsplit(f4.url).path, 19_200, timeout=0.2) as port:
        port.write(good[:-1] + b"\0")
        assert port.read(1) == b""
        port.timeout = 20
        port.write(good)
        assert port.read(7) == rtu_frame(1, bytes.fromhex("03 02 1496"))


def test_another_unit_is_not_answered_for(f4: Simulator, host: Any) -> None:
    host.comm_params.timeout_connect = 0.2
    with pytest.raises(ModbusIOException):
        host.read_holding_registers(0, count=1, device_id=2)
    host.comm_params.timeout_connect = 20
    assert word(host, 0) == 5270


def test_the_loopback_test_of_the_bus_is_answered(host: Any) -> None:
    assert not host.diag_query_data(b"\xa5\x37").isError()
