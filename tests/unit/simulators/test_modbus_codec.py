"""Frames and requests of the simulated Modbus devices: bytes in, bytes out."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators._modbus_frames import (
    MbapFramer,
    RtuFramer,
    crc16,
    mbap_frame,
    rtu_frame,
    unframe,
)
from simulators.device import Quantity
from simulators.modbus import Code, ModbusDevice, ModbusError, Table


class Plain(ModbusDevice):
    """Ten coils and ten registers; register 9 takes nothing above 100."""

    name = "plain"

    def __init__(self, *, unit: int = 1) -> None:
        super().__init__(unit=unit)
        self.bits = [False] * 10
        self.words = list(range(10))

    def read_bit(self, table: Table, address: int) -> bool:
        return self.bits[self._place(address)]

    def write_bit(self, address: int, value: bool) -> None:
        self.bits[address] = value

    def read_word(self, table: Table, address: int) -> int:
        return self.words[self._place(address)]

    def check_word(self, address: int, value: int) -> None:
        if self._place(address) == 9 and value > 100:
            raise ModbusError(Code.ILLEGAL_VALUE)

    def write_word(self, address: int, value: int) -> None:
        self.words[address] = value

    def _place(self, address: int) -> int:
        if address >= 10:
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        return address

    def step(self, dt_s: float) -> None: ...

    def power_off(self) -> None: ...

    def power_on(self) -> None: ...

    def quantities(self) -> dict[str, Quantity]:
        return {}


def asked(device: ModbusDevice, pdu: bytes) -> bytes:
    reply = device.answer_on("modbus+rtu", rtu_frame(1, pdu))
    request = unframe(reply, rtu=True)
    assert request is not None
    return request.pdu


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc16(b"123456789") == 0x4B37  # CRC-16/MODBUS, the check value of the catalogues
    assert rtu_frame(1, bytes.fromhex("03 00 00 00 0A")).hex() == "01030000000ac5cd"


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("01 0000 000a", "01 02 00 00"),
        ("02 0001 0003", "02 01 00"),
        ("03 0001 0002", "03 04 0001 0002"),
        ("04 0009 0001", "04 02 0009"),
        ("05 0003 ff00", "05 0003 ff00"),
        ("06 0003 1234", "06 0003 1234"),
        ("08 0000 a537", "08 0000 a537"),
        ("0f 0000 000a 02 cd01", "0f 0000 000a"),
        ("10 0001 0002 04 000a 0102", "10 0001 0002"),
        ("16 0004 00f2 0025", "16 0004 00f2 0025"),
        ("17 0000 0002 0001 0001 02 00ff", "17 04 0000 00ff"),
        ("03 0009 0002", "83 02"),
        ("03 0000 0000", "83 03"),
        ("03 0000 007e", "83 03"),
        ("01 0000 07d1", "81 03"),
        ("03 ffff 0002", "83 02"),
        ("03 0000", "83 03"),
        ("05 0000 0001", "85 03"),
        ("06 0009 0065", "86 03"),
        ("06 000a 0001", "86 02"),
        ("08 0001 0000", "88 01"),
        ("0f 0000 0009 01 ff", "8f 03"),
        ("10 0000 0002 02 0001", "90 03"),
        ("10 0000 007c 04 0000 0000", "90 03"),
        ("2b 0e01 00", "ab 01"),
    ],
)
def test_each_function_answers_as_the_standard_says(request_hex: str, reply_hex: str) -> None:
    assert asked(Plain(), bytes.fromhex(request_hex)) == bytes.fromhex(reply_hex)


def test_a_mask_changes_only_its_bits() -> None:
    device = Plain()
    device.words[4] = 0x12
    asked(device, bytes.fromhex("16 0004 00f2 0025"))
    assert device.words[4] == 0x17  # the example of the standard, 6.16


@pytest.mark.parametrize("pdu", ["10 0008 0002 04 0001 0065", "10 0009 0002 04 0001 0001"])
def test_a_write_that_fails_at_its_end_has_changed_nothing(pdu: str) -> None:
    device = Plain()
    assert asked(device, bytes.fromhex(pdu))[0] == 0x90
    assert device.words == list(range(10))


def test_a_write_with_a_read_that_fails_has_changed_nothing() -> None:
    device = Plain()
    assert asked(device, bytes.fromhex("17 0009 0002 0001 0001 02 00ff")) == b"\x97\x02"
    assert device.words == list(range(10))


def test_damaged_frames_and_those_for_others_are_ignored() -> None:
    device = Plain()
    good = rtu_frame(1, bytes.fromhex("06 0001 0007"))
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    assert device.answer_on("modbus+rtu", damaged) == b""
    assert device.answer_on("modbus+rtu", rtu_frame(2, good[1:-2])) == b""
    assert device.answer_on("modbus+tcp", mbap_frame(2, good[1:-2], 7)) == b""
    assert device.words == list(range(10))


def test_everybody_obeys_a_broadcast_and_nobody_answers() -> None:
    device = Plain()
    assert device.answer_on("modbus+rtu", rtu_frame(0, bytes.fromhex("06 0001 0007"))) == b""
    assert device.words[1] == 7


def test_a_reply_over_tcp_repeats_its_transaction() -> None:
    reply = Plain().answer(mbap_frame(1, bytes.fromhex("03 0002 0001"), 0xBEEF))
    assert reply == bytes.fromhex("beef 0000 0005 01 03 02 0002")


def test_a_function_that_has_no_known_length_ends_with_a_silence() -> None:
    framer = RtuFramer()
    frame = rtu_frame(1, bytes.fromhex("2b 0e01 00"))
    assert framer.feed(frame) == []
    assert framer.silence() == [frame]


def test_after_a_damaged_frame_nothing_is_heard_before_a_silence() -> None:
    framer = RtuFramer()
    good = rtu_frame(1, bytes.fromhex("03 0000 0001"))
    damaged = bytes([good[0] ^ 4]) + good[1:]
    assert framer.feed(damaged) == [damaged]
    assert framer.feed(good) == []
    assert framer.silence() == []
    assert framer.feed(good) == [good]


_PDUS = st.sampled_from(
    [bytes.fromhex(text) for text in ("030000000a", "06000100ff", "0f0000000a02cd01", "0100000001")]
)


@given(st.lists(_PDUS, max_size=6), st.integers(1, 7), st.booleans())
def test_frames_do_not_depend_on_how_the_bytes_arrive(
    pdus: Sequence[bytes], size: int, rtu: bool
) -> None:
    frames = [rtu_frame(1, pdu) if rtu else mbap_frame(1, pdu, n) for n, pdu in enumerate(pdus)]
    stream = b"".join(frames)
    framer = RtuFramer() if rtu else MbapFramer()
    found = []
    for at in range(0, len(stream), size):
        found += framer.feed(stream[at : at + size])
    assert found == frames


@given(st.lists(st.binary(max_size=300), max_size=20), st.booleans())
def test_no_bytes_whatever_break_a_framer_or_the_device(chunks: Sequence[bytes], rtu: bool) -> None:
    framer = RtuFramer() if rtu else MbapFramer()
    transport = "modbus+rtu" if rtu else "modbus+tcp"
    device = Plain()
    for chunk in chunks:
        for message in framer.feed(chunk):
            device.answer_on(transport, message)
        assert len(framer._pending) <= 600
    if isinstance(framer, RtuFramer):
        framer.silence()


@given(st.binary(min_size=1, max_size=253))
def test_every_request_is_answered_with_its_function_or_an_exception(pdu: bytes) -> None:
    reply = asked(Plain(), pdu)
    assert reply[0] in (pdu[0], pdu[0] | 0x80)
    assert reply[0] == pdu[0] or len(reply) == 2


def test_a_length_that_can_be_none_is_not_waited_for() -> None:
    framer = MbapFramer()
    nonsense = struct.pack(">HHHB", 1, 0, 60_000, 1)
    [message] = framer.feed(nonsense)
    assert Plain().answer(message) == b""
    assert framer.feed(mbap_frame(1, b"\x03\0\0\0\x01", 1)) != []
