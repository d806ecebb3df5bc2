"""What is seen of one fault, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import mktl

from ._conformance_faults import Fault
from ._conformance_line import LineOnTrial
from ._conformance_truth import Seen, Truth, is_shown

__all__ = ["Observed"]

_SHORTEST_S = 1.5
"""How long a fault lasts at least."""
_UNDER_WAY_S = 0.5
"""What is confirmed so soon after the begin may have been asked before it."""
_LINES_A_LINK, _LINES_AN_ITEM, _LINES_AT_ALL = 10, 2, 10
_SHOWN = 3


@dataclass(slots=True)
class Observed:
    """One fault on one line."""

    line: LineOnTrial
    fault: Fault
    truth: Truth
    others: Collection[str] = ()
    """Items of other lines, to which nothing may happen."""
    invalid_s: float | None = None
    """When the last item was in doubt, from the begin."""
    good_s: float | None = None
    """When all was good again, from the end."""
    _hit: tuple[str, ...] = ()
    _begun: tuple[float, float] = (0.0, 0.0)
    _ended: tuple[float, float] | None = None
    _now: float = 0.0
    _latest: dict[str, mktl.Payload] = field(default_factory=dict)
    _in_doubt_at: dict[str, float] = field(default_factory=dict)
    _confirmed: set[str] = field(default_factory=set)
    _pending: tuple[str, ...] = ()
    _harmed: dict[str, float] = field(default_factory=dict)
    _long_harmed: set[str] = field(default_factory=set)
    _wrong: dict[tuple[str, str], bool] = field(default_factory=dict)
    _changes: int = 0
    _link_changes: int = 0

    def __post_init__(self) -> None:
        """Find out which items the fault is about."""
        units = self.fault.unit(self.line)
        self._hit = tuple(key for key in self.truth.keys if self.line.owners[key] in units)

    @property
    def wrong(self) -> int:
        """How many values counted as valid and were not true."""
        return len(self._wrong)

    @property
    def crossed(self) -> int:
        """How many of them are of another item."""
        return sum(self._wrong.values())

    # --- what happens -----------------------------------------------------------------------------

    def begin(self, now: float, clock: float) -> None:
        """Note that the fault has begun, at *now* (``time.monotonic()``) and *clock* (UNIX)."""
        self._begun = now, clock

    def end(self, now: float, clock: float) -> None:
        """Note that it is over, or seen enough of."""
        self._pending = tuple(key for key in self._hit if self._is_pending(key))
        times = [at - self._begun[0] for at in self._in_doubt_at.values()]
        self.invalid_s = max(times, default=None)
        self._ended = now, clock

    def take(self, seen: Iterable[Seen], now: float) -> None:
        """Take what items have said until *now*."""
        for one in seen:
            before, self._latest[one.key] = self._latest.get(one.key), one.payload
            if one.key.endswith("_link"):
                self._link_changes += before is not None and before.value != one.payload.value
                continue
            self._changes += before is not None and before.quality != one.payload.quality
            if one.key in self._hit:
                self._take(one)
            elif one.key in self.others or one.key in self.truth.keys:
                self._take_other(one)
        self._now = now

    def _take(self, one: Seen) -> None:
        key, payload = one.key, one.payload
        if not is_shown(payload):
            if self._ended is None:
                self._in_doubt_at.setdefault(key, one.at)
            return
        if self._is_judged(one.at) and not self.truth.is_true(key, payload.value):
            is_crossed = self.truth.is_of_another(key, payload.value)
            self._wrong[key, repr(payload.value)] = is_crossed
        if self._ended is None and (payload.checked or 0.0) > self._begun[1] + _UNDER_WAY_S:
            self._confirmed.add(key)

    def _take_other(self, one: Seen) -> None:
        if is_shown(one.payload):
            self._harmed.pop(one.key, None)
        elif one.at - self._harmed.setdefault(one.key, one.at) > self.line.timing.unharmed_s:
            self._long_harmed.add(one.key)

    def _is_judged(self, at: float) -> bool:
        """Whether it is known what is true: a device that had no supply may be another one."""
        return not self.fault.forgets or (
            self._ended is None and at < self._begun[0] + self.fault.lasts_s
        )

    # --- what is to be seen -----------------------------------------------------------------------

    def has_seen_enough(self) -> bool:
        """Whether it is known of each item how it takes the fault, and it has lasted a while."""
        if self._now - self._begun[0] < _SHORTEST_S:
            return False
        return not any(map(self._is_pending, self._hit))

    def _is_pending(self, key: str) -> bool:
        """Whether it is not clear yet how the item takes the fault."""
        if self.fault.sure and not self.fault.lasts:
            return key not in self._in_doubt_at
        payload = self._latest.get(key)
        if payload is None or not is_shown(payload):
            return payload is None
        return self.fault.sure or key not in self._confirmed

    def is_well(self) -> bool:
        """Whether each item is good again."""
        assert self._ended is not None  # as it is asked afterwards only
        if self.why_not_well():
            return False
        if self.good_s is None:
            since = self._ended[0] if self.fault.lasts or self.fault.forgets else self._begun[0]
            self.good_s = max(0.0, self._now - since)
        return True

    def why_not_well(self) -> str:
        """Say which item is not good again."""
        return next(filter(None, map(self._trouble, self.truth.keys)), "")

    def _trouble(self, key: str) -> str:
        assert self._ended is not None  # as above
        payload = self._latest.get(key)
        if payload is None:
            return f"{key} was not heard of"
        if not is_shown(payload):
            return f"{key} is invalid: {payload.reason}"
        if payload.checked is not None and payload.checked < self._ended[1]:
            return f"{key} was not confirmed since"
        if self._is_judged(self._now) and not self.truth.is_true(key, payload.value):
            return f"{key} is {payload.value!r}"
        return ""

    def complaints(self) -> tuple[str, ...]:
        """Return what is wrong, beside what never became good again."""
        found = [
            f"shown as valid: {key} = {value}{', which is that of another item' if crossed else ''}"
            for (key, value), crossed in self._wrong.items()
        ]
        if self._pending:
            how = "in doubt" if self.fault.sure else "confirmed, nor in doubt"
            found.append(
                f"not {how} after {self.line.timing.invalid_within_s:.0f} s: "
                f"{', '.join(self._pending[:_SHOWN])}"
            )
        found += [f"{key} has no fault, and was in doubt" for key in sorted(self._long_harmed)]
        return tuple(found[:_SHOWN])

    def most_log_lines(self) -> int:
        """Return how many lines may be logged for what has changed."""
        return _LINES_AT_ALL + _LINES_A_LINK * self._link_changes + _LINES_AN_ITEM * self._changes
