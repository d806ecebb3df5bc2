"""Twins of text devices that a file describes, without any socket."""

from __future__ import annotations

import tomllib

import pytest

from simulators._described_text import DescribedText
from simulators.bus import Bus
from simulators.device import SimulatorError


def made(settings: str, items: str, unit: int | None = None) -> DescribedText:
    return DescribedText("g", tomllib.loads(settings), tomllib.loads(items), unit=unit)


PRESSURE = '[p]\nask = "P"\nsimulate = 3.5\n'
SETPOINT = '[s]\nask = "S?"\ntell = "S {value:.1f}"\nrange = [0, 10]\nsimulate = 2\n'


def test_a_value_with_enumerators_is_a_whole_number_unless_the_file_says_otherwise() -> None:
    mode = '[m]\nask = "M?"\ntell = "M {value:d}"\nenumerators = {0 = "Off", 1 = "On"}\n'
    heater = made("", mode)
    heater.answer(b"M 1")
    assert heater.answer(b"M?") == b"1\r\n"


def test_items_with_one_question_are_in_one_reply() -> None:
    gauge = made(
        "",
        """
[pressure]
ask = "PR"
reply = "{status:d},{value:g},{:w}"
valid = {status = 0}
simulate = 7.5
[state]
ask = "PR"
reply = "{value:d},{:g},{:w}"
type = "enumerated"
enumerators = {0 = "Good", 2 = "Over"}
[unit]
ask = "PR"
reply = "{:d},{:g},{value:w}"
simulate = "mbar"
""",
    )
    assert gauge.answer(b"PR") == b"0,7.5,mbar\r\n"
    quantities = gauge.quantities()
    assert quantities["invalid.pressure"].write is not None
    quantities["invalid.pressure"].write(1)
    assert not gauge.answer(b"PR").startswith(b"0,")
    quantities["invalid.pressure"].write(0)
    assert gauge.answer(b"PR") == b"0,7.5,mbar\r\n"


def test_a_number_is_written_as_its_field_says() -> None:
    gauge = made(
        "",
        """
[a]
ask = "A"
reply = "{value:6g}|"
simulate = 12.5
[b]
ask = "B"
reply = "{value:4x}"
simulate = 43981
[c]
ask = "C"
reply = "V{value:d}"
scale = 0.1
offset = 5
simulate = 17.5
""",
    )
    assert gauge.answer(b"A") == b"  12.5|\r\n"
    assert gauge.answer(b"B") == b"ABCD\r\n"
    assert gauge.answer(b"C") == b"V125\r\n"


def test_what_is_told_is_said_when_asked_and_what_cannot_be_is_refused() -> None:
    gauge = made('refused = "ERR"', SETPOINT)
    assert gauge.answer(b"S 7.5") == b""
    assert gauge.answer(b"S?") == b"7.5\r\n"
    for bad in (b"S 11", b"S x", b"S", b"T 1", b"\xff\x00", b"S 1e400", b"S nan"):
        assert gauge.answer(bad) == b"ERR\r\n", bad
    assert gauge.answer(b"S?") == b"7.5\r\n"


def test_what_is_told_in_other_words_is_said_in_those_that_are_read() -> None:
    meter = made(
        "",
        """
[lock]
ask = "ST"
reply = "ST {value:1s}"
values = {U = false, L = true}
tell = "KL={value:d}"
tell_values = {0 = false, 1 = true}
[mode]
ask = "MO"
reply = "{value:d}"
tell = "MO={value}"
tell_values = {A = 1, H = 0}
""",
    )
    assert meter.answer(b"ST") == b"ST U\r\n"
    meter.answer(b"KL=1")
    assert meter.answer(b"ST") == b"ST L\r\n"
    meter.answer(b"KL=2")
    meter.answer(b"KL=L")
    assert meter.answer(b"ST") == b"ST L\r\n"
    meter.answer(b"KL=0")
    meter.answer(b"MO=A")
    assert (meter.answer(b"ST"), meter.answer(b"MO")) == (b"ST U\r\n", b"1\r\n")


def test_a_device_says_as_the_file_says_that_there_is_no_reading() -> None:
    sump = 'ask = "TS"\nreply = "TS {value:g}K"\nsimulate = 4.5\n'
    none = 'no_reading = "TS OPEN|TS OFF"\n'
    meter = made("", f"[a]\n{sump}{none}[b]\n{sump}{none}[c]\nask = 'C'\n{none}")
    assert meter.answer(b"TS") == b"TS 4.5K\r\n"
    invalid = meter.quantities()["invalid.a"]
    assert invalid.write is not None
    invalid.write(1)
    assert meter.answer(b"TS") == b"TS OPEN\r\n"
    invalid.write(0)
    assert meter.answer(b"TS") == b"TS 4.5K\r\n"
    assert "invalid.c" in meter.quantities()

    # Another item that reads the line would not understand that.
    meter = made("", f"[a]\n{sump}{none}[b]\n{sump}")
    invalid = meter.quantities()["invalid.a"]
    assert invalid.write is not None
    invalid.write(1)
    assert meter.answer(b"TS") == b"TS ----K\r\n"


