"""The grammar of an IcePAP: who is meant, what is asked, and what is answered to it.

Pure: a line in, the reply out, without its line ends. Queries are always answered, actions only
with ``#`` before them. Beside what the sheet names there are ``?VSTOPCODE``, ``?ADDR``,
``?ACTIVE``, ``NAME``, registers, and the words ``GROUP`` and ``STRICT``: hosts that use the PyPI
package ``icepap``, which the sheet names, say them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators._icepap_actions import ACTIONS
from simulators._icepap_queries import AXIS_QUERIES, SYSTEM_QUERIES, Answer
from simulators._icepap_words import IcepapError, Reason

if TYPE_CHECKING:
    from simulators._icepap_axis import IcepapAxis
    from simulators.icepap import IcePAP

__all__ = ["LONGEST_MESSAGE", "obey"]

LONGEST_MESSAGE = 1000
"""Characters; all axes of a full system in one command take half of them."""

_LINE = re.compile(r"(#?)\s*(?:(\d{0,4})(:))?\s*(\??)\s*([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)
_HIGHEST_RACK, _DRIVERS = 15, 8


@dataclass(frozen=True, slots=True)
class _Command:
    ack: bool
    address: str | None
    """None: the system form; empty: a broadcast."""
    query: bool
    word: str
    words: Sequence[str]

    @property
    def head(self) -> str:
        """What the reply begins with."""
        return f"{self._prefix}{'?' if self.query else ''}{self.word}"

    @property
    def _prefix(self) -> str:
        return "" if self.address is None else f"{self.address}:"


def obey(system: IcePAP, line: str) -> str | None:
    """Obey one line and return the reply, lines parted by LF; None: there is none."""
    line = line.strip()
    match = _LINE.fullmatch(line) if line.isascii() and len(line) <= LONGEST_MESSAGE else None
    if match is None:
        heard = line.startswith("#") or "?" in line[:LONGEST_MESSAGE].partition(" ")[0]
        return _error(_first_word(line), Reason.NOT_RECOGNISED) if heard else None
    address = match[2] if match[3] else None
    command = _Command(
        bool(match[1]), address, bool(match[4]), match[5].upper(), (match[6] or "").split()
    )
    try:
        answer = _carry_out(system, command)
    except IcepapError as error:
        answered = command.query or command.ack
        return _error(command.head, error.reason) if answered else None
    if command.query:
        return _reply(command.head, answer)
    return f"{command.head} OK" if command.ack else None


def _carry_out(system: IcePAP, command: _Command) -> Answer:
    if command.address == "":
        return _broadcast(system, command)
    if not command.query:
        _act(system, command)
        return ""
    if command.address is None or int(command.address) == 0:
        query = SYSTEM_QUERIES.get(command.word)
        if query is not None:
            return query(system, command.words)
    if command.address is None:
        return _ask_several(system, command)
    axis = axis_at(system, command.address)
    if command.word not in AXIS_QUERIES:
        raise IcepapError(Reason.NOT_RECOGNISED)
    return AXIS_QUERIES[command.word].answer(axis, command.words)


def _ask_several(system: IcePAP, command: _Command) -> Answer:
    query = AXIS_QUERIES.get(command.word)
    if query is None or not query.several:
        raise IcepapError(Reason.NOT_RECOGNISED)
    words = list(command.words)
    selector = [words.pop(0)] if words and not words[0].isdecimal() else []
    if not words:
        raise IcepapError(Reason.WRONG_PARAMETERS)
    axes = [axis_at(system, word) for word in words]
    return " ".join(str(query.answer(axis, selector)) for axis in axes)


def _act(system: IcePAP, command: _Command) -> None:
    action = ACTIONS.get(command.word)
    if action is None:
        raise IcepapError(Reason.NOT_RECOGNISED)
    if command.address is None:
        found = action.orders(list(command.words))
        orders = {axis_at(system, word): value for word, value in found.items()}
    else:
        if int(command.address) == 0:
            raise IcepapError(Reason.NOT_RECOGNISED)
        axis = axis_at(system, command.address)
        orders = {axis: action.value(list(command.words))}
    action.carry_out(orders, grouped="GROUP" in (word.upper() for word in command.words))


def _broadcast(system: IcePAP, command: _Command) -> Answer:
    if command.query:
        raise IcepapError(Reason.BROADCAST_QUERY)
    if command.ack:
        raise IcepapError(Reason.BROADCAST_ACK)
    action = ACTIONS.get(command.word)
    if action is None:
        raise IcepapError(Reason.NOT_RECOGNISED)
    value = action.value(list(command.words))
    for axis in system.axes.values():
        if axis.alive:
            action.try_on(axis, value)
    return ""


def axis_at(system: IcePAP, text: str) -> IcepapAxis:
    """Give the axis whose address is *text*.

    Raises:
        IcepapError: it is no number, nowhere, or not there.
    """
    if not text.isdecimal():
        raise IcepapError(Reason.WRONG_PARAMETERS)
    rack, driver = divmod(int(text), 10)
    if rack > _HIGHEST_RACK or not 1 <= driver <= _DRIVERS:
        raise IcepapError(Reason.BAD_ADDRESS)
    axis = system.axes.get(int(text))
    if axis is None or not axis.alive:
        raise IcepapError(Reason.NOT_PRESENT)
    return axis


def _reply(head: str, answer: Answer) -> str:
    if isinstance(answer, str):
        return f"{head} {answer}".rstrip()
    return "\n".join([f"{head} $", *answer, "$"])


def _error(head: str, reason: Reason) -> str:
    return f"{head} ERROR {reason.value}".lstrip()


def _first_word(line: str) -> str:
    """Give what a line that makes no sense is called in the error about it."""
    word = line.lstrip("# ").partition(" ")[0].upper()
    return "".join(char for char in word[:40] if " " < char < "\x7f")
