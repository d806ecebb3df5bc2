"""What a daemon with 100 items takes while nothing happens: memory, and processor time.

Two of them, both left alone: a plain daemon whose items are keys and values, and ``markd`` with an
instrument file of 100 registers that are not polled, connected to a simulated device. The limits
are what the project promises. Processor time is what the system counts in nanoseconds for each
thread: its usual ticks of 10 ms are longer than all that is used in a second.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks._exchanges import running
from benchmarks._support import (
    Result,
    at_most,
    environment_of_its_own,
    exact_cpu_s,
    markd,
    resident_mib,
    simulator,
)

__all__ = ["run"]

ITEMS = 100
MOST_MIB = 40.0
CORE = 0.01
"""Share of one core."""
REPETITIONS, WATCHED_S = 5, 4.0
_SETTLE_S = 3.0
"""Until all that belongs to a start has been done."""


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done."""
    repetitions, watched_s, settle_s = (1, 1.2, 0) if short else (REPETITIONS, WATCHED_S, _SETTLE_S)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        environment = environment_of_its_own(folder)
        plain = stack.enter_context(running(environment, ITEMS - 2))  # it has two of its own
        pids = {
            "a daemon": plain.pid,
            "markd": stack.enter_context(_markd(folder, environment)),
        }
        time.sleep(settle_s)
        shares: dict[str, list[float]] = {who: [] for who in pids}
        for _ in range(repetitions):
            used_s = {who: exact_cpu_s(pid) for who, pid in pids.items()}
            time.sleep(watched_s)
            for who, pid in pids.items():
                shares[who].append((exact_cpu_s(pid) - used_s[who]) / watched_s)
        results = {}
        for who, pid in pids.items():
            what = f"{who}, idle with {ITEMS} items"
            results[f"{what}: MiB"] = at_most(resident_mib(pid), MOST_MIB)
            results[f"{what}: of a core"] = at_most(statistics.median(shares[who]), CORE)
        return results


@contextlib.contextmanager
def _markd(folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Run ``markd`` beside the device of its items, and give its process."""
    with simulator(["-m", "benchmarks._registers", str(ITEMS)], environment) as plant:
        lines = ['store = "plant"', 'alias = "idle"']
        lines += ["[controllers.plant]", 'driver = "modbus"', f'url = "{plant.url}"']
        for address in range(ITEMS):
            register = f'{{table = "holding", address = {address}}}'
            lines += [f"[items.r{address:03}]", 'controller = "plant"', f"register = {register}"]
        path = folder / "plant.toml"
        path.write_text("\n".join(lines) + "\n")
        with markd(path, environment) as daemon:
            yield daemon.pid
