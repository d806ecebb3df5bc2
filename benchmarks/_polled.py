"""A daemon that polls: ``python -m benchmarks._polled ITEMS PERIOD_S BLOCKED_S FAST``.

It has so many items, with code of their own that says something else each time; each is polled
every PERIOD_S seconds, and then sleeps for BLOCKED_S seconds, as code that waits for hardware does.
FAST more are polled at 1 kHz. It prints its request port, and then a line of JSON for every two
lines of its standard input: what has happened between them.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from array import array
from typing import Any

import mktl
from benchmarks._bare_polls import FAST_S

_MOST_SLOW, _MOST_FAST = 64, 100_000
"""Polls of one item that are noted until it is asked for them."""


class Polled(mktl.Item):
    """An item that counts, and notes when."""

    def __init__(self, store: Any, key: str, period_s: float, blocked_s: float = 0.0) -> None:
        """Be polled every *period_s* seconds, and take *blocked_s* each time."""
        super().__init__(store, key)
        self.began = array("d", bytes(8 * (_MOST_FAST if period_s == FAST_S else _MOST_SLOW)))
        self.noted = 0
        self._blocked_s = blocked_s
        self._count = 0.25
        self.poll(period_s)

    def req_refresh(self) -> float:
        """Return what an instrument would have said."""
        self.began[self.noted] = time.monotonic()
        self.noted += 1
        if self._blocked_s:
            time.sleep(self._blocked_s)
        self._count += 1.0
        return self._count


class Daemon(mktl.Daemon):
    """Items ``n0`` and so on, and ``fast0``."""

    def setup(self) -> None:
        """Make them."""
        count, period_s, blocked_s, fast = self.options
        number = {"type": "numeric", "units": "kelvin", "settable": False}
        self.slow = [
            self.add_item(Polled, f"n{one}", period_s, blocked_s, description=number)
            for one in range(count)
        ]
        self.fast = [
            self.add_item(Polled, f"fast{one}", FAST_S, description=number) for one in range(fast)
        ]


def _noted(items: list[Any], begin: float, end: float) -> list[list[float]]:
    """Return when each item was polled, from *begin* to *end*; forget it."""
    found = []
    for item in items:
        found.append([moment for moment in item.began[: item.noted] if begin <= moment < end])
        item.noted = 0
    return found


def _jitter(polls: list[list[float]], period_s: float, seconds: float) -> tuple[list[float], int]:
    """Return by how much each poll was later than the earliest of its item, and the missed ones."""
    late: list[float] = []
    missed = 0
    for moments in polls:
        offsets = [moment - one * period_s for one, moment in enumerate(moments)]
        # A poll that was left out moves all later ones by a whole period.
        left_out = [round((offset - offsets[0]) / period_s) for offset in offsets]
        missed += max(left_out, default=0) + max(0, int(seconds / period_s) - len(moments))
        offsets = [one - gap * period_s for one, gap in zip(offsets, left_out, strict=True)]
        late += [offset - min(offsets) for offset in offsets]
    return late, missed


def _figures(daemon: Daemon, begin: float, end: float) -> dict[str, float]:
    slow, fast = _noted(daemon.slow, begin, end), _noted(daemon.fast, begin, end)
    intervals = [
        later - earlier for moments in fast for earlier, later in itertools.pairwise(moments)
    ]
    late, missed = _jitter(slow, daemon.options[1], end - begin)
    return {
        "seconds": end - begin,
        "polls": sum(map(len, slow + fast)),
        "missed": missed,
        "late_s": sorted(late)[int(0.99 * len(late))] if late else 0.0,
        "latest_s": max(late, default=0.0),
        "interval_s": statistics.fmean(intervals) if intervals else 0.0,
        "deviation_s": statistics.pstdev(intervals) if intervals else 0.0,
    }


def main() -> None:
    """Run until the end of the input, or of the process."""
    options = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    daemon = Daemon("bench", "polled", options=options)
    print(daemon.ports[0], flush=True)
    while sys.stdin.readline():
        begin, used_s = time.monotonic(), time.process_time()
        sys.stdin.readline()
        end, used_s = time.monotonic(), time.process_time() - used_s
        print(json.dumps({**_figures(daemon, begin, end), "cpu_s": used_s}), flush=True)
    daemon.stop()


if __name__ == "__main__":
    main()
