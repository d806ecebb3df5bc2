"""The Watlow F4 driver: its sheet line by line, with a twin on a terminal or scripted registers."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import simulators
from drivers.watlow_f4 import WatlowF4
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
)
from simulators.serve import Simulator
from tests._support import wait_until
from tests.unit.drivers import modbus_fakes
from tests.unit.drivers.modbus_fakes import FakeModbus, fake, pymodbus_server

BOTH = {"inputs": ["temperature", "humidity"]}
SETUP = {
    0: 5270, 1: 12, 2: 34567, 5: 4520, 24: 0, 100: 215, 104: 455, 200: 1, 300: 230, 319: 400,
    600: 1, 602: -420, 603: 1300, 606: 1, 608: 0, 610: 2, 612: 0, 613: 1000, 616: 1, 618: 1,
    901: 1, 4100: 3, 4101: 2, 4119: 1, 4120: 59, 4121: 58,
    1916: 12, 1917: 30, 1918: 5, 1919: 2, 1920: 29, 1921: 2024,
}  # fmt: skip


@pytest.fixture
def twin() -> Iterator[Simulator]:
    # Faster than 19200 baud: what is tested is the conversation.
    made = simulators.start_twin("watlow_f4", time_factor=0.0, seed=1, baud=115200)
    with contextlib.closing(made):
        made.set(noise_c=0)
        made.skip(0.001)
        yield made


opened = partial(modbus_fakes.opened, kind=WatlowF4, name="f4", timeout_s=2.0)


@pytest.fixture
def chamber(twin) -> Iterator[WatlowF4]:
    with opened(twin.url, **BOTH) as driver:
        yield driver


class Registers:
    """Registers that a test fills as it likes; what is not there is inactive: exception 2."""

    def __init__(self, device: FakeModbus) -> None:
        self.words = dict(SETUP)
        self.refused: dict[int, int] = {}
        self.deaf_after: set[int] = set()
        self.written: list[tuple[int, int]] = []
        device.answer_pdu = self

    def __call__(self, unit: int, pdu: bytes) -> bytes | None:
        if pdu[0] == 8:
            return pdu
        address, second = struct.unpack_from(">HH", pdu, 1)
        if pdu[0] == 6:
            return self._write(address, second, pdu)
        words = [self.words.get(address + n) for n in range(second)]
        if pdu[0] != 3 or None in words:
            return bytes((pdu[0] | 0x80, 2))
        return bytes((3, 2 * second)) + struct.pack(f">{second}H", *(w & 0xFFFF for w in words))

    def _write(self, address: int, value: int, pdu: bytes) -> bytes | None:
        if address in self.refused:
            return bytes((0x86, self.refused[address]))
        self.written.append((address, value))
        if address in self.deaf_after:
            return None
        self.words[address] = value
        return pdu


@contextlib.contextmanager
def scripted(**settings: Any) -> Iterator[tuple[WatlowF4, Registers]]:
    with fake(rtu=True) as device:
        registers = Registers(device)
        with opened(device.url_of(), **{**BOTH, **settings}) as driver:
            yield driver, registers


# --- inputs, set-points, and how they are meant ---------------------------------------------------


@pytest.mark.parametrize(
    ("decimals", "word", "value"), [(0, 23, 23), (1, 235, 23.5), (2, -1234, -12.34), (3, 1, 0.001)]
)
def test_decimals_are_read_with_every_number(decimals, word, value):
    with scripted() as (driver, registers):
        registers.words |= {606: decimals, 100: word}
        assert driver.input_value(1) == value
        registers.words[606] = (decimals + 1) % 4
        assert driver.input_value(1) == pytest.approx(word / 10 ** ((decimals + 1) % 4))


def test_a_change_at_the_front_does_not_change_what_is_read(chamber, twin):
    twin.set(chamber_c=-12.34)
    twin.skip(0.0001)
    for decimals in (0, 1, 2):
        chamber.write_register(606, decimals)
        for celsius in (0, 1):
            chamber.write_register(901, celsius)
            assert chamber.input_value(1) == pytest.approx(-12.34, abs=0.51 * 10**-decimals)
            low, high = chamber.set_point_limits(1)
            assert (round(low), round(high)) == (-42, 130)
            assert chamber.input_value(2) == pytest.approx(40, abs=0.2)


def test_a_set_point_is_sent_as_the_controller_is_set_up():
    with scripted() as (driver, registers):
        driver.set_set_point(1, 40.04)
        driver.set_set_point(1, -40)
        registers.words |= {606: 2, 602: -4200, 603: 13000}
        driver.set_set_point(1, 40.04)
        registers.words |= {901: 0, 606: 1, 602: -436, 603: 2660}
        driver.set_set_point(1, 100)
        driver.set_set_point(2, 45.5)
        assert registers.written == [
            (300, 400), (300, 0x10000 - 400), (300, 4004), (300, 2120), (319, 455),
        ]  # fmt: skip


def test_a_set_point_is_what_the_controller_then_has(chamber):
    for value in (35.5, -20.0, 130.0, -42.0):
        chamber.set_set_point(1, value)
        assert chamber.set_point(1) == value
    chamber.set_set_point(2, 55)
    assert chamber.set_point(2) == 55
    assert chamber.set_point(1) == -42.0


def test_a_set_point_outside_of_its_limits_names_them_and_is_not_sent():
    with scripted() as (driver, registers):
        for value in (130.1, -42.1, 1e300):
            with pytest.raises(BadValue, match=r"f4 at .*goes from -42 to 130, as its limits"):
                driver.set_set_point(1, value)
        registers.words[603] = 500
        with pytest.raises(BadValue, match="to 50"):
            driver.set_set_point(1, 60)
        assert registers.written == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({600: 4}, "input 1 is switched off"),
        ({600: 9}, "of an unknown type, 9"),
        ({606: 4}, "has 4 decimals"),
        ({608: 1}, "set up for humidity, and the settings name temperature"),
        ({600: 2, 608: 2}, "set up for pressure"),
        ({608: 7}, "something unknown"),
        ({100: -32768}, "stands at the end"),
        ({100: 32767}, "stands at the end"),
    ],
)
def test_a_number_that_is_none_is_never_a_temperature(changed, says):
    with scripted() as (driver, registers):
        registers.words |= changed
        with pytest.raises(InvalidReading, match=says):
            driver.input_value(1)
        (block,) = driver.plan_reads([driver.channel("input.1"), driver.channel("input.2")])
        first, second = block.read()
        assert isinstance(first, InvalidReading)
        assert second == 45.5
        assert driver.status().errors == 0


def test_an_input_that_is_off_is_not_a_temperature_though_its_registers_are_inactive(twin):
    with opened(twin.url, inputs=["temperature", "humidity", "temperature"]) as chamber:
        with pytest.raises(InvalidReading, match="input 3 is switched off"):
            chamber.input_value(3)
        chamber.write_register(620, 1)
        assert chamber.input_value(3) == 23.0


def test_an_input_that_is_off_is_not_a_temperature_though_its_registers_read_0(twin):
    twin.set(inactive_reads_zero=1)
    with opened(twin.url, inputs=["temperature", "humidity", "temperature"]) as chamber:
        assert chamber.read_holding_registers(108, 1) == [0]
        with pytest.raises(InvalidReading, match="input 3 is switched off"):
            chamber.input_value(3)
        assert chamber.input_value(1) == 23.0


@pytest.mark.parametrize("inactive", [None, 0])
def test_units_that_the_sensor_decides_may_be_inactive(inactive):
    with scripted() as (driver, registers):
        registers.words |= {610: 3}
        for register in (608, 618):
            if inactive is None:
                del registers.words[register]
            else:
                registers.words[register] = inactive
        assert driver.input_value(1) == 21.5
        assert driver.input_value(2) == 45.5
        registers.words[610] = 2
        with pytest.raises((InvalidReading, DeviceRefused), match=r"temperature|exception 2"):
            driver.input_value(2)


@pytest.mark.parametrize("register", [600, 606, 901, 100])
def test_a_reading_whose_set_up_is_refused_is_none(register):
    with scripted() as (driver, registers):
        word = registers.words.pop(register)
        with pytest.raises(DeviceRefused, match=r"illegal data address \(exception 2\)"):
            driver.input_value(1)
        registers.words[register] = word
        assert driver.input_value(1) == 21.5


def test_other_quantities_have_their_own_units_and_are_not_made_celsius():
    with scripted(inputs=["pressure", "process"]) as (driver, registers):
        registers.words |= {600: 2, 608: 2, 618: 3, 901: 0}
        assert (driver.input_value(1), driver.input_value(2)) == (21.5, 45.5)
        assert driver.channel("input.1").item["units"] == "psi"
        assert "units" not in driver.channel("input.2").item


# --- outputs, events, profiles --------------------------------------------------------------------


def test_powers_and_status_words_are_read_as_they_are(chamber, twin):
    chamber.set_set_point(1, 80)
    twin.skip(1)
    assert (chamber.output_percent("1A"), chamber.output_percent("1B")) == (100.0, 0.0)
    assert chamber.channel("output.1A").read() == 100.0
    assert chamber.status_word(1) == 0
    twin.set(chamber_c=150, alarm_high_c=140)
    twin.skip(1)
    status = chamber.channel("status.1")
    assert status.read() == chamber.status_word(1) == 1
    assert status.item["type"] == "mask"
    assert status.item["enumerators"]["15"] == "Bit 15"
    twin.set(chamber_c=23)
    chamber.clear_alarms()
    assert chamber.status_word(1) == 0


def test_events_are_switched_and_digital_inputs_read(chamber, twin):
    chamber.set_event(1, True)
    chamber.set_event(8, True)
    assert [chamber.event(n) for n in range(1, 9)] == [True, *[False] * 6, True]
    assert chamber.read_holding_registers(2070, 1) == [1]
    twin.set(digital_input_4=1)
    assert [chamber.digital_input(n) for n in range(1, 5)] == [False, False, False, True]


def test_a_profile_is_started_held_resumed_and_ended(chamber, twin):
    assert chamber.operation() == 0
    with pytest.raises(DeviceRefused, match=r"exception 2\): it is inactive"):
        chamber.hold_profile()
    chamber.start_profile(1, 2)
    assert (chamber.operation(), chamber.profile_now()) == (2, (1, 2))
    assert chamber.time_left_s() == 300
    with pytest.raises(DeviceRefused, match=r"write register 300: .*it is inactive"):
        chamber.set_set_point(1, 20)
    chamber.hold_profile()
    assert chamber.operation() == 3
    chamber.resume_profile()
    twin.skip(10)
    assert chamber.time_left_s() == 290
    chamber.terminate_profile()
    assert (chamber.operation(), chamber.profile_now()) == (0, (0, 0))
    with pytest.raises(DeviceRefused, match=r"write register 4002: .*\(exception 3\)"):
        chamber.start_profile(9)


def test_an_operation_that_is_unknown_is_not_shown():
    with scripted() as (driver, registers):
        for code, shown in ((0, 0), (1, 0), (2, 2), (3, 3)):
            registers.words[200] = code
            assert driver.operation() == shown
        registers.words[200] = 4
        with pytest.raises(InvalidReading, match=r"f4 at .*register 200"):
            driver.channel("operation").read()


def test_time_left_and_clock_are_put_together():
    with scripted() as (driver, registers):
        assert driver.time_left_s() == 3600 + 59 * 60 + 58
        assert driver.clock() == "2024-02-29 12:30:05"
        registers.words[1921] = 2025
        with pytest.raises(InvalidReading, match="clock"):
            driver.clock()


# --- what is refused, lost or saved ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (1, "illegal function"),
        (2, "inactive as the controller"),
        (3, "out of range; the old value"),
    ],
)
def test_a_refused_write_says_why(code, says):
    with scripted() as (driver, registers):
        registers.refused[300] = code
        with pytest.raises(
            DeviceRefused, match=rf"f4 at .*register 300.*exception {code}\).*"
        ) as e:
            driver.set_set_point(1, 50)
        assert says in str(e.value)
        assert driver.set_point(1) == 23.0


def test_what_starts_something_is_never_sent_twice():
    with scripted(timeout_s=1.0) as (driver, registers):
        registers.deaf_after = {1217}
        registers.words[1217] = 0
        with pytest.raises(DeviceTimeout, match="may or may not have been carried out"):
            driver.terminate_profile()
        assert registers.written == [(1217, 1)]


def test_a_set_point_whose_answer_is_lost_is_sent_again_if_it_did_not_take():
    with scripted(timeout_s=1.0) as (driver, registers):
        lost = registers._write

        def lose_once(address: int, value: int, pdu: bytes) -> bytes | None:
            registers._write = lost
            registers.written.append((address, value))
            return None

        registers._write = lose_once
        driver.set_set_point(1, 50)
        assert registers.written == [(300, 500)] * 2
        assert driver.set_point(1) == 50


def test_writes_spare_the_eeprom_when_they_are_told_to(chamber, twin):
    chamber.set_set_point(1, 30)
    worn = twin.get("eeprom_writes")["eeprom_writes"]
    chamber.set_volatile(True)
    assert chamber.is_volatile() is True
    chamber.set_set_point(1, 31)
    assert twin.get("eeprom_writes")["eeprom_writes"] == worn
    chamber.save_to_eeprom()
    assert twin.get("eeprom_writes")["eeprom_writes"] == worn + 1
    chamber.set_volatile(False)
    chamber.set_set_point(1, 32)
    assert twin.get("eeprom_writes")["eeprom_writes"] == worn + 2


def test_the_setting_that_spares_the_eeprom_is_restored_after_a_loss_of_supply(twin):
    restore = [{"table": "holding", "address": 24, "value": 1}]
    with opened(twin.url, restore=restore, timeout_s=1.0) as chamber:
        assert chamber.is_volatile() is True
        twin.fault("power-cycle", off_s=0.05)
        wait_until(lambda: twin.ask({"cmd": "status"})["powered"])
        wait_until(lambda: chamber.status().state == "Up" and volatile(chamber))


def volatile(chamber: WatlowF4) -> bool:
    try:
        return chamber.is_volatile()
    except DeviceError:
        return False


def test_a_latched_error_of_an_input_is_cleared(chamber, twin):
    chamber.write_register(607, 1)
    twin.set(input_1_broken=1)
    with pytest.raises(InvalidReading):
        chamber.input_value(1)
    twin.set(input_1_broken=0)
    with pytest.raises(InvalidReading):
        chamber.input_value(1)
    chamber.clear_input_errors()
    assert chamber.input_value(1) == 23.0


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.input_value(0),
        lambda it: it.input_value(4),
        lambda it: it.set_point(3),
        lambda it: it.set_set_point(3, 20),
        lambda it: it.set_set_point(1, float("nan")),
        lambda it: it.set_set_point(1, float("inf")),
        lambda it: it.set_set_point(1, "20"),
        lambda it: it.set_set_point(1, None),
        lambda it: it.set_set_point(1, True),
        lambda it: it.set_point_limit(1, "middle"),
        lambda it: it.output_percent("3A"),
        lambda it: it.status_word(5),
        lambda it: it.digital_input(5),
        lambda it: it.event(9),
        lambda it: it.set_event(0, True),
        lambda it: it.set_event(1, 1),
        lambda it: it.set_volatile("no"),
        lambda it: it.start_profile(0),
        lambda it: it.start_profile(257),
        lambda it: it.start_profile(1, 0),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(chamber, twin, call):
    before = twin.get("messages")
    with pytest.raises(BadValue):
        call(chamber)
    assert twin.get("messages") == before


# --- the line, and who is on it -------------------------------------------------------------------


def test_it_speaks_19200_8n1_to_unit_1_where_nobody_says_otherwise():
    with WatlowF4("modbus+rtu:///dev/null") as driver:
        assert driver._line.url == "serial:///dev/null?baud=19200&bits=8&parity=none&stop=1"
        assert driver.unit == 1


def test_another_device_on_the_line_is_named():
    with fake(rtu=True) as device:
        Registers(device).words[0] = 5271
        with opened(device.url_of(), up=False) as driver:
            wait_until(lambda: driver.status().state == "Wrong device")
            with pytest.raises(DeviceError, match="holding 0 should be 5270, but it is 5271"):
                driver.input_value(1)


@pytest.mark.parametrize("kind", ["rtu", "rtu+tcp"])
def test_it_gets_on_with_registers_that_somebody_else_serves(kind):
    holding = {address: [word & 0xFFFF] for address, word in SETUP.items()}
    with (
        pymodbus_server(kind, holding=holding) as url,
        opened(f"{url}?unit=1", **BOTH) as chamber,
    ):
        assert (chamber.input_value(1), chamber.input_value(2)) == (21.5, 45.5)
        chamber.set_set_point(1, -12.5)
        assert chamber.set_point(1) == -12.5
        assert chamber.set_point_limits(1) == (-42, 130)
        assert chamber.time_left_s() == 7198
        with pytest.raises(DeviceRefused, match=r"\(exception 2\): it is inactive"):
            chamber.set_event(1, True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"inputs": []}, "inputs must be a list"),
        ({"inputs": ["temperature"] * 4}, "inputs must be a list"),
        ({"inputs": "temperature"}, "inputs must be a list"),
        ({"inputs": ["temprature"]}, "temperature"),
        ({"input": ["off"]}, "inputs"),
        ({"restore": [{"table": "holding", "address": 24, "value": 70000}]}, "restore.value"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        WatlowF4("modbus+rtu:///dev/null", **settings)


def test_a_damaged_message_is_met_with_silence_and_the_next_one_is_not(chamber, twin):
    good = chamber._frame

    def damaged(pdu: bytes) -> bytes:
        chamber._frame = good
        return good(pdu)[:-1] + b"\0"

    chamber._frame = damaged
    with pytest.raises(DeviceTimeout, match=r"read holding registers 0: .*nothing came back"):
        chamber.read_holding_registers(0, 1)
    assert chamber.read_holding_registers(0, 1) == [5270]


@pytest.mark.parametrize("fault", ["garbage", "truncated", "mute", "silence"])
def test_a_sick_line_gives_errors_and_never_a_wrong_value(twin, fault):
    with opened(twin.url, timeout_s=1.0, **BOTH) as chamber:
        twin.fault(fault, probability=0.3)
        for _ in range(10):
            with contextlib.suppress(DeviceError):
                assert chamber.input_value(1) == 23.0
            with contextlib.suppress(DeviceError):
                assert chamber.input_value(2) == pytest.approx(40, abs=0.2)
        twin.clear_faults()
        chamber.wait_until_up(timeout_s=30)
        wait_until(lambda: answers(chamber))


def answers(chamber: WatlowF4) -> bool:
    try:
        return chamber.input_value(1) == 23.0
    except DeviceError:
        return False


# --- channels -------------------------------------------------------------------------------------


def test_every_channel_describes_itself_reads_and_takes_what_it_has(chamber):
    channels = chamber.channels()
    assert len({channel.path for channel in channels}) == len(channels)
    for channel in channels:
        assert channel.item["description"]
        assert channel.item["settable"] is (channel.write is not None)
        if channel.read is None:
            assert channel.item["range"][0] == 1
            continue
        value = channel.read()
        if channel.write is not None:
            channel.write(value)
            assert channel.read() == value, channel.path
    assert chamber.channel("input.1").item["units"] == "degC"
    assert chamber.channel("setpoint.2").item["units"] == "percent"
    assert chamber.channel("input.1.sensor").item["enumerators"]["1"] == "RTD"
    assert chamber.channel("setpoint.1.low").read() == -42
    assert chamber.channel("setpoint.1.high").read() == 130


def test_what_is_scaled_is_read_in_one_turn_and_the_same_as_one_by_one(chamber):
    paths = ["input.1", "setpoint.1", "setpoint.1.high", "input.2", "setpoint.2.low", "output.1A"]
    planned = chamber.plan_reads([chamber.channel(path) for path in paths])
    assert [len(block.channels) for block in planned] == [5, 1]
    values = {
        channel.path: value
        for block in planned
        for channel, value in zip(block.channels, block.read(), strict=True)
    }
    assert values == pytest.approx({path: chamber.channel(path).read() for path in paths}, abs=0.2)
