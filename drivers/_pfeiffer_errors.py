"""What the error codes of Pfeiffer drives and gauges mean, in words. Pure.

Source: sheet "Pfeiffer Vacuum Protocol" (gauges; form of the codes), and the operating instructions
of the TC 400 and TM 700 as known from the PyPI package ``pfeiffer-turbo`` (drives).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DRIVE", "ERROR", "GAUGE", "LEVELS", "NONE", "WARNING", "Fault", "to_fault"]

NONE, WARNING, ERROR = 0, 1, 2
LEVELS = {NONE: "None", WARNING: "Warning", ERROR: "Error"}
_LEVEL_OF = {"Wrn": WARNING, "Err": ERROR}

GAUGE = {"Err001": "sensor defective", "Err002": "memory defective"}
DRIVE = {
    "Err001": "rotation speed too high",
    "Err002": "overvoltage",
    "Err006": "run-up took too long",
    "Err008": "connection between drive and pump faulty",
    "Err010": "internal fault of the drive",
    "Err021": "drive does not recognise the pump",
    "Err041": "motor current too high",
    "Err043": "internal fault of the configuration",
    "Err044": "electronics too hot",
    "Err045": "motor too hot",
    "Err046": "internal fault of the initialisation",
    "Err073": "axial bearing overloaded",
    "Err074": "radial bearing overloaded",
    "Err089": "rotor out of its place and not stable",
    "Err091": "internal fault of the drive",
    "Err092": "unknown connection panel",
    "Err093": "temperature of the motor cannot be measured",
    "Err094": "temperature of the electronics cannot be measured",
    "Err098": "internal communication faulty",
    "Err107": "fault of the power stage",
    "Err108": "rotation speed cannot be measured",
    "Err109": "firmware not confirmed",
    "Err114": "temperature of the power stage cannot be measured",
    "Err117": "bottom part of the pump too hot",
    "Err118": "power stage too hot",
    "Err119": "bearing too hot",
    "Err777": "nominal rotation speed not confirmed",
    "Err800": "current of the position sensors too high",
    "Err802": "position sensors out of calibration",
    "Err810": "data set of the pump missing",
    "Err815": "current of the magnetic bearing too high",
    "Err890": "safety bearing worn out",
    "Err891": "rotor out of balance",
    "Wrn007": "undervoltage, or mains failure",
    "Wrn018": "another interface has the control",
    "Wrn076": "electronics hot",
    "Wrn089": "rotor was out of its place",
    "Wrn097": "data of the pump not valid",
    "Wrn098": "data of the pump incomplete",
    "Wrn100": "rotation speed raised to its minimum",
    "Wrn115": "temperature of the bottom part of the pump cannot be measured",
    "Wrn116": "temperature of the bearing cannot be measured",
    "Wrn117": "bottom part of the pump hot",
    "Wrn118": "power stage hot",
    "Wrn119": "bearing hot",
    "Wrn168": "deceleration high",
    "Wrn801": "brake electronics defective",
    "Wrn806": "brake resistor defective",
    "Wrn807": "position sensors need a calibration",
    "Wrn890": "safety bearing soon worn out",
    "Wrn891": "rotor nearly out of balance",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a unit says in its parameter 303."""

    code: str
    """``Err001``, ``Wrn018``; ``000000`` if there is nothing."""
    level: int
    """One of :data:`LEVELS`."""
    meaning: str
    """In words; empty if nobody knows."""

    def __str__(self) -> str:
        """Give the code, and the words behind it."""
        if self.level == NONE:
            return "None"
        return f"{self.code}: {self.meaning or 'see the manual of the unit'}"


def to_fault(code: str, words: Mapping[str, str]) -> Fault:
    """Read *code*, with the meanings in *words*.

    Raises:
        ValueError: it is no code.
    """
    if code == "000000":
        return Fault(code, NONE, "")
    if not re.fullmatch(r"(Err|Wrn)[0-9]{3}", code):
        raise ValueError(f"{code!r} is neither 000000 nor like Err001 or Wrn018")
    return Fault(code, _LEVEL_OF[code[:3]], words.get(code, ""))
