"""Modbus frames, whole, cut, damaged and of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import _modbus_pdu as pdus
from drivers.framing.modbus import MbapFraming, RtuFraming, crc16, mbap_frame, rtu_frame
from mktl.errors import BadValue, DeviceTimeout, ProtocolMismatch

READ = pdus.read("holding", 0, 2)
REPLY = bytes.fromhex("03 04 1234 5678")
FRAMINGS = [
    pytest.param(MbapFraming, lambda unit, pdu, n=7: mbap_frame(n, unit, pdu), id="mbap"),
    pytest.param(RtuFraming, rtu_frame, id="rtu"),
]


def asked(framing, frame, unit=1, pdu=READ):
    made = framing()
    made.sent(frame(unit, pdu))
    return made


def test_frames_are_those_of_the_specification():
    # MODBUS Messaging on TCP/IP V1.0b, section 4.4.1.2 and MODBUS over Serial Line V1.02, appendix
    assert mbap_frame(0x1501, 0xFF, bytes.fromhex("0300040001")).hex() == "150100000006ff0300040001"
    assert rtu_frame(2, bytes.fromhex("07")).hex() == "02074112"
    assert crc16(bytes.fromhex("02074112")) == 0


@pytest.mark.parametrize(("framing", "frame"), FRAMINGS)
def test_a_reply_is_found_wherever_it_is_cut(framing, frame):
    whole = frame(1, REPLY)
    for at in range(1, len(whole)):
        made = asked(framing, frame)
        made.feed(whole[:at])
        assert made.next_reply() is None
        made.feed(whole[at:])
        assert made.next_reply() == REPLY
        assert made.pending == b""


@pytest.mark.parametrize(("framing", "frame"), FRAMINGS)
def test_what_follows_a_reply_stays_for_others_to_judge(framing, frame):
    made = asked(framing, frame)
    made.feed(frame(1, REPLY) + b"\x01\x02")
    assert made.next_reply() == REPLY
    assert made.pending == b"\x01\x02"
    assert made.clear() == b"\x01\x02"
    assert made.pending == b""


@pytest.mark.parametrize(("framing", "frame"), FRAMINGS)
def test_an_exception_is_a_reply(framing, frame):
    made = asked(framing, frame)
    made.feed(frame(1, b"\x83\x02"))
    assert made.next_reply() == b"\x83\x02"


@pytest.mark.parametrize(("framing", "frame"), FRAMINGS)
def test_a_gateway_that_got_no_answer_is_silence(framing, frame):
    made = asked(framing, frame)
    made.feed(frame(1, b"\x83\x0b"))
    with pytest.raises(DeviceTimeout, match="unit 1 did not answer"):
        made.next_reply()


def test_a_late_reply_of_modbus_tcp_is_lost_by_its_number():
    made = MbapFraming()
    made.sent(mbap_frame(8, 1, READ))
    made.feed(mbap_frame(7, 1, bytes.fromhex("03 04 dead beef")) + mbap_frame(8, 1, REPLY))
    assert made.next_reply() == REPLY


@pytest.mark.parametrize(
    "reply",
    [
        mbap_frame(7, 2, REPLY),
        mbap_frame(7, 1, b"\x04" + REPLY[1:]),
        mbap_frame(7, 1, b"\x84\x02"),
        mbap_frame(7, 1, b"\x83\x02\x00"),
        b"\0\7\0\1\0\7\1" + REPLY,
        b"\0\7\0\0\0\1\1" + REPLY,
        b"\0\7\0\0\xff\0\1" + REPLY,
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
def test_what_is_no_answer_over_tcp_is_a_mismatch(reply):
    made = MbapFraming()
    made.sent(mbap_frame(7, 1, READ))
    made.feed(reply)
    with pytest.raises(ProtocolMismatch):
        made.next_reply()


@pytest.mark.parametrize("other", [rtu_frame(2, REPLY), rtu_frame(1, b"\x04" + REPLY[1:])])
def test_frames_of_other_units_and_functions_are_not_the_answer(other):
    made = asked(RtuFraming, rtu_frame)
    made.feed(other)
    assert made.next_reply() is None
    made.feed(rtu_frame(1, REPLY))
    assert made.next_reply() == REPLY


@pytest.mark.parametrize("at", range(8))
def test_no_damaged_serial_frame_is_ever_a_reply(at):
    frame = bytearray(rtu_frame(1, REPLY))
    for flip in range(1, 256):
        frame[at] ^= flip
        made = asked(RtuFraming, rtu_frame)
        made.feed(bytes(frame))
        frame[at] ^= flip
        try:
            assert made.next_reply() is None  # it seems to be longer: the deadline ends that
        except ProtocolMismatch:
            assert made.pending == b""


def test_a_function_that_nobody_knows_ends_where_its_crc_fits():
    made = asked(RtuFraming, rtu_frame, pdu=bytes.fromhex("2b 0e 01 00"))
    whole = rtu_frame(1, bytes.fromhex("2b 0e 01 01 00 00 01 00 03") + b"abc")
    for byte in whole[:-1]:
        made.feed(bytes((byte,)))
        assert made.next_reply() is None
    made.feed(whole[-1:])
    assert made.next_reply() == whole[1:-2]


def test_noise_is_a_mismatch_and_does_not_fill_memory():
    made = asked(RtuFraming, rtu_frame)
    made.feed(b"x" * 100_000)
    with pytest.raises(ProtocolMismatch):
        made.next_reply()
    assert made.pending == b""


@given(st.binary(max_size=600))
def test_garbage_never_raises_anything_else(data):
    for framing, frame in ((MbapFraming, mbap_frame), (RtuFraming, None)):
        made = framing()
        made.sent(frame(7, 1, READ) if frame else rtu_frame(1, READ))
        made.feed(data)
        try:
            while made.next_reply() is not None:
                pass
        except (ProtocolMismatch, DeviceTimeout):
            pass


# --- requests and replies -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pdu", "hex_"),
    [  # examples of MODBUS Application Protocol V1.1b3, section 6
        (pdus.read("coil", 19, 19), "01 0013 0013"),
        (pdus.read("discrete", 196, 22), "02 00c4 0016"),
        (pdus.read("holding", 107, 3), "03 006b 0003"),
        (pdus.read("input", 8, 1), "04 0008 0001"),
        (pdus.write_bit(172, True), "05 00ac ff00"),
        (pdus.write_register(1, 3), "06 0001 0003"),
        (pdus.loopback(0xA537), "08 0000 a537"),
        (pdus.write_bits(19, [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]), "0f 0013 000a 02 cd01"),
        (pdus.write_registers(1, [10, 0x102]), "10 0001 0002 04 000a 0102"),
        (pdus.mask_write(4, 0xF2, 0x25), "16 0004 00f2 0025"),
    ],
)
def test_requests_are_those_of_the_specification(pdu, hex_):
    assert pdu == bytes.fromhex(hex_)


def test_replies_are_those_of_the_specification():
    assert pdus.read_reply("holding", 3, bytes.fromhex("03 06 022b 0000 0064")) == [555, 0, 100]
    bits = pdus.read_reply("coil", 19, bytes.fromhex("01 03 cd 6b 05"))
    assert bits == [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    "reply", ["03", "03 00", "03 02 0001", "03 04 0001", "03 03 000102", "03 04 00010203ff"]
)
def test_a_reply_of_another_size_is_a_mismatch(reply):
    with pytest.raises(ProtocolMismatch, match="4 bytes"):
        pdus.read_reply("holding", 2, bytes.fromhex(reply))


def test_a_write_that_is_not_repeated_as_it_was_is_a_mismatch():
    pdus.write_reply(pdus.write_registers(1, [10, 20]), bytes.fromhex("10 0001 0002"))
    for reply in ("10 0001 0001", "10 0002 0002", "10 0001 0002 00"):
        with pytest.raises(ProtocolMismatch, match="should come back"):
            pdus.write_reply(pdus.write_registers(1, [10, 20]), bytes.fromhex(reply))
    with pytest.raises(ProtocolMismatch):
        pdus.write_reply(pdus.write_register(1, 3), bytes.fromhex("06 0001 0004"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: pdus.read("holding", 0, 126),
        lambda: pdus.read("holding", 0, 0),
        lambda: pdus.read("coil", 0, 2001),
        lambda: pdus.read("holding", 65535, 2),
        lambda: pdus.read("holding", -1, 1),
        lambda: pdus.write_register(0, 65536),
        lambda: pdus.write_register(0, -1),
        lambda: pdus.write_registers(0, [0] * 124),
        lambda: pdus.write_registers(0, []),
        lambda: pdus.write_bits(0, [1] * 1969),
    ],
)
def test_what_cannot_be_asked_is_refused(make):
    with pytest.raises(BadValue):
        make()


def test_exceptions_have_words():
    assert pdus.exception_text(2) == "illegal data address (exception 2)"
    assert pdus.exception_text(77) == "an unknown reason (exception 77)"
    assert pdus.function_text(pdus.read("holding", 5, 3)) == "read holding registers 5 to 7"
    assert pdus.function_text(pdus.write_register(5, 9)) == "write register 5"
