"""Who answers a text driver, and that no reply answers another question."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from drivers.text import TextDriver
from mktl.errors import (
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    LinkDown,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.text_fakes import (
    ENQ,
    IDENTIFY,
    SCPI,
    SUPPLY,
    TPG,
    Answer,
    Fetched,
    Scpi,
    opened,
    read,
    read_at_last,
    table,
    text_device,
    write,
)

# --- several units on one line --------------------------------------------------------------------


class Bus:
    """Pumps that speak the Pfeiffer Vacuum protocol: address, action, number, length, data, sum."""

    def __init__(self) -> None:
        self.speed = {b"001": b"000633", b"002": b"001500"}
        self.silent: set[bytes] = set()
        self.mangle: Callable[[bytes, bytes], bytes] = lambda unit, line: line

    def __call__(self, message: bytes) -> bytes | None:
        body, came = message[:-3], message[-3:]
        unit, action, number = body[:3], body[3:5], body[5:8]
        if unit not in self.speed or unit in self.silent or b"%03d" % (sum(body) % 256) != came:
            return None
        data = {b"349": b"TC 400", b"309": self.speed[unit]}.get(number, b"NO_DEF")
        if action == b"10":
            data = body[10:] if body[10:] != b"009999" else b"_RANGE"
        line = unit + b"10" + number + b"%02d" % len(data) + data
        return self.mangle(unit, line + b"%03d" % (sum(line) % 256)) + b"\r"


PUMP: dict[str, dict[str, Any]] = {
    "speed": {"ask": "{unit:03d}0030902=?", "reply": "{unit:03d}1030906{value:6d}", "units": "Hz"},
    "other": {"ask": "{unit:03d}0099902=?", "reply": "{unit:03d}1099906{value:6d}"},
    "set": {
        "tell": "{unit:03d}1070806{value:06d}",
        "ack": r"{unit:03d}1070806\d{6}",
    },
}
TURBO: dict[str, Any] = {
    "terminator": "\r",
    "checksum": "sum8-dec",
    "identify": {"ask": "{unit:03d}0034902=?", "reply": "{unit:03d}1034906TC 400"},
    "refused": r"\d{10}(NO_DEF|_RANGE|_LOGIC)",
    "timeout_s": 2.0,
}


def test_units_share_a_line_and_each_has_its_own_address_in_all_it_says():
    bus = Bus()
    with (
        text_device(bus, end=b"\r") as device,
        opened(device, PUMP, query="?unit=1", **TURBO) as one,
        opened(device, PUMP, query="?unit=2", **TURBO) as two,
    ):
        assert (read(one, "speed"), read(two, "speed")) == (633, 1500)
        write(two, "set", 80)
        assert device.asked[-1].startswith(b"0021070806000080")
        assert device.connections == 1
        with pytest.raises(DeviceRefused, match="NO_DEF"):
            read(one, "other")
        with pytest.raises(DeviceRefused, match="_RANGE"):
            write(one, "set", 9999)


def test_the_reply_of_another_unit_and_a_wrong_check_sum_are_no_values():
    bus = Bus()
    with (
        text_device(bus, end=b"\r") as device,
        opened(device, PUMP, query="?unit=1", **TURBO) as one,
        opened(device, PUMP, query="?unit=2", **TURBO) as two,
    ):
        other = b"0021030906001500027"
        bus.mangle = lambda unit, line: other if b"103090" in line else line
        assert one._speech.text(other) == "0021030906001500"
        with pytest.raises(ProtocolMismatch, match=r"does not look like '\{unit:03d\}1030906"):
            read(one, "speed")
        bus.mangle = lambda unit, line: line.replace(b"633", b"634")
        with pytest.raises(ProtocolMismatch, match="check sum 'sum8-dec'"):
            read(one, "speed")
        bus.mangle = lambda unit, line: line
        assert (read(one, "speed"), read(two, "speed")) == (633, 1500)


def test_a_silent_unit_does_not_delay_the_others():
    bus = Bus()
    with (
        text_device(bus, end=b"\r") as device,
        opened(device, PUMP, query="?unit=1", **TURBO) as one,
        opened(device, PUMP, query="?unit=2", **TURBO) as two,
    ):
        bus.silent.add(b"002")
        for _ in range(2):
            with pytest.raises(DeviceError):
                read(two, "speed")
        wait_until(lambda: two.status().state == "Down")
        with pytest.raises(LinkDown, match="unit 2"):
            read(two, "speed")
        assert read(one, "speed") == 633
        bus.silent.clear()
        two.wait_until_up(timeout_s=30)
        assert read(two, "speed") == 1500


def test_each_unit_of_a_line_hears_its_own_lines_and_rests_after_its_own_messages():
    items = {"moved": {"heard": "!{unit:02d} {value:w}"}, "pos": {"ask": "/{unit:02d} get pos"}}
    how: Any = {
        "settle_after": {"/{unit:02d} set": 0.2},
        "unsolicited": [r"#{unit:02d}.*"],
        "send_terminator": "\n",
    }
    replies = {b"/01 get pos": b"5", b"/02 get pos": b"#02 info\r\n6"}
    with (
        text_device(table(replies), end=b"\n") as device,
        opened(device, items, query="?unit=1", **how) as one,
        opened(device, items, query="?unit=2", **how) as two,
    ):
        heard: dict[int, list[Any]] = {1: [], 2: []}
        for number, driver in ((1, one), (2, two)):
            channel = driver.channel("moved")
            assert channel.listen is not None
            channel.listen(heard[number].append)
        one.wait_until_up(timeout_s=30)
        two.wait_until_up(timeout_s=30)
        device.send(b"!02 IDLE\r\n!01 BUSY\r\n")
        wait_until(lambda: heard == {1: ["BUSY"], 2: ["IDLE"]})
        assert (read(one, "pos"), read(two, "pos")) == ("5", "6")
        line = two._line._line  # type: ignore[union-attr]
        assert {head for head, _ in line.settings.settle_after} == {b"/01 set", b"/02 set"}


# --- connecting -----------------------------------------------------------------------------------


def test_the_wrong_device_is_told_by_what_it_says():
    replies: dict[bytes, bytes | None] = {b"*IDN?": b"OTHER,X-2", b"A?": b"1"}
    with (
        text_device(table(replies)) as device,
        opened(
            device,
            {"a": {"ask": "A?"}},
            up=False,
            identify={"ask": "*IDN?", "reply": "ACME,VG-1,.*"},
        ) as driver,
    ):
        wait_until(lambda: driver.status().state == "Wrong device")
        assert "OTHER,X-2" in driver.status().error
        with pytest.raises(LinkDown, match="OTHER,X-2"):
            read(driver, "a")
        assert b"A?" not in device.asked
        replies[b"*IDN?"] = b"ACME,VG-1,0815"
        driver.wait_until_up(timeout_s=30)
        assert read(driver, "a") == "1"


@pytest.mark.parametrize("what", ["checksum", "handshake"])
def test_the_wrong_device_is_known_where_its_answer_is_more_than_a_text(what):
    gauge = Fetched()
    gauge.known[b"AYT"] = b"TPG999,X"
    how: Any = dict(TPG)
    device_says: Answer = gauge
    if what == "checksum":
        how = {"checksum": {"name": "sum8-hex", "on": "received"}, "identify": TPG["identify"]}
        device_says = table({b"AYT": b"TPG362,1"})
    with (
        text_device(device_says, alone=ENQ) as device,
        opened(device, up=False, timeout_s=1.0, **how) as driver,
    ):
        wait_until(lambda: driver.status().state == "Wrong device")
        said = "TPG999" if what == "handshake" else "TPG362,1"
        assert said in driver.status().error


def test_start_and_restore_are_sent_on_each_connect_in_their_order():
    replies = {b"ECHO OFF": b"ok", b"MODE?": b"REMOTE"}
    start = [
        {"tell": "ECHO OFF", "ack": "ok"},
        "REMOTE",
        {"ask": "MODE?", "reply": "REMOTE|LOCAL"},
    ]
    with (
        text_device(table(replies)) as device,
        opened(device, start=start, restore=["SP 5", {"tell": "ECHO OFF", "ack": "ok"}]) as driver,
    ):
        due = [b"ECHO OFF", b"REMOTE", b"MODE?", b"SP 5", b"ECHO OFF"]
        assert device.asked == due
        device.hang_up()
        with pytest.raises(DeviceError):
            driver.ask("MODE?")
        driver.wait_until_up(timeout_s=30)
        assert [message for message in device.asked[5:] if message != b"MODE?"] == [
            message for message in due if message != b"MODE?"
        ]


@pytest.mark.parametrize(
    ("setting", "step", "words"),
    [
        ("start", {"ask": "MODE?", "reply": "REMOTE"}, "start: asked 'MODE?', and 'LOCAL' came"),
        ("start", {"tell": "MODE?", "ack": "ok"}, "told 'MODE?', and 'LOCAL' came back"),
        ("start", {"ask": "X?", "reply": "5"}, "no complete answer to b'X?"),
        ("restore", {"ask": "MODE?", "reply": "R"}, "the setting 'MODE?' could not be restored"),
    ],
)
def test_a_step_that_fails_keeps_the_link_down_and_says_which(setting, step, words):
    given: Any = {setting: [step]}
    with (
        text_device(table({b"MODE?": b"LOCAL"})) as device,
        opened(device, up=False, timeout_s=1.0, **given) as driver,
    ):
        wait_until(lambda: words in driver.status().error)
        wait_until(lambda: driver.status().state == "Down")


@pytest.mark.parametrize("setting", ["start", "restore"])
def test_a_step_that_an_item_tells_is_acknowledged_as_the_item_is(setting):
    sp = {"ask": "SP?", "tell": "SP {value:d}", "ack": "OK"}
    given: Any = {setting: ["SP 5"]}
    with (
        text_device(table({b"SP 5": b"NO", b"SP?": b"5"})) as device,
        opened(device, {"sp": sp}, up=False, refused="NO", **given) as driver,
    ):
        wait_until(lambda: "'SP 5' was refused: 'NO' came back" in driver.status().error)
        device.reply = table({b"SP 5": b"OK", b"SP?": b"5"})
        driver.wait_until_up(timeout_s=30)
        assert read(driver, "sp") == 5


@pytest.mark.parametrize("setting", ["start", "restore"])
def test_a_step_that_an_item_asks_is_answered_before_anything_else_is_sent(setting):
    answers: Any = {b"X?": b"2\r\n"}
    items = {"late": {"ask": "LATE?"}, "x": {"ask": "X?"}}
    given: Any = {setting: ["LATE?"]}
    with (
        text_device(answers.get) as device,
        opened(device, items, timeout_s=0.5, up=False, **given) as driver,
    ):
        wait_until(lambda: "no complete answer to b'LATE?" in driver.status().error)
        answers[b"LATE?"] = b"1\r\n"
        driver.wait_until_up(timeout_s=30)
        assert read(driver, "x") == "2"
        assert set(device.asked[:-1]) == {b"LATE?"}


def test_a_restored_setting_that_is_refused_is_found_in_the_error_queue():
    scpi = Scpi()
    with (
        text_device(scpi, end=b"\n") as device,
        opened(device, SUPPLY, up=False, restore=["VOLT 99"], **SCPI) as driver,
    ):
        wait_until(lambda: "-222" in driver.status().error)
        assert "the setting 'VOLT 99' could not be restored" in driver.status().error


def test_a_step_may_do_without_the_error_query():
    scpi = Scpi()
    start = [{"tell": "VOLT 99", "check": False}]
    with text_device(scpi, end=b"\n") as device, opened(device, start=start, **SCPI):
        wait_until(lambda: device.asked == [b"SYST:ERR?", b"VOLT 99"])


def test_a_device_that_says_that_it_was_switched_on_gets_its_settings_again():
    how: Any = {"identify": IDENTIFY, "restarted": "READY.*", "restore": ["RATE 5"]}
    with (
        text_device(table({b"X?": b"1"})) as device,
        opened(device, {"x": {"ask": "X?", "units": "K"}}, **how) as driver,
    ):
        assert read(driver, "x") == 1.0
        assert device.told(b"RATE 5") == 1
        device.send(b"noise\r\n")
        assert read_at_last(driver, "x") == 1.0
        assert device.connections == 1
        device.send(b"READY V1.2\r\n")
        wait_until(lambda: read_at_last(driver, "x") and device.told(b"RATE 5") == 2)
        assert read(driver, "x") == 1.0
        assert device.connections == 2


# --- a late or a strange reply never answers another question -------------------------------------


@pytest.mark.parametrize("identify", [None, {"ask": "ID?", "reply": "VG-1"}])
def test_a_late_reply_is_never_the_answer_to_the_next_question(identify):
    answering = threading.Event()
    answering.set()

    def answer(message: bytes) -> bytes | None:
        if message == b"SLOW?":
            answering.wait(30)
            return b"1\r\n"
        return {b"FAST?": b"2\r\n", b"ID?": b"VG-1\r\n"}.get(message)

    items = {"slow": {"ask": "SLOW?", "units": "K"}, "fast": {"ask": "FAST?", "units": "K"}}
    how = {} if identify is None else {"identify": identify}
    with text_device(answer) as device, opened(device, items, timeout_s=1.0, **how) as driver:
        answering.clear()
        with pytest.raises(DeviceTimeout):
            read(driver, "slow")
        answering.set()
        if identify is None:
            with pytest.raises(LinkDown, match="no identification query"):
                read(driver, "fast")
            driver.wait_until_up(timeout_s=30)
        assert read(driver, "fast") == 2.0
        assert device.connections == (2 if identify is None else 1)


def test_a_beginning_that_nobody_asked_for_is_no_part_of_a_reply():
    items = {"x": {"ask": "X?", "units": "K"}, "alarm": {"heard": "!{value:d}"}}
    said = {b"X?": b"5.0", b"ID?": b"VG-1"}
    how: Any = {"identify": {"ask": "ID?", "reply": "VG-1"}}
    with text_device(table(said)) as device, opened(device, items, **how) as driver:
        assert read(driver, "x") == 5.0
        original = device.reply
        # Noise and no end, while lines may come unasked: with the reply it would make 125.0.
        device.send(b"12")
        wait_until(lambda: pending(driver) == b"12")
        with pytest.raises(ProtocolMismatch, match=r"b'125.0' came back, of which b'12' had come"):
            read(driver, "x")
        device.reply = original
        assert read(driver, "x") == 5.0


def pending(driver: TextDriver) -> bytes:
    connection = driver._line._connection  # type: ignore[union-attr]
    return connection._replies.pending if connection is not None else b""


def test_two_replies_to_one_question_are_none():
    items = {"x": {"ask": "X?", "units": "K"}}
    with (
        text_device(table({b"X?": b"5\r\n6"})) as device,
        opened(device, items, identify=IDENTIFY) as driver,
        pytest.raises(ProtocolMismatch, match=r"b'5' came back, and then b'6\\r\\n'"),
    ):
        read(driver, "x")


def test_a_reply_without_an_end_is_cut_off_and_told():
    items = {"x": {"ask": "X?", "units": "K"}}
    with (
        text_device(lambda m: b"5" * 10000 if m == b"X?" else b"V\r\n") as device,
        opened(device, items, identify={"ask": "ID?", "reply": "V"}) as driver,
    ):
        with pytest.raises(ProtocolMismatch, match="without the end of a reply"):
            read(driver, "x")
        assert driver.raw("ID?") == "V"
