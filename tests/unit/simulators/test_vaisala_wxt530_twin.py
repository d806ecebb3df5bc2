"""The commands, the checksums and the error texts of the sheet; modes, weather and sensors."""

from __future__ import annotations

import re
from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators._vaisala_messages import crc
from simulators._vaisala_settings import MODES
from simulators.bus import Bus
from simulators.device import SimulatorError
from simulators.vaisala_wxt530 import VaisalaWXT530


@pytest.fixture
def unit() -> VaisalaWXT530:
    """One in polled mode, in weather that stays as it is."""
    model = VaisalaWXT530(seed=1)
    model.set_mode("P")
    weather = dict(outside_c=23.6, humidity_percent=55.5, pressure_hpa=1004.7)
    write(model, **weather, wind_m_s=1.0, wind_deg=283, rain_mm_h=0, steady=1)
    model.step(5)
    return model


def write(unit: VaisalaWXT530, **values: float) -> None:
    for name, value in values.items():
        setter = unit.quantities()[name].write
        assert setter is not None
        setter(value)
    unit.step(0.0)


def ask(unit: VaisalaWXT530, text: str) -> str:
    return unit.answer(text.encode("latin-1")).decode("latin-1").removesuffix("\r\n")


def ask_with_crc(unit: VaisalaWXT530, text: str) -> str:
    """Ask with a checksum, and give the reply without its own, which is right."""
    reply = unit.answer(text.encode() + crc(text.encode()))
    assert reply.endswith(b"\r\n")
    assert crc(reply[:-5]) == reply[-5:-2]
    return reply[:-5].decode("latin-1")


def nmea_sum(sentence: str) -> str:
    return f"{reduce(xor, sentence.encode()):02X}"


def said(unit: VaisalaWXT530, dt_s: float) -> list[str]:
    unit.step(dt_s)
    return [line.decode("latin-1").removesuffix("\r\n") for line in unit.take_unasked()]


# -- checksums -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "sum_"),
    [
        *(("0r1", "Goe"), ("0r2", "Gje"), ("0r3", "Kid"), ("0r5", "Kcd"), ("0r", "BVT")),
        *(("0r0", "Kld"), ("0tX,Use chksum Goe", "IU~")),
        ("0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H", "@Fn"),
        ("0r5,Th=25.0C,Vh=10.6#,Vs=10.8V,Vr=3.369V", "O]T"),
    ],
)
def test_checksums_are_those_of_the_manual(message: str, sum_: str) -> None:
    assert crc(message.encode()) == sum_.encode()


# -- polled mode ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("0", "0"),
        ("?", "0"),
        ("0R1", "0R1,Dn=283D,Dm=283D,Dx=283D,Sn=1.0M,Sm=1.0M,Sx=1.0M"),
        ("0R2", "0R2,Ta=23.6C,Ua=55.5P,Pa=1004.7H"),
        ("0R3", "0R3,Rc=0.00M,Rd=0s,Ri=0.0M,Hc=0.0M,Hd=0s,Hi=0.0M,Rp=0.0M,Hp=0.0M"),
        ("0R5", "0R5,Th=19.6C,Vh=12.0N,Vs=12.1V,Vr=3.509V"),
        (
            "0R0",
            "0R0,Dm=283D,Sm=1.0M,Ta=23.6C,Ua=55.5P,Pa=1004.7H,"
            "Rc=0.00M,Ri=0.0M,Hc=0.0M,Hi=0.0M,Th=19.6C,Vh=12.0N",
        ),
    ],
)
def test_a_poll_is_answered(unit: VaisalaWXT530, command: str, reply: str) -> None:
    write(unit, heater_c=19.6)
    assert ask(unit, command) == reply


def test_all_groups_can_be_asked_for_at_once(unit: VaisalaWXT530) -> None:
    lines = ask(unit, "0R").split("\r\n")
    assert [line[:4] for line in lines] == ["0R1,", "0R2,", "0R3,", "0R5,"]
    lines = unit.answer(b"0rBVT").split(b"\r\n")[:-1]
    assert [line[:4] for line in lines] == [b"0r1,", b"0r2,", b"0r3,", b"0r5,"]
    assert all(crc(line[:-3]) == line[-3:] for line in lines)


@pytest.mark.parametrize("digit", "12350")
def test_a_small_letter_asks_for_a_checksum(unit: VaisalaWXT530, digit: str) -> None:
    with_sum = ask_with_crc(unit, f"0r{digit}")
    assert with_sum == ask(unit, f"0R{digit}").replace("R", "r", 1)


