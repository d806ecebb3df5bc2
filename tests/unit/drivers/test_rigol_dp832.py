"""The Rigol DP832 driver against a table of replies, written from the sheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from drivers.rigol_dp832 import Measured, RigolDP832
from drivers.scpi import ErrorEntry, NoNumber, to_entry, to_flag, to_float
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.scripted_fakes import (
    ScriptedInstrument,
    assert_described,
    behind,
    values_of,
)

IDN = "RIGOL TECHNOLOGIES,DP832,DP8C123456789,00.01.14"
NO_ERROR = '0,"No error"'


class Quick(RigolDP832):
    """Does not rest between messages, which only a real one needs."""

    line_defaults = replace(RigolDP832.line_defaults, min_gap_s=0.0)


class Supply(ScriptedInstrument):
    """A table of replies, and an error queue."""

    def __init__(self) -> None:
        super().__init__()
        self.replies = {
            "*IDN?": IDN,
            "*OPT?": "0",
            ":MEAS:ALL? CH1": "5.001,0.1234,0.617",
            ":MEAS? CH1": "5.001",
            ":MEAS:CURR? CH1": "0.1234",
            ":SOUR1:VOLT?": "5.000",
            ":SOUR1:CURR?": "1.0000",
            ":APPL? CH1": "CH1:30V/3A,5.000,1.0000",
            ":OUTP? CH1": "ON",
            ":OUTP:MODE? CH1": "CV",
            ":OUTP:OVP:VAL? CH1": "8.000",
            ":OUTP:OVP? CH1": "ON",
            ":OUTP:OVP:QUES? CH1": "NO",
            ":OUTP:OCP:VAL? CH1": "1.5000",
            ":OUTP:OCP? CH1": "OFF",
            ":OUTP:OCP:QUES? CH1": "YES",
        }
        self.queue: list[str] = []
        self.refused: dict[str, str] = {}
        self.sets: list[str] = []

    def reply_to(self, message: str) -> str | None:
        if message == ":SYST:ERR?":
            return self.queue.pop(0) if self.queue else NO_ERROR
        if message in self.replies:
            return self.replies[message]
        if "?" in message:
            self.queue.append('-113,"Undefined header"')
        elif message in self.refused:
            self.queue.append(self.refused[message])
        else:
            self.sets.append(message)
        return None


def opened(supply: Supply, **settings: Any) -> RigolDP832:
    return behind(supply, Quick, "psu", **settings)


@pytest.fixture
def supply() -> Supply:
    return Supply()


@pytest.fixture
def psu(supply) -> Iterator[RigolDP832]:
    with opened(supply) as made:
        made.wait_until_up()
        supply.written.clear()
        yield made


def test_what_is_read_is_what_the_instrument_says(psu, supply):
    assert psu.measured(1) == Measured(5.001, 0.1234, 0.617)
    assert (psu.voltage_v(1), psu.current_a(1)) == (5.001, 0.1234)
    assert psu.setpoints(1) == (5.0, 1.0)
    assert (psu.setpoint_v(1), psu.setpoint_a(1)) == (5.0, 1.0)
    assert psu.output(1) is True
    assert psu.regulation_mode(1) == 1
    assert (psu.over_voltage_level_v(1), psu.over_current_level_a(1)) == (8.0, 1.5)
    assert (psu.over_voltage_enabled(1), psu.over_current_enabled(1)) == (True, False)
    assert (psu.over_voltage_tripped(1), psu.over_current_tripped(1)) == (False, True)
    assert psu.identity() == IDN
    assert psu.options() == "0"
    assert ":SYST:ERR?" not in supply.asked


def test_settings_are_sent_as_the_sheet_has_them_and_the_queue_is_read_after_each(psu, supply):
    psu.set_setpoint_v(1, 5)
    psu.set_setpoint_a(3, 0.125)
    psu.set_output(1, True)
    psu.set_output(2, False)
    psu.set_over_voltage_level_v(1, 8)
    psu.set_over_voltage_enabled(1, True)
    psu.clear_over_voltage(1)
    psu.set_over_current_level_a(1, 1.5)
    psu.set_over_current_enabled(1, False)
    psu.clear_over_current(2)
    assert supply.sets == [
        ":SOUR1:VOLT 5", ":SOUR3:CURR 0.125", ":OUTP CH1,ON", ":OUTP CH2,OFF",
        ":OUTP:OVP:VAL CH1,8", ":OUTP:OVP CH1,ON", ":OUTP:OVP:CLEAR CH1", ":OUTP:OCP:VAL CH1,1.5",
        ":OUTP:OCP CH1,OFF", ":OUTP:OCP:CLEAR CH2",
    ]  # fmt: skip
    assert supply.asked[1::2] == [":SYST:ERR?"] * 10


@pytest.mark.parametrize(
    "entry",
    [
        '-113,"Undefined header"',
        '-222,"Data out of range"',
        '-224,"Illegal parameter value"',
        '7,"Something of its own"',
    ],
)
def test_a_refusal_names_the_command_and_the_entry(psu, supply, entry):
    supply.refused[":SOUR1:VOLT 30"] = entry
    with pytest.raises(DeviceRefused, match=f"psu at .*':SOUR1:VOLT 30'.*{entry}"):
        psu.set_setpoint_v(1, 30)
    psu.set_setpoint_v(1, 3)
    assert supply.sets == [":SOUR1:VOLT 3"]


def test_the_queue_is_emptied_after_a_refusal(psu, supply):
    supply.queue = ['-200,"Execution error"', '-222,"Data out of range"']
    with pytest.raises(DeviceRefused, match=r"-200.*-222"):
        psu.set_output(1, True)
    assert supply.queue == []
    psu.set_output(1, True)


def test_an_old_error_is_not_blamed_on_the_first_command(supply):
    supply.queue = ['-113,"Undefined header"'] * 3
    with opened(supply) as psu:
        psu.set_output(1, True)
    assert supply.sets == [":OUTP CH1,ON"]


def test_a_queue_without_an_end_is_an_error(psu, supply):
    supply.mangle = lambda message, reply: b'-1,"x"\n' if message == ":SYST:ERR?" else reply
    with pytest.raises(ProtocolMismatch, match="no end"):
        psu.set_output(1, True)


def test_a_query_that_it_does_not_know_is_refused_with_the_entry_of_the_queue(psu, supply):
    with pytest.raises(DeviceRefused, match=r"':NONSENSE\?' was not answered.*-113"):
        psu.raw(":NONSENSE?")
    assert supply.queue == []
    assert psu.voltage_v(1) == 5.001


def test_silence_with_an_empty_queue_is_a_timeout_that_says_so(psu, supply):
    supply.mangle = lambda message, reply: b"" if message == ":MEAS? CH1" else reply
    with pytest.raises(DeviceTimeout, match="error queue of the instrument is empty"):
        psu.voltage_v(1)
    supply.mangle = lambda _message, reply: reply
    assert psu.voltage_v(1) == 5.001


def test_an_instrument_that_is_silent_altogether_is_a_timeout_and_no_refusal(psu, supply):
    supply.mangle = lambda _message, _reply: b""
    with pytest.raises(DeviceTimeout, match="cannot be read either"):
        psu.voltage_v(1)
    supply.mangle = lambda _message, reply: reply
    psu.wait_until_up()
    assert psu.voltage_v(1) == 5.001


def test_an_error_of_a_command_whose_answer_was_lost_is_not_blamed_on_the_next_one(psu, supply):
    supply.refused[":SOUR1:VOLT 30"] = '-222,"Data out of range"'
    supply.mangle = lambda message, reply: b"" if message == ":SYST:ERR?" else reply
    with pytest.raises(DeviceTimeout, match="may or may not"), psu.turn():
        try:
            psu.set_setpoint_v(1, 30)
        finally:
            supply.mangle = lambda _message, reply: reply
            supply.queue = ['-222,"Data out of range"']
    psu.set_setpoint_v(1, 3)
    assert supply.sets == [":SOUR1:VOLT 3"]


def test_a_late_entry_of_the_queue_is_told_though_nobody_waits_for_it(psu, supply):
    supply.mangle = lambda message, reply: b"" if message == ":SYST:ERR?" else reply
    with pytest.raises(DeviceTimeout), psu.turn():
        try:
            psu.set_output(1, True)
        finally:
            supply.mangle = lambda _message, reply: reply
            supply.arrive(b'-222,"Data out of range"\n')
    wait_until(lambda: "-222" in psu.status().error)


@pytest.mark.parametrize(
    "reply",
    ["", "5.001", "5.001,0.1234", "5.001,0.1234,", "5.001,,0.617", "5.001,0.1234,0.617,1",
     "5.001,0.1234,nan0", "5.0 1,0.1234,0.617", "\xb2,0.1234,0.617", ":MEAS:ALL? CH1", "ON",
     "5.001;0.1234;0.617", "--,--,--", IDN],
)  # fmt: skip
def test_a_reply_that_cannot_be_is_never_a_number(psu, supply, reply):
    supply.replies[":MEAS:ALL? CH1"] = reply
    with pytest.raises(ProtocolMismatch, match=r"psu at .*MEAS:ALL"):
        psu.measured(1)
    supply.replies[":MEAS:ALL? CH1"] = "5.001,0.1234,0.617"
    assert psu.measured(1).voltage_v == 5.001


@pytest.mark.parametrize("marker", ["9.9E37", "+9.90000000E+37", "-9.9E37", "9.91E37", "NAN"])
def test_overload_and_not_a_number_never_become_numbers(psu, supply, marker):
    supply.replies[":MEAS:ALL? CH1"] = f"5.001,{marker},0.617"
    with pytest.raises(InvalidReading, match="no value"):
        psu.measured(1)
    supply.replies[":SOUR1:VOLT?"] = marker
    with pytest.raises(InvalidReading, match="no value"):
        psu.setpoint_v(1)
    assert "*IDN?" not in supply.asked


@pytest.mark.parametrize(
    ("query", "reply", "call"),
    [
        (":OUTP? CH1", "1", lambda psu: psu.output(1)),
        (":OUTP? CH1", "YES", lambda psu: psu.output(1)),
        (":OUTP:MODE? CH1", "C", lambda psu: psu.regulation_mode(1)),
        (":OUTP:OVP:QUES? CH1", "ON", lambda psu: psu.over_voltage_tripped(1)),
        (":APPL? CH1", "CH2:30V/3A,5.000,1.0000", lambda psu: psu.setpoints(1)),
        (":APPL? CH1", "CH1:30V/3A,5.000", lambda psu: psu.setpoints(1)),
        ("*IDN?", "ACME,OTHER,0,1", lambda psu: psu.identity()),
    ],
)
def test_a_text_that_cannot_be_is_a_mismatch(psu, supply, query, reply, call):
    right = supply.replies[query]
    supply.replies[query] = reply
    with pytest.raises(ProtocolMismatch, match=r"came back"), psu.turn():
        try:
            call(psu)
        finally:
            supply.replies[query] = right
    assert psu.voltage_v(1) == 5.001


def test_a_reply_that_stops_somewhere_is_no_number(psu, supply):
    supply.mangle = lambda message, reply: reply[:3] if message == ":MEAS? CH1" else reply
    with pytest.raises(DeviceTimeout, match=r"b'5\.0' came back"):
        psu.voltage_v(1)
    supply.mangle = lambda _message, reply: reply
    assert psu.voltage_v(1) == 5.001


@pytest.mark.parametrize(
    "identity", ["ACME,OTHER,0,1.0", "RIGOL TECHNOLOGIES,DP711,DP7A1,1", "RIGOL TECHNOLOGIES,DP832"]
)
def test_another_instrument_is_named(supply, identity):
    supply.replies["*IDN?"] = identity
    with opened(supply) as psu:
        psu.start()
        wait_until(lambda: psu.status().state == "Wrong device")
        assert identity in psu.status().error


def test_what_is_to_be_restored_is_sent_and_checked_on_connect(supply):
    with opened(supply, restore=[":OUTP:OVP:VAL CH1,8", ":OUTP:OVP CH1,ON"]) as psu:
        psu.wait_until_up()
    assert supply.sets == [":OUTP:OVP:VAL CH1,8", ":OUTP:OVP CH1,ON"]


def test_a_restore_command_that_is_refused_keeps_the_link_down(supply):
    supply.refused[":SOUR1:VOLT 99"] = '-222,"Data out of range"'
    with opened(supply, restore=[":SOUR1:VOLT 99"]) as psu:
        psu.start()
        wait_until(lambda: "-222" in psu.status().error)
        assert psu.status().state == "Down"


@pytest.mark.parametrize(
    "call",
    [
        lambda psu: psu.voltage_v(0),
        lambda psu: psu.voltage_v(4),
        lambda psu: psu.voltage_v("1"),
        lambda psu: psu.voltage_v(True),
        lambda psu: psu.set_setpoint_v(1, 32.1),
        lambda psu: psu.set_setpoint_v(3, 5.4),
        lambda psu: psu.set_setpoint_v(1, -0.1),
        lambda psu: psu.set_setpoint_v(1, float("nan")),
        lambda psu: psu.set_setpoint_v(1, "5"),
        lambda psu: psu.set_setpoint_a(1, 3.3),
        lambda psu: psu.set_over_voltage_level_v(1, -1),
        lambda psu: psu.set_over_current_level_a(1, float("inf")),
        lambda psu: psu.channel("ovp.1.tripped").write(True),
        lambda psu: psu.channel("ovp.1.tripped").write(None),
        lambda psu: psu.set_output(1, "OFF"),
        lambda psu: psu.set_output(1, 2),
    ],
)
def test_arguments_outside_the_sheet_are_refused_before_anything_is_sent(psu, supply, call):
    with pytest.raises(BadValue):
        call(psu)
    assert supply.asked == []


def test_voltage_current_and_power_are_read_with_one_message(psu, supply):
    paths = ["power.1", "output.1", "voltage.1", "setpoint.voltage.1", "setpoint.current.1"]
    assert values_of(psu, *paths) == {
        "power.1": 0.617, "voltage.1": 5.001, "output.1": True, "setpoint.voltage.1": 5.0,
        "setpoint.current.1": 1.0,
    }  # fmt: skip
    assert supply.asked == [":MEAS:ALL? CH1", ":APPL? CH1", ":OUTP? CH1"]


def test_setting_a_trip_to_ok_clears_it_and_does_not_turn_the_output_on(psu, supply):
    psu.channel("ovp.2.tripped").write(False)
    psu.channel("ocp.2.tripped").write(0)
    assert supply.sets == [":OUTP:OVP:CLEAR CH2", ":OUTP:OCP:CLEAR CH2"]


def test_raw_commands_are_checked_too(psu, supply):
    assert psu.raw(":MEAS? CH1") == "5.001"
    assert psu.raw(":OUTP CH3,ON") == ""
    supply.refused[":OUTP CH9,ON"] = '-224,"Illegal parameter value"'
    with pytest.raises(DeviceRefused, match="-224"):
        psu.raw(":OUTP CH9,ON")


def test_every_channel_describes_itself_and_says_how_long_its_messages_are(psu):
    assert_described(psu.channels())
    assert psu.channel("setpoint.voltage.3").item["range"] == [0, 5.3]
    assert psu.channel("current.2").item["units"] == "ampere"


def test_the_port_and_the_silence_between_messages_are_those_of_the_sheet():
    driver = RigolDP832("tcp://127.0.0.1")
    assert driver.place == "tcp://127.0.0.1:5555"
    assert 0.02 <= driver.settings.min_gap_s <= 0.05
    assert "baud=9600&bits=8&parity=none" in RigolDP832("serial:///dev/null")._line.url
    with pytest.raises(ConfigurationError):
        RigolDP832("tcp://127.0.0.1", min_gap_s=-1)


def test_scpi_is_read_strictly():
    assert to_entry('+0,"No error"') == ErrorEntry(0, "No error")
    assert to_entry('-113, "Undefined header"') == ErrorEntry(-113, "Undefined header")
    assert str(to_entry('-113,"Undefined header"')) == '-113,"Undefined header"'
    for text in ("", "0", '0,"No error', "No error", "5.000", '0,"a""'):
        with pytest.raises(ValueError, match="entry"):
            to_entry(text)
    assert to_float("+1.23456789E+00") == 1.23456789
    for text in ("", "+", "1.2.3", " 1", "1 ", "1_0", "٣", "1e999", "0x1"):
        with pytest.raises(ValueError, match="not a number as"):
            to_float(text)
    with pytest.raises(NoNumber, match="not a number"):
        to_float("9.91E37")
    with pytest.raises(NoNumber, match="overload"):
        to_float("-9.9E+37")
    assert (to_flag("ON"), to_flag("0")) == (True, False)
    with pytest.raises(ValueError, match="neither"):
        to_flag("on?")
