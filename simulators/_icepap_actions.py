"""What the axes of an IcePAP can be told. Of several at once either all obey, or none does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators._icepap_axis import IcepapAxis, Phase
from simulators._icepap_words import IcepapError, Reason, Stop

__all__ = ["ACTIONS", "Action"]

FASTEST = 1_000_000.0
"""Steps per second; the sheet has no limit, so this is the twin's choice."""
_SLOWEST_ACCTIME_S = 1000.0
_MOST_STEPS = 2**31 - 1

_WHOLE = re.compile(r"[+-]?\d{1,12}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_OPTIONS = ("GROUP", "STRICT")
_REGISTERS = ("AXIS", "MEASURE", "ENCIN")

Parse = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Action:
    """Something that an axis can be told."""

    run: Callable[[IcepapAxis, Any], None]
    """Does it, with the checked value."""
    check: Callable[[IcepapAxis, Any], None] = lambda _axis, _value: None
    """Raises `IcepapError` if the axis cannot do it now."""
    parse: Parse | None = None
    """Turns a word into the value; None: it takes none."""
    value_first: bool = False
    """True: one value for all axes stands before them, as in ``POWER ON 1 2``."""
    moves: bool = False
    """True: ``GROUP`` and ``STRICT`` may stand before the axes."""
    register: bool = False
    """True: the name of a register may stand before the axes."""

    def value(self, words: list[str]) -> Any:
        """Read what follows the command to one axis.

        Raises:
            IcepapError: it makes no sense.
        """
        words = self._without_options(words)
        if len(words) != (self.parse is not None):
            raise IcepapError(Reason.WRONG_PARAMETERS)
        return self.parse(words[0]) if self.parse is not None else None

    def orders(self, words: list[str]) -> dict[str, Any]:
        """Read what follows the system form: the value for each axis.

        Raises:
            IcepapError: it makes no sense.
        """
        words = self._without_options(words)
        if self.parse is None:
            pairs = [(word, None) for word in words]
        elif self.value_first:
            value = self.parse(words[0]) if words else None
            pairs = [(word, value) for word in words[1:]]
        elif len(words) % 2:
            raise IcepapError(Reason.WRONG_PARAMETERS)
        else:
            pairs = [
                (axis, self.parse(word)) for axis, word in zip(words[::2], words[1::2], strict=True)
            ]
        orders = {str(int(axis)) if axis.isdecimal() else axis: value for axis, value in pairs}
        if not orders or len(orders) < len(pairs):
            raise IcepapError(Reason.WRONG_PARAMETERS)
        return orders

    def carry_out(self, orders: Mapping[IcepapAxis, Any], *, grouped: bool) -> None:
        """Have the axes do it; *grouped*: when one of them is stopped, all stop.

        Raises:
            IcepapError: one of them cannot, so none does.
        """
        for axis, value in orders.items():
            self.check(axis, value)
        for axis, value in orders.items():
            self.run(axis, value)
        if self.moves and grouped:
            _join(frozenset(orders))

    def try_on(self, axis: IcepapAxis, value: Any) -> None:
        """Have *axis* do it, unless it cannot: nobody hears of it."""
        try:
            self.check(axis, value)
            self.run(axis, value)
        except IcepapError:
            return

    def _without_options(self, words: list[str]) -> list[str]:
        options = (*(_OPTIONS if self.moves else ()), *(_REGISTERS if self.register else ()))
        while words and words[0].upper() in options:
            words = words[1:]
        return words


def _join(group: frozenset[IcepapAxis]) -> None:
    for axis in group:
        if axis.phase is not Phase.REST:
            axis.group = group - {axis}
    if any(axis.phase is Phase.REST and axis.stop_code is not Stop.END for axis in group):
        for axis in group:
            axis.stop()


def _steps(word: str) -> int:
    if not _WHOLE.fullmatch(word) or abs(int(word)) > _MOST_STEPS:
        raise IcepapError(Reason.WRONG_PARAMETERS)
    return int(word)


def _number(word: str, low: float, high: float) -> float:
    value = float(word) if _NUMBER.fullmatch(word) else low - 1
    if not low <= value <= high:
        raise IcepapError(Reason.WRONG_PARAMETERS)
    return value


def _positive(high: float) -> Parse:
    def parse(word: str) -> float:
        value = _number(word, 0.0, high)
        if not value:
            raise IcepapError(Reason.WRONG_PARAMETERS)
        return value

    return parse


def _velocity(word: str) -> float:
    return _number(word, -FASTEST, FASTEST)


def _one_of(values: Mapping[str, Any]) -> Parse:
    def parse(word: str) -> Any:
        if word.upper() not in values:
            raise IcepapError(Reason.WRONG_PARAMETERS)
        return values[word.upper()]

    return parse


def _check_rest(axis: IcepapAxis, _value: Any) -> None:
    if axis.phase is not Phase.REST:
        raise IcepapError(Reason.MOVING)


def _check_move(axis: IcepapAxis, _value: Any) -> None:
    axis.check_can_move()


def _check_relative(axis: IcepapAxis, steps: int) -> None:
    axis.check_can_move()
    if abs(axis.position + steps) > _MOST_STEPS:
        raise IcepapError(Reason.WRONG_PARAMETERS)


def _check_jog(axis: IcepapAxis, _value: Any) -> None:
    axis.check_can_move(jog=True)


def _set_velocity(axis: IcepapAxis, value: float) -> None:
    axis.velocity = value


def _set_acctime(axis: IcepapAxis, value: float) -> None:
    axis.acctime_s = value


def _set_name(axis: IcepapAxis, value: str) -> None:
    axis.name = value


ACTIONS: Mapping[str, Action] = {
    "POS": Action(IcepapAxis.set_position, _check_rest, _steps, register=True),
    "ENC": Action(IcepapAxis.set_encoder, _check_rest, _steps, register=True),
    "VELOCITY": Action(_set_velocity, _check_rest, _positive(FASTEST)),
    "ACCTIME": Action(_set_acctime, _check_rest, _positive(_SLOWEST_ACCTIME_S)),
    "POWER": Action(
        IcepapAxis.set_power, parse=_one_of({"ON": True, "OFF": False}), value_first=True
    ),
    "MOVE": Action(IcepapAxis.move_to, _check_move, _steps, moves=True),
    "RMOVE": Action(
        lambda axis, steps: axis.move_to(axis.position + steps), _check_relative, _steps, moves=True
    ),
    "JOG": Action(IcepapAxis.jog, _check_jog, _velocity, moves=True),
    "HOME": Action(
        IcepapAxis.search_home,
        _check_move,
        _one_of({"1": 1, "+1": 1, "-1": -1, "0": 0}),
        moves=True,
    ),
    "STOP": Action(lambda axis, _none: axis.stop()),
    "ABORT": Action(lambda axis, _none: axis.abort()),
    "NAME": Action(_set_name, parse=str),
}
"""By the word."""