def test_nothing_comes_unasked_in_polled_mode(unit: VaisalaWXT530) -> None:
    assert said(unit, 3600) == []
    assert unit.overheard("tcp") == b""


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("0XU", "0XU,A=0,M=P,C=2,I=0,B=19200,D=8,P=N,S=1,L=25,N=WXT530,V=1.00"),
        ("0WU", "0WU,R=11111100&01001000,I=5,A=3,U=M,D=0,N=W"),
        ("0TU", "0TU,R=11010000&11010000,I=60,P=H,T=C"),
        ("0RU", "0RU,R=11111111&10110100,I=60,U=M,S=M,Z=M"),
        ("0SU", "0SU,R=11110000&11000000,I=15,S=Y,H=Y"),
    ],
)
def test_settings_can_be_read(unit: VaisalaWXT530, query: str, reply: str) -> None:
    assert ask(unit, query) == reply
    assert ask_with_crc(unit, query.lower()) == query.lower() + reply[3:]


@pytest.mark.parametrize(
    ("command", "query", "reply"),
    [
        ("0WU,U=K", "0R1", "0R1,Dn=283D,Dm=283D,Dx=283D,Sn=3.6K,Sm=3.6K,Sx=3.6K"),
        ("0WU,U=S", "0R1", "0R1,Dn=283D,Dm=283D,Dx=283D,Sn=2.2S,Sm=2.2S,Sx=2.2S"),
        ("0WU,U=N,D=100", "0R1", "0R1,Dn=023D,Dm=023D,Dx=023D,Sn=1.9N,Sm=1.9N,Sx=1.9N"),
        ("0WU,R=01001000&00000000", "0R1", "0R1,Dm=283D,Sm=1.0M"),
        ("0TU,T=F,P=B", "0R2", "0R2,Ta=74.5F,Ua=55.5P,Pa=1.0047B"),
        ("0TU,P=P", "0R2", "0R2,Ta=23.6C,Ua=55.5P,Pa=100470.0P"),
        ("0TU,P=M", "0R2", "0R2,Ta=23.6C,Ua=55.5P,Pa=753.6M"),
        ("0TU,P=I,R=10000000&10000000", "0R2", "0R2,Pa=29.67I"),
        ("0RU,R=10000000&00000000,U=I", "0R3", "0R3,Rc=0.000I"),
        ("0SU,R=00100000&00000000", "0R5", "0R5,Vs=12.1V"),
        ("0XU,I=60,L=100", "0XU,L=100", "0XU,L=100"),
    ],
)
def test_a_setting_is_answered_and_in_force(
    unit: VaisalaWXT530, command: str, query: str, reply: str
) -> None:
    assert ask(unit, command) == command
    assert ask(unit, query) == reply


def test_a_mode_is_in_force_after_a_restart(unit: VaisalaWXT530) -> None:
    assert ask(unit, "0XU,M=A") == "0XU,M=A"
    assert said(unit, 20) == []
    assert ask(unit, "0XZ") == "0TX,Start-up"
    assert len(said(unit, 20)) == 5


def test_a_new_address_is_that_of_the_answer(unit: VaisalaWXT530) -> None:
    assert ask(unit, "0XU,A=b") == "bXU,A=b"
    assert ask(unit, "0") == ""
    assert ask(unit, "b") == "b"


def test_the_reply_waits_on_rs_485_only(unit: VaisalaWXT530) -> None:
    ask(unit, "0XU,L=100")
    assert unit.turnaround_s == 0
    ask(unit, "0XU,C=3")
    assert unit.turnaround_s == 0.1


def test_a_unit_in_disguise_has_another_name(unit: VaisalaWXT530) -> None:
    unit.disguise = "ACME,OTHER"
    assert ",N=ACME OTHER,V=" in ask(unit, "0XU")


# -- resets --------------------------------------------------------------------------------------


def test_rain_is_counted_until_it_is_reset(unit: VaisalaWXT530) -> None:
    write(unit, rain_mm_h=12, hail_hits_cm2_h=6)
    unit.step(600)
    write(unit, rain_mm_h=3, hail_hits_cm2_h=0)
    unit.step(5)
    before = "0R3,Rc=2.00M,Rd=610s,Ri=3.0M,Hc=1.0M,Hd=600s,Hi=0.0M,"
    assert ask(unit, "0R3") == f"{before}Rp=12.0M,Hp=6.0M"
    assert ask(unit, "0XZRI") == "0TX,Inty reset"
    assert ask(unit, "0R3") == f"{before}Rp=0.0M,Hp=0.0M"
    assert ask(unit, "0XZRU") == "0TX,Rain reset"
    assert ask(unit, "0R3") == "0R3,Rc=0.00M,Rd=0s,Ri=3.0M,Hc=0.0M,Hd=0s,Hi=0.0M,Rp=0.0M,Hp=0.0M"


