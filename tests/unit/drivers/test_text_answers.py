"""Answers of text devices that are neither a value nor an error: what they mean, and say."""

from __future__ import annotations

from typing import Any

import pytest

from mktl.errors import BadValue, DeviceRefused, DeviceTimeout, InvalidReading, ProtocolMismatch
from tests._support import wait_until
from tests.unit.drivers.text_fakes import (
    IDENTIFY,
    SCPI,
    SUPPLY,
    TPG,
    Fetched,
    Scpi,
    opened,
    read,
    table,
    text_device,
    write,
)

NAMED: dict[str, Any] = {"identify": IDENTIFY}
CODES: dict[str, Any] = {
    **NAMED,
    "refused": r"\?\? ([0-9]) [A-Z]+|LOCKED",
    "refusals": {"3": "the keys have control", "LOCKED": "by somebody else"},
}
SUMP: dict[str, Any] = {"ask": "TS", "reply": "TS {value:g}K", "no_reading": "TS (OPEN|OFF)"}


# --- no reading -----------------------------------------------------------------------------------


def test_a_reply_that_says_there_is_no_value_is_neither_a_refusal_nor_a_doubt_of_the_line():
    says = {b"TS": b"TS OPEN"}
    items = {"sump": SUMP, "same": {**SUMP, "units": "K"}}
    with text_device(table(says)) as device, opened(device, items, **NAMED) as driver:
        named = device.told(b"ID?")
        with pytest.raises(InvalidReading, match="asked 'TS', and 'TS OPEN' came back: there is"):
            read(driver, "sump")
        (plan,) = driver.plan_reads([driver.channel(key) for key in items])
        assert [type(value) for value in plan.read()] == [InvalidReading] * 2
        says[b"TS"] = b"TS 4.21K"
        assert plan.read() == [4.21, 4.21]
        assert device.told(b"ID?") == named


def test_a_reply_that_only_begins_like_one_without_a_value_is_no_reply():
    with (
        text_device(table({b"TS": b"TS OPEN 5"})) as device,
        opened(device, {"sump": SUMP}, **NAMED) as driver,
        pytest.raises(ProtocolMismatch, match="'TS OPEN 5' came back, which is no reply"),
    ):
        read(driver, "sump")


