"""The command table of a circulator, as its sheet has it.

Pure: a line in; the reply out, or a setting that is checked and carried out, or a rejection.
Beside what the sheet names, each ``out_`` command has its ``in_`` command, and set-points 2 and 3
are ``sp_01`` and ``sp_02``, as in the PyPI package ``julabo`` that the sheet names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators._julabo_status import RejectedError, Rejection

if TYPE_CHECKING:
    from simulators.julabo import Julabo

COLDEST_C, HOTTEST_C = -30.0, 200.0
"""Set-points that the unit can have at all; the sheet has none, so this is the twin's choice."""
NO_READING = "---.--"
"""What stands for a temperature without a sensor (the twin's choice)."""

_LINE = re.compile(r"([a-z0-9_]+)(?: +(\S+))?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")


@dataclass(frozen=True, slots=True)
class Setting:
    """What an ``out_`` command sets."""

    low: float
    """Smallest value; below it: -10."""
    high: float
    """Largest value; above it: -11."""
    store: Callable[[Julabo, float], None]
    """Gets the unit and the checked value; may still reject it."""
    whole: bool = True
    """True: only whole numbers."""


def obey(unit: Julabo, line: str) -> str | None:
    """Obey one command in lower case and give the reply, None for one without.

    Raises:
        RejectedError: it is not obeyed; nothing has changed.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        raise RejectedError(Rejection.INVALID)
    name, value = match.groups()
    if name in QUERIES and value is None:
        return QUERIES[name](unit)
    if name not in SETTINGS or value is None:
        raise RejectedError(Rejection.INVALID)
    _set(unit, SETTINGS[name], value)
    return None


def _set(unit: Julabo, setting: Setting, text: str) -> None:
    if not _NUMBER.fullmatch(text):
        raise RejectedError(Rejection.INVALID)
    value = float(text)
    if setting.whole and not value.is_integer():
        raise RejectedError(Rejection.INVALID)
    if not unit.remote:
        raise RejectedError(Rejection.NOT_NOW)
    if value < setting.low:
        raise RejectedError(Rejection.TOO_SMALL)
    if value > setting.high:
        raise RejectedError(Rejection.TOO_LARGE)
    setting.store(unit, value)


def _setpoint(index: int) -> Setting:
    def store(unit: Julabo, celsius: float) -> None:
        if not unit.low_limit_c <= celsius <= unit.high_limit_c:
            raise RejectedError(Rejection.OUTSIDE_LIMITS)
        unit.setpoints_c[index] = round(celsius, 2)

    return Setting(COLDEST_C, HOTTEST_C, store, whole=False)


def _start_or_stop(unit: Julabo, on: float) -> None:
    if on and unit.alarm:
        raise RejectedError(Rejection.NOT_NOW)
    if on:
        unit.start()
    else:
        unit.stop()


def _select(unit: Julabo, number: float) -> None:
    unit.active_setpoint = int(number)


def _select_sensor(unit: Julabo, external: float) -> None:
    unit.external_control = bool(external)


def _set_pump(unit: Julabo, stage: float) -> None:
    unit.pump_stage = int(stage)


def _set_band(unit: Julabo, kelvin: float) -> None:
    unit.controller.band_k = round(kelvin, 1)


def _set_reset(unit: Julabo, seconds: float) -> None:
    unit.controller.reset_s = seconds


def _set_derivative(unit: Julabo, seconds: float) -> None:
    unit.controller.derivative_s = seconds


def _reading(celsius: float | None) -> str:
    return NO_READING if celsius is None else _fixed(celsius, 2)


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


QUERIES: Mapping[str, Callable[[Julabo], str]] = {
    "version": lambda unit: unit.disguise or unit.identity,
    "status": lambda unit: unit.take_status(),
    "in_pv_00": lambda unit: _reading(unit.shown_bath_c()),
    "in_pv_01": lambda unit: _fixed(unit.percent, 1),
    "in_pv_02": lambda unit: _reading(unit.shown_external_c()),
    "in_pv_03": lambda unit: _reading(unit.shown_safety_c()),
    "in_pv_04": lambda unit: _fixed(unit.excess_c, 2),
    "in_sp_00": lambda unit: _fixed(unit.setpoints_c[0], 2),
    "in_sp_01": lambda unit: _fixed(unit.setpoints_c[1], 2),
    "in_sp_02": lambda unit: _fixed(unit.setpoints_c[2], 2),
    "in_sp_03": lambda unit: _fixed(unit.high_limit_c, 2),
    "in_sp_04": lambda unit: _fixed(unit.low_limit_c, 2),
    "in_sp_07": lambda unit: str(unit.pump_stage),
    "in_mode_01": lambda unit: str(unit.active_setpoint),
    "in_mode_04": lambda unit: f"{unit.external_control:d}",
    "in_mode_05": lambda unit: f"{unit.running:d}",
    "in_par_06": lambda unit: _fixed(unit.controller.band_k, 1),
    "in_par_07": lambda unit: _fixed(unit.controller.reset_s, 0),
    "in_par_08": lambda unit: _fixed(unit.controller.derivative_s, 0),
}
"""Commands that are answered."""

SETTINGS: Mapping[str, Setting] = {
    "out_sp_00": _setpoint(0),
    "out_sp_01": _setpoint(1),
    "out_sp_02": _setpoint(2),
    "out_sp_07": Setting(1, 4, _set_pump),
    "out_mode_01": Setting(0, 2, _select),
    "out_mode_04": Setting(0, 1, _select_sensor),
    "out_mode_05": Setting(0, 1, _start_or_stop),
    "out_par_06": Setting(0.1, 99.9, _set_band, whole=False),
    "out_par_07": Setting(3, 9999, _set_reset),
    "out_par_08": Setting(0, 999, _set_derivative),
}
"""Commands that take a value and are silent."""
