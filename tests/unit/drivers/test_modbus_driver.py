"""Registers as data: items, blocks, writes, settings."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from drivers.base import BadItem
from drivers.modbus import ModbusDriver
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceLost,
    DeviceRefused,
    InvalidReading,
)
from tests._support import wait_until
from tests.unit.drivers.modbus_fakes import FakeModbus, fake, opened

NOWHERE = "modbus+tcp://nowhere.invalid"


def holding(address: Any, **more: Any) -> dict[str, Any]:
    return {"register": {"table": "holding", "address": address, **more}}


def coil(address: int, **more: Any) -> dict[str, Any]:
    return {"register": {"table": "coil", "address": address, **more}}


def channel_at(driver: ModbusDriver, table: dict[str, Any], key: str = "x") -> Any:
    return driver.channel_for(key, table)


# --- items ----------------------------------------------------------------------------------------


def test_an_item_reads_and_sets_its_register():
    with fake() as device, opened(device.url_of()) as plc:
        table = holding(12, type="int16", scale=0.1) | {
            "settable": True,
            "units": "degC",
            "description": "Chamber",
        }
        channel = channel_at(plc, table, "chamber")
        assert channel.path == "chamber"
        assert channel.item == {
            "description": "Chamber",
            "units": "degC",
            "type": "numeric",
            "gettable": True,
            "settable": True,
        }
        assert channel.read() == 1.2
        channel.write(-40.5)
        assert device.words[12] == 0x10000 - 405
        assert channel.read() == -40.5


@pytest.mark.parametrize(
    ("table", "kind", "value"),
    [
        (holding(5), "numeric", 5),
        (holding(5, bit=2), "boolean", True),
        (holding(5, bits=[0, 1]), "numeric", 1),
        (holding(5, type="bool"), "boolean", True),
        (
            holding(5, type="bool") | {"type": "enumerated", "enumerators": {0: "a"}},
            "enumerated",
            1,
        ),
        (holding(5) | {"type": "mask"}, "mask", 5),
        (holding(5, count=2), "numeric array", [5, 6]),
        (holding(5, type="string", length=1), "string", None),
        (coil(5), "boolean", False),
        (coil(5, count=3), "numeric array", [0, 0, 0]),
    ],
)
def test_the_type_of_an_item_follows_from_its_register(table, kind, value):
    with fake() as device, opened(device.url_of()) as plc:
        channel = channel_at(plc, table)
        assert channel.item["type"] == kind
        assert channel.write is None
        if value is not None:
            assert channel.read() == value
            assert type(channel.read()) is type(value)


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ({}, "register"),
        ({"register": 5}, "register"),
        (holding(5, tabel=1), "register.tabel"),
        ({"register": {"table": "holding"}}, "register.address"),
        ({"register": {"address": 1}}, "register.table"),
        (holding("5"), "register.address"),
        (holding(-1), "register.address"),
        (holding(65536), "register.address"),
        (holding(65535, type="uint32"), "register.address"),
        (holding(5, type="uint8"), "register.type"),
        (holding(5, words="middle"), "register.words"),
        (holding(5, scale=0), "register.scale"),
        (holding(5, scale="1"), "register.scale"),
        (holding(5, bit=16), "register.bit"),
        (holding(5, bit=1, bits=[1, 2]), "register.bit"),
        (holding(5, bits=[3, 1]), "register.bits"),
        (holding(5, type="uint32", bit=1), "register.bit"),
        (holding(5, bit=1, count=2), "register.count"),
        (holding(5, type="string"), "register.length"),
        (holding(5, length=2), "register.length"),
        (holding(5, count=126), "register.count"),
        (holding(5, write="mask"), "register.write"),
        (holding(5, type="uint32", write="single"), "register.write"),
        (holding(5, write_table="coil"), "register.write_table"),
        (holding(5, repeat=1), "register.repeat"),
        (holding(5, invalid="x"), "register.invalid"),
        (holding(5, bits=[8, 11], invalid=65536), "register.invalid"),
        (holding(5, bits=[8, 11], invalid=-1), "register.invalid"),
        (holding(5, bit=3, invalid=1), "register.invalid"),
        (holding(33), "register.address"),
        (holding(28, type="uint64"), "register.address"),
        (coil(5, type="int16"), "register.type"),
        (holding(5) | {"type": "string"}, "type"),
        (holding(5) | {"plausible": [3, 1]}, "plausible"),
        (holding(5, bit=1) | {"plausible": [0, 1]}, "plausible"),
        ({"register": {"table": "input", "address": 1}, "settable": True}, "settable"),
    ],
)
def test_an_item_that_cannot_be_is_refused_with_the_name_of_its_key(table, field):
    driver = ModbusDriver(NOWHERE, holes={"holding": [[30, 39]]})
    try:
        with pytest.raises(BadItem) as caught:
            driver.channel_for("x", table)
        assert caught.value.field == field
    finally:
        driver.close()


@pytest.mark.parametrize(
    ("numbering", "register", "place"),
    [
        ("protocol", {"table": "holding", "address": 0}, ("holding", 0)),
        ("one-based", {"table": "holding", "address": 1}, ("holding", 0)),
        ("modicon", {"address": 40001}, ("holding", 0)),
        ("modicon", {"address": 30010}, ("input", 9)),
        ("modicon", {"address": 10001}, ("discrete", 0)),
        ("modicon", {"address": 1}, ("coil", 0)),
        ("modicon", {"address": 400001}, ("holding", 0)),
        ("modicon", {"address": 465536}, ("holding", 65535)),
        ("modicon", {"table": "holding", "address": 40108}, ("holding", 107)),
    ],
)
def test_addresses_are_written_in_three_ways(numbering, register, place):
    driver = ModbusDriver(NOWHERE, numbering=numbering)
    try:
        channel: Any = driver.channel_for("x", {"register": register})
        assert (channel.place.register.table, channel.place.register.address) == place
    finally:
        driver.close()


@pytest.mark.parametrize("address", [0, 20001, 50001, 40000, 465537, 9999999])
def test_an_address_that_modicon_has_not_is_refused(address):
    driver = ModbusDriver(NOWHERE, numbering="modicon")
    try:
        with pytest.raises(BadItem, match=r"register\.address"):
            driver.channel_for("x", {"register": {"address": address}})
    finally:
        driver.close()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"words": "middle"}, "words must be"),
        ({"numbering": 1}, "numbering must be"),
        ({"max_registers": 126}, "max_registers must be"),
        ({"max_gap": -1}, "max_gap must be"),
        ({"loopback": 1}, "loopback must be"),
        ({"holes": [[1, 2]]}, "holes must be"),
        ({"holes": {"holding": [[3, 2]]}}, r"holes\.holding"),
        ({"holes": {"register": [[1, 2]]}}, r"holes\.register"),
        ({"identify": 5270}, "identify must be"),
        ({"identify": {"table": "holding", "value": 1}}, r"identify\.address"),
        ({"identify": {"table": "holding", "address": 0, "value": -1}}, r"identify\.value"),
        ({"restore": ["x"]}, "restore"),
        ({"restore": [{"table": "holding", "address": 0, "value": 70000}]}, r"restore\.value"),
        ({"restore": [{"table": "input", "address": 0, "value": 7}]}, r"restore\.table"),
        ({"timeout_s": -1}, "timeout_s must be"),
        ({"colour": 1}, "unknown setting 'colour'"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(settings, text):
    with pytest.raises(ConfigurationError, match=f"^{text}"):
        ModbusDriver(NOWHERE, **settings)


@pytest.mark.parametrize(
    "url",
    [
        "tcp://host:502",
        "modbus://host",
        "modbus+tcp://host:502?unit=256",
        "modbus+rtu:///dev/ttyS0?unit=248",
        "modbus+rtu://ttyS0",
        "host",
    ],
)
def test_a_url_that_is_not_for_modbus_is_refused(url):
    with pytest.raises(ConfigurationError):
        ModbusDriver(url)


def test_a_serial_line_is_as_the_standard_has_it_and_keeps_its_silence():
    driver = ModbusDriver("modbus+rtu:///dev/ttyNONE")
    fast = ModbusDriver("modbus+rtu:///dev/ttyNONE2?baud=115200")
    try:
        assert "baud=19200&bits=8&parity=even" in driver.label
        assert driver.settings.min_gap_s == pytest.approx(3.5 * 11 / 19200)
        assert fast.settings.min_gap_s == 0.00175
    finally:
        driver.close()
        fast.close()


# --- blocks ---------------------------------------------------------------------------------------


def test_items_that_are_near_are_read_together():
    with fake() as device, opened(device.url_of()) as plc:
        channels = [channel_at(plc, holding(n, scale=0.5), f"h{n}") for n in (0, 1, 9, 60)]
        channels.append(channel_at(plc, coil(3), "c"))
        blocks = plc.plan_reads(channels)
        assert sorted(block.what for block in blocks) == ["coil 3", "holding 0-9", "holding 60"]
        assert sorted((b.sent_bytes, b.received_bytes) for b in blocks) == [
            (12, 10),
            (12, 11),
            (12, 29),
        ]
        device.asked.clear()
        found = {
            channel.path: value
            for block in blocks
            for channel, value in zip(block.channels, block.read(), strict=True)
        }
        assert found == {"h0": 0.0, "h1": 0.5, "h9": 4.5, "h60": 30.0, "c": False}
        assert len(device.asked) == 3


def test_two_items_may_be_in_one_register():
    with fake() as device, opened(device.url_of()) as plc:
        channels = [channel_at(plc, holding(5, bit=bit), f"b{bit}") for bit in range(3)]
        (block,) = plc.plan_reads(channels)
        assert list(block.read()) == [True, False, True]


def test_an_invalid_value_in_a_block_is_that_of_its_item_alone():
    with fake() as device, opened(device.url_of()) as plc:
        tables = (holding(1), holding(2, invalid=2), holding(3, type="bcd16"))
        channels = [channel_at(plc, table, f"x{n}") for n, table in enumerate(tables)]
        (block,) = plc.plan_reads(channels)
        first, second, third = block.read()
        assert (first, third) == (1, 3)
        assert isinstance(second, InvalidReading)
        assert "plc at" in str(second)


def with_missing(device: FakeModbus, *missing: int) -> None:
    def answer(unit: int, pdu: bytes) -> bytes | None:
        start, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if pdu[0] == 3 and any(start <= address < start + count for address in missing):
            return b"\x83\x02"
        return device.behave(unit, pdu)

    device.answer_pdu = answer


def test_a_hole_that_nobody_told_of_takes_no_item_down_and_is_remembered(caplog):
    with fake() as device, opened(device.url_of()) as plc:
        with_missing(device, 4)
        channels = [channel_at(plc, holding(n), f"h{n}") for n in (0, 1, 8)]
        (block,) = plc.plan_reads(channels)
        with caplog.at_level(logging.WARNING):
            assert list(block.read()) == [0, 1, 8]
            device.asked.clear()
            assert list(block.read()) == [0, 1, 8]
        assert [pdu.hex() for pdu in device.asked] == ["0300000002", "0300080001"]
        assert len([r for r in caplog.records if "pieces" in r.message]) == 1


def test_one_wrong_address_is_the_error_of_its_item_alone():
    with fake() as device, opened(device.url_of()) as plc:
        with_missing(device, 1)
        channels = [channel_at(plc, holding(n), f"h{n}") for n in (0, 1, 2)]
        (block,) = plc.plan_reads(channels)
        first, second, third = block.read()
        assert (first, third) == (0, 2)
        assert isinstance(second, DeviceRefused)
        assert "illegal data address (exception 2)" in str(second)
        with pytest.raises(DeviceRefused):
            channels[1].read()


def test_a_refusal_that_is_about_no_address_is_the_error_of_all():
    with fake() as device, opened(device.url_of()) as plc:
        device.answer_pdu = lambda unit, pdu: b"\x83\x04"
        channels = [channel_at(plc, holding(n), f"h{n}") for n in (0, 1)]
        (block,) = plc.plan_reads(channels)
        device.asked.clear()
        assert all("server device failure" in str(error) for error in block.read())
        assert len(device.asked) == 1


# --- writing --------------------------------------------------------------------------------------


def settable(table: dict[str, Any]) -> dict[str, Any]:
    return table | {"settable": True}


@pytest.mark.parametrize(
    ("table", "value", "function"),
    [
        (holding(5), 7, 6),
        (holding(5, write="multiple"), 7, 16),
        (holding(5, type="float32"), 1.5, 16),
        (holding(5, bits=[4, 7]), 9, 6),
        (holding(5, bits=[4, 7], write="mask"), 9, 22),
        (holding(5, bit=0, write="mask"), False, 22),
        (holding(5, count=3), [1, 2, 3], 16),
        (holding(5, type="string", length=3), "Hello", 16),
        (coil(5), True, 5),
        (coil(5, write="multiple"), True, 15),
        (coil(5, count=10), [1, 0] * 5, 15),
    ],
)
def test_a_value_is_written_with_the_function_that_fits(table, value, function):
    with fake() as device, opened(device.url_of()) as plc:
        device.words[5:8] = [0xABCD, 0, 0]
        table["register"]["read_back"] = True
        channel = channel_at(plc, settable(table))
        channel.write(value)
        assert channel.read() == value
        assert {pdu[0] for pdu in device.asked if pdu[0] not in (1, 3, 8)} == {function}
        if "bits" in table["register"]:
            assert device.words[5] == 0xAB9D


def test_the_controller_says_how_to_write_where_the_item_does_not():
    with fake() as device, opened(device.url_of(), write="multiple") as plc:
        channel_at(plc, settable(holding(5))).write(7)
        assert device.seen(16)
        assert not device.seen(6)


def test_outputs_may_be_written_elsewhere_than_they_are_read():
    with fake() as device, opened(device.url_of()) as plc:
        channel = channel_at(plc, settable(holding(105, write_address=5)))
        channel.write(7)
        assert (device.words[5], device.words[105]) == (7, 105)
        assert channel.read() == 105


def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent():
    with fake() as device, opened(device.url_of()) as plc:
        channel = channel_at(plc, settable(holding(5, type="int16", scale=0.1)))
        device.asked.clear()
        for value in (3276.8, 0.05, float("nan"), "x"):
            with pytest.raises(BadValue):
                channel.write(value)
        assert device.asked == []


def test_a_write_that_did_not_take_is_refused_where_it_is_read_back():
    with fake() as device, opened(device.url_of()) as plc:
        device.answer_pdu = lambda unit, pdu: pdu if pdu[0] == 6 else device.behave(unit, pdu)
        channel_at(plc, settable(holding(5))).write(7)
        with pytest.raises(DeviceRefused, match=r"7 was written to holding 5 .* holds \[5\]"):
            channel_at(plc, settable(holding(5, read_back=True))).write(7)


# --- connecting -----------------------------------------------------------------------------------


def test_the_right_device_is_known_by_a_register():
    identify = {"table": "holding", "address": 5, "value": [5, 6]}
    with fake() as device, opened(device.url_of(), identify=identify) as plc:
        assert plc.read_holding_registers(0, 1) == [0]


@pytest.mark.parametrize("rtu", [False, True])
def test_another_device_is_refused_and_both_are_named(rtu):
    identify = {"table": "holding", "address": 5, "value": 5270}
    with fake(rtu=rtu) as device, opened(device.url_of(), up=False, identify=identify) as plc:
        wait_until(lambda: plc.status().state == "Wrong device")
        assert "holding 5 should be 5270, but it is 5" in plc.status().error
        device.words[5] = 5270
        plc.wait_until_up(timeout_s=30)


def test_settings_are_restored_on_each_connect():
    restore = [
        {"table": "holding", "address": 24, "value": 1},
        {"table": "holding", "address": 30, "type": "float32", "value": 1.5},
    ]
    with fake() as device, opened(device.url_of(), restore=restore) as plc:
        assert device.words[24] == 1
        assert device.words[30:32] == [0x3FC0, 0]
        device.words[24] = 0
        device.hang_up()
        with pytest.raises(DeviceLost):
            plc.read_holding_registers(0, 1)
        wait_until(lambda: device.words[24] == 1)
        plc.wait_until_up(timeout_s=30)


def test_a_setting_that_cannot_be_restored_keeps_the_link_down():
    restore = [{"table": "holding", "address": 300, "value": 1}]
    with fake() as device, opened(device.url_of(), up=False, restore=restore) as plc:
        wait_until(lambda: "holding 300 = 1 could not be restored" in plc.status().error)
        assert plc.status().state != "Up"


def test_all_units_of_a_serial_line_can_be_told_and_none_asked():
    with fake(rtu=True) as device, opened(device.url_of(0)) as plc:
        device.answer_pdu = lambda unit, pdu: device.behave(unit, pdu) and None
        channel = channel_at(plc, settable(holding(5)))
        assert channel.read is None
        channel.write(7)
        wait_until(lambda: device.words[5] == 7)
        with pytest.raises(BadValue, match="none of them answers"):
            plc.read_holding_registers(0, 1)
        with pytest.raises(BadItem, match="can only be written"):
            channel_at(plc, holding(5))


def test_a_device_that_answers_no_loopback_can_be_used_without():
    with fake(rtu=True) as device, opened(device.url_of(), loopback=False) as plc:
        assert plc.read_holding_registers(3, 1) == [3]
        assert not device.seen(8)


def test_the_same_unit_is_the_same_controller_to_all():
    with fake() as device:
        first = ModbusDriver.open(device.url_of(), words="little")
        try:
            with ModbusDriver.open(device.url_of(), words="little") as second:
                assert second is first
            with pytest.raises(ConfigurationError, match="words"):
                ModbusDriver.open(device.url_of(), words="big")
        finally:
            first.close()


def test_a_failing_block_raises_when_nothing_is_known():
    with fake() as device, opened(device.url_of()) as plc:
        (block,) = plc.plan_reads([channel_at(plc, holding(0))])
        device.answer_pdu = lambda unit, pdu: None
        with pytest.raises(DeviceError, match="read holding registers 0"):
            block.read()