def test_a_reset_with_a_checksum_is_answered_with_one(unit: VaisalaWXT530) -> None:
    assert ask_with_crc(unit, "0xzm") == "0tX,Measurement reset"


@pytest.mark.parametrize("command", ["0XZ", "0XZM"])
def test_before_the_first_measurement_there_are_no_values(
    unit: VaisalaWXT530, command: str
) -> None:
    ask(unit, command)
    assert ask(unit, "0R1") == "0R1,Dn=000#,Dm=000#,Dx=000#,Sn=0.0#,Sm=0.0#,Sx=0.0#"
    assert ask(unit, "0R2") == "0R2,Ta=0.0#,Ua=0.0#,Pa=0.0#"
    assert ask(unit, "0R5") == "0R5,Th=0.0#,Vh=0.0#,Vs=0.0#,Vr=0.000#"
    unit.step(2)
    assert "#" not in ask(unit, "0R")


def test_a_measurement_reset_does_not_forget_the_rain(unit: VaisalaWXT530) -> None:
    write(unit, rain_mm=5)
    ask(unit, "0XZM")
    unit.step(2)
    assert "Rc=5.00M" in ask(unit, "0R3")


# -- values that are none ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "command", "reply"),
    [
        ("wind_invalid", "0R1", "0R1,Dn=000#,Dm=000#,Dx=000#,Sn=0.0#,Sm=0.0#,Sx=0.0#"),
        ("temperature_invalid", "0R2", "0R2,Ta=0.0#,Ua=55.5P,Pa=1004.7H"),
        ("humidity_invalid", "0R2", "0R2,Ta=23.6C,Ua=0.0#,Pa=1004.7H"),
        ("pressure_invalid", "0R2", "0R2,Ta=23.6C,Ua=55.5P,Pa=0.0#"),
        ("rain_invalid", "0R3", "0R3,Rc=0.00#,Rd=0#,Ri=0.0#,Hc=0.0#,Hd=0#,Hi=0.0#,Rp=0.0#,Hp=0.0#"),
        ("supervisor_invalid", "0R5", "0R5,Th=0.0#,Vh=0.0#,Vs=0.0#,Vr=0.000#"),
    ],
)
def test_an_invalid_value_has_a_hash_for_its_unit(
    unit: VaisalaWXT530, what: str, command: str, reply: str
) -> None:
    write(unit, **{what: 1})
    assert ask(unit, command) == reply
    write(unit, **{what: 0})
    assert "#" not in ask(unit, command)


@pytest.mark.parametrize(
    ("cause", "letter"),
    [
        (dict(outside_c=10), "N"),
        (dict(outside_c=2), "V"),
        (dict(outside_c=-5), "W"),
        (dict(outside_c=-5, heater_fault=1), "F"),
    ],
)
def test_the_heating_is_on_in_the_cold(
    unit: VaisalaWXT530, cause: dict[str, float], letter: str
) -> None:
    write(unit, **cause)
    unit.step(1)
    assert f"Vh=12.0{letter}" in ask(unit, "0R5")


def test_the_heating_can_be_switched_off(unit: VaisalaWXT530) -> None:
    ask(unit, "0SU,H=N")
    write(unit, outside_c=-20)
    unit.step(1)
    assert "Vh=12.0N" in ask(unit, "0R5")


# -- the error texts of the sheet ----------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        *("0R4", "0R9", "0R11", "0R1,", "0FOO", "0X", "0XUU", "0YU", "0XZQ", "0 R1"),
        *("0XU,", "0XU,M=Z", "0XU,M", "0XU,Z=1", "0XU,B=300", "0XU,N=X", "0XU,A=", "0XU,A=*"),
        *("0WU,R=1", "0WU,I=0", "0WU,I=3601", "0WU,I=x", "0WU,U=m", "0TU,T=K", "0SU,S=1"),
        *("0WU,I=7,U=Q", "0\xff"),
    ],
)
def test_an_unknown_command_is_answered_so_and_changes_nothing(
    unit: VaisalaWXT530, command: str
) -> None:
    before = [ask(unit, f"0{group}U") for group in "XWTRS"]
    assert ask(unit, command) == "0TX,Unknown cmd error"
    assert [ask(unit, f"0{group}U") for group in "XWTRS"] == before


