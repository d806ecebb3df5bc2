"""The mnemonics of a TPG 36x, as its sheet has them.

A line in; out comes what the next ENQ reads, again each time, or a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from simulators._tpg_gauges import UNITS

if TYPE_CHECKING:
    from simulators.pfeiffer_tpg36x import PfeifferTpg36x

STREAM_PERIODS_S: Sequence[float] = (0.1, 1.0, 60.0)
"""Seconds between two lines by the number of ``COM``; the sheet has no numbers (general knowledge
of the maker's controllers)."""

_USUAL_PERIOD = 1


class Fault(IntEnum):
    """Bits of the error word, as decimal digits (sheet, section "Bad input")."""

    SYNTAX = 1
    PARAMETER = 10
    NO_HARDWARE = 100
    CONTROLLER = 1000


class RefusedError(Exception):
    """A line that is not obeyed; nothing has changed."""

    def __init__(self, fault: Fault) -> None:
        """Remember what the error word says of it."""
        super().__init__(fault.name)
        self.fault = fault


Reading = Callable[[], str]
"""Gives the data line for one ENQ."""

_LINE = re.compile(r"([A-Z]{2}[A-Z0-9])((?:,[^,]*)*)")
_DIGITS = re.compile(r"[0-9]+")


def obey(unit: PfeifferTpg36x, line: str) -> Reading:
    """Obey one line.

    Raises:
        RefusedError: it is not obeyed.
    """
    match = _LINE.fullmatch(line)
    command = COMMANDS.get(match[1]) if match else None
    if match is None or command is None:
        raise RefusedError(Fault.SYNTAX)
    return command(unit, match[2].split(",")[1:])


def _number(text: str, highest: int) -> int:
    if not _DIGITS.fullmatch(text) or int(text[:6]) > highest:
        raise RefusedError(Fault.PARAMETER)
    return int(text[:6])


Command = Callable[["PfeifferTpg36x", Sequence[str]], Reading]


def _query(show: Callable[[PfeifferTpg36x], str]) -> Command:
    def run(unit: PfeifferTpg36x, given: Sequence[str]) -> Reading:
        if given:
            raise RefusedError(Fault.PARAMETER)
        return lambda: show(unit)

    return run


def _pressure(number: int) -> Command:
    def run(unit: PfeifferTpg36x, given: Sequence[str]) -> Reading:
        if given:
            raise RefusedError(Fault.PARAMETER)
        if number > len(unit.channels):
            raise RefusedError(Fault.NO_HARDWARE)
        return lambda: unit.shown([unit.channels[number - 1]])

    return run


def _unit_of_pressure(unit: PfeifferTpg36x, given: Sequence[str]) -> Reading:
    if len(given) > 1:
        raise RefusedError(Fault.PARAMETER)
    if given:
        unit.unit_number = _number(given[0], len(UNITS) - 1)
    return lambda: str(unit.unit_number)


def _switch(unit: PfeifferTpg36x, given: Sequence[str]) -> Reading:
    if given and len(given) != len(unit.channels):
        raise RefusedError(Fault.PARAMETER)
    wanted = [_number(text, 2) for text in given]
    for channel, state in zip(unit.channels, wanted, strict=False):
        if state and not channel.plugged_in:
            raise RefusedError(Fault.NO_HARDWARE)
        if state and not channel.switchable:
            raise RefusedError(Fault.PARAMETER)
    for channel, state in zip(unit.channels, wanted, strict=False):
        if state:
            channel.on = state == 2
    return lambda: ",".join(str(channel.switch_state()) for channel in unit.channels)


def _stream(unit: PfeifferTpg36x, given: Sequence[str]) -> Reading:
    if len(given) > 1:
        raise RefusedError(Fault.PARAMETER)
    number = _number(given[0], len(STREAM_PERIODS_S) - 1) if given else _USUAL_PERIOD
    unit.start_stream(STREAM_PERIODS_S[number])
    return lambda: unit.shown(unit.channels)


COMMANDS: Mapping[str, Command] = {
    "AYT": _query(lambda unit: unit.disguise or unit.identity),
    "PNR": _query(lambda unit: unit.firmware),
    "TID": _query(lambda unit: ",".join(channel.label() for channel in unit.channels)),
    **{f"PR{number}": _pressure(number) for number in range(1, 7)},
    "PRX": _query(lambda unit: unit.shown(unit.channels)),
    "UNI": _unit_of_pressure,
    "SEN": _switch,
    "ERR": _query(lambda unit: unit.take_error_word()),
    "COM": _stream,
}
"""What a line can begin with."""
