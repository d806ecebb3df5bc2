"""Every setting and key of the Modbus driver that the page names: what it does, on the wire."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from drivers import _modbus_settings, wiring
from drivers._modbus_register import REGISTER_KEYS
from drivers.base import BadItem
from drivers.framing.modbus import rtu_frame
from drivers.modbus import ModbusDriver
from mktl.errors import (
    ConfigurationError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)
from tests.unit.drivers.modbus_fakes import FakeModbus, fake, opened, pymodbus_server
from tests.unit.drivers.pages import names_in_table, toml_blocks

PAGE = "modbus-driver.md"
NOWHERE = "modbus+tcp://nowhere.invalid"


def register(**keys: Any) -> dict[str, Any]:
    return {"register": {"table": "holding", **keys}}


# --- the page and the code ------------------------------------------------------------------------


def test_the_page_names_all_settings_and_no_others():
    assert names_in_table(PAGE, "A controller") == {*_modbus_settings.NAMES, "restore"}


def test_the_page_names_all_keys_of_a_register_and_no_others():
    assert names_in_table(PAGE, "An item: `register`") == set(REGISTER_KEYS)
    assert set(ModbusDriver.item_keys) == {"register", "plausible"}


def test_the_file_that_the_page_shows_is_good():
    (text,) = toml_blocks(PAGE)
    assert wiring.loads(text).items


# --- orders ---------------------------------------------------------------------------------------

PI = {("big", "big"): (0x4049, 0x0FDB), ("little", "big"): (0x0FDB, 0x4049)}
PI |= {("big", "little"): (0x4940, 0xDB0F), ("little", "little"): (0xDB0F, 0x4940)}


@pytest.mark.parametrize("words", ["big", "little"])
@pytest.mark.parametrize("bytes_", ["big", "little"])
def test_the_order_of_words_and_bytes_is_that_of_the_controller_or_of_the_item(words, bytes_):
    order = {"words": words, "bytes": bytes_}
    other = {name: "little" if value == "big" else "big" for name, value in order.items()}
    for settings, keys in ((order, {}), (other, order)):
        with fake() as device, opened(device.url_of(), **settings) as plc:
            device.words[5:7] = PI[words, bytes_]
            table = register(address=5, type="float32", **keys) | {"settable": True}
            channel = plc.channel_for("x", table)
            assert channel.read() == pytest.approx(3.1415927)
            channel.write(-1.5)
            device.words[7:9] = device.words[5:7]
            assert channel.read() == -1.5
            assert device.words[5:7] != list(PI[words, bytes_])


def test_a_text_has_an_order_of_bytes_and_none_of_words():
    with fake() as device, opened(device.url_of(), words="little", bytes="little") as plc:
        device.words[5:7] = [0x4241, 0x4443]
        channel = plc.channel_for("x", register(address=5, type="string", length=2))
        assert channel.read() == "ABCD"


# --- numbers --------------------------------------------------------------------------------------


def test_scale_and_offset_are_undone_when_it_is_written():
    with fake() as device, opened(device.url_of()) as plc:
        table = register(address=5, type="int16", scale=0.1, offset=-40) | {"settable": True}
        channel = plc.channel_for("x", table)
        assert channel.read() == -39.5
        channel.write(20.5)
        assert device.words[5] == 605
        assert channel.read() == 20.5


def test_what_is_read_in_one_table_may_be_written_in_another():
    with fake() as device, opened(device.url_of()) as plc:

        def answer(unit: int, pdu: bytes) -> bytes | None:
            if pdu[0] != 4:
                return device.behave(unit, pdu)
            reply = device.behave(unit, b"\x03" + pdu[1:])
            return None if reply is None else b"\x04" + reply[1:]

        device.answer_pdu = answer
        table = {"table": "input", "address": 5, "write_table": "holding", "write_address": 7}
        channel = plc.channel_for("x", {"register": table, "settable": True})
        device.asked.clear()
        assert channel.read() == 5
        channel.write(99)
        assert (device.words[5], device.words[7]) == (5, 99)
        assert [pdu[0] for pdu in device.asked] == [4, 6]


def test_a_register_may_be_numbered_otherwise_than_those_around_it():
    with pymodbus_server("tcp") as url, opened(f"{url}?unit=1", numbering="modicon") as plc:
        plain = {"address": 30101, "write_address": 40031}
        other = {"numbering": "protocol", "table": "input", "address": 0x140}
        assert plc.channel_for("x", {"register": plain}).read() == 100
        assert plc.channel_for("y", {"register": other}).read() == 0x140
        one_based = {"numbering": "one-based", "table": "holding", "address": 8}
        assert plc.channel_for("z", {"register": one_based}).read() == 7


# --- what cannot be read --------------------------------------------------------------------------


def write_only(device: FakeModbus, address: int) -> None:
    """Have the device refuse to read a register."""

    def answer(unit: int, pdu: bytes) -> bytes | None:
        first, count = struct.unpack_from(">HH", pdu, 1)
        hit = pdu[0] == 3 and first <= address < first + count
        return b"\x83\x02" if hit else device.behave(unit, pdu)

    device.answer_pdu = answer


def test_what_is_not_readable_is_only_written():
    with fake() as device, opened(device.url_of(), holes={"holding": [[5, 5]]}) as plc:
        write_only(device, 5)
        table = register(address=5, readable=False)
        channel = plc.channel_for("start", table | {"settable": True})
        assert (channel.read, channel.poll_s) == (None, None)
        assert (channel.item["gettable"], channel.item["settable"]) == (False, True)
        device.asked.clear()
        channel.write(4)
        assert device.words[5] == 4
        assert [pdu[0] for pdu in device.asked] == [6]


def test_of_what_is_not_readable_nobody_knows_what_became_after_a_lost_answer():
    with fake() as device, opened(device.url_of()) as plc:
        channel = plc.channel_for("start", register(address=5, readable=False) | {"settable": True})
        device.answer_pdu = lambda unit, pdu: None if pdu[0] == 6 else device.behave(unit, pdu)
        device.asked.clear()
        with pytest.raises(DeviceTimeout, match="may or may not have been carried out"):
            channel.write(4)
        assert [pdu[0] for pdu in device.asked] == [6]


def test_a_part_of_what_is_not_readable_is_written_by_mask():
    with fake() as device, opened(device.url_of()) as plc:
        device.words[5] = 0xF00F
        table = register(address=5, readable=False, bits=[4, 7], write="mask")
        plc.channel_for("x", table | {"settable": True}).write(9)
        assert device.words[5] == 0xF09F


def test_what_is_not_readable_may_be_restored():
    with fake() as device:
        write_only(device, 5)
        restore = [{"table": "holding", "address": 5, "readable": False, "value": 77}]
        with opened(device.url_of(), restore=restore):
            assert device.words[5] == 77


@pytest.mark.parametrize(
    ("table", "field", "text"),
    [
        (register(address=5, readable=False), "settable", "can only be written"),
        (register(address=5, readable=0), "register.readable", "true or false"),
        (register(address=5, readable=False, read_back=True), "register.read_back", "readable"),
        (register(address=5, readable=False, write_address=6), "register.readable", "`address`"),
        (register(address=5, readable=False, bit=1), "register.write", "must be mask"),
        (register(address=5, numbering="roman"), "register.numbering", "must be one of"),
    ],
)
def test_what_does_not_go_with_the_rest_is_refused(table, field, text):
    driver = ModbusDriver(NOWHERE)
    try:
        with pytest.raises(BadItem, match=text) as caught:
            driver.channel_for("x", table)
        assert caught.value.field == field
    finally:
        driver.close()


def test_the_register_that_tells_the_device_has_to_be_readable():
    identify = {"table": "holding", "address": 1, "readable": False, "value": 1}
    with pytest.raises(ConfigurationError, match=r"identify\.readable"):
        ModbusDriver(NOWHERE, identify=identify)


# --- addresses in errors --------------------------------------------------------------------------


def test_errors_have_the_numbers_of_the_file_and_those_on_the_wire():
    settings = {"numbering": "modicon", "holes": {"holding": [[40205, 40206]]}}
    with fake() as device, opened(device.url_of(), **settings) as plc:
        with pytest.raises(BadItem) as caught:
            plc.channel_for("x", {"register": {"address": 40204, "type": "uint32"}})
        assert caught.value.text == (
            "40204-40205 (holding 203-204 on the wire) is in the hole 40205 to 40206, and an item "
            "reads its address; one that can only be written says readable = false"
        )
        far = plc.channel_for("x", {"register": {"address": 400302, "type": "uint32"}})
        with pytest.raises(DeviceRefused) as refused:
            far.read()
        asked = "read holding registers 40302 to 40303 (301 to 302 on the wire): "
        assert f"{asked}illegal data address (exception 2)" in str(refused.value)
        bad = plc.channel_for("x", {"register": {"address": 400006}, "plausible": [9, 10]})
        with pytest.raises(InvalidReading, match=r"400006 \(holding 5 on the wire\) is 5, which"):
            bad.read()
    with fake() as device, opened(device.url_of(), numbering="one-based") as plc:
        table = register(address=6, read_back=True) | {"settable": True}
        device.answer_pdu = lambda unit, pdu: pdu if pdu[0] == 6 else device.behave(unit, pdu)
        with pytest.raises(DeviceRefused, match=r"7 was written to holding 6 \(5 on the wire\)"):
            plc.channel_for("x", table).write(7)


# --- blocks ---------------------------------------------------------------------------------------


def blocks(tables: list[dict[str, Any]], **settings: Any) -> list[str]:
    driver = ModbusDriver(NOWHERE, **settings)
    try:
        channels = [driver.channel_for(f"x{n}", table) for n, table in enumerate(tables)]
        readable = [channel for channel in channels if channel.read is not None]
        return sorted(block.what for block in driver.plan_reads(readable))
    finally:
        driver.close()


COILS: list[dict[str, Any]] = [
    {"register": {"table": "coil", "address": address}} for address in (0, 5, 9, 100)
]


@pytest.mark.parametrize(
    ("tables", "settings", "due"),
    [
        ([register(address=n) for n in range(12)], {"max_registers": 5}, ["0-4", "10-11", "5-9"]),
        ([register(address=n) for n in (0, 5)], {"max_gap": 4}, ["0-5"]),
        ([register(address=n) for n in (0, 5)], {"max_gap": 3}, ["0", "5"]),
        (COILS, {}, ["0-100"]),
        (COILS, {"max_gap": 1}, ["0-9", "100"]),
        (COILS, {"max_bits": 6}, ["0-5", "100", "9"]),
        ([register(address=n) for n in (0, 5)], {"holes": {"holding": [[3, 3]]}}, ["0", "5"]),
        ([register(address=n) for n in (0, 5)], {"holes": {"input": [[3, 3]]}}, ["0-5"]),
        (
            [register(address=n) for n in (1, 6)],
            {"holes": {"holding": [[4, 4]]}, "numbering": "one-based"},
            ["1 (0 on the wire)", "6 (5 on the wire)"],
        ),
        (
            [{"register": {"address": n}} for n in (40001, 40006)],
            {"holes": {"holding": [[40004, 40004]]}, "numbering": "modicon"},
            ["(holding 0 on the wire)", "(holding 5 on the wire)"],
        ),
        (
            [register(address=n) for n in (0, 5)]
            + [register(address=3, readable=False) | {"settable": True}],
            {},
            ["0", "5"],
        ),
    ],
)
def test_a_block_is_as_long_as_the_settings_allow(tables, settings, due):
    assert [what.partition(" ")[2] for what in blocks(tables, **settings)] == due


# --- the line -------------------------------------------------------------------------------------


def echoing(device: FakeModbus, unit: int = 1) -> None:
    device.dress = lambda frame: rtu_frame(unit, device.asked[-1]) + frame


def test_an_echo_is_read_away_where_the_file_says_that_there_is_one():
    with fake(rtu=True) as device:
        echoing(device)
        with opened(device.url_of(), echo=True) as plc:
            assert plc.read_holding_registers(5, 2) == [5, 6]
            channel = plc.channel_for("x", register(address=5) | {"settable": True})
            channel.write(77)
            assert device.words[5] == 77
            assert channel.read() == 77


def test_an_echo_that_should_come_and_does_not_is_no_reply():
    with fake(rtu=True) as device:
        echoing(device)
        with opened(device.url_of(), echo=True) as plc:
            device.dress = bytes
            with pytest.raises(ProtocolMismatch, match="the echo of"):
                plc.read_holding_registers(5, 2)


@pytest.mark.parametrize(
    ("write", "keys", "function"),
    [
        ("auto", {}, 6),
        ("single", {}, 6),
        ("multiple", {}, 16),
        ("mask", {}, 6),
        ("mask", {"bit": 3}, 22),
        ("mask", {"bit": 3, "write": "single"}, 6),
        ("single", {"type": "uint32"}, 16),
    ],
)
def test_registers_are_written_as_the_controller_says_where_that_is_possible(write, keys, function):
    with fake() as device, opened(device.url_of(), write=write) as plc:
        channel = plc.channel_for("x", register(address=5, **keys) | {"settable": True})
        device.asked.clear()
        channel.write(1)
        assert {pdu[0] for pdu in device.asked} - {3} == {function}
