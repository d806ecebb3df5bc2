"""Polls at scale: 10,000 items of one daemon at 1 Hz, and one at 1 kHz beside a thousand others.

Each item has code of its own that says something else each time, so that each poll is a broadcast;
a subscriber to all of them counts these. How late a poll is, is told from the earliest of the same
item. The yardsticks run at the same time, as processes of their own: a bare loop of pyzmq with a
heap that broadcasts as many values, and one that does nothing but sleep for a millisecond.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq

from benchmarks._exchanges import value_of
from benchmarks._support import (
    Failed,
    Result,
    at_most,
    environment_of_its_own,
    rates,
    started,
    tell,
    times,
)

__all__ = ["run"]

BLOCKED_S = 0.05
"""What code that waits for hardware takes."""
_PATIENCE_MS = 30_000
_LEAST_MIB = 0.1
"""Less of a difference between two processes says nothing."""

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Extent:
    """How much is done."""

    items: int = 10_000
    beside: int = 1000
    period_s: float = 1.0
    repetitions: int = 5
    window_s: float = 2.1
    """How long all of them are watched each time."""
    brief_s: float = 1.0
    """The same for the one at 1 kHz."""
    settle_s: float = 1.5
    """From the start on: all have had their turns."""
    settle_blocked_s: float = 5.0
    """The same, and there are threads for those that wait."""


_SHORT = _Extent(
    items=1000,
    beside=30,
    period_s=0.1,
    repetitions=1,
    window_s=0.35,
    brief_s=0.2,
    settle_s=0.3,
    settle_blocked_s=0.3,
)


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: fewer items, polled faster, once, as shows that it can be done."""
    extent = _SHORT if short else _Extent()
    results = _many(extent)
    for blocked_s in (BLOCKED_S,) if short else (0.0, BLOCKED_S):
        results |= _one_beside(extent, blocked_s)
    return results


def _start_s(extent: _Extent) -> float:
    with _polled(extent.items, extent.period_s) as (_process, _port, start_s):
        return start_s


