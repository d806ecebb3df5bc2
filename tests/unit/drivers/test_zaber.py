"""The Zaber driver against a small chain of devices on a real socket, written from the sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from drivers._zaber import FLAGS, OTHER_FLAG, REFUSALS, flag_bits, to_flags
from drivers.channel import Reading
from drivers.framing.zaber import Alert, Info, ZaberReplies, message, to_reply, to_unasked
from drivers.zaber import Zaber
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    MoveFailed,
    ProtocolMismatch,
    Stopped,
    WrongDevice,
)
from tests._support import wait_until
from tests.unit.drivers.motion_fakes import asking, failure
from tests.unit.drivers.pages import page_text
from tests.unit.drivers.text_fakes import TextDevice, text_device
from tests.unit.drivers.zaber_fakes import Chain, lrc

QUICK = {"timeout_s": 2.0, "retry_first_s": 0.05, "retry_longest_s": 0.2}
HERE = (1, 1)


@pytest.fixture
def chain() -> Chain:
    return Chain(1, 2)


@pytest.fixture
def device(chain) -> Iterator[TextDevice]:
    with text_device(chain.answer, end=b"\n") as made:
        chain.device = made
        yield made


@pytest.fixture
def stage(device, chain) -> Iterator[Zaber]:
    with opened(device) as made:
        made.wait_until_up()
        chain.commands.clear()
        yield made


def opened(device: TextDevice, cls: type[Zaber] = Zaber, unit: int = 1, **settings: Any) -> Zaber:
    return cls.open(f"{device.url}?unit={unit}", name="stage", **{**QUICK, **settings})


class Patient(Zaber):
    """Looks at an axis hardly ever, if it can rely on alerts."""

    period_with_alerts_s = 60.0


def test_the_device_is_told_to_send_alerts_and_check_sums_and_asked_for_its_limits(device, chain):
    with opened(device) as stage:
        stage.wait_until_up()
        assert chain.commands == [
            "1 0 get device.id",
            "1 0 set comm.alert 1",
            "1 0 set comm.checksum 1",
            "1 1 get limit.min",
            "1 1 get limit.max",
        ]
        assert stage.alerts


def test_settings_and_state_are_read_and_set_as_the_sheet_says(stage, chain):
    chain.at[HERE] = 1234
    assert stage.state(1).steps == 1234
    assert stage.get("version") == "7.38"
    assert stage.limit(1, "max") == 305381
    assert stage.velocity(1) == pytest.approx(100000)
    stage.set_velocity(1, 5000)
    assert chain.settings["maxspeed"] == "8192"
    assert stage.raw("1 get pos") == "IDLE -- 1234"
    assert stage.raw("") == "IDLE -- 0"
    assert stage.raw("1 set maxspeed 99") == "IDLE -- 0"


def test_messages_are_numbered_and_have_a_check_sum(stage, device):
    device.asked.clear()
    for _n in range(100):
        stage.state(1)
    numbers = [int(asked.split()[2].partition(b":")[0]) for asked in device.asked]
    assert set(numbers) == set(range(1, 100))
    assert all(after == before % 99 + 1 for before, after in pairwise(numbers))
    assert message(1, 1, 42, "get pos") == (lrc("/01 1 42 get pos") + "\n").encode()
    assert message(1, 1, 42, "").startswith(b"/01 1 42:")


def test_a_move_is_sent_and_followed_to_its_end(stage, chain):
    stage.motion(1).move_to(5000)
    assert chain.at[HERE] == 5000
    assert "1 1 move abs 5000" in chain.commands


def test_an_alert_ends_the_wait_that_would_be_long_without_it(device, chain):
    chain.obliging = False
    with opened(device, Patient) as stage, asking() as ask:
        stage.wait_until_up()
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: chain.commands.count("1 1 get pos") == 2)
        chain.rest(HERE, 5000)
        chain.say("!02 1 IDLE --")
        chain.say("!01 2 IDLE --")
        chain.say("#01 1 the move has ended")
        chain.say("!01 1 IDLE --")
        assert move.result(30) is None
        assert chain.commands.count("1 1 get pos") == 3


def test_an_alert_whose_check_sum_is_wrong_is_ignored(device, chain):
    chain.obliging = False
    with opened(device, Patient) as stage, asking() as ask:
        stage.wait_until_up()
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: chain.commands.count("1 1 get pos") == 2)
        chain.rest(HERE, 5000)
        device.send(b"!01 1 IDLE --:00\r\n!01 1 BUSY --:77\r\n")
        stage.get("version")  # whatever came before was heard by now
        assert chain.commands.count("1 1 get pos") == 2
        chain.say("!01 0 IDLE --")
        assert move.result(30) is None


def test_without_alerts_the_axis_is_looked_at_often(device, chain):
    chain.rejected["set comm.alert 1"] = "BADCOMMAND"
    chain.obliging = False
    with opened(device, Patient) as stage, asking() as ask:
        stage.wait_until_up()
        assert not stage.alerts
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: chain.commands.count("1 1 get pos") >= 4)
        chain.rest(HERE, 5000)
        assert move.result(30) is None


def test_a_stop_ends_the_move(stage, chain):
    chain.obliging = False
    with asking() as ask:
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: "1 1 move abs 5000" in chain.commands)
        chain.at[HERE] = 777
        chain.obliging = True
        stage.motion(1).stop()
        error = failure(move)
    assert isinstance(error, Stopped)
    assert "it stands at 777 microsteps, not at 5000 microsteps" in str(error)
    assert "1 1 stop" in chain.commands
    stage.emergency_stop(1)
    assert "1 1 estop" in chain.commands
    stage.stop_all()
    assert "1 0 stop" in chain.commands


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("FS", "FS, stalled and stopped"),
        ("FD", "FD, driver disabled"),
        ("FE", "FE, limit error"),
        ("WL", "WL, unexpected limit trigger"),
        ("NI", "NI, movement interrupted"),
        ("FX", "FX, a fault"),
    ],
)
def test_a_flag_that_ends_a_move_is_told_in_words(stage, chain, flag, words):
    chain.obliging = False
    with asking() as ask:
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: "1 1 move abs 5000" in chain.commands)
        chain.rest(HERE, 2000, flag)
        error = failure(move)
    assert isinstance(error, MoveFailed)
    assert words in str(error)
    assert "it stands at 2000" in str(error)


def test_a_warning_that_does_not_end_a_move_is_no_failure(stage, chain):
    chain.obliging = False
    with asking() as ask:
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: "1 1 move abs 5000" in chain.commands)
        chain.rest(HERE, 5000, "WT")
        assert move.result(30) is None
    assert stage.channel("warnings.1").read() == flag_bits(("WT",))
    stage.channel("warnings.clear.1").write(1)
    assert stage.channel("warnings.1").read() == 0


def test_homing_finds_the_reference(device, chain):
    chain.flags[HERE] = ["WR"]
    chain.at[HERE] = 333
    with opened(device) as stage:
        stage.wait_until_up()
        reading = stage.channel("position.1").read()
        assert (reading.value, reading.quality) == (333, "warning")
        stage.home(1)
        assert stage.channel("position.1").read() == 0
        chain.obliging = False
        with asking() as ask:
            home = ask(stage.home, 1)
            wait_until(lambda: chain.commands.count("1 1 home") == 2)
            chain.rest(HERE, 50, "WH")
            assert "homing: WH, not homed" in str(failure(home))


def test_the_limits_of_an_axis_that_counts_the_other_way_are_least_and_greatest(device, chain):
    turned = {1: {"units": "mm", "steps_per_unit": -1000.0, "offset": 40.0}}
    with opened(device, axes=turned) as stage:
        stage.wait_until_up()
        assert stage.limit(1, "min") == pytest.approx(40 - 305.381)
        assert stage.limit(1, "max") == 40


def test_the_limits_of_the_device_hold_before_anything_is_sent(stage, chain):
    with pytest.raises(BadValue, match="outside the limits of the device, 0 microsteps to 305381"):
        stage.motion(1).move_to(305382)
    assert chain.commands == []
    chain.settings["limit.max"] = "400000"
    assert stage.channel("limit.max.1").read() == 400000
    stage.motion(1).move_to(305382)


def test_the_link_is_cut_during_a_move(stage, chain, device):
    chain.obliging = False
    with asking() as ask:
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: "1 1 move abs 5000" in chain.commands)
        device.hang_up()
        error = failure(move)
    assert isinstance(error, DeviceLost)
    assert "it is not known where it stands, or whether it moves" in str(error)
    stage.wait_until_up()


def test_a_device_that_loses_its_power_during_a_move_is_not_where_it_was_sent(device, chain):
    chain.obliging = False
    with opened(device, restore=["1 set maxspeed 5000"]) as stage, asking() as ask:
        stage.wait_until_up()
        chain.commands.clear()
        move = ask(stage.motion(1).move_to, 5)
        wait_until(lambda: "1 1 move abs 5" in chain.commands)
        chain.rest(HERE, 0, "WR")
        error = failure(move)
        assert isinstance(error, DeviceLost)
        assert "it has lost its reference" in str(error)
        wait_until(lambda: "1 1 set maxspeed 5000" in chain.commands)
        assert "1 0 set comm.alert 1" in chain.commands


def test_a_device_that_loses_its_power_while_it_rests_is_connected_anew(stage, chain):
    stage.state(1)
    chain.flags[HERE] = ["WR"]
    stage.state(1)
    wait_until(lambda: stage.status().state == "Down" or "1 0 set comm.alert 1" in chain.commands)
    stage.wait_until_up()
    wait_until(lambda: "1 0 set comm.alert 1" in chain.commands)
    assert stage.state(1).referenced is False


def test_devices_of_a_chain_share_one_line_and_not_their_troubles(device, chain):
    with opened(device) as one, opened(device, unit=2) as two:
        one.wait_until_up()
        two.wait_until_up()
        assert device.connections == 1
        two.motion(1).move_to(70)
        assert (chain.at[1, 1], chain.at[2, 1]) == (0, 70)
        chain.silent.add(2)
        wait_until(lambda: not answers(two) and two.status().state == "Down")
        assert answers(one)
        chain.silent.clear()
        two.wait_until_up()


def answers(stage: Zaber) -> bool:
    try:
        stage.state(1)
    except DeviceError:
        return False
    return True


def test_two_axes_of_a_device_move_by_themselves(device, chain):
    with opened(device, axes=[1, 2]) as stage, asking() as ask:
        stage.wait_until_up()
        chain.obliging = False
        move = ask(stage.motion(1).move_to, 5000)
        wait_until(lambda: "1 1 move abs 5000" in chain.commands)
        chain.obliging = True
        stage.motion(2).move_to(60)
        assert not move.done()
        chain.rest(HERE, 5000)
        assert move.result(30) is None


# --- bad input, as the sheet has it -------------------------------------------------------------


@pytest.mark.parametrize("word", [*REFUSALS, "NEWWORD"])
def test_a_rejection_is_told_in_words(stage, chain, word):
    chain.rejected["move"] = word
    with pytest.raises(DeviceRefused, match=rf"axis 1: it rejected 'move abs 5': {word}"):
        stage.motion(1).move_to(5)
    if word in REFUSALS:
        with pytest.raises(DeviceRefused, match=re.escape(REFUSALS[word])):
            stage.motion(1).move_to(5)
    assert stage.status().errors == 0


def test_a_reply_with_a_wrong_check_sum_is_never_a_value(stage, chain):
    chain.at[HERE] = 1234
    chain.mangle = lambda line: line.replace("1234", "1235")
    with pytest.raises(ProtocolMismatch, match=r"check sum 'zaber' of .* and should be"):
        stage.state(1)
    chain.mangle = lambda line: line
    assert stage.state(1).steps == 1234


def test_a_reply_that_has_lost_its_check_sum_is_never_a_value(stage, chain):
    chain.mangle = lambda line: line[:-3]
    with pytest.raises(ProtocolMismatch, match="its check sum is missing"):
        stage.state(1)


def test_a_device_that_knows_no_check_sums_is_spoken_to_all_the_same(device, chain):
    chain.knows_check_sums = False
    chain.at[HERE] = 9
    with opened(device) as stage:
        stage.wait_until_up()
        assert stage.state(1).steps == 9


def test_replies_of_others_and_to_other_messages_are_dropped(stage, chain):
    chain.at[HERE] = 1234

    def with_others(line: str) -> str:
        others = [lrc("@02 1 07 OK IDLE -- 5"), lrc(line[:6] + "00 OK IDLE -- 6"), "!01 1 IDLE --"]
        return "\r\n".join([*others, line]) if " 1234" in line else line

    chain.mangle = with_others
    assert stage.state(1).steps == 1234


@pytest.mark.parametrize(
    "reply",
    ["@01 1 00", "@01 1 07 OK BUSY", "hello", "@01 1 07 YES IDLE -- 5", "", "@1 1 7 OK IDLE -- 5"],
)
def test_what_is_no_reply_is_never_a_value(stage, chain, reply):
    chain.mangle = lambda _line: reply
    with pytest.raises((ProtocolMismatch, DeviceTimeout)):
        stage.get("version")


@pytest.mark.parametrize("data", ["", "12 13", "1.5", "NAN", "--"])
def test_what_is_no_position_is_never_a_value(stage, chain, data):
    def mangled(line: str) -> str:
        return lrc(re.sub(" -- .*", f" -- {data}", line)) if asked_for("get pos") else line

    def asked_for(text: str) -> bool:
        return chain.commands[-1].endswith(text)

    chain.mangle = mangled
    with pytest.raises(ProtocolMismatch):
        stage.state(1)


def test_flags_are_as_many_as_they_say():
    assert to_flags("00") == ()
    assert to_flags("02 WR FS") == ("WR", "FS")
    for text in ("02 WR", "00 WR", "WR", "1 WR", ""):
        with pytest.raises(ValueError, match="is not a list of warning flags"):
            to_flags(text)
    assert flag_bits(("FF", "XX")) == 1 | 1 << OTHER_FLAG
    assert len(FLAGS) == OTHER_FLAG


def test_lines_are_read_for_what_they_are():
    reply = to_reply(lrc("@01 1 42 OK BUSY WR 77"), 1, 42)
    assert (reply.axis, reply.ok, reply.busy, reply.flag, reply.data) == (1, True, True, "WR", "77")
    assert reply.checked
    assert to_reply("@01 0 05 RJ IDLE -- BADDATA", 1, 5).ok is False
    for address, number in ((2, 42), (1, 43)):
        with pytest.raises(ProtocolMismatch, match="another"):
            to_reply(lrc("@01 1 42 OK BUSY WR 77"), address, number)
    assert to_unasked(lrc("!03 1 IDLE FS")) == Alert(3, 1)
    assert to_unasked("#01 0 Visit us") == Info(1, "Visit us")
    assert to_unasked("#01 0 Visit us:00") is None
    assert to_unasked("!what") is None


def test_a_reply_cut_anywhere_is_found():
    replies = ZaberReplies()
    replies.sent(message(1, 1, 42, "get pos"))
    found = []
    for byte in (
        lrc("@01 1 41 OK IDLE -- 1") + "\r\n" + lrc("@01 1 42 OK IDLE -- 2") + "\r\n"
    ).encode():
        replies.feed(bytes([byte]))
        if (reply := replies.next_reply()) is not None:
            found.append(reply)
    assert found == [lrc("@01 1 42 OK IDLE -- 2").encode()]


@pytest.mark.parametrize("text", ["/01 1 get pos", "@01", "1 get pös", "1 tools:echo"])
def test_what_cannot_be_sent_is_refused(stage, chain, text):
    with pytest.raises(BadValue):
        stage.raw(text)
    assert chain.commands == []


def test_another_device_on_the_port_is_named(device, chain):
    chain.mangle = lambda _line: "HUBER CC-505"
    with opened(device) as stage:
        stage.start()
        wait_until(lambda: stage.status().state == "Wrong device")
        assert "HUBER CC-505" in stage.status().error


def test_what_the_device_says_for_people_is_logged(stage, chain, caplog):
    caplog.set_level("INFO")
    chain.say("#01 0 the driver is hot")
    chain.say("#02 0 not me")
    wait_until(lambda: "the driver is hot" in caplog.text)
    assert "not me" not in caplog.text


# --- channels -----------------------------------------------------------------------------------


def test_every_channel_that_can_be_read_answers(device):
    with opened(device, axes=[1, 2]) as stage:
        stage.wait_until_up()
        paths = [channel.path for channel in stage.channels()]
        assert len(paths) == len(set(paths))
        for channel in stage.channels():
            if channel.read is not None:
                channel.read()


def test_a_position_is_changing_while_the_axis_moves(stage, chain):
    chain.busy.add(HERE)
    for path in ("position.1", "warnings.1"):
        reading = stage.channel(path).read()
        assert isinstance(reading, Reading)
        assert reading.quality == "changing"
    assert stage.channel("moving.1").read() is True


def test_position_motion_and_flags_come_with_one_message(stage, chain):
    channels = [stage.channel(path) for path in ("position.1", "moving.1", "warnings.1")]
    (block,) = stage.plan_reads(channels)
    chain.commands.clear()
    assert list(block.read()) == [0, False, 0]
    assert chain.commands == ["1 1 get pos"]


def test_an_axis_that_is_not_there_spoils_only_what_is_asked_of_it(device, chain):
    chain.rejected["get limit.min"] = "BADAXIS"
    with opened(device) as stage:
        stage.wait_until_up()
        with pytest.raises(DeviceRefused, match="there is no such axis"):
            stage.limit(1, "min")
        with pytest.raises(BadValue, match="2 is no axis; the setting axes names 1"):
            stage.velocity(2)


def test_the_page_names_every_channel(stage):
    page = page_text("zaber.md") + page_text("motion.md")
    for channel in stage.channels():
        path = channel.path
        assert f"`{path}`" in page or f"`{path.rpartition('.')[0]}.1`" in page, path


# --- a serial number ------------------------------------------------------------------------------


def test_a_device_with_another_serial_number_is_not_spoken_to(device):
    with opened(device, serial=100002) as stage:
        stage.start()
        wait_until(lambda: stage.status().state == "Wrong device")
        assert "OK IDLE -- 100001" in stage.status().error
    with opened(device, unit=2, serial=100002) as other:
        other.wait_until_up()
        other.motion(1).move_to(50)
        other.home(1)


@pytest.mark.parametrize("moves", [lambda stage: stage.motion(1).move_to(50), lambda s: s.home(1)])
def test_after_a_renumbering_no_other_device_is_moved(device, chain, moves):
    with opened(device, serial=100001) as stage:
        stage.wait_until_up()
        chain.serials = {1: "100002", 2: "100001"}
        with pytest.raises(WrongDevice, match=r"serial number 100002 answers, not 100001"):
            moves(stage)
        wait_until(lambda: stage.status().state == "Wrong device")
        chain.serials = {1: "100001", 2: "100002"}
        stage.wait_until_up()
    assert not any("move" in one or "home" in one for one in chain.commands)


def test_a_serial_number_is_looked_at_now_and_then_and_not_each_time(device, chain):
    with opened(device, serial=100001) as stage:
        stage.wait_until_up()
        for _n in range(5):
            assert stage.state(1).steps == 0
        assert chain.commands.count("1 0 get system.serial") == 1
        stage._confirmed_at -= 11  # so much later
        chain.serials = {1: "100002"}
        with pytest.raises(WrongDevice):
            stage.state(1)
        wait_until(lambda: stage.status().state == "Wrong device")


def test_a_stop_is_for_whatever_moves_and_waits_for_no_serial_number(device, chain):
    with opened(device, serial=100001) as stage:
        stage.wait_until_up()
        chain.serials = {1: "100002"}
        stage.stop_all()
        assert chain.commands[-1].startswith("1 ")
        assert "1 0 stop" in chain.commands


@pytest.mark.parametrize("serial", ["100001", 0, -5, True, 1.5])
def test_what_is_no_serial_number_is_refused(serial):
    with pytest.raises(ConfigurationError, match="serial must be a serial number, such as 73428"):
        Zaber("tcp://127.0.0.1:1", serial=serial)
