"""Requests, from a client in this process to a daemon in another: how near to pyzmq itself?

The yardstick is a bare loop of pyzmq at both ends, in two processes as well, with frames of the
same number and the same sizes. Both are measured in turn, so that a busy machine slows both.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import zmq

import mktl
from benchmarks._exchanges import (
    REFRESH,
    Measure,
    as_client,
    connected,
    daemon,
    exchange,
    frames,
    rate,
    raw_echo,
    set_payload,
    stream,
)
from benchmarks._support import Result, environment_of_its_own, rates
from mktl.protocol.message import GET, SET

__all__ = ["run"]

REPETITIONS = 21
"""Many short ones, as the speed of a shared machine changes by the second."""
ONE_BY_ONE = 600
"""Exchanges in a repetition, each after the answer to the one before."""
TOGETHER = 1000
"""SETs that are sent before the first answer is waited for."""
IN_FLIGHT = 100
STREAMED = 4000
"""Requests in a repetition with 100 on their way."""


class Comparison(NamedTuple):
    """One line of the table, in exchanges a second."""

    ours: Measure
    raw: Measure
    goal: float


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure exchanges a second; *short*: as few as show that it can be done."""
    repetitions, share = (1, 0.01) if short else (REPETITIONS, 1.0)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = environment_of_its_own(Path(folder))
        plain, read, port = stack.enter_context(_subject(environment))
        raw = stack.enter_context(raw_echo(environment))
        direct = stack.enter_context(connected(port))
        comparisons = {
            **_one_by_one(plain, read, raw, round(ONE_BY_ONE * share)),
            **_together(plain, raw, max(10, round(TOGETHER * share))),
            **_in_flight(direct, raw, max(200, round(STREAMED * share))),
        }
        found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in comparisons}
        for _ in range(repetitions):
            for name, (ours, theirs, _goal) in comparisons.items():
                found[name][1].append(theirs())
                found[name][0].append(ours())
    return {name: rates(*found[name], goal=comparisons[name].goal) for name in comparisons}


def _one_by_one(
    plain: mktl.Item, read: mktl.Item, raw: zmq.Socket[bytes], count: int
) -> dict[str, Comparison]:
    values = iter(range(10**9))

    def beside(request: list[Any], goal: float, once: Callable[[], object]) -> Comparison:
        return Comparison(
            lambda: rate(count, once), lambda: rate(count, lambda: exchange(raw, request)), goal
        )

    get, refresh, put = frames(GET), frames(GET, REFRESH), frames(SET, set_payload())
    return {
        "GET that refreshes a trivial item": beside(refresh, 0.80, lambda: plain.get(refresh=True)),
        "GET that refreshes by code of the item": beside(
            refresh, 0.55, lambda: read.get(refresh=True)
        ),
        "GET of a cached value": beside(get, 0.85, lambda: plain.store.read(["plain"])),
        "SET": beside(put, 0.65, lambda: plain.set(next(values))),
        "SET to what it is": beside(put, 0.65, lambda: plain.set(7)),
    }


def _together(plain: mktl.Item, raw: zmq.Socket[bytes], count: int) -> dict[str, Comparison]:
    put = frames(SET, set_payload())
    return {
        f"{count:,} SETs sent, then awaited": Comparison(
            lambda: _set_together(plain, count), lambda: stream(raw, put, count, count), 0.45
        )
    }


def _in_flight(
    direct: zmq.Socket[bytes], raw: zmq.Socket[bytes], count: int
) -> dict[str, Comparison]:
    get = frames(GET)
    return {
        f"{IN_FLIGHT} GETs in flight, by pyzmq": Comparison(
            lambda: stream(direct, get, count, IN_FLIGHT),
            lambda: stream(raw, get, count, IN_FLIGHT),
            0.80,
        )
    }


@contextlib.contextmanager
def _subject(environment: Mapping[str, str]) -> Iterator[tuple[mktl.Item, mktl.Item, int]]:
    """Run a daemon, and give two of its items, as a client has them, and its port."""
    with daemon(environment) as port, as_client(environment):
        store = mktl.get("bench")
        yield store["plain"], store["read"], port


def _set_together(item: mktl.Item, count: int) -> float:
    began = time.perf_counter()
    pending = [item.set(value, wait=False) for value in range(count)]
    for one in pending:
        assert one is not None
        one.wait()
    return count / (time.perf_counter() - began)
