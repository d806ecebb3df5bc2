"""What ``status`` of a circulator can say: rejections, alarms, warnings, and the four modes.

The codes are those of the sheet, section "Bad input"; it has no wording, so the texts are the
twin's. Alarms stop the unit; of a warning (codes -03, -04, -40, -41) the sheet does not say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.julabo import Julabo

WATCHDOG_S = 30.0
"""Seconds without a message after which the serial watchdog trips, if it is enabled."""
SENSOR_DIFFERENCE_K = 35.0
"""Distance of working and safety sensor that is an alarm."""

_EMPTY_PERCENT, _LOW_PERCENT, _FULL_PERCENT = 10.0, 25.0, 95.0


class Rejection(IntEnum):
    """Why a command was not obeyed."""

    INVALID = -8
    NOT_NOW = -9
    TOO_SMALL = -10
    TOO_LARGE = -11
    OUTSIDE_LIMITS = -13


class RejectedError(Exception):
    """A command that is not obeyed; nothing has changed."""

    def __init__(self, why: Rejection) -> None:
        """Remember what the next ``status`` has to say."""
        super().__init__(why.name)
        self.why = why


class Sensor(IntEnum):
    """State of the external Pt100."""

    GOOD = 0
    MISSING = 1
    BROKEN = 2


TEXTS: Mapping[int, str] = {
    -1: "LOW LEVEL ALARM",
    -3: "EXCESS TEMPERATURE WARNING",
    -4: "LOW TEMPERATURE WARNING",
    -5: "WORKING SENSOR SHORT-CIRCUITED OR INTERRUPTED",
    -6: "SENSOR DIFFERENCE ALARM",
    -8: "INVALID COMMAND",
    -9: "COMMAND NOT ALLOWED IN CURRENT OPERATING MODE",
    -10: "VALUE TOO SMALL",
    -11: "VALUE TOO LARGE",
    -13: "VALUE EXCEEDS TEMPERATURE LIMITS",
    -14: "EXCESS TEMPERATURE PROTECTOR ALARM",
    -15: "EXTERNAL SENSOR SHORT-CIRCUITED OR INTERRUPTED",
    -33: "SAFETY SENSOR SHORT-CIRCUITED OR INTERRUPTED",
    -38: "EXTERNAL SENSOR MISSING",
    -40: "LOW LEVEL EARLY WARNING",
    -41: "HIGH LEVEL EARLY WARNING",
    -60: "INTERNAL ERROR",
    -61: "INTERNAL ERROR",
    -62: "INTERNAL ERROR",
    -63: "INTERNAL WATCHDOG ERROR",
    -1501: "SERIAL WATCHDOG TIMEOUT",
}
"""Text by code."""

Test = Callable[["Julabo"], bool]

_ALARMS: Sequence[tuple[int, Test]] = (
    (-14, lambda unit: unit.safety_c > unit.excess_c),
    (-1, lambda unit: unit.level_percent < _EMPTY_PERCENT),
    (-5, lambda unit: unit.working_broken),
    (-33, lambda unit: unit.safety_broken),
    (-6, lambda unit: abs(unit.safety_offset_k) > SENSOR_DIFFERENCE_K),
    (-15, lambda unit: unit.external_control and unit.external_sensor is Sensor.BROKEN),
    (-38, lambda unit: unit.external_control and unit.external_sensor is Sensor.MISSING),
    (-1501, lambda unit: unit.watchdog_on and unit.unheard_s > WATCHDOG_S),
)
_WARNINGS: Sequence[tuple[int, Test]] = (
    (-3, lambda unit: unit.bath.bath_c > unit.high_limit_c),
    (-4, lambda unit: unit.bath.bath_c < unit.low_limit_c),
    (-40, lambda unit: unit.level_percent < _LOW_PERCENT),
    (-41, lambda unit: unit.level_percent > _FULL_PERCENT),
)


def line_of(code: int) -> str:
    """Give the reply to ``status`` for a negative *code*."""
    return f"-{-code:02d} {TEXTS[code]}"


def alarm_of(unit: Julabo) -> int:
    """Give the code of the gravest alarm whose cause is there now; 0: none."""
    if unit.internal_error:
        return -59 - unit.internal_error
    return next((code for code, is_there in _ALARMS if is_there(unit)), 0)


def warning_of(unit: Julabo) -> int:
    """Give the code of the first warning whose cause is there now; 0: none."""
    return next((code for code, is_there in _WARNINGS if is_there(unit)), 0)
