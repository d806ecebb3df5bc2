"""What the control port can read and set of a WXT530."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators._quantities import flag, number
from simulators._vaisala_settings import MODES
from simulators._weather_quantities import weather_quantities
from simulators.device import Quantity

if TYPE_CHECKING:
    from simulators.vaisala_wxt530 import VaisalaWXT530


def quantities_of(unit: VaisalaWXT530) -> dict[str, Quantity]:
    """Give all quantities of *unit* by name."""
    return weather_quantities(unit.weather) | _of_sensors(unit) | _of_unit(unit)


def _of_sensors(unit: VaisalaWXT530) -> dict[str, Quantity]:
    return {
        "wind_invalid": flag(unit, "wind_invalid", "1: there is no wind to be measured"),
        "temperature_invalid": flag(unit, "temperature_invalid", "1: no temperature"),
        "humidity_invalid": flag(unit, "humidity_invalid", "1: no humidity"),
        "pressure_invalid": flag(unit, "pressure_invalid", "1: no pressure"),
        "rain_invalid": flag(unit, "rain_invalid", "1: no rain and hail"),
        "supervisor_invalid": flag(unit, "supervisor_invalid", "1: no values of the unit itself"),
        "rain_mm": _of_rain(unit, "amount", "mm", "rain since the last reset"),
        "rain_s": _of_rain(unit, "duration_s", "s", "duration of rain since the last reset"),
        "rain_peak_mm_h": _of_rain(unit, "peak_per_h", "mm/h", "heaviest rain since a reset"),
        "hail_hits_cm2": Quantity(
            "hits/cm2", "hail since the last reset", lambda: unit.gauge.hail.amount
        ),
    }


def _of_rain(unit: VaisalaWXT530, name: str, units: str, doc: str) -> Quantity:
    # Not of the rain itself, which is replaced by a reset.
    return Quantity(
        units,
        doc,
        lambda: float(getattr(unit.gauge.rain, name)),
        lambda value: setattr(unit.gauge.rain, name, value),
        high=1e5,
    )


def _of_unit(unit: VaisalaWXT530) -> dict[str, Quantity]:
    return {
        "heater_c": number(unit.heating, "heater_c", "C", "temperature of the heating", -60, 90),
        "heating_v": number(unit, "heating_v", "V", "voltage of the heating", 0, 36),
        "heater_fault": flag(unit.heating, "fault", "1: the heating is broken"),
        "supply_v": number(unit, "supply_v", "V", "supply voltage", 0, 36),
        "reference_v": number(unit, "reference_v", "V", "reference voltage", 0, 5),
        "mode": Quantity(
            "",
            f"message mode in force, by its place in {MODES}; set, it is in force at once",
            lambda: float(MODES.index(unit.mode)),
            lambda value: unit.set_mode(MODES[int(value)]),
            high=len(MODES) - 1,
            whole=True,
        ),
        "restarts": Quantity("", "restarts so far", lambda: float(unit.restarts)),
    }
