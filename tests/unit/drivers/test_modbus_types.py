"""Values in registers: from words and back, and what is refused."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._modbus_types import Register
from mktl.errors import BadValue, InvalidReading

ORDERS = st.sampled_from(["big", "little"])
RANGES = {
    "uint16": (0, 0xFFFF),
    "int16": (-0x8000, 0x7FFF),
    "uint32": (0, 0xFFFFFFFF),
    "int32": (-(1 << 31), (1 << 31) - 1),
    "uint64": (0, (1 << 64) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "bcd16": (0, 9999),
    "bcd32": (0, 99999999),
}


def reg(type_="uint16", **more):
    return Register(table="holding", address=10, type=type_, **more)


@pytest.mark.parametrize(
    ("register", "words", "value"),
    [
        (reg(), [0xFFFF], 65535),
        (reg("int16"), [0xFFFF], -1),
        (reg(byte_order="little"), [0x3412], 0x1234),
        (reg("int16", byte_order="little"), [0x00FF], -256),
        (reg("uint32"), [0x1234, 0x5678], 0x12345678),
        (reg("uint32", word_order="little"), [0x5678, 0x1234], 0x12345678),
        (reg("uint32", byte_order="little"), [0x3412, 0x7856], 0x12345678),
        (reg("uint32", word_order="little", byte_order="little"), [0x7856, 0x3412], 0x12345678),
        (reg("float32"), [0x42F6, 0xE979], struct.unpack(">f", bytes.fromhex("42f6e979"))[0]),
        (reg("float64"), [0x405E, 0xDD2F, 0x1A9F, 0xBE77], 123.456),
        (reg("bcd16"), [0x1234], 1234),
        (reg("bcd32"), [0x1234, 0x5678], 12345678),
        (reg("int16", scale=0.1), [773], 77.3),
        (reg("int16", scale=0.1, offset=-273.15), [3000], 26.85),
        (reg(scale=2, offset=1), [3], 7),
        (reg(bits=(4, 7)), [0xABCD], 0xC),
        (reg(bits=(3, 3), single_bit=True), [0x0008], True),
        (reg("bool"), [1], True),
        (reg("string", length=3), [0x4142, 0x4320, 0x2000], "ABC"),
        (reg("string", length=2, byte_order="little"), [0x4241, 0x0043], "ABC"),
        (reg("int16", count=3, scale=0.5), [1, 2, 0xFFFF], [0.5, 1.0, -0.5]),
        (Register(table="coil", address=0, type="bool", count=2), [1, 0], [1, 0]),
        (Register(table="coil", address=0, type="bool"), [1], True),
    ],
)
def test_words_and_values(register, words, value):
    found = register.decode(words)
    assert found == value
    assert type(found) is type(value)
    if register.bits is None and register.type != "string":
        assert register.encode(value) == words
    assert register.decode(register.encode(value, words[0])) == value


@given(
    number=st.integers(-(1 << 63), (1 << 63) - 1), scale=st.sampled_from([0.1, 0.001, 1e-7, 2.5])
)
def test_a_scaled_number_is_the_nearest_one_to_what_it_exactly_is(number, scale):
    words = struct.unpack(">4H", number.to_bytes(8, "big", signed=True))
    exact = Fraction(repr(scale)) * number + Fraction("-273.15")
    assert reg("int64", scale=scale, offset=-273.15).decode(words) == float(exact)


@given(st.data(), st.sampled_from(sorted(RANGES)), ORDERS, ORDERS)
def test_whole_numbers_come_back(data, type_, words, bytes_):
    register = reg(type_, word_order=words, byte_order=bytes_)
    value = data.draw(st.integers(*RANGES[type_]))
    assert register.decode(register.encode(value)) == value


@given(st.data(), st.sampled_from(sorted(RANGES)))
def test_a_number_that_does_not_fit_is_refused(data, type_):
    low, high = RANGES[type_]
    value = data.draw(st.one_of(st.integers(max_value=low - 1), st.integers(min_value=high + 1)))
    with pytest.raises(BadValue, match=r"cannot hold|between"):
        reg(type_).encode(value)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), ORDERS, ORDERS)
def test_floats_come_back(value, words, bytes_):
    for type_ in ("float32", "float64"):
        register = reg(type_, word_order=words, byte_order=bytes_)
        assert register.decode(register.encode(value)) == value


@given(st.integers(-32768, 32767), st.sampled_from([0.1, 0.01, 0.5, 10, 0.002, 1e-6, -0.1]))
def test_each_step_of_a_scale_comes_back_exactly(number, scale):
    register = reg("int16", scale=scale, offset=1.5)
    value = register.decode([number & 0xFFFF])
    assert register.encode(value) == [number & 0xFFFF]
    assert register.encode(value + scale * 1e-9) == [number & 0xFFFF]


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (reg(), 1.5),
        (reg(), -1),
        (reg(), math.nan),
        (reg(), math.inf),
        (reg(), True),
        (reg(), "7"),
        (reg(), None),
        (reg(), 10**400),
        (reg("float32"), math.nan),
        (reg("float32"), -math.inf),
        (reg("float32"), 1e39),
        (reg("float64", scale=0.1), 1e308),
        (reg("float64"), 10**400),
        (reg("int16", scale=0.1), 77.35),
        (reg("int16", scale=0.1), 3276.8),
        (reg("int16", scale=0.1), 1e300),
        (reg("bcd16"), -1),
        (reg("bcd16"), 10000),
        (reg("bool"), 2),
        (reg(bits=(0, 1)), 4),
        (reg(bits=(0, 1)), -1),
        (reg(bits=(8, 11), invalid=(0,)), 0),
        (reg("string", length=2), "ABCDE"),
        (reg("string", length=2), "Ä"),
        (reg("string", length=2), "A\n"),
        (reg("string", length=2), "A "),
        (reg("string", length=2), 5),
        (reg(count=2), [1]),
        (reg(count=2), 1),
        (reg(count=2), "12"),
        (reg("int16", invalid=(32767,)), 32767),
        (reg("int16", invalid=(32768,)), -32768),
        (reg("float32", invalid=(-999.9,)), -999.9),
        (Register(table="coil", address=0, type="bool"), 2),
    ],
)
def test_what_a_register_cannot_hold_is_refused(register, value):
    with pytest.raises(BadValue):
        register.encode(value)


@pytest.mark.parametrize(
    ("register", "words"),
    [
        (reg("float32"), [0x7FC0, 0]),
        (reg("float32"), [0x7F80, 0]),
        (reg("float64"), [0xFFF0, 0, 0, 0]),
        (reg("float32", scale=1e300), [0x7F00, 0]),
        (reg("uint16", scale=1e308), [0xFFFF]),
        (reg("bcd16"), [0x12A4]),
        (reg("int16", invalid=(32768, 32767)), [0x8000]),
        (reg("int16", invalid=(-32768,)), [0x8000]),
        (reg("uint32", invalid=(0xFFFFFFFF,)), [0xFFFF, 0xFFFF]),
        (reg("int16", count=2, invalid=(7,)), [1, 7]),
        # No float32 is -999.9: the one that means it is -999.9000244140625.
        (reg("float32", invalid=(-999.9,)), [0xC479, 0xF99A]),
        (
            reg("float32", invalid=(9.96921e36,)),
            list(struct.unpack(">HH", struct.pack(">f", 9.96921e36))),
        ),
        (reg("int16", scale=0.1, plausible=(0, 100)), [1001]),
        # Of a part: in its bits, or, where these cannot hold it, in the whole register.
        (reg(bits=(8, 11), invalid=(0,)), [0xF0FF]),
        (reg(bits=(8, 11), scale=0.1, invalid=(15,)), [0x8F00]),
        (reg(bits=(8, 11), invalid=(0xFFFF,)), [0xFFFF]),
        (reg(bits=(3, 3), single_bit=True, invalid=(0xFFFF,)), [0xFFFF]),
        (reg("string", length=1), [0x0141]),
        (reg("string", length=1), [0xC441]),
    ],
)
def test_what_is_no_value_is_never_shown_as_one(register, words):
    with pytest.raises(InvalidReading, match="holding 10"):
        register.decode(words)


def test_the_rest_of_a_register_says_nothing_about_a_part_of_it():
    part = reg(bits=(8, 11), invalid=(0, 0xFFFF))
    assert part.decode([0x0400]) == 4
    assert part.decode([0xFFFE]) == 15
    assert part.encode(15, 0x00FF) == [0x0FFF]


@given(
    st.integers(0, 0xFFFF), st.integers(0, 15), st.integers(0, 15), st.integers(0, 0xFFFF), ORDERS
)
def test_a_part_of_a_register_is_written_and_the_rest_kept(before, low, high, value, order):
    low, high = min(low, high), max(low, high)
    value &= (1 << high - low + 1) - 1
    register = reg(bits=(low, high), byte_order=order)
    after = register.encode(value, before)[0]
    assert register.decode([after]) == value
    swap = (lambda word: word) if order == "big" else (lambda word: word >> 8 | (word & 255) << 8)
    part = ((1 << high - low + 1) - 1) << low
    assert swap(after) & ~part == swap(before) & ~part
    kept, ones = register.mask(value)
    assert before & kept | ones & ~kept == after  # what function 22 does with them


def test_numbers_of_numpy_are_numbers():
    assert reg().encode(np.int64(7)) == [7]
    assert reg("int16", scale=0.1).encode(np.float64(77.3)) == [773]
    assert reg(count=2).encode(np.array([1, 2])) == [1, 2]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8), ORDERS)
def test_texts_come_back(text, order):
    register = reg("string", length=4, byte_order=order)
    if text.endswith(" "):
        return
    assert register.decode(register.encode(text)) == text
