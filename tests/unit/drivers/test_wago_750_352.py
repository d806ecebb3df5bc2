"""The WAGO driver: its sheet line by line, on a real socket to a twin or to a scripted coupler."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import simulators
from drivers._wago_modules import KINDS, OUTPUT_KINDS, module_text
from drivers.wago_750_352 import Wago750352
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)
from simulators.serve import Simulator
from tests._support import wait_until
from tests.unit.drivers import modbus_fakes
from tests.unit.drivers.modbus_fakes import FakeModbus, fake, pymodbus_server

DOME = {
    "digital_inputs": 8,
    "digital_outputs": 8,
    "analog_inputs": ["4-20mA", "4-20mA", "+-10V", "+-10V", "pt100-461", "pt100-461"],
    "analog_outputs": ["0-10V", "0-10V"],
}
CONSTANTS = [0, 0xFFFF, 0x1234, 0xAAAA, 0x5555, 0x7FFF, 0x8000, 0x3FFF, 0x4000]


@pytest.fixture
def twin() -> Iterator[Simulator]:
    made = simulators.start_twin("wago_750_352", time_factor=0.0, seed=1)
    with contextlib.closing(made):
        yield made


opened = partial(modbus_fakes.opened, kind=Wago750352, name="io", timeout_s=2.0)


@pytest.fixture
def coupler(twin) -> Iterator[Wago750352]:
    with opened(twin.url, **DOME) as driver:
        yield driver


class Coupler:
    """Registers of a coupler that a test fills as it likes; what it does not have is exception 2.

    ``answers`` has the replies to whole requests, before anything else.
    """

    def __init__(self, device: FakeModbus, analog_inputs: int = 0, analog_outputs: int = 0) -> None:
        self.holding = dict(enumerate([750, 352, 2, 11], 0x2011))
        self.holding |= dict(enumerate(CONSTANTS, 0x2000))
        sizes = [16 * analog_outputs, 16 * analog_inputs, 0, 0]
        self.holding |= dict(enumerate(sizes, 0x1022))
        self.holding |= {0x200 + n: 0 for n in range(analog_outputs)}
        self.inputs = dict.fromkeys(range(analog_inputs), 0)
        self.answers: dict[bytes, bytes | None] = {}
        self.written: list[tuple[int, int]] = []
        device.answer_pdu = self

    def __call__(self, unit: int, pdu: bytes) -> bytes | None:
        if pdu in self.answers:
            return self.answers[pdu]
        address, second = struct.unpack_from(">HH", pdu, 1)
        if pdu[0] == 6:
            self.written.append((address, second))
            if address + 0x200 in self.holding:
                self.holding[address + 0x200] = second
            return pdu
        words = [
            (self.holding if pdu[0] == 3 else self.inputs).get(address + n) for n in range(second)
        ]
        if pdu[0] not in (3, 4) or None in words:
            return bytes((pdu[0] | 0x80, 2))
        return bytes((pdu[0], 2 * second)) + struct.pack(f">{second}H", *words)


@contextlib.contextmanager
def scripted(inputs: list[str] = (), outputs: list[str] = ()) -> Iterator[tuple[Any, Coupler]]:
    with fake() as device:
        coupler = Coupler(device, len(inputs), len(outputs))
        settings = {"analog_inputs": list(inputs), "analog_outputs": list(outputs)}
        with opened(device.url_of(), **settings) as driver:
            yield driver, coupler


# --- digital --------------------------------------------------------------------------------------


def test_digital_inputs_are_counted_from_one_in_the_order_of_the_modules(coupler, twin):
    assert [coupler.digital_input(n) for n in range(1, 9)] == coupler.digital_inputs()
    assert coupler.digital_inputs() == [False, True, True, True, True, False, False, False]
    twin.set(rain=1, door_closed=0)
    assert (coupler.digital_input(5), coupler.digital_input(6)) == (False, True)


def test_outputs_are_written_and_read_back_behind_the_inputs(coupler, twin):
    coupler.set_digital_output(5, True)
    assert coupler.digital_output(5) is True
    assert coupler.digital_output(4) is False
    assert twin.get("output_4") == {"output_4": 1.0}
    coupler.set_digital_output(5, False)
    assert twin.get("output_4") == {"output_4": 0.0}
    # Reading 0 and up gives the inputs: that output 1 is on must not be found there.
    coupler.set_digital_output(1, True)
    assert coupler.digital_output(1) is True
    assert coupler.digital_input(1) is False


# --- analog ---------------------------------------------------------------------------------------


def test_analog_values_are_those_that_the_inputs_are_wired_to(coupler, twin):
    twin.set(humidity_percent=75, wind_m_s=12.5, shutter=0.5, air_c=-12.3, structure_c=21.7)
    twin.skip(0.001)
    assert coupler.analog_input(1) == pytest.approx(4 + 0.75 * 16, abs=0.1)
    assert coupler.analog_input(2) == pytest.approx(8.0, abs=0.001)
    assert coupler.analog_input(3) == pytest.approx(5.0, abs=0.001)
    assert coupler.analog_input(4) == 0.0
    assert coupler.analog_input(5) == -12.3
    assert coupler.analog_input(6) == 21.7


def test_a_broken_wire_of_a_750_461_is_never_a_temperature(coupler, twin):
    twin.set(air_wire_broken=1)
    twin.skip(0.001)
    with pytest.raises(InvalidReading, match=r"io at .*input 4 is -1, which means: no value"):
        coupler.analog_input(5)
    assert coupler.analog_input(6) == pytest.approx(12, abs=0.2)


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        ("raw", 0xFFFF, 65535),
        ("signed", 0x8000, -32768),
        ("4-20mA", 0, 4.0),
        ("4-20mA", 0x7FFF, 20.0),
        ("4-20mA", 0x3FFF, 12.0),
        ("0-20mA", 0x7FFF, 20.0),
        ("0-10V", 0x7FFF, 10.0),
        ("+-10V", 0x7FFF, 10.0),
        ("+-10V", 0x8001, -10.0),
        ("pt100", 0xFFFF, -0.1),
        ("pt100", 8500, 850.0),
        ("pt100-461", 0xFFFE, -0.2),
    ],
)
def test_words_are_scaled_as_the_sheet_says(kind, word, value):
    with scripted([kind]) as (driver, coupler):
        coupler.inputs[0] = word
        assert driver.analog_input(1) == pytest.approx(value, abs=0.0003)
        channel = driver.channel("ai.1")
        assert channel.read() == driver.analog_input(1)
        assert channel.item.get("units") == KINDS[kind].units


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("4-20mA", 0x8000),
        ("4-20mA", 0xFFFF),
        ("0-20mA", 0xFFFF),
        ("0-10V", 0xFFFF),
        ("+-10V", 0x8000),
        ("pt100", 0x7FFF),
        ("pt100", 0x8000),
        ("pt100", 8501),
        ("pt100-461", 0xFFFF),
        ("pt100-461", 0x7FFF),
    ],
)
def test_a_word_that_no_sensor_can_cause_is_not_a_value(kind, word):
    with scripted([kind]) as (driver, coupler):
        coupler.inputs[0] = word
        with pytest.raises(InvalidReading, match="input 0"):
            driver.analog_input(1)
        assert driver.status().errors == 0


@pytest.mark.parametrize(
    ("kind", "value", "word"),
    [
        ("4-20mA", 4, 0),
        ("4-20mA", 20, 0x7FFF),
        ("0-10V", 5, 0x4000),
        ("+-10V", -10, 0x8001),
        ("raw", 65535, 0xFFFF),
        ("signed", -1, 0xFFFF),
    ],
)
def test_outputs_are_set_in_the_units_of_their_kind(kind, value, word):
    with scripted(outputs=["raw", kind]) as (driver, coupler):
        driver.set_analog_output(2, value)
        assert coupler.written == [(1, word)]
        assert driver.analog_output(2) == pytest.approx(value, abs=0.0003)


def test_every_kind_of_output_takes_both_ends_of_its_range():
    with scripted(outputs=list(OUTPUT_KINDS)) as (driver, _):
        for n, kind in enumerate(OUTPUT_KINDS, 1):
            assert KINDS[kind].range is not None
            assert driver.channel(f"ao.{n}").item["range"] == list(KINDS[kind].range)
            for end in KINDS[kind].range:
                driver.set_analog_output(n, end)
                assert driver.analog_output(n) == pytest.approx(end, abs=0.0003)


def test_an_output_that_does_not_read_back_is_refused():
    with scripted(outputs=["0-10V"]) as (driver, coupler):
        coupler.answers[bytes.fromhex("06 0000 7fff")] = bytes.fromhex("06 0000 7fff")
        with pytest.raises(DeviceRefused, match=r"10.0 was written.*holding 512 holds \[0\]"):
            driver.set_analog_output(1, 10)


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.digital_input(0),
        lambda it: it.digital_input(9),
        lambda it: it.digital_input("1"),
        lambda it: it.digital_output(-1),
        lambda it: it.set_digital_output(1, 1),
        lambda it: it.set_digital_output(1, "on"),
        lambda it: it.set_digital_output(9, True),
        lambda it: it.analog_input(7),
        lambda it: it.analog_output(3),
        lambda it: it.set_analog_output(1, 10.01),
        lambda it: it.set_analog_output(1, -0.01),
        lambda it: it.set_analog_output(1, float("nan")),
        lambda it: it.set_analog_output(1, "5"),
        lambda it: it.set_analog_output(1, None),
        lambda it: it.set_analog_output(1, True),
        lambda it: it.set_watchdog_time_s(-1),
        lambda it: it.set_watchdog_time_s(6554),
        lambda it: it.set_watchdog_time_s(0.05),
        lambda it: it.set_watchdog_time_s("10"),
        lambda it: it.set_watchdog_functions(1 << 6),
        lambda it: it.set_watchdog_functions(-1),
        lambda it: it.set_watchdog_functions(1.0),
        lambda it: it.text("date of birth"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(coupler, twin, call):
    before = twin.get("messages")
    with pytest.raises(BadValue):
        call(coupler)
    assert twin.get("messages") == before


# --- the watchdog ---------------------------------------------------------------------------------


def test_an_expired_watchdog_is_named_when_it_refuses_a_write(coupler, twin):
    coupler.set_digital_output(5, True)
    coupler.set_watchdog_time_s(5)
    assert (coupler.watchdog_time_s(), coupler.watchdog_status()) == (5.0, 1)
    twin.skip(5.1)
    assert coupler.watchdog_status() == 2
    assert coupler.digital_output(5) is False
    for write in (
        lambda: coupler.set_digital_output(5, True),
        lambda: coupler.set_analog_output(1, 5),
    ):
        with pytest.raises(DeviceRefused, match=r"\(exception 4\); its watchdog has expired"):
            write()
    coupler.restart_watchdog()
    assert coupler.digital_output(5) is False
    coupler.set_digital_output(5, True)
    assert coupler.digital_output(5) is True


def test_a_failure_that_is_not_the_watchdog_is_not_blamed_on_it(coupler, twin):
    twin.fault("exception", code=4, count=1)
    with pytest.raises(DeviceRefused, match=r"watchdog is not the reason \(Off\)"):
        coupler.set_digital_output(1, True)
    twin.fault("exception", code=4)
    with pytest.raises(DeviceRefused, match="may have expired, but that could not be asked"):
        coupler.set_digital_output(1, True)
    twin.fault("exception", code=2, count=1)
    with pytest.raises(DeviceRefused, match=r"illegal data address \(exception 2\)$"):
        coupler.set_digital_output(1, True)


def test_the_watchdog_is_triggered_by_hand_when_no_request_does(coupler, twin):
    coupler.set_watchdog_functions(0)
    assert coupler.watchdog_functions() == 0
    coupler.set_watchdog_time_s(2)
    for _ in range(3):
        twin.skip(1.5)
        coupler.trigger_watchdog()
    assert coupler.watchdog_status() == 1
    twin.skip(1.5)
    assert coupler.watchdog_status() == 1  # which has not triggered it
    twin.skip(1)
    assert coupler.watchdog_status() == 2


def test_only_chosen_requests_trigger_the_watchdog(coupler, twin):
    channel = coupler.channel("watchdog.functions")
    every = {str(code - 1) for code in (1, 2, 3, 4, 5, 6, 15, 16, 23)}
    assert set(channel.item["enumerators"]) == {*every, "None"}
    assert channel.read() == sum(1 << int(bit) for bit in every)
    channel.write(1 << 4)
    assert channel.read() == 1 << 4
    coupler.set_watchdog_time_s(2)
    twin.skip(1.5)
    coupler.set_digital_output(1, True)
    twin.skip(1.5)
    assert coupler.watchdog_status() == 1
    coupler.digital_inputs()
    twin.skip(1)
    assert coupler.watchdog_status() == 2


def test_the_watchdog_can_be_stopped(coupler, twin):
    coupler.set_watchdog_time_s(1)
    coupler.stop_watchdog()
    twin.skip(100)
    assert coupler.watchdog_status() == 0


def test_a_state_of_the_watchdog_that_is_unknown_is_not_shown():
    with scripted() as (driver, coupler):
        coupler.holding[0x1006] = 7
        with pytest.raises(InvalidReading, match="holding 4102 is 7"):
            driver.watchdog_status()
        coupler.holding[0x1006] = 1
        assert driver.channel("watchdog.status").read() == 1


# --- who it is ------------------------------------------------------------------------------------


def test_the_coupler_tells_who_it_is(coupler):
    assert coupler.mac_address() == "00:30:de:42:03:52"
    assert coupler.firmware() == "2.11"
    assert coupler.led_error() == (0, 0)
    assert coupler.text("description") == "750-352 Ethernet coupler"
    assert coupler.text("date") == "24.11.2020"
    assert coupler.text("time") == "10:24:00"
    assert coupler.text("loader") == "Programmed by WAGO"


def test_the_module_list_is_told_in_words(coupler):
    assert coupler.module_list() == (
        "750-352", "8 digital inputs", "8 digital outputs",
        "750-454", "750-456", "750-461", "750-550",
    )  # fmt: skip
    assert module_text(0x8403) == "4 digital inputs and outputs"
    assert module_text(0x8200) == "2 digital channels"


def test_a_long_module_list_goes_on_in_the_next_ones():
    with scripted() as (driver, coupler):
        coupler.answers[bytes.fromhex("03 2030 0041")] = (
            b"\x03\x82" + b"\x01\x60" + b"\x82\x01" * 64
        )
        coupler.answers[bytes.fromhex("03 2031 0040")] = b"\x03\x80\x01\xc6" + b"\0" * 126
        found = driver.module_list()
        assert len(found) == 66
        assert (found[0], found[64], found[65]) == ("750-352", "2 digital inputs", "750-454")


def test_a_text_that_is_none_is_not_shown():
    with scripted() as (driver, coupler):
        coupler.answers[bytes.fromhex("03 2021 0008")] = b"\x03\x10" + b"\xff" * 16
        with pytest.raises(InvalidReading, match="no text"):
            driver.text("time")
        with pytest.raises(DeviceRefused, match="illegal data address"):
            driver.text("date")


def test_it_gets_on_with_registers_that_somebody_else_serves():
    holding = {
        0x200: [0], 0x1000: [0], 0x1006: [0], 0x1020: [0, 0], 0x1022: [0, 32, 16, 8],
        0x1031: [0x0030, 0xDE42, 0x0352], 0x2000: CONSTANTS, 0x2011: [750, 352, 2, 11],
    }  # fmt: skip
    settings = {"digital_inputs": 8, "digital_outputs": 16, "analog_inputs": ["raw"] * 2}
    with (
        pymodbus_server("tcp", holding=holding) as url,
        opened(f"{url}?unit=1", **settings) as coupler,
    ):
        assert coupler.digital_inputs() == [True] * 8
        coupler.set_digital_output(16, True)
        assert [coupler.digital_output(n) for n in (15, 16)] == [False, True]
        assert coupler.analog_input(2) == 1
        coupler.set_watchdog_time_s(30)
        assert coupler.watchdog_time_s() == 30
        assert coupler.mac_address() == "00:30:de:42:03:52"
        with pytest.raises(DeviceRefused, match="illegal data address"):
            coupler.module_list()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"digital_inputs": 16}, "8 digital inputs, and the settings name 16"),
        ({"digital_outputs": 0}, "set digital_outputs"),
        ({"analog_inputs": ["pt100"]}, "6 analog inputs, and the settings name 1"),
        ({"analog_outputs": []}, r"2 analog outputs.* it finds 750-352, 8 digital inputs, .*750-5"),
    ],
)
def test_other_modules_than_the_settings_name_are_the_wrong_device(twin, settings, says):
    with opened(twin.url, up=False, **{**DOME, **settings}) as driver:
        wait_until(lambda: driver.status().state == "Wrong device")
        with pytest.raises(DeviceError, match=says):
            driver.digital_inputs()


@pytest.mark.parametrize(
    ("register", "value", "says"),
    [
        (0x2012, 841, r"should be \[750, 352\], but it is \[750, 841\]"),
        (0x2011, 753, r"should be \[750, 352\], but it is \[753, 352\]"),
        (0x2002, 0x3412, "its constants at 0x2000 are"),
    ],
)
def test_another_device_or_another_byte_order_is_named(register, value, says):
    with fake() as device:
        coupler = Coupler(device)
        coupler.holding[register] = value
        with opened(device.url_of(), up=False) as driver:
            wait_until(lambda: driver.status().state == "Wrong device")
            with pytest.raises(DeviceError, match=says):
                driver.firmware()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"digital_inputs": -1}, "digital_inputs must be a whole number"),
        ({"digital_outputs": 1000}, "digital_outputs"),
        ({"digital_outputs": True}, "digital_outputs"),
        ({"analog_inputs": "4-20mA"}, "analog_inputs must be a list"),
        ({"analog_inputs": ["4-20"]}, "did you mean 4-20mA|4-20mA"),
        ({"analog_outputs": ["pt100"]}, "analog_outputs"),
        ({"restore": [{"table": "input", "address": 0, "value": 1}]}, "cannot be written"),
        ({"analog_input": []}, "analog_inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        Wago750352("modbus+tcp://127.0.0.1", **settings)


def test_the_port_is_502_and_the_unit_1_where_nobody_says_otherwise():
    with Wago750352("modbus+tcp://192.168.10.30") as driver:
        assert driver.place == "tcp://192.168.10.30:502?unit=1"


# --- channels, restore, faults --------------------------------------------------------------------


def test_every_channel_describes_itself_reads_and_takes_what_it_has(coupler):
    channels = coupler.channels()
    assert len({channel.path for channel in channels}) == len(channels)
    for channel in channels:
        assert channel.item["description"]
        assert channel.item["settable"] is (channel.write is not None)
        if channel.read is None:
            assert channel.item["range"] == [1, 1]
            continue
        value = channel.read()
        if channel.write is not None:
            channel.write(value)
            assert channel.read() == value, channel.path


def test_inputs_and_outputs_of_a_kind_are_read_in_one_exchange(coupler, twin):
    paths = [f"{kind}.{n}" for kind in ("di", "do", "ai") for n in range(1, 7)]
    planned = coupler.plan_reads([coupler.channel(path) for path in paths])
    assert [block.what for block in planned] == ["coil 512-517", "discrete 0-5", "input 0-5"]
    before = twin.get("messages")["messages"]
    values = {
        channel.path: value
        for block in planned
        for channel, value in zip(block.channels, block.read(), strict=True)
    }
    assert twin.get("messages")["messages"] == before + 3
    one_by_one = {path: coupler.channel(path).read() for path in paths}
    assert values == pytest.approx(one_by_one, abs=0.1)


def test_a_broken_wire_among_good_ones_spoils_only_itself(coupler, twin):
    twin.set(air_wire_broken=1)
    twin.skip(0.001)
    (block,) = coupler.plan_reads([coupler.channel(f"ai.{n}") for n in (4, 5, 6)])
    found = block.read()
    assert isinstance(found[1], InvalidReading)
    assert [found[0], found[2]] == [0.0, pytest.approx(12, abs=0.2)]


def test_all_that_can_be_polled_is_read_without_a_refusal(coupler, twin, caplog):
    readable = [one for one in coupler.channels() if one.read is not None]
    for block in coupler.plan_reads(readable):
        block.read()
    assert not caplog.records
    assert coupler.status().errors == 0


def test_settings_are_restored_on_connect(twin):
    restore = [
        {"table": "holding", "address": 0x1000, "value": 300},
        {"table": "coil", "address": 0x203, "value": True},
    ]
    with opened(twin.url, restore=restore, **DOME) as driver:
        assert driver.watchdog_time_s() == 30
        assert driver.digital_output(4) is True


def test_a_restore_that_the_watchdog_refuses_says_so_and_one_that_restarts_it_helps(twin):
    heater = {"table": "coil", "address": 0x203, "value": True}
    restart = {"table": "holding", "address": 0x1007, "value": 1}
    with opened(twin.url, **DOME) as driver:
        driver.set_watchdog_time_s(1)
        twin.skip(1.1)
    with opened(twin.url, up=False, restore=[heater], **DOME) as driver:
        wait_until(lambda: "its watchdog has expired" in driver.status().error)
        assert driver.status().state != "Up"
    with opened(twin.url, restore=[restart, heater], **DOME) as driver:
        assert driver.digital_output(4) is True


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("82 01", DeviceRefused),
        ("82 02", DeviceRefused),
        ("82 03", DeviceRefused),
        ("82 04", DeviceRefused),
        ("82 63", DeviceRefused),
        ("02 02 00 00", ProtocolMismatch),
        ("02 00", ProtocolMismatch),
        ("02", ProtocolMismatch),
        ("03 02 00 01", ProtocolMismatch),
        ("01 01 01", ProtocolMismatch),
    ],
)
def test_an_exception_or_a_reply_that_cannot_be_is_never_a_value(reply, error):
    with fake() as device:
        coupler = Coupler(device)
        coupler.holding[0x1025] = 1
        coupler.answers[bytes.fromhex("02 0000 0001")] = bytes.fromhex(reply)
        with opened(device.url_of(), digital_inputs=1, timeout_s=1.0) as driver:
            with pytest.raises((error, DeviceTimeout)):
                driver.digital_input(1)
            coupler.answers[bytes.fromhex("02 0000 0001")] = bytes.fromhex("02 01 01")
            assert driver.digital_input(1) is True


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "illegal function"),
        (2, "illegal data address"),
        (3, "illegal data value"),
        (4, "server device failure"),
    ],
)
def test_each_exception_is_told_in_words(coupler, twin, code, words):
    twin.fault("exception", code=code, count=1)
    with pytest.raises(DeviceRefused, match=rf"io at .*{words} \(exception {code}\)"):
        coupler.analog_input(1)
