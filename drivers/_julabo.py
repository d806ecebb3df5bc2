"""What a Julabo means by its numbers: tables, strict readers, checks of arguments.

Source: the sheet of the instrument, sections "Commands" and "Bad input".
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from numbers import Real

from drivers._suggest import suggestion
from drivers.controller import NoNumber
from drivers.framing import TerminatedReplies
from drivers.settings import LineSettings
from mktl.errors import BadValue, ConfigurationError

__all__ = [
    "ACTIVE",
    "ALARMS",
    "ALARM_STATE",
    "CASES",
    "CONFIRMS",
    "MODELS",
    "NO_ALARM",
    "OTHER_ALARM",
    "PUMP",
    "REFUSALS",
    "SETPOINT",
    "STATES",
    "TN",
    "TV",
    "UNCLEAR_STATE",
    "XP",
    "LineFeedReplies",
    "Registers",
    "Setting",
    "Status",
    "check_lost_reply",
    "chosen",
    "on_or_off",
    "to_float",
    "to_int",
    "to_status",
    "upper",
    "why_refused",
]

STATES = {0: "Manual, stopped", 1: "Manual, running", 2: "Remote, stopped", 3: "Remote, running"}
ALARM_STATE, UNCLEAR_STATE = 4, 5
_STATE_WORDS = {0: "MANUAL STOP", 1: "MANUAL START", 2: "REMOTE STOP", 3: "REMOTE START"}
CASES = ("lower", "upper")
"""How commands can be sent; a unit takes both, and lewis (a simulator) upper case only."""

CONFIRMS = ("status", "read_back")
"""How it can be known that a command was taken."""

REFUSALS = {
    8: "invalid command",
    9: "not allowed in the current mode",
    10: "the value is too small",
    11: "the value is too large",
    13: "outside the temperature limits",
}
"""Codes (without their sign) that tell, once, of a command that was refused."""

NO_ALARM, OTHER_ALARM = 0, 9999
ALARMS = {
    1: "Low level",
    3: "Over-temperature warning",
    4: "Under-temperature warning",
    5: "Working sensor",
    6: "Sensor difference",
    14: "Excess temperature protection",
    15: "External sensor",
    33: "Safety sensor",
    38: "External sensor missing",
    40: "Level early warning",
    41: "Level early warning (41)",
    60: "Internal fault (60)",
    61: "Internal fault (61)",
    62: "Internal fault (62)",
    63: "Internal fault (63)",
    1501: "Serial watchdog",
}
"""Codes (without their sign) of conditions that last."""

_STATUS = re.compile(r"(-?)(\d{1,5})(?:\s+(.*))?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,5}(\.\d+)?", re.ASCII)
_NO_VALUE = re.compile(r"[-*.\s]*-[-*.\s]*")


@dataclass(frozen=True, slots=True)
class Registers:
    """Where one family of models keeps what the others keep elsewhere."""

    power: str = "in_pv_01"
    """Heating power."""
    external: str = "in_pv_02"
    """External sensor."""
    high: str = "in_sp_03"
    """High warning limit."""
    low: str = "in_sp_04"
    """Low warning limit."""
    named: re.Pattern[str] = re.compile(r"(?!.*FP50).*", re.IGNORECASE)
    """How a unit of the family may answer ``version``."""


_FP50 = re.compile(r".*FP50.*", re.IGNORECASE)
MODELS = {
    "cf31": Registers(),
    "corio": Registers(),
    "magio": Registers(),
    "dyneo": Registers(),
    "fp50-mh": Registers("in_pv_02", "in_pv_01", "in_sp_01", "in_sp_02", _FP50),
    "fp50-he": Registers("in_pv_02", "in_pv_01", named=_FP50),
}
"""By the setting ``model``. Source: sheet, rows "heating power" and "high / low warning limits"."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One number that can be set."""

    register: str
    """What follows ``out_`` and ``in_``."""
    low: float
    """Least value."""
    high: float
    """Greatest value."""
    decimals: int
    """Digits after the point that are sent."""
    what: str
    """What it is, with units, for errors."""

    def text(self, value: object) -> str:
        """Return *value* as the unit reads it.

        Raises:
            BadValue: it is not a number from *low* to *high*, or not a whole one where it must be.
        """
        if isinstance(value, Real) and not isinstance(value, bool):
            number = float(value)
            whole = self.decimals > 0 or number.is_integer()
            if self.low <= number <= self.high and math.isfinite(number) and whole:
                return f"{number:.{self.decimals}f}"
        kind = "a number" if self.decimals else "a whole number"
        limits = (
            f" from {self.low:g} to {self.high:g}" if math.isfinite(self.high - self.low) else ""
        )
        raise BadValue(f"{self.what} is {kind}{limits}, not {value!r}")


