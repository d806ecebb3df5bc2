"""SCPI messages: the tree of headers, chains, typed parameters, the error queue.

Pure: text in, replies out, and errors into a queue that the instrument owns. Headers, chains and
codes are those of SCPI-99 (volume 1, chapter 6; volume 2, chapter 21.8) and IEEE 488.2. A header
of the table is written as manuals write it::

    [:SOURce<n>]:VOLTage[:LEVel][:IMMediate][:AMPLitude]?

capitals are the short form, brackets can be left out, ``<n>`` is a number that may be given.

A command that takes time gives an `Awaited`; a `Chain` then waits before it obeys the next part.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from simulators._text_commands import split_unquoted

TEXTS: Mapping[int, str] = {
    0: "No error",
    -101: "Invalid character",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -131: "Invalid suffix",
    -151: "Invalid string data",
    -211: "Trigger ignored",
    -213: "Init ignored",
    -214: "Trigger deadlock",
    -221: "Settings conflict",
    -222: "Data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    -410: "Query INTERRUPTED",
}
"""Text by code."""


class ScpiError(Exception):
    """A command that is not obeyed; nothing has changed."""

    def __init__(self, code: int) -> None:
        """Remember the *code*, of `TEXTS`."""
        super().__init__(TEXTS[code])
        self.code = code


class Errors:
    """The error queue, first in first out, and the event status register beside it."""

    def __init__(self, *, longest: int, signed: bool = False) -> None:
        """Start empty.

        Args:
            longest: Number of errors that it keeps.
            signed: The instrument says ``+0`` when there is none, not ``0``.
        """
        self.events = 0
        self._none = "+0" if signed else "0"
        self._longest = longest
        self._codes: deque[int] = deque()

    def __len__(self) -> int:
        """Give the number of errors that wait to be read."""
        return len(self._codes)

    def add(self, code: int) -> None:
        """Note an error; when the queue is full, its last entry says so instead."""
        # -1xx command error, -2xx execution, -3xx device, -4xx query: bits 5, 4, 3, 2.
        self.events |= 1 << (6 - -code // 100)
        if len(self._codes) < self._longest:
            self._codes.append(code)
        else:
            self._codes[-1] = -350

    def take(self) -> str:
        """Give the oldest error and forget it; ``0,"No error"`` when there is none."""
        code = self._codes.popleft() if self._codes else 0
        return f'{code or self._none},"{TEXTS[code]}"'

    def take_events(self) -> str:
        """Give the event status register, which clears it."""
        events, self.events = self.events, 0
        return str(events)

    def clear(self) -> None:
        """Forget all errors and events, as ``*CLS`` does."""
        self._codes.clear()
        self.events = 0


# -- parameters ----------------------------------------------------------------------------------

Parameter = Callable[[str], Any]
"""Turns the text of one parameter into its value, or raises `ScpiError`."""
Parameters = Callable[[Sequence[str]], Sequence[Any]]
"""The same for all parameters of a command."""

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")
_MULTIPLIERS = {"": 1.0, "U": 1e-6, "M": 1e-3, "K": 1e3}


def number(low: float, high: float, unit: str = "") -> Parameter:
    """Accept a number, with *unit* or a multiple of it behind, or ``MIN`` or ``MAX``."""

    def parse(text: str) -> float:
        if is_word(text, "MINimum"):
            return low
        if is_word(text, "MAXimum"):
            return high
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise ScpiError(-104)
        value = float(match[1]) * _multiplier(match[2].upper(), unit.upper())
        if not low <= value <= high:
            raise ScpiError(-222)
        return value

    return parse


def _multiplier(suffix: str, unit: str) -> float:
    if not suffix:
        return 1.0
    factor = _MULTIPLIERS.get(suffix.removesuffix(unit)) if unit else None
    if factor is None or not suffix.endswith(unit):
        raise ScpiError(-131)
    return factor


def whole(low: int, high: int) -> Parameter:
    """Accept a number that is rounded to a whole one, or ``MIN`` or ``MAX``."""
    in_range = number(low, high)
    return lambda text: round(in_range(text))


def boolean(text: str) -> bool:
    """Accept ``ON``, ``OFF``, ``1`` or ``0``; another number that is not 0 is on."""
    if text.upper() in ("ON", "OFF"):
        return text.upper() == "ON"
    return bool(round(number(-1e9, 1e9)(text)))


def word(*allowed: str) -> Parameter:
    """Accept one of the words *allowed*, e.g. ``IMMediate``; gives it as it stands there."""

    def parse(text: str) -> str:
        for each in allowed:
            if is_word(text, each):
                return each
        raise ScpiError(-224)

    return parse


def quoted(longest: int) -> Parameter:
    """Accept a text of up to *longest* characters in double or single quotes."""

    def parse(text: str) -> str:
        quote = text[:1]
        if quote not in ('"', "'"):
            raise ScpiError(-104)
        if len(text) < 2 or text[-1] != quote:
            raise ScpiError(-151)
        # A quote within a text is doubled.
        bare = text[1:-1].replace(quote * 2, quote)
        if len(bare) > longest:
            raise ScpiError(-223)
        return bare

    return parse


def is_word(text: str, mixed: str) -> bool:
    """Tell whether *text* is the short or the long form of *mixed*, e.g. ``MINimum``."""
    return text.upper() in _forms(mixed)


def parameters(*each: Parameter, required: int | None = None) -> Parameters:
    """Accept as many parameters as there are in *each*; all are *required* by default."""
    least = len(each) if required is None else required

    def parse(given: Sequence[str]) -> Sequence[Any]:
        if len(given) > len(each):
            raise ScpiError(-108)
        if len(given) < least:
            raise ScpiError(-109)
        return [take(text) for take, text in zip(each, given, strict=False)]

    return parse


NO_PARAMETERS = parameters()
"""Accepts none at all."""


# -- headers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Awaited:
    """What goes on after a command, which is not over before that."""

    is_over: Callable[[], bool]
    """Tells whether it has ended."""
    finish: Callable[[], str | None]
    """Gives the reply then, None for a command without one; it may raise `ScpiError`."""
    asks: bool = True
    """False: a command without a reply."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command or query of an instrument."""

    run: Callable[..., str | Awaited | None]
    """Gets the instrument, a number or None for each ``<n>`` of its header, and the parameters;
    gives the reply, None for a command without one."""
    parameters: Parameters = NO_PARAMETERS
    """Checks the parameters."""


