"""How cost grows: requests, start and memory of a daemon, by items and by clients.

Daemons of 100, 1,000 and 10,000 items run at the same time and are asked in turn, by 1, 8 and 64
clients. A client is a connection of pyzmq; all of them ask, each for another item, and ask again
when all are answered: GETs of cached values, SETs of values that change. The yardstick is a bare
echo of pyzmq, asked by as many. The ratio is the rate with many items beside that with few, or
with many clients beside that with one: 1 is to be as fast.

Start is the processor time until the first answer, memory what is resident then: with 10,000 items
neither may be more than twice what it is with 5,000.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import zmq

from benchmarks._exchanges import (
    Measure,
    connected,
    crowd,
    daemon,
    exchange,
    frames,
    in_turn,
    print_rates,
    running,
    set_payload,
    take_reply,
)
from benchmarks._support import (
    Result,
    at_most,
    environment_of_its_own,
    exact_cpu_s,
    rates,
    resident_mib,
    times,
)
from mktl.protocol.message import GET, SET

__all__ = ["run"]

REPETITIONS = 7
STARTS = 5
ITEMS = (100, 1_000, 10_000)
CLIENTS = (1, 8, 64)
STARTED = (100, 1_000, 5_000, 10_000)
"""Items of the daemons that are started and ended again."""
EXCHANGES = 1280
"""In a repetition."""
START_S = 3.0
MEMORY_MIB = 200.0
"""What the largest of the daemons may take."""

_FEW, _SOME, _MANY = ITEMS
_HALF = _MANY // 2
_PYZMQ = "pyzmq"

Figures = dict[str, list[float]]
Sockets = Sequence[zmq.Socket[bytes]]
Asked = Iterator[tuple[int, str]]


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure how many a second; *short*: as few as show that it can be done."""
    starts, repetitions, count = (
        (1, 1, 2 * max(CLIENTS)) if short else (STARTS, REPETITIONS, EXCHANGES)
    )
    started = _starts(starts)
    found = _requests(repetitions, count)
    if not short:
        _print_all(found, started)
    return {**_by_items(found), **_by_clients(found), **_by_start(started)}


def _by_items(found: Figures) -> dict[str, Result]:
    return {
        f"{kind} by {clients}, {_MANY:,} items beside {_FEW}": rates(
            found[_name(kind, _MANY, clients)], found[_name(kind, _FEW, clients)], 0.8
        )
        for kind in ("GET", "SET")
        for clients in CLIENTS
    }


def _by_clients(found: Figures) -> dict[str, Result]:
    return {
        f"{kind} by {clients} clients beside 1, {_SOME:,} items": rates(
            found[_name(kind, _SOME, clients)], found[_name(kind, _SOME, 1)], 1.0
        )
        for kind in ("GET", "SET")
        for clients in CLIENTS[1:]
    }


def _by_start(found: Figures) -> dict[str, Result]:
    answer_s, memory_mib = (
        statistics.median(found[_started(what, _MANY)]) for what in ("first answer", "memory")
    )
    return {
        f"start to first answer, {_MANY:,} items": at_most(answer_s, START_S),
        f"MiB, {_MANY:,} items": at_most(memory_mib, MEMORY_MIB),
        f"processor time of the start, {_MANY:,} items beside twice {_HALF:,}": times(
            found[_started("start", _MANY)],
            [2 * seconds for seconds in found[_started("start", _HALF)]],
            1.0,
        ),
        f"MiB, {_MANY:,} items beside twice {_HALF:,}": times(
            found[_started("memory", _MANY)],
            [2 * mib for mib in found[_started("memory", _HALF)]],
            1.0,
        ),
    }


def _started(what: str, items: int) -> str:
    return f"{what}, {items} items"


def _name(kind: str, items: int | str, clients: int) -> str:
    return f"{kind}, {items} items, {clients} clients"


def _print_all(found: Figures, started: Figures) -> None:
    print_rates(found)
    for what, figures in started.items():
        print(f"{what:40} {statistics.median(figures):8.3f} {'MiB' if 'memory' in what else 's'}")


def _starts(repetitions: int) -> Figures:
    """Return seconds to the first answer, those of the processor, and MiB, for each of STARTED."""
    found: Figures = {
        _started(what, items): []
        for what in ("first answer", "start", "memory")
        for items in STARTED
    }
    for _ in range(repetitions):
        for items in STARTED:
            for what, figure in _start(items).items():
                found[_started(what, items)].append(figure)
    return found


def _start(items: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of_its_own(Path(folder))
        began = time.perf_counter()
        with running(environment, items) as (pid, port), connected(port) as socket:
            exchange(socket, frames(GET))
            return {
                "first answer": time.perf_counter() - began,
                "start": exact_cpu_s(pid),
                "memory": resident_mib(pid),
            }


def _requests(repetitions: int, count: int) -> Figures:
    """Return exchanges a second for all numbers of items, and of clients."""
    measures: dict[str, Measure] = {}
    with contextlib.ExitStack() as stack:
        for items in ITEMS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            port = stack.enter_context(daemon(environment_of_its_own(folder), items))
            measures |= _measures(stack, port, items, items, count)
        echo = daemon(environment_of_its_own(folder), module="benchmarks._raw_echo")
        measures |= _measures(stack, stack.enter_context(echo), _PYZMQ, _FEW, count)
        return in_turn(measures, repetitions)


def _measures(
    stack: contextlib.ExitStack, port: int, name: int | str, items: int, count: int
) -> Mapping[str, Measure]:
    sockets = stack.enter_context(crowd(port, max(CLIENTS)))
    asked = enumerate(itertools.cycle(f"bench.n{item}" for item in range(items)))
    return {
        _name(kind.decode(), name, clients): partial(
            _measure, kind, sockets[:clients], asked, count
        )
        for kind in (GET, SET)
        for clients in CLIENTS
    }


def _measure(kind: bytes, sockets: Sockets, asked: Asked, count: int) -> float:
    """Send a request by each socket, and again when all are answered; return how many a second."""
    requests = [
        frames(kind, set_payload(value) if kind == SET else b"", target)
        for value, target in itertools.islice(asked, count - count % len(sockets))
    ]
    coming = iter(requests)
    began = time.perf_counter()
    for _ in range(count // len(sockets)):
        for socket in sockets:
            socket.send_multipart(next(coming))
        for socket in sockets:
            take_reply(socket)
    return len(requests) / (time.perf_counter() - began)
