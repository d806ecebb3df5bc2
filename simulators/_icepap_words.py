"""What an IcePAP says: errors, stop codes, disable codes, and the bits of its status word.

The numbers, and the reasons that stand in the first part of `Reason`, are those of the sheet. It
has no others, so the rest is the twin's wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum

__all__ = ["DISABLED", "STOPPED", "Bit", "Disable", "IcepapError", "Mode", "Reason", "Stop"]


class Reason(Enum):
    """Why a command is not obeyed."""

    NOT_RECOGNISED = "Command not recognised"
    WRONG_PARAMETERS = "Wrong parameter(s)"
    BAD_ADDRESS = "Bad board address"
    NOT_PRESENT = "Board is not present in the system"
    BROADCAST_QUERY = "Cannot broadcast a query"

    BROADCAST_ACK = "Cannot acknowledge a broadcast"
    MOVING = "Axis is moving"
    POWER_OFF = "Axis power is off"
    DISABLED = "Axis power is disabled"
    NOT_OPER = "Not possible in this mode"


class IcepapError(Exception):
    """A command that is not obeyed; nothing has changed."""

    def __init__(self, reason: Reason) -> None:
        """Remember *reason*."""
        super().__init__(reason.value)
        self.reason = reason


class Stop(IntEnum):
    """Stop codes: how the last motion ended."""

    END = 0
    STOP = 1
    ABORT = 2
    LIMIT_PLUS = 3
    LIMIT_MINUS = 4
    SETTLING = 5
    DISABLED = 6
    INTERNAL = 8
    MOTOR = 9
    OVERLOAD = 10
    OVERHEAT = 11
    CLOSED_LOOP = 12
    ENCODER = 13
    EXTERNAL = 15


STOPPED: Mapping[Stop, str] = {
    Stop.END: "End of movement",
    Stop.STOP: "Stop",
    Stop.ABORT: "Abort",
    Stop.LIMIT_PLUS: "Limit+ reached",
    Stop.LIMIT_MINUS: "Limit- reached",
    Stop.SETTLING: "Settling timeout",
    Stop.DISABLED: "Axis disabled",
    Stop.INTERNAL: "Internal failure",
    Stop.MOTOR: "Motor failure",
    Stop.OVERLOAD: "Power overload",
    Stop.OVERHEAT: "Driver overheating",
    Stop.CLOSED_LOOP: "Closed loop error",
    Stop.ENCODER: "Control encoder error",
    Stop.EXTERNAL: "External alarm",
}
"""Text by stop code."""


class Disable(IntEnum):
    """Disable codes: why the motor has no power."""

    ENABLED = 0
    NOT_ACTIVE = 1
    ALARM = 2
    RACK_INPUT = 3
    RACK_SWITCH = 4
    AXIS_INPUT = 5
    AXIS_SWITCH = 6
    SOFTWARE = 7


DISABLED: Mapping[Disable, str] = {
    Disable.ENABLED: "Enabled",
    Disable.NOT_ACTIVE: "Axis not active",
    Disable.ALARM: "Hardware alarm",
    Disable.RACK_INPUT: "Rack disable input",
    Disable.RACK_SWITCH: "Rack disable switch",
    Disable.AXIS_INPUT: "Axis disable input",
    Disable.AXIS_SWITCH: "Axis disable switch",
    Disable.SOFTWARE: "Software disable",
}
"""Text by disable code."""


class Mode(IntEnum):
    """Modes of a board; CONFIG has no number in the status word, which says OPER then."""

    OPER = 0
    PROG = 1
    TEST = 2
    FAIL = 3
    CONFIG = 4


class Bit(IntEnum):
    """Where things stand in the status word."""

    PRESENT = 0
    ALIVE = 1
    MODE = 2
    DISABLE = 4
    READY = 9
    MOVING = 10
    SETTLING = 11
    OUT_OF_WINDOW = 12
    WARNING = 13
    STOP_CODE = 14
    LIMIT_PLUS = 18
    LIMIT_MINUS = 19
    HOME = 20
    AUXILIARY_POWER = 21
    POWER = 23
