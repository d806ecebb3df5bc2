"""Text messages of instruments with IEEE-488.2 manners: chains, headers, typed arguments.

Pure: text in, a command of a table and its checked arguments out. What a refused means (bits of
the event status register) is that of IEEE 488.2; that it is silent is the instrument's affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any


class Event(IntFlag):
    """Bits of the event status register that ``*ESR?`` reads (sheet, row "status")."""

    QUERY_ERROR = 4
    EXECUTION_ERROR = 16
    COMMAND_ERROR = 32
    POWER_ON = 128


class RefusedError(Exception):
    """A command that is not obeyed; nothing has changed."""

    def __init__(self, event: Event) -> None:
        """Remember which bit the refused sets."""
        super().__init__(event.name)
        self.event = event


Argument = Callable[[str], Any]
"""Turns the text of an argument into its value, or raises `RefusedError`."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of an instrument."""

    run: Callable[..., str | None]
    """Gets the instrument and the arguments; gives the reply, None for a command without one."""
    arguments: Sequence[Argument] = ()
    """One for each argument; all must be given."""


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_HEADER = re.compile(r"(\*?[A-Za-z]+\??)(?:\s+(.*))?", re.DOTALL)
_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")


def number(low: float, high: float) -> Argument:
    """Accept a number within *low* to *high*; else an execution error, or command if no number."""

    def parse(text: str) -> float:
        if not _NUMBER.fullmatch(text):
            raise RefusedError(Event.COMMAND_ERROR)
        value = float(text)
        if not low <= value <= high:
            raise RefusedError(Event.EXECUTION_ERROR)
        return value

    return parse


def integer(low: int, high: int) -> Argument:
    """Accept a whole number within *low* to *high*."""
    in_range = number(low, high)

    def parse(text: str) -> int:
        value = float(in_range(text))
        if not value.is_integer():
            raise RefusedError(Event.EXECUTION_ERROR)
        return int(value)

    return parse


def one_of(*allowed: str) -> Argument:
    """Accept one of the words *allowed* in either case; another one: execution error."""

    def parse(text: str) -> str:
        if text.upper() not in allowed:
            raise RefusedError(Event.EXECUTION_ERROR)
        return text.upper()

    return parse


def quotable(longest: int) -> Argument:
    """Accept a text of up to *longest* characters, with or without double quotes around it."""

    def parse(text: str) -> str:
        bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
        if '"' in bare:
            raise RefusedError(Event.COMMAND_ERROR)
        if len(bare) > longest:
            raise RefusedError(Event.EXECUTION_ERROR)
        return bare

    return parse


def split_unquoted(text: str, separator: str) -> list[str]:
    """Split *text* at each *separator* that is not within double quotes."""
    parts = [""]
    quoted = False
    for char in text:
        quoted ^= char == '"'
        if char == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def parse_command(text: str, table: Mapping[str, Command]) -> tuple[Command, list[Any]]:
    """Find the command of one link of a chain, and its arguments.

    Raises:
        RefusedError: unknown, or another number of arguments, or an argument that is no good.
    """
    match = _HEADER.fullmatch(text) if _PRINTABLE.fullmatch(text) else None
    command = table.get(match[1].upper()) if match else None
    if match is None or command is None:
        raise RefusedError(Event.COMMAND_ERROR)
    given = split_unquoted(match[2], ",") if match[2] else []
    if len(given) != len(command.arguments):
        raise RefusedError(Event.COMMAND_ERROR)
    return command, [parse(word) for parse, word in zip(command.arguments, given, strict=True)]
