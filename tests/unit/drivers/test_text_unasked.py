"""Lines that a text device sends unasked: whose they are, and what their absence means."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.framing.checksum import checksum_named
from mktl.errors import (
    InvalidReading,
    LinkDown,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.text_fakes import (
    IDENTIFY,
    listening,
    opened,
    pty_device,
    read,
    table,
    text_device,
)

WEATHER: dict[str, dict[str, Any]] = {
    "temperature": {
        "heard": "0r2,Ta={value:g}{u:1s},Ua={:g}{:1s}",
        "valid": {"u": "C"},
        "units": "degC",
        "silence_s": 30.0,
        "plausible": [-60, 60],
    },
    "humidity": {"heard": "0r2,Ta={:g}{:1s},Ua={value:g}{u:1s}", "valid": {"u": "P"}},
    "heating": {"ask": "0R5", "reply": "0R5,Vh={value:g}V"},
}
STATION: dict[str, Any] = {"checksum": {"name": "crc16-vaisala", "on": "received"}}


def station(message: bytes) -> bytes | None:
    return b"0R5,Vh=12.0V" + crc(b"0R5,Vh=12.0V") + b"\r\n" if message == b"0R5" else None


def crc(line: bytes) -> bytes:
    return checksum_named("crc16-vaisala").of(line)


@pytest.mark.parametrize("port", [text_device, pty_device])
def test_lines_that_come_unasked_go_to_all_items_that_hear_them(port):
    with port(station) as device, opened(device, WEATHER, **STATION) as driver:
        heard = listening(driver, "temperature", "humidity")
        # The first line after connecting is most often a part of one.
        device.send(b".7C,Ua=55.5P" + crc(b"0r2,Ta=22.7C,Ua=55.5P") + b"\r\n")
        line = b"0r2,Ta=23.6C,Ua=14.2P"
        device.send(line + crc(line) + b"\r\n")
        wait_until(lambda: heard == {"temperature": [23.6], "humidity": [14.2]})
        assert read(driver, "heating") == 12.0
        assert driver.channel("temperature").read is None
        assert driver.channel("temperature").poll_s is None


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (b"0r2,Ta=22.7#,Ua=55.5P", InvalidReading, "u is #"),
        (b"0r2,Ta=----C,Ua=55.5P", InvalidReading, "'----' is no number"),
        (b"0r2,Ta=99.9C,Ua=55.5P", InvalidReading, "99.9 is not plausible"),
        (b"0r2,Ta=22.7C,Ua=55.5P!!!", ProtocolMismatch, "check sum 'crc16-vaisala'"),
    ],
)
def test_a_line_with_no_value_in_it_says_so_to_its_item(line, error, words):
    whole = line if line.endswith(b"!!!") else line + crc(line)
    with text_device(station) as device, opened(device, WEATHER, **STATION) as driver:
        heard = listening(driver, "temperature")["temperature"]
        device.send(whole + b"\r\n")
        wait_until(lambda: heard)
        assert type(heard[0]) is error
        assert words in str(heard[0])
        assert "temperature: " in str(heard[0])


@pytest.mark.parametrize(
    "line",
    [
        b"0r2,Ta=22.7C",
        b"0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H@Fn",
        b"0R2,Ta=22.7C,Ua=55.5Pxxx",
        b"0r2,Ta=2 2.7C,Ua=55.5Pxxx",
        b"\xff\x00\x13",
        b"",
    ],
)
def test_a_line_that_no_item_hears_is_no_value_of_any(line):
    with text_device(station) as device, opened(device, WEATHER, **STATION) as driver:
        heard = listening(driver, "temperature", "humidity")
        device.send(line + b"\r\n")
        good = b"0r2,Ta=23.6C,Ua=14.2P"
        device.send(good + crc(good) + b"\r\n")
        wait_until(lambda: heard["temperature"])
        assert heard == {"temperature": [23.6], "humidity": [14.2]}


def test_silence_is_told_once_until_something_is_heard_again():
    line = b"0r2,Ta=23.6C,Ua=14.2P"
    items = {**WEATHER, "temperature": {**WEATHER["temperature"], "silence_s": 0.4}}
    with text_device(station) as device, opened(device, items, **STATION) as driver:
        heard = listening(driver, "temperature")["temperature"]
        wait_until(lambda: heard)
        assert isinstance(heard[0], InvalidReading)
        assert "nothing like '0r2,Ta={value:g}" in str(heard[0])
        assert "was heard for 0.4 s" in str(heard[0])
        device.send(line + crc(line) + b"\r\n")
        wait_until(lambda: len(heard) >= 3)
        assert heard[1] == 23.6
        assert isinstance(heard[2], InvalidReading)
    count = len(heard)
    assert count == 3


def test_a_line_that_comes_unasked_right_before_a_reply_is_not_the_reply():
    items = {"x": {"ask": "X?"}, "alarm": {"heard": "ALARM {value:d}"}}
    said = {b"X?": b"ALARM 5\r\n1.5\r\nALARM 6"}
    with (
        text_device(table(said)) as device,
        opened(device, items, unsolicited=["# .*"]) as driver,
    ):
        heard = listening(driver, "alarm")["alarm"]
        assert read(driver, "x") == "1.5"
        wait_until(lambda: heard == [5, 6])
        said[b"X?"] = b"# note\r\n2.5"
        assert read(driver, "x") == "2.5"


def test_closing_ends_everything():
    with text_device(station) as device:
        with opened(device, WEATHER, **STATION) as driver:
            listening(driver, "temperature")
        with pytest.raises(LinkDown):
            read(driver, "heating")


ALARM: dict[str, dict[str, Any]] = {"alarm": {"heard": "ALARM {value:d}"}}
NAMED: dict[str, Any] = {"identify": IDENTIFY}


def test_what_another_device_says_unasked_is_not_heard():
    says = {b"ID?": b"ALARM 1\r\nVG-2\r\nALARM 2"}
    with (
        text_device(table(says)) as device,
        opened(device, ALARM, up=False, timeout_s=1.0, **NAMED) as driver,
    ):
        heard = listening(driver, "alarm")["alarm"]
        wait_until(lambda: driver.status().state == "Wrong device")
        wait_until(lambda: device.told(b"ID?") > 3)
        assert heard == []
        says[b"ID?"] = b"ALARM 3\r\nVG-1"
        driver.wait_until_up(timeout_s=30)
        device.send(b"ALARM 4\r\n")
        wait_until(lambda: heard)
        assert heard == [4]


@pytest.mark.parametrize("query", ["", "?unit=1"])
def test_what_the_right_device_says_while_it_is_prepared_is_heard_once_the_link_is_up(query):
    states: list[str] = []
    says: dict[bytes, bytes | None] = {b"MODE?": None}
    start = [{"ask": "MODE?", "reply": "REMOTE"}]

    def answer(message: bytes) -> bytes | None:
        if message == b"MODE?":
            device.send(b"ALARM 5\r\n")
        return table(says)(message)

    with (
        text_device(answer) as device,
        opened(device, ALARM, up=False, query=query, timeout_s=1.0, start=start, **NAMED) as driver,
    ):
        driver.channel("alarm").listen(lambda value: states.append(driver.status().state))
        wait_until(lambda: device.told(b"MODE?") > 2)
        assert states == []
        says[b"MODE?"] = b"REMOTE"
        wait_until(lambda: states)
        assert set(states) == {"Up"}


def test_a_unit_that_is_another_device_is_not_heard_though_its_neighbour_is():
    says = {b"1ID?": b"1VG-1", b"2ID?": b"2ALARM 7\r\n1ALARM 6\r\n2VG-2"}
    items = {"alarm": {"heard": "{unit}ALARM {value:d}"}}
    named = {"identify": {"ask": "{unit}ID?", "reply": "{unit}VG-1"}}
    with (
        text_device(table(says)) as device,
        opened(device, items, query="?unit=1", **named) as right,
    ):
        heard = listening(right, "alarm")["alarm"]
        with opened(device, items, up=False, query="?unit=2", **named) as wrong:
            unheard = listening(wrong, "alarm")["alarm"]
            wait_until(lambda: wrong.status().state == "Wrong device")
            wait_until(lambda: heard)
            assert set(heard) == {6}
            assert unheard == []