def test_errors_are_asked_for_where_the_file_says_so() -> None:
    settings = r"""error_query = {ask = "ERR?", ok = '\+?0,.*'}"""
    gauge = made(settings, SETPOINT)
    assert gauge.answer(b"ERR?") == b"0,\r\n"
    assert gauge.answer(b"S 11") == b""
    [error] = gauge.answer(b"ERR?").splitlines()
    assert not error.startswith((b"0,", b"+0,"))
    assert gauge.answer(b"ERR?") == b"0,\r\n"
    gauge.answer(b"S 11")
    gauge.power_off()
    gauge.power_on()
    assert gauge.answer(b"ERR?") == b"0,\r\n"


def test_an_item_that_follows_another_one_does() -> None:
    gauge = made("", SETPOINT + '[t]\nask = "T?"\ntracks = {item = "s"}\n')
    gauge.answer(b"S 4.5")
    assert gauge.answer(b"T?") == b"4.5\r\n"
    write = gauge.quantities()["t"].write
    assert write is not None
    write(3)
    assert gauge.answer(b"T?") == b"3.0\r\n"
    assert gauge.answer(b"S?") == b"4.5\r\n"


def test_data_are_fetched_after_an_acknowledgement() -> None:
    settings = r'handshake = {ack = "\u0006", nak = "\u0015", enquiry = "\u0005"}'
    gauge = made(settings, PRESSURE)
    framer = gauge.framer()
    [first, enquiry] = framer.feed(b"P\r\n\x05")
    assert gauge.answer(first) == b"\x06\r\n"
    assert gauge.answer(enquiry) == b"3.5\r\n"
    assert gauge.answer(enquiry) == b""
    assert gauge.answer(b"X") == b"\x15\r\n"
    assert gauge.abilities == {"nak"}
    assert gauge.refusal("serial", b"P", "nak", {}) == b"\x15\r\n"


def test_an_acknowledgement_may_come_without_a_terminator() -> None:
    gauge = made(
        r'handshake = {ack = "\u0006", nak = "\u0015", bare = true}',
        SETPOINT,
    )
    assert gauge.answer(b"S 3") == b"\x06"
    assert gauge.answer(b"S 30") == b"\x15"
    assert gauge.answer(b"S?") == b"3.0\r\n"


def test_a_message_has_its_begin_its_sum_and_its_end() -> None:
    gauge = made(
        r'prefix = "\u0002"' + "\n" + r'terminator = "\u0003"' + '\nchecksum = "xor8-hex"\n',
        PRESSURE,
    )
    [message] = gauge.framer().feed(b"\x02P50\x03")
    assert gauge.answer(message) == b"\x023.528\x03"
    for bad in (b"P50", b"\x02P51", b"\x02P", b"\x02"):
        assert gauge.answer(bad) == b""


def test_each_line_of_a_reply_has_a_sum_of_its_own() -> None:
    settings = 'terminator = "\\r"\nchecksum = {name = "sum8-hex", on = "received"}\n'
    gauge = made(settings, '[p]\nask = "P"\nreply = "A\\r{value:d}"\nsimulate = 7\n')
    assert gauge.answer(b"P") == b"A41\r737\r"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        # From what their makers or standards have published, but the plain sums.
        ("sum8-hex", b"AB83"),
        ("sum8-dec", b"0010034902=?111"),  # Pfeiffer Vacuum protocol
        ("sum16-hex", b"AB0083"),
        ("xor8-hex", b"AB03"),
        ("lrc-hex", b"AB7D"),
        ("crc16-modbus-hex", b"1234567894B37"),
        ("crc16-ccitt-hex", b"12345678931C3"),
        ("nmea", b"$GPGLL,5300.97914,N,00259.98174,E,125926,A*28"),
        ("crc16-vaisala", b"0r1Goe"),  # WXT530 manual
        ("crc16-vaisala", b"0r5,Th=25.0C,Vh=10.6#,Vs=10.8V,Vr=3.369VO]T"),
        ("zaber", b"/1 tools echo:BF"),  # the sum between / and :, and this, are 0
    ],
)
def test_check_sums_are_those_of_their_makers(name: str, line: bytes) -> None:
    from simulators._described_checksum import CHECKSUMS

    length = len(CHECKSUMS[name](b"x"))
    assert CHECKSUMS[name](line[:-length]) == line[-length:]


