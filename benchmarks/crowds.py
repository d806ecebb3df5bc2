"""Many requests at once, and many clients at once, beside as many by pyzmq alone.

Eight processes have up to 25 clients each, every one with a connection of its own: clients of ours
against a daemon; bare sockets against the same daemon; and, the yardstick, bare sockets against a
bare loop of pyzmq. All begin at the same moment. They are measured in turn.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from subprocess import Popen

import mktl
from benchmarks._exchanges import as_client, connected, daemon, frames, set_payload, stream
from benchmarks._support import (
    Failed,
    Result,
    at_most,
    environment_of_its_own,
    python_process,
    rates,
    tell,
)
from mktl.protocol.message import GET, SET

__all__ = ["run"]

REPETITIONS = 5
PROCESSES = 8
COUNTS = (1, 8, 64)
CROWD = 200
EXCHANGES = 2000
"""Of all clients together, in a repetition."""
TOGETHER = 10_000
IN_FLIGHT = 0.2
"""What is promised of so many is that all are answered; how fast, ``messages`` tells of fewer."""
SLOWEST = 3.0
"""How many times as long as the one in the middle the slowest client may take."""
GOALS = {"ours": 0.40, "raw": 0.80}
"""Shares of the yardstick to be reached, by clients of ours and by bare sockets."""
_HEAD_START_S = 0.1


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done."""
    repetitions, together = (1, 200) if short else (REPETITIONS, TOGETHER)
    exchanges, crowd, processes = (40, 4, 2) if short else (EXCHANGES, CROWD, PROCESSES)
    counts = (1, 2) if short else COUNTS
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = environment_of_its_own(Path(folder))
        port = stack.enter_context(daemon(environment, together))
        echo = stack.enter_context(daemon(environment, module="benchmarks._raw_echo"))
        results = _in_flight(environment, echo, together, repetitions)
        crowds = {
            name: stack.enter_context(_crowd(kind, where, processes, environment))
            for name, kind, where in (
                ("ours", "ours", port),
                ("raw", "raw", port),
                ("yardstick", "raw", echo),
            )
        }
        for count in (*counts, crowd):
            results |= _many_clients(crowds, count, exchanges, repetitions, is_crowd=count == crowd)
    return results


# Many requests.


def _in_flight(
    environment: Mapping[str, str], echo: int, count: int, repetitions: int
) -> dict[str, Result]:
    """Have one client send *count* requests before it waits for the first answer."""
    names = f"{count:,} GETs in flight from one client", f"{count:,} SETs, the same"
    measured: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in names}
    with as_client(environment), connected(echo) as raw:
        store = mktl.get("bench")
        get, put = frames(GET), frames(SET, set_payload())
        for _repetition in range(repetitions):
            for name, request, once in (
                (names[0], get, partial(_get_all, store, count)),
                (names[1], put, partial(_set_all, store["plain"], count)),
            ):
                measured[name][1].append(stream(raw, request, count, count))
                began = time.perf_counter()
                once()
                measured[name][0].append(count / (time.perf_counter() - began))
    return {name: rates(*found, goal=IN_FLIGHT) for name, found in measured.items()}


def _get_all(store: mktl.Store, count: int) -> None:
    found = store.read(f"n{number}" for number in range(count))
    answered = sum(isinstance(one, mktl.Payload) for one in found.values())
    if answered != count:
        raise Failed(f"{answered} of {count} GETs in flight were answered")


def _set_all(item: mktl.Item, count: int) -> None:
    pending = [item.set(number, wait=False) for number in range(count)]
    for one in pending:
        assert one is not None
        one.wait(30)
    if item.get(refresh=True) != count - 1:
        raise Failed(f"{count} SETs were not carried out in their order")


# Many clients.


class _Crowd:
    """Clients in several processes."""

    def __init__(self, processes: list[Popen[bytes]], port: int) -> None:
        self._processes, self._port = processes, port

    def run(self, count: int, exchanges: int) -> list[float]:
        """Return the seconds in which each of *count* clients has made its *exchanges*."""
        self._run(count, 1, 0.0)
        taken = self._run(count, exchanges, time.monotonic() + _HEAD_START_S)
        silent = taken.count(float("inf"))
        if silent:
            raise Failed(f"{silent} of {count} clients at once were not answered")
        return taken

    def _run(self, count: int, exchanges: int, at: float) -> list[float]:
        number = len(self._processes)
        shares = [(count + one) // number for one in range(number)]
        asked = [pair for pair in zip(self._processes, shares, strict=True) if pair[1]]
        for process, share in asked:
            tell(process, f"{share} {exchanges} {self._port} {at}")
        taken: list[float] = []
        for process, _share in asked:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise Failed("a process of clients has ended")
            taken += json.loads(line)
        return taken


@contextlib.contextmanager
def _crowd(
    kind: str, port: int, processes: int, environment: Mapping[str, str]
) -> Iterator[_Crowd]:
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(python_process(["-m", "benchmarks._crowd", kind], environment))[0]
            for _number in range(processes)
        ]
        yield _Crowd(started, port)


def _many_clients(
    crowds: Mapping[str, _Crowd], count: int, exchanges: int, repetitions: int, *, is_crowd: bool
) -> dict[str, Result]:
    each = max(1, exchanges // count)
    taken: dict[str, list[list[float]]] = {name: [] for name in crowds}
    for _repetition in range(repetitions):
        for name, crowd in crowds.items():
            taken[name].append(crowd.run(count, each))
    rate = {name: [count * each / max(one) for one in measured] for name, measured in taken.items()}
    clients = "client" if count == 1 else "clients"
    results = {
        f"{count} {clients} of ours: exchanges a second": rates(
            rate["ours"], rate["yardstick"], GOALS["ours"]
        ),
        f"{count} {clients} by pyzmq: exchanges a second": rates(
            rate["raw"], rate["yardstick"], GOALS["raw"]
        ),
    }
    if is_crowd:
        for name, whose in (("ours", "of ours"), ("raw", "by pyzmq")):
            slowest = statistics.median(max(one) / statistics.median(one) for one in taken[name])
            results[f"{count} clients {whose}: slowest, times the median"] = at_most(
                slowest, SLOWEST
            )
    return results
