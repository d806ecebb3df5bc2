"""What it brings to wait awake for answers that come quickly, and what it takes.

The same client and daemon wait awake, as they do by themselves, and asleep (``MKTL_AWAKE=0``),
beside a bare loop of pyzmq, which sleeps by itself, and one that waits awake at both ends.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks._exchanges import (
    Measure,
    as_client,
    exchange,
    frames,
    in_turn,
    print_rates,
    rate,
    raw_echo,
    running,
)
from benchmarks._raw_echo import waits_awake
from benchmarks._support import Result, environment_of_its_own, exact_cpu_s, rates, times
from mktl.protocol.message import GET
from mktl.transport.client import RequestClient

__all__ = ["run"]

REPETITIONS, COUNT = 15, 400
SELDOM, SELDOM_S = 50, 0.01
"""How often in all a daemon is asked that is asked seldom, and the seconds in between."""
MORE = 1.5
"""How many times as much processor time it may take then."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A daemon, and what asks it for a value."""

    ask: Callable[[], object]
    pid: int

    def processor_us(self, count: int, pause_s: float = 0.0) -> float:
        """Return the processor time of the daemon for one of *count* answers, in microseconds."""
        before_s = exact_cpu_s(self.pid)
        for _ in range(count):
            self.ask()
            time.sleep(pause_s)
        return 1e6 * (exact_cpu_s(self.pid) - before_s) / count


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done."""
    repetitions, count, seldom = (1, 20, 20) if short else (REPETITIONS, COUNT, SELDOM)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        awake = stack.enter_context(_pair(Path(folder, "awake"), ""))
        asleep = stack.enter_context(_pair(Path(folder, "asleep"), "0"))
        environment = environment_of_its_own(Path(folder))
        raw = stack.enter_context(raw_echo(environment))
        raw_awake = stack.enter_context(raw_echo(environment, "awake"))
        wait = waits_awake(raw_awake)

        def exchange_awake() -> None:
            raw_awake.send_multipart(frames(GET))
            wait()
            raw_awake.recv_multipart()

        speed: dict[str, Measure] = {
            "awake": partial(rate, count, awake.ask),
            "asleep": partial(rate, count, asleep.ask),
            "pyzmq": lambda: rate(count, lambda: exchange(raw, frames(GET))),
            "pyzmq, awake": partial(rate, count, exchange_awake),
        }
        price: dict[str, Measure] = {
            "awake, at full speed": partial(awake.processor_us, count),
            "asleep, at full speed": partial(asleep.processor_us, count),
            "awake, asked seldom": partial(awake.processor_us, seldom, SELDOM_S),
            "asleep, asked seldom": partial(asleep.processor_us, seldom, SELDOM_S),
        }
        found = in_turn({**speed, **price}, repetitions)
    if not short:
        print_rates({name: found[name] for name in speed})
        for name in price:
            print(f"{name}: {statistics.median(found[name]):.0f} µs of the daemon for an answer")
    seldom_beside = times(found["awake, asked seldom"], found["asleep, asked seldom"], MORE)
    return {
        "GET, waited for awake, beside asleep": rates(found["awake"], found["asleep"], 1.0),
        "GET, beside pyzmq, both awake": rates(found["awake"], found["pyzmq, awake"], 0.5),
        "processor time for an answer, 100 a second: awake, beside asleep": seldom_beside,
    }


@contextlib.contextmanager
def _pair(folder: Path, awake_s: str) -> Iterator[Pair]:
    environment = {**environment_of_its_own(folder), "MKTL_AWAKE": awake_s}
    with running(environment) as daemon, contextlib.ExitStack() as stack:
        with as_client(environment):
            client = RequestClient("127.0.0.1", daemon.port)
        stack.callback(client.close)
        yield Pair(lambda: client.request(GET, "bench.plain").wait(), daemon.pid)