def test_an_unknown_command_with_a_checksum_is_answered_with_one(unit: VaisalaWXT530) -> None:
    assert ask_with_crc(unit, "0foo") == "0tX,Unknown cmd error"


@pytest.mark.parametrize("command", ["0r1", "0r1Gof", "0r1GOE", "0r1ABC"])
def test_a_wrong_or_missing_checksum_is_answered_with_the_right_one(
    unit: VaisalaWXT530, command: str
) -> None:
    assert ask(unit, command) == "0tX,Use chksum GoeIU~"


@pytest.mark.parametrize("command", ["0xu,M=A", "0xz", "0ru,I=5xyz"])
def test_without_its_checksum_a_setting_is_not_obeyed(unit: VaisalaWXT530, command: str) -> None:
    assert ask(unit, command).startswith("0tX,Use chksum ")
    assert "M=P" in ask(unit, "0XU")
    assert unit.restarts == 0


def test_a_group_without_values_cannot_be_measured(unit: VaisalaWXT530) -> None:
    ask(unit, "0RU,R=00000000&00000000")
    assert ask(unit, "0R3") == "0TX,Unable to measure error"
    assert ask_with_crc(unit, "0r3") == "0tX,Unable to measure error"


@pytest.mark.parametrize("line", ["!R1", "$GPGGA", " 0R1", "\x00"])
def test_a_line_without_an_address_is_an_address_error(unit: VaisalaWXT530, line: str) -> None:
    assert ask(unit, line) == "0TX,Sync/address error"


@pytest.mark.parametrize("line", ["1R1", "aR2", "zXZ", "1", "R1"])
def test_a_line_for_another_unit_is_not_answered(unit: VaisalaWXT530, line: str) -> None:
    assert ask(unit, line) == ""


@pytest.mark.parametrize("line", ["0FOO", "0r1", "!R1", "0R3"])
def test_with_error_messages_off_there_is_silence(unit: VaisalaWXT530, line: str) -> None:
    ask(unit, "0RU,R=00000000&00000000")
    assert ask(unit, "0SU,S=N") == "0SU,S=N"
    assert ask(unit, line) == ""
    assert ask(unit, "0") == "0"


@given(st.binary(max_size=80))
def test_no_bytes_whatever_break_the_model(message: bytes) -> None:
    unit = VaisalaWXT530()
    unit.answer(message)
    unit.answer(b"0" + message)
    unit.step(1)
    assert unit.answer(unit.address.encode()) == f"{unit.address}\r\n".encode()


# -- automatic mode ------------------------------------------------------------------------------


def test_lines_come_unasked_each_at_its_interval(unit: VaisalaWXT530) -> None:
    unit.set_mode("A")
    lines = said(unit, 60)
    assert [sum(line.startswith(f"0R{digit},") for line in lines) for digit in "12350"] == [
        *(12, 1, 1, 4, 0)
    ]
    ask(unit, "0XU,I=10")
    ask(unit, "0WU,I=1")
    lines = said(unit, 60)
    assert [sum(line.startswith(f"0R{digit},") for line in lines) for digit in "10"] == [60, 6]


def test_lines_have_checksums_in_the_mode_with_a_small_letter(unit: VaisalaWXT530) -> None:
    unit.set_mode("a")
    lines = said(unit, 60)
    assert len(lines) == 18
    assert all(re.match("0r[1235],", line) for line in lines)
    assert all(crc(line[:-3].encode()).decode() == line[-3:] for line in lines)


def test_polls_work_in_automatic_mode(unit: VaisalaWXT530) -> None:
    unit.set_mode("A")
    assert ask(unit, "0R2").startswith("0R2,Ta=")
    assert ask_with_crc(unit, "0r2").startswith("0r2,Ta=")


def test_who_connects_in_automatic_mode_hears_the_end_of_a_line(unit: VaisalaWXT530) -> None:
    unit.set_mode("A")
    line = unit.answer(b"0R1")
    heard = {unit.overheard("tcp") for _ in range(20)}
    assert len(heard) > 5
    assert all(line.endswith(each) and 0 < len(each) < len(line) for each in heard)


def test_rain_can_be_counted_from_one_line_to_the_next(unit: VaisalaWXT530) -> None:
    ask(unit, "0RU,Z=A,I=60,R=10000000&10000000")
    unit.set_mode("A")
    write(unit, rain_mm_h=60)
    lines = [line for line in said(unit, 180) if line.startswith("0R3")]
    assert lines == ["0R3,Rc=1.00M"] * 3


