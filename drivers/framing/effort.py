r"""Whether a regular expression may take for ever to find that a text does not match. Pure.

Python's own matcher tries one way after the other, and nothing else runs meanwhile. Where a text of
n characters can be cut in 2**n ways, as ``(\w+ ?)*`` cuts a word, forty characters are enough to
stop a daemon. Here a pattern becomes an automaton whose states are the characters in it; a text can
be cut in so many ways just when two different paths lead from one state back to it by the same
text.

Source: Weber and Seidl, "On the degree of ambiguity of finite automata", 1991, criterion EDA;
Glushkov's construction of the automaton.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, TypeVar

__all__ = ["may_take_for_ever"]

_ALL = (1 << 256) - 1
_WORDS = {
    ops.CATEGORY_DIGIT: r"\d",
    ops.CATEGORY_NOT_DIGIT: r"\D",
    ops.CATEGORY_SPACE: r"\s",
    ops.CATEGORY_NOT_SPACE: r"\S",
    ops.CATEGORY_WORD: r"\w",
    ops.CATEGORY_NOT_WORD: r"\W",
}
_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT)
_ASIDE = (ops.ASSERT, ops.ASSERT_NOT)
_MANY = 8
"""A part that may come so often, more or less, is taken as one that may come without end."""
_MOST_STATES, _MOST_LOOKS = 150, 200_000
"""Of a pattern with more than that nothing is said: to look at it would take long itself."""

_Ways = dict[int, int]
_Pair = tuple[int, int]
_Node = TypeVar("_Node", int, _Pair)


def may_take_for_ever(pattern: re.Pattern[str]) -> bool:
    """Tell whether the time that *pattern* takes may double with each character of a text."""
    waiting = [parser.parse(pattern.pattern, pattern.flags)]
    while waiting:
        automaton = _Automaton(bool(pattern.flags & re.IGNORECASE))
        try:
            automaton.sequence(waiting.pop())
            if automaton.is_ambiguous():
                return True
        except OverflowError:
            continue
        waiting += automaton.aside
    return False


@dataclass(frozen=True)
class _Piece:
    """A part of a pattern: with which states it may begin and end, and in how many ways."""

    first: _Ways = field(default_factory=dict)
    last: _Ways = field(default_factory=dict)
    empty: int = 1
    """In how many ways it may be nothing."""


class _Automaton:
    """States, which are sets of characters, and in how many ways one may follow another."""

    def __init__(self, any_case: bool) -> None:
        self._any_case = any_case
        self._sets: list[int] = []
        self._follow: list[_Ways] = []
        self.aside: list[Any] = []
        """Parts that are matched for themselves: nobody comes back into them."""

    # --- from a pattern ---------------------------------------------------------------------------

    def sequence(self, nodes: Iterable[Any]) -> _Piece:
        """Add *nodes*, one behind the other.

        Raises:
            OverflowError: there are too many of them.
        """
        whole = _Piece()
        for operator, argument in nodes:
            piece = self._node(operator, argument)
            self._join(whole.last, piece.first)
            whole = _Piece(
                _sum(whole.first, _times(piece.first, whole.empty)),
                _sum(piece.last, _times(whole.last, piece.empty)),
                min(whole.empty * piece.empty, 2),
            )
        return whole

    def _node(self, operator: Any, argument: Any) -> _Piece:
        if operator in _REPEATS:
            return self._repeat(*argument)
        if operator is ops.SUBPATTERN:
            # From here on to the end: too many are taken for ambiguous rather than too few.
            self._any_case |= bool(argument[1] & re.IGNORECASE)
            return self.sequence(argument[-1])
        if operator in (ops.BRANCH, ops.GROUPREF_EXISTS):
            return self._either(argument[1] if operator is ops.BRANCH else argument[1:])
        if operator in (*_ASIDE, ops.AT):
            self.aside += [argument[1]] if operator in _ASIDE else []
            return _Piece()
        if operator in (ops.ATOMIC_GROUP, ops.POSSESSIVE_REPEAT):
            atomic = operator is ops.ATOMIC_GROUP
            return self._alone(argument if atomic else [(ops.MAX_REPEAT, argument)])
        return self._state(_characters(operator, argument))

    def _repeat(self, least: int, most: int, nodes: Any) -> _Piece:
        if most >= _MANY and least != most:
            piece = self.sequence(nodes)
            self._join(piece.last, piece.first)
            return _Piece(piece.first, piece.last, 1 if least == 0 else piece.empty)
        whole = _Piece()
        for count in range(min(int(most), _MOST_STATES)):
            piece = self.sequence(nodes)
            self._join(whole.last, piece.first)
            more = count < least
            whole = _Piece(
                _sum(whole.first, _times(piece.first, whole.empty)),
                _sum(piece.last, _times(whole.last, piece.empty if more else 1)),
                min(whole.empty * piece.empty, 2) if more else 1,
            )
        return whole

    def _either(self, choices: Iterable[Any]) -> _Piece:
        pieces = [self.sequence(choice or ()) for choice in choices]
        return _Piece(
            _sum(*(piece.first for piece in pieces)),
            _sum(*(piece.last for piece in pieces)),
            min(sum(piece.empty for piece in pieces), 2),
        )

    def _alone(self, nodes: Any) -> _Piece:
        """Add what is matched in one way only, once it has matched."""
        self.aside.append(nodes)
        inner = _Automaton(self._any_case)
        whole = inner.sequence(nodes)
        piece = self._state(_united(inner._sets))
        return _Piece(piece.first, piece.last, min(whole.empty, 1))

    def _state(self, characters: int) -> _Piece:
        if len(self._sets) >= _MOST_STATES:
            raise OverflowError
        number = len(self._sets)
        self._sets.append(_with_both_cases(characters) if self._any_case else characters)
        self._follow.append({})
        return _Piece({number: 1}, {number: 1}, 0)

    def _join(self, ends: Mapping[int, int], begins: Mapping[int, int]) -> None:
        for end, ways in ends.items():
            self._follow[end] = _sum(self._follow[end], _times(begins, ways))

    # --- what follows from it ---------------------------------------------------------------------

    def is_ambiguous(self) -> bool:
        """Tell whether two different paths lead from a state back to it by the same text.

        Raises:
            OverflowError: there is too much to look at.
        """
        follow = dict(enumerate(self._follow))
        before = _turned(follow)
        done: set[int] = set()
        for state in follow:
            if state not in done:
                loop = _reached(state, follow) & _reached(state, before)
                done |= loop
                if self._is_ambiguous_in(loop, state):
                    return True
        return False

    def _is_ambiguous_in(self, loop: set[int], state: int) -> bool:
        pairs = self._pairs(loop, state)
        start = (state, state)
        around = _reached(start, pairs) & _reached(start, _turned(pairs))
        return any(
            one != other
            or any(ways > 1 and after in loop for after, ways in self._follow[one].items())
            for one, other in around
        )

    def _pairs(self, loop: set[int], state: int) -> dict[_Pair, list[_Pair]]:
        """Return which pairs of states of *loop* one text leads to, beginning at *state*."""
        found: dict[_Pair, list[_Pair]] = {}
        waiting = [(state, state)]
        looks = 0
        while waiting:
            pair = waiting.pop()
            if pair in found:
                continue
            nexts = [[one for one in self._follow[state] if one in loop] for state in pair]
            looks += len(nexts[0]) * len(nexts[1])
            if looks > _MOST_LOOKS:
                raise OverflowError
            found[pair] = [
                (one, other)
                for one in nexts[0]
                for other in nexts[1]
                if self._sets[one] & self._sets[other]
            ]
            waiting += found[pair]
        return found


def _reached(start: _Node, edges: Mapping[_Node, Iterable[_Node]]) -> set[_Node]:
    seen, waiting = {start}, [start]
    while waiting:
        for after in edges.get(waiting.pop(), ()):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen


def _turned(edges: Mapping[_Node, Iterable[_Node]]) -> dict[_Node, list[_Node]]:
    turned: dict[_Node, list[_Node]] = {}
    for start, ends in edges.items():
        for end in ends:
            turned.setdefault(end, []).append(start)
    return turned


def _sum(*several: Mapping[int, int]) -> _Ways:
    whole: _Ways = {}
    for ways in several:
        for state, count in ways.items():
            whole[state] = min(whole.get(state, 0) + count, 2)
    return whole


def _times(ways: Mapping[int, int], factor: int) -> _Ways:
    return {state: min(count * factor, 2) for state, count in ways.items() if count * factor}


def _characters(operator: Any, argument: Any) -> int:
    """Return which of the first 256 characters a node takes, a bit for each."""
    if operator in (ops.LITERAL, ops.RANGE):
        low, high = argument if operator is ops.RANGE else (argument, argument)
        return _united(1 << code for code in range(low, min(high, 255) + 1))
    if operator is ops.CATEGORY:
        one = re.compile(_WORDS[argument])
        return _united(1 << code for code in range(256) if one.match(chr(code)))
    if operator is ops.IN:
        negated = argument[0][0] is ops.NEGATE
        found = _united(_characters(*node) for node in argument[negated:])
        return _ALL & ~found if negated else found
    if operator in (ops.NOT_LITERAL, ops.ANY):
        return _ALL & ~_characters(ops.LITERAL, ord("\n") if operator is ops.ANY else argument)
    return _ALL


def _united(sets: Iterable[int]) -> int:
    whole = 0
    for one in sets:
        whole |= one
    return whole


def _with_both_cases(characters: int) -> int:
    both = characters
    for code in range(256):
        if characters >> code & 1:
            swapped = ord(chr(code).swapcase()[0])
            both |= 1 << swapped if swapped < 256 else 0
    return both
