"""How much of a slow serial line is used, and how long a SET waits while polls keep it full.

A simulator on a pseudo-terminal, at the true pace of 9600 baud, and a daemon whose instrument file
asks for more than the line can carry: four Watlow F4 on one Modbus RTU bus, and a Julabo, which
speaks text. What the line allows follows from the bytes in the simulator's own log, 10 bits each,
and from the pauses that the device needs; how long it took is in that log as well.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from benchmarks._support import (
    Control,
    Result,
    at_most,
    environment_of_its_own,
    markd,
    simulator,
    wait_until,
)
from mktl.protocol.message import SET, encode_json
from mktl.replies import read_reply
from mktl.transport.client import RequestClient

__all__ = ["run"]

CARRIED = 0.9
"""Share of what the line allows that is promised."""
WINDOWS, EXCHANGES = 5, 80
SETS = 40

_CHARACTER_S = 10 / 9600
_UNITS = (1, 2, 3, 4)
_READ, _WRITE = "03", "06"

Exchange = dict[str, Any]
"""As the control port of a simulator gives it."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What a device needs of its line."""

    gap_s: float
    """Silence before each message."""
    turnaround_s: float
    """From the end of a message to the beginning of its reply."""
    size: Callable[[str], int]
    """Bytes of a message or reply that the log shows so."""
    end: int = 0
    """Bytes that end a message, which the log does not show."""

    def asking_s(self, exchange: Exchange) -> float:
        """Return how long the message takes, with the silence before it."""
        return self.gap_s + (self.size(exchange["received"]) + self.end) * _CHARACTER_S

    def answering_s(self, exchange: Exchange) -> float:
        """Return how long it is from the end of the message to that of the reply."""
        return self.turnaround_s + self.size(exchange["sent"] or "") * _CHARACTER_S

    def needed_s(self, exchanges: Sequence[Exchange]) -> float:
        """Return how long *exchanges* take, one right after the other."""
        return sum(self.asking_s(each) + self.answering_s(each) for each in exchanges)


