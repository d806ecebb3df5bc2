"""Twins of Modbus devices that a file describes, without any socket."""

from __future__ import annotations

import math
import tomllib

import pytest

from simulators._described_modbus import DescribedModbus
from simulators._modbus_frames import rtu_frame
from simulators.bus import Bus
from simulators.device import SimulatorError
from simulators.modbus import Code, ModbusError, Table

HOLDING, INPUT, COIL = Table.HOLDING_REGISTERS, Table.INPUT_REGISTERS, Table.COILS


def made(settings: str, items: str, unit: int = 1) -> DescribedModbus:
    return DescribedModbus("m", tomllib.loads(settings), tomllib.loads(items), unit=unit)


def one(register: str, more: str = "", settings: str = "") -> DescribedModbus:
    return made(settings, f"[p]\nregister = {{{register}}}\n{more}")


@pytest.mark.parametrize(
    ("register", "value", "words"),
    [
        ('type = "int16"', -2, [0xFFFE]),
        ('type = "uint32"', 0x12345678, [0x1234, 0x5678]),
        ('type = "uint32", words = "little"', 0x12345678, [0x5678, 0x1234]),
        ('type = "uint32", bytes = "little"', 0x12345678, [0x3412, 0x7856]),
        ('type = "uint32", words = "little", bytes = "little"', 0x12345678, [0x7856, 0x3412]),
        ('type = "int64"', -1, [0xFFFF] * 4),
        ('type = "float32"', 1.5, [0x3FC0, 0]),
        ('type = "float64"', 1.5, [0x3FF8, 0, 0, 0]),
        ('type = "bcd16"', 1234, [0x1234]),
        ('type = "bcd32"', 12345678, [0x1234, 0x5678]),
        ('type = "string", length = 3', '"Pump"', [0x5075, 0x6D70, 0]),
        ('type = "int16", scale = 0.1, offset = 10', 12.5, [25]),
        ('type = "uint16", count = 3', [1, 2, 3], [1, 2, 3]),
        ("bits = [4, 7]", 5, [0x50]),
        ("bit = 15", 1, [0x8000]),
    ],
)
def test_registers_begin_with_the_value(register: str, value: object, words: list[int]) -> None:
    device = one(f'table = "holding", address = 7, {register}', f"simulate = {value}\n")
    assert list(device.read_words(HOLDING, 7, len(words))) == words


def test_parts_of_a_register_are_kept_apart() -> None:
    device = made(
        "",
        '[a]\nregister = {table = "holding", address = 1, bits = [0, 3]}\nsimulate = 5\n'
        '[b]\nregister = {table = "holding", address = 1, bit = 8}\nsimulate = 1\n'
        '[all]\nregister = {table = "holding", address = 1}\n',
    )
    assert device.read_word(HOLDING, 1) == 0x105
    write = device.quantities()["a"].write
    assert write is not None
    write(2)
    assert device.read_word(HOLDING, 1) == 0x102
    assert device.quantities()["all"].read() == 0x102


@pytest.mark.parametrize(
    ("numbering", "register"),
    [
        ("protocol", 'table = "holding", address = 9'),
        ("one-based", 'table = "holding", address = 10'),
        ("modicon", "address = 40010"),
        ("modicon", "address = 400010"),
        ("modicon", 'numbering = "protocol", table = "holding", address = 9'),
    ],
)
def test_addresses_are_those_of_the_protocol(numbering: str, register: str) -> None:
    device = one(register, "simulate = 3\n", f'numbering = "{numbering}"')
    assert device.read_word(HOLDING, 9) == 3


def test_what_is_written_elsewhere_is_read_where_it_is_read() -> None:
    device = one('table = "input", address = 1, write_table = "holding", write_address = 8')
    device.write_words(8, [77])
    assert device.read_word(INPUT, 1) == 77


def test_what_is_out_of_range_is_refused_and_changes_nothing() -> None:
    device = one('table = "holding", address = 1, scale = 0.1', "range = [0, 10]\nsimulate = 5\n")
    with pytest.raises(ModbusError) as refused:
        device.write_words(1, [101])
    assert refused.value.code == Code.ILLEGAL_VALUE
    assert device.read_word(HOLDING, 1) == 50


def test_only_what_the_file_knows_can_be_read_and_written() -> None:
    device = made(
        "max_registers = 4\nmax_gap = 2\n",
        '[a]\nregister = {table = "holding", address = 10}\n'
        '[b]\nregister = {table = "holding", address = 13}\n'
        '[c]\nregister = {table = "holding", address = 17}\n'
        '[d]\nregister = {table = "input", address = 10}\n',
    )
    assert list(device.read_words(HOLDING, 10, 4))[1:3] == [0, 0]
    for table, address, count in ((HOLDING, 13, 2), (HOLDING, 9, 1), (INPUT, 11, 1)):
        with pytest.raises(ModbusError) as refused:
            device.read_words(table, address, count)
        assert refused.value.code == Code.ILLEGAL_ADDRESS
    with pytest.raises(ModbusError) as refused:
        device.read_words(HOLDING, 10, 5)
    assert refused.value.code == Code.ILLEGAL_VALUE
    with pytest.raises(ModbusError):
        device.write_words(11, [1])


