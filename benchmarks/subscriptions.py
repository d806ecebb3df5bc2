"""A client that subscribes to thousands of items of one daemon, and what the daemon sees of it.

The items have code that reads hardware, as it were, a value already, and are polled: nobody needs
another reading. Limits are those that are promised; the yardstick for the first use of items, one
after the other, is as many round trips by pyzmq alone, measured in turn.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import mktl
from benchmarks._exchanges import as_client, exchange, frames, raw_echo
from benchmarks._support import (
    Failed,
    Result,
    at_most,
    environment_of_its_own,
    started,
    tell,
    times,
)
from mktl.protocol.message import GET

__all__ = ["run"]

REPETITIONS = 5
ITEMS = 10_000
FEWER = 1000
READY_S = 3.0
MOST_THREADS = 12
AS_RAW = 3.0
"""How many times as long as a round trip the first use of an item may take."""
GROWTH = 2.0
"""The same for an item of many beside one of fewer."""


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done."""
    repetitions, items, fewer = (1, 200, 20) if short else (REPETITIONS, ITEMS, FEWER)
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of_its_own(Path(folder))
        clients = []
        with _watched(environment, items) as daemon:
            for number in range(repetitions):
                home = {"MKTL_HOME": str(Path(folder) / f"client{number}")}
                clients.append(_subscribe(daemon, environment | home, items))
            growth = [_together(environment, count) for count in (fewer, items)]
        with _watched(environment, fewer) as daemon, raw_echo(environment) as raw:
            first, round_trips = [], []
            for _repetition in range(repetitions + 1):
                round_trips.append(_timed(fewer, lambda: exchange(raw, frames(GET))))
                first.append(_first_uses(environment, fewer))
                _check_first_uses(daemon, fewer)
            # The first of each has to find the daemon, or to warm up.
            del first[0], round_trips[0]
    return {
        f"subscribed to {items:,} items, whole process": at_most(
            statistics.median(one["whole_s"] for one in clients), READY_S
        ),
        "threads of that client": at_most(max(one["threads"] for one in clients), MOST_THREADS),
        "connections of that client, for requests and broadcasts": at_most(
            max(one["connections"] for one in clients), 2
        ),
        "priming requests for an item, and readings of its hardware": at_most(
            max(one["most_primed"] + one["reads"] for one in clients), 1
        ),
        f"first {fewer:,} items, one after the other": times(first, round_trips, AS_RAW),
        f"subscribing to {items:,} together, beside {fewer:,}: an item": at_most(
            growth[1] / items, GROWTH * growth[0] / fewer
        ),
    }


Daemon = Popen[bytes]


@contextmanager
def _watched(environment: Mapping[str, str], items: int) -> Iterator[Daemon]:
    command = ["-m", "benchmarks._watched", str(items)]
    with started(command, environment) as (process, _line):
        yield process


def _since(daemon: Daemon) -> dict[str, Any]:
    """Return what *daemon* has seen since the last time."""
    assert daemon.stdout is not None
    tell(daemon)
    seen: dict[str, Any] = json.loads(daemon.stdout.readline())
    return seen


def _subscribe(daemon: Daemon, environment: Mapping[str, str], items: int) -> dict[str, Any]:
    """Have a process that was never there before subscribe to *items*."""
    before = _since(daemon)["connections"]
    began = time.perf_counter()
    command = ["-m", "benchmarks._watching", str(items)]
    with started(command, environment) as (_process, line):
        whole_s = time.perf_counter() - began
        found = json.loads(line)
        seen = _since(daemon)
    if found["wrong"]:
        raise Failed(f"{found['wrong']} of {items} items have no value that is kept true")
    print(
        f"{items} items: subscribed to in {found['subscribed_s']:.2f} s, their daemon being found"
        f" first; whole process {whole_s:.2f} s;"
        f" the daemon saw {seen['asked']} requests for items, and read hardware {seen['reads']}"
        " times"
    )
    seen["connections"] -= before
    return {**found, **seen, "whole_s": whole_s}


def _first_uses(environment: Mapping[str, str], items: int) -> float:
    with as_client(environment):
        began = time.perf_counter()
        store = mktl.get("bench")
        for number in range(items):
            if store[f"n{number}"].value != number:
                raise Failed(f"n{number} has another item's value")
        return time.perf_counter() - began


def _check_first_uses(daemon: Daemon, items: int) -> None:
    seen = _since(daemon)
    # Where a subscription comes later than the request, the item is asked for once more.
    if seen["most_primed"] > 1 or seen["reads"] or seen["asked"] > 1.1 * items + 10:
        raise Failed(f"the first use of {items} items costs the daemon {seen}")


def _together(environment: Mapping[str, str], items: int) -> float:
    taken = []
    for _repetition in range(3):
        with as_client(environment):
            store = mktl.get("bench")
            store["_watchedclk"].get(refresh=True)
            began = time.perf_counter()
            store.subscribe(f"n{number}" for number in range(items))
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _timed(count: int, once: Any) -> float:
    began = time.perf_counter()
    for _ in range(count):
        once()
    return time.perf_counter() - began
