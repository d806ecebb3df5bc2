"""Broadcasts, from a daemon in another process to a callback in this one: how near to pyzmq itself?

The yardstick is a bare PUB and a bare SUB socket in two processes, with the same three frames, or
four where there is an array, and the same callback. Both are measured in turn, so that a busy
machine slows both.

"Sustained" is as fast as it goes on and on with nothing lost: the publisher is never more than
``WINDOW`` values ahead of the callback, of whose progress it knows by memory that both processes
map. Each value has to come, and in order, and the item may have dropped none. The rate is that of
the calls.

Latency is from the moment before the value is published until it is in the callback; both processes
read the same clock. The arrays are such as need not be copied: read-only, and used in turn.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks._exchanges import in_turn
from benchmarks._hearing import Subject, latency_s, ours, rate, raw
from benchmarks._support import Result, environment_of_its_own, rates, times

__all__ = ["run"]

REPETITIONS = 5
WINDOW = 1000
"""As many values as may wait for the callbacks of one item."""
STREAMED = 50_000
PACED_S = 1.0
FRAMES = 400
_MEBIBYTE = 1 << 20


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done."""
    repetitions, share = (1, 0.02) if short else (REPETITIONS, 1.0)
    streamed, frames = round(STREAMED * share), max(4, round(FRAMES * share))
    slow, fast = (max(20, round(hertz * PACED_S * share)) for hertz in (200, 2000))
    measurements: dict[str, tuple[Callable[[Subject], float], Callable[..., Result], float]] = {
        "broadcasts of small values": (
            lambda subject: rate(subject, "stream", streamed, WINDOW),
            rates,
            0.45,
        ),
        "latency at 200 Hz, p50": (lambda subject: latency_s(subject, slow, 200), times, 1.3),
        "latency at 2 kHz, p50": (lambda subject: latency_s(subject, fast, 2000), times, 1.6),
        "arrays of 8 MiB": (
            lambda subject: rate(subject, "arrays", frames, 8 * _MEBIBYTE, 4),
            rates,
            0.90,
        ),
        "arrays of 32 MiB": (
            lambda subject: rate(subject, "arrays", max(4, frames // 8), 32 * _MEBIBYTE, 2),
            rates,
            0.90,
        ),
    }
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        environment = environment_of_its_own(folder)
        subjects = {
            "raw": stack.enter_context(raw(folder / "raw", environment)),
            "ours": stack.enter_context(ours(folder / "ours", environment)),
        }
        found = in_turn(
            {
                f"{who}: {what}": partial(measure, subject)
                for what, (measure, _compare, _goal) in measurements.items()
                for who, subject in subjects.items()
            },
            repetitions,
        )
    return {
        what: compare(found[f"ours: {what}"], found[f"raw: {what}"], goal)
        for what, (_measure, compare, goal) in measurements.items()
    }
