"""Patterns and templates of the text driver: there and back, and never a number out of garbage."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.framing.parts import with_unit
from drivers.framing.patterns import NoMatch, NoNumber, Pattern
from drivers.framing.templates import Template
from mktl.errors import BadValue, ConfigurationError

# --- there and back -------------------------------------------------------------------------------

WORDS = st.text("abcXYZ019_.#", min_size=1, max_size=8)
SENTENCES = st.text("ab 1,:", max_size=12)
FINITE = st.floats(-1e30, 1e30, allow_nan=False, allow_subnormal=False)
FIELDS = st.one_of(
    st.tuples(st.just(("d", "d")), st.integers(-(10**12), 10**12)),
    st.tuples(st.just(("5d", "05d")), st.integers(-9999, 99999)),
    st.tuples(st.just(("x", "X")), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(("4x", "04x")), st.integers(0, 2**16 - 1)),
    st.tuples(st.just(("g", "")), FINITE),
    st.tuples(st.just(("f", "+.3f")), st.integers(-(10**6), 10**6).map(lambda n: n / 1000)),
    st.tuples(st.just(("9f", "9.2f")), st.integers(-99999, 99999).map(lambda n: n / 100)),
    st.tuples(st.just(("e", ".4E")), st.integers(-99999, 99999).map(lambda n: n * 1e-9)),
    st.tuples(st.just(("s", "s")), SENTENCES),
    st.tuples(st.just(("w", "")), WORDS),
)
# What stands between two fields is in none of them, so that where they end is plain.
BETWEEN = st.sampled_from([";", " ; ", "|K|", ";{{}};", "/unit="])
LINES = st.tuples(
    st.sampled_from(["", "T=", "<{{", "CH1:"]),
    st.lists(st.tuples(FIELDS, BETWEEN), min_size=1, max_size=5),
    st.sampled_from(["", " K", "}}>", "%"]),
)


@given(LINES)
def test_what_is_written_with_a_template_is_read_with_its_pattern(line):
    head, fields, tail = line
    values = {f"f{n}": value for n, ((_, value), _) in enumerate(fields)}

    def joined(which: int) -> str:
        shown = [f"{{f{n}:{kind[which]}}}{behind}" for n, ((kind, _), behind) in enumerate(fields)]
        return head + "".join(shown) + tail

    text, texts = Template(joined(1)).render(values)
    found = Pattern(joined(0)).match(text)
    assert list(found) == list(values)
    for name, value in values.items():
        if isinstance(value, float):
            assert math.isclose(found[name], value, rel_tol=1e-12, abs_tol=1e-15)
        else:
            assert found[name] == value
            assert type(found[name]) is type(value)
        assert texts[name].strip() in text


@given(st.integers(0, 255), st.sampled_from(["", ":d", ":03d", ":02X", ":c"]))
def test_the_unit_is_a_literal_in_all_that_is_sent_and_comes(unit, spec):
    text = f"@{{unit{spec}}} T {{value:d}}"
    shown = f"@{unit:{spec[1:]}} T "
    assert Template(text, unit=unit).render({"value": 5})[0] == f"{shown}5"
    assert Pattern(text, unit=unit).match(f"{shown}7") == {"value": 7}
    assert with_unit(f"@{{unit{spec}}} T", unit) == shown.strip(" ") or shown.endswith(" ")
    assert re.fullmatch(with_unit(f"{{unit{spec}}}.*", unit, escaped=True), shown[1:])


# --- never a number out of garbage ----------------------------------------------------------------

NOISE = st.text("0123456789+-.,;eE #NAIFOLx_\t\r\n", max_size=14)
STRICT = re.compile(r"[ \t]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[ \t]*", re.ASCII)
WHOLE = re.compile(r"[ \t]*([+-]?\d+)[ \t]*", re.ASCII)


def plainly(text: str, shape: re.Pattern[str]) -> float | None:
    found = shape.fullmatch(text)
    number = float(found[1]) if found else math.nan
    return number if abs(number) < 9.9e37 else None


@given(NOISE)
@example("1e99999")
@example("9.91E37")
@example("٣")
@example("1_0")
@example("0x10")
@example("1,5")
def test_a_number_is_what_anybody_would_read(text):
    try:
        found = Pattern("{value:g}").match(text)["value"]
    except NoMatch:
        found = None
    assert plainly(text, STRICT) == (None if isinstance(found, NoNumber) else found)


@given(st.lists(NOISE, min_size=1, max_size=3), st.sampled_from([";", ", "]))
def test_several_numbers_are_those_between_the_literals_or_none_at_all(pieces, between):
    text = between.join(pieces)
    try:
        found = Pattern("{a:d}" + between + "{b:g}").match(text)
    except NoMatch:
        return
    halves = text.split(between)
    if between == ", " and len(halves) > 2:
        halves = [halves[0], between.join(halves[1:])]
    first, second = halves
    if not isinstance(found["a"], NoNumber):
        assert plainly(first, WHOLE) == found["a"]
    if not isinstance(found["b"], NoNumber):
        assert plainly(second, STRICT) == found["b"]


@given(NOISE, st.text("KmbarV#%", max_size=4))
@example("1.2.", "")
@example("12.5E", "")
@example("1 234.5", "m")
@example("1.5e-", "V")
@example("0\t-", "")
@example("0 -5", "")
@example("10 - 20", "V")
@example("1.5 E-3", "V")
@example("12.5 E", "")
def test_a_number_with_text_behind_it_is_the_whole_number(noise, unit):
    text = noise + unit
    for pattern in ("{value:g}{rest:s}", "{value:d}{rest:s}", "{value:g}{rest:w}"):
        try:
            found = Pattern(pattern).match(text)
        except NoMatch:
            continue
        if isinstance(found["value"], NoNumber):
            continue
        rest = found["rest"]
        assert isinstance(rest, str)
        number = text.rstrip()[: len(text.rstrip()) - len(rest.rstrip())]
        assert plainly(number, STRICT) == found["value"]
        # Behind a blank, a sign or an E without a digit begins something else.
        behind = r"[0-9.,]|[+-][ \t]*[0-9.,]|[eE][+-]?[0-9]"
        at_once = r"[0-9.,+-]|[eE]([0-9+-]|$)"
        assert not re.match(behind if number != number.rstrip() else at_once, rest)


@pytest.mark.parametrize("text", ["0 -5", "0 +5", "0\t-.5", "10 - 20", "1 234", "1.5 E-3", "2 e5"])
def test_a_number_that_may_go_on_behind_a_blank_is_none(text):
    with pytest.raises(NoMatch):
        Pattern("{value:g}{rest:s}").match(text)


def test_a_sign_or_an_e_behind_a_blank_may_be_a_text_of_its_own():
    pattern = Pattern("{value:g}{rest:s}")
    for text, value, rest in (("12.5 E", 12.5, "E"), ("0 -", 0, "-"), ("3 Ende", 3, "Ende")):
        assert pattern.match(text) == {"value": value, "rest": rest}
    assert Pattern("{value:g} {rest:s}").match("0 -5") == {"value": 0, "rest": "-5"}


@given(NOISE)
@example("1.52.5")
@example("12")
@example("----+1.5")
def test_two_numbers_side_by_side_are_told_by_a_sign_or_a_blank_only(text):
    try:
        found = Pattern("{a:g}{b:g}").match(text)
    except NoMatch:
        return
    if any(isinstance(one, NoNumber) for one in found.values()):
        return
    cuts = [n for n in range(1, len(text)) if text[n] in "+- \t"]
    assert (found["a"], found["b"]) in [
        (plainly(text[:n], STRICT), plainly(text[n:], STRICT)) for n in cuts
    ]


@given(NOISE, st.integers(1, 8))
def test_a_width_is_kept_to_the_character(text, width):
    pattern = Pattern(f"{{value:{width}g}};{{rest:s}}")
    try:
        found = pattern.match(text)
    except NoMatch:
        return
    assert text[width] == ";"
    if not isinstance(found["value"], NoNumber):
        assert plainly(text[:width], STRICT) == found["value"]


@pytest.mark.parametrize(
    "text",
    ["----", "#####", "***", "OL", "ol", "+NAN", "-INF", "Infinity", "?", "9.9E37", "-9.91e+37"],
)
def test_what_stands_for_no_number_is_known(text):
    assert Pattern("{value:g}").match(f" {text} ") == {"value": NoNumber(text)}


def test_a_file_may_name_more_that_stands_for_no_number():
    pattern = Pattern("{a:d},{b:5g}", no_value=re.compile("OVER|OVERFLOW|9999|8[+]|"))
    assert pattern.match("OVERFLOW,     ") == {"a": NoNumber("OVERFLOW"), "b": NoNumber("")}
    assert pattern.match("9999,99990") == {"a": NoNumber("9999"), "b": 99990.0}
    assert pattern.match("8+,    0") == {"a": NoNumber("8+"), "b": 0.0}
    assert pattern.match("8,    0") == {"a": 8, "b": 0.0}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("{value:d}", "1.5"),
        ("{value:d}", "1E3"),
        ("{value:d}", "99999999999999999999"),
        ("{value:x}", "-1F"),
        ("{value:x}", "1FG"),
        ("{value:x}", "1" * 17),
        ("{value:g}", ""),
        ("{value:g}", "1.5\r\n"),
        ("{value:g}", "1" * 400 + "x"),
        ("{value:g}", "1e9999"),
        ("{value:6g}", "      "),
        ("{value:4d}", "1 23"),
        ("{value:w}", ""),
        ("{value:w}", "two words"),
        ("{value:6w}", "two w "),
        ("{value:s}", "a\nb"),
        ("{value:s}", "a\rb"),
        ("A {value:g}", "B 1.5"),
        ("{value:g} K", "1.5 C"),
        ("{value:g} K", "1.5 K "),
        ("{status:d},{value:g}", "0,1.5,2.5"),
        ("{status:d},{value:g}", "0"),
        ("{name:s},{value:g}", "a,b,1.5"),
    ],
)
def test_what_does_not_fit_is_no_match(pattern, text):
    with pytest.raises(NoMatch, match=re.escape(repr(text))):
        Pattern(pattern).match(text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("{:s},{value:g}", "PKR,1.5", {"value": 1.5}),
        ("{}: {value:d}", "x: 5", {"value": 5}),
        ("{name:s},{value:g}", "a b,1.5", {"name": "a b", "value": 1.5}),
        ("{word:w} {value:g}", "  READY   1.5", {"word": "READY", "value": 1.5}),
        ("{value:g}{u:1s}", "10.6#", {"value": 10.6, "u": "#"}),
        ("{value:g}{u:2s}", "1.5 C", {"value": 1.5, "u": " C"}),
        ("{value:g}{u:s}", "1.5 eV", {"value": 1.5, "u": "eV"}),
        ("{value:g}{u:s}", "-- mbar", {"value": NoNumber("--"), "u": "mbar"}),
        ("{a:g}{b:g}", "+1.50E+00-2.5", {"a": 1.5, "b": -2.5}),
        ("{a:3d}{b:3d}", "  1 22", {"a": 1, "b": 22}),
        ("{value:x}", "0xfF", {"value": 255}),
        ("A={a:g}\r\nB={b:s}\r\nOK", "A=1.5\r\nB=two\r\nOK", {"a": 1.5, "b": "two"}),
    ],
)
def test_what_fits_is_read_field_by_field(pattern, text, found):
    assert Pattern(pattern).match(text) == found


def test_a_long_line_that_does_not_fit_is_given_up_at_once():
    pattern = Pattern("{a:g} {b:w} {c:s},{d:g}{e:s}")
    for text in ("1 " * 2000, "1" * 4000, " " * 4000, "1 a " + "b," * 1500):
        with pytest.raises(NoMatch):
            pattern.match(text)


# --- patterns and templates that cannot be --------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("{value", "expected '}'"),
        ("value}", "a brace that is meant itself is written twice"),
        ("{value:q}", "'q' is no spec"),
        ("{value:0d}", "'0d' is no spec"),
        ("{value:.2f}", r"'\.2f' is no spec"),
        ("{value!r}", "a field is {name:spec}"),
        ("{value.real}", "a field is {name:spec}"),
        ("{0}", "a field is {name:spec}"),
        ("{a:d},{a:d}", "two fields 'a'"),
        ("{a:s}{b:d}", "nobody can tell where 'a' ends"),
        ("{a:w}{b:s}", "nobody can tell where 'a' ends"),
        ("{unit:02d}", "the unit number in the URL"),
        (5, "must be a text"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_with_what_is_wrong(pattern, text):
    with pytest.raises(ConfigurationError, match=text):
        Pattern(pattern)


def test_a_pattern_whose_no_value_cannot_be_a_part_of_it_is_refused():
    with pytest.raises(ConfigurationError, match="is no pattern"):
        Pattern("{value:g}", no_value=re.compile("(?i)over"))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("SP {}", "a field needs a name"),
        ("SP {value", "expected '}'"),
        ("SP {value:%}", "cannot be sent as '%'"),
        ("SP {value:n}", "cannot be sent as 'n'"),
        ("SP {value:q}", "'q' is no format"),
        ("SP {value:*>8.2f}", "is no format"),
        ("{unit} {value}", "the unit number in the URL"),
    ],
)
def test_a_template_that_cannot_be_is_refused_with_what_is_wrong(template, text):
    with pytest.raises(ConfigurationError, match=text):
        Template(template)


@pytest.mark.parametrize(
    ("spec", "value", "text"),
    [
        (".2f", 12.3456, "would be sent as '12.35', which is another number"),
        (".2f", 0.001, "another number"),
        ("g", 1234567.0, "another number"),
        ("d", 1.5, "not a whole number"),
        ("x", -1, "negative"),
        (".2f", math.nan, "not a number that can be sent"),
        (".2f", math.inf, "not a number that can be sent"),
        (".2f", "on", "cannot be written as"),
        (".3", "ABCD", "would be cut off"),
        ("", "A\nB", "only printable ones can"),
        ("", "A\x1bB", "only printable ones can"),
    ],
)
def test_a_value_that_would_not_arrive_as_it_is_is_not_written(spec, value, text):
    with pytest.raises(BadValue, match=text):
        Template(f"SP {{value:{spec}}}").render({"value": value})


@pytest.mark.parametrize(
    ("spec", "value", "text"),
    [
        (".2f", 12.35, "12.35"),
        (".2f", 0.1 + 0.2, "0.30"),
        ("08.3f", -1.5, "-001.500"),
        ("+d", 5, "+5"),
        ("03d", 4.9999999999, "005"),
        (",d", 1234567, "1,234,567"),
        ("X", 255, "FF"),
        (".1e", 1.5e-7, "1.5e-07"),
        ("", 1.5, "1.5"),
        ("d", True, "1"),
        ("<5", "ab", "ab   "),
        ("", "", ""),
    ],
)
def test_a_value_is_written_as_the_template_says(spec, value, text):
    assert Template(f"{{value:{spec}}}").render({"value": value}) == (text, {"value": text})


def test_a_template_knows_its_own_messages():
    template = Template("SP[{channel:d}] {value:.1f}")
    message, _ = template.render({"channel": 2, "value": 1.5})
    assert message == "SP[2] 1.5"
    assert template.regex.fullmatch(message)
    assert not template.regex.fullmatch("SP2 1.5")
    assert template.literal == "SP[] "
    assert template.fields == {"channel": "d", "value": "f"}


def test_the_lines_and_the_usual_length_of_a_pattern_are_known():
    pattern: Any = Pattern("A={a:6g}\r\nB={b:s}\r\n{:d}")
    assert pattern.ends("\r\n") == 2
    assert pattern.ends(";") == 0
    assert pattern.fields == {"a": "g", "b": "s"}
    assert pattern.usual_length == 2 + 6 + 4 + 10 + 2 + 4
