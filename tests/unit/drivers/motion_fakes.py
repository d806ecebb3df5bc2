"""An axis that a test moves by hand: what a third controller would give the common part."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from drivers.motion import AxisState, Bounds
from tests._support import wait_until

__all__ = ["HandAxis", "asking", "failure"]


class HandAxis:
    """Goes where it is sent when the test says so; at once, if *obliging*."""

    label = "stage, axis 1"

    def __init__(self, *, obliging: bool = False, period_s: float = 0.01) -> None:
        self.obliging = obliging
        self.period_s = period_s
        self.at = 0
        self.moving = False
        self.connection = 1
        self.stop = ""
        self.faults: tuple[str, ...] = ()
        self.referenced = True
        self.limits: tuple[Bounds, ...] = ()
        self.takes_s: float | None = None
        self.started: list[int] = []
        self.halted = 0
        self.looks = 0
        self.on_start: Callable[[int], None] | None = None
        self.on_halt: Callable[[], None] | None = self.rest
        self.troubles: list[Exception] = []
        self._turn = threading.RLock()

    def turn(self) -> Any:
        return self._turn

    def prioritised(self, _kind: str) -> Any:
        return contextlib.nullcontext()

    def state(self) -> AxisState:
        with self._turn:
            self.looks += 1
            if self.troubles:
                raise self.troubles.pop(0)
            return AxisState(
                self.at, self.moving, self.connection, self.stop, self.faults, self.referenced
            )

    def bounds(self) -> tuple[Bounds, ...]:
        return self.limits

    def move_time_s(self, _distance: int) -> float | None:
        return self.takes_s

    def start(self, steps: int) -> None:
        self.started.append(steps)
        if self.on_start is not None:
            self.on_start(steps)
        if self.obliging:
            self.at = steps
        else:
            self.moving = True

    def halt(self) -> None:
        self.halted += 1
        if self.on_halt is not None:
            self.on_halt()

    # What the test does.

    def rest(self, at: int | None = None, **how: Any) -> None:
        """Stand still, at *at*; *how* sets what else is so then."""
        with self._turn:
            self.at = self.at if at is None else at
            for name, value in how.items():
                setattr(self, name, value)
            self.moving = False

    def is_sent(self, *targets: int) -> None:
        """Wait until it was sent to *targets*, and no others."""
        wait_until(lambda: self.started == list(targets), what=f"{self.started} to be {targets}")

    def is_looked_at(self, times: int = 2) -> None:
        """Wait until it was looked at so many times more."""
        until = self.looks + times
        wait_until(lambda: self.looks >= until)


@contextlib.contextmanager
def asking() -> Iterator[Callable[..., Future[Any]]]:
    """Give what has a function called in a thread of its own."""
    with ThreadPoolExecutor(16, thread_name_prefix="asking") as pool:
        yield pool.submit


def failure(asked: Future[Any]) -> BaseException:
    """Return what was raised in the end."""
    error = asked.exception(30)
    assert error is not None, "it has not failed"
    return error