# A silence of 3.5 characters (MODBUS over Serial Line V1.02, 2.5.1.1), and the twin's turnaround.
_WATLOW = _Line(3.5 * _CHARACTER_S, 0.005, lambda shown: len(shown.split()))
# 10 ms after a query (CF31 manual, p. 72).
_JULABO = _Line(0.010, 0.0, lambda shown: len(shown.encode().decode("unicode_escape")), end=1)


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done."""
    windows = [10] if short else [EXCHANGES] * WINDOWS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return _modbus(folder, windows, 2 if short else SETS) | _text(folder, windows)


def _modbus(folder: Path, windows: Sequence[int], sets: int) -> dict[str, Result]:
    environment = environment_of_its_own(folder)
    units = ",".join(map(str, _UNITS))
    bus_at = ["watlow_f4", "--modbus-rtu", str(folder / "bus"), "--units", units]
    with (
        simulator(["-m", "simulators", *bus_at, "--baud", "9600"], environment) as bus,
        markd(_watlow_file(folder, bus.url), environment) as daemon,
    ):
        _wait_until_full(bus, lambda log: set(map(_unit, log)) == set(_UNITS) and _only_reads(log))
        logs = list(_windows(bus, windows))
        waits_s, meanwhile = _sets(bus, daemon.port, sets)
    own_s = _WATLOW.needed_s([_last_write(meanwhile[-1])])
    longest_s = max(took_s for log in (*logs, *meanwhile) for took_s in _turns_s(log)) + own_s
    return {
        "Modbus RTU at 9600 baud, full: one exchange": _carried(_WATLOW, logs),
        "SET on that bus, longest wait": at_most(max(waits_s), longest_s),
        "SET on that bus, median wait": at_most(statistics.median(waits_s), longest_s),
    }


def _text(folder: Path, windows: Sequence[int]) -> dict[str, Result]:
    environment = environment_of_its_own(folder)
    line_at = ["julabo", "--pty", str(folder / "line"), "--baud", "9600"]
    with (
        simulator(["-m", "simulators", *line_at], environment) as line,
        markd(_julabo_file(folder, line.url), environment),
    ):
        _wait_until_full(line, lambda log: all(one["received"].startswith("in_") for one in log))
        logs = list(_windows(line, windows))
    return {"text at 9600 baud, full: one exchange": _carried(_JULABO, logs)}


def _watlow_file(folder: Path, url: str) -> Path:
    lines = ['store = "bench"', 'alias = "bus"']
    channels = ("input.1", "output.1A", "status.1", "operation", "event.1")
    for unit in _UNITS:
        lines += [f"[controllers.f{unit}]", 'driver = "watlow_f4"', f'url = "{url}&unit={unit}"']
        for channel in channels:
            key = channel.replace(".", "_")
            lines += [f"[items.f{unit}_{key}]", f'channel = "f{unit}.{channel}"', "poll_s = 0.05"]
    return _written(folder / "bus.toml", lines)


def _julabo_file(folder: Path, url: str) -> Path:
    lines = ['store = "bench"', 'alias = "line"']
    lines += ["[controllers.bath]", 'driver = "julabo"', f'url = "{url}"']
    channels = ("temperature", "power", "temperature.external", "running", "setpoint")
    for channel in channels:
        key = channel.replace(".", "_")
        lines += [f"[items.{key}]", f'channel = "bath.{channel}"', "poll_s = 0.02"]
    return _written(folder / "line.toml", lines)


def _written(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def _wait_until_full(control: Control, full: Callable[[list[Exchange]], bool]) -> None:
    """Wait until the start is over, and polls follow each other."""
    wait_until(
        lambda: len(log := _log(control, 30)) == 30 and full(log),
        lambda: f"the line is not polled as it should be: {_log(control, 5)}",
    )


def _windows(control: Control, sizes: Sequence[int]) -> Iterator[list[Exchange]]:
    """Give so many exchanges that followed each other, and then as many later ones."""
    for size in sizes:
        end = control.value("messages") + size
        while control.value("messages") < end:
            time.sleep(0.1)
        yield _log(control, size)


def _log(control: Control, last: int) -> list[Exchange]:
    exchanges: list[Exchange] = control.ask("log", last=last)["exchanges"]
    return exchanges


def _carried(line: _Line, logs: Sequence[Sequence[Exchange]]) -> Result:
    """Compare the time of an exchange with what the line allows, in the median window."""
    found = []
    for log in logs:
        # From the end of the first message to that of the last one.
        allowed_s = line.needed_s(log) - line.asking_s(log[0]) - line.answering_s(log[-1])
        took_s = log[-1]["at_s"] - log[0]["at_s"]
        count = len(log) - 1
        found.append(at_most(took_s / count, allowed_s / count / CARRIED))
    return sorted(found, key=lambda one: one.ratio)[len(found) // 2]


def _sets(control: Control, port: int, count: int) -> tuple[list[float], list[list[Exchange]]]:
    """Set outputs at random moments.

    Returns:
        Seconds from each request of the client until the device had heard all of it; and what was
        on the bus before and after.
    """
    chance = random.Random(9600)
    ahead_s = _clock_ahead_s(control)
    waits_s, logs = [], []
    client = RequestClient("127.0.0.1", port)
    try:
        for number in range(count):
            time.sleep(chance.uniform(0.05, 0.25))
            target = f"bench.f{chance.choice(_UNITS)}_event_1"
            payload = encode_json({"value": number % 2 == 0})
            asked = time.monotonic()
            read_reply(client.request(SET, target, payload), 5.0)
            logs.append(_log(control, 40))
            waits_s.append(_last_write(logs[-1])["at_s"] + ahead_s - asked)
    finally:
        client.close()
    return waits_s, logs


def _last_write(log: Sequence[Exchange]) -> Exchange:
    return next(one for one in reversed(log) if _function(one) == _WRITE)


def _turns_s(log: Sequence[Exchange]) -> Iterator[float]:
    """Give how long each turn of polls took: exchanges with one unit that follow each other."""
    turns = [list(turn) for _, turn in groupby(log, key=_unit)]
    for turn, following in pairwise(turns):
        if not any(_function(one) == _WRITE for one in turn):
            yield following[0]["at_s"] - turn[0]["at_s"]


def _clock_ahead_s(control: Control) -> float:
    """Return by how much our clock is ahead of that of the simulator's log."""
    quickest = (float("inf"), 0.0)
    for _ in range(20):
        before = time.monotonic()
        now_s = control.ask("status")["now_s"]
        after = time.monotonic()
        quickest = min(quickest, (after - before, (before + after) / 2 - now_s))
    return quickest[1]


def _unit(exchange: Exchange) -> int:
    return int(exchange["received"][:2], 16)


def _function(exchange: Exchange) -> str:
    function: str = exchange["received"][3:5]
    return function


def _only_reads(log: Sequence[Exchange]) -> bool:
    return all(one["sent"] and one["sent"][3:5] == _function(one) == _READ for one in log)