SETPOINT = Setting("sp_00", -273.15, 999.99, 2, "a set-point in degrees Celsius")
PUMP = Setting("sp_07", 1, 4, 0, "a pump stage")
ACTIVE = Setting("mode_01", 0, 2, 0, "the active set-point (0 is the first one)")
XP = Setting("par_06", 0.1, 99.9, 1, "Xp")
TN = Setting("par_07", 3, 9999, 0, "Tn")
TV = Setting("par_08", 0, 999, 0, "Tv")


@dataclass(frozen=True, slots=True)
class Status:
    """The answer to ``status``."""

    code: int
    """A number of :data:`STATES`, or a negative one."""
    text: str
    """All of it, as the unit gave it."""

    @property
    def refusal(self) -> str:
        """Why the unit refused a command; empty if it does not speak of one."""
        words = REFUSALS.get(-self.code)
        return "" if words is None else f"{self.text!r}: {words}"

    @property
    def manual(self) -> bool:
        """Whether the unit says that it obeys its keys only."""
        return self.code >= 0 and "MANUAL" in self.text.upper()

    @property
    def state(self) -> int:
        """A number of :data:`STATES`, or :data:`ALARM_STATE`.

        Or :data:`UNCLEAR_STATE`, where number and words say different things.
        """
        if self.code < 0:
            return ALARM_STATE
        clear = _STATE_WORDS[self.code] == _words(self.text.partition(" ")[2])
        return self.code if clear else UNCLEAR_STATE

    @property
    def alarm(self) -> int:
        """A number of :data:`ALARMS`, :data:`NO_ALARM` or :data:`OTHER_ALARM`."""
        if self.code >= 0:
            return NO_ALARM
        return -self.code if -self.code in ALARMS else OTHER_ALARM


class LineFeedReplies(TerminatedReplies):
    """Replies that end with LF, and mostly with CR LF: which of both differs by model."""

    def __init__(self, *, limit: int = 256) -> None:
        """Begin with an empty buffer; *limit* as for all replies with a terminator."""
        super().__init__(b"\n", limit=limit)

    def next_reply(self) -> bytes | None:
        """Return the oldest complete reply, without CR at its end."""
        reply = super().next_reply()
        return None if reply is None else reply.removesuffix(b"\r")


def to_status(text: str) -> Status:
    """Read the answer to ``status``.

    Raises:
        ValueError: it is anything else, such as a number of something else.
    """
    found = _STATUS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a status")
    number, words = int(found[2]), _words(found[3] or "")
    # Words are required: a number alone might be the answer to something else.
    if found[1] and number and words:
        return Status(-number, text.strip())
    known = number in STATES and words in _STATE_WORDS.values() and len(found[2]) == 2
    if found[1] or not known:
        raise ValueError(f"{text!r} is not a status")
    return Status(number, text.strip())


def _words(text: str) -> str:
    return " ".join(text.upper().split())


def why_refused(command: str, status: Status, now: Status) -> str:
    """Say in words why *command* was refused, with the state that the unit is in now."""
    hint = f"the unit is in the state {now.text!r}"
    if now.manual:
        hint += ": it obeys in remote mode only, which is chosen at its panel"
    return f"the unit refused {command!r}: {status.refusal}; nothing was changed; {hint}"


def chosen(name: str, value: object, known: Collection[str]) -> str:
    """Return *value* of the setting *name*.

    Raises:
        ConfigurationError: it is none of *known*.
    """
    if not (isinstance(value, str) and value in known):
        raise ConfigurationError(f"{name} {value!r}: {suggestion(str(value), known)}")
    return value


def upper(settings: LineSettings) -> LineSettings:
    """Return *settings* for a unit that is spoken to in upper case."""
    assert settings.identity is not None
    return replace(
        settings,
        identity=replace(settings.identity, ask=settings.identity.ask.upper()),
        settle_after=tuple((head.upper(), rest_s) for head, rest_s in settings.settle_after),
    )


def check_lost_reply(reply: str) -> str:
    """Look at a reply that nobody gets: a refusal is not told a second time."""
    try:
        status = to_status(reply)
    except ValueError:
        return ""
    if not status.refusal:
        return ""
    return f"the unit refused something that was sent and not answered: {status.refusal}"


def on_or_off(value: object) -> int:
    """Return 1 or 0.

    Raises:
        BadValue: it is neither true nor false.
    """
    if not (isinstance(value, int) and value in (0, 1)):
        raise BadValue(f"on or off is wanted, not {value!r}")
    return int(value)


def to_float(text: str) -> float:
    """Read a number.

    Raises:
        NoNumber: there are dashes in its place.
        ValueError: it is anything else.
    """
    if _NO_VALUE.fullmatch(text):
        raise NoNumber(f"the unit has no value, it says {text!r}")
    if not text.isascii() or not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a number as the unit writes it")
    return float(text)


def to_int(text: str, allowed: range) -> int:
    """Read a whole number that is one of *allowed*.

    Raises:
        ValueError: it is anything else.
    """
    value = to_float(text)
    if value not in allowed:
        raise ValueError(f"{text!r} is not one of the numbers that can come here")
    return int(value)
