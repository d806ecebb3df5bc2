"""Conversion of units: temperatures and angles exactly, the rest by pint, nothing by guesswork."""

import math
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mktl import units
from mktl.errors import BadUnits, ConfigurationError, WrongType

TEMPERATURES = st.sampled_from(["K", "kelvin", "degC", "celsius", "degF", "degR"])
ANGLES = st.sampled_from(["rad", "deg", "arcmin", "arcsec", "hours", "h:m:s", "dms", "hourangle"])
NUMBERS = st.floats(min_value=-1e6, max_value=1e6)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (-193.15, "degC", "K", 80.0),
        (0, "degC", "kelvin", 273.15),
        (80, "kelvin", "degC", -193.15),
        (212, "degF", "Celsius", 100.0),
        (12, "hours", "deg", 180.0),
        (math.pi, "rad", "deg", 180.0),
        (math.pi, "radians", "h:m:s", 12.0),
        (1, "hms", "d:m:s", 15.0),
        (1, "deg", "arcsec", 3600.0),
    ],
)
def test_temperatures_and_angles_convert_exactly(value, source, target, expected):
    assert units.convert(value, source, target) == expected


@given(value=NUMBERS, source=TEMPERATURES, target=TEMPERATURES)
def test_temperatures_convert_there_and_back(value, source, target):
    there = units.convert(value, source, target)
    assert units.convert(there, target, source) == pytest.approx(value, rel=1e-12, abs=1e-9)


@given(value=NUMBERS, source=ANGLES, target=ANGLES)
def test_angles_convert_there_and_back(value, source, target):
    there = units.convert(value, source, target)
    assert units.convert(there, target, source) == pytest.approx(value, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["h", "hours", "h:m:s", "hms"])
def test_an_hour_is_a_time_beside_a_time_and_an_angle_beside_an_angle(name):
    assert units.convert(1, name, "seconds") == pytest.approx(3600)
    assert units.convert(1, name, "deg") == 15


def test_equal_units_give_back_the_very_value():
    value = object()
    assert units.convert(value, "furlong", "furlong") is value


def test_two_spellings_of_a_unit_keep_an_int_an_int():
    assert repr(units.convert(80, "K", "kelvin")) == "80"


def test_lists_convert_element_by_element_and_null_stays_null():
    assert units.convert([[0, None], (1.0,)], "degC", "K") == [[273.15, None], [274.15]]
    assert units.convert([[1, None]], "bar", "mbar") == [[pytest.approx(1000), None]]


def test_infinity_stays_infinite():
    assert units.convert(math.inf, "degC", "K") == math.inf


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("K", "mbar"),
        ("bogus", "K"),
        ("K", "bogus"),
        ("deg", "degC"),
        ("hours", "degC"),
        ("", "deg"),  # to pint a radian is a pure number
        ("percent", "rad"),
        ("rpm", "Hz"),  # and 60 rpm would be 6.28 Hz
        ("counts", "s"),
    ],
)
def test_units_that_measure_different_things_are_refused_by_name(source, target):
    assert not units.compatible(source, target)
    with pytest.raises(BadUnits) as caught:
        units.convert(1, source, target)
    assert repr(target) in str(caught.value)
    assert (repr(source) if source else "without units") in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "10**10**10",
        "m*9**9**9**9",
        "m⁹⁹⁹⁹⁹",
        "9**9_9",
        "9**(9**9**9)",
        "m)(",
        "3 m",
        '"a"',
        "x" * 999,
    ],
)
@pytest.mark.timeout(5)
def test_names_that_would_take_for_ever_or_mean_nothing_are_refused(name):
    with pytest.raises(BadUnits):
        units.convert(1, name, "m")


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (5, "degC", "mK", 278150),
        (3, "amps", "mA", 3000),  # pint alone takes "amps" for attometres per second
        (50, "percent", "", 0.5),
        (1, "degC/min", "K/min", 1),
        (1, "W/m**2", "mW/cm²", 0.1),
        (1, "mrad", "arcsec", 206.264806247),
    ],
)
def test_everything_else_is_converted_by_pint(value, source, target, expected):
    assert units.compatible(source, target)
    assert units.convert(value, source, target) == pytest.approx(expected)


def test_only_numbers_convert():
    with pytest.raises(BadUnits, match="only numbers"):
        units.convert("80", "K", "degC")


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(BadUnits, match="too large"):
        units.convert(10**400, "K", "degC")


def test_a_quantity_is_made_and_read_in_other_units():
    assert units.magnitude(units.quantity(80, "degC"), "K") == 353.15
    assert units.magnitude(units.quantity(80, "K"), "kelvin") == 80
    with pytest.raises(BadUnits):
        units.magnitude(units.quantity(1, "bar"), "K")


@pytest.mark.parametrize("value", [None, True, "80"])
def test_what_is_no_number_is_no_quantity(value):
    with pytest.raises(WrongType, match="only numbers"):
        units.quantity(value, "K")


def test_a_quantity_of_another_registry_is_read_too():
    import pint

    assert units.magnitude(pint.UnitRegistry().Quantity(3, "inch"), "mm") == pytest.approx(76.2)


def test_threads_share_one_registry():
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(units.quantity(1, "m"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(quantity._REGISTRY) for quantity in found}) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h:m:s", "hour"),
        ("hours", "hour"),
        ("hourangle", "hour"),
        ("dd:mm:ss", "degree"),
        ("deg", "degree"),
        ("rad", None),
        ("kelvin", None),
        ("", None),
    ],
)
def test_units_of_sexagesimal_text_are_recognised(name, expected):
    assert units.sexagesimal_unit(name) == expected


def test_without_pint_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pint", None)
    units._make_registry.cache_clear()
    units._pint_unit.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match=r'pip install "mktl-hardware\[units\]"'):
            units.convert(1, "bar", "mbar")
    finally:
        units._make_registry.cache_clear()


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys; from mktl.description import Description\n"
        "d = Description.from_json('t', {'type': 'numeric', 'format': '%.2f',\n"
        "    'units': {'': 'kelvin', 'formatted': 'degC'}})\n"
        "assert d.from_text(d.to_text(80)) == 80\n"
        "print([name for name in ('numpy', 'pint', 'zmq', 'difflib') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
