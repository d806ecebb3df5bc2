"""Lines, settings and rejections of the sheet, two axes, and chains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators._zaber_lines import lrc, with_lrc
from simulators.bus import Bus
from simulators.device import SimulatorError
from simulators.zaber import Zaber
from tests.unit.simulators.motion_talk import ask, data, heard, obeyed, read, write


@pytest.fixture
def stage() -> Zaber:
    return Zaber(seed=1)


@pytest.fixture
def chain() -> Bus:
    return Bus({1: Zaber(seed=1, unit=1), 2: Zaber(seed=2, unit=2, axes=2), 9: Zaber(unit=9)})


# -- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("/1 0 00 get pos", "@01 0 00 OK IDLE -- 0"),
        ("/1 1 7 get pos", "@01 1 07 OK IDLE -- 0"),
        ("/1 get pos", "@01 0 OK IDLE -- 0"),
        ("/1 1 get pos", "@01 1 OK IDLE -- 0"),
        ("/1 1 -- get pos", "@01 1 OK IDLE -- 0"),
        ("/01 get pos", "@01 0 OK IDLE -- 0"),
        ("/get pos", "@01 0 OK IDLE -- 0"),
        ("/0 get pos", "@01 0 OK IDLE -- 0"),
        ("/1", "@01 0 OK IDLE -- 0"),
        ("/1 1 42", "@01 1 42 OK IDLE -- 0"),
        ("/", "@01 0 OK IDLE -- 0"),
        ("noise/1", "@01 0 OK IDLE -- 0"),
        ("/1 get po/1 get limit.max  ", "@01 0 OK IDLE -- 1000000"),
    ],
)
def test_a_reply_repeats_device_axis_and_message_id(stage: Zaber, message: str, reply: str) -> None:
    assert stage.answer(message.encode()) == f"{reply}\r\n".encode()


@pytest.mark.parametrize(
    "message",
    [
        "",
        "get pos",
        "@01 0 OK IDLE -- 0",
        "/2 get pos",
        "/100",
        "/1 get pos\xe9",
        "/1 " + "x" * 300,
    ],
)
def test_what_is_for_nobody_is_met_with_silence(stage: Zaber, message: str) -> None:
    assert ask(stage, message) == ""


def test_the_checksum_makes_the_sum_of_all_bytes_zero() -> None:
    for body in ("", "1 0 get pos", "01 0 OK IDLE -- 0", "\x01"):
        assert (sum(body.encode()) + int(lrc(body), 16)) % 256 == 0
    assert with_lrc("/01 1 tools echo test") == "/01 1 tools echo test:" + lrc(
        "01 1 tools echo test"
    )


def test_a_right_checksum_is_accepted_in_either_case_and_a_wrong_one_is_silence(
    stage: Zaber,
) -> None:
    message = with_lrc("/1 1 02 move abs 1000")
    assert ask(stage, message.lower()) == "@01 1 02 OK BUSY -- 0"
    right = message[-2:]
    for wrong in ("00", "FF", right[:1], right + "0", "ZZ", ""):
        assert wrong == right or ask(stage, message[:-2] + wrong) == ""


@given(st.text(alphabet="abcdefgh 0123456789.", max_size=30), st.integers(0, 255))
def test_no_wrong_checksum_is_ever_obeyed(body: str, checksum: int) -> None:
    answered = ask(Zaber(), f"/{body}:{checksum:02X}") != ""
    right = f"{checksum:02X}" == lrc(body)
    assert right or not answered


def test_replies_have_a_checksum_while_comm_checksum_is_on(stage: Zaber) -> None:
    reply = ask(stage, "/1 1 03 set comm.checksum 1")
    assert reply == with_lrc("@01 1 03 RJ IDLE -- DEVICEONLY")[:-3]
    obeyed(stage, "/1 set comm.checksum 1", "/1 set comm.alert 1")
    assert ask(stage, "/1 1 03 get pos") == with_lrc("@01 1 03 OK IDLE -- 0")
    obeyed(stage, "/1 move abs 10")
    stage.step(1)
    assert heard(stage) == [with_lrc("!01 1 IDLE --")]
    assert all(
        line == with_lrc(line.rpartition(":")[0]) for line in ask(stage, "/1 help").split("\r\n")
    )


def test_info_lines_follow_the_reply(stage: Zaber) -> None:
    reply, *infos = ask(stage, "/1 0 05 help").split("\r\n")
    assert reply == "@01 0 05 OK IDLE -- 0"
    assert len(infos) == 2
    assert all(info.startswith("#01 0 05 ") for info in infos)


@given(st.binary(max_size=60))
def test_no_bytes_whatever_break_the_model(message: bytes) -> None:
    stage = Zaber(axes=2)
    for prefix in (b"", b"/", b"/1 1 ", b"/1 get ", b"/1 set ", b"/1 move "):
        stage.answer(prefix + message)
    stage.step(1)
    assert ask(stage, "/1 0 01").startswith("@01 0 01 OK ")


def test_an_endless_line_takes_no_memory_and_is_ignored(stage: Zaber) -> None:
    framer = stage.framer()
    for _ in range(100):
        assert framer.feed(b"/" * 4096) == []
    [message, after] = framer.feed(b"\r\n\n/1\r")
    assert stage.answer(message) == b""
    assert stage.answer(after) == b"@01 0 OK IDLE -- 0\r\n"


# -- settings and rejections ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "reply"),
    [
        ("device.id", "50081"),
        ("version", "7.38"),
        ("system.axiscount", "1"),
        ("system.voltage", "48.0"),
        ("comm.alert", "0"),
        ("comm.address", "1"),
        ("limit.min", "0"),
        ("limit.max", "1000000"),
        ("maxspeed", "491520"),
        ("accel", "205"),
        ("encoder.pos", "0"),
        ("driver.temperature", "28.0"),
        ("driver.enabled", "1"),
    ],
)
def test_a_setting_can_be_read(stage: Zaber, setting: str, reply: str) -> None:
    assert data(stage, f"/1 get {setting}") == reply


@pytest.mark.parametrize(
    ("setting", "value"),
    [("maxspeed", 1000), ("accel", 1), ("limit.min", -50), ("limit.max", 5000), ("comm.alert", 1)],
)
def test_a_setting_can_be_set_and_survives_a_loss_of_supply(
    stage: Zaber, setting: str, value: int
) -> None:
    obeyed(stage, f"/1 set {setting} {value}")
    stage.power_off()
    stage.power_on()
    assert data(stage, f"/1 get {setting}") == str(value)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/1 fly", "BADCOMMAND"),
        ("/1 GET pos", "BADCOMMAND"),
        ("/1 get", "BADCOMMAND"),
        ("/1 get altitude", "BADCOMMAND"),
        ("/1 get pos now", "BADCOMMAND"),
        ("/1 set", "BADCOMMAND"),
        ("/1 set altitude 3", "BADCOMMAND"),
        ("/1 set maxspeed", "BADCOMMAND"),
        ("/1 move", "BADCOMMAND"),
        ("/1 move abs", "BADCOMMAND"),
        ("/1 move up 3", "BADCOMMAND"),
        ("/1 move min 3", "BADCOMMAND"),
        ("/1 home now", "BADCOMMAND"),
        ("/1 stop 1", "BADCOMMAND"),
        ("/1 warnings all", "BADCOMMAND"),
        ("/1 driver perhaps", "BADCOMMAND"),
        ("/1 tools hammer", "BADCOMMAND"),
        ("/1 system restore", "BADCOMMAND"),
        ("/1 1 2 3 get pos", "BADCOMMAND"),
        ("/1 move abs far", "BADDATA"),
        ("/1 move abs 1.5", "BADDATA"),
        ("/1 move abs -1", "BADDATA"),
        ("/1 move abs 1000001", "BADDATA"),
        ("/1 move abs 99999999999999", "BADDATA"),
        ("/1 move rel -1", "BADDATA"),
        ("/1 move vel 9999999", "BADDATA"),
        ("/1 set maxspeed 0", "BADDATA"),
        ("/1 set comm.alert 2", "BADDATA"),
        ("/1 renumber 0", "BADDATA"),
        ("/1 2 get pos", "BADAXIS"),
        ("/1 1 100 get pos", "BADMESSAGEID"),
        ("/1 set version 8", "NOACCESS"),
        ("/1 set encoder.pos 8", "NOACCESS"),
        ("/1 1 get device.id", "DEVICEONLY"),
        ("/1 1 set comm.alert 1", "DEVICEONLY"),
        ("/1 1 renumber", "DEVICEONLY"),
        ("/1 1 system reset", "DEVICEONLY"),
    ],
)
def test_what_cannot_be_done_is_rejected_and_changes_nothing(
    stage: Zaber, command: str, why: str
) -> None:
    assert ask(stage, command).endswith(f" RJ IDLE -- {why}")
    stage.step(1)
    assert data(stage, "/1 get pos") == "0"
    assert read(stage, "axis1_at_microsteps") == 0


def test_a_message_id_out_of_range_is_not_repeated(stage: Zaber) -> None:
    assert ask(stage, "/1 1 100 get pos") == "@01 1 RJ IDLE -- BADMESSAGEID"


@pytest.mark.parametrize("command", ["set pos 5", "set limit.max 5", "tools parking park"])
def test_what_needs_rest_is_rejected_while_it_moves(stage: Zaber, command: str) -> None:
    obeyed(stage, "/1 move abs 500000")
    stage.step(0.5)
    assert ask(stage, f"/1 {command}") == "@01 0 RJ BUSY -- STATUSBUSY"


def test_words_come_back_when_they_are_echoed(stage: Zaber) -> None:
    assert data(stage, "/1 tools echo to and fro") == "to and fro"
    assert data(stage, "/1 tools echo") == "0"


def test_faults_of_the_control_port_reject_what_is_meant_for_it_only(stage: Zaber) -> None:
    for fault, why in (("busy", "STATUSBUSY"), ("nak", "AGAIN")):
        assert stage.refusal("tcp", b"/1 1 04 home", fault, {}) == (
            f"@01 1 04 RJ IDLE -- {why}\r\n".encode()
        )
        assert stage.refusal("tcp", b"/2 home", fault, {}) == b""


# -- two axes and chains -------------------------------------------------------------------------


def test_two_axes_are_told_apart_and_together() -> None:
    stage = Zaber(axes=2)
    obeyed(stage, "/1 2 move abs 500")
    stage.step(1)
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE -- 0 500"
    obeyed(stage, "/1 set comm.alert 1", "/1 move rel 100")
    stage.step(0.01)
    assert ask(stage, "/1 2") == "@01 2 OK BUSY -- 0"
    stage.step(1)
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE -- 100 600"
    assert sorted(heard(stage)) == ["!01 1 IDLE --", "!01 2 IDLE --"]


def test_of_two_axes_none_moves_if_one_cannot() -> None:
    stage = Zaber(axes=2)
    write(stage, axis2_temperature_c=100)
    assert ask(stage, "/1 move abs 100") == "@01 0 RJ IDLE FD DRIVERDISABLED"
    assert ask(stage, "/1 1 move abs 100") == "@01 1 OK BUSY -- 0"


def test_an_axis_with_nothing_attached_is_inactive() -> None:
    stage = Zaber(axes=2)
    write(stage, axis2_active=0)
    assert ask(stage, "/1 2 home") == "@01 2 RJ IDLE -- INACTIVE"
    assert ask(stage, "/1 2 get pos") == "@01 2 RJ IDLE -- INACTIVE"
    assert data(stage, "/1 get pos") == "0 NA"
    obeyed(stage, "/1 move abs 5")


def test_on_a_chain_each_answers_for_itself_and_a_broadcast_in_turn(chain: Bus) -> None:
    obeyed(chain, "/2 1 move abs 700")
    chain.step(1)
    assert ask(chain, "/2 get pos") == "@02 0 OK IDLE -- 700 0"
    assert ask(chain, "/3 get pos") == ""
    replies = ask(chain, "/0 0 08 get pos").split("\r\n")
    assert replies == [
        "@01 0 08 OK IDLE -- 0",
        "@02 0 08 OK IDLE -- 700 0",
        "@09 0 08 OK IDLE -- 0",
    ]


def test_alerts_of_a_chain_say_whose_they_are(chain: Bus) -> None:
    obeyed(chain, "/0 set comm.alert 1", "/9 move abs 30000", "/1 move abs 10")
    assert chain.speaks_in_s() < 0.1
    chain.step(1)
    assert heard(chain) == ["!01 1 IDLE --", "!09 1 IDLE --"]


def test_renumber_numbers_a_chain_by_places_and_one_device_as_told(chain: Bus) -> None:
    replies = ask(chain, "/0 0 01 renumber").split("\r\n")
    assert [reply[:9] for reply in replies] == ["@01 0 01 ", "@02 0 01 ", "@03 0 01 "]
    assert ask(chain, "/3 renumber 42") == "@42 0 OK IDLE -- 0"
    assert ask(chain, "/42 get comm.address") == "@42 0 OK IDLE -- 42"
    assert ask(chain, "/renumber 10").count("OK") == 3
    assert ask(chain, "/12") == "@12 0 OK IDLE -- 0"


def test_two_with_the_same_number_both_answer(chain: Bus) -> None:
    obeyed(chain, "/9 renumber 2")
    assert ask(chain, "/2").split("\r\n") == ["@02 0 OK IDLE -- 0"] * 2


def test_a_dead_one_on_a_chain_is_silent(chain: Bus) -> None:
    chain.afflict("dead-unit", {"unit": 2})
    assert ask(chain, "/2") == ""
    assert len(ask(chain, "/").split("\r\n")) == 2


def test_another_device_identifies_itself_otherwise(stage: Zaber) -> None:
    stage.afflict("wrong-identity", {"identity": "99999"})
    assert data(stage, "/1 get device.id") == "99999"


def test_devices_that_cannot_be_are_refused() -> None:
    for wrong in (dict(unit=0), dict(unit=100), dict(axes=0), dict(axes=3)):
        with pytest.raises(SimulatorError):
            Zaber(**wrong)
