"""Profiles of a Watlow F4: ramps and soaks one after another; run, hold, resume, terminate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum


class Operation(IntEnum):
    """Values of register 200 (sheet)."""

    STATIC = 1
    RUNNING = 2
    HELD = 3


@dataclass(frozen=True, slots=True)
class Step:
    """The set-point goes to *target_c* in *duration_s*; from where it is, on a straight line."""

    target_c: float
    """Set-point at the end of the step, in degrees Celsius."""
    duration_s: float
    """Length of the step."""


PROFILES: Mapping[int, Sequence[Step]] = {
    1: (Step(40.0, 600.0), Step(40.0, 300.0), Step(23.0, 600.0)),
    2: (Step(-20.0, 1800.0), Step(-20.0, 3600.0), Step(60.0, 3600.0), Step(23.0, 1800.0)),
}
"""What is stored, by number."""


class Profile:
    """The profile that runs, if one does."""

    def __init__(self) -> None:
        """Be static."""
        self.operation = Operation.STATIC
        self.number = 0
        self.set_point_c = 0.0
        self._at = 0
        self._from_c = 0.0
        self._elapsed_s = 0.0

    @property
    def step_number(self) -> int:
        """Number of the present step, from 1; 0: none."""
        return 0 if self.operation is Operation.STATIC else self._at + 1

    @property
    def left_s(self) -> float:
        """Seconds that are left of the present step."""
        if self.operation is Operation.STATIC:
            return 0.0
        return PROFILES[self.number][self._at].duration_s - self._elapsed_s

    def start(self, number: int, step: int, set_point_c: float) -> None:
        """Begin with a step, from 1, at the present set-point."""
        self.operation = Operation.RUNNING
        self.number = number
        self._at = step - 1
        self._elapsed_s = 0.0
        self._from_c = self.set_point_c = set_point_c

    def hold(self) -> None:
        """Stay at the present set-point."""
        self.operation = Operation.HELD

    def resume(self) -> None:
        """Go on."""
        self.operation = Operation.RUNNING

    def terminate(self) -> None:
        """Be static at the present set-point."""
        self.operation = Operation.STATIC
        self.number = 0

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass."""
        while dt_s > 0 and self.operation is Operation.RUNNING:
            step = PROFILES[self.number][self._at]
            h_s = min(dt_s, step.duration_s - self._elapsed_s)
            self._elapsed_s += h_s
            dt_s -= h_s
            done = self._elapsed_s / step.duration_s
            self.set_point_c = self._from_c + (step.target_c - self._from_c) * done
            if self._elapsed_s >= step.duration_s:
                self._begin_next()

    def _begin_next(self) -> None:
        self._from_c = self.set_point_c
        self._elapsed_s = 0.0
        self._at += 1
        if self._at == len(PROFILES[self.number]):
            self.terminate()
