"""Descriptions: carried without loss, checked with care, and what they say of values and text."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mktl.description import Description
from mktl.errors import BadItemDescription, BadUnits, BadValue, UnknownKey, WrongType

# The items of the recorded daemon (its catalog in the protocol's test vectors).
RECORDED = {
    "temp": {"description": "Detector temperature.", "type": "numeric", "units": "kelvin",
             "format": "%.3f", "initial": 77.35, "settable": False},
    "setpoint": {"description": "Heater setpoint.", "type": "numeric",
                 "units": {"": "kelvin", "formatted": "degC"}, "format": "%.2f", "initial": 80.0},
    "power": {"description": "Outlet.", "type": "boolean",
              "enumerators": {"0": "Off", "1": "On"}, "initial": False},
    "mode": {"description": "Mode.", "type": "enumerated",
             "enumerators": {"0": "Idle", "1": "Run", "4": "Fault"}, "initial": 1},
    "flags": {"description": "Status bits.", "type": "mask",
              "enumerators": {"None": "OK", "0": "Timeout", "1": "Error"}, "initial": 0},
    "label": {"description": "Free text.", "type": "string", "initial": "", "persist": True},
    "secret": {"description": "Write only.", "type": "string", "gettable": False},
    "image": {"description": "Frame.", "type": "bulk"},
    "any": {"description": "No type at all."},
}  # fmt: skip


def described(key, **more):
    return Description.from_json(key, {**RECORDED[key], **more})


def numeric(**fields):
    return Description.from_json("x", {"type": "numeric", **fields})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from(
    ["description", "type", "units", "format", "initial", "persist", "gettable", "settable",
     "enumerators", "range", "limits", "deadband", "tracks"]
)  # fmt: skip


# As JSON


@pytest.mark.parametrize("key", RECORDED)
def test_a_recorded_description_comes_back_exactly(key):
    assert json.dumps(described(key).to_json()) == json.dumps(RECORDED[key])


@given(fields=st.dictionaries(KNOWN | st.text(), JSON))
def test_a_strangers_description_is_usable_whatever_it_says(fields):
    found = Description.from_json("x", fields, lenient=True)
    assert json.dumps(found.to_json()) == json.dumps(fields)
    for value in (None, True, 0, -1, 2.5, "text", [1, None], {"a": 1}):
        try:
            assert isinstance(found.to_text(value), str)
        except BadUnits:
            assert found.stored_units != found.shown_units


@given(fields=st.dictionaries(KNOWN | st.text(), JSON))
def test_a_description_of_ours_is_right_or_refused(fields):
    try:
        found = Description.from_json("x", fields)
    except BadItemDescription as error:
        assert "description of x: " in str(error)
    else:
        assert json.dumps(found.to_json()) == json.dumps(fields)


def test_unknown_fields_are_carried_in_their_place():
    fields = {"color": "red", "type": "numeric", "aliases": ["y"]}
    found = Description.from_json("x", fields)
    assert dict(found.extra) == {"color": "red", "aliases": ["y"]}
    assert list(found.to_json()) == ["color", "type", "aliases"]


def test_a_description_does_not_change_with_what_it_was_made_from():
    fields = {"type": "enumerated", "enumerators": {0: "Off"}, "more": [1]}
    found = Description.from_json("x", fields)
    fields["more"].append(2)
    found.to_json()["more"].append(3)
    assert found.to_json() == {"type": "enumerated", "enumerators": {"0": "Off"}, "more": [1]}
    assert found == Description.from_json("x", found.to_json())


def test_fields_that_are_left_out_have_their_defaults():
    found = Description.from_json("x", {})
    assert (found.type, found.persist, found.gettable, found.settable) == (None, False, True, True)
    assert (found.stored_units, found.shown_units, found.shown_unit_label()) == ("", "", "")


def test_stored_and_shown_units_are_told_apart():
    found = described("setpoint")
    assert (found.stored_units, found.shown_units) == ("kelvin", "degC")
    assert found.shown_unit_label() == "degC"
    assert found.shown_unit_label("degF") == "degF"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "numerc"}, ["type", "'numerc'", "numeric array", "did you mean 'numeric'?"]),
        ({"type": 3}, ["type", "3"]),
        ({"type": "numeric", "format": "%q"}, ["format", "'%q'", "%.3f"]),
        ({"type": "numeric", "format": 3}, ["format", "must be a text", "3"]),
        ({"type": "numeric array", "format": {"a": 1}}, ["format", "must be a text"]),
        ({"type": "numeric", "format": "%d:%02d", "units": "K"}, ["format", "hours or degrees"]),
        ({"type": "numeric", "units": 5}, ["units", "5"]),
        ({"type": "numeric", "units": {"formatted": "K"}}, ["units"]),
        ({"type": "numeric", "range": [2, 1]}, ["range", "[2, 1]", "low not above high"]),
        ({"type": "numeric", "range": [1]}, ["range", "[1]"]),
        ({"type": "string", "range": [1, 2]}, ["range", "numbers"]),
        ({"type": "numeric", "initial": "x"}, ["initial", "'x'"]),
        ({"type": "numeric", "initial": 5, "range": [0, 1]}, ["initial", "within 0 to 1"]),
        ({"type": "numeric", "settable": "no"}, ["settable", "'no'", "true or false"]),
        ({"type": "numeric", "deadband": -1}, ["deadband", "-1"]),
        ({"type": "numeric", "limits": {"warn": [1, 2]}}, ["limits", "'warn'", "warning"]),
        ({"type": "numeric", "limits": {"alarm": 3}}, ["limits", "alarm", "[low, high]"]),
        ({"type": "numeric", "tracks": {"tolerance": 3}}, ["tracks", '"item"']),
        ({"type": "numeric", "tracks": {"item": "a", "within_s": "x"}}, ["tracks", "within_s"]),
        ({"type": "enumerated"}, ["enumerators", "must be there"]),
        ({"type": "enumerated", "enumerators": ["Off"]}, ["enumerators", '"0": "Off"']),
        ({"type": "enumerated", "enumerators": {"a": "Off"}}, ["enumerators", "'a'"]),
        ({"type": "enumerated", "enumerators": {"1": "A", "01": "B"}}, ["enumerators", "twice"]),
        ({"type": "mask", "enumerators": {"-1": "A"}}, ["enumerators", "bits"]),
        ({"type": "boolean", "enumerators": {"2": "A"}}, ["enumerators", "0 and 1"]),
        ({"type": "numeric", "enumerators": {"2": "A"}}, ["enumerators", "only for"]),
        ({"description": 5}, ["description", "5"]),
        ({"more": object()}, ["more", "JSON"]),
    ],
)
def test_a_wrong_description_is_refused_with_field_and_what_is_allowed(fields, words):
    with pytest.raises(BadItemDescription) as caught:
        Description.from_json("setpoint", fields)
    for word in ("setpoint", *words):
        assert word in str(caught.value)


def test_what_is_no_description_is_refused_or_taken_for_an_empty_one():
    with pytest.raises(BadItemDescription, match="mapping"):
        Description.from_json("x", 5)
    assert Description.from_json("x", 5, lenient=True).to_json() == {}


def test_a_stranger_with_an_unknown_type_is_untyped():
    assert Description.from_json("x", {"type": "complex"}, lenient=True).type is None
    assert Description.from_json("x", {"type": "mask"}, lenient=True).type is None


def test_a_description_cannot_be_changed():
    found = described("mode")
    with pytest.raises(AttributeError):
        found.key = "other"
    with pytest.raises(TypeError):
        found.enumerators[9] = "Nine"


def test_the_initial_value_is_as_it_will_be_stored():
    assert described("power", initial="on").initial is True
    assert described("setpoint", initial="81.5").initial == 81.5


# What a SET may ask for


@pytest.mark.parametrize(
    ("key", "asked", "stored"),
    [
        ("setpoint", 81.5, 81.5),
        ("setpoint", "82", 82),
        ("setpoint", " 81.5 ", 81.5),
        ("setpoint", np.float32(1.5), 1.5),
        ("power", 1, True),
        ("power", 0.0, False),
        ("power", "on", True),
        ("power", "FALSE", False),
        ("power", "0", False),
        ("mode", 4, 4),
        ("mode", 4.0, 4),
        ("mode", "4", 4),
        ("mode", "fault", 4),
        ("flags", 3, 3),
        ("flags", "3", 3),
        ("flags", "error, TIMEOUT", 3),
        ("flags", "ok", 0),
        ("label", "hello", "hello"),
        ("any", None, None),
        ("any", {"a": [1, 2]}, {"a": [1, 2]}),
        ("any", np.array([1, 2]), [1, 2]),
    ],
)
def test_a_set_is_stored_by_the_type_of_its_item(key, asked, stored):
    found = described(key).validate(asked)
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("key", "asked", "error", "words"),
    [
        ("setpoint", True, WrongType, "setpoint must be a number, not true"),
        ("setpoint", None, WrongType, "setpoint must be a number, not null"),
        ("setpoint", [1], WrongType, "setpoint must be a number, not [1]"),
        ("setpoint", "warm", BadValue, "setpoint must be a number, not 'warm'"),
        ("setpoint", math.nan, BadValue, "setpoint must be a finite number, not nan"),
        ("setpoint", 10**400, BadValue, "setpoint must be a finite number"),
        ("power", 2, UnknownKey, "power must be one of Off (0), On (1), not 2"),
        ("power", None, WrongType, "power must be true or false, not null"),
        ("power", "oof", UnknownKey, "did you mean 'Off'?"),
        ("mode", 3, UnknownKey, "mode must be one of Idle (0), Run (1), Fault (4), not 3"),
        ("mode", 0.5, UnknownKey, "not 0.5"),
        ("mode", "fualt", UnknownKey, "did you mean 'Fault'?"),
        ("mode", True, WrongType, "not true"),
        ("flags", 4, UnknownKey, "flags must be any of OK, Timeout (0), Error (1), not 4"),
        ("flags", "bit 7", UnknownKey, "Timeout (0), Error (1)"),
        ("flags", -1, BadValue, "flags must not be negative"),
        ("label", 5, WrongType, "label must be a text, not 5"),
        ("any", math.inf, BadValue, "any must be a finite number"),
        ("any", {1, 2}, WrongType, "any must be something that JSON can carry"),
        ("image", "abc", WrongType, "image must be an array of numbers"),
        ("image", None, WrongType, "image must be an array of numbers, not null"),
        ("image", [object()], WrongType, "not of object"),
        ("image", [[1], [2, 3]], BadValue, "image must be an array of one shape"),
    ],
)
def test_a_set_of_something_else_is_refused_with_the_reason(key, asked, error, words):
    with pytest.raises(error) as caught:
        described(key).validate(asked)
    assert type(caught.value) is error
    assert words in str(caught.value)


def test_nesting_without_end_is_refused():
    deep = []
    for _ in range(500):
        deep = [deep]
    for item_type in ({}, {"type": "numeric array"}):
        with pytest.raises(BadValue, match="nested"):
            Description.from_json("x", item_type).validate(deep)


def test_a_set_out_of_range_is_refused_in_all_units():
    units = {"type": "numeric", "units": "kelvin", "range": [20, 120]}
    plain = Description.from_json("setpoint", units)
    assert plain.validate(20) == 20
    assert plain.validate("120") == 120
    with pytest.raises(BadValue, match=r"^setpoint must be within 20 to 120 kelvin, not 300$"):
        plain.validate(300)
    with pytest.raises(BadValue) as caught:
        described("setpoint", range=[20, 120]).validate(300)
    assert str(caught.value) == (
        "setpoint must be within 20 to 120 kelvin (-253.15 to -153.15 degC), not 300 (26.85 degC)"
    )


def test_a_range_may_be_open_on_one_side():
    with pytest.raises(BadValue, match=r"^x must be at most 5, not 6$"):
        numeric(range=[None, 5]).validate(6)
    with pytest.raises(BadValue, match=r"^x must be at least 5 K, not 4$"):
        numeric(range=[5, None], units="K").validate(4)


def test_every_element_of_an_array_must_be_in_range():
    found = Description.from_json("x", {"type": "numeric array", "range": [0, 9]})
    assert found.validate(np.arange(4).reshape(2, 2)) == [[0, 1], [2, 3]]
    assert found.validate((1, [2.5])) == [1, [2.5]]
    with pytest.raises(BadValue, match="not 10"):
        found.validate([1, [10]])
    for wrong in ([True], ["1"], [None], 5, "1, 2"):
        with pytest.raises(WrongType):
            found.validate(wrong)
    with pytest.raises(BadValue):
        found.validate([math.inf])


def test_bulk_is_an_array_with_its_elements_in_order():
    turned = np.arange(6, dtype="uint16").reshape(2, 3).T
    found = described("image").validate(turned)
    assert found.flags.c_contiguous
    assert found.dtype == np.uint16
    assert (found == turned).all()
    assert described("image").validate(b"\x01\x02").tolist() == [1, 2]
    own = np.zeros((2, 2))
    assert described("image").validate(own) is own


# What a daemon publishes


@pytest.mark.parametrize(
    ("key", "value", "stored"),
    [
        ("setpoint", np.int16(5), 5),
        ("setpoint", 1e9, 1e9),
        ("setpoint", math.nan, None),
        ("setpoint", True, 1),
        ("mode", 9, 9),
        ("mode", "Run", 1),
        ("flags", 255, 255),
        ("power", np.bool_(True), True),
        ("label", 5, "5"),
        ("label", b"ab\xff", "ab\\xff"),
        ("any", [math.inf, np.float64(2)], [None, 2.0]),
        ("image", None, None),
        ("setpoint", None, None),
    ],
)
def test_a_daemon_may_publish_what_no_set_could_ask_for(key, value, stored):
    more = {"range": [20, 120]} if key == "setpoint" else {}
    found = described(key, **more).coerce(value)
    assert found == stored
    assert type(found) is type(stored)


def test_an_array_is_published_with_its_gaps():
    found = Description.from_json("x", {"type": "numeric array"})
    assert found.coerce(np.array([1.5, math.nan])) == [1.5, None]
    assert found.to_text([1.5, None]) == "[1.5, null]"


@pytest.mark.parametrize(("key", "value"), [("setpoint", []), ("mode", "no"), ("power", 7)])
def test_what_cannot_be_of_the_type_is_not_published(key, value):
    with pytest.raises((WrongType, UnknownKey), match=key):
        described(key).coerce(value)


# Text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("temp", 77.35, "77.350"),
        ("setpoint", 80, "-193.15"),
        ("power", True, "On"),
        ("mode", 4, "Fault"),
        ("mode", 9, "9"),
        ("flags", 3, "Timeout, Error"),
        ("flags", 0, "OK"),
        ("label", " as is ", " as is "),
        ("any", "text", "text"),
        ("any", {"a": [1, 2]}, '{"a":[1,2]}'),
        ("image", np.zeros((3, 4), "uint16"), "uint16[3,4]"),
        *((key, None, "null") for key in RECORDED),
    ],
)
def test_values_print_in_their_formatted_form(key, value, text):
    assert described(key).to_text(value) == text


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("temp", "77.35", 77.35),
        ("temp", "77", 77),
        ("setpoint", "-193.15", 80.0),
        ("power", "ON", True),
        ("power", "false", False),
        ("mode", "fault", 4),
        ("mode", "4", 4),
        ("flags", "timeout,error", 3),
        ("label", " as is ", " as is "),
        ("any", "5", "5"),
    ],
)
def test_text_is_read_back_as_stored_values(key, text, value):
    found = described(key).from_text(text)
    assert found == value
    assert type(found) is type(value)


@given(value=st.floats(0, 1000), places=st.integers(0, 6))
def test_numbers_round_trip_through_other_units(value, places):
    units = {"": "kelvin", "formatted": "degC"}
    found = numeric(units=units, format=f"%.{places}f")
    assert found.from_text(found.to_text(value)) == pytest.approx(value, abs=10**-places)
    assert found.from_text(found.to_text(value, "degF"), "degF") == pytest.approx(value, abs=1e-8)
    assert found.from_shown(found.to_shown(value)) == pytest.approx(value, abs=1e-9)


@given(value=st.floats(-6.3, 6.3), places=st.integers(0, 4))
@pytest.mark.parametrize(("shown", "per_radian"), [("h:m:s", 3.8197), ("d:m:s", 57.2958)])
def test_angles_in_radians_round_trip_as_sexagesimal_text(shown, per_radian, value, places):
    found = numeric(
        units={"": "rad", "formatted": shown}, format=f"%+d:%02d:%0{places + 3}.{places}f"
    )
    step = 10**-places / 3600 / per_radian
    assert found.from_text(found.to_text(value)) == pytest.approx(value, abs=step)


@given(value=st.lists(st.floats(-1e6, 1e6)))
def test_arrays_round_trip_through_other_units(value):
    fields = {"units": {"": "K", "formatted": "degC"}, "format": "%.3f"}
    found = Description.from_json("x", {"type": "numeric array", **fields})
    assert found.from_text(found.to_text(value)) == pytest.approx(value, abs=1e-3)


NAMES = st.lists(
    st.text("abcdef XYZ", min_size=2).map(str.strip).filter(lambda name: len(name) > 1),
    min_size=1, max_size=6, unique_by=str.casefold,
)  # fmt: skip


@given(names=NAMES, data=st.data())
def test_enumerators_and_masks_round_trip_in_any_case(names, data):
    table = {str(number): name for number, name in enumerate(names)}
    one = Description.from_json("x", {"type": "enumerated", "enumerators": table})
    value = data.draw(st.integers(0, len(names) - 1))
    assert one.from_text(one.to_text(value).upper()) == value
    assert one.validate(one.to_text(value).lower()) == value
    some = Description.from_json("x", {"type": "mask", "enumerators": table})
    bits = data.draw(st.integers(0, 2 ** len(names) - 1))
    assert some.validate(some.from_text(some.to_text(bits).upper())) == bits


def test_a_number_is_converted_to_the_units_asked_for():
    found = described("temp")
    assert found.to_text(77.35, "degC") == "-195.8"
    assert found.from_text("-195.8", "degC") == 77.35
    assert found.to_shown([0, None], "degC") == [-273.15, None]
    with pytest.raises(BadUnits, match=r"temp: 'kelvin' cannot be converted to 'mbar'"):
        found.to_text(77.35, "mbar")


def test_to_shown_converts_arrays_and_leaves_what_is_no_number():
    found = Description.from_json("x", {"type": "numeric array", "units": "K"})
    assert found.to_shown([273.15, None], "degC") == [0, None]
    assert found.to_shown("odd", "degC") == "odd"
    assert described("label").to_shown("text", "degC") == "text"


def test_sexagesimal_stays_so_in_other_units_only_if_they_are_hours_or_degrees():
    found = numeric(units={"": "deg", "formatted": "h:m:s"}, format="%02d:%02d:%04.1f")
    assert found.to_text(-7.5) == "-0:30:00.0"
    assert found.to_text(15, "deg") == "15:00:00.0"
    assert found.to_text(15, "arcmin") == "900"
    assert found.from_text("12d30m", "deg") == 12.5
    with pytest.raises(BadValue, match="x must be in hours"):
        found.from_text("12d30m")


@pytest.mark.parametrize(
    ("key", "text", "error", "words"),
    [
        ("temp", "warm", BadValue, "temp must be a number, not 'warm'"),
        ("mode", "rnu", UnknownKey, "Idle (0), Run (1), Fault (4), not 'rnu'; did you mean 'Run'?"),
        ("flags", "eror", UnknownKey, "OK, Timeout (0), Error (1), not 'eror'; did you mean"),
        ("power", "up", UnknownKey, "power must be one of Off (0), On (1), not 'up'"),
        ("image", "1, 2", WrongType, "image is bulk data"),
    ],
)
def test_text_that_cannot_be_read_is_refused_with_the_reason(key, text, error, words):
    with pytest.raises(error) as caught:
        described(key).from_text(text)
    assert words in str(caught.value)


def test_the_text_of_one_value_may_be_the_number_of_another():
    found = Description.from_json("x", {"type": "enumerated", "enumerators": {"0": "1", "1": "0"}})
    assert found.from_text(found.to_text(0)) == 0
    assert found.validate("0") == 0