def _many(extent: _Extent) -> dict[str, Result]:
    """Measure all of them, and then a tenth and a hundredth."""
    count, period_s = extent.items, extent.period_s
    starts = [_start_s(extent) for _ in range(extent.repetitions - 1)]
    with (
        _polled(count, period_s) as (process, port, start_s),
        _started("benchmarks._bare_polls", [count, period_s]) as (bare, _port),
        _subscriber(port) as subscriber,
    ):
        time.sleep(extent.settle_s)
        windows = []
        for _ in range(extent.repetitions):
            _forget(subscriber)
            windows.append(_windows([process, bare], extent.window_s))
            _check_all_were_broadcast(subscriber, windows[-1][0]["polls"])
    ours, raw = [one[0] for one in windows], [one[1] for one in windows]
    with (
        _polled(count // 10, period_s) as (tenth, _port, _start),
        _polled(count // 100, period_s) as (hundredth, _port, _start),
    ):
        time.sleep(extent.settle_s)
        both = [tenth, hundredth]
        windows = [_windows(both, extent.window_s) for _ in range(extent.repetitions)]
    fewer, few = [one[0] for one in windows], [one[1] for one in windows]
    what = f"{count:,} items at {1 / period_s:g} Hz"
    print(f"{what}: {_told(ours)}; a bare loop: {_told(raw)}")
    print(f"a tenth of them: {_told(fewer)}; a hundredth: {_told(few)}")
    done, missed = sum(_all(ours, "polls")), sum(_all(ours, "missed"))
    return {
        f"{what}: polls, of those due": Result(done, done + missed, done / (done + missed), 1.0),
        f"{what}: p99 jitter, s": at_most(_median(ours, "late_s"), 0.020),
        f"{what}: threads": at_most(_median(ours, "threads"), 40),
        f"{what}: memory, MiB": at_most(_median(ours, "mib"), 200),
        f"{what}: of a core": at_most(_median(ours, "core"), 0.5),
        f"{what}: of a core, and a bare loop": times(_all(ours, "core"), _all(raw, "core"), 2.0),
        f"{what}: start to first answered GET": at_most(statistics.median([*starts, start_s]), 3.0),
        f"{what}: time of a poll, and of a tenth": times(
            _all(ours, "poll_us"), _all(fewer, "poll_us"), 1.0
        ),
        f"{what}: memory of an item, and of a tenth": times(
            _growth_kib(ours, fewer, count - count // 10),
            _growth_kib(fewer, few, count // 10 - count // 100),
            1.2,
        ),
    }


def _one_beside(extent: _Extent, blocked_s: float) -> dict[str, Result]:
    """Measure one at 1 kHz beside others that are slower."""
    count, period_s = extent.beside, extent.period_s
    with (
        _started("benchmarks._polled", [count, period_s, blocked_s, 1]) as (process, _port),
        _started("benchmarks._bare_polls", []) as (bare, _port),
    ):
        time.sleep(extent.settle_blocked_s if blocked_s else extent.settle_s)
        both = [process, bare]
        windows = [_windows(both, extent.brief_s) for _ in range(extent.repetitions)]
    ours, raw = [one[0] for one in windows], [one[1] for one in windows]
    what = f"1 kHz beside {count:,} at {1 / period_s:g} Hz"
    what += f" that take {1000 * blocked_s:g} ms" if blocked_s else ""
    deviation_s = _median(ours, "deviation_s")
    print(
        f"{what}: {1000 * deviation_s:.3f} ms of deviation, {_told(ours)};"
        f" a loop that only sleeps: {1000 * _median(raw, 'deviation_s'):.3f} ms"
    )
    hertz = [1 / interval_s for interval_s in _all(ours, "interval_s")]
    return {
        f"{what}: deviation, s": at_most(deviation_s, 0.001),
        f"{what}: polls a second": rates(hertz, [1000.0] * len(hertz), 0.99),
    }


def _median(windows: Sequence[Figures], name: str) -> float:
    return statistics.median(_all(windows, name))


def _all(windows: Sequence[Figures], name: str) -> list[float]:
    return [window[name] for window in windows]


def _told(windows: Sequence[Figures]) -> str:
    return f"{_median(windows, 'core'):.3f} of a core, {_median(windows, 'mib'):.1f} MiB"


def _growth_kib(many: Sequence[Figures], few: Sequence[Figures], items: int) -> list[float]:
    return [
        1024 * max(more - less, _LEAST_MIB) / items
        for more, less in zip(_all(many, "mib"), _all(few, "mib"), strict=True)
    ]


@contextlib.contextmanager
def _polled(count: int, period_s: float) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """Run a daemon; give its port, and how long it has taken until it has answered a GET."""
    began = time.perf_counter()
    with _started("benchmarks._polled", [count, period_s, 0.0, 0]) as (process, port):
        value_of(port, "bench.n0")
        yield process, port, time.perf_counter() - began


@contextlib.contextmanager
def _started(
    module: str, arguments: Sequence[float]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    command = ["-m", module, *map(str, arguments)]
    with (
        tempfile.TemporaryDirectory() as folder,
        started(command, environment_of_its_own(Path(folder))) as (process, line),
    ):
        yield process, int(line)


def _windows(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> list[Figures]:
    """Return what has happened in each process within the next *seconds*."""
    time.sleep(0.3)  # what the last question has held up is over
    for process in processes:
        tell(process)
    time.sleep(seconds)
    status = [_status(process.pid) for process in processes]
    for process in processes:
        tell(process)
    return [_figures(process, known) for process, known in zip(processes, status, strict=True)]


def _figures(process: subprocess.Popen[bytes], status: Figures) -> Figures:
    assert process.stdout is not None
    found: dict[str, float] = json.loads(process.stdout.readline())
    polls = found.get("polls", 0.0)
    poll_us = 1e6 * found["cpu_s"] / polls if polls else 0.0
    return {**found, **status, "core": found["cpu_s"] / found["seconds"], "poll_us": poll_us}


def _status(pid: int) -> Figures:
    text = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.partition(":")[::2] for line in text.splitlines())
    return {
        "mib": int(fields["VmRSS"].split()[0]) / 1024,
        "threads": float(fields["Threads"]),
    }


@contextlib.contextmanager
def _subscriber(port: int) -> Iterator[zmq.Socket[bytes]]:
    """Subscribe to all broadcasts; they are taken in by ZeroMQ alone until they are counted."""
    block = next(iter(value_of(port, "bench._catalog").values()))
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.set(zmq.RCVHWM, 0)
        socket.set(zmq.RCVTIMEO, _PATIENCE_MS)
        socket.subscribe(b"bench.n")
        socket.connect(f"tcp://127.0.0.1:{block['provenance'][0]['pub']}")
        socket.recv_multipart()
        yield socket


def _forget(subscriber: zmq.Socket[bytes]) -> int:
    count = 0
    with contextlib.suppress(zmq.Again):
        while True:
            subscriber.recv_multipart(zmq.DONTWAIT)
            count += 1
    return count


def _check_all_were_broadcast(subscriber: zmq.Socket[bytes], polls: float) -> None:
    heard = _forget(subscriber)
    if heard < polls:  # the subscriber listens a little longer than the polls are noted
        raise Failed(f"of {polls:g} new values only {heard} were broadcast")
