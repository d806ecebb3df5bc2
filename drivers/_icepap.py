"""What an IcePAP means by its words and numbers. Pure.

Source: the sheet of the instrument. What ``?HOMESTAT`` answers is not on it, but in the PyPI
package ``icepap`` (a word and a direction); the words are general knowledge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers._motion_axis import AxisState
from mktl.errors import DeviceRefused, ProtocolMismatch

__all__ = [
    "AXES",
    "BOARD_MODES",
    "DIRECTIONS",
    "DISABLED",
    "LIMITS",
    "STATUS_BITS",
    "STOP_CODES",
    "IcepapState",
    "acknowledged",
    "head_of",
    "home_result",
    "to_float",
    "to_int",
    "to_word",
    "values_of",
]

AXES = tuple(rack * 10 + driver for rack in range(16) for driver in range(1, 9))
"""Addresses that a driver board can have."""

STATUS_BITS = {
    0: "Present",
    1: "Alive",
    9: "Ready",
    10: "Moving",
    11: "Settling",
    12: "Out of window",
    13: "Warning",
    18: "Limit switch +",
    19: "Limit switch -",
    20: "Home switch",
    21: "5 V power",
    22: "Version error",
    23: "Power on",
}
"""Bits of the status word that mean something by themselves."""
BOARD_MODES = {0: "Operation", 1: "Programming", 2: "Test", 3: "Failure"}
DISABLED = {
    0: "Enabled",
    1: "Not active",
    2: "Hardware alarm",
    3: "Rack input",
    4: "Rack switch",
    5: "Axis input",
    6: "Axis switch",
    7: "By software",
}
"""Why the motor has no power."""
STOP_CODES = {
    0: "End of the move",
    1: "Stop",
    2: "Abort",
    3: "Limit switch +",
    4: "Limit switch -",
    5: "Settling timeout",
    6: "Axis disabled",
    7: "Code 7",
    8: "Internal failure",
    9: "Motor failure",
    10: "Power overload",
    11: "Overheated",
    12: "Closed loop error",
    13: "Encoder error",
    14: "Code 14",
    15: "External alarm",
}
LIMITS = {0: "Positive", 1: "Negative"}
"""Bits of the channel that gives the limit switches."""
DIRECTIONS = {1: "Positive", -1: "Negative", 0: "Zero"}
"""What HOME takes."""

_SEARCHES = {"FOUND": "", "MOVING": None, "NOTFOUND": "the home position was not found"}
_HEX = re.compile(r"(0[xX])?[0-9a-fA-F]{1,8}")
_INT = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class IcepapState(AxisState):
    """One axis, by its status word and its position."""

    word: int
    """The status word."""

    @classmethod
    def of(cls, word: int, steps: int, connection: int) -> IcepapState:
        """Read the status *word*."""
        code = field(word, 14, 4)
        return cls(
            steps=steps,
            moving=bool(word >> 10 & 3),
            connection=connection,
            stop=f"stop code {code}: {STOP_CODES[code]}" if code else "",
            faults=tuple(_faults(word)),
            word=word,
        )

    @property
    def present(self) -> bool:
        """Whether there is a board at its address."""
        return bool(self.word & 1)

    @property
    def limits(self) -> int:
        """The limit switches, as the bits of :data:`LIMITS`."""
        return field(self.word, 18, 2)

    @property
    def stop_code(self) -> int:
        """A number of :data:`STOP_CODES`."""
        return field(self.word, 14, 4)

    @property
    def disabled(self) -> int:
        """A number of :data:`DISABLED`."""
        return field(self.word, 4, 3)

    @property
    def mode(self) -> int:
        """A number of :data:`BOARD_MODES`."""
        return field(self.word, 2, 2)

    @property
    def flags(self) -> int:
        """The bits of :data:`STATUS_BITS`."""
        return self.word & sum(1 << bit for bit in STATUS_BITS)


def field(word: int, lowest: int, width: int) -> int:
    """Return *width* bits of *word* as a number."""
    return word >> lowest & ((1 << width) - 1)


def _faults(word: int) -> list[str]:
    """Return what can keep an axis from its target."""
    found = []
    if not word >> 1 & 1:
        found.append("the board is not alive")
    if (mode := field(word, 2, 2)) == 3:
        found.append(f"the board is in the mode {BOARD_MODES[mode].lower()}")
    if code := field(word, 4, 3):
        found.append(f"the motor power is disabled: {DISABLED[code].lower()}")
    elif not word >> 23 & 1:
        found.append("the motor power is off")
    if word >> 12 & 1:
        found.append("it is out of its window")
    return found


def head_of(message: str) -> str:
    """Return what the reply to *message* begins with: ``1:?POS``, ``1:MOVE``."""
    return message.removeprefix("#").split(maxsplit=1)[0].upper()


def values_of(message: str, reply: str) -> str:
    """Return what stands behind the repeated word of a *reply*.

    Raises:
        DeviceRefused: it is an error, in words.
        ProtocolMismatch: it is the reply to something else.
    """
    head, *rest = reply.split(maxsplit=1)[:2] or [""]
    if head.removeprefix("#").upper() != head_of(message):
        raise ProtocolMismatch(f"{reply!r} came back, which does not repeat {head_of(message)!r}")
    values = rest[0].strip() if rest else ""
    word, _, reason = values.partition(" ")
    if word.upper() == "ERROR":
        raise DeviceRefused(f"the controller refused {message!r}: {reason.strip() or 'ERROR'}")
    return values


def acknowledged(message: str, reply: str) -> None:
    """Make sure that *reply* says OK.

    Raises:
        DeviceRefused: it is an error, in words.
        ProtocolMismatch: it is anything else.
    """
    values = values_of(message, reply)
    if values.upper() != "OK":
        raise ProtocolMismatch(f"{reply!r} came back, which is neither OK nor an error")


def to_word(text: str) -> int:
    """Read a status word.

    Raises:
        ValueError: it is none.
    """
    if not _HEX.fullmatch(text):
        raise ValueError(f"{text!r} is not a status word")
    return int(text, 16)


def to_int(text: str) -> int:
    """Read a position.

    Raises:
        ValueError: it is not a whole number.
    """
    if not _INT.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def to_float(text: str) -> float:
    """Read a velocity, or a time.

    Raises:
        ValueError: it is not a number.
    """
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def home_result(text: str) -> str | None:
    """Return why the home position was not found; empty: it was; ``None``: it is searched for.

    Raises:
        ValueError: *text* is not the state of a search.
    """
    word = text.partition(" ")[0].upper()
    if word not in _SEARCHES:
        raise ValueError(f"{text!r} is not the state of a search for the home position")
    return _SEARCHES[word]
