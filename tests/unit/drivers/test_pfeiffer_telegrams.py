"""Telegrams and data types of the Pfeiffer Vacuum protocol, byte for byte."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import _pfeiffer_types as types
from drivers._pfeiffer_errors import DRIVE, ERROR, NONE, WARNING, to_fault
from drivers._pfeiffer_types import BOOLEAN, EXPONENT, INTEGER, REAL, SHORT, STRING
from drivers.framing.telegrams import Telegram, TelegramReplies, to_telegram
from mktl.errors import BadValue, ProtocolMismatch

ASKED = Telegram(1, 309)
REPLY = Telegram(1, 309, "000633", asks=False)


def answered(*lines: bytes, asked: Telegram = ASKED) -> bytes | None:
    replies = TelegramReplies()
    replies.sent(asked.line)
    for line in lines:
        replies.feed(line)
    return replies.next_reply()


def test_the_request_of_the_sheet_has_the_check_sum_of_the_sheet():
    assert Telegram(1, 349).line == b"0010034902=?111\r"


@given(
    st.integers(1, 255), st.integers(0, 999), st.text(st.characters(codec="ascii", min_codepoint=32,
                                                                    max_codepoint=126), max_size=16)
)  # fmt: skip
def test_what_is_sent_is_read_back(address, parameter, data):
    telegram = Telegram(address, parameter, data, asks=False)
    assert to_telegram(telegram.text) == telegram
    asked = Telegram(address, parameter)
    assert answered(telegram.line, asked=asked) == telegram.text.encode()


@given(st.data())
def test_no_damaged_telegram_is_given_back(data):
    line = bytearray(REPLY.line)
    place = data.draw(st.integers(0, len(line) - 2))
    byte = data.draw(st.integers(0x20, 0x7E).filter(lambda byte: byte != line[place]))
    line[place] = byte
    with pytest.raises(ProtocolMismatch, match="came back damaged"):
        answered(bytes(line))


@given(st.lists(st.integers(1, len(REPLY.line) - 1), max_size=4))
def test_a_telegram_may_come_in_pieces(cuts):
    line = REPLY.line
    edges = [0, *sorted(cuts), len(line)]
    pieces = [line[a:b] for a, b in itertools.pairwise(edges)]
    assert answered(*pieces) == REPLY.text.encode()


def test_telegrams_of_other_units_and_of_other_parameters_are_lost():
    neighbour = Telegram(2, 309, "000999", asks=False)
    late = Telegram(1, 310, "000100", asks=False)
    assert answered(neighbour.line, late.line) is None
    assert answered(neighbour.line, late.line, REPLY.line) == REPLY.text.encode()


def test_what_the_wiring_sends_back_is_neither_a_reply_nor_a_confirmation():
    replies = TelegramReplies()
    written = Telegram(1, 10, "111111", asks=False)
    replies.sent(ASKED.line)
    replies.feed(ASKED.line + REPLY.line)
    assert replies.next_reply() == REPLY.text.encode()
    replies.sent(written.line)
    replies.feed(written.line)
    assert replies.next_reply() is None
    replies.feed(written.line)
    assert replies.next_reply() == written.text.encode()


def test_a_line_without_an_echo_confirms_with_the_first_telegram():
    written = Telegram(1, 10, "111111", asks=False)
    assert answered(written.line, asked=written) == written.text.encode()


def test_a_line_that_does_not_end_is_a_mismatch():
    with pytest.raises(ProtocolMismatch, match="without the end"):
        answered(b"0" * 1000)


def test_what_is_pending_can_be_forgotten():
    replies = TelegramReplies()
    replies.feed(b"00110")
    assert replies.pending == b"00110"
    assert replies.clear() == b"00110"
    assert replies.pending == b""


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [(BOOLEAN, "000000", False), (BOOLEAN, "111111", True), (INTEGER, "000633", 633),
     (REAL, "007550", 75.5), (SHORT, "080", 80), (STRING, "TC 400", "TC 400"),
     (STRING, "    A5", "A5"), (STRING, "TM 700 with more", "TM 700 with more"),
     (EXPONENT, "100023", 1000.0), (EXPONENT, "500012", 5e-8), (EXPONENT, "999999", 9.999e79),
     (EXPONENT, "100000", 1e-20)],
)  # fmt: skip
def test_each_type_reads_what_the_sheet_says(kind, data, value):
    assert kind.value(data) == value
    if kind is not STRING:
        assert kind.write(value) == data


@pytest.mark.parametrize(
    ("kind", "data"),
    [(BOOLEAN, "000001"), (BOOLEAN, "1"), (BOOLEAN, "NO_DEF"), (INTEGER, "00063"),
     (INTEGER, "-00633"), (INTEGER, " 00633"), (INTEGER, "00_633"), (INTEGER, "_RANGE"),
     (REAL, "75.500"), (REAL, "_LOGIC"), (SHORT, "000080"), (SHORT, "8.0"), (EXPONENT, "1.0E-8"),
     (EXPONENT, "NO_DEF"), (EXPONENT, "1000230"), (STRING, "TC"), (INTEGER, "٣٣٣٣٣٣")],
)  # fmt: skip
def test_data_of_another_type_are_never_a_value(kind, data):
    with pytest.raises(ValueError, match=r"no |is neither|is not"):
        kind.value(data)


def test_a_pressure_without_a_mantissa_is_none():
    with pytest.raises(types.NoNumber):
        EXPONENT.value("000020")


@pytest.mark.parametrize(
    ("kind", "value"),
    [(BOOLEAN, "OFF"), (BOOLEAN, 2), (BOOLEAN, 1.0), (INTEGER, 1_000_000), (INTEGER, -1),
     (INTEGER, 1.5), (INTEGER, True), (INTEGER, "5"), (REAL, 10_000), (REAL, -0.01),
     (REAL, float("nan")), (SHORT, 1000), (SHORT, float("inf")), (STRING, "TC 4000"), (STRING, "é"),
     (STRING, 5), (EXPONENT, 0), (EXPONENT, -1), (EXPONENT, 1e-21), (EXPONENT, 1e80),
     (EXPONENT, None)],
)  # fmt: skip
def test_what_a_type_cannot_say_is_refused(kind, value):
    with pytest.raises(BadValue, match="is wanted"):
        kind.write(value)


@given(st.floats(1e-20, 9.999e79))
def test_a_pressure_is_written_to_four_digits(value):
    data = EXPONENT.write(value)
    assert len(data) == 6
    assert EXPONENT.value(data) == pytest.approx(value, rel=5.1e-4)


@given(st.integers(0, 999_999))
def test_a_real_keeps_its_two_decimals(hundredths):
    assert REAL.write(hundredths / 100) == f"{hundredths:06d}"


def test_error_codes_are_told_in_words():
    assert to_fault("000000", DRIVE).level == NONE
    assert str(to_fault("000000", DRIVE)) == "None"
    assert str(to_fault("Err006", DRIVE)) == "Err006: run-up took too long"
    assert to_fault("Err006", DRIVE).level == ERROR
    assert to_fault("Wrn018", DRIVE).level == WARNING
    assert str(to_fault("Err999", DRIVE)) == "Err999: see the manual of the unit"
    for code in ("000001", "NO_DEF", "Err", "ERR001", "Err0011", ""):
        with pytest.raises(ValueError, match="neither"):
            to_fault(code, DRIVE)
