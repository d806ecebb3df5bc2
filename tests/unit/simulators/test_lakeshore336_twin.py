"""The command table and the "Bad input" section of the sheet, on the bare model."""

from __future__ import annotations

import pytest

from simulators.lakeshore336 import LakeShore336
from tests.unit.simulators.talk import ask


@pytest.mark.parametrize(
    ("command", "query", "reply"),
    [
        ("SETP 1,20.0", "SETP? 1", "+20.000"),
        ("RANGE 1,3", "RANGE? 1", "3"),
        ("RANGE 3,1", "RANGE? 3", "1"),
        ("PID 1,50,20,0", "PID? 1", "+50.000,+20.000,+0.0000"),
        ("PID 2,0.1,1000,200", "PID? 2", "+0.1000,+1000.0,+200.00"),
        ("RAMP 1,1,5.0", "RAMP? 1", "1,+5.0000"),
        ("RAMP 1,1,0", "RAMP? 1", "1,+0.0000"),
        ("OUTMODE 1,3,2,1", "OUTMODE? 1", "3,2,1"),
        ("MOUT 1,25", "MOUT? 1", "+25.000"),
        ('INNAME A,"Detector"', "INNAME? A", "Detector       "),
        ('INNAME B,"a;b, c"', "INNAME? B", "a;b, c         "),
        ("INTYPE A,2,1,0,1,2", "INTYPE? A", "2,1,0,1,2"),
        ("ALARM A,1,90,60,0.5,1,0,1", "ALARM? A", "1,+90.000,+60.000,+0.5000,1,0,1"),
        ("TLIMIT A,325", "TLIMIT? A", "+325.00"),
        ("TLIMIT A,0", "TLIMIT? A", "+0.0000"),
        ("setp 1,21", "setp? 1", "+21.000"),
    ],
)
def test_a_setting_is_silent_and_reads_back(
    tc: LakeShore336, command: str, query: str, reply: str
) -> None:
    assert ask(tc, command) == ""
    assert ask(tc, query) == reply
    assert ask(tc, "*ESR?") == "0"


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("RDGST? A", "000"),
        ("HTR? 1", "+42.3"),
        ("AOUT? 3", "+0.0"),
        ("HTRST? 1", "0"),
        ("RAMPST? 1", "0"),
        ("ALARMST? A", "0,0"),
        ("*OPC?", "1"),
        ("OPST?", "016"),
        ("*STB?", "128"),
    ],
)
def test_a_query_is_answered(tc: LakeShore336, query: str, reply: str) -> None:
    assert ask(tc, query) == reply


def test_identity_names_maker_model_serials_and_firmware(tc: LakeShore336) -> None:
    maker, model, serials, firmware = ask(tc, "*IDN?").split(",")
    assert (maker, model) == ("LSCI", "MODEL336")
    assert "/" in serials
    assert firmware


def test_kelvin_of_input_zero_is_all_inputs_joined_with_commas(tc: LakeShore336) -> None:
    assert ask(tc, "KRDG? 0").split(",") == [ask(tc, f"KRDG? {name}") for name in "ABCD"]


def test_celsius_and_sensor_units_agree_with_kelvin(tc: LakeShore336) -> None:
    kelvin = float(ask(tc, "KRDG? A"))
    assert float(ask(tc, "CRDG? A")) == pytest.approx(kelvin - 273.15, abs=0.01)
    assert float(ask(tc, "SRDG? A")) == pytest.approx(1.19 - 0.0021 * kelvin, abs=1e-4)


def test_a_reading_has_a_sign_and_five_digits(tc: LakeShore336) -> None:
    tc.inputs["A"].noise_k = 0.0
    tc.step(0.1)
    shown = []
    for kelvin in (4.2, 77.35, 292.15, 9.99999):
        tc.cryostat.mount_k = kelvin
        tc.step(0)
        shown.append(ask(tc, "KRDG? A"))
    assert shown == ["+4.2000", "+77.350", "+292.15", "+10.000"]


def test_replies_end_with_cr_lf(tc: LakeShore336) -> None:
    assert tc.answer(b"RANGE? 1") == b"2\r\n"


def test_replies_of_a_chain_come_in_one_line_joined_with_semicolons(tc: LakeShore336) -> None:
    assert tc.answer(b"RANGE? 1;SETP 1,78;SETP? 1;*ESR?") == b"2;+78.000;0\r\n"


# -- the section "Bad input", sentence by sentence -----------------------------------------------


