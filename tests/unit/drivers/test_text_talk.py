"""How the text driver speaks with devices of the odd kinds that there are."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.framing import TerminatedReplies
from drivers.text import TextDriver
from mktl.errors import (
    ConfigurationError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.text_fakes import (
    ENQ,
    ETX,
    IDENTIFY,
    SCPI,
    SUPPLY,
    TPG,
    TPG_ITEMS,
    Fetched,
    Scpi,
    opened,
    pty_device,
    read,
    read_at_last,
    table,
    text_device,
    write,
)

# --- busy -----------------------------------------------------------------------------------------


def test_a_busy_device_is_asked_again_until_it_answers():
    said = [b"BUSY\r\n", b"BUSY\r\n", b"1.5\r\n", b"BUSY\r\n", b"OK\r\n"]
    items = {"x": {"ask": "X?", "tell": "X {value:g}", "ack": "OK", "units": "K"}}
    with (
        text_device(lambda message: said.pop(0)) as device,
        opened(device, items, busy="BUSY", retry_s=0.01, timeout_s=5) as driver,
    ):
        assert read(driver, "x") == 1.5
        write(driver, "x", 2)
        assert device.asked == [b"X?"] * 3 + [b"X 2"] * 2


def test_a_device_that_stays_busy_is_given_up_at_the_deadline():
    items = {"x": {"ask": "X?", "units": "K"}}
    with (
        text_device(lambda message: b"BUSY\r\n") as device,
        opened(device, items, busy="BUSY", retry_s=0.02, timeout_s=0.3) as driver,
    ):
        with pytest.raises(DeviceTimeout, match=r"for 0.3 s nothing but b'BUSY' came back"):
            read(driver, "x")
        assert len(device.asked) > 2
        assert device.connections == 1


def test_a_device_that_is_busy_when_it_is_asked_who_it_is_is_not_another_one():
    replies: dict[bytes, bytes | None] = {b"ID?": b"BUSY"}
    with (
        text_device(table(replies)) as device,
        opened(
            device, up=False, busy="BUSY", identify={"ask": "ID?", "reply": "VG.*"}, timeout_s=0.1
        ) as driver,
    ):
        wait_until(lambda: "b'BUSY' came back" in driver.status().error)
        wait_until(lambda: driver.status().state == "Down")
        replies[b"ID?"] = b"VG-1"
        driver.wait_until_up(timeout_s=30)


# --- the error queue ------------------------------------------------------------------------------


def test_a_set_that_is_in_the_error_queue_afterwards_was_refused():
    scpi = Scpi()
    with text_device(scpi, end=b"\n") as device, opened(device, SUPPLY, **SCPI) as driver:
        write(driver, "volts", 5)
        assert read(driver, "volts") == 5.0
        with pytest.raises(DeviceRefused, match="-222"):
            write(driver, "volts", 31)
        assert read(driver, "volts") == 5.0
        assert scpi.queue == []


def test_an_error_from_before_is_told_in_the_log_and_is_not_of_this_set(caplog):
    scpi = Scpi()
    with text_device(scpi, end=b"\n") as device, opened(device, SUPPLY, **SCPI) as driver:
        write(driver, "volts", 5)
        # Somebody at the front panel.
        scpi.queue += [b'-113,"Undefined header"', b'-410,"Query INTERRUPTED"']
        write(driver, "volts", 6)
        assert scpi.volts == b"6.000"
        assert '-113,"Undefined header"; -410,"Query INTERRUPTED", of what was sent before' in (
            caplog.text
        )


def test_a_queue_without_an_end_is_given_up_and_the_set_counts_as_refused():
    scpi = Scpi()
    with text_device(scpi, end=b"\n") as device, opened(device, SUPPLY, **SCPI) as driver:
        device.reply = lambda message: b"-350,full\n" if message == b"SYST:ERR?" else scpi(message)
        with pytest.raises(DeviceRefused, match="and no end after 20"):
            write(driver, "volts", 5)


def test_an_item_may_do_without_the_error_query():
    scpi = Scpi()
    with text_device(scpi, end=b"\n") as device, opened(device, SUPPLY, **SCPI) as driver:
        device.asked.clear()
        write(driver, "fast", 31)
        write(driver, "fast", 3)
        wait_until(lambda: device.asked == [b"VOLT 31.000", b"VOLT 3.000"])


def test_refusals_may_stand_in_the_status_that_is_asked_afterwards():
    """A circulator: what is told gets no reply, and the next status says once that it was wrong."""
    state = {"sp": b"20.00", "status": b""}

    def chiller(message: bytes) -> bytes | None:
        if message == b"status":
            said, state["status"] = state["status"], b""
            return (said or b"-33 SAFETY SENSOR") + b"\r\n"
        if message == b"in_sp_00":
            return state["sp"] + b"\r\n"
        value = message.partition(b" ")[2]
        if float(value) > 100:
            state["status"] = b"-11 VALUE TOO LARGE"
        else:
            state["sp"] = value
        return None

    # An alarm is not a refusal: it does not go away by being read.
    query = {"ask": "status", "ok": r"(?!-(?:08|09|10|11|13)\b).*"}
    item = {"ask": "in_sp_00", "tell": "out_sp_00 {value:.2f}", "units": "degC"}
    how: Any = {"error_query": query, "send_terminator": "\r", "settle_after": {"out_": 0.01}}
    with text_device(chiller, end=b"\r") as device, opened(device, {"sp": item}, **how) as driver:
        write(driver, "sp", 25)
        assert read(driver, "sp") == 25.0
        with pytest.raises(DeviceRefused, match="-11 VALUE TOO LARGE"):
            write(driver, "sp", 500)


# --- handshakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [text_device, pty_device])
@pytest.mark.parametrize("bare", [False, True])
def test_data_are_fetched_with_an_enquiry_after_an_ack(port, bare):
    gauge = Fetched()
    gauge.end = b"" if bare else b"\r\n"
    how = {**TPG, "handshake": {**TPG["handshake"], "bare": bare}}
    with port(gauge, alone=ENQ) as device, opened(device, TPG_ITEMS, **how) as driver:
        assert read(driver, "p1") == 1.5e-3
        with pytest.raises(InvalidReading, match="s is 5"):
            read(driver, "p2")
        with pytest.raises(DeviceRefused, match=r"'PR3' was refused: b'\\x15' came .* '0001'"):
            read(driver, "p3")
        gauge.known[b"UNI"] = b"0"
        write(driver, "unit", 2)
        assert read(driver, "unit") == 2
        gauge.take = lambda message: False
        with pytest.raises(DeviceRefused, match=r"'UNI,3' was refused: .* and then '0001'"):
            write(driver, "unit", 3)
        assert driver.status().state == "Up"
        assert driver.raw("PR1") == "0,1.5E-03"
        with pytest.raises(DeviceRefused):
            driver.raw("XXX")


@given(st.lists(st.sampled_from([b"\x06", b"\x15", b"0,1.5\r\n"]), max_size=8), st.data())
def test_signs_without_a_terminator_are_found_however_the_bytes_are_cut(lines, data):
    replies = TerminatedReplies(b"\r\n", alone=(b"\x06", b"\x15"))
    stream, found = b"".join(lines), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        replies.feed(stream[:size])
        stream = stream[size:]
        while (reply := replies.next_reply()) is not None:
            found.append(reply)
    assert found == [line.removesuffix(b"\r\n") for line in lines]
    assert replies.pending == b""


def test_a_stream_from_before_the_first_message_is_no_reply():
    gauge = Fetched()
    with text_device(gauge, alone=ENQ) as device:
        streaming = threading.Event()
        original = device.reply

        def answer(message: bytes) -> bytes | None:
            streaming.set()  # what it says by itself ends with the first character from the host
            return original(message)

        device.reply = answer

        def stream() -> None:
            while not streaming.wait(0.15):
                device.send(b"0,8.0800E-05,0,1.5E-03\r\n")

        thread = threading.Thread(target=stream, name="stream")
        thread.start()
        try:
            with opened(device, TPG_ITEMS, **TPG) as driver:
                assert read(driver, "p1") == 1.5e-3
                # Switched off and on behind our back.
                device.send(b"0,8.0800E-05,0,1.5E-03\r\n0,8.08")
                assert read_at_last(driver, "p1") == 1.5e-3
                assert read(driver, "p1") == 1.5e-3
                assert device.connections == 1
        finally:
            streaming.set()
            thread.join()


def test_what_is_neither_ack_nor_nak_is_not_taken_for_one():
    gauge = Fetched()
    with text_device(gauge, alone=ENQ) as device, opened(device, TPG_ITEMS, **TPG) as driver:
        device.reply = lambda m: b"0,1.5E-03\r\n" if m == b"PR1" else gauge(m)
        with pytest.raises(ProtocolMismatch, match=r"which is not b'\\x06' or b'\\x15'"):
            read(driver, "p1")
        device.reply = gauge
        assert read(driver, "p1") == 1.5e-3


def test_an_ack_without_data_is_a_timeout_and_the_late_data_are_nobodys():
    gauge = Fetched()
    with text_device(gauge, alone=ENQ) as device, opened(device, TPG_ITEMS, **TPG) as driver:
        device.reply = lambda m: None if m == ENQ else gauge(m)
        with pytest.raises(DeviceTimeout, match=r"no complete answer to b'\\x05'"):
            read(driver, "p1")
        device.reply = gauge
        device.send(b"0,9.9E-01\r\n")
        assert read(driver, "p1") == 1.5e-3


def test_a_word_may_stand_for_ack_and_another_one_for_nak():
    replies = {b"ON 1": b"OK", b"ON 0": b"ERROR", b"V?": b"1.5", b"W?": b"ERROR"}
    items = {"on": {"tell": "ON {value:d}"}, "v": {"ask": "V?"}, "w": {"ask": "W?"}}
    handshake = {"ack": "OK", "nak": "ERROR"}
    with text_device(table(replies)) as device, opened(device, items, handshake=handshake) as tool:
        write(tool, "on", 1)
        assert read(tool, "v") == "1.5"
        with pytest.raises(DeviceRefused):
            write(tool, "on", 0)
        with pytest.raises(DeviceRefused):
            read(tool, "w")


def test_a_refusal_in_words_and_a_busy_sign_may_come_instead_of_an_ack():
    said = [b"BUSY", b"OK", b"E12 out of range", b"what?"]
    items = {"x": {"tell": "X {value:d}"}}
    how: Any = {"handshake": {"ack": "OK"}, "busy": "BUSY", "refused": "E.*", "retry_s": 0.01}
    with (
        text_device(lambda message: said.pop(0) + b"\r\n") as device,
        opened(device, items, **how) as driver,
    ):
        write(driver, "x", 1)
        with pytest.raises(DeviceRefused, match="'X 2' was refused: 'E12 out of range' came back"):
            write(driver, "x", 2)
        with pytest.raises(ProtocolMismatch, match="b'what\\?' came back, which is not b'OK'"):
            write(driver, "x", 3)
        assert device.asked == [b"X 1", b"X 1", b"X 2", b"X 3"]


# --- what is around a text ------------------------------------------------------------------------


def test_messages_may_stand_between_stx_and_etx():
    def answer(message: bytes) -> bytes | None:
        known = {b"\x02ID": b"\x02SCALE-3", b"\x02W": b"\x02+00012.5 g", b"\x02T": b"12.5 g"}
        return known[message] + ETX if message in known else None

    items = {"w": {"ask": "W", "reply": "{value:g} g"}, "t": {"ask": "T", "reply": "{value:g} g"}}
    how: Any = {"prefix": "\x02", "terminator": "\x03", "settle_after": {"W": 0.01}}
    how["identify"] = {"ask": "ID", "reply": "SCALE-3"}
    with text_device(answer, end=ETX) as device, opened(device, items, **how) as driver:
        assert read(driver, "w") == 12.5
        assert driver.settings.settle_after == ((b"\x02W", 0.01),)
        with pytest.raises(ProtocolMismatch, match=r"does not begin with b'\\x02'"):
            read(driver, "t")
        assert read(driver, "w") == 12.5
        channel = driver.channel("w")
        assert (channel.sent_bytes, channel.received_bytes) == (3, 12)


def test_both_ways_may_begin_and_end_in_their_own_manner():
    items = {"x": {"ask": "X", "units": "K"}}
    how: Any = {"send_prefix": "#", "reply_prefix": ">", "send_terminator": "\r"}
    with (
        text_device(lambda m: b">1.5\r\n" if m == b"#X" else None, end=b"\r") as device,
        opened(device, items, **how) as driver,
    ):
        assert read(driver, "x") == 1.5


@pytest.mark.parametrize("on", ["both", "sent", "received"])
def test_check_sums_are_added_checked_and_taken_off(on):
    ask = b"A?" if on == "received" else b"A?80"
    good = b"1.5" if on == "sent" else b"1.594"
    said = {ask: good}
    items = {"a": {"ask": "A?", "units": "K"}}
    how: Any = {"checksum": {"name": "sum8-hex", "on": on}, "identify": IDENTIFY}
    said |= {b"ID?CC": b"VG-1" if on == "sent" else b"VG-1FB"} if on != "received" else {}
    said |= {b"ID?": b"VG-1FB"} if on == "received" else {}
    with text_device(table(said)) as device, opened(device, items, **how) as driver:
        assert read(driver, "a") == 1.5
        if on == "sent":
            return
        said[ask] = b"1.694"
        with pytest.raises(ProtocolMismatch, match=r"check sum 'sum8-hex' of b'1.694' is b'94'"):
            read(driver, "a")
        said[ask] = b"94"
        with pytest.raises(ProtocolMismatch, match="too short"):
            read(driver, "a")


def test_other_characters_than_ascii_need_an_encoding():
    said = {b"TEMP?": "21.5 °C".encode(), "NAME é".encode(): None}
    items: dict[str, Any] = {
        "t": {"ask": "TEMP?", "reply": "{value:g} °C"},
        "n": {"tell": "NAME {value}"},
    }
    with text_device(table(said)) as device, opened(device, items, encoding="utf-8") as driver:
        assert read(driver, "t") == 21.5
        write(driver, "n", "é")
        said[b"TEMP?"] = b"21.5 \xb0C"
        with pytest.raises(ProtocolMismatch, match="is not utf-8"):
            read(driver, "t")
    with text_device(table({})) as device, pytest.raises(ConfigurationError, match="ascii"):
        TextDriver(device.url, channels={"x": {"ask": "°?"}})


def test_xon_and_xoff_are_dropped_and_an_echo_is_read_away():
    def answer(message: bytes) -> bytes:
        return message + b"\r\n\x111.\x135\r\n"

    items = {"x": {"ask": "X?", "units": "K"}}
    how: Any = {"echo": True, "ignore": "\x11\x13"}
    with text_device(answer) as device, opened(device, items, **how) as driver:
        assert read(driver, "x") == 1.5
        device.reply = lambda message: b"1.5\r\n"
        with pytest.raises(ProtocolMismatch, match="the echo of b'X\\?"):
            read(driver, "x")


# --- replies of several lines ---------------------------------------------------------------------

STATUS = {
    "t1": {"ask": "ST", "reply": "T1={value:g}\r\nT2={:g}\r\n{:s}"},
    "t2": {"ask": "ST", "reply": "T1={:g}\r\nT2={value:g}\r\n{:s}"},
    "state": {"ask": "ST", "reply": "T1={:g}\r\nT2={:g}\r\n{value:s}"},
}


def test_a_reply_may_have_several_lines():
    said: dict[bytes, bytes | None] = {b"ST": b"T1=1.5\r\nT2=2.5\r\nRUN"}
    with (
        text_device(table(said)) as device,
        opened(device, STATUS, identify=IDENTIFY) as driver,
    ):
        (block,) = driver.plan_reads([driver.channel(key) for key in STATUS])
        assert list(block.read()) == [1.5, 2.5, "RUN"]
        assert driver.raw("ST") == "T1=1.5\r\nT2=2.5\r\nRUN"
        said[b"ST"] = b"T1=1.5\r\nT2=2.5"
        with pytest.raises(DeviceTimeout, match=r"2 of 3 lines came back, the last one b'T2=2\.5'"):
            block.read()
        said[b"ST"] = b"T1=1.5\r\nT2=2.5\r\nRUN\r\nMORE"
        with pytest.raises(ProtocolMismatch, match="MORE"):
            block.read()
        said[b"ST"] = b"T2=2.5\r\nT1=1.5\r\nRUN"
        with pytest.raises(ProtocolMismatch, match="is no reply to that"):
            block.read()
        said[b"ST"] = b"T1=3\r\nT2=4\r\nRUN"
        assert list(block.read()) == [3.0, 4.0, "RUN"]


def test_each_line_of_a_reply_has_its_own_check_sum_and_a_line_may_come_in_between():
    items = {
        "wind": {"ask": "0r", "reply": "0r1,Sm={value:g}M\r\n0r2,Ta={:g}C"},
        "temp": {"ask": "0r", "reply": "0r1,Sm={:g}M\r\n0r2,Ta={value:g}C"},
        "alarm": {"heard": "!{value:d}"},
    }
    said: dict[bytes, bytes | None] = {}
    how: Any = {"checksum": "xor8-hex"}
    with text_device(table(said)) as device, opened(device, items, **how) as driver:
        message = driver._speech.message("0r").removesuffix(b"\r\n")
        wind, alarm, temp = (
            driver._speech.message(text) for text in ("0r1,Sm=1.5M", "!7", "0r2,Ta=20C")
        )
        heard: list[Any] = []
        channel = driver.channel("alarm")
        assert channel.listen is not None
        channel.listen(heard.append)
        said[message] = wind + alarm + temp.removesuffix(b"\r\n")
        assert (read(driver, "wind"), read(driver, "temp")) == (1.5, 20.0)
        assert heard == [7, 7]


def test_a_prompt_may_be_the_end_of_a_reply():
    said = {b"T?": b"\r\n21.5 C\r\n", b"SP 5": b"\r\n"}
    items = {
        "t": {"ask": "T?", "reply": "\r\n{value:g} C\r\n"},
        "sp": {"tell": "SP {value:d}", "ack": "\r\n"},
    }
    how: Any = {"send_terminator": "\r", "reply_terminator": ">"}
    with (
        text_device(table(said, b">"), end=b"\r") as device,
        opened(device, items, **how) as driver,
    ):
        assert read(driver, "t") == 21.5
        write(driver, "sp", 5)