def test_what_cannot_be_read_back_as_there_is_no_value_is_no_success():
    item = {**SUMP, "tell": "TS={value:.2f}", "read_back": True}
    says = {b"TS": b"TS OFF"}
    with (
        text_device(table(says)) as device,
        opened(device, {"sump": item}, **NAMED) as driver,
        pytest.raises(InvalidReading, match="'TS OFF' came back: there is no reading"),
    ):
        write(driver, "sump", 4.5)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "end"),
    [
        (b"?? 3 SP", "came back (the keys have control)"),
        (b"?? 5 SP", "came back"),
        (b"LOCKED", "came back (by somebody else)"),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_manual(reply, end):
    items = {"sp": {"tell": "SP={value:d}", "ack": "SP"}}
    with (
        text_device(table({b"SP=5": reply})) as device,
        opened(device, items, **CODES) as driver,
        pytest.raises(DeviceRefused) as caught,
    ):
        write(driver, "sp", 5)
    assert str(caught.value).endswith(end)


def test_refusals_that_are_fetched_have_words_too():
    gauge = Fetched()
    items = {"sp": {"tell": "SP1,{value:d}"}}
    with (
        text_device(gauge, alone=b"\x05") as device,
        opened(device, items, refusals={"0001": "no hardware"}, **TPG) as driver,
    ):
        gauge.take = lambda message: False
        with pytest.raises(DeviceRefused, match=r"and then '0001' \(no hardware\)"):
            write(driver, "sp", 5)


def test_entries_of_an_error_queue_have_words_too():
    words = {'-222,"Data out of range"': "above 30 V"}
    with (
        text_device(Scpi(), end=b"\n") as device,
        opened(device, SUPPLY, refusals=words, **SCPI) as driver,
        pytest.raises(DeviceRefused, match=r"reports -222,.* \(above 30 V\): most likely"),
    ):
        write(driver, "volts", 40)


# --- silence --------------------------------------------------------------------------------------

BUZZER: dict[str, dict[str, Any]] = {
    "buzzer": {"type": "boolean", "tell": "BZ={value:d}", "ack": "BZ", "ack_optional": True}
}


@pytest.mark.parametrize("query", ["", "?unit=1"])
def test_silence_may_be_an_answer_of_a_device_that_is_there(query):
    says = {b"BZ=1": b"BZ", b"BZ=0": b"?"}
    how: Any = {**NAMED, "query": query, "timeout_s": 1.0}
    with text_device(table(says)) as device, opened(device, BUZZER, **how) as driver:
        write(driver, "buzzer", 1)
        del says[b"BZ=1"]
        named = device.told(b"ID?")
        write(driver, "buzzer", 1)
        assert device.told(b"BZ=1") == 2
        assert device.told(b"ID?") == named + 1
        with pytest.raises(ProtocolMismatch, match=r"'\?' came back"):
            write(driver, "buzzer", 0)
        assert driver.status().state == "Up"


def test_silence_of_a_device_that_is_not_there_any_more_is_no_answer():
    says: dict[bytes, bytes | None] = {}
    with (
        text_device(table(says)) as device,
        opened(device, BUZZER, timeout_s=1.0, **NAMED) as driver,
    ):
        says[b"ID?"] = None
        with pytest.raises(DeviceTimeout, match=r"may or may not .*; but then .*the link is down"):
            write(driver, "buzzer", 1)
        del says[b"ID?"]
        wait_until(lambda: driver.status().state == "Up")


def test_half_an_answer_is_not_silence():
    def answer(message: bytes) -> bytes | None:
        return b"B" if message == b"BZ=1" else table({})(message)

    with (
        text_device(answer) as device,
        opened(device, BUZZER, timeout_s=1.0, **NAMED) as driver,
        pytest.raises(DeviceTimeout, match="b'B' came back"),
    ):
        write(driver, "buzzer", 1)


def test_raw_gives_what_may_not_be_answered_time_to_be():
    with (
        text_device(table({b"BZ=1": b"BZ"})) as device,
        opened(device, BUZZER, timeout_s=1.0, **NAMED) as driver,
    ):
        assert driver.raw("BZ=1") == "BZ"
        assert driver.raw("BZ=0") == ""


# --- other words ----------------------------------------------------------------------------------

LOCK: dict[str, Any] = {
    "ask": "ST",
    "reply": "ST {value:1s}",
    "values": {"L": True, "U": False},
    "tell": "KL={value}",
    "tell_values": {"1": True, "0": False},
    "read_back": True,
}


@pytest.mark.parametrize(
    ("changes", "value", "sent"),
    [
        ({}, True, b"KL=1"),
        ({}, False, b"KL=0"),
        ({"tell": "KL={value:02d}"}, True, b"KL=01"),
        ({"tell": "KL={value:s}"}, True, b"KL=1"),
        ({"tell_values": {"ON": True, "OFF": False}}, True, b"KL=ON"),
    ],
)
def test_what_is_told_may_have_other_words_than_what_is_read(changes, value, sent):
    says = {b"ST": b"ST L" if value else b"ST U"}
    items = {"lock": {**LOCK, **changes}}
    with text_device(table(says)) as device, opened(device, items, **NAMED) as driver:
        write(driver, "lock", value)
        assert sent in device.asked
        assert read(driver, "lock") is value
        assert driver.channel("lock").item["type"] == "boolean"


def test_what_reads_back_as_another_value_was_not_set_whatever_its_words():
    with (
        text_device(table({b"ST": b"ST U"})) as device,
        opened(device, {"lock": LOCK}, **NAMED) as driver,
        pytest.raises(DeviceRefused, match="'KL=1' was sent, and 'ST U' came back then"),
    ):
        write(driver, "lock", True)


def test_what_has_no_word_cannot_be_told():
    items = {"lock": {**LOCK, "tell_values": {"1": True}}}
    with (
        text_device(table({b"ST": b"ST U"})) as device,
        opened(device, items, **NAMED) as driver,
        pytest.raises(BadValue, match="only to True"),
    ):
        write(driver, "lock", False)
