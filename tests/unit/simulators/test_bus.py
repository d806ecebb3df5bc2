"""Several units on one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import serial
from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

import simulators
from simulators.bus import Bus
from simulators.device import Device, LineFramer, Quantity, SimulatorError
from simulators.serve import Simulator

THREE = {1: "watlow_f4", 2: "watlow_f4", 7: "wago_750_352"}


@pytest.fixture(params=["modbus+rtu", "modbus+rtu+tcp", "modbus+tcp"])
def line(request: pytest.FixtureRequest) -> Iterator[tuple[Simulator, Any]]:
    with closing(simulators.start_bus(THREE, request.param, time_factor=0.0, seed=1)) as bus:
        where = urlsplit(bus.url)
        host: Any
        if request.param == "modbus+rtu":
            host = ModbusSerialClient(where.path, baudrate=19_200, timeout=20, retries=0)
        else:
            framer = FramerType.SOCKET if request.param == "modbus+tcp" else FramerType.RTU
            host = ModbusTcpClient(
                str(where.hostname), port=where.port or 0, framer=framer, timeout=20, retries=0
            )
        assert host.connect()
        yield bus, host
        host.close()


def read(host: Any, unit: int, address: int) -> int:
    return int(host.read_holding_registers(address, count=1, device_id=unit).registers[0])


def test_each_unit_answers_for_itself(line: tuple[Simulator, Any]) -> None:
    _, host = line
    assert not host.write_register(300, 300, device_id=2).isError()
    assert [read(host, unit, 300) for unit in (1, 2)] == [230, 300]
    assert read(host, 7, 0x2012) == 352


def test_a_dead_unit_is_silent_and_the_others_are_not(line: tuple[Simulator, Any]) -> None:
    bus, host = line
    host.comm_params.timeout_connect = 0.2
    bus.fault("dead-unit", unit=2)
    with pytest.raises(ModbusIOException):
        read(host, 2, 300)
    host.comm_params.timeout_connect = 20
    assert read(host, 1, 300) == 230
    bus.clear_faults()
    assert read(host, 2, 300) == 230


def test_quantities_have_the_name_of_their_unit(line: tuple[Simulator, Any]) -> None:
    bus, _ = line
    bus.ask({"cmd": "set", "values": {"unit2.chamber_c": 50}})
    assert bus.get("unit1.chamber_c", "unit2.chamber_c")["unit2.chamber_c"] == 50
    assert bus.get("unit1.chamber_c")["unit1.chamber_c"] == pytest.approx(23)
    assert "unit7.shutter" in bus.get()


def test_each_unit_has_its_url(tmp_path: Path) -> None:
    one = {1: "watlow_f4"}
    with closing(simulators.start_bus(one, "modbus+rtu", link=tmp_path / "b")) as bus:
        assert bus.url_of(1) == f"modbus+rtu://{tmp_path}/b?baud=19200&parity=none&unit=1"
    with closing(simulators.start_bus({3: "watlow_f4"}, "modbus+rtu+tcp")) as bus:
        assert bus.url_of(3) == f"{bus.url}?unit=3"


def test_a_bus_that_makes_no_sense_is_refused() -> None:
    for units, transport, complaint in (
        ({1: "watlow_f5"}, "modbus+rtu", "did you mean watlow_f4"),
        ({1: "lakeshore336"}, "serial", "has no unit address"),
        ({1: "watlow_f4"}, "modbus-rtu", "did you mean modbus"),
        ({}, "modbus+rtu", "at least one"),
    ):
        with pytest.raises(SimulatorError, match=complaint):
            simulators.start_bus(units, transport)
    with (
        closing(simulators.start_bus({1: "watlow_f4"}, "modbus+rtu")) as bus,
        pytest.raises(SimulatorError, match="no unit 5"),
    ):
        bus.fault("dead-unit", unit=5)


class Gauge(Device):
    """A text device on a shared line: ``3?`` asks the one with address 3."""

    name = "gauge"
    abilities = frozenset({"nak"})

    def __init__(self, *, seed: int | None = None, unit: int = 1) -> None:
        self.unit = unit
        self.power = True

    def framer(self) -> LineFramer:
        return LineFramer(longest=100)

    def answer(self, message: bytes) -> bytes:
        return f"{self.unit}={self.unit * 11}\r\n".encode() if self._is_meant(message) else b""

    def refusal(self, transport: str, message: bytes, fault: str, how: Any) -> bytes:
        return f"{self.unit}NAK\r\n".encode() if self._is_meant(message) else b""

    def _is_meant(self, message: bytes) -> bool:
        return message in (f"{self.unit}?".encode(), b"*?")

    def step(self, dt_s: float) -> None: ...

    def power_off(self) -> None:
        self.power = False

    def power_on(self) -> None:
        self.power = True

    def quantities(self) -> dict[str, Quantity]:
        return {"power": Quantity("", "supply", lambda: float(self.power))}


def test_text_devices_share_a_line_too() -> None:
    with (
        closing(
            simulators.start_bus({1: "gauge", 3: "gauge"}, "serial", models={"gauge": Gauge})
        ) as bus,
        serial.Serial(urlsplit(bus.url).path, 9600, timeout=20) as port,
    ):
        for unit in (3, 1):
            port.write(f"{unit}?\n".encode())
            assert port.read_until(b"\r\n") == f"{unit}={unit * 11}\r\n".encode()
        bus.fault("nak", count=1)
        port.write(b"3?\n")
        assert port.read_until(b"\r\n") == b"3NAK\r\n"


def test_two_that_answer_at_once_garble_each_other() -> None:
    both = Bus({1: Gauge(unit=1), 2: Gauge(unit=2)})
    replies = {unit.answer(b"*?") for unit in both.units.values()}
    assert both.answer(b"*?") not in replies
    assert both.answer(b"*?") != b""


def test_the_supply_of_all_units_is_one() -> None:
    both = Bus({1: Gauge(unit=1), 2: Gauge(unit=2)})
    both.power_off()
    assert {quantity.read() for quantity in both.quantities().values()} == {0.0}
    both.power_on()
    assert {quantity.read() for quantity in both.quantities().values()} == {1.0}
