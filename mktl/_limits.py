"""When a value is a reason to worry: limits, states and set-points. Pure: no clock, no item.

A :class:`Rule` is what a description's ``limits`` or ``tracks`` ask for. It is a number of checks,
each of which a value breaks or not; :meth:`Rule.step` says which of them count at a given moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from ._values import VALIDATE, is_number
from .description import Description

__all__ = [
    "ALARM",
    "INVALID",
    "RAISED",
    "RANKS",
    "SEVERITIES",
    "WARNING",
    "Bound",
    "Finding",
    "Follows",
    "Out",
    "Rule",
    "States",
    "change_is_small",
    "is_in_deadband",
    "limits_rule",
    "tracks_rule",
    "value_text",
]

WARNING, ALARM, INVALID = 1, 2, 3
SEVERITIES = ("OK", "Warning", "Alarm", "Invalid")
"""What the numbers of severities are called."""
RANKS = {"valid": 0.0, "changing": 0.5, "warning": 1.0, "alarm": 2.0, "invalid": 3.0}
"""Qualities, the worse the higher, on the scale of the severities."""
RAISED = {"warning": WARNING, "alarm": ALARM}
"""Qualities that are severities of their own."""

_QUALITIES = {WARNING: "warning", ALARM: "alarm"}
_NAMED = ("boolean", "enumerated", "mask")
_NUMBERS = (float, int)
_SLACK = 1e-9
"""Share of a dead band by which a change may fall short of it: 80.1 - 80.0 is less than 0.1."""


class Finding(NamedTuple):
    """What is wrong with a value."""

    severity: int
    now: str
    """As long as it is so, e.g. ``102.3 K is above the alarm limit of 100 K``."""
    was: str
    """When it is over, e.g. ``was above the alarm limit of 100 K``."""


class Check(Protocol):
    """One thing that may be wrong with a value."""

    def broken_by(self, value: Any, *, counts: bool) -> Finding | None:
        """Return what is wrong with *value*.

        Args:
            value: In stored units.
            counts: Whether it is known already that something is: going back takes more then.
        """


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that numbers have to keep."""

    severity: int
    limit: float
    is_upper: bool
    hysteresis: float = 0.0
    text: Callable[[float], str] = str
    """Gives a number its units."""

    def broken_by(self, value: Any, *, counts: bool) -> Finding | None:
        """Return what is wrong with *value*, or with an element of it."""
        number, place = value, ""
        if not is_number(value):
            found = _extreme(value, largest=self.is_upper)
            if found is None:
                return None
            number, place = found
        if self._is_beyond(number, self.limit):
            return self._finding(number, place)
        width = self.hysteresis if counts else 0.0
        if width and self._is_beyond(
            number, self.limit - width if self.is_upper else self.limit + width
        ):
            return self._returning(number, place)
        return None

    def _is_beyond(self, number: float, limit: float) -> bool:
        return number > limit if self.is_upper else number < limit

    def _finding(self, number: float, place: str) -> Finding:
        side, name = self._side(), _QUALITIES[self.severity]
        texts = self.text(number), self.text(self.limit)
        if texts[0] == texts[1]:  # rounded by its format
            texts = repr(number), repr(self.limit)
        beyond = f"{side} the {name} limit of {texts[1]}"
        return Finding(self.severity, f"{place}{texts[0]} is {beyond}", f"was {beyond}")

    def _returning(self, number: float, place: str) -> Finding:
        side, name = self._side(), _QUALITIES[self.severity]
        beyond = f"{side} the {name} limit of {self.text(self.limit)}"
        back = "below" if self.is_upper else "above"
        limit, width = self.text(self.limit), self.text(self.hysteresis)
        now = f"{place}{self.text(number)} is not yet {width} {back} the {name} limit of {limit}"
        return Finding(self.severity, now, f"was {beyond}")

    def _side(self) -> str:
        return "above" if self.is_upper else "below"


def _extreme(value: Any, *, largest: bool) -> tuple[float, str] | None:
    """Return the largest or the smallest number in an array, and where it stands."""
    if not isinstance(value, (list, tuple)):
        return None
    best: tuple[float, str] | None = None
    for place, number in _numbers(value):
        if best is None or (number > best[0] if largest else number < best[0]):
            best = number, place
    return None if best is None else (best[0], f"element {best[1]}: ")