def test_set_commands_never_reply(tc: LakeShore336) -> None:
    for command in ("SETP 1,20", "RANGE 1,0", "*CLS", "ALMRST", "MOUT 1,3", "SETP 1,-1"):
        assert tc.answer(command.encode()) == b""


@pytest.mark.parametrize(
    "message",
    ["FOO", "FOO?", "FOO 1,2", "KRDG", "SETP1,20", "KRDG?A", "?", "\x00", "RANGE? 1\x07", "é"],
)
def test_an_unknown_command_sends_nothing_and_sets_the_command_error(
    tc: LakeShore336, message: str
) -> None:
    assert ask(tc, message) == ""
    assert ask(tc, "*ESR?") == "32"


@pytest.mark.parametrize(
    ("command", "query"),
    [
        ("SETP 1,-0.1", "SETP? 1"),
        ("SETP 1,2000.1", "SETP? 1"),
        ("SETP 1,325.1", "SETP? 1"),  # over TLIMIT of its input
        ("SETP 5,20", "SETP? 1"),
        ("SETP 1,1e999", "SETP? 1"),
        ("RANGE 1,4", "RANGE? 1"),
        ("RANGE 1,-1", "RANGE? 1"),
        ("RANGE 1,1.5", "RANGE? 1"),
        ("RANGE 3,2", "RANGE? 3"),
        ("PID 1,0.09,20,0", "PID? 1"),
        ("PID 1,1001,20,0", "PID? 1"),
        ("PID 1,50,0,0", "PID? 1"),
        ("PID 1,50,20,201", "PID? 1"),
        ("RAMP 1,2,5", "RAMP? 1"),
        ("RAMP 1,1,0.05", "RAMP? 1"),
        ("RAMP 1,1,100.1", "RAMP? 1"),
        ("OUTMODE 1,6,1,0", "OUTMODE? 1"),
        ("OUTMODE 1,1,5,0", "OUTMODE? 1"),
        ("MOUT 1,100.1", "MOUT? 1"),
        ('INNAME A,"more than fifteen"', "INNAME? A"),
        ("INTYPE A,6,1,0,1,1", "INTYPE? A"),
        ("INTYPE A,1,1,0,1,4", "INTYPE? A"),
        ("ALARM A,2,90,60,0,0,0,0", "ALARM? A"),
        ("TLIMIT A,-1", "TLIMIT? A"),
    ],
)
def test_a_value_out_of_range_sends_nothing_sets_the_execution_error_and_keeps_the_old(
    tc: LakeShore336, command: str, query: str
) -> None:
    before = ask(tc, query)
    assert ask(tc, command) == ""
    assert ask(tc, "*ESR?") == "16"
    assert ask(tc, query) == before


@pytest.mark.parametrize("query", ["KRDG? E", "SETP? 5", "HTR? 3", "AOUT? 1", "HTRST? 4"])
def test_a_bad_query_sends_nothing(tc: LakeShore336, query: str) -> None:
    assert ask(tc, query) == ""
    assert ask(tc, "*ESR?") == "16"


@pytest.mark.parametrize(
    "message", ["SETP 1", "SETP 1,2,3", "SETP 1,warm", "SETP 1,nan", "RANGE? 1,2", 'INNAME A,"x']
)
def test_arguments_of_the_wrong_number_or_kind_are_a_command_error(
    tc: LakeShore336, message: str
) -> None:
    assert ask(tc, message) == ""
    assert ask(tc, "*ESR?") == "32"


def test_chaining_esr_turns_a_bad_query_into_an_immediate_reply(tc: LakeShore336) -> None:
    assert ask(tc, "KRDG? E;*ESR?") == "16"
    assert ask(tc, "NONSENSE? A;*ESR?") == "32"
    assert ask(tc, "SETP 1,99999;FOO;*ESR?") == "48"


def test_reading_the_event_register_clears_it(tc: LakeShore336) -> None:
    ask(tc, "FOO")
    assert ask(tc, "*STB?") == str(128 + 32)
    assert ask(tc, "*ESR?") == "32"
    assert ask(tc, "*ESR?") == "0"
    assert ask(tc, "*STB?") == "128"


def test_cls_clears_the_event_register(tc: LakeShore336) -> None:
    ask(tc, "FOO;*CLS")
    assert ask(tc, "*ESR?") == "0"


