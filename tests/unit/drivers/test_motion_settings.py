"""The settings of axes: what they mean, and how each mistake in them is told."""

from __future__ import annotations

import tomllib
from dataclasses import fields

import pytest

from drivers.motion import AxisSettings, axes_from
from mktl.errors import BadValue, ConfigurationError
from tests.unit.drivers.pages import names_in_table, toml_blocks

DEFAULTS = AxisSettings(steps_units="microsteps", tolerance_steps=10)


def axes(given, exist=range(1, 10)):
    return axes_from(given, defaults=DEFAULTS, exist=exist)


def test_axes_are_a_list_of_numbers_or_a_table_for_each():
    assert list(axes([2, 1])) == [1, 2]
    assert axes({"3": {}}) == {3: DEFAULTS}
    made = axes({"2": {"units": "mm", "steps_per_unit": 400, "limits": [0, 25]}, 1: {}})
    assert list(made) == [1, 2]
    assert made[2].limits == (0.0, 25.0)
    assert made[2].tolerance_steps == 10
    assert made[1].shown_units == "microsteps"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "axes: must be numbers of axes"),
        ("1", "axes: must be numbers of axes"),
        ([0], "axes: 0 is no axis: they are 1 to 9"),
        ({"x": {}}, "axes: 'x' is no axis"),
        ({"1": 5}, "axes.1: must be a table, not 5"),
        ({"1": {"limit": [0, 1]}}, "axes.1.limit: is no setting of an axis.*limits"),
        ({"1": {"limits": [0]}}, r"axes.1.limits: must be \[low, high\], not \[0\]"),
        ({"1": {"limits": [5, 1]}}, "axes.1.limits: .* 5 is not below 1"),
        ({"1": {"limits": [0, "x"]}}, "axes.1.limits: must be a number, not 'x'"),
        ({"1": {"tolerance": 0}}, "axes.1.tolerance: must be a positive number"),
        ({"1": {"move_timeout_s": True}}, "axes.1.move_timeout_s: must be a number, not True"),
        ({"1": {"units": "mm"}}, "axes.1: units and steps_per_unit .* 'steps_per_unit' is not"),
        ({"1": {"steps_per_unit": 5}}, "axes.1: units and steps_per_unit .* 'units' is not there"),
        ({"1": {"units": 5, "steps_per_unit": 5}}, "axes.1.units: must be a text, not 5"),
        ({"1": {"units": "mm", "steps_per_unit": 0}}, "axes.1.steps_per_unit: must not be 0"),
        ({"1": {"offset": 3}}, "axes.1.offset: is in units, of which there are none"),
        ({"1": {"tolerance_steps": 3}}, "axes.1.tolerance_steps: is no setting"),
    ],
)
def test_a_mistake_is_told_with_its_place(given, text):
    with pytest.raises(ConfigurationError, match=f"^{text}"):
        axes(given)


def test_axes_of_a_system_with_gaps_are_checked():
    assert list(axes([11, 158], exist=(*range(1, 9), *range(11, 19), 158))) == [11, 158]
    with pytest.raises(ConfigurationError, match="9 is no axis: they are 1 to 158, with gaps"):
        axes([9], exist=(1, 158))


@pytest.mark.parametrize(
    ("steps_per_unit", "format_"), [(1.0, "%.0f"), (400.0, "%.3f"), (0.5, "%.0f"), (-20000, "%.5f")]
)
def test_a_position_prints_with_the_digits_that_one_step_is_worth(steps_per_unit, format_):
    assert AxisSettings(units="mm", steps_per_unit=steps_per_unit).format == format_


def test_positions_and_speeds_convert_both_ways():
    settings = AxisSettings(units="mm", steps_per_unit=-400.0, offset=12.5)
    assert settings.value(0) == 12.5
    assert settings.steps(10) == 1000
    assert settings.value(1000) == 10.0
    assert settings.distance(1) == -400
    assert settings.speed(800) == 2.0
    assert settings.steps_per_s(2) == 800
    assert settings.text(1000) == "10.000 mm"
    plain = AxisSettings(steps_units="steps")
    assert plain.text(7) == "7 steps"
    assert isinstance(plain.value(7), int)


@pytest.mark.parametrize(
    "value", [float("inf"), "5", True, None, 1e30, pytest.param(10**400, id="huge")]
)
def test_what_is_no_position_is_refused(value):
    with pytest.raises(BadValue):
        AxisSettings().steps(value)


def test_the_page_names_every_setting():
    documented = names_in_table("motion.md", "Settings of an axis")
    own = {"steps_units", "tolerance_steps"}
    assert documented == {field.name for field in fields(AxisSettings)} - own


def test_the_pages_show_settings_that_can_be_used():
    for page in ("motion.md", "icepap.md", "zaber.md"):
        (block,) = toml_blocks(page)
        for controller in tomllib.loads(block)["controllers"].values():
            assert axes(controller["axes"], exist=range(1, 159))


def test_a_speed_is_positive():
    with pytest.raises(BadValue, match="a speed is a positive number"):
        AxisSettings().steps_per_s(0)
