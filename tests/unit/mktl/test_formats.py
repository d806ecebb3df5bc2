"""Values and their text: numbers, sexagesimal, arrays, names."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mktl import formats
from mktl.errors import BadValue, UnknownKey
from mktl.formats import Names, NumberFormat, SexagesimalFormat

NUMBERS = st.floats(min_value=-1e9, max_value=1e9)
FLAGS = st.sampled_from(["", "+", "0", "-", " ", "+0", "#"])
WIDTHS = st.sampled_from(["", "8", "20"])
AFFIXES = st.sampled_from(["", "T = ", "%%", " dB", "5"])


@given(
    value=NUMBERS,
    places=st.integers(0, 9),
    flags=FLAGS,
    width=WIDTHS,
    suffix=st.sampled_from(["", " dB", "%%"]),
)
def test_a_fixed_format_round_trips_within_its_precision(value, places, flags, width, suffix):
    form = formats.parse_format(f"%{flags}{width}.{places}f{suffix}")
    assert form.from_text(form.to_text(value)) == pytest.approx(value, rel=1e-15, abs=10**-places)


@given(value=st.floats(allow_nan=False, allow_infinity=False), letter=st.sampled_from("eEgG"))
def test_an_exponent_format_round_trips_within_its_precision(value, letter):
    form = formats.parse_format(f"%.8{letter}")
    text = form.to_text(value)
    if math.isfinite(float(text)):  # the largest floats round up to infinity
        assert form.from_text(text) == pytest.approx(value, rel=1e-7, abs=0)


@given(value=st.integers(-(2**70), 2**70), letter=st.sampled_from("diuxXo"), flags=FLAGS)
def test_an_integer_format_round_trips_exactly(value, letter, flags):
    form = formats.parse_format(f"%{flags}{letter}")
    assert form.from_text(form.to_text(value)) == value


@given(
    value=st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
)
def test_without_a_format_a_number_round_trips_exactly(value):
    text = formats.number_to_text(value, None)
    assert repr(formats.parse_number(text)) == repr(value)
    assert formats.parse_format("%s").to_text(value) == text


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("%d", 2.7, "3"),
        ("%d", -2.7, "-3"),
        ("%5.1f K", 77.35, " 77.3 K"),
        ("%.0f%%", 12, "12%"),
        ("%04x", 255, "00ff"),
        ("%ld", 7, "7"),
        ("%.2lf", 7, "7.00"),
        ("%.3f", math.inf, "inf"),
        ("%d", math.nan, "nan"),
        ("t: %.1f", 1, "t: 1.0"),
    ],
)
def test_numbers_print_as_c_would_print_them(form, value, text):
    assert formats.number_to_text(value, formats.parse_format(form)) == text


@pytest.mark.parametrize(
    "form",
    [
        "",
        "K",
        "%",
        "%q",
        "%d %d",
        "%*d",
        "%999d",
        "%.999f",
        "%c",
        "%(a)d",
        "%d:%s",
        "%d:%d:%d:%d",
        "%.1f:%02d",
        "%'d",
        "%H:%M:%S",
    ],
)
def test_a_format_that_cannot_print_a_number_is_refused(form):
    with pytest.raises(BadValue, match="must"):
        formats.parse_format(form)


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "1,5", "1_000", "٣", "nan", "inf", "1e999", "0x10", "--1", "1 2", "9" * 5000],
)
def test_what_is_not_a_finite_decimal_number_is_refused(text):
    with pytest.raises(BadValue, match="must be a"):
        formats.parse_number(text)


@pytest.mark.parametrize("text", ["", "0x", "g", "1.5", "1_0", "f" * 400])
def test_what_is_not_a_hexadecimal_number_is_refused(text):
    with pytest.raises(BadValue, match="hexadecimal"):
        formats.parse_format("%x").from_text(text)


def test_a_value_that_is_no_number_prints_as_json_and_null_never_as_zero():
    assert formats.number_to_text(None, NumberFormat("%d")) == "null"
    assert formats.number_to_text({"a": 1}, NumberFormat("%d")) == '{"a":1}'
    assert formats.number_to_text(True, NumberFormat("%d")) == "true"
    assert formats.number_to_text(10**400, NumberFormat("%f")) == hex(10**400)


# Sexagesimal


def sexagesimal(places, fields=3):
    last = f"%0{places + 3}.{places}f" if places else "%02d"
    return formats.parse_format(":".join(["%d", "%02d", last] if fields == 3 else ["%d", last]))


@given(
    whole=st.integers(0, 400),
    minutes=st.integers(0, 59),
    seconds=st.integers(0, 60),
    nudge=st.floats(-1e-3, 1e-3),
    places=st.integers(0, 6),
    fields=st.sampled_from([2, 3]),
    sign=st.sampled_from([1, -1]),
)
@example(whole=1, minutes=59, seconds=60, nudge=-1e-9, places=2, fields=3, sign=1)
@example(whole=0, minutes=30, seconds=0, nudge=0.0, places=0, fields=3, sign=-1)
def test_sexagesimal_never_prints_sixty_and_round_trips(
    whole, minutes, seconds, nudge, places, fields, sign
):
    form = sexagesimal(places, fields)
    value = sign * (whole + minutes / 60 + (seconds + nudge) / 3600)
    text = form.to_text(value)
    match = re.fullmatch(r"(-?)\d+((?::\d\d)+)(\.\d+)?", text)
    assert match, text
    assert all(int(part) < 60 for part in match[2].split(":")[1:])
    unit = 60 ** -(fields - 1) * 10.0**-places
    assert form.from_text(text) == pytest.approx(value, abs=0.50001 * unit + 1e-12)
    assert form.to_text(form.from_text(text)) == text


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("%02d:%02d:%05.2f", 12.5825, "12:34:57.00"),
        ("%02d:%02d:%05.2f", 1 - 1e-9, "01:00:00.00"),
        ("%02d:%02d:%04.1f", 59 / 60 + 59.96 / 3600, "01:00:00.0"),
        ("%+03d:%02d:%04.1f", -0.5, "-00:30:00.0"),
        ("%+03d:%02d:%04.1f", 5, "+05:00:00.0"),
        ("%d:%02d", -0.5, "-0:30"),
        ("%d:%02d", 0.9999, "1:00"),
        ("%d:%02d:%02d", -1e-9, "0:00:00"),
        ("% d:%02d", 1, " 1:00"),
        ("%4d:%02d", -1, "  -1:00"),
        ("%-4d:%02d", 1, "1   :00"),
        ("%d:%05.2f", 1.255, "1:15.30"),
    ],
)
def test_sexagesimal_carries_and_keeps_its_sign(form, value, text):
    assert formats.parse_format(form).to_text(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:34:56.7", 12 + 34 / 60 + 56.7 / 3600),
        ("-0:30", -0.5),
        ("-0:30:00", -0.5),
        ("+12 34 56", 12 + 34 / 60 + 56 / 3600),
        ("12.5", 12.5),
        ("-12", -12),
        ("12h34m56s", 12 + 34 / 60 + 56 / 3600),
        ("12h 34m", 12 + 34 / 60),
        ("12d34m56s", 12 + 34 / 60 + 56 / 3600),
        ("12°34\N{PRIME}56\N{DOUBLE PRIME}", 12 + 34 / 60 + 56 / 3600),
        ("12°34'56\"", 12 + 34 / 60 + 56 / 3600),
        ("\N{MINUS SIGN}1:30", -1.5),
        ("1:30.5", 1 + 30.5 / 60),
    ],
)
def test_sexagesimal_is_read_in_the_usual_notations(text, value):
    assert formats.parse_format("%02d:%02d:%05.2f").from_text(text) == pytest.approx(
        value, rel=1e-15
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "12:",
        "12::3",
        "1:60",
        "1:00:60",
        "1:2:3:4",
        "1:2.5:3",
        "abc",
        "1:-2",
        "nan",
        "1:2x",
        "1" * 100,
        "1:" + " " * 1000 + "x",
    ],
)
def test_wrong_sexagesimal_text_is_refused_with_the_form_expected(text):
    with pytest.raises(BadValue, match=r"like 12:34:56\.78|below 60"):
        formats.parse_format("%02d:%02d:%05.2f").from_text(text)


def test_degrees_are_not_taken_for_hours():
    form = formats.parse_format("%02d:%02d:%02d")
    assert form.from_text("12h30m", "hour") == 12.5
    with pytest.raises(BadValue, match="in hours"):
        form.from_text("12d30m", "hour")
    with pytest.raises(BadValue, match="in degrees"):
        form.from_text("12h30m", "degree")


def test_a_single_conversion_with_a_colon_beside_it_is_not_sexagesimal():
    assert SexagesimalFormat.parse("T: %.1f") is None
    assert formats.parse_format("T: %.1f").from_text("T: 3.5") == 3.5


# Arrays

NESTED = st.recursive(
    st.integers(-1000, 1000), lambda inner: st.lists(inner, max_size=4), max_leaves=12
)


@given(value=st.lists(NESTED, max_size=5))
def test_an_array_round_trips(value):
    assert (
        formats.array_from_text(formats.array_to_text(value, None), formats.parse_number) == value
    )


@given(value=st.lists(NUMBERS, max_size=5))
def test_an_array_with_a_format_round_trips_within_its_precision(value):
    form = formats.parse_format("%8.3f dB")
    text = formats.array_to_text(value, form)
    assert formats.array_from_text(text, form.from_text) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("text", ["1, 2, 3", "1 2 3", "[1 2 3]", " [1,2 , 3] ", "1\t2\n3"])
def test_an_array_is_read_with_commas_or_spaces(text):
    assert formats.array_from_text(text, formats.parse_number) == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "[1",
        "1]",
        "[1]]",
        "[1][2]",
        "[1] 2",
        "2 [1]",
        "1,,2",
        "1, x",
        "[1,,[2]]",
        "[,1]",
        "[,]",
        "[[1],,[2]]",
        "[" * 99 + "]" * 99,
    ],
)
def test_wrong_array_text_is_refused(text):
    with pytest.raises(BadValue):
        formats.array_from_text(text, formats.parse_number)


# Names

FLAGS_OF = Names({0: "Timeout", 1: "Error", 5: "Over, range"}, "OK")


@given(value=st.integers(0, 2**40))
def test_a_mask_round_trips_with_its_unnamed_bits(value):
    assert (
        formats.mask_from_text(formats.mask_to_text(value & ~32, FLAGS_OF), FLAGS_OF) == value & ~32
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0, "OK"), (3, "Timeout, Error"), (5, "Timeout, bit 2"), (-1, "-0x1")]
)
def test_a_mask_prints_the_names_of_its_bits(value, text):
    assert formats.mask_to_text(value, FLAGS_OF) == text


def test_a_mask_without_a_name_for_zero_prints_a_number():
    assert formats.mask_to_text(0, Names({0: "A"})) == "0"
    assert formats.mask_from_text("0", Names({0: "A"})) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [("error,TIMEOUT", 3), ("ok", 0), ("3", 3), ("over, range", 32), ("Bit 7", 128)],
)
def test_mask_text_is_read_without_regard_to_case(text, value):
    assert formats.mask_from_text(text, FLAGS_OF) == value


def test_an_unknown_name_lists_all_and_suggests_the_nearest():
    with pytest.raises(UnknownKey) as caught:
        formats.mask_from_text("Eror", FLAGS_OF)
    assert str(caught.value) == (
        "must be any of OK, Timeout (0), Error (1), Over, range (5), not 'Eror'; "
        "did you mean 'Error'?"
    )


def test_zero_and_something_else_is_refused():
    with pytest.raises(BadValue, match="cannot be 'OK' and something else"):
        formats.mask_from_text("OK, Error", FLAGS_OF)


def test_a_text_that_two_values_share_is_refused():
    with pytest.raises(BadValue, match="3, 4"):
        Names({3: "Reserved", 4: "reserved"}).find("RESERVED")


def test_anything_prints_as_json():
    assert formats.json_text("as it is") == "as it is"
    assert formats.json_text({"a": [1, None]}) == '{"a":[1,null]}'
    assert formats.json_text({1, 2}) == "{1, 2}"
    assert formats.bulk_to_text(b"abc") == "uint8[3]"
