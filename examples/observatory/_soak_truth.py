"""Whether what is published as valid is what the simulated hardware says, or has just said."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mktl
from simulators import SimulatorError
from simulators.serve import Simulator

__all__ = ["TRUTHS", "Truth", "Watch"]

LOOK_S = 0.2
OLD_S = 12.0
"""So old may a value be that counts as valid: the longest poll period that is looked at here, the
deadline of its reading, and what a loaded machine needs."""
SETTLE_S = 1.0
"""The hardware is looked at so long after a value has come, too: it may have changed between."""
MOST_WRONG = 10


def _same(number: float) -> float:
    return number


@dataclass(frozen=True)
class Truth:
    """Where the truth of an item is."""

    twin: str
    quantity: str
    within: float
    """How far off a value may be: noise and rounding."""
    relative: float = 0.0
    """The same, as a part of the value."""
    of: Callable[[float], float] = _same
    """Makes the value of the quantity."""


TRUTHS: Mapping[str, Truth] = {
    "cryo.detector_temp": Truth("tc", "mount_k", 0.05),
    "cryo.coldhead_temp": Truth("tc", "plate_k", 0.1),
    "vacuum.chamber": Truth("gauges", "chamber_mbar", 0.0, 0.1),
    "vacuum.foreline": Truth("gauges", "foreline_mbar", 0.0, 0.1),
    "vacuum.speed": Truth("turbo", "speed_hz", 2.0),
    "filters.slide": Truth("stage", "axis1_pos", 0.01, of=lambda steps: steps / 20997.375),
    "power.hv_voltage": Truth("psu", "ch2_v", 0.05),
    "power.camera_voltage": Truth("psu", "ch1_v", 0.05),
    "dome.air_temp": Truth("io", "air_c", 0.3),
    "weather.outside_temp": Truth("station", "outside_c", 0.2),
    "weather.pressure": Truth("station", "pressure_hpa", 0.5),
}


class Watch:
    """Subscribes to items, and looks at the hardware all the time."""

    def __init__(self, twins: Mapping[str, Simulator]) -> None:
        self.wrong: list[str] = []
        self.looked_at = 0
        """How many values were compared."""
        self.slowest_s = 0.0
        """Longest time that the simulators took to answer: how loaded this machine is."""
        self._twins = twins
        self._truths = {key: truth for key, truth in TRUTHS.items() if truth.twin in twins}
        self._seen: dict[str, deque[tuple[float, float]]] = {key: deque() for key in self._truths}
        self._waiting: deque[tuple[float, str, float]] = deque(maxlen=10_000)
        self._items: list[mktl.Item] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-truth")

    def start(self) -> None:
        """Begin. The daemons must be there."""
        self._look()
        for key in self._truths:
            item = mktl.get(key)
            item.register(self._hear, prime=False, payloads=True)
            self._items.append(item)
        self._thread.start()

    def stop(self) -> None:
        """End it. May be called twice."""
        self._stopping.set()
        for item in self._items:
            item.unregister(self._hear)
        self._items.clear()
        if self._thread.is_alive():
            self._thread.join()

    def _hear(self, item: mktl.Item, payload: mktl.Payload) -> None:
        if payload.quality == "valid" and payload.value is not None:
            self._waiting.append((time.monotonic(), item.full_key, float(payload.value)))

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self._look()
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] < now - SETTLE_S:
                self._judge(*self._waiting.popleft())

    def _look(self) -> None:
        began = time.monotonic()
        self._look_at_all()
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def _look_at_all(self) -> None:
        names: dict[str, set[str]] = {}
        for truth in self._truths.values():
            names.setdefault(truth.twin, set()).add(truth.quantity)
        now = time.monotonic()
        for twin, quantities in names.items():
            try:
                found = self._twins[twin].get(*quantities)
            except SimulatorError:  # it is too busy to say
                continue
            for key, truth in self._truths.items():
                if truth.twin == twin:
                    self._note(key, now, truth.of(found[truth.quantity]))

    def _note(self, key: str, now: float, value: float) -> None:
        seen = self._seen[key]
        seen.append((now, value))
        while seen[0][0] < now - OLD_S - 3 * SETTLE_S:
            seen.popleft()

    def _judge(self, came_at: float, key: str, value: float) -> None:
        recent = [
            truth for at, truth in self._seen[key] if came_at - OLD_S <= at <= came_at + SETTLE_S
        ]
        if not recent:
            return
        self.looked_at += 1
        truth = self._truths[key]
        low, high = min(recent), max(recent)
        slack = truth.within + truth.relative * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack and len(self.wrong) < MOST_WRONG:
            self.wrong.append(
                f"{key} was published as {value:g}, valid, but the hardware has been "
                f"{low:g} to {high:g}"
            )
