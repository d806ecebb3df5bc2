"""What one sick controller costs the items of others in the same daemon.

Fifty small devices, each a controller of its own with an item that is polled at 10 Hz, and real
twins of instruments that are given one fault after the other. The devices count how often they
are polled; a client sets an item of each in turn and takes the time until the reply. A block with
a fault is compared with those before and after it, in which all are well.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._support import (
    Control,
    Failed,
    Result,
    at_most,
    environment_of_its_own,
    markd,
    simulator,
)
from mktl.protocol.message import GET, SET, encode_json
from mktl.replies import read_reply
from mktl.transport.client import RequestClient
from simulators.faults import KINDS

__all__ = ["run"]

DEVICES = 50
POLL_S = 0.1
SECONDS, ROUNDS = 3.0, 1
WITHIN = 1.05
"""How much worse it may be than without the fault."""

_SET_EVERY_S = 0.01
_PATIENCE_S = 60.0
_SETTLE_S = 0.5
_LONGEST_CALM_S = 20.0

_WORDS: Mapping[str, Sequence[str]] = {
    "tc": ["lakeshore336"],
    "bus": ["watlow_f4", "--modbus-rtu", "{folder}/{name}", "--units", "1,2"],
    "stage": ["zaber", "--pty", "{folder}/{name}"],
}
"""What the twins are, by the begin of their names."""
_OWN = {"exception": "bus", "busy": "stage", "nak": "stage", "dead-unit": "bus"}
_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "noise": {"probability": 0.05},
    "lost-bytes": {"probability": 0.05},
    "power-cycle": {"off_s": SECONDS},
}
_SHORT = ("silence", "cut")


@dataclass
class _Block:
    """What was measured for a while."""

    rate: float
    """Polls a second, of all devices."""
    p50: float
    """Half of the SETs took no longer, in seconds."""
    p99: float
    """Of a hundred SETs, 99 took no longer."""

    def worse_than(self, calm: _Block) -> tuple[float, float, float]:
        """Return by which factor it is worse, each of the three; below 1 it is better."""
        return calm.rate / self.rate, self.p50 / calm.p50, self.p99 / calm.p99


def run(
    *, short: bool = False, seconds: float = SECONDS, rounds: int = ROUNDS, together: int = 0
) -> dict[str, Result]:
    """Measure; *short*: as little as shows that it can be done.

    Args:
        short: Do less than asked for.
        seconds: How long each fault lasts.
        rounds: How often it is begun and ended; the middle one counts.
        together: 1: all faults at the same time, each on an instrument of its own.
    """
    modes = _SHORT if short else [name for name in KINDS if name != "strict-flow"] + ["cut"]
    seconds, rounds = (0.5, 1) if short else (seconds, rounds)
    sick = {mode: _twin_for(mode, apart=bool(together)) for mode in modes}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        environment = environment_of_its_own(folder)
        plant = stack.enter_context(
            simulator(["-m", "benchmarks._many_lines", str(DEVICES)], environment)
        )
        twins = {
            twin: stack.enter_context(
                simulator(["-m", "simulators", *_words(twin, folder)], environment)
            )
            for twin in dict.fromkeys(sick.values())
        }
        daemon = stack.enter_context(markd(_file(folder, plant, twins), environment))
        client = RequestClient("127.0.0.1", daemon.port, name="bench.all")
        stack.callback(client.close)
        names = [*_controllers(twins), *(f"d{number:02}" for number in range(DEVICES))]
        bench = _Bench(plant, twins, client, names)
        bench.wait_until_well()
        groups = {"all at once": sick} if together else {mode: {mode: sick[mode]} for mode in sick}
        blocks = list(bench.blocks(groups, seconds, rounds))
    if not short:
        _print_blocks(blocks)
    return _judged(blocks, f"{seconds:g} s of {len(modes)} faults{' at once' if together else ''}")


def _twin_for(mode: str, *, apart: bool) -> str:
    kind = _OWN.get(mode, "tc")
    return f"{kind}_{mode.replace('-', '_')}" if apart else kind


def _words(twin: str, folder: Path) -> list[str]:
    words = _WORDS[twin.partition("_")[0]]
    return [word.format(folder=folder, name=twin) for word in words]


def _controllers(twins: Mapping[str, Control]) -> dict[str, tuple[str, str, str]]:
    """Return driver, URL and channel of what is connected to the twins, by name."""
    found = {}
    for twin, control in twins.items():
        kind = twin.partition("_")[0]
        if kind == "bus":
            for unit in (1, 2):
                url = f"{control.url}&unit={unit}"
                found[f"{twin}_{unit}"] = ("watlow_f4", url, "input.1")
        elif kind == "stage":
            found[twin] = ("zaber", control.url, "position.1")
        else:
            found[twin] = ("lakeshore336", control.url, "temperature.A")
    return found


@dataclass
class _Bench:
    """What is measured on."""

    plant: Control
    twins: Mapping[str, Control]
    client: RequestClient
    names: Sequence[str]
    """All controllers."""

    def blocks(
        self, groups: Mapping[str, Mapping[str, str]], seconds: float, rounds: int
    ) -> Iterator[tuple[str, _Block, _Block, _Block]]:
        """Yield a block for each group of faults, between those before and after it.

        Args:
            groups: By name: twins by the fault that each of them has.
            seconds: How long the faults last.
            rounds: How often they begin and end.
        """
        self.measured(2 * _SETTLE_S)
        calm_s = min(seconds, _LONGEST_CALM_S)
        before = self.measured(calm_s)
        for name, group in groups.items():
            calm, sick = [before], []
            for _ in range(rounds):
                for mode, twin in group.items():
                    _begin(self.twins[twin], mode, seconds)
                sick.append(self.measured(seconds))
                for mode, twin in group.items():
                    _end(self.twins[twin], mode)
                self.wait_until_well()
                time.sleep(_SETTLE_S)
                calm.append(self.measured(calm_s))
            yield name, _middle(calm[:-1]), _middle(sick), _middle(calm[1:])
            before = calm[-1]

    def wait_until_well(self) -> None:
        """Wait until each controller is up, and its items are valid."""
        deadline = time.monotonic() + _PATIENCE_S
        while unwell := self._unwell():
            if time.monotonic() > deadline:
                raise Failed(f"not well after {_PATIENCE_S:g} s: {'; '.join(unwell)}")
            time.sleep(0.1)

    def _unwell(self) -> list[str]:
        """Return which controllers have no valid value, and why."""
        asked = {name: self.client.request(GET, f"bench.{name}_v") for name in self.names}
        found = []
        for name, request in asked.items():
            payload = request.wait(_PATIENCE_S).payload
            if "error" in payload:
                found.append(f"{name}: {payload['error'].get('text')}")
            elif payload.get("quality") == "invalid":
                found.append(f"{name}: {payload.get('reason')}")
        return found

    def measured(self, seconds: float) -> _Block:
        """Measure the other items for *seconds*."""
        waits: list[float] = []
        polls, began = self.plant.value("polls"), time.monotonic()
        due, number = began, 0
        while (now := time.monotonic()) < began + seconds:
            number += 1
            payload = encode_json({"value": number})
            request = self.client.request(SET, f"bench.d{number % DEVICES:02}_s", payload)
            read_reply(request, _PATIENCE_S)
            waits.append(time.monotonic() - now)
            due = max(due + _SET_EVERY_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        rate = (self.plant.value("polls") - polls) / (time.monotonic() - began)
        return _Block(rate, statistics.median(waits), statistics.quantiles(waits, n=100)[-1])


def _middle(blocks: Sequence[_Block]) -> _Block:
    return _Block(
        statistics.median(one.rate for one in blocks),
        statistics.median(one.p50 for one in blocks),
        statistics.median(one.p99 for one in blocks),
    )


def _begin(twin: Control, mode: str, seconds: float) -> None:
    if mode == "cut":
        twin.ask("cut")
        return
    parameters = dict(_PARAMETERS.get(mode, {}))
    if "off_s" in parameters:
        parameters["off_s"] = seconds
    twin.ask("fault", name=mode, **parameters)


def _end(twin: Control, mode: str) -> None:
    if mode == "cut":
        twin.ask("restore")
    else:
        twin.ask("fault", name="none")


def _print_blocks(blocks: Sequence[tuple[str, _Block, _Block, _Block]]) -> None:
    print(f"{'fault':16}  {'polls/s':>14}  {'SET p50, ms':>14}  {'SET p99, ms':>14}  worse by %")
    for mode, before, during, after in blocks:
        calm = _middle([before, after])
        worse = "  ".join(f"{100 * (each - 1):5.1f}" for each in during.worse_than(calm))
        print(
            f"{mode:16}  {calm.rate:6.1f} {during.rate:7.1f}  {1e3 * calm.p50:6.2f} "
            f"{1e3 * during.p50:7.2f}  {1e3 * calm.p99:6.2f} {1e3 * during.p99:7.2f}  {worse}"
        )


def _judged(blocks: Sequence[tuple[str, _Block, _Block, _Block]], faults: str) -> dict[str, Result]:
    """Return the worst of each; print how much calm blocks differ, which is the machine's doing."""
    names = ("polls", "SETs, p50", "SETs, p99")
    worst = [
        max(column)
        for column in zip(
            *(during.worse_than(_middle([before, after])) for _, before, during, after in blocks),
            strict=True,
        )
    ]
    noise = [
        max(max(ratio, 1 / ratio) for ratio in column)
        for column in zip(
            *(after.worse_than(before) for _, before, _, after in blocks), strict=True
        )
    ]
    spread = ", ".join(
        f"{name} {100 * (ratio - 1):.1f} %" for name, ratio in zip(names, noise, strict=True)
    )
    print(f"calm blocks differ by up to: {spread}")
    what = f"others, {faults}: "
    return {what + name: at_most(found, WITHIN) for name, found in zip(names, worst, strict=True)}


def _file(folder: Path, plant: Control, twins: Mapping[str, Control]) -> Path:
    """Write the instrument file of the daemon."""
    lines = ['store = "bench"', 'alias = "all"']
    for name, (driver, url, channel) in _controllers(twins).items():
        lines += [f"[controllers.{name}]", f'driver = "{driver}"', f'url = "{url}"']
        lines += ["timeout_s = 0.5", "retry_longest_s = 2"]
        lines += [f"[items.{name}_v]", f'channel = "{name}.{channel}"', f"poll_s = {POLL_S}"]
    for number, port in enumerate(plant.url.split()):
        name = f"d{number:02}"
        lines += [f"[controllers.{name}]", 'driver = "text"', f'url = "tcp://127.0.0.1:{port}"']
        lines += ['identify = {ask = "ID?", reply = "many lines"}']
        lines += [f"[items.{name}_v]", f'controller = "{name}"', 'ask = "V?"']
        lines += ['reply = "{value:d}"', f"poll_s = {POLL_S}"]
        lines += [f"[items.{name}_s]", f'controller = "{name}"', 'ask = "S?"']
        lines += ['reply = "{value:d}"', 'tell = "S {value}"', "read_back = true"]
    path = folder / "all.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
