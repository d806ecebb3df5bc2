"""GET and SET beside PyTango, whose core is written in C++, and beside pyzmq, all in turn.

Each is asked by a client in this process, one exchange after the other, and answers from a process
of its own. PyTango has a device with an attribute that code in Python reads, one that is kept and
can be written, and one that the server polls. A write is not published there, nor is it recorded.

Without PyTango (``pip install pytango``) there is only the comparison with pyzmq.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import mktl
from benchmarks._exchanges import (
    REFRESH,
    Measure,
    as_client,
    daemon,
    exchange,
    frames,
    in_turn,
    print_rates,
    rate,
    raw_echo,
    set_payload,
)
from benchmarks._support import Result, environment_of_its_own, rates, wait_until
from mktl.protocol.message import GET, SET

__all__ = ["run"]

REPETITIONS = 15
EXCHANGES = 600
"""In a repetition."""

READ, CACHED, WRITE = "GET that refreshes by code", "GET of a cached value", "SET"
GOALS_BESIDE_PYZMQ = {READ: 0.55, CACHED: 0.85, WRITE: 0.65}
POLLED = "PyTango's read of what it polls"
GOAL_BESIDE_POLLED = 0.5
"""That is answered in C++ without any code in Python, and faster than pyzmq passes on messages."""


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure exchanges a second; *short*: as few as show that it can be done."""
    repetitions, count = (1, 20) if short else (REPETITIONS, EXCHANGES)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = environment_of_its_own(Path(folder))
        measures = {
            **stack.enter_context(_ours(environment, count)),
            **stack.enter_context(_pyzmq(environment, count)),
        }
        if importlib.util.find_spec("tango") is not None:
            measures |= stack.enter_context(_pytango(environment, count, Path(folder)))
        else:
            print("PyTango is not there to be compared: pip install pytango", file=sys.stderr)
        found = in_turn(measures, repetitions)
    if not short:
        print_rates(found)
    return _results(found)


def _results(found: Mapping[str, list[float]]) -> dict[str, Result]:
    if POLLED not in found:
        return {
            f"{what}, beside pyzmq": rates(found[f"ours: {what}"], found[f"pyzmq: {what}"], goal)
            for what, goal in GOALS_BESIDE_PYZMQ.items()
        }
    beside_pytango = {
        f"{what}, beside PyTango": rates(found[f"ours: {what}"], found[f"PyTango: {what}"], 1.0)
        for what in GOALS_BESIDE_PYZMQ
    }
    polled = rates(found[f"ours: {CACHED}"], found[POLLED], GOAL_BESIDE_POLLED)
    return {**beside_pytango, f"{CACHED}, beside {POLLED}": polled}


@contextlib.contextmanager
def _ours(environment: Mapping[str, str], count: int) -> Iterator[dict[str, Measure]]:
    values = iter(range(10**9))
    with daemon(environment), as_client(environment):
        store = mktl.get("bench")
        plain, read = store["plain"], store["read"]
        yield {
            f"ours: {READ}": lambda: rate(count, lambda: read.get(refresh=True)),
            f"ours: {CACHED}": lambda: rate(count, lambda: store.read(["plain"])),
            f"ours: {WRITE}": lambda: rate(count, lambda: plain.set(next(values))),
        }


@contextlib.contextmanager
def _pyzmq(environment: Mapping[str, str], count: int) -> Iterator[dict[str, Measure]]:
    requests = {
        READ: frames(GET, REFRESH),
        CACHED: frames(GET),
        WRITE: frames(SET, set_payload()),
    }
    with raw_echo(environment) as socket:

        def measure(request: list[Any]) -> float:
            return rate(count, lambda: exchange(socket, request))

        yield {f"pyzmq: {what}": partial(measure, one) for what, one in requests.items()}


@contextlib.contextmanager
def _pytango(
    environment: Mapping[str, str], count: int, folder: Path
) -> Iterator[dict[str, Measure]]:
    import tango

    from benchmarks._tango_device import NAME

    file = folder / "tango"
    with daemon(environment, file, module="benchmarks._tango_device") as port:
        device = tango.DeviceProxy(f"tango://127.0.0.1:{port}/{NAME}#dbase=no")
        wait_until(lambda: _has_polled(device), lambda: "PyTango does not answer")
        yield {
            f"PyTango: {READ}": lambda: rate(count, lambda: device.read_attribute("read").value),
            f"PyTango: {CACHED}": lambda: rate(count, lambda: device.read_attribute("plain").value),
            f"PyTango: {WRITE}": lambda: rate(count, lambda: device.write_attribute("plain", 1.0)),
            POLLED: lambda: rate(count, lambda: device.read_attribute("polled").value),
        }


def _has_polled(device: Any) -> bool:
    import tango

    try:
        device.set_source(tango.DevSource.CACHE)
        device.read_attribute("polled")
        device.set_source(tango.DevSource.CACHE_DEV)
    except tango.DevFailed:  # it has only just begun
        return False
    return True
