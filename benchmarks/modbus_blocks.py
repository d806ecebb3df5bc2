"""What it costs to poll 1,000 holding registers at 10 Hz over Modbus TCP.

A plant of registers in one process (``benchmarks/_registers.py``), and a daemon with an item for
each of them in another. The reads are counted by the plant, the processor time of the daemon by the
system: once while no value changes, and once while all of them do, at each read.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks._support import (
    Control,
    Result,
    at_most,
    cpu_s,
    environment_of_its_own,
    markd,
    simulator,
    wait_until,
)

__all__ = ["run"]

REGISTERS = 1000
POLL_S = 0.1
PASSES, PASS_S = 5, 3.0
CORE = 0.25
"""Share of one core that is promised."""

_MOST_OF_ONE_READ = 125
_SETTLE_S = 0.3
_NONE, _ALL = 0.0, 1.0


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done."""
    passes, pass_s = (1, 0.7) if short else (PASSES, PASS_S)
    shares: dict[float, list[float]] = {_NONE: [], _ALL: []}
    reads: list[float] = []
    cycles_s: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = environment_of_its_own(folder)
        with (
            simulator(["-m", "benchmarks._registers", str(REGISTERS)], environment) as plant,
            markd(_file(folder, plant.url), environment) as daemon,
        ):
            wait_until(
                lambda: plant.value("registers") > 10 * REGISTERS,
                lambda: f"{plant.value('registers'):g} registers were read, and no more",
            )
            for changing in (_NONE, _ALL) * passes:
                plant.ask("set", values={"changing": changing})
                time.sleep(_SETTLE_S)
                share, reads_of_all, cycle_s = _pass(plant, daemon.pid, pass_s)
                shares[changing].append(share)
                reads.append(reads_of_all)
                cycles_s.append(cycle_s)
    what = f"{REGISTERS:,} registers at {1 / POLL_S:g} Hz"
    fewest = math.ceil(REGISTERS / _MOST_OF_ONE_READ)
    return {
        f"{what}: reads a cycle": at_most(statistics.median(reads), fewest),
        f"{what}: one cycle": at_most(statistics.median(cycles_s), 1.02 * POLL_S),
        f"{what}, none changes: of a core": at_most(statistics.median(shares[_NONE]), CORE),
        f"{what}, all change: of a core": at_most(statistics.median(shares[_ALL]), CORE),
    }


def _pass(plant: Control, pid: int, pass_s: float) -> tuple[float, float, float]:
    """Return the daemon's share of a core, reads for all registers, and seconds for these."""
    begin, used_s = plant.ask("get", names=["reads", "registers"])["values"], cpu_s(pid)
    began = time.monotonic()
    time.sleep(pass_s)
    end, used_s = plant.ask("get", names=["reads", "registers"])["values"], cpu_s(pid) - used_s
    took_s = time.monotonic() - began
    cycles = (end["registers"] - begin["registers"]) / REGISTERS
    return used_s / took_s, (end["reads"] - begin["reads"]) / cycles, took_s / cycles


def _file(folder: Path, url: str) -> Path:
    lines = ['store = "bench"', 'alias = "plant"']
    lines += ["[controllers.plant]", 'driver = "modbus"', f'url = "{url}"']
    for address in range(REGISTERS):
        register = f'{{table = "holding", address = {address}, scale = 0.1}}'
        lines += [f"[items.r{address:04}]", 'controller = "plant"', f"register = {register}"]
        lines += [f"poll_s = {POLL_S}"]
    path = folder / "plant.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