_PIECE = re.compile(r"<n>|\[|\]|:|\?|\*?[A-Za-z]+")
_PATTERNS = {"<n>": r"(\d*)", "[": "(?:", "]": ")?", ":": ":", "?": r"\?"}
_UNIT = re.compile(r"([*:A-Za-z][\w:]*\??)(?:\s+(.*))?", re.ASCII | re.DOTALL)
_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")


class Interpreter:
    """Obeys whole messages with a table of commands."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        """Compile the headers of *commands*; common ones begin with an asterisk."""
        self._commands = [(_compiled(header), command) for header, command in commands.items()]

    def begin(self, instrument: Any, text: str, errors: Errors) -> Chain:
        """Prepare to obey *text*, each part for itself; what fails is put in *errors*."""
        return Chain(partial(self._run, instrument), text, errors)

    def obey(self, instrument: Any, text: str, errors: Errors) -> list[str]:
        """Obey *text* and give the replies, for an instrument whose commands take no time."""
        chain = self.begin(instrument, text, errors)
        chain.advance()
        return chain.replies

    def _run(self, instrument: Any, header: str, given: Sequence[str]) -> str | Awaited | None:
        for pattern, command in self._commands:
            match = pattern.fullmatch(header)
            if match is not None:
                suffixes = [int(digits) if digits else None for digits in match.groups()]
                return command.run(instrument, *suffixes, *command.parameters(given))
        raise ScpiError(-113)


class Chain:
    """A message that is being obeyed: its parts one after another."""

    def __init__(
        self,
        run: Callable[[str, Sequence[str]], str | Awaited | None],
        text: str,
        errors: Errors,
    ) -> None:
        """Obey nothing yet; *run* gets a whole header and the parameters of one part."""
        self.replies: list[str] = []
        self._run = run
        self._errors = errors
        self._path = ""
        self._parts = deque(part for part in split_unquoted(text, ";") if part)
        self._awaited: Awaited | None = None

    @property
    def asks(self) -> bool:
        """True: its host waits for a reply, as far as can be told before it is all obeyed."""
        headers = [part.split(maxsplit=1)[0] for part in self._parts]
        awaited = self._awaited is not None and self._awaited.asks
        return awaited or bool(self.replies) or any(header.endswith("?") for header in headers)

    def advance(self) -> bool:
        """Obey as much as is possible now; True: that was all of it."""
        while self._awaited is not None or self._parts:
            if self._awaited is not None and not self._awaited.is_over():
                return False
            try:
                reply = self._next()
            except ScpiError as error:
                self._errors.add(error.code)
                continue
            if isinstance(reply, Awaited):
                self._awaited = reply
            elif reply is not None:
                self.replies.append(reply)
        return True

    def _next(self) -> str | Awaited | None:
        if self._awaited is not None:
            awaited, self._awaited = self._awaited, None
            return awaited.finish()
        header, given = _parts(self._parts.popleft())
        if not header.startswith("*"):
            header = header if header.startswith(":") else f"{self._path}:{header}"
            self._path = header.rpartition(":")[0]
        return self._run(header, given)


def _parts(text: str) -> tuple[str, list[str]]:
    if not _PRINTABLE.fullmatch(text):
        raise ScpiError(-101)
    match = _UNIT.fullmatch(text)
    if match is None:
        raise ScpiError(-113)
    if text.count('"') % 2:
        raise ScpiError(-151)
    given = split_unquoted(match[2], ",") if match[2] else []
    if not all(given):
        raise ScpiError(-109)
    return match[1].upper(), given


def _compiled(header: str) -> re.Pattern[str]:
    pieces = _PIECE.findall(header)
    assert "".join(pieces) == header, f"a header that cannot be read: {header}"
    return re.compile("".join(_PATTERNS.get(piece) or _node(piece) for piece in pieces))


def _node(mixed: str) -> str:
    return "(?:" + "|".join(map(re.escape, _forms(mixed))) + ")"


def _forms(mixed: str) -> tuple[str, str]:
    return mixed.upper(), "".join(char for char in mixed if not char.islower()).upper()
