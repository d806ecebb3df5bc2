"""The command table and the section "Bad input" of the sheet; then physics, and real links."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

import simulators
from simulators.rigol_dp832 import RigolDP832
from tests.unit.simulators.talk import ask, write

NO_ERROR = '0,"No error"'


@pytest.fixture
def psu() -> RigolDP832:
    model = RigolDP832(seed=1)
    model.noise_v = model.noise_a = 0.0
    model.step(0.1)
    return model


# -- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "query", "reply"),
    [
        (":SOUR1:VOLT 5", ":SOUR1:VOLT?", "5.000"),
        (":SOUR1:CURR 1", ":SOUR1:CURR?", "1.0000"),
        (":SOUR2:VOLT 32", ":SOUR2:VOLT?", "32.000"),
        (":SOUR3:VOLT 5.3", ":SOUR3:VOLT?", "5.300"),
        (":SOUR3:CURR 3.2", ":SOUR3:CURR?", "3.2000"),
        (":SOUR1:VOLT MAX", ":SOUR1:VOLT?", "32.000"),
        (":SOUR1:VOLT 500mV", ":SOUR1:VOLT?", "0.500"),
        (":SOURce1:VOLTage:LEVel:IMMediate:AMPLitude 2.5", "source1:volt?", "2.500"),
        (":APPL CH1,5,1", ":APPL? CH1", "CH1:30V/3A,5.000,1.0000"),
        (":APPL CH3,3.3,0.5", ":APPL? CH3", "CH3:5V/3A,3.300,0.5000"),
        (":APPL CH2,7", ":APPL? CH2,VOLT", "7.000"),
        (":INST:NSEL 2", ":INST:NSEL?", "2"),
        (":INST CH3", ":INST?", "CH3"),
        (":OUTP CH1,ON", ":OUTP? CH1", "ON"),
        (":OUTP:STAT on", ":OUTP:STAT?", "ON"),
        (":OUTP CH2,1", ":OUTP? CH2", "ON"),
        (":OUTP:OVP:VAL CH1,8", ":OUTP:OVP:VAL? CH1", "8.000"),
        (":OUTP:OVP CH1,ON", ":OUTP:OVP? CH1", "ON"),
        (":OUTP:OCP:VAL CH1,0.5", ":OUTP:OCP:VAL? CH1", "0.5000"),
        (":OUTP:OCP CH1,ON", ":OUTP:OCP? CH1", "ON"),
        (":SOUR2:VOLT:PROT 9", ":OUTP:OVP:VAL? CH2", "9.000"),
        (":SOUR2:CURR:PROT:STAT ON", ":OUTP:OCP? CH2", "ON"),
    ],
)
def test_a_setting_is_silent_and_reads_back(
    psu: RigolDP832, command: str, query: str, reply: str
) -> None:
    assert psu.answer(command.encode()) == b""
    assert ask(psu, query) == reply
    assert ask(psu, ":SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("*OPT?", "0"),
        ("*OPC?", "1"),
        ("*ESR?", "0"),
        ("*STB?", "0"),
        (":SYST:ERR?", NO_ERROR),
        (":SYSTem:ERRor:NEXT?", NO_ERROR),
        (":SOUR1:VOLT? MAX", "32.000"),
        (":SOUR3:VOLT? MAXIMUM", "5.300"),
        (":SOUR1:CURR? MIN", "0.0000"),
        (":OUTP? CH1", "OFF"),
        (":OUTP:OVP:QUES? CH1", "NO"),
        (":OUTP:OCP:QUES? CH1", "NO"),
        (":OUTP:MODE? CH1", "UR"),
        (":OUTP:CVCC? CH1", "UR"),
        (":MEAS:ALL? CH1", "0.0000,0.0000,0.000"),
    ],
)
def test_a_query_is_answered(psu: RigolDP832, query: str, reply: str) -> None:
    assert ask(psu, query) == reply


def test_identity_names_maker_model_serial_and_firmware(psu: RigolDP832) -> None:
    maker, model, number, firmware = ask(psu, "*IDN?").split(",")
    assert (maker, model) == ("RIGOL TECHNOLOGIES", "DP832")
    assert number
    assert firmware


def test_replies_end_with_lf(psu: RigolDP832) -> None:
    assert psu.answer(b"*OPT?") == b"0\n"


def test_the_selection_sticks_and_moves_with_nsel_alone(psu: RigolDP832) -> None:
    ask(psu, ":INST:NSEL 2")
    ask(psu, ":SOUR:VOLT 7")
    ask(psu, ":SOUR1:VOLT 3;:APPL CH3,2,1;:OUTP CH3,ON")
    assert ask(psu, ":SOUR:VOLT?") == "7.000"
    assert ask(psu, ":OUTP?") == "OFF"
    ask(psu, ":OUTP:STAT on")
    assert ask(psu, ":OUTP? CH2;:OUTP? CH1;:MEAS?") == "ON;OFF;7.0000"


def test_a_query_joined_to_the_selection_is_answered_for_that_channel(psu: RigolDP832) -> None:
    ask(psu, ":OUTP CH2,ON")
    assert ask(psu, ":INSTrument:NSELect 1; :OUTPut:STATe?") == "OFF"
    assert ask(psu, ":INSTrument:NSELect 2; :OUTPut:STATe?") == "ON"


def test_rst_sets_everything_as_at_the_start_and_keeps_the_errors(psu: RigolDP832) -> None:
    ask(psu, ":APPL CH1,5,1;:OUTP CH1,ON;:OUTP:OVP CH1,ON;:INST:NSEL 3;FOO")
    ask(psu, "*RST")
    assert ask(psu, ":APPL? CH1;:OUTP? CH1;:OUTP:OVP? CH1;:INST:NSEL?") == (
        "CH1:30V/3A,0.000,0.1000;OFF;OFF;1"
    )
    assert ask(psu, ":SYST:ERR?") == '-113,"Undefined header"'


def test_cls_empties_the_error_queue(psu: RigolDP832) -> None:
    ask(psu, "FOO;BAR;*CLS")
    assert ask(psu, ":SYST:ERR?;*ESR?") == f"{NO_ERROR};0"


# -- the section "Bad input" ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "query", "error"),
    [
        (":SOUR1:VOLT 32.001", ":SOUR1:VOLT?", -222),
        (":SOUR1:VOLT -1", ":SOUR1:VOLT?", -222),
        (":SOUR3:VOLT 5.4", ":SOUR3:VOLT?", -222),
        (":SOUR1:CURR 3.3", ":SOUR1:CURR?", -222),
        (":SOUR1:VOLT five", ":SOUR1:VOLT?", -104),
        (":SOUR1:VOLT nan", ":SOUR1:VOLT?", -104),
        (":SOUR1:VOLT 1A", ":SOUR1:VOLT?", -131),
        (":SOUR1:VOLT", ":SOUR1:VOLT?", -109),
        (":SOUR1:VOLT 1,2", ":SOUR1:VOLT?", -108),
        (":SOUR4:VOLT 1", ":SOUR1:VOLT?", -114),
        (":APPL CH1,5,9", ":APPL? CH1", -222),
        (":APPL CH4,5,1", ":APPL? CH1", -224),
        (":INST:NSEL 4", ":INST:NSEL?", -222),
        (":OUTP CH1,MAYBE", ":OUTP? CH1", -104),
        (":OUTP CH4,ON", ":OUTP? CH1", -224),
        (":OUTP:OVP:VAL CH3,6", ":OUTP:OVP:VAL? CH3", -222),
        (":OUTP:OCP:VAL CH1,0", ":OUTP:OCP:VAL? CH1", -222),
        (":OUTPT CH1,ON", ":OUTP? CH1", -113),
    ],
)
def test_a_rejected_setting_is_silent_keeps_the_value_and_leaves_an_error(
    psu: RigolDP832, command: str, query: str, error: int
) -> None:
    before = ask(psu, query)
    assert psu.answer(command.encode()) == b""
    assert ask(psu, ":SYST:ERR?").startswith(f"{error},")
    assert ask(psu, ":SYST:ERR?") == NO_ERROR
    assert ask(psu, query) == before


@pytest.mark.parametrize("query", ["FOO?", ":MEAS:ALL? CH4", ":OUTP:MODE? CH1,2", ":SOUR9:VOLT?"])
def test_a_bad_query_gives_no_reply_and_an_error(psu: RigolDP832, query: str) -> None:
    assert psu.answer(query.encode()) == b""
    assert ask(psu, ":SYST:ERR?") != NO_ERROR
    assert ask(psu, ":SYST:ERR?") == NO_ERROR


def test_errors_come_out_in_the_order_in_which_they_went_in(psu: RigolDP832) -> None:
    ask(psu, "FOO")
    ask(psu, ":SOUR1:VOLT 99")
    assert ask(psu, "*STB?") == "36"
    assert ask(psu, ":SYST:ERR?") == '-113,"Undefined header"'
    assert ask(psu, ":SYST:ERR?") == '-222,"Data out of range"'
    assert ask(psu, ":SYST:ERR?") == NO_ERROR


def test_a_message_that_is_too_long_is_not_obeyed(psu: RigolDP832) -> None:
    ask(psu, ":SOUR1:VOLT 5;" + " " * 1100)
    assert ask(psu, ":SYST:ERR?") == '-363,"Input buffer overrun"'
    assert ask(psu, ":SOUR1:VOLT?") == "0.000"


@given(st.binary(max_size=100))
def test_no_bytes_whatever_break_the_model(message: bytes) -> None:
    psu = RigolDP832()
    psu.answer(message)
    psu.answer(b"*CLS;*RST")
    assert psu.answer(b":SYST:ERR?") == b'0,"No error"\n'


# -- regulation, protections, supply -------------------------------------------------------------


def test_voltage_is_regulated_until_the_current_reaches_its_limit(psu: RigolDP832) -> None:
    ask(psu, ":APPL CH1,5,1;:OUTP CH1,ON")
    assert ask(psu, ":OUTP:MODE? CH1;:MEAS:ALL? CH1") == "CV;5.0000,0.5000,2.500"
    write(psu, ch1_load_ohm=2)
    assert ask(psu, ":OUTP:MODE? CH1;:MEAS:ALL? CH1") == "CC;2.0000,1.0000,2.000"
    assert ask(psu, ":MEAS:CURR? CH1;POWE? CH1") == "1.0000;2.000"


def test_with_low_mains_or_a_feeding_load_nothing_is_regulated(psu: RigolDP832) -> None:
    ask(psu, ":APPL CH1,30,3;:OUTP CH1,ON")
    write(psu, ch1_load_ohm=100, mains_percent=50)
    assert ask(psu, ":OUTP:MODE? CH1;:MEAS? CH1") == "UR;17.0000"
    write(psu, mains_percent=100, ch1_feed_v=31)
    assert ask(psu, ":OUTP:MODE? CH1;:MEAS:ALL? CH1") == "UR;31.0000,0.0000,0.000"


@pytest.mark.parametrize("which", ["OVP", "OCP"])
def test_a_protection_that_trips_turns_the_output_off_until_it_is_cleared(
    psu: RigolDP832, which: str
) -> None:
    ask(psu, ":APPL CH1,5,1;:OUTP CH1,ON;:OUTP CH2,ON")
    ask(psu, f":OUTP:{which}:VAL CH1,0.4;:OUTP:{which} CH1,ON")
    assert ask(psu, f":OUTP? CH1;:OUTP:{which}:QUES? CH1;:OUTP? CH2") == "OFF;YES;ON"
    ask(psu, ":OUTP CH1,ON")
    assert ask(psu, ":SYST:ERR?;:OUTP? CH1") == '-221,"Settings conflict";OFF'
    ask(psu, f":OUTP:{which}:CLEAR CH1")
    assert ask(psu, f":OUTP:{which}:QUES? CH1;:OUTP? CH1") == "NO;OFF"
    ask(psu, ":SOUR1:VOLT 0.3;:OUTP CH1,ON")
    assert ask(psu, ":OUTP? CH1;:SYST:ERR?") == f"ON;{NO_ERROR}"


def test_a_load_that_feeds_trips_the_protection_without_any_command(psu: RigolDP832) -> None:
    ask(psu, ":APPL CH1,5,1;:OUTP CH1,ON;:OUTP:OVP:VAL CH1,8;:OUTP:OVP CH1,ON")
    write(psu, ch1_feed_v=9)
    assert psu.quantities()["ch1_tripped"].read() == 1
    assert ask(psu, ":OUTP? CH1;:OUTP:OVP:QUES? CH1") == "OFF;YES"


def test_the_clear_command_below_source_turns_the_output_on_again(psu: RigolDP832) -> None:
    ask(psu, ":APPL CH1,5,1;:OUTP:OVP:VAL CH1,4;:OUTP:OVP CH1,ON;:OUTP CH1,ON")
    assert ask(psu, ":OUTP? CH1") == "OFF"
    write(psu, ch1_load_ohm=10)
    ask(psu, ":SOUR1:VOLT 3")
    ask(psu, ":SOUR1:VOLT:PROT:CLE")
    assert ask(psu, ":OUTP? CH1;:OUTP:OVP:QUES? CH1") == "ON;NO"


def test_measured_values_are_noisy_in_the_same_way_for_the_same_seed() -> None:
    def readings() -> list[str]:
        psu = RigolDP832(seed=3)
        ask(psu, ":APPL CH1,5,1;:OUTP CH1,ON")
        shown = []
        for _ in range(5):
            psu.step(0.1)
            shown.append(ask(psu, ":MEAS:ALL? CH1"))
        return shown

    assert readings() == readings()
    assert len(set(readings())) > 1
    assert all(float(each.split(",")[0]) == pytest.approx(5, abs=0.01) for each in readings())


def test_after_a_loss_of_supply_all_outputs_are_off(psu: RigolDP832) -> None:
    ask(psu, ":APPL CH1,5,1;:OUTP CH1,ON;FOO")
    psu.power_off()
    psu.step(1.0)
    assert psu.quantities()["ch1_v"].read() == 0
    psu.power_on()
    assert ask(psu, ":OUTP? CH1;:SOUR1:VOLT?;:SYST:ERR?") == f"OFF;0.000;{NO_ERROR}"


@pytest.mark.parametrize("dt_s", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_only(psu: RigolDP832, dt_s: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        psu.step(dt_s)


# -- real links ----------------------------------------------------------------------------------


def test_a_host_on_tcp_uses_either_terminator_and_empty_lines(connect: Callable[..., Any]) -> None:
    with closing(simulators.start_twin("rigol_dp832", "tcp", seed=1, time_factor=0)) as twin:
        host = connect(twin.url)
        host.socket.sendall(b"\r\n\n:SOUR1:VOLT 5\r\n:SOUR1:VOLT?\n*OPT?\r\n:SOUR1:VOLT 99\n")
        assert [host.read() for _ in range(2)] == ["5.000\n", "0\n"]
        assert host.hears_nothing()
        host.send(":SYST:ERR?;:OUTP CH1,ON")
        assert host.read() == '-222,"Data out of range"\n'
        twin.set(ch1_load_ohm=1e9)
        host.send(":MEAS:CURR? CH1")
        assert float(host.read()) == pytest.approx(0, abs=0.01)
        assert twin.get("ch1_on") == {"ch1_on": 1}


def test_commands_faster_than_the_firmware_likes_are_counted(connect: Callable[..., Any]) -> None:
    with closing(simulators.start_twin("rigol_dp832", "tcp", seed=1)) as twin:
        host = connect(twin.url)
        host.socket.sendall(b":INST:NSEL 2\n:INST:NSEL?\n")
        assert host.read() == "2\n"
        assert twin.get("early_messages") == {"early_messages": 1}


def test_a_serial_host_asks_and_sets() -> None:
    with closing(simulators.start_twin("rigol_dp832", "serial", seed=1, time_factor=0)) as twin:
        assert "baud=9600&bits=8" in twin.url
        path = twin.url.removeprefix("serial://").partition("?")[0]
        with serial.Serial(path, 9600, timeout=20, exclusive=True) as port:
            port.write(b":APPL CH2,3,1\n:APPL? CH2\r\n")
            assert port.read_until(b"\n") == b"CH2:30V/3A,3.000,1.0000\n"


def test_it_is_reached_at_the_socket_that_visa_opens() -> None:
    with closing(simulators.start_twin("rigol_dp832", "visa", seed=1, time_factor=0)) as twin:
        _, host, port, kind = twin.url.removeprefix("visa://").split("::")
        assert kind == "SOCKET"
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"*IDN?\n")
            with connection.makefile("rb") as replies:
                assert replies.readline().startswith(b"RIGOL TECHNOLOGIES,DP832,")


def test_visa_over_vxi_11_gets_replies_and_a_timeout_for_a_bad_query() -> None:
    pyvisa = pytest.importorskip("pyvisa")
    with closing(simulators.start_twin("rigol_dp832", "vxi11", seed=1, time_factor=0)) as twin:
        manager = pyvisa.ResourceManager("@py")
        try:
            supply = manager.open_resource(
                twin.url.removeprefix("visa://"), write_termination="\n", read_termination="\n"
            )
            assert supply.query(":INSTrument:NSELect 1; :OUTPut:STATe?") == "OFF"
            supply.timeout = 200
            with pytest.raises(pyvisa.errors.VisaIOError):
                supply.query("FOO?")
            supply.timeout = 20_000
            assert supply.query(":SYST:ERR?") == '-113,"Undefined header"'
            supply.close()
        finally:
            manager.close()
