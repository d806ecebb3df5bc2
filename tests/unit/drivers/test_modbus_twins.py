"""Registers as data against the twins of two instruments, over each of their transports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.modbus import ModbusDriver
from mktl.errors import DeviceError, DeviceRefused
from simulators.serve import Simulator
from simulators.wago_750_352 import Wago750352
from simulators.watlow_f4 import WatlowF4
from tests._support import wait_until
from tests.unit.drivers.modbus_fakes import opened

MODEL = {"table": "holding", "address": 0, "type": "uint16", "value": 5270}
COUPLER = {"table": "holding", "address": 0x2011, "count": 2, "value": [[750, 352]]}


def item(driver: ModbusDriver, key: str, table: str, address: int, **more):
    register = {"table": table, "address": address, **more}
    can_set = table in ("holding", "coil")
    return driver.channel_for(key, {"register": register, "settable": can_set})


@pytest.fixture(params=["modbus+rtu", "modbus+rtu+tcp"])
def chamber(request) -> Iterator[tuple[Simulator, str]]:
    place = True if request.param == "modbus+rtu" else ("127.0.0.1", 0)
    with Simulator(WatlowF4(seed=1, unit=3), serve={request.param: place}) as twin:
        yield twin, twin.url


def test_a_chamber_is_read_and_set_over_a_serial_line(chamber):
    _, url = chamber
    restore = [{"table": "holding", "address": 24, "value": 1}]
    with opened(url, identify=MODEL, restore=restore, timeout_s=2) as f4:
        assert f4.unit == 3
        assert f4.read_holding_registers(24, 1) == [1]
        setpoint = item(f4, "setpoint", "holding", 300, type="int16", scale=0.1, read_back=True)
        air = item(f4, "air", "holding", 100, type="int16", scale=0.1)
        power = item(f4, "power", "holding", 103, scale=0.01)
        setpoint.write(35.5)
        assert setpoint.read() == 35.5
        values = [value for block in f4.plan_reads([air, power]) for value in block.read()]
        assert 10 < values[0] < 40
        with pytest.raises(DeviceRefused, match="illegal data value"):
            setpoint.write(3000)
        assert setpoint.read() == 35.5


@pytest.mark.parametrize("kind", ["garbage", "truncated"])
def test_a_sick_chamber_gives_errors_and_never_a_wrong_value(chamber, kind):
    twin, url = chamber
    with opened(url, identify=MODEL, timeout_s=1.0) as f4:
        model = item(f4, "model", "holding", 0)
        assert model.read() == 5270
        twin.fault(kind)
        for _ in range(3):
            with pytest.raises(DeviceError):
                model.read()
        twin.clear_faults()

        def well() -> bool:
            try:
                return model.read() == 5270
            except DeviceError:
                return False

        wait_until(well)


def test_a_coupler_is_read_and_set_over_tcp():
    serve = {"modbus+tcp": ("127.0.0.1", 0)}
    with (
        Simulator(Wago750352(seed=1), serve=serve) as twin,
        opened(twin.url, identify=COUPLER, timeout_s=2) as wago,
    ):
        lamp = item(wago, "lamp", "coil", 0x204, write_address=4, read_back=True)
        lamp.write(True)
        assert lamp.read() is True
        assert wago.read_coils(0x200, 8) == [0, 0, 0, 0, 1, 0, 0, 0]
        constants = item(wago, "constants", "holding", 0x2000, count=9)
        assert constants.read() == [
            0,
            65535,
            0x1234,
            0xAAAA,
            0x5555,
            0x7FFF,
            0x8000,
            0x3FFF,
            0x4000,
        ]
        with pytest.raises(DeviceRefused, match="illegal data address"):
            wago.read_holding_registers(0x1FFF, 1)
        # The coupler knows no function 8: its refusal is as good an answer.
        with pytest.raises(DeviceRefused, match="illegal function"):
            wago.loopback(7)
