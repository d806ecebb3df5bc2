"""The IcePAP driver against a small device on a real socket, written from the sheet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers._icepap import AXES, IcepapState, home_result, values_of
from drivers.channel import Reading
from drivers.framing.enclosed import EnclosedReplies
from drivers.icepap import IcePAP
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    MoveFailed,
    ProtocolMismatch,
    Stopped,
)
from tests._support import wait_until
from tests.unit.drivers.motion_fakes import asking, failure
from tests.unit.drivers.pages import page_text
from tests.unit.drivers.text_fakes import TextDevice, text_device

QUICK = {"timeout_s": 2.0, "retry_first_s": 0.05, "retry_longest_s": 0.2}
ALIVE = 0x00800203
MOVING, SETTLING = 1 << 10, 1 << 11


class System:
    """Three axes that stand where a test puts them; what is asked of others is refused."""

    def __init__(self) -> None:
        self.words = {1: ALIVE, 2: ALIVE, 11: ALIVE}
        self.steps = {1: 0, 2: 200, 11: -1100}
        self.texts: dict[str, str] = {
            "?VER": "3.17",
            "?MODE": "OPER",
            "1:?ENC": "5",
            "1:?VELOCITY": "1000",
            "1:?ACCTIME": "0.25",
            "1:?POWER": "ON",
            "1:?NAME": "filter",
            "1:?WARNING": "NONE",
            "1:?HOMESTAT": "NOTFOUND 1",
        }
        self.end = b"\r\n"
        self.refused: dict[str, str] = {}
        self.silent: set[str] = set()
        self.obliging = True
        self.mangle: Callable[[bytes], bytes] = lambda reply: reply

    def answer(self, message: bytes) -> bytes | None:
        text = message.decode()
        if not text.startswith("#") and "?" not in text:
            return None
        head = text.removeprefix("#").split()[0]
        if head in self.silent:
            return None
        said = self.refused.get(head) or self._said(head, text.split()[1:])
        return self.mangle(f"{head} {said}".encode() + self.end)

    def _said(self, head: str, words: list[str]) -> str:
        if head in ("?STATUS", "?POS"):
            axes = [int(word) for word in words]
            if any(axis not in self.steps for axis in axes):
                return "ERROR Board is not present in the system"
            if head == "?POS":
                return " ".join(str(self.steps[axis]) for axis in axes)
            return " ".join(f"0x{self.words[axis]:08X}" for axis in axes)
        if head in self.texts:
            return self.texts[head]
        address, _, command = head.rpartition(":")
        if command == "MOVE":
            self.words[int(address)] |= MOVING
            if self.obliging:
                self.rest(int(address), int(words[0]))
        elif command in ("STOP", "ABORT") and self.obliging:
            self.rest(int(address or 1), code=1 if command == "STOP" else 2)
        elif command in ("HOME", "VELOCITY", "ACCTIME", "POWER", "POS", "STOP", "ABORT"):
            pass
        else:
            return "ERROR Command not recognised"
        return "OK"

    def rest(self, axis: int, steps: int | None = None, code: int = 0) -> None:
        if steps is not None:
            self.steps[axis] = steps
        self.words[axis] = ALIVE | code << 14


@pytest.fixture
def system() -> System:
    return System()


@pytest.fixture
def device(system) -> Iterator[TextDevice]:
    with text_device(system.answer, end=b"\r") as made:
        yield made


@pytest.fixture
def icepap(device) -> Iterator[IcePAP]:
    with opened(device) as made:
        made.wait_until_up()
        device.asked.clear()
        yield made


def opened(device: TextDevice, **settings: Any) -> IcePAP:
    given = {"axes": [1, 2, 11], **QUICK, **settings}
    return IcePAP.open(device.url, name="motors", **given)


def test_axes_are_read_and_set_as_the_sheet_says(icepap, device):
    assert icepap.state(11).steps == -1100
    assert icepap.encoder_steps(1) == 5
    assert icepap.velocity(1) == 1000
    assert icepap.acceleration_time_s(1) == 0.25
    assert icepap.power(1) is True
    assert icepap.text(1, "NAME") == "filter"
    assert icepap.mode() == "OPER"
    icepap.set_velocity(1, 1234.5)
    icepap.set_acceleration_time_s(1, 0.5)
    icepap.set_power(1, False)
    icepap.redefine_position(1, 70)
    assert device.asked[:3] == [b"?STATUS 11", b"?POS 11", b"1:?ENC"]
    for sent in (b"#1:VELOCITY 1234.5", b"#1:ACCTIME 0.5", b"#1:POWER OFF", b"#1:POS 70"):
        assert sent in device.asked


def test_replies_may_end_with_lf_alone(system, icepap):
    system.end = b"\n"
    assert icepap.state(2).steps == 200


def test_a_reply_of_several_lines_comes_without_its_marks(system, icepap):
    system.texts["0:?VER"] = "$\r\nSYSTEM : 3.17\r\n   DRIVER : 3.17\r\n$"
    assert icepap.query("0:?VER INFO") == "SYSTEM : 3.17\n   DRIVER : 3.17"
    assert icepap.raw("0:?VER INFO").startswith("SYSTEM")
    assert icepap.state(2).steps == 200


def test_lines_between_marks_are_one_reply_however_they_come():
    replies = EnclosedReplies()
    data = b"?HELP $\r\nPOS\r\nMOVE\r\n$\r\n1:?POS 5\r\n$\nX\n$\n"
    found = []
    for index in range(len(data)):
        replies.feed(data[index : index + 1])
        while (reply := replies.next_reply()) is not None:
            found.append(reply)
    assert found == [b"?HELP\nPOS\nMOVE", b"1:?POS 5", b"X"]
    assert replies.pending == b""


def test_a_move_is_sent_acknowledged_and_followed_to_its_end(icepap, system, device):
    icepap.motion(1).move_to(1500)
    assert system.steps[1] == 1500
    assert b"#1:MOVE 1500" in device.asked


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "stop code 3: Limit switch +"),
        (4, "stop code 4: Limit switch -"),
        (5, "stop code 5: Settling timeout"),
        (6, "stop code 6: Axis disabled"),
        (12, "stop code 12: Closed loop error"),
        (15, "stop code 15: External alarm"),
    ],
)
def test_a_stop_code_ends_a_move_in_words(icepap, system, device, code, words):
    system.obliging = False
    with asking() as ask:
        move = ask(icepap.motion(1).move_to, 1500)
        wait_until(lambda: device.told(b"?STATUS 1") >= 3)
        system.rest(1, 700, code)
        error = failure(move)
    assert isinstance(error, MoveFailed)
    assert words in str(error)
    assert "it stands at 700 steps, not at 1500 steps" in str(error)


def test_settling_is_part_of_a_move(icepap, system, device):
    system.obliging = False
    with asking() as ask:
        move = ask(icepap.motion(1).move_to, 1500)
        wait_until(lambda: device.told(b"#1:MOVE 1500"))
        system.steps[1] = 1500
        system.words[1] = ALIVE | SETTLING
        seen = device.told(b"?STATUS 1")
        wait_until(lambda: device.told(b"?STATUS 1") >= seen + 3)
        assert not move.done()
        system.rest(1)
        assert move.result(30) is None


def test_a_stop_ends_the_move(icepap, system, device):
    system.obliging = False
    with asking() as ask:
        move = ask(icepap.motion(1).move_to, 1500)
        wait_until(lambda: device.told(b"#1:MOVE 1500"))
        system.obliging = True
        icepap.motion(1).stop()
        error = failure(move)
    assert isinstance(error, Stopped)
    assert b"#1:STOP" in device.asked


def test_all_axes_stop_with_one_message_and_each_by_itself_if_that_is_refused(
    icepap, system, device
):
    icepap.stop_all()
    assert device.asked == [b"#STOP 1 2 11"]
    system.refused["STOP"] = "ERROR Board is not present in the system"
    system.refused["2:STOP"] = "ERROR Board is not present in the system"
    with pytest.raises(DeviceRefused, match=r"'#2:STOP': Board is not present"):
        icepap.stop_all()
    assert {b"#1:STOP", b"#2:STOP", b"#11:STOP"} <= set(device.asked)


def test_a_move_that_is_refused_says_why(icepap, system):
    system.refused["1:MOVE"] = "ERROR Axis is disabled"
    with pytest.raises(DeviceRefused, match=r"motors at .* refused '#1:MOVE 5': Axis is disabled"):
        icepap.motion(1).move_to(5)


def test_homing_ends_when_the_controller_has_found_it(icepap, system, device):
    with asking() as ask:
        system.texts["1:?HOMESTAT"] = "MOVING -1"
        home = ask(icepap.home, 1, -1)
        wait_until(lambda: device.told(b"1:?HOMESTAT") >= 2)
        assert not home.done()
        system.texts["1:?HOMESTAT"] = "FOUND -1"
        assert home.result(30) is None
        assert b"#1:HOME -1" in device.asked
        system.texts["1:?HOMESTAT"] = "NOTFOUND 1"
        with pytest.raises(MoveFailed, match="the home position was not found"):
            icepap.home(1, 1)
    with pytest.raises(BadValue, match="1, -1 or 0, not 2"):
        icepap.home(1, 2)
    with pytest.raises(ValueError, match="is not the state of a search"):
        home_result("LOST")


def test_the_link_is_cut_during_a_move(icepap, system, device):
    system.obliging = False
    with asking() as ask:
        move = ask(icepap.motion(1).move_to, 1500)
        wait_until(lambda: device.told(b"#1:MOVE 1500"))
        device.hang_up()
        error = failure(move)
    assert isinstance(error, DeviceLost)
    assert "it is not known where it stands" in str(error)
    wait_until(lambda: icepap.status().state == "Up")
    system.rest(1, 400)
    system.obliging = True
    icepap.motion(1).move_to(1500)
    assert system.steps[1] == 1500


def test_closing_ends_a_move_at_once(device, system):
    system.obliging = False
    icepap = opened(device)
    with asking() as ask:
        icepap.wait_until_up()
        move = ask(icepap.motion(1).move_to, 1500)
        wait_until(lambda: device.told(b"#1:MOVE 1500"))
        icepap.close()
        assert isinstance(failure(move), DeviceError)


# --- bad input, as the sheet has it ------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("1:?FOO", "Command not recognised"),
        ("1:?POS x", "Wrong parameter(s)"),
        ("99:?POS", "Bad board address"),
        ("15:?POS", "Board is not present in the system"),
        (":?POS", "Cannot broadcast a query"),
    ],
)
def test_an_error_is_told_in_the_words_of_the_controller(icepap, system, message, reason):
    system.refused[message.split()[0]] = f"ERROR {reason}"
    with pytest.raises(DeviceRefused, match=f"refused '.*': {re.escape(reason)}"):
        icepap.raw(message)
    assert icepap.status().errors == 0
    assert icepap.state(1).steps == 0


def test_an_action_is_never_sent_without_the_sign_that_has_it_answered(icepap, device):
    assert icepap.raw("1:POWER ON") == "OK"
    assert icepap.raw("#1:POWER ON") == "OK"
    assert icepap.raw(":STOP") == ""
    wait_until(lambda: device.asked == [b"#1:POWER ON", b"#1:POWER ON", b":STOP"])
    with pytest.raises(BadValue, match="nothing to send"):
        icepap.raw("#")


def test_an_action_without_an_answer_is_an_error(icepap, system):
    system.silent.add("1:POWER")
    with pytest.raises(DeviceTimeout, match="may or may not have been carried out"):
        icepap.set_power(1, True)
    assert icepap.power(1) is True


@pytest.mark.parametrize(
    "reply",
    [
        b"2:?VELOCITY 5",
        b"1:?ACCTIME 5",
        b"1:?VELOCITY",
        b"1:?VELOCITY fast",
        b"",
        b"1:?VELOCITY 5 6",
    ],
)
def test_what_does_not_repeat_the_question_is_no_answer(icepap, system, reply):
    system.mangle = lambda sent: reply + b"\r\n" if b"VELOCITY" in sent else sent
    with pytest.raises(ProtocolMismatch, match=r"asked '1:\?VELOCITY', and"):
        icepap.velocity(1)
    system.mangle = lambda sent: sent
    assert icepap.velocity(1) == 1000


def test_a_late_reply_is_not_the_answer_to_the_same_question_asked_again(icepap, system, device):
    system.silent.add("1:?VELOCITY")
    with pytest.raises(DeviceTimeout):
        icepap.velocity(1)
    device.send(b"1:?VELOCITY 77\r\n")
    system.silent.clear()
    assert icepap.velocity(1) == 1000


def test_an_acknowledgement_is_ok_or_an_error_and_nothing_else(icepap, system):
    system.refused["1:POWER"] = "KO"
    with pytest.raises(ProtocolMismatch, match="neither OK nor an error"):
        icepap.set_power(1, True)


def test_an_error_without_a_reason_is_an_error():
    with pytest.raises(DeviceRefused, match="ERROR"):
        values_of("1:?POS", "1:?POS ERROR")
    assert values_of("#1:move 5", "1:MOVE OK") == "OK"


def test_another_device_on_the_port_is_named(system, device):
    system.refused["?VER"] = "ERROR Command not recognised"
    with opened(device) as icepap:
        icepap.start()
        wait_until(lambda: icepap.status().state == "Wrong device")
        assert "Command not recognised" in icepap.status().error


def test_arguments_are_checked_before_anything_is_sent(icepap, device):
    for call in (
        lambda: icepap.set_velocity(1, 0),
        lambda: icepap.set_velocity(1, -5),
        lambda: icepap.set_acceleration_time_s(1, 0),
        lambda: icepap.set_power(1, 1),
        lambda: icepap.redefine_position(1, "x"),
        lambda: icepap.motion(3),
        lambda: icepap.set_velocity(3, 5),
    ):
        with pytest.raises(BadValue):
            call()
    assert device.asked == []


def test_a_position_is_not_declared_while_the_axis_moves(icepap, system, device):
    system.words[1] |= MOVING
    with pytest.raises(DeviceRefused, match="axis 1 moves"):
        icepap.redefine_position(1, 5)
    assert b"#1:POS 5" not in device.asked


def test_addresses_are_those_that_a_driver_can_have(device):
    assert AXES[:3] == (1, 2, 3)
    assert {8, 11, 158} <= set(AXES)
    assert not {0, 9, 10, 19, 159} & set(AXES)
    with pytest.raises(ConfigurationError, match=r"^axes: 9 is no axis"):
        opened(device, axes=[9])


# --- channels ------------------------------------------------------------------------------------


def test_every_channel_that_can_be_read_answers(icepap, system):
    for axis in (1, 2, 11):
        for query in ("ENC", "VELOCITY", "ACCTIME"):
            system.texts[f"{axis}:?{query}"] = "5"
        for query, text in (("POWER", "ON"), ("NAME", "x"), ("WARNING", "x"), ("ALARM", "NO")):
            system.texts[f"{axis}:?{query}"] = text
    paths = [channel.path for channel in icepap.channels()]
    assert len(paths) == len(set(paths))
    for channel in icepap.channels():
        if channel.read is not None:
            channel.read()


def test_a_channel_that_follows_the_axis_is_changing_while_it_moves(icepap, system):
    system.words[1] |= MOVING | 1 << 18
    for path in ("position.1", "encoder.1", "status.1", "stop_code.1"):
        reading = icepap.channel(path).read()
        assert isinstance(reading, Reading), path
        assert reading.quality == "changing"
    assert icepap.channel("moving.1").read() is True
    assert icepap.channel("limits.1").read() == 1
    system.rest(1, code=3)
    assert icepap.channel("position.1").read() == 0
    assert icepap.channel("stop_code.1").read() == 3
    assert icepap.channel("moving.1").read() is False


def test_the_status_word_is_read_field_by_field():
    state = IcepapState.of(0x0082_8233 | 1 << 19, 5, connection=1)
    assert (state.disabled, state.mode, state.limits) == (3, 0, 2)
    assert state.stop_code == 10
    assert state.stop == "stop code 10: Power overload"
    assert "the motor power is disabled: rack input" in state.faults
    assert state.present
    fail = IcepapState.of(0xC, 5, connection=1)
    assert not fail.present
    assert {"the board is not alive", "the motor power is off"} <= set(fail.faults)
    assert any("mode failure" in fault for fault in fail.faults)


def read_together(icepap: IcePAP, *paths: str) -> dict[str, Any]:
    channels = [icepap.channel(path) for path in paths]
    blocks = icepap.plan_reads(channels)
    return {
        channel.path: value
        for block in blocks
        for channel, value in zip(block.channels, block.read(), strict=True)
    }


def test_all_axes_are_read_with_one_message_each_for_status_and_position(icepap, device):
    found = read_together(icepap, "position.1", "position.2", "moving.2", "status.11", "encoder.1")
    assert found["position.2"] == 200
    assert found["encoder.1"] == 5
    assert found["moving.2"] is False
    assert device.asked == [b"?STATUS 1 2 11", b"?POS 1 2 11", b"1:?ENC"]


def test_an_axis_that_does_not_exist_spoils_a_block_for_itself_alone(icepap, system):
    del system.steps[2]
    found = read_together(icepap, "position.1", "position.2", "moving.11")
    assert found["position.1"] == 0
    assert found["moving.11"] is False
    assert isinstance(found["position.2"], DeviceRefused)
    system.steps[2] = 0
    system.words[2] = 0
    found = read_together(icepap, "position.1", "position.2")
    assert isinstance(found["position.2"], InvalidReading)
    assert found["position.1"] == 0


def test_the_number_of_values_is_checked(icepap, system):
    system.refused["?POS"] = "1 2 3 4"
    with pytest.raises(ProtocolMismatch, match="1 values are due, and 4 came"):
        icepap.state(1)


def test_positions_are_in_the_units_of_the_settings(device, system):
    table = {"1": {"units": "mm", "steps_per_unit": 100, "offset": 2, "limits": [0, 50]}}
    with opened(device, axes=table) as icepap:
        icepap.wait_until_up()
        channel = icepap.channel("position.1")
        assert channel.item["units"] == "mm"
        assert channel.item["range"] == [0, 50]
        assert channel.item["format"] == "%.2f"
        channel.write(12.5)
        assert system.steps[1] == 1050
        assert channel.read() == 12.5
        assert icepap.velocity(1) == 10.0
        icepap.channel("move.1").write(-2)
        assert system.steps[1] == 850
        with pytest.raises(BadValue, match=r"60\.00 mm is outside the soft limits"):
            channel.write(60)


def test_the_page_names_every_channel(icepap):
    page = page_text("icepap.md") + page_text("motion.md")
    for channel in icepap.channels():
        path = channel.path
        assert f"`{path}`" in page or f"`{path.rpartition('.')[0]}.1`" in page, path
