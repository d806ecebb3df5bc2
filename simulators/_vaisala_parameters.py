"""The values that a WXT530 can send: names in the order of the sheet, numbers and unit letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.vaisala_wxt530 import VaisalaWXT530

__all__ = ["GROUPS", "Parameter", "Text", "chosen"]

INVALID = "#"
"""Stands in place of the unit of a value that is none."""

# Factor and decimals by letter.
_SPEEDS = {"M": (1.0, 1), "K": (3.6, 1), "S": (2.236936, 1), "N": (1.943844, 1)}
_PRESSURES = {
    "H": (1.0, 1),
    "P": (100.0, 1),
    "B": (0.001, 4),
    "M": (0.7500617, 1),
    "I": (0.02952998, 2),
}
_AMOUNTS = {"M": (1.0, 2), "I": (1 / 25.4, 3)}
_INTENSITIES = {"M": (1.0, 1), "I": (1 / 25.4, 2)}
# The sensor has 60 square centimetres.
_HAIL = {"M": (1.0, 1), "I": (6.4516, 1), "H": (60.0, 0)}


@dataclass(frozen=True, slots=True)
class Text:
    """A number as it is sent."""

    number: str
    unit: str
    """Its letter; `INVALID` if the number means nothing."""

    @property
    def valid(self) -> bool:
        """Whether it means something."""
        return self.unit != INVALID


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of a group."""

    name: str
    """Two letters."""
    bit: int
    """Its place in the mask of the group, from the left."""
    show: Callable[[VaisalaWXT530], Text]
    """Gives it as it is now."""


Reading = Callable[["VaisalaWXT530"], float | None]


def _direction(index: int) -> Callable[[VaisalaWXT530], Text]:
    def show(unit: VaisalaWXT530) -> Text:
        wind = unit.wind()
        if wind is None:
            return Text("000", INVALID)
        turned = wind.degrees[index] + unit.settings.number("W", "D")
        return Text(f"{round(turned) % 360:03d}", "D")

    return show


def _speed(index: int) -> Callable[[VaisalaWXT530], Text]:
    def reading(unit: VaisalaWXT530) -> float | None:
        wind = unit.wind()
        return None if wind is None else wind.m_s[index]

    return _converted(reading, "W", "U", _SPEEDS)


def _converted(
    reading: Reading, group: str, letter: str, units: Mapping[str, tuple[float, int]]
) -> Callable[[VaisalaWXT530], Text]:
    def show(unit: VaisalaWXT530) -> Text:
        chosen_unit = unit.settings.get(group, letter)
        factor, decimals = units[chosen_unit]
        value = reading(unit)
        if value is None:
            return Text(f"{0:.{decimals}f}", INVALID)
        return Text(f"{value * factor:.{decimals}f}", chosen_unit)

    return show


def _temperature(reading: Reading) -> Callable[[VaisalaWXT530], Text]:
    def show(unit: VaisalaWXT530) -> Text:
        celsius = reading(unit)
        if celsius is None:
            return Text("0.0", INVALID)
        if unit.settings.get("T", "T") == "F":
            return Text(_fixed(celsius * 1.8 + 32, 1), "F")
        return Text(_fixed(celsius, 1), "C")

    return show


def _plain(reading: Reading, letter: str, decimals: int) -> Callable[[VaisalaWXT530], Text]:
    def show(unit: VaisalaWXT530) -> Text:
        value = reading(unit)
        if value is None:
            return Text(f"{0:.{decimals}f}", INVALID)
        return Text(_fixed(value, decimals), letter)

    return show


def _heating_voltage(unit: VaisalaWXT530) -> Text:
    if unit.supervisor_invalid or not unit.measuring:
        return Text("0.0", INVALID)
    return Text(f"{unit.heating_v:.1f}", unit.heating.level)


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _rain(reading: Reading) -> Reading:
    return lambda unit: None if unit.rain_invalid or not unit.measuring else reading(unit)


def _supervisor(reading: Reading) -> Reading:
    return lambda unit: None if unit.supervisor_invalid or not unit.measuring else reading(unit)


def _amount(
    reading: Reading, letter: str, units: Mapping[str, tuple[float, int]]
) -> Callable[[VaisalaWXT530], Text]:
    return _converted(_rain(reading), "R", letter, units)


GROUPS: Mapping[str, Sequence[Parameter]] = {
    "W": (
        Parameter("Dn", 0, _direction(0)),
        Parameter("Dm", 1, _direction(1)),
        Parameter("Dx", 2, _direction(2)),
        Parameter("Sn", 3, _speed(0)),
        Parameter("Sm", 4, _speed(1)),
        Parameter("Sx", 5, _speed(2)),
    ),
    "T": (
        Parameter("Ta", 1, _temperature(lambda unit: unit.air_c())),
        Parameter("Ua", 3, _plain(lambda unit: unit.air_percent(), "P", 1)),
        Parameter("Pa", 0, _converted(lambda unit: unit.air_hpa(), "T", "P", _PRESSURES)),
    ),
    "R": (
        Parameter("Rc", 0, _amount(lambda unit: unit.gauge.rain.amount, "U", _AMOUNTS)),
        Parameter("Rd", 1, _plain(_rain(lambda unit: unit.gauge.rain.duration_s), "s", 0)),
        Parameter("Ri", 2, _amount(lambda unit: unit.weather.rain_mm_h, "U", _INTENSITIES)),
        Parameter("Hc", 3, _amount(lambda unit: unit.gauge.hail.amount, "S", _HAIL)),
        Parameter("Hd", 4, _plain(_rain(lambda unit: unit.gauge.hail.duration_s), "s", 0)),
        Parameter("Hi", 5, _amount(lambda unit: unit.weather.hail_hits_cm2_h, "S", _HAIL)),
        Parameter("Rp", 6, _amount(lambda unit: unit.gauge.rain.peak_per_h, "U", _INTENSITIES)),
        Parameter("Hp", 7, _amount(lambda unit: unit.gauge.hail.peak_per_h, "S", _HAIL)),
    ),
    "S": (
        Parameter("Th", 0, _temperature(_supervisor(lambda unit: unit.heating.heater_c))),
        Parameter("Vh", 1, _heating_voltage),
        Parameter("Vs", 2, _plain(_supervisor(lambda unit: unit.supply_v), "V", 1)),
        Parameter("Vr", 3, _plain(_supervisor(lambda unit: unit.reference_v), "V", 3)),
    ),
}
"""Groups by the letter of their settings; each in the order in which it is sent."""


def chosen(unit: VaisalaWXT530, group: str, *, composite: bool) -> dict[str, Text]:
    """Give the values of a group that its mask chooses, by name."""
    mask = unit.settings.mask(group, composite=composite)
    return {each.name: each.show(unit) for each in GROUPS[group] if mask[each.bit] == "1"}
