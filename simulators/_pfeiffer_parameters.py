"""The parameters of a turbo drive and of a gauge, as the sheet has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators._pfeiffer_telegrams import EXPONENT, INTEGER, REAL, SHORT
from simulators._pfeiffer_unit import (
    HIGHEST_ADDRESS,
    LOWEST_ADDRESS,
    Parameter,
    flag,
    number,
    text,
)

if TYPE_CHECKING:
    from simulators.pfeiffer_turbo import PfeifferDrive, PfeifferGauge

_RPM = 60.0


def parameters_of_drive(drive: PfeifferDrive) -> dict[int, Parameter]:
    """Give the parameters of a drive by number."""
    rotor = drive.rotor
    switches = {
        2: flag(lambda: drive.standby, lambda on: setattr(drive, "standby", on)),
        9: Parameter(None, flag(lambda: False, drive.acknowledge).write),
        10: flag(lambda: drive.pumping, lambda on: setattr(drive, "pumping", on)),
        23: flag(lambda: drive.motor_on, lambda on: setattr(drive, "motor_on", on)),
    }
    settings = {
        26: number(
            SHORT,
            lambda: drive.speed_mode,
            lambda mode: setattr(drive, "speed_mode", int(mode)),
            high=1,
        ),
        707: number(
            REAL,
            lambda: drive.set_percent,
            lambda percent: setattr(drive, "set_percent", percent),
            low=20,
            high=100,
        ),
        708: number(
            SHORT,
            lambda: drive.power_percent,
            lambda percent: setattr(drive, "power_percent", percent),
            low=10,
            high=100,
        ),
        797: number(
            INTEGER,
            lambda: float(drive.unit or 0),
            lambda address: drive.move_to(int(address)),
            low=LOWEST_ADDRESS,
            high=HIGHEST_ADDRESS,
        ),
    }
    states = {
        302: flag(lambda: drive.past_switch_point),
        303: text(drive.trouble),
        304: flag(lambda: drive.hot_electronics),
        305: flag(lambda: drive.hot_pump),
        306: flag(lambda: drive.at_speed),
        307: flag(lambda: drive.accelerating),
        311: number(INTEGER, lambda: drive.run_s // 3600),
        312: text(lambda: drive.firmware),
        349: text(lambda: drive.disguise or drive.model),
    }
    readings = {
        308: number(INTEGER, lambda: drive.set_hz),
        309: number(INTEGER, lambda: rotor.hz),
        310: number(REAL, lambda: rotor.power_w / max(drive.supply_v, 1.0)),
        313: number(REAL, lambda: drive.supply_v),
        315: number(INTEGER, lambda: rotor.nominal_hz),
        316: number(INTEGER, lambda: rotor.power_w),
        326: number(INTEGER, lambda: rotor.electronics_c),
        330: number(INTEGER, lambda: rotor.bottom_c),
        342: number(INTEGER, lambda: rotor.bearing_c),
        346: number(INTEGER, lambda: rotor.motor_c),
        397: number(INTEGER, lambda: drive.set_hz * _RPM),
        398: number(INTEGER, lambda: rotor.hz * _RPM),
        399: number(INTEGER, lambda: rotor.nominal_hz * _RPM),
    }
    return {**switches, **settings, **states, **readings}


def parameters_of_gauge(gauge: PfeifferGauge) -> dict[int, Parameter]:
    """Give the parameters of a gauge by number."""
    return {
        303: text(lambda: f"Err{gauge.error:03d}" if gauge.error else "000000"),
        312: text(lambda: gauge.firmware),
        349: text(lambda: gauge.disguise or gauge.kind.code),
        740: number(EXPONENT, gauge.shown_hpa),
        741: number(
            SHORT,
            lambda: gauge.selector,
            lambda value: setattr(gauge, "selector", int(value)),
            high=999,
        ),
        742: number(
            REAL,
            lambda: gauge.correction,
            lambda value: setattr(gauge, "correction", value),
            low=0.01,
            high=99.99,
        ),
    }