# -- NMEA ----------------------------------------------------------------------------------------


def test_sentences_come_unasked_in_nmea_mode(unit: VaisalaWXT530) -> None:
    unit.set_mode("N")
    sentences = said(unit, 60)
    assert all(nmea_sum(each[1:-3]) == each[-2:] for each in sentences)
    assert "$WIMWV,283,R,1.0,M,A*36" in sentences
    [ptu] = [each for each in sentences if each.startswith("$WIXDR,C,23.6")]
    assert ptu.startswith("$WIXDR,C,23.6,C,0,H,55.5,P,0,P,1004.7,H,0*")
    assert len(sentences) == 12 + 1 + 1 + 4


def test_a_sentence_is_asked_for_in_the_other_nmea_mode(unit: VaisalaWXT530) -> None:
    unit.set_mode("Q")
    assert said(unit, 600) == []
    assert [line[:9] for line in ask(unit, "$--WIQ,XDR*2D").split("\r\n")] == [
        *("$WIXDR,C,", "$WIXDR,V,", "$WIXDR,C,")
    ]
    assert ask(unit, "$--WIQ,XDR*00") == ""


def test_errors_are_sentences_in_nmea_mode(unit: VaisalaWXT530) -> None:
    unit.set_mode("Q")
    assert ask(unit, "0FOO") == "$WITXT,01,01,03,Unknown cmd error*1F"


def test_there_is_no_wind_in_a_sentence_without_valid_ones(unit: VaisalaWXT530) -> None:
    unit.set_mode("N")
    write(unit, wind_invalid=1, temperature_invalid=1)
    sentences = said(unit, 60)
    assert any(each.startswith("$WIMWV,,R,,,V*") for each in sentences)
    assert any(each.startswith("$WIXDR,C,0.0,#,0,H,55.5,P,0,") for each in sentences)


# -- wind, supply, several of them ---------------------------------------------------------------


def test_the_wind_is_that_of_the_averaging_time(unit: VaisalaWXT530) -> None:
    ask(unit, "0WU,A=10")
    for degrees, m_s in ((350, 2), (10, 6)):
        write(unit, wind_deg=degrees, wind_m_s=m_s)
        unit.step(5)
    assert ask(unit, "0R1") == "0R1,Dn=350D,Dm=000D,Dx=010D,Sn=2.0M,Sm=4.0M,Sx=6.0M"


def test_after_a_loss_of_supply_it_starts_with_its_settings(unit: VaisalaWXT530) -> None:
    ask(unit, "0XU,M=a")
    ask(unit, "0WU,U=K")
    write(unit, rain_mm=5)
    unit.power_off()
    assert said(unit, 60) == []
    unit.power_on()
    [first, *_] = said(unit, 60)
    assert first == "0tX,Start-up" + crc(b"0tX,Start-up").decode()
    assert "Rc=0.00M" in ask(unit, "0R3")
    assert "U=K" in ask(unit, "0WU")


def test_several_units_share_a_line_and_each_answers_for_itself() -> None:
    line = Bus({number: VaisalaWXT530(seed=number, unit=number) for number in (0, 3, 10, 36)})
    line.step(600)
    assert line.take_unasked() == []
    for address in "03Aa":
        assert line.answer(f"{address}R2".encode()).startswith(f"{address}R2,Ta=".encode())
    assert line.answer(b"5R2") == b""
    assert line.answer(b"!R2") == b""
    assert line.turnaround_s == 0.025


def test_two_units_with_one_address_garble_each_other() -> None:
    line = Bus({number: VaisalaWXT530(seed=number, unit=number) for number in (0, 1)})
    line.units[1].answer(b"1XU,A=0")
    line.units[1].answer(b"0WU,U=K")
    reply = line.answer(b"0R1")
    assert reply not in [each.answer(b"0R1") for each in line.units.values()]


@pytest.mark.parametrize("number", [-1, 62])
def test_there_are_as_many_addresses_as_characters(number: int) -> None:
    with pytest.raises(SimulatorError, match="0 to 61"):
        VaisalaWXT530(unit=number)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_can_be_chosen_by_hand(unit: VaisalaWXT530, mode: str) -> None:
    write(unit, mode=MODES.index(mode))
    assert unit.mode == mode
    assert unit.quantities()["mode"].read() == MODES.index(mode)


@pytest.mark.parametrize("dt_s", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_only(unit: VaisalaWXT530, dt_s: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        unit.step(dt_s)
