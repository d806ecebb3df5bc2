"""Every setting and key of the Modbus driver that the page names: what it does, on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from drivers import _modbus_settings, wiring
from drivers._modbus_register import REGISTER_KEYS
from drivers.framing.modbus import rtu_frame
from drivers.modbus import ModbusDriver
from mktl.errors import ProtocolMismatch
from tests.unit.drivers.modbus_fakes import FakeModbus, fake, opened
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


# --- blocks ---------------------------------------------------------------------------------------


def blocks(tables: list[dict[str, Any]], **settings: Any) -> list[str]:
    driver = ModbusDriver(NOWHERE, **settings)
    try:
        channels = [driver.channel_for(f"x{n}", table) for n, table in enumerate(tables)]
        return sorted(block.what for block in driver.plan_reads(channels))
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
            ["0", "5"],
        ),
        (
            [{"register": {"address": n}} for n in (40001, 40006)],
            {"holes": {"holding": [[40004, 40004]]}, "numbering": "modicon"},
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
