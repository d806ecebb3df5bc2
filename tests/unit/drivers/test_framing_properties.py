"""Each framing finds the replies that were sent, wherever the stream of bytes is cut."""

from __future__ import annotations

import string
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._modbus_pdu import read, read_reply, write_registers, write_reply
from drivers.framing import TerminatedReplies
from drivers.framing.base import Framing
from drivers.framing.enclosed import EnclosedReplies
from drivers.framing.modbus import MbapFraming, RtuFraming, mbap_frame, rtu_frame
from drivers.framing.zaber import ZaberReplies, message
from mktl.errors import ProtocolMismatch

CUTS = st.lists(st.integers(1, 30), min_size=1, max_size=20)
WORDS = st.text(string.ascii_letters + string.digits + "+-.,;: ", min_size=1, max_size=20)


def pieces(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut *stream* as *cuts* say, from the start again when they are used up."""
    found = []
    at = turn = 0
    while at < len(stream):
        length = cuts[turn % len(cuts)]
        found.append(stream[at : at + length])
        at, turn = at + length, turn + 1
    return found


def found_in(framing: Framing, stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return all replies in *stream*."""
    found = []
    for piece in pieces(stream, cuts):
        framing.feed(piece)
        while (reply := framing.next_reply()) is not None:
            found.append(reply)
    return found


@given(st.lists(WORDS), st.sampled_from([b"\r\n", b"\n", b"\r", b"END"]), CUTS)
def test_terminated_replies_come_back_whole(
    words: list[str], terminator: bytes, cuts: list[int]
) -> None:
    sent = [word.replace("END", "").encode() for word in words]
    framing = TerminatedReplies(terminator)
    assert found_in(framing, b"".join(one + terminator for one in sent), cuts) == sent
    assert framing.pending == b""


@given(st.lists(st.lists(WORDS.map(str.strip), min_size=1, max_size=4), max_size=4), CUTS)
def test_enclosed_replies_come_back_whole(replies: list[list[str]], cuts: list[int]) -> None:
    stream, expected = b"", []
    for number, lines in enumerate(replies):
        body = [line.encode() for line in lines if line]
        if len(body) == 1 and number % 2:
            stream += body[0] + b"\r\n"
            expected.append(body[0])
        else:
            stream += b"?X $\r\n" + b"".join(line + b"\r\n" for line in body) + b"$\r\n"
            expected.append(b"\n".join([b"?X", *body]))
    assert found_in(EnclosedReplies(), stream, cuts) == expected


@given(st.binary(max_size=2000).map(lambda data: data.replace(b"$", b"")), CUTS)
def test_an_enclosed_reply_without_an_end_takes_no_memory(data: bytes, cuts: list[int]) -> None:
    framing = EnclosedReplies(limit=100)
    framing.feed(b"?X $\n")
    lines = b"".join(data[at : at + 10] + b"\n" for at in range(0, len(data), 10))
    for piece in pieces(lines, cuts):
        try:
            framing.feed(piece)
            framing.next_reply()
        except ProtocolMismatch as error:
            assert "b'?X $" in str(error)
            assert framing.pending == b""
            return
        assert len(framing.pending) <= 100 + len(piece)
    assert len(lines) <= 100


REGISTERS = st.lists(st.integers(0, 65535), min_size=1, max_size=125)


@pytest.mark.parametrize("over_tcp", [True, False])
@given(st.integers(1, 247), REGISTERS, CUTS)
@settings(max_examples=60)
def test_registers_come_back_whole(
    over_tcp: bool, unit: int, registers: list[int], cuts: list[int]
) -> None:
    asked = read("holding", 0, len(registers))
    data = b"".join(number.to_bytes(2, "big") for number in registers)
    reply = bytes((3, len(data))) + data
    framing: Framing
    if over_tcp:
        framing = MbapFraming()
        framing.sent(mbap_frame(7, unit, asked))
        late = mbap_frame(6, unit, b"\x03\x02\x00\x63")  # to what was asked before
        stream = late + mbap_frame(7, unit, reply)
    else:
        framing = RtuFraming()
        framing.sent(rtu_frame(unit, asked))
        stream = rtu_frame(unit % 247 + 1, b"\x03\x02\x00\x63") + rtu_frame(unit, reply)
    (found,) = found_in(framing, stream, cuts)
    assert read_reply("holding", len(registers), found) == registers
    assert framing.pending == b""


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=123), st.integers(0, 65000))
def test_what_was_written_is_confirmed_by_its_address_and_count(
    values: list[int], address: int
) -> None:
    request = write_registers(address, values)
    write_reply(request, request[:5])
    with pytest.raises(ProtocolMismatch, match="should come back"):
        write_reply(request, request[:4] + bytes((request[4] ^ 1,)))


@given(st.integers(1, 99), st.integers(0, 99), WORDS.map(str.strip), CUTS)
def test_a_zaber_reply_is_told_from_those_of_others(
    address: int, number: int, data: str, cuts: list[int]
) -> None:
    framing = ZaberReplies()
    framing.sent(message(address, 0, number, "get pos"))
    data = data.replace(":", "")
    mine = f"@{address:02d} 0 {number:02d} OK IDLE -- {data}"
    others = (
        f"@{address % 99 + 1:02d} 0 {number:02d} OK IDLE -- 1",
        f"@{address:02d} 0 {(number + 1) % 100:02d} OK IDLE -- 2",
    )
    stream = "".join(f"{line}\r\n" for line in (*others, mine, *others)).encode()
    assert found_in(framing, stream, cuts) == [mine.encode()]
