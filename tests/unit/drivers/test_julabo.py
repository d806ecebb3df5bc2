"""The Julabo driver against a table of replies, written from the sheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from drivers._julabo import ALARMS, REFUSALS, LineFeedReplies, to_float, to_status
from drivers.julabo import Julabo
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.scripted_fakes import ScriptedInstrument, assert_described, behind

VERSION = "JULABO CRYOCOMPACT CF31 VERSION 5.0"
REMOTE, MANUAL = "02 REMOTE STOP", "00 MANUAL STOP"


class Quick(Julabo):
    """Does not rest after a setting, which only a real unit needs."""

    line_defaults = replace(Julabo.line_defaults, settle_after=(), min_gap_s=0.0)


class Unit(ScriptedInstrument):
    """A unit with registers; what it refuses is told once, by the next ``status``."""

    message_end = b"\r"

    def __init__(self) -> None:
        super().__init__()
        self.replies = {
            "version": VERSION,
            "in_pv_00": "29.45",
            "in_pv_01": "-12.5",
            "in_pv_02": "28.10",
            "in_sp_00": "25.00",
            "in_sp_07": "2",
            "in_mode_05": "0",
            "in_par_06": "1.5",
        }
        self.state = REMOTE
        self.refused: dict[str, str] = {}
        self.ignored: set[str] = set()
        self.told_next: list[str] = []
        self.end = b"\r\n"

    def reply_to(self, message: str) -> str | None:
        if message == "status":
            return self.told_next.pop(0) if self.told_next else self.state
        if message in self.replies:
            return self.replies[message]
        register, _, value = message.removeprefix("out_").partition(" ")
        if not message.startswith("out_"):
            self.told_next.append("-08 INVALID COMMAND")
        elif self.state.startswith("0") and "MANUAL" in self.state:
            self.told_next.append("-09 COMMAND NOT ALLOWED IN CURRENT OPERATING MODE")
        elif message in self.refused:
            self.told_next.append(self.refused[message])
        elif message not in self.ignored:
            self.replies[f"in_{register}"] = value
        return None


def opened(unit: Unit, **settings: Any) -> Julabo:
    return behind(unit, Quick, "chiller", **settings)


@pytest.fixture
def unit() -> Unit:
    return Unit()


@pytest.fixture
def chiller(unit) -> Iterator[Julabo]:
    with opened(unit) as made:
        made.wait_until_up()
        unit.written.clear()
        yield made


def test_readings_are_what_the_unit_says(chiller, unit):
    assert chiller.bath_temperature_c() == 29.45
    assert chiller.heating_percent() == -12.5
    assert chiller.external_temperature_c() == 28.1
    assert chiller.pump_stage() == 2
    assert chiller.running() is False
    assert chiller.xp() == 1.5
    assert chiller.identity() == VERSION
    assert unit.asked[:2] == ["in_pv_00", "in_pv_01"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\x13\r\n", b"\r\x11\n"])
def test_replies_may_end_with_lf_alone_and_have_xon_and_xoff_in_them(chiller, unit, end):
    unit.end = end
    unit.mangle = lambda _message, reply: b"\x11" + reply[:2] + b"\x13\x11" + reply[2:]
    assert chiller.bath_temperature_c() == 29.45


def test_a_setting_is_followed_by_the_status_and_read_back(chiller, unit):
    chiller.set_setpoint_c(12.5)
    assert unit.asked == ["out_sp_00 12.50", "status", "in_sp_00"]
    assert chiller.setpoint_c() == 12.5


def test_settings_are_sent_as_the_sheet_has_them(chiller, unit):
    chiller.set_setpoint_c(-5)
    chiller.set_running(True)
    chiller.set_active_setpoint(2)
    chiller.set_external_control(True)
    chiller.set_pump_stage(4)
    chiller.set_xp(0.1)
    chiller.set_tn(9999)
    chiller.set_tv(0)
    assert [message for message in unit.asked if message.startswith("out_")] == [
        "out_sp_00 -5.00", "out_mode_05 1", "out_mode_01 2", "out_mode_04 1", "out_sp_07 4",
        "out_par_06 0.1", "out_par_07 9999", "out_par_08 0",
    ]  # fmt: skip


def test_a_unit_is_given_a_quarter_of_a_second_after_a_setting_and_less_after_a_query():
    settings = Julabo("serial:///dev/null").settings
    assert settings.settle_after == ((b"out_", 0.25),)
    assert settings.min_gap_s == 0.01
    assert settings.idle_probe_s < 30


def test_it_speaks_4800_7e1_with_rts_and_cts_where_nobody_says_otherwise():
    url = Julabo("serial:///dev/null")._line.url
    assert "baud=4800&bits=7&parity=even&stop=1&flow=rtscts" in url


@pytest.mark.parametrize(("code", "words"), REFUSALS.items())
def test_a_refusal_names_the_command_and_its_code_in_words(chiller, unit, code, words):
    unit.refused["out_sp_00 90.00"] = f"-{code:02d} SOMETHING"
    refusal = rf"chiller at .*refused 'out_sp_00 90.00': '-{code:02d} SOMETHING': {words}"
    with pytest.raises(DeviceRefused, match=refusal):
        chiller.set_setpoint_c(90)
    assert chiller.setpoint_c() == 25
    chiller.set_setpoint_c(20)
    assert chiller.setpoint_c() == 20


def test_a_setting_in_manual_mode_is_refused_and_says_so(chiller, unit):
    unit.state = MANUAL
    with pytest.raises(DeviceRefused, match=r"not allowed .*00 MANUAL STOP.*remote mode only"):
        chiller.set_running(True)
    unit.state = REMOTE
    chiller.set_running(True)


@pytest.mark.parametrize("code", ALARMS)
def test_an_alarm_that_lasts_is_no_refusal_and_is_told_as_what_it_is(chiller, unit, code):
    unit.state = f"-{code:02d} SOMETHING ELSE"
    chiller.set_setpoint_c(12)
    assert chiller.setpoint_c() == 12
    status = chiller.unit_status()
    assert (status.state, status.alarm, status.text) == (4, code, unit.state)
    assert chiller.channel("alarm").item["enumerators"][str(code)] == ALARMS[code]


def test_an_alarm_that_the_sheet_does_not_have_is_an_alarm_all_the_same(chiller, unit):
    unit.state = "-77 SOMETHING NEW"
    assert chiller.channel("status").read() == 4
    assert chiller.channel("alarm").read() == 9999
    assert chiller.channel("status.text").read() == "-77 SOMETHING NEW"


def test_a_setting_that_the_unit_takes_without_a_word_and_does_not_follow_is_refused(chiller, unit):
    unit.state = "-01 LOW LEVEL ALARM"
    unit.ignored.add("out_mode_05 1")
    with pytest.raises(DeviceRefused, match=r"in_mode_05 = 0.*-01 LOW LEVEL ALARM"):
        chiller.set_running(True)


def test_an_old_refusal_is_not_blamed_on_the_first_command(unit):
    unit.told_next = ["-08 INVALID COMMAND"]
    with opened(unit) as chiller:
        chiller.set_setpoint_c(20)
        assert chiller.setpoint_c() == 20


def test_a_refusal_is_no_state_of_the_unit(chiller, unit):
    unit.told_next = ["-10 VALUE TOO SMALL"]
    status = chiller.unit_status()
    assert (status.state, status.alarm) == (2, 0)


def test_a_query_that_the_unit_does_not_know_is_refused_in_words(chiller, unit):
    with pytest.raises(DeviceRefused, match=r"'in_sp_99' was not answered.*invalid command"):
        chiller.raw("in_sp_99")
    assert chiller.bath_temperature_c() == 29.45


def test_silence_says_that_it_may_be_a_query_that_the_unit_does_not_know(chiller, unit):
    silent = ["in_pv_00"]
    unit.mangle = lambda message, reply: b"" if message in silent else reply
    with pytest.raises(DeviceTimeout, match=r"does not know is not answered.*02 REMOTE STOP"):
        chiller.bath_temperature_c()
    silent.clear()
    chiller.set_setpoint_c(20)
    assert chiller.setpoint_c() == 20


def test_a_setting_whose_status_was_lost_may_have_been_carried_out(chiller, unit):
    unit.mangle = lambda message, reply: b"" if message == "status" else reply
    with pytest.raises(DeviceTimeout, match="may or may not have been carried out"):
        chiller.set_setpoint_c(20)
    unit.mangle = lambda _message, reply: reply
    unit.told_next = ["-08 INVALID COMMAND"]
    chiller.set_setpoint_c(21)
    assert unit.asked[-5:] == ["status", "status", "out_sp_00 21.00", "status", "in_sp_00"]


@pytest.mark.parametrize(
    "reply",
    ["", "29,45", "29.45.1", "2945E1", "nan", "inf", "in_pv_00", "\xb2", "29.4 5", ".45",
     "00 MANUAL STOP", "JULABO", "-08 INVALID COMMAND", "999999.00", "29."],
)  # fmt: skip
def test_a_reply_that_cannot_be_is_never_a_number(chiller, unit, reply):
    unit.replies["in_pv_00"] = reply
    with pytest.raises(ProtocolMismatch, match=r"chiller at .*in_pv_00"):
        chiller.bath_temperature_c()
    unit.replies["in_pv_00"] = "29.45"
    assert chiller.bath_temperature_c() == 29.45


@pytest.mark.parametrize("reply", ["---.--", "-", "--.--", " ---- "])
def test_dashes_are_no_value_and_no_doubt(chiller, unit, reply):
    unit.replies["in_pv_02"] = reply
    with pytest.raises(InvalidReading, match="no value"):
        chiller.external_temperature_c()
    assert "version" not in unit.asked


@pytest.mark.parametrize(
    "reply",
    ["", "2", "02", "-01", "25.00", "02 REMOTE", "04 REMOTE", "-00 X", "REMOTE STOP",
     "2 MANUAL STOP"],
)  # fmt: skip
def test_what_is_no_status_is_no_state(chiller, unit, reply):
    unit.state = reply
    with pytest.raises(ProtocolMismatch, match="status"):
        chiller.unit_status()


def test_a_reply_that_stops_somewhere_is_no_number(chiller, unit):
    unit.mangle = lambda message, reply: reply[:3] if message == "in_pv_00" else reply
    with pytest.raises(DeviceTimeout, match=r"b'29\.' came back"):
        chiller.bath_temperature_c()
    unit.mangle = lambda _message, reply: reply
    assert chiller.bath_temperature_c() == 29.45


def test_a_late_reply_is_never_the_answer_to_another_question(chiller, unit):
    unit.mangle = lambda message, reply: b"" if message == "in_pv_00" else reply
    with pytest.raises(DeviceTimeout), chiller.turn():
        try:
            chiller.bath_temperature_c()
        finally:
            unit.arrive(b"77.77\r\n")
    assert chiller.setpoint_c() == 25


def test_a_refusal_that_comes_late_is_told_though_nobody_waits_for_it(chiller, unit):
    unit.mangle = lambda message, reply: b"" if message == "status" else reply
    with pytest.raises(DeviceTimeout), chiller.turn():
        try:
            chiller.set_setpoint_c(20)
        finally:
            unit.mangle = lambda _message, reply: reply
            unit.arrive(b"-11 VALUE TOO LARGE\r\n")
    wait_until(lambda: "the value is too large" in chiller.status().error)


@pytest.mark.parametrize("identity", ["HUBER CC-505", "ACME,OTHER,0,1.0", "VERSION 5.0"])
def test_another_device_is_named(unit, identity):
    unit.replies["version"] = identity
    with opened(unit) as chiller:
        chiller.start()
        wait_until(lambda: chiller.status().state == "Wrong device")
        assert identity in chiller.status().error


@pytest.mark.parametrize(
    ("model", "identity"),
    [("cf31", "JULABO FP50_MH Simulator, ISIS"), ("fp50-mh", VERSION), ("corio", "JULABO FP50-HE")],
)
def test_a_model_whose_registers_mean_something_else_is_the_wrong_device(unit, model, identity):
    unit.replies["version"] = identity
    with opened(unit, model=model) as chiller:
        chiller.start()
        wait_until(lambda: chiller.status().state == "Wrong device")
        assert "other registers" in chiller.status().error


def test_the_registers_follow_the_model(unit):
    unit.replies |= {"version": "JULABO FP50_MH", "in_sp_01": "80.00", "in_sp_02": "-10.00"}
    with opened(unit, model="fp50-mh") as chiller:
        assert chiller.heating_percent() == 28.1
        assert chiller.external_temperature_c() == -12.5
        assert (chiller.high_limit_c(), chiller.low_limit_c()) == (80, -10)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model": "cf30"}, "cf31"),
        ({"model": 5}, "model"),
        ({"model": ["cf31"]}, "model"),
        ({"case": "Upper"}, "upper"),
        ({"confirm": "nothing"}, "status"),
        ({"idle_probe_s": 30}, "watchdog"),
        ({"restore": ["in_pv_00"]}, "out_sp_00"),
        ({"restore": ["out_sp_00"]}, "out_sp_00"),
        ({"restore": "out_sp_00 1"}, "list"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        Julabo("serial:///dev/null", **settings)


def test_a_state_whose_number_and_words_differ_is_not_shown_as_either(unit):
    unit.state = "00 MANUAL START"
    with opened(unit) as chiller:
        status = chiller.unit_status()
        assert (status.state, status.alarm, status.text) == (5, 0, "00 MANUAL START")
        assert "Unclear" in chiller.channel("status").item["enumerators"]["5"]


class UpperUnit(Unit):
    """Understands upper case only, as the simulator of lewis does."""

    def reply_to(self, message: str) -> str | None:
        return super().reply_to(message.lower()) if message == message.upper() else None


def test_commands_are_sent_in_upper_case_where_that_is_asked_for():
    unit = UpperUnit()
    with opened(unit, case="upper", restore=["out_sp_07 3"]) as chiller:
        assert chiller.pump_stage() == 3
        chiller.set_setpoint_c(20)
        assert chiller.setpoint_c() == 20
        assert chiller.raw("in_pv_00") == "29.45"
        assert all(message == message.upper() for message in unit.asked)
    assert Julabo("serial:///dev/null", case="upper").settings.settle_after == ((b"OUT_", 0.25),)


def test_a_unit_without_a_proper_status_is_believed_what_reads_back(unit):
    unit.state = "Hello from the simulated Julabo"
    with opened(unit, confirm="read_back", restore=["out_sp_07 3"]) as chiller:
        chiller.set_setpoint_c(20)
        assert chiller.setpoint_c() == 20
        assert "status" not in unit.asked
        unit.ignored.add("out_mode_05 1")
        with pytest.raises(DeviceRefused, match=r"in_mode_05 = 0.*its status is not asked"):
            chiller.set_running(True)
        before = list(unit.asked)
        with pytest.raises(BadValue, match="nothing was sent"):
            chiller.raw("out_something 1")
        assert unit.asked == before
        with pytest.raises(ProtocolMismatch, match="is not a status"):
            chiller.unit_status()


def test_one_unknown_query_after_the_other_is_named(chiller, unit):
    for query in ("in_sp_98", "in_sp_99"):
        with pytest.raises(DeviceRefused, match=rf"'{query}' was not answered"):
            chiller.raw(query)


def test_what_is_to_be_restored_is_sent_and_checked_on_connect(unit):
    with opened(unit, restore=["OUT_SP_00 15.5", "out_mode_05 1"]) as chiller:
        chiller.wait_until_up()
        assert unit.replies["in_sp_00"] == "15.5"
        assert chiller.running() is True


def test_a_restore_command_that_is_refused_keeps_the_link_down(unit):
    unit.state = MANUAL
    with opened(unit, restore=["out_sp_00 15.5"]) as chiller:
        chiller.start()
        wait_until(lambda: chiller.status().state == "Down")
        assert "remote mode only" in chiller.status().error


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.set_setpoint_c(float("nan")),
        lambda it: it.set_setpoint_c(1000),
        lambda it: it.set_setpoint_c("25"),
        lambda it: it.set_setpoint_c(True),
        lambda it: it.set_pump_stage(0),
        lambda it: it.set_pump_stage(5),
        lambda it: it.set_pump_stage(1.5),
        lambda it: it.set_active_setpoint(3),
        lambda it: it.set_xp(0),
        lambda it: it.set_xp(100),
        lambda it: it.set_tn(2),
        lambda it: it.set_tn(10000),
        lambda it: it.set_tv(1000),
        lambda it: it.raw(" "),
        lambda it: it.set_running("stop"),
        lambda it: it.set_external_control(2),
    ],
)
def test_arguments_outside_the_sheet_are_refused_before_anything_is_sent(chiller, unit, call):
    with pytest.raises(BadValue):
        call(chiller)
    assert unit.asked == []


def test_state_alarm_and_text_are_read_with_one_message(chiller, unit):
    channels = [chiller.channel(path) for path in ("alarm", "temperature", "status.text")]
    planned = chiller.plan_reads(channels)
    assert sorted(len(one.channels) for one in planned) == [1, 2]
    (both,) = (one for one in planned if len(one.channels) == 2)
    unit.written.clear()
    assert both.read() == [0, REMOTE]
    assert unit.asked == ["status"]
    (alone,) = chiller.plan_reads(channels[:1])
    assert list(alone.read()) == [0]


def test_raw_commands_are_checked_too(chiller, unit):
    assert chiller.raw("IN_PV_00") == "29.45"
    assert chiller.raw("OUT_SP_00 30") == ""
    unit.refused["out_sp_00 99"] = "-11 VALUE TOO LARGE"
    with pytest.raises(DeviceRefused, match="too large"):
        chiller.raw("out_sp_00 99")


def test_every_channel_describes_itself_and_says_how_long_its_messages_are(chiller):
    assert_described(chiller.channels())
    assert chiller.channel("temperature").item["units"] == "degC"


def test_statuses_and_numbers_are_read_strictly():
    assert to_status("03 REMOTE START").state == 3
    assert to_status("-1501 WATCHDOG TIMEOUT").alarm == 1501
    assert to_status("-08 INVALID COMMAND").refusal.endswith("invalid command")
    assert to_float(" 29.45 ") == 29.45
    assert to_float("-5") == -5
    framing = LineFeedReplies()
    framing.feed(b"29.45\r\n00 MANUAL STOP\n-1")
    assert [framing.next_reply() for _ in range(3)] == [b"29.45", b"00 MANUAL STOP", None]
    with pytest.raises(ProtocolMismatch):
        framing.feed(b"x" * 300)
