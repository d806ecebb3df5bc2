"""The settings of the axes of a controller: units, limits, patience."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from drivers._suggest import suggestion
from mktl.errors import BadValue, ConfigurationError

__all__ = ["AxisSettings", "axes_from"]

_MOST_STEPS = 2**53
"""Beyond it a float, which is what a value is on its way here, is no exact number of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisSettings:
    """What a user may say of one axis."""

    steps_units: str = "steps"
    """What the controller counts."""
    units: str = ""
    """Units of positions; empty: those of the controller."""
    steps_per_unit: float = 1.0
    """How many steps make one; negative where the axis counts the other way."""
    offset: float = 0.0
    """Position, in units, at step 0."""
    limits: tuple[float, float] | None = None
    """Soft limits, in units; ``None``: those of the controller alone."""
    tolerance: float | None = None
    """How far from its target, in units, an axis may stand in the end; ``None``: as the driver
    says, in :attr:`tolerance_steps`."""
    tolerance_steps: int = 1
    """The same in steps, where nothing else is said."""
    move_timeout_s: float | None = None
    """Longest move; ``None``: as follows from distance and speed."""
    home_timeout_s: float = 300.0
    """Longest search for the reference."""
    begin_within_s: float = 300.0
    """A move that could not begin so long after it was asked for, as the axis moved already, does
    not begin any more."""

    @property
    def scaled(self) -> bool:
        """Whether positions are in other units than the controller's."""
        return bool(self.units)

    @property
    def shown_units(self) -> str:
        """Units of positions."""
        return self.units or self.steps_units

    @property
    def format(self) -> str:
        """How positions print: with as many digits as one step is worth."""
        if not self.scaled:
            return "%d"
        digits = math.ceil(math.log10(abs(self.steps_per_unit)))
        return f"%.{min(max(digits, 0), 9)}f"

    def value(self, steps: int) -> float:
        """Return the position at *steps*: a whole number if it is in steps."""
        return self.offset + steps / self.steps_per_unit if self.scaled else steps

    def text(self, steps: int) -> str:
        """Return the position at *steps* for people, with units."""
        return f"{self.format % self.value(steps)} {self.shown_units}"

    def steps(self, value: object) -> int:
        """Return the number of steps nearest to the position *value*.

        Raises:
            BadValue: it is not a number that can be one.
        """
        return self._rounded((_number(value) - self.offset) * self.steps_per_unit, value)

    def distance(self, value: object) -> int:
        """Return how many steps the distance *value* is.

        Raises:
            BadValue: it is not a number that can be one.
        """
        return self._rounded(_number(value) * self.steps_per_unit, value)

    def speed(self, steps_per_s: float) -> float:
        """Return a speed, in units per second."""
        return steps_per_s / abs(self.steps_per_unit)

    def steps_per_s(self, speed: object) -> float:
        """Return *speed*, in units per second, in steps.

        Raises:
            BadValue: it is not a positive number.
        """
        found = _number(speed)
        if found <= 0:
            raise BadValue(f"a speed is a positive number, not {speed!r}")
        return found * abs(self.steps_per_unit)

    @property
    def limit_steps(self) -> tuple[int, int] | None:
        """The soft limits in steps, least first."""
        if self.limits is None:
            return None
        one, other = (self.steps(limit) for limit in self.limits)
        return min(one, other), max(one, other)

    @property
    def within_steps(self) -> int:
        """How far from its target an axis may stand in the end."""
        if self.tolerance is None:
            return self.tolerance_steps
        return math.ceil(self.tolerance * abs(self.steps_per_unit))

    def _rounded(self, steps: float, value: object) -> int:
        if abs(steps) > _MOST_STEPS:
            raise BadValue(f"{value!r} {self.shown_units} is more than any axis can go")
        return round(steps)


def _number(value: object) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float):
        # An int may be more than a float can hold.
        with contextlib.suppress(OverflowError):
            if math.isfinite(number := float(value)):
                return number
    raise BadValue(f"a number is wanted, not {value!r}")


_OWN = ("steps_units", "tolerance_steps")
_NAMES = tuple(field.name for field in fields(AxisSettings) if field.name not in _OWN)
_POSITIVE = ("tolerance", "move_timeout_s", "home_timeout_s", "begin_within_s")


def axes_from(
    given: object, *, defaults: AxisSettings, exist: range | tuple[int, ...]
) -> dict[int, AxisSettings]:
    """Return the settings of each axis, by its number.

    Args:
        given: A list of numbers, or a table of each axis: ``{1: {"units": "mm", ...}}``.
        defaults: What holds where nothing is said.
        exist: The numbers that an axis may have.

    Raises:
        ConfigurationError: something is wrong; the text begins with ``axes``, and what within it.
    """
    if isinstance(given, list | tuple):
        given = {number: {} for number in given}
    if not isinstance(given, Mapping) or not given:
        raise ConfigurationError(
            f"axes: must be numbers of axes, [1, 2], or a table for each, not {given!r}"
        )
    made = {}
    for written, table in given.items():
        number = _axis_number(written, exist)
        made[number] = _axis(f"axes.{written}", table, defaults)
    return dict(sorted(made.items()))


def _axis_number(written: object, exist: range | tuple[int, ...]) -> int:
    text = str(written)
    if not (text.isascii() and text.isdigit() and int(text) in exist):
        raise ConfigurationError(
            f"axes: {written!r} is no axis: they are {exist[0]} to {exist[-1]}"
            + ("" if isinstance(exist, range) else ", with gaps")
        )
    return int(text)


def _axis(where: str, table: object, defaults: AxisSettings) -> AxisSettings:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}: must be a table, not {table!r}")
    values = {name: _setting(f"{where}.{name}", name, table[name]) for name in table}
    if ("units" in values) != ("steps_per_unit" in values):
        missing = "steps_per_unit" if "units" in values else "units"
        raise ConfigurationError(
            f"{where}: units and steps_per_unit go together; {missing!r} is not there"
        )
    if "offset" in values and "units" not in values:
        raise ConfigurationError(f"{where}.offset: is in units, of which there are none")
    own = {name: getattr(defaults, name) for name in _OWN}
    return AxisSettings(**{**own, **values})


def _setting(where: str, name: str, value: Any) -> Any:
    if name not in _NAMES:
        raise ConfigurationError(f"{where}: is no setting of an axis: {suggestion(name, _NAMES)}")
    if name == "units":
        if isinstance(value, str) and value:
            return value
        raise ConfigurationError(f"{where}: must be a text, not {value!r}")
    if name == "limits":
        return _limits(where, value)
    number = _finite(where, value)
    if name in _POSITIVE and number <= 0:
        raise ConfigurationError(f"{where}: must be a positive number, not {value!r}")
    if name == "steps_per_unit" and number == 0:
        raise ConfigurationError(f"{where}: must not be 0")
    return number


def _limits(where: str, value: Any) -> tuple[float, float]:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise ConfigurationError(f"{where}: must be [low, high], not {value!r}")
    low, high = (_finite(where, limit) for limit in value)
    if low >= high:
        raise ConfigurationError(f"{where}: must be [low, high], and {low:g} is not below {high:g}")
    return low, high


def _finite(where: str, value: Any) -> float:
    try:
        return _number(value)
    except BadValue:
        raise ConfigurationError(f"{where}: must be a number, not {value!r}") from None