def test_an_invalid_reading_is_returned_as_zero(tc: LakeShore336) -> None:
    tc.quantities()["sensor_a_status"].write(128)  # type: ignore[misc]
    assert ask(tc, "RDGST? A;KRDG? A;CRDG? A;SRDG? A") == "128;+0.0000;+0.0000;+0.0000"
    assert ask(tc, "KRDG? 0").startswith("+0.0000,+60.0")
    assert ask(tc, "*ESR?") == "0"


# -- beyond the wire -----------------------------------------------------------------------------


def test_power_on_is_the_first_event() -> None:
    tc = LakeShore336()
    assert ask(tc, "*ESR?") == "128"
    assert ask(tc, "*ESR?") == "0"


def test_power_cycle_turns_the_heater_off_unless_it_is_enabled_to_come_up(
    tc: LakeShore336,
) -> None:
    ask(tc, "OUTMODE 2,1,3,1;RANGE 2,1;SETP 1,79")
    tc.power_off()
    tc.power_on()
    assert ask(tc, "*ESR?;RANGE? 1;RANGE? 2;SETP? 1") == "128;0;1;+79.000"


def test_a_message_that_is_too_long_is_not_obeyed(tc: LakeShore336) -> None:
    [message] = tc.framer().feed(b"SETP 1,20" + b" " * 2000 + b"\n")
    assert len(message) < 1100
    assert tc.answer(message) == b""
    assert ask(tc, "*ESR?;SETP? 1") == "32;+77.000"


def test_sensor_status_bits_follow_the_range_of_the_sensor(tc: LakeShore336) -> None:
    tc.cryostat.mount_k = 600.0
    tc.step(0)
    assert ask(tc, "RDGST? A") == "032"
    assert ask(tc, "OPST?") == "018"
    tc.cryostat.mount_k = 1.0
    tc.step(0)
    assert ask(tc, "RDGST? A;KRDG? A") == "016;+0.0000"


def test_a_disabled_input_and_one_of_the_wrong_type_read_as_bad(tc: LakeShore336) -> None:
    assert ask(tc, "INTYPE A,0,1,0,1,1;RDGST? A;KRDG? A") == "001;+0.0000"
    assert ask(tc, "INTYPE A,3,1,0,1,1;RDGST? A;KRDG? A") == "128;+0.0000"


def test_the_setpoint_is_in_the_preferred_units_of_the_control_input(tc: LakeShore336) -> None:
    ask(tc, "SETP 1,80;INTYPE A,1,1,0,1,2")
    assert ask(tc, "SETP? 1") == "-193.15"
    assert ask(tc, "SETP 1,-190;SETP? 1;*ESR?") == "-190.00;0"
    assert tc.outputs[1].target_k == pytest.approx(83.15)
    ask(tc, "INTYPE A,1,1,0,1,3;SETP 1,1.02")
    assert tc.outputs[1].target_k == pytest.approx((1.19 - 1.02) / 0.0021)


def test_a_heater_fault_turns_the_heater_off_and_reading_clears_it(tc: LakeShore336) -> None:
    tc.quantities()["heater_1_fault"].write(1)  # type: ignore[misc]
    tc.step(1.0)
    assert ask(tc, "RANGE? 1;HTR? 1;HTRST? 1;HTRST? 1") == "0;+0.0;1;0"
    tc.quantities()["heater_1_fault"].write(2)  # type: ignore[misc]
    ask(tc, "RANGE 1,1")
    tc.step(1.0)
    assert ask(tc, "HTRST? 1;RANGE? 1") == "2;0"


def test_an_alarm_comes_and_goes_with_its_dead_band(tc: LakeShore336) -> None:
    ask(tc, "ALARM A,1,90,60,2,0,0,1;RANGE 1,0")
    states = []
    for kelvin in (91.0, 89.0, 87.9, 59.0):
        tc.cryostat.mount_k = kelvin
        tc.step(0)
        states.append(ask(tc, "ALARMST? A;OPST?"))
    assert states == ["1,0;017", "1,0;017", "0,0;016", "0,1;017"]


def test_a_latched_alarm_stays_until_it_is_reset(tc: LakeShore336) -> None:
    ask(tc, "ALARM A,1,90,60,0,1,0,1")
    for kelvin in (91.0, 77.0):
        tc.cryostat.mount_k = kelvin
        tc.step(0)
    assert ask(tc, "ALARMST? A") == "1,0"
    assert ask(tc, "ALMRST;ALARMST? A") == "0,0"
