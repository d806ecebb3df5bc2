"""What the control port can read and set of a circulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators._julabo_status import Sensor
from simulators._quantities import flag, number
from simulators.device import Quantity

if TYPE_CHECKING:
    from simulators.julabo import Julabo

_COLDEST_C, _HOTTEST_C = -100.0, 400.0


def quantities_of(unit: Julabo) -> dict[str, Quantity]:
    """Give all quantities of *unit* by name."""
    return _of_physics(unit) | _of_unit(unit) | _of_state(unit)


def _of_physics(unit: Julabo) -> dict[str, Quantity]:
    bath = unit.bath
    return {
        "bath_c": _celsius(bath, "bath_c", "temperature of the bath"),
        "external_c": _celsius(bath, "head_c", "temperature of the camera head (external Pt100)"),
        "room_c": _celsius(bath, "room_c", "temperature of the room"),
        "load_w": number(bath, "load_w", "W", "heat of the camera", 0, 2000),
        "cooler_works": flag(bath, "cooler_works", "0: the compressor does nothing"),
        "heater_stuck": flag(bath, "heater_stuck", "1: the heater gives full power always"),
    }


def _of_unit(unit: Julabo) -> dict[str, Quantity]:
    return {
        "level_percent": number(
            unit,
            "level_percent",
            "%",
            "level in the bath: below 10 alarm, below 25 or above 95 early warning",
            0,
            100,
        ),
        "working_sensor_broken": flag(unit, "working_broken", "1: no working sensor"),
        "safety_sensor_broken": flag(unit, "safety_broken", "1: no safety sensor"),
        "safety_offset_k": number(
            unit, "safety_offset_k", "K", "what the safety sensor reads beyond the bath", -200, 200
        ),
        "external_sensor": Quantity(
            "",
            "external Pt100: 0 good, 1 missing, 2 broken",
            lambda: float(unit.external_sensor),
            lambda value: setattr(unit, "external_sensor", Sensor(int(value))),
            high=2,
            whole=True,
        ),
        "internal_error": Quantity(
            "",
            "0: none, 1 to 4: alarm -60 to -63",
            lambda: float(unit.internal_error),
            lambda value: setattr(unit, "internal_error", int(value)),
            high=4,
            whole=True,
        ),
        "noise_k": number(unit, "noise_k", "K", "noise of a temperature reading", 0, 10),
        "flow_bytes": flag(unit, "flow_bytes", "1: replies have XON and XOFF in them"),
        "remote": flag(unit, "remote", "1: remote mode, 0: manual, out commands are refused"),
        "watchdog": flag(unit, "watchdog_on", "1: alarm -1501 after 30 s without a message"),
        "setpoint_2_c": _setpoint(unit, 1),
        "setpoint_3_c": _setpoint(unit, 2),
        "high_limit_c": _celsius(unit, "high_limit_c", "warning limit in_sp_03"),
        "low_limit_c": _celsius(unit, "low_limit_c", "warning limit in_sp_04"),
        "excess_c": _celsius(unit, "excess_c", "excess temperature protection in_pv_04"),
    }


def _of_state(unit: Julabo) -> dict[str, Quantity]:
    return {
        "alarm": Quantity(
            "",
            "code of the alarm; 0: none, and setting it to 0 resets it at the unit",
            lambda: float(unit.alarm),
            lambda _zero: unit.acknowledge(),
            low=0,
            high=0,
        ),
        "running": Quantity("", "1: started", lambda: float(unit.running)),
        "pump_stage": Quantity("", "stage of the pump", lambda: float(unit.pump_stage)),
        "power_percent": Quantity("%", "power, negative: cooling", lambda: unit.percent),
    }


def _celsius(owner: object, name: str, doc: str) -> Quantity:
    return number(owner, name, "C", doc, _COLDEST_C, _HOTTEST_C)


def _setpoint(unit: Julabo, index: int) -> Quantity:
    return Quantity(
        "C",
        f"set-point {index + 1}",
        lambda: unit.setpoints_c[index],
        lambda value: unit.setpoints_c.__setitem__(index, value),
        low=_COLDEST_C,
        high=_HOTTEST_C,
    )
