"""The text driver: values of all kinds, there and back, over real ports."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from drivers.text import TextDriver
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)
from tests.unit.drivers.text_fakes import (
    IDENTIFY,
    Answer,
    opened,
    pty_device,
    read,
    table,
    text_device,
    write,
)

# --- values ---------------------------------------------------------------------------------------

GAUGE = {
    "pressure": {
        "ask": "PR1",
        "reply": "{status:d},{value:g}",
        "valid": {"status": 0},
        "reasons": {"status": {"1": "underrange", "5": "no sensor"}},
        "units": "mbar",
        "plausible": [1e-11, 1100],
    },
    "status": {"ask": "PR1", "reply": "{value:d},{:g}", "type": "mask", "enumerators": {"0": "x"}},
    "heater": {"ask": "HTR?", "tell": "HTR {value}", "values": {"ON": True, "OFF": False}},
    "mode": {
        "ask": "MODE?",
        "reply": "{value:d}",
        "tell": "MODE {value:d}",
        "enumerators": {"0": "Off", "1": "Auto"},
    },
    "valve": {"ask": "VLV?", "reply": "{value:w}", "enumerators": {"0": "SHUT", "1": "OPEN"}},
    "gain": {"ask": "G?", "units": "dB", "scale": 0.1, "offset": -5, "tell": "G {value:d}"},
    "pid": {"ask": "PID?", "reply": "{p:g},{i:g},{d:g}", "field": ["p", "i", "d"],
            "tell": "PID {p:.1f},{i:.1f},{d:.1f}"},
    "model": {"ask": "MODEL?"},
    "door": {"ask": "DOOR?", "reply": "{value:d}", "type": "boolean"},
    "raw": {"ask": "X?", "reply": "{value:x}"},
}  # fmt: skip
REPLIES: dict[bytes, bytes | None] = {
    b"PR1": b"0,1.5E-3",
    b"HTR?": b"ON ",
    b"MODE?": b"1",
    b"VLV?": b"OPEN",
    b"G?": b"123",
    b"PID?": b"10.0, 2.5,0",
    b"MODEL?": b"VG-1 rev. B",
    b"DOOR?": b"0",
    b"X?": b"1F",
}


@pytest.mark.parametrize("port", [text_device, pty_device])
def test_values_of_all_types_are_read(port):
    with port(table(REPLIES)) as device, opened(device, GAUGE) as driver:
        assert {key: read(driver, key) for key in GAUGE} == {
            "pressure": 1.5e-3,
            "status": 0,
            "heater": True,
            "mode": 1,
            "valve": 1,
            "gain": pytest.approx(7.3),
            "pid": [10.0, 2.5, 0.0],
            "model": "VG-1 rev. B",
            "door": False,
            "raw": 31,
        }


@pytest.mark.parametrize(
    ("key", "reply", "error", "words"),
    [
        ("pressure", b"1,1.5E-3", InvalidReading, "status is 1 (underrange)"),
        ("pressure", b"3,1.5E-3", InvalidReading, "status is 3"),
        ("pressure", b"0,-----", InvalidReading, "'-----' is no number"),
        ("pressure", b"0,9.9E37", InvalidReading, "'9.9E37' is no number"),
        ("pressure", b"0,2000", InvalidReading, "2000 is not plausible"),
        ("pressure", b"0,1.5E-3 Pa", ProtocolMismatch, "does not look like"),
        ("pressure", b"0", ProtocolMismatch, "does not look like"),
        ("pressure", b"", ProtocolMismatch, "does not look like"),
        ("pressure", b"0,1.5E-3,0,2.5E-3", ProtocolMismatch, "does not look like"),
        ("pressure", b"0,1.5\x00E-3", ProtocolMismatch, "not printable"),
        ("pressure", b"0,\xb1.5", ProtocolMismatch, "is not ascii"),
        ("pressure", b"PR1", ProtocolMismatch, "does not look like"),
        ("heater", b"STANDBY", ProtocolMismatch, "'STANDBY' is none of ON, OFF"),
        ("mode", b"2", ProtocolMismatch, "2 is none of 0 (Off), 1 (Auto)"),
        ("mode", b"-1", ProtocolMismatch, "-1 is no enumerated value"),
        ("mode", b"1.0", ProtocolMismatch, "does not look like"),
        ("valve", b"AJAR", ProtocolMismatch, "'AJAR' is none of SHUT, OPEN"),
        ("door", b"2", ProtocolMismatch, "2 is neither 0 nor 1"),
        ("pid", b"10.0,----,0", InvalidReading, "'----' is no number"),
        ("raw", b"1G", ProtocolMismatch, "does not look like"),
    ],
)
def test_what_is_no_value_is_none_and_says_what_came(key, reply, error, words):
    replies = dict(REPLIES)
    with text_device(table(replies)) as device, opened(device, GAUGE) as driver:
        ask = GAUGE[key]["ask"]
        replies[ask.encode()] = reply
        with pytest.raises(error) as caught:
            read(driver, key)
        text = str(caught.value)
        assert words in text
        assert f"dev at tcp://127.0.0.1:{device.port}" in text
        assert repr(ask) in text


def test_channels_that_ask_the_same_are_read_with_one_exchange_and_fail_alone():
    replies = dict(REPLIES)
    with text_device(table(replies)) as device, opened(device, GAUGE) as driver:
        channels = [driver.channel(key) for key in ("pressure", "status", "model")]
        both, alone = driver.plan_reads(channels)
        assert [channel.path for channel in both.channels] == ["pressure", "status"]
        assert both.what == "PR1"
        assert both.sent_bytes == 5
        device.asked.clear()
        assert list(both.read()) == [1.5e-3, 0]
        assert list(alone.read()) == ["VG-1 rev. B"]
        assert device.asked == [b"PR1", b"MODEL?"]
        replies[b"PR1"] = b"5,0"
        pressure, status = both.read()
        assert status == 5
        assert isinstance(pressure, InvalidReading)
        assert "no sensor" in str(pressure)
        replies[b"PR1"] = b"5;0"
        with pytest.raises(ProtocolMismatch):
            both.read()


# --- setting --------------------------------------------------------------------------------------


def test_values_are_told_as_the_templates_say():
    with text_device(table(REPLIES)) as device, opened(device, GAUGE) as driver:
        device.asked.clear()
        write(driver, "heater", False)
        write(driver, "mode", 0)
        write(driver, "gain", 7.3)
        write(driver, "pid", [1, 2.5, 0])
        assert read(driver, "door") is False
        assert device.asked == [b"HTR OFF", b"MODE 0", b"G 123", b"PID 1.0,2.5,0.0", b"DOOR?"]


def holding(**says: bytes) -> tuple[Answer, dict[str, bytes]]:
    """Return a device with settings: ``SP 5`` and ``SP?``; it says *says* of them, if told so."""
    held: dict[str, bytes] = {}

    def answer(message: bytes) -> bytes | None:
        name, blank, value = message.decode().partition(" ")
        if blank:
            held[name] = value.encode()
            return None
        name = name.removesuffix("?")
        return says.get(name, held.get(name, b"0")) + b"\r\n"

    return answer, held


def back(tell: str, reply: str = "{value:g}", **more: Any) -> dict[str, Any]:
    return {"ask": "SP?", "reply": reply, "tell": tell, "read_back": True, **more}


@pytest.mark.parametrize(
    ("item", "value", "says"),
    [
        (back("SP {value:.2f}"), 12.35, b"12.350"),
        (back("SP {value:.2f}"), 12.35, b"12.352"),
        (back("SP {value:g}"), 20, b"20.000001"),
        (back("SP {value}"), 0.1, b"0.100000001"),
        (back("SP {value:.1e}"), 1.5e-7, b"1.52E-7"),
        (back("SP {value:d}", "{value:d}"), 7, b"+007"),
        (back("SP {value:X}", "{value:x}"), 255, b"ff"),
        (back("SP {value:d}", scale=0.1), 0.7, b"7"),
        (back("SP {value}", "{value:s}"), "name", b"name  "),
        (back("SP {value}", values={"ON": True}, reply="{value:s}"), True, b"ON"),
    ],
)
def test_a_set_is_taken_if_it_reads_back_as_it_was_told(item, value, says):
    answer, _ = holding(SP=says)
    with text_device(answer) as device, opened(device, {"sp": item}) as driver:
        write(driver, "sp", value)
        assert device.asked[-1] == b"SP?"


@pytest.mark.parametrize(
    ("item", "value", "says"),
    [
        (back("SP {value:.2f}"), 12.35, b"12.36"),
        # Not half of the last digit: what was told is 20, not something between 19.5 and 20.5.
        (back("SP {value:g}"), 20, b"20.4"),
        (back("SP {value}"), 20, b"19.8"),
        (back("SP {value:.0f}"), 20, b"20.4"),
        (back("SP {value:d}"), 20, b"20.4"),
        (back("SP {value:d}"), 20, b"-----"),
        (back("SP {value}", "{value:s}"), "name", b"nam"),
        (back("SP {value}", values={"ON": True, "OFF": False}, reply="{value:s}"), True, b"OFF"),
    ],
)
def test_a_set_that_reads_back_otherwise_is_refused(item, value, says):
    answer, _ = holding(SP=says)
    with text_device(answer) as device, opened(device, {"sp": item}) as driver:
        with pytest.raises(DeviceRefused, match=r"sp was not set: .* was sent, and .* has then"):
            write(driver, "sp", value)
        assert driver.status().state == "Up"


def test_a_reply_to_the_read_back_that_is_something_else_is_no_confirmation():
    answer, _ = holding(SP=b"ERR")
    with (
        text_device(answer) as device,
        opened(device, {"sp": back("SP {value:d}")}) as driver,
        pytest.raises(ProtocolMismatch, match=r"sp: asked 'SP\?', and 'ERR' came back"),
    ):
        write(driver, "sp", 5)


def test_an_ack_is_due_where_the_item_says_so():
    replies = {b"SP 5": b"OK", b"SP 6": b"E2", b"SP 7": b"1.5", b"SP?": b"5"}
    items = {"sp": {"ask": "SP?", "reply": "{value:d}", "tell": "SP {value:d}", "ack": "OK"}}
    how: Any = {"refused": r"E\d", "identify": IDENTIFY}
    with text_device(table(replies)) as device, opened(device, items, **how) as driver:
        write(driver, "sp", 5)
        with pytest.raises(DeviceRefused, match="'SP 6' was refused: 'E2' came back"):
            write(driver, "sp", 6)
        with pytest.raises(
            ProtocolMismatch, match=r"told 'SP 7', and '1\.5' came back, which is no"
        ):
            write(driver, "sp", 7)
        with pytest.raises(DeviceTimeout, match="may or may not have been carried out"):
            write(driver, "sp", 8)


def test_a_refused_question_is_told_from_an_answer():
    replies = {b"A?": b"?SYNTAX", b"B?": b"1.5"}
    items = {"a": {"ask": "A?"}, "b": {"ask": "B?"}}
    with text_device(table(replies)) as device, opened(device, items, refused=r"\?.*") as driver:
        with pytest.raises(DeviceRefused, match=r"'A\?' was refused: '\?SYNTAX' came back"):
            read(driver, "a")
        # It was answered, so nothing has to be put in step.
        assert read(driver, "b") == "1.5"
        assert device.connections == 1


# --- raw ------------------------------------------------------------------------------------------


def test_raw_gives_the_reply_of_what_is_known_to_be_answered_and_waits_for_no_other():
    items: dict[str, Any] = {
        "a": {"ask": "A?", "tell": "A {value:d}"},
        "b": {"tell": "B {value:d}", "ack": "OK"},
    }
    replies = {b"A?": b"ERR 1", b"B 5": b"OK", b"PING": b"PONG", b"Z?": b"z"}
    how: Any = {"refused": "ERR.*", "timeout_s": 5.0, "start": [{"ask": "PING", "reply": "PONG"}]}
    with text_device(table(replies)) as device, opened(device, items, **how) as driver:
        # Whatever it says: nobody makes a value of it.
        assert driver.raw("A?") == "ERR 1"
        assert driver.raw("A 5") == ""
        assert driver.raw("B 5") == "OK"
        assert driver.raw("PING") == "PONG"
        assert driver.raw("Z?") == "z"
        with pytest.raises(BadValue, match="only printable"):
            driver.raw("A?\r\nB?")
        assert device.connections == 1


def test_raw_waits_for_what_may_be_answered_and_a_late_answer_is_nobodys():
    held = threading.Event()

    def answer(message: bytes) -> bytes | None:
        if message == b"WHAT":
            held.wait(30)
            return b"999\r\n"
        return {b"A?": b"1\r\n", b"ID?": b"V\r\n", b"HELLO": b"hi\r\n"}.get(message)

    items = {"a": {"ask": "A?", "units": "K"}}
    with (
        text_device(answer) as device,
        opened(device, items, timeout_s=1.0, identify={"ask": "ID?", "reply": "V"}) as driver,
    ):
        assert driver.raw("HELLO") == "hi"
        assert driver.raw("WHAT") == ""
        held.set()
        assert read(driver, "a") == 1.0
        assert device.connections == 1


def test_raw_of_an_acknowledged_message_is_empty_and_of_a_refused_one_an_error():
    replies = {b"A": b"\x06", b"B": b"\x15", b"C": b"\x07"}
    handshake = {"ack": "\x06", "nak": "\x15"}
    with text_device(table(replies)) as device, opened(device, handshake=handshake) as driver:
        assert driver.raw("A") == ""
        with pytest.raises(DeviceRefused, match="'B' was refused"):
            driver.raw("B")
        with pytest.raises(ProtocolMismatch, match="not printable"):
            driver.raw("C")


def test_raw_is_not_kept_from_asking_by_an_item_that_sends_its_value_alone():
    items = {"any": {"tell": "{value}"}, "a": {"ask": "A?"}}
    with text_device(table({b"A?": b"1"})) as device, opened(device, items) as driver:
        assert driver.raw("A?") == "1"
        assert driver.raw("B") == ""


# --- one controller for all -----------------------------------------------------------------------


def test_the_same_place_is_the_same_controller_to_all_who_say_the_same():
    with text_device(table({b"A?": b"1"})) as device:
        how: Any = {"checksum": "nmea", "start": []}
        with TextDriver.open(device.url, **how) as one, TextDriver.open(device.url, **how) as two:
            assert one is two
            with pytest.raises(ConfigurationError, match="checksum = 'nmea', not 'zaber'"):
                TextDriver.open(device.url, checksum="zaber", start=[])


def test_a_trace_shows_what_is_not_printable():
    with (
        text_device(lambda m: b"\x061.5\r\n") as device,
        opened(device, {"a": {"ask": "A", "units": "K"}}, reply_prefix="\x06") as driver,
    ):
        lines: list[str] = []
        driver.trace(lines.append)
        assert read(driver, "a") == 1.5
        assert re.fullmatch(r"A\\r\\n -> \\x061\.5  \(.* ms\)", lines[0])