def _numbers(value: Sequence[Any], place: str = "") -> Iterator[tuple[str, float]]:
    for index, element in enumerate(value):
        here = f"{place}{index}"
        if is_number(element):
            yield here, element
        elif isinstance(element, (list, tuple)):
            yield from _numbers(element, f"{here},")


@dataclass(frozen=True, slots=True)
class States:
    """States that a value should not be in."""

    severity: int
    states: Mapping[int, str]
    """The values, and what they are called; of a mask, bits together, or 0 for none at all."""
    is_mask: bool = False

    def broken_by(self, value: Any, *, counts: bool) -> Finding | None:  # noqa: ARG002
        """Return which of the states *value* is in."""
        if not isinstance(value, int):
            return None
        found = [text for state, text in self.states.items() if self._is_in(int(value), state)]
        if not found:
            return None
        text, name = " and ".join(found), _QUALITIES[self.severity]
        article = "an" if self.severity == ALARM else "a"
        return Finding(
            self.severity,
            f"{text} is {article} {name} state",
            f"was {text}, {article} {name} state,",
        )

    def _is_in(self, value: int, state: int) -> bool:
        return bool(state and value & state == state) if self.is_mask and state else value == state


@dataclass(frozen=True, slots=True)
class Follows:
    """A value that another one has to follow."""

    target: Any
    name: str
    """The full key of the set-point."""
    tolerance: float = 0.0
    within_s: float = 0.0
    text: Callable[[Any], str] = str

    def broken_by(self, value: Any, *, counts: bool) -> Finding | None:  # noqa: ARG002
        """Return whether *value* is elsewhere."""
        if change_is_small(value, self.target, self.tolerance):
            return None
        texts = self.text(value), self.text(self.target)
        if texts[0] == texts[1]:
            texts = repr(value), repr(self.target)
        late = f" within {self.within_s:g} s" if self.within_s else ""
        what = f"follow {self.name}{late}"
        now = f"{texts[0]} does not {what}: it is to be {texts[1]}"
        if self.tolerance:
            now += f", give or take {self.text(self.tolerance)}"
        return Finding(ALARM, now, f"did not {what}")


def change_is_small(value: Any, other: Any, width: float) -> bool:
    """Return whether two values, or all elements of two arrays, are no further apart than *width*.

    Anything but numbers has to be equal.
    """
    if is_number(value) and is_number(other):
        try:
            return bool(abs(value - other) <= width * (1 + _SLACK))
        except OverflowError:  # an int that no float can hold
            return bool(value == other)
    if isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        pairs = zip(value, other, strict=False)
        return len(value) == len(other) and all(change_is_small(*pair, width) for pair in pairs)
    return type(value) is type(other) and bool(value == other)


def is_in_deadband(value: Any, told: Any, width: float) -> bool:
    """Return whether *value* is no news to those who were *told* last, with that dead band."""
    return width > 0 and change_is_small(value, told, width * (1 - 2 * _SLACK))


class Out(NamedTuple):
    """A check that is broken at present."""

    since: float
    """Seconds of the same clock as all other moments here."""
    counts: bool
    """Whether that has lasted long enough."""
    finding: Finding