def test_what_is_sent_comes_back_where_the_device_echoes() -> None:
    gauge = made("echo = true", PRESSURE)
    assert gauge.answer(b"P") == b"P\r\n3.5\r\n"


def test_a_line_that_comes_by_itself_is_told_every_second_and_on_a_change() -> None:
    gauge = made("", '[w]\nheard = "W {value:d}"\nsimulate = 3\n')
    gauge.step(0.5)
    assert gauge.take_unasked() == []
    gauge.step(0.5)
    assert gauge.take_unasked() == [b"W 3\r\n"]
    write = gauge.quantities()["w"].write
    assert write is not None
    write(4)
    assert gauge.take_unasked() == [b"W 4\r\n"]
    gauge.step(3600)
    assert gauge.take_unasked() == [b"W 4\r\n"]


def test_no_silence_is_so_long_that_it_would_be_noticed() -> None:
    gauge = made("", '[w]\nheard = "W {value:d}"\nsilence_s = 0.6\n')
    gauge.step(0.25)
    assert len(gauge.take_unasked()) == 1


def test_on_a_shared_line_only_the_unit_that_is_meant_speaks() -> None:
    item = '[p]\nask = "{unit:02d}P"\ntell = "{unit:02d}P{value:d}"\nack = "OK{unit}"\n'
    settings = 'refused = "NO{unit}"'
    heard = '[w]\nheard = "W{unit} {value:d}"\n'
    line = Bus({3: made(settings, item + heard, 3), 4: made(settings, item + heard, 4)})
    assert line.answer(b"03P5") == b"OK3\r\n"
    assert line.answer(b"04P6") == b"OK4\r\n"
    assert line.answer(b"03P") == b"5.0\r\n"
    assert line.answer(b"04X") == b"NO4\r\n"
    assert line.answer(b"05P") == b""
    assert line.refusal("tcp", b"03P", "nak", {}) == b"NO3\r\n"
    line.step(1)
    assert line.take_unasked() == [b"W3 1\r\n", b"W4 1\r\n"]
    line.afflict("dead-unit", {"unit": 3})
    line.step(1)
    assert line.take_unasked() == [b"W4 1\r\n"]
    line.relieve()
    assert line.take_unasked() == []


def test_it_begins_with_what_is_plausible() -> None:
    gauge = made(
        "",
        """
[a]
ask = "A"
range = [20, 40]
[b]
ask = "B"
limits = {warning = [1, 3]}
[c]
ask = "C"
type = "boolean"
values = {OFF = false, ON = true}
[d]
ask = "D"
type = "enumerated"
enumerators = {1 = "One", 2 = "Two"}
values = {I = "One", II = "Two"}
simulate = "Two"
[e]
ask = "E"
type = "string"
""",
    )
    answers = {key: gauge.answer(key.upper().encode()).decode().strip() for key in "abcde"}
    assert answers == {"a": "30.0", "b": "2.0", "c": "OFF", "d": "II", "e": "simulated"}


@pytest.mark.parametrize(
    ("settings", "items", "says"),
    [
        ('checksum = "sum8"', PRESSURE, "controllers.g.checksum: no checksum named 'sum8'"),
        ('reply_terminator = ""', PRESSURE, "a reply needs a terminator"),
        ('encoding = "klingon"', PRESSURE, "cannot be sent"),
        ("min_gap_s = -1", PRESSURE, "controllers.g.min_gap_s: must be a number of seconds"),
        ("start = [3]", PRESSURE, "controllers.g.start: must be a list of texts and tables"),
        (r'identify = {ask = "I", reply = "(?=x)y"}', PRESSURE, "write it simpler"),
        ("", '[p]\nask = "{unit}P"\n', "items.p.ask: {unit} needs a url with unit=N"),
        ("", '[p]\nask = "P"\nfield = "x"\n', "items.p: there is no field {x}"),
        ("", '[p]\nask = "P"\nvalid = {x = 1}\n', "items.p.valid: there is no field {x}"),
        ("", '[p]\nask = "P"\nvalues = {A = 1}\nsimulate = 2\n', "items.p.simulate: 2: it is one"),
        (
            "",
            '[p]\nask = "P"\nreply = "A{value:d}"\n[q]\nask = "P"\nreply = "B{value:d}"\n',
            "the reply to 'P': items p, q cannot be read from one line",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(settings: str, items: str, says: str) -> None:
    with pytest.raises(SimulatorError) as refused:
        made(settings, items)
    assert says in str(refused.value)


def test_time_goes_forward_only() -> None:
    with pytest.raises(ValueError, match="forward"):
        made("", PRESSURE).step(-1)
