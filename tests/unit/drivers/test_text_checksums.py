"""Check sums of lines of text, against what manuals and standards print."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.framing.checksum import CHECKSUMS, WrongChecksum, checksum_named
from mktl.errors import ConfigurationError

LINES = st.binary(min_size=1, max_size=60)
NAMES = st.sampled_from(sorted(CHECKSUMS))

# The catalogue of parametrised CRC algorithms gives the check value of "123456789": CRC-16/MODBUS
# 4B37, CRC-16/ARC BB3D (polynomial of Vaisala's, in other characters), CRC-16/XMODEM 31C3.
CHECK = b"123456789"


VECTORS = [
    # Pfeiffer Vacuum protocol: the queries for the name and the speed of a pump.
    ("sum8-dec", b"0010034902=?", b"111"),
    ("sum8-dec", b"0010030902=?", b"107"),
    # 49 + 50 + ... + 57 = 477 = 0x1DD.
    ("sum8-hex", CHECK, b"DD"),
    ("sum16-hex", CHECK, b"01DD"),
    ("sum8-hex", b"\xff\x02", b"01"),
    ("lrc-hex", CHECK, b"23"),
    ("lrc-hex", b"\x00", b"00"),
    ("xor8-hex", CHECK, b"31"),
    ("crc16-modbus-hex", CHECK, b"4B37"),
    ("crc16-ccitt-hex", CHECK, b"31C3"),
    # Vaisala WXT520 and WXT530, user's guides: queries with a check sum, and answers.
    ("crc16-vaisala", b"0r1", b"Goe"),
    ("crc16-vaisala", b"0r2", b"Gje"),
    ("crc16-vaisala", b"0r3", b"Kid"),
    ("crc16-vaisala", b"0r", b"BVT"),
    ("crc16-vaisala", b"0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H", b"@Fn"),
    ("crc16-vaisala", b"0r5,Th=25.0C,Vh=10.6#,Vs=10.8V,Vr=3.369V", b"O]T"),
    # NMEA 0183: a sentence found in every text on it, and the error of a WXT530.
    (
        "nmea",
        b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,",
        b"*47",
    ),
    ("nmea", b"$WITXT,01,01,03,Unknown cmd error", b"*1F"),
    # The sum of all but the slash is 0x471, and 0x471 + 0x8F = 0x500.
    ("zaber", b"/01 tools echo", b":8F"),
]


@pytest.mark.parametrize(("name", "line", "due"), VECTORS)
def test_it_is_what_the_manual_prints(name, line, due):
    made = checksum_named(name)
    assert made.of(line) == due
    assert made.added(line) == line + due
    assert made.removed(line + due) == line
    assert made.length == len(due)


def test_every_one_was_compared_with_something():
    assert {name for name, _, _ in VECTORS} == set(CHECKSUMS)


@given(NAMES, LINES)
def test_what_was_added_can_be_removed(name, line):
    made = CHECKSUMS[name]
    whole = made.added(line)
    assert len(whole) == len(line) + made.length
    assert all(0x20 < byte < 0x80 for byte in whole[len(line) :])
    assert made.removed(whole) == line


@given(NAMES, LINES, st.data())
def test_a_changed_byte_is_noticed(name, line, data):
    made = CHECKSUMS[name]
    # The first byte is not in the sum of these: it is always the same.
    first = 1 if name in ("nmea", "zaber") else 0
    assume(len(line) > first)
    whole = bytearray(made.added(line))
    place = data.draw(st.integers(first, len(line) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WrongChecksum, match=name):
        made.removed(bytes(whole))


@given(NAMES, LINES, st.data())
def test_a_cut_line_is_noticed_where_its_end_is_no_check_sum_by_chance(name, line, data):
    made = CHECKSUMS[name]
    cut = made.added(line)[: data.draw(st.integers(0, len(line) + made.length - 1))]
    body = cut[: -made.length]
    assume(not body or made.of(body).upper() != cut[-made.length :].upper())
    with pytest.raises(WrongChecksum):
        made.removed(cut)


def test_hexadecimal_digits_may_be_small_letters_and_other_characters_may_not():
    assert checksum_named("sum8-hex").removed(CHECK + b"dd") == CHECK
    with pytest.raises(WrongChecksum):
        checksum_named("crc16-vaisala").removed(b"0r1goe")


def test_a_wrong_one_is_told_with_the_line_and_with_what_is_right():
    with pytest.raises(WrongChecksum, match=r"of b'0r1Gof' is b'Gof', and should be b'Goe'"):
        checksum_named("crc16-vaisala").removed(b"0r1Gof")
    with pytest.raises(WrongChecksum, match="too short"):
        checksum_named("crc16-vaisala").removed(b"Goe")


@pytest.mark.parametrize("name", ["crc16-vaisla", "", None, 5, ["nmea"]])
def test_a_name_that_nobody_knows_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"unknown check sum .*: "):
        checksum_named(name)