Outs = tuple[Out | None, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """Checks that have delay and latch in common."""

    checks: tuple[Check, ...]
    delay_s: float = 0.0
    latch: bool = False
    restarted_at: float = -math.inf
    """No delay is counted from before this moment."""
    suspended: bool = False
    """Whether nothing can be said at present: what counted goes on counting."""
    fresh: Outs = field(init=False)
    """How it begins, and how it is when nothing is broken."""
    _within: tuple[float, float] = field(init=False)
    """Numbers that break nothing: what most readings are, told by two comparisons."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fresh", (None,) * len(self.checks))
        bounds = [check for check in self.checks if isinstance(check, Bound)]
        low = max((one.limit for one in bounds if not one.is_upper), default=-math.inf)
        high = min((one.limit for one in bounds if one.is_upper), default=math.inf)
        known = len(bounds) == len(self.checks)
        object.__setattr__(self, "_within", (low, high) if known else (math.inf, -math.inf))

    def step(self, outs: Outs, value: Any, now: float, *, at_once: bool = False) -> Outs:
        """Return which checks *value* breaks.

        Args:
            outs: Which were broken so far.
            value: The value now.
            now: The moment, in seconds.
            at_once: Without any delay.
        """
        if self.suspended:
            return outs
        if outs is self.fresh and type(value) in _NUMBERS:
            low, high = self._within
            if low <= value <= high:
                return outs
        found = [
            self._step(check, out, value, now, at_once=at_once)
            for check, out in zip(self.checks, outs, strict=True)
        ]
        return tuple(found) if any(found) else self.fresh

    def _step(
        self, check: Check, out: Out | None, value: Any, now: float, *, at_once: bool
    ) -> Out | None:
        finding = check.broken_by(value, counts=out is not None and out.counts)
        if finding is None:
            return None
        since = now if out is None else out.since
        counts = at_once or (out is not None and out.counts) or now >= self._counts_from(since)
        return Out(since, counts, finding)

    def _counts_from(self, since: float) -> float:
        return max(since, self.restarted_at) + self.delay_s

    def due(self, outs: Outs) -> float | None:
        """Return when something begins to count though no new value comes; ``None`` if never."""
        if self.suspended or outs is self.fresh:
            return None
        waiting = [self._counts_from(out.since) for out in outs if out and not out.counts]
        return min(waiting, default=None)

    def aimed(self, check: Check | None, now: float | None) -> Rule:
        """Return the rule with another *check* in place of its only one.

        Args:
            check: ``None``: nothing is known of what it should be.
            now: Count delays from this moment; ``None``: from where they are counted now.
        """
        if check is None:
            return replace(self, suspended=True)
        restarted_at = self.restarted_at if now is None else now
        return replace(self, checks=(check,), restarted_at=restarted_at, suspended=False)


def limits_rule(description: Description) -> Rule | None:
    """Return what the ``limits`` of *description* ask for; ``None`` if there are none."""
    limits = description.limits
    if not limits:
        return None
    checks: list[Check] = []
    for name, severity in (("alarm", ALARM), ("warning", WARNING)):
        if limits.get(name) is None:
            continue
        if description.type in _NAMED:
            checks.append(_states(description, severity, limits[name]))
        else:
            checks += _bounds(description, severity, limits[name], limits.get("hysteresis", 0.0))
    if not checks:
        return None
    return Rule(tuple(checks), limits.get("delay_s", 0.0), limits.get("latch", False))


def _bounds(
    description: Description, severity: int, sides: Sequence[float | None], hysteresis: float
) -> Iterator[Bound]:
    for limit, is_upper in zip(sides, (False, True), strict=True):
        if limit is not None:
            yield Bound(severity, limit, is_upper, hysteresis, value_text(description))


def _states(description: Description, severity: int, states: Sequence[Any]) -> States:
    check, names = VALIDATE[description.type], description.names
    numbers = [int(check(state, names)) for state in states]
    return States(
        severity,
        {number: description.to_text(number) for number in numbers},
        description.type == "mask",
    )


def tracks_rule(description: Description) -> Rule | None:
    """Return what ``tracks`` of *description* asks for, as long as the set-point is not known."""
    tracks = description.tracks
    if not tracks:
        return None
    nothing = Follows(None, str(tracks["item"]))
    return Rule((nothing,), tracks.get("within_s", 0.0), tracks.get("latch", False), suspended=True)


def value_text(description: Description) -> Callable[[Any], str]:
    """Return a function that writes values of an item with its stored units."""
    units = f" {description.stored_units}" if description.stored_units else ""
    formatted = description.stored_units == description.shown_units

    def text(value: Any) -> str:
        if description.type in _NAMED:
            return description.to_text(value)
        if is_number(value):
            plain = description.formatter is None or not formatted
            number = f"{value:.7g}" if plain else description.to_text(value).strip()
            return f"{number}{units}"
        return description.to_text(value)

    return text
