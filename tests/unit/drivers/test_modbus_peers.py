"""Our client against the server of pymodbus, over each of the three transports."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from drivers.modbus import ModbusDriver
from mktl.errors import BadValue, DeviceRefused
from tests.unit.drivers.modbus_fakes import opened, pymodbus_server


@pytest.fixture(params=["tcp", "rtu+tcp", "rtu"])
def plc(request) -> Iterator[ModbusDriver]:
    with pymodbus_server(request.param) as url, opened(f"{url}?unit=1", timeout_s=2) as driver:
        yield driver


def test_all_functions_work_with_another_implementation(plc):
    assert plc.read_holding_registers(0, 125) == list(range(125))
    assert plc.read_input_registers(500, 3) == [500, 501, 502]
    assert plc.read_coils(0, 10) == [0] * 10
    assert plc.read_discrete_inputs(0, 2000) == [1] * 2000
    plc.write_register(1, 4711)
    plc.write_registers(2, [1, 2, 65535])
    assert plc.read_holding_registers(1, 4) == [4711, 1, 2, 65535]
    plc.write_coil(3, True)
    plc.write_coils(4, [1, 0, 1])
    assert plc.read_coils(2, 6) == [0, 1, 1, 0, 1, 0]
    plc.mask_write_register(1, 0xFF00, 0x0012)
    assert plc.read_holding_registers(1, 1) == [4711 & 0xFF00 | 0x12]
    plc.loopback(0xA537)
    assert plc.raw("03 0000 0002") == "03 04 00 00 12 12"
    assert plc.raw("03 ffff 0001") == "83 02"


def test_an_exception_is_a_refusal_in_words_and_never_data(plc):
    with pytest.raises(DeviceRefused, match=r"registers 990 to 1009: illegal data address"):
        plc.read_holding_registers(990, 20)
    with pytest.raises(DeviceRefused, match=r"write register 2000: illegal data address"):
        plc.write_register(2000, 1)
    assert plc.status().state == "Up"
    assert plc.read_holding_registers(7, 1) == [7]


@pytest.mark.parametrize("kind", ["tcp", "rtu+tcp"])
def test_units_share_one_connection(kind):
    with (
        pymodbus_server(kind, units=(1, 7)) as url,
        opened(f"{url}?unit=1", timeout_s=2) as one,
        opened(f"{url}?unit=7", timeout_s=2) as seven,
    ):
        one.write_register(0, 1111)
        seven.write_register(0, 7777)
        wrong = []

        def ask(driver: ModbusDriver, value: int) -> None:
            wrong.extend(
                found
                for _ in range(50)
                if (found := driver.read_holding_registers(0, 1)) != [value]
            )

        threads = [
            threading.Thread(target=ask, args=pair) for pair in ((one, 1111), (seven, 7777)) * 2
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert one._line._line is seven._line._line


def test_what_can_be_asked_of_no_device_is_not_sent(plc):
    for call in (
        lambda: plc.read_holding_registers(0, 126),
        lambda: plc.write_register(0, 70000),
        lambda: plc.raw("zz"),
        lambda: plc.raw(""),
        lambda: plc.raw("83 02"),
    ):
        with pytest.raises(BadValue):
            call()


def test_an_exchange_is_described_for_people(plc):
    lines = []
    plc.trace(lines.append)
    plc.read_holding_registers(1, 2)
    assert lines[0].startswith(
        "read holding registers 1 to 2: 03 00 01 00 02 -> 03 04 00 01 00 02  ("
    )
