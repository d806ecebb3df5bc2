"""A text that a regular expression matches: what a device could answer.

For the patterns that instrument files have: literal text, escapes, classes, groups, alternatives
(the first one that will do) and repetitions (the fewest that will do).
"""

from __future__ import annotations

import re

from simulators.device import SimulatorError

__all__ = ["text_like", "text_unlike"]

_CLASSES = {"d": "0", "w": "x", "s": " ", "D": "x", "W": " ", "S": "x", "N": "x"}
_ANCHORS = "AZbB"
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_REPETITION = re.compile(r"\{(\d*)(,(\d*))?\}")
_FLAGS = re.compile(r"[aiLmsux-]+([:)])")
# What may stand in a class where nothing says what does.
_CANDIDATES = "x0- A" + "".join(map(chr, range(33, 127)))
_MOST = 1000


def text_like(pattern: str, what: str) -> str:
    """Return a short text that *pattern* matches as a whole.

    Args:
        pattern: A regular expression.
        what: Where it comes from, for the error, e.g. ``controllers.gauge.identify.reply``.

    Raises:
        SimulatorError: it is none, or no text can be derived from it.
    """
    try:
        compiled = re.compile(pattern)
        text = _Reader(pattern).text()
    except re.error as error:
        raise SimulatorError(f"{what}: {pattern!r} is no regular expression: {error}") from error
    except _TooHardError as hard:
        raise SimulatorError(
            f"{what}: no answer can be made up that {pattern!r} matches ({hard}); write it simpler"
        ) from hard
    if not compiled.fullmatch(text):
        raise SimulatorError(
            f"{what}: no answer can be made up that {pattern!r} matches ({text!r} does not); "
            "write it simpler"
        )
    return text


def text_unlike(pattern: str, candidates: tuple[str, ...], what: str) -> str:
    """Return the first of *candidates* that *pattern* does not match as a whole.

    Raises:
        SimulatorError: it matches all of them, or is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SimulatorError(f"{what}: {pattern!r} is no regular expression: {error}") from error
    for text in candidates:
        if not compiled.fullmatch(text):
            return text
    raise SimulatorError(f"{what}: {pattern!r} matches whatever a device could answer")


class _TooHardError(Exception):
    """Something of which no text can be derived; says what."""


class _Reader:
    """Goes through a pattern once, from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def text(self) -> str:
        text = self._alternatives()
        if self._at < len(self._pattern):
            raise _TooHardError("a parenthesis too many")
        return text

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise _TooHardError("it ends too soon")
        self._at += 1
        return self._pattern[self._at - 1]

    def _peek(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if not self._peek(text):
            return False
        self._at += len(text)
        return True

    def _alternatives(self) -> str:
        first = self._sequence()
        while self._take("|"):
            self._sequence()
        return first

    def _sequence(self) -> str:
        pieces = []
        while self._at < len(self._pattern) and not self._peek("|") and not self._peek(")"):
            piece = self._piece()
            pieces.append(piece * self._least())
        return "".join(pieces)

    def _least(self) -> int:
        """Read how often the last piece is repeated; give the fewest."""
        least = 1
        if self._take("*") or self._take("?"):
            least = 0
        elif not self._take("+"):
            match = _REPETITION.match(self._pattern, self._at)
            if match is None or match[0] in ("{}", "{,}"):
                return 1
            self._at = match.end()
            least = min(int(match[1] or 0), _MOST)
        # A lazy or possessive one repeats the same.
        if not self._take("?"):
            self._take("+")
        return least

    def _piece(self) -> str:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        if char in "^$":
            return ""
        return "x" if char == "." else char

    def _group(self) -> str:
        if self._take("?"):
            if self._take("P<"):
                self._at = self._pattern.index(">", self._at) + 1
            elif not self._take(":"):
                return self._flags()
        text = self._alternatives()
        self._next()
        return text

    def _flags(self) -> str:
        match = _FLAGS.match(self._pattern, self._at)
        if match is None:
            raise _TooHardError(f"(?{self._pattern[self._at : self._at + 1]}...) in it")
        self._at = match.end()
        if match[1] == ")":
            return ""
        text = self._alternatives()
        self._next()
        return text

    def _escape(self) -> str:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _ANCHORS:
            return ""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char in _HEX_DIGITS:
            digits = "".join(self._next() for _ in range(_HEX_DIGITS[char]))
            return chr(int(digits, 16))
        if char.isalnum():
            raise _TooHardError(f"\\{char} in it")
        return char

    def _class(self) -> str:
        """Read a class to its end; give a character that is in it."""
        begin = self._at
        self._take("^")
        self._take("]")
        while not self._take("]"):
            if self._next() == "\\":
                self._next()
        compiled = re.compile("[" + self._pattern[begin : self._at])
        inside = self._pattern[begin : self._at - 1]
        own = "" if inside.startswith("^") else inside
        for char in own + _CANDIDATES:
            if compiled.fullmatch(char):
                return char
        return self._written_class(inside)

    def _written_class(self, inside: str) -> str:
        """Give the character of a class that begins with an escape, such as that of ACK."""
        if not inside.startswith("\\"):
            raise _TooHardError(f"[{inside}] in it")
        return _Reader(inside)._escape_first()

    def _escape_first(self) -> str:
        self._next()
        return self._escape()