@pytest.mark.parametrize(
    ("register", "more", "is_none"),
    [
        ('type = "int16", invalid = [-32768, 32767]', "", lambda words: words == [0x8000]),
        ('type = "float32"', "", lambda words: words[0] & 0x7FC0 == 0x7FC0),
        ('type = "bcd16"', "", lambda words: words == [0xFFFF]),
        ('type = "uint16"', "plausible = [0, 10]\n", lambda words: words[0] > 10),
        ("bits = [4, 7], invalid = [15, 14]", "", lambda words: words == [0xF0]),
        ("bits = [4, 7], invalid = 65535", "", lambda words: words == [0xFFFF]),
        ("bit = 2, invalid = 65535", "", lambda words: words == [0xFFFF]),
    ],
)
def test_registers_can_say_that_there_is_no_value(register: str, more: str, is_none) -> None:  # type: ignore[no-untyped-def]
    device = one(f'table = "holding", address = 1, {register}', f"{more}simulate = 1\n")
    size = 2 if "float" in register else 1
    before = device.read_words(HOLDING, 1, size)
    write = device.quantities()["invalid.p"].write
    assert write is not None
    write(1)
    assert is_none(list(device.read_words(HOLDING, 1, size)))
    write(0)
    assert device.read_words(HOLDING, 1, size) == before
    assert not is_none(list(before))


def test_coils_follow_and_the_identity_can_be_another_one() -> None:
    device = made(
        'identify = {table = "holding", address = 100, value = [352, 353]}\n'
        'restore = [{table = "coil", address = 3, value = true}]\n',
        '[wanted]\nregister = {table = "coil", address = 1}\n'
        '[is]\nregister = {table = "discrete", address = 1}\ntracks = {item = "wanted"}\n',
    )
    device.write_bits(1, [True])
    assert device.read_bit(Table.DISCRETE_INPUTS, 1)
    device.write_bits(3, [False])
    assert device.read_word(HOLDING, 100) == 352
    device.afflict("wrong-identity", {"identity": "other"})
    assert device.read_word(HOLDING, 100) != 352
    device.relieve()
    assert device.read_word(HOLDING, 100) == 352


def test_the_wiring_may_give_back_what_is_sent() -> None:
    items = '[p]\nregister = {table = "input", address = 0}\nsimulate = 7\n'
    request, reply = b"\x04\x00\x00\x00\x01", b"\x04\x02\x00\x07"
    line = Bus({1: made("echo = true", items, 1), 2: made("echo = true", items, 2)})
    sent = rtu_frame(2, request)
    assert line.answer_on("modbus+rtu", sent) == sent + rtu_frame(2, reply)
    assert line.answer_on("modbus+rtu", rtu_frame(3, request)) == b""


@pytest.mark.parametrize(
    ("register", "more", "says"),
    [
        ('table = "holdings", address = 1', "", "its table must be one of"),
        ('table = "holding", address = 65536', "", "there is no address 65536"),
        ('table = "holding", address = 65535, type = "float32"', "", "beyond the last address"),
        ('table = "holding", address = 1, scale = 0', "", "scale: must be a number other than 0"),
        ('table = "holding", address = 1, bits = [3, 1]', "", "the lowest and the highest bit"),
        ('table = "holding", address = 1', "simulate = 70000\n", "it cannot hold 70000"),
        ('table = "holding", address = 1', 'simulate = "much"\n', "it cannot hold 'much'"),
        ('table = "holding", address = 1, count = 3', "simulate = [1]\n", "it takes 3 values"),
        ('table = "holding", address = 1, type = "string", count = 2', "", "a string is one value"),
    ],
)
def test_what_makes_no_sense_is_refused(register: str, more: str, says: str) -> None:
    with pytest.raises(SimulatorError) as refused:
        one(register, more)
    assert str(refused.value).startswith("items.p.register")
    assert says in str(refused.value)


def test_an_item_in_a_hole_is_refused() -> None:
    with pytest.raises(SimulatorError, match="5 is in a hole"):
        one('table = "holding", address = 5', "", "holes = {holding = [[3, 9]]}")


def test_what_is_not_readable_can_be_written_and_seen_at_the_control_port_alone() -> None:
    settings = "holes = {holding = [[8, 8]]}"
    items = """
        [order]
        register = {table = "holding", address = 5, readable = false}
        [in_a_hole]
        register = {table = "holding", address = 8, readable = false}
        [low]
        register = {table = "holding", address = 4}
        [shared]
        register = {table = "holding", address = 6, readable = false}
        [high]
        register = {table = "holding", address = 6}
    """
    device = made(settings, items)
    device.write_words(5, [3])
    device.write_words(6, [4])
    device.write_words(8, [9])
    for address in (5, 8):
        with pytest.raises(ModbusError) as refused:
            device.read_words(HOLDING, address, 1)
        assert refused.value.code == Code.ILLEGAL_ADDRESS
    assert device.quantities()["order"].read() == 3
    assert device.read_word(HOLDING, 6) == 4


def test_what_is_written_in_a_hole_stays_unreadable() -> None:
    elsewhere = 'table = "input", address = 1, write_table = "holding", write_address = 8'
    device = one(elsewhere, "", "holes = {holding = [[8, 8]]}")
    device.write_words(8, [7])
    with pytest.raises(ModbusError):
        device.read_word(HOLDING, 8)
    assert device.read_word(INPUT, 1) == 7


def test_time_goes_forward_only() -> None:
    with pytest.raises(ValueError, match="forward"):
        one('table = "holding", address = 5').step(math.nan)
