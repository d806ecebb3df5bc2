"""Whether a move has ended, and how: judged from what was seen of the axis. Pure."""

from __future__ import annotations

from enum import Enum

from drivers._motion_axis import AxisState

__all__ = ["GRACE_S", "Verdict", "Watch"]

GRACE_S = 0.3
"""An axis that has taken a command may take so long before it shows that it moves."""


class Verdict(Enum):
    """What has become of a move so far."""

    GOING = "it goes on"
    DONE = "it has ended where it should"
    FAILED = "it has ended elsewhere"
    LATE = "it takes too long"


class Watch:
    """Judges each look at an axis that was sent somewhere."""

    def __init__(
        self,
        before: AxisState,
        *,
        target: int | None,
        tolerance: int,
        limit_s: float,
        begun_at: float,
    ) -> None:
        """Note what is to be compared with.

        Args:
            before: The axis before it was sent.
            target: Where to, in steps; ``None``: that is not known.
            tolerance: How far from there it may stand in the end.
            limit_s: How long it may move.
            begun_at: When it was sent, on whatever clock the looks are timed with.
        """
        self._before = before
        self._old_faults = set(before.faults)
        self._target = target
        self._tolerance = tolerance
        self._limit_s = limit_s
        self._begun_at = begun_at
        self._seen_moving = False

    def judge(self, state: AxisState, now: float) -> tuple[Verdict, str]:
        """Return what *state* means, and why, in words, if that is bad."""
        went_s = now - self._begun_at
        if state.moving:
            self._seen_moving = True
            # What went away on the way and is there again in the end is of this move.
            self._old_faults.intersection_update(state.faults)
            return self.going(now)
        there = self._is_there(state)
        # What ended between two looks was never seen to move, and stands there.
        if not self._seen_moving and went_s < GRACE_S and (self._target is None or not there):
            return Verdict.GOING, ""
        reasons = self._reasons(state, there=there)
        return (Verdict.FAILED, "; ".join(reasons)) if reasons else (Verdict.DONE, "")

    def going(self, now: float) -> tuple[Verdict, str]:
        """Return what it means that the move goes on."""
        if now - self._begun_at <= self._limit_s:
            return Verdict.GOING, ""
        return Verdict.LATE, f"it still goes on after {self._limit_s:.3g} s"

    def _is_there(self, state: AxisState) -> bool:
        return self._target is None or abs(state.steps - self._target) <= self._tolerance

    def _reasons(self, state: AxisState, *, there: bool) -> list[str]:
        """Return why the move was no good; what was so before it, and did no harm, is no reason."""
        before = self._before
        reasons = []
        if state.stop and (self._seen_moving or not there or state.stop != before.stop):
            reasons.append(state.stop)
        reasons += [fault for fault in state.faults if not there or fault not in self._old_faults]
        if not there and not reasons:
            reasons.append("it stopped by itself")
        return reasons
