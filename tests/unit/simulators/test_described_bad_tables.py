"""Whatever stands in the tables that describe a device: a twin, or an error that says what."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators._described_modbus import DescribedModbus
from simulators._described_text import DescribedText
from simulators.device import Device, SimulatorError
from simulators.modbus import ModbusError, Table

TEXT = tomllib.loads(r"""
[settings]
terminator = "\r\n"
prefix = "\u0002"
identify = {ask = "*IDN?", reply = "ACME,.*"}
start = ["A", {ask = "B", reply = "c+"}, {tell = "X", ack = "OK"}]
restore = ["RR 1"]
refused = "ERR.*"
busy = "BUSY"
error_query = {ask = "SYST:ERR?", ok = "\\+?0,.*"}
checksum = {name = "sum8-hex", on = "received"}
handshake = {ack = "\u0006", nak = "\u0015", enquiry = "\u0005", bare = true}
no_value = "OVER|UNDER"
encoding = "latin-1"
echo = true
ignore = "\u0011"
min_gap_s = 0.1

[items.p]
ask = "PR1"
reply = "{status:d},{value:g}"
valid = {status = [0, 1]}
reasons = {status = {2 = "x"}}
plausible = [1, 10]
scale = 2
offset = 1
simulate = 3
units = {"" = "mbar"}

[items.q]
ask = "Q{unit:02d}"
tell = "Q {value:.2f}"
ack = "OK"
range = [0, 10]
tracks = {item = "p"}

[items.m]
ask = "M"
values = {ON = true, OFF = false}
tell = "M {value}"
type = "boolean"

[items.e]
ask = "E"
type = "enumerated"
enumerators = {0 = "a", 1 = "b"}
values = {A = "a", B = "b"}
simulate = "b"

[items.arr]
ask = "ARR"
reply = "{a:g},{b:5.1f}"
field = ["a", "b"]
type = "numeric array"
tell = "ARR {a},{b}"
simulate = [1, 2]

[items.h]
heard = "W{value:d}"
silence_s = 2
""")
MODBUS = tomllib.loads(r"""
[settings]
words = "little"
bytes = "big"
numbering = "protocol"
max_registers = 20
max_bits = 100
max_gap = 3
min_gap_s = 0.1
holes = {holding = [[30, 39]]}
identify = {table = "holding", address = 100, value = 7}
restore = [{table = "coil", address = 4, value = 1}]

[items.a]
register = {table = "input", address = 1, type = "float32", scale = 2.0, offset = 1, invalid = [5]}
range = [0, 10]
tracks = {item = "b"}

[items.b]
register = {table = "holding", address = 10, bits = [0, 3]}
enumerators = {0 = "a", 1 = "b"}
simulate = "b"

[items.c]
register = {table = "holding", address = 11, type = "string", length = 4}
simulate = "xx"

[items.d]
register = {table = "holding", address = 20, type = "int16", count = 3, write_address = 40}
simulate = [1, 2, 3]

[items.f]
register = {table = "holding", address = 25, type = "bcd32"}
plausible = [0, 10]

[items.g]
register = {table = "discrete", address = 2, count = 4}
""")

ODD: list[Any] = [
    *(True, False, 0, 1, -1, 3, 1.5, float("nan"), float("inf"), 10**30),
    *(
        "",
        "x",
        "{",
        "}",
        "{value",
        "{value:q}",
        "{value:d}",
        "{a:g}{b:g}",
        "{unit}",
        "(",
        "[",
        "\\",
    ),
    *("0", "1", "p", "q", "€", "status", "holding", "string", "utf-8", "int64", "bool", "modicon"),
    *([], [1], ["a"], [[1]], [1, 2], ["x", 3], [{}], [{"table": "coil", "address": 1, "value": 1}]),
    *({}, {"a": 1}, {"value": 0}, {"ask": 3}, {"tell": "X"}, {"1": "a"}, {"x": {"y": 1}}),
]
KEYS = ("simulate", "range", "limits", "enumerators", "values", "field", "reply", "valid", "tracks")


def places(table: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        if at and at != ("items",):
            yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


def changed(good: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """Return *good* with something odd in one or two places, and perhaps beside them."""
    table = copy.deepcopy(good)
    odd = st.sampled_from(ODD)
    for place in data.draw(st.lists(st.sampled_from(list(places(good))), min_size=1, max_size=2)):
        put(table, place, data.draw(odd))
    if data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(table["items"])))
        put(table, ("items", key, data.draw(st.sampled_from(KEYS))), data.draw(odd))
    return table


def put(table: Any, place: tuple[Any, ...], value: Any) -> None:
    """Put *value* into its place, unless that has gone already."""
    *outer, last = place
    for key in outer:
        known = range(len(table)) if isinstance(table, list) else table
        if not isinstance(table, dict | list) or key not in known:
            return
        table = table[key]
    if isinstance(table, dict) or (isinstance(table, list) and last in range(len(table))):
        table[last] = copy.deepcopy(value)


def use(device: Device) -> None:
    """Do what the shell and the control port do with it."""
    device.step(5)
    device.take_unasked()
    for quantity in device.quantities().values():
        quantity.read()
        for value in (0, 1, 2.5, -3, 1e6):
            if quantity.write is not None:
                try:
                    quantity.write(value)
                except SimulatorError:
                    continue
        quantity.read()


@settings(deadline=None)
@given(st.data())
def test_a_text_twin_is_made_or_says_what_is_wrong(data: st.DataObject) -> None:
    table = changed(TEXT, data)
    try:
        device = DescribedText("g", table["settings"], table["items"], unit=3)
    except SimulatorError as error:
        assert str(error).startswith(("controllers.g", "items."))
        return
    use(device)
    framer = device.framer()
    for message in (b"*IDN?", b"PR1", b"Q03", b"Q 5", b"Q x", b"M ON", b"E", b"ARR 1,2", b"\xff\0"):
        for whole in [*framer.feed(message + b"\r\n"), b"\x02" + message, b"\x05", message]:
            device.answer(whole)


@settings(deadline=None)
@given(st.data())
def test_a_modbus_twin_is_made_or_says_what_is_wrong(data: st.DataObject) -> None:
    table = changed(MODBUS, data)
    try:
        device = DescribedModbus("m", table["settings"], table["items"])
    except SimulatorError as error:
        assert str(error).startswith(("controllers.m", "items."))
        return
    use(device)
    for address in (0, 1, 2, 4, 10, 11, 20, 25, 30, 40, 100):
        for words in ([0], [1, 0], [0xFFFF, 0x7FC0]):
            for attempt in (
                lambda address=address, words=words: device.write_words(address, words),
                lambda address=address: device.write_bits(address, [True]),
                lambda address=address: device.read_words(Table.HOLDING_REGISTERS, address, 2),
                lambda address=address: device.read_bits(Table.COILS, address, 2),
            ):
                try:
                    attempt()
                except ModbusError:
                    continue


@pytest.mark.parametrize("good", [TEXT, MODBUS])
def test_the_tables_are_good_to_begin_with(good: dict[str, Any]) -> None:
    make = DescribedText if good is TEXT else DescribedModbus
    use(make("g", good["settings"], good["items"], unit=3))
