"""What a Davis console says, cut anywhere and damaged: the framing alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.framing.davis import Damage, DavisReplies
from mktl.errors import ProtocolMismatch
from tests.unit.drivers.davis_fakes import crc, packet

TIME = bytes((5, 4, 3, 2, 1, 126))


def replies_to(message: bytes, *pieces: bytes, damage: Damage | None = None) -> list[bytes]:
    """Return all that is found in *pieces*, which come after *message* was sent."""
    framing = DavisReplies(damage)
    framing.sent(message)
    found = []
    for piece in pieces:
        framing.feed(piece)
        while (reply := framing.next_reply()) is not None:
            found.append(reply)
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@pytest.mark.parametrize(
    ("message", "came", "reply"),
    [
        (b"TEST\n", b"\n\rTEST\n\r", b"TEST"),
        (b"NVER\n", b"\n\rOK\n\r1.90\n\r", b"OK\n1.90"),
        (b"WRD\x12\x4d\n", b"\x06\x10", b"\x06\x10"),
        (b"WRD\x12\x4d\n", b"\x06\x21", b"\x06\x21"),
        (b"GETTIME\n", b"\x06" + TIME + crc(TIME), b"\x06" + TIME),
        (b"EEBRD 0F 02\n", b"\x06\x10\x20" + crc(b"\x10\x20"), b"\x06\x10\x20"),
        (b"SETTIME\n", b"\x06", b"\x06"),
        (TIME + crc(TIME), b"\x18", b"\x18"),
        (b"NVER\n", b"\x21", b"\x21"),
        (b"EEBRD 2B 01\n", b"\x15", b"\x15"),
    ],
)
@given(places=st.lists(st.integers(0, 200), max_size=4))
def test_an_answer_is_found_wherever_it_is_cut(message, came, reply, places):
    assert replies_to(message, *cut(came, places)) == [reply]


@pytest.mark.parametrize(
    ("message", "came", "words"),
    [
        (b"GETTIME\n", b"\x06" + TIME + b"\x00\x00", "damaged"),
        (b"GETTIME\n", TIME + crc(TIME), "no ACK"),
        (b"TEST\n", b"TEST\n\r", "no text"),
        (b"TEST\n", b"\n\n\rTEST\n\r", "no text"),
        (b"SETTIME\n", b"\x07", "no ACK"),
    ],
)
def test_what_cannot_be_the_answer_is_none(message, came, words):
    with pytest.raises(ProtocolMismatch, match=words):
        replies_to(message, came)


def test_what_nobody_asked_for_is_given_back_as_it_is():
    assert replies_to(b"SETTIME\n", b"\x06", b"\x06\x06") == [b"\x06", b"\x06\x06"]


def test_an_answer_that_does_not_end_is_none():
    framing = DavisReplies()
    framing.sent(b"VER\n")
    with pytest.raises(ProtocolMismatch, match="more than 4096 bytes"):
        framing.feed(b"\n\r" + b"x" * 5000)
    assert framing.pending == b""


@given(places=st.lists(st.integers(0, 1000), max_size=9))
def test_packets_are_found_wherever_the_stream_is_cut(places):
    sent = [packet(rain_year=n) for n in range(4)]
    damage = Damage()
    came = replies_to(b"LOOP 4\n", *cut(b"\x06" + b"".join(sent), places), damage=damage)
    assert came == [b"\x06", *sent]
    assert damage.count == 0


def damaged(data: bytes, how: str, place: int, by: int) -> bytes:
    if how == "changed":
        return data[:place] + bytes([data[place] ^ by]) + data[place + 1 :]
    if how == "lost":
        return data[:place] + data[place + 1 :]
    if how == "doubled":
        return data[:place] + data[place : place + 1] + data[place:]
    if how == "cut off":
        return data[:place]
    return data[:place] + b"LOO" * by + data[place:]


@given(
    how=st.sampled_from(["changed", "lost", "doubled", "cut off", "more heads"]),
    place=st.integers(0, 98),
    by=st.integers(1, 255),
    places=st.lists(st.integers(0, 2000), max_size=5),
)
def test_of_a_damaged_packet_nothing_comes_and_the_next_one_is_found(how, place, by, places):
    good = [packet(rain_year=n) for n in range(3)]
    damage = Damage()
    wrong = damaged(packet(rain_year=1000), how, place, by)
    stream = b"\x06" + good[0] + wrong + good[1] + good[2]
    came = replies_to(b"LOOP 9\n", *cut(stream, places), damage=damage)
    # What was put in between two packets, or doubled at their border, leaves both whole.
    assert [one for one in came if one != packet(rain_year=1000)] == [b"\x06", *good]
    if how == "changed":
        assert damage.count >= 1


@pytest.mark.parametrize("changes", [{"type": 1}, {"type": 255}])
def test_packets_of_another_type_are_none(changes):
    assert replies_to(b"LOOP 9\n", b"\x06", packet(**changes)) == [b"\x06"]


def test_what_has_the_right_check_sum_and_the_wrong_end_is_no_packet():
    body = packet()[:95] + b"\r\n"
    assert replies_to(b"LOOP 9\n", b"\x06", body + crc(body)) == [b"\x06"]


def test_noise_is_never_a_packet_and_takes_no_memory():
    noise = random.Random(1)
    framing = DavisReplies()
    framing.sent(b"LOOP 9\n")
    framing.feed(b"\x06")
    assert framing.next_reply() == b"\x06"
    for _n in range(200):
        framing.feed(noise.randbytes(1000))
        assert framing.next_reply() is None
        assert len(framing.pending) < 2000
    framing.feed(packet())
    framing.feed(packet())
    assert framing.next_reply() == packet()
