"""``make observatory SOAK=600``: breaks things at random, and sees whether all comes back.

Whether it was safe all the time is looked up in the simulated instruments, and not in the items:
those could be what is wrong.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import mktl
from mktl.errors import MktlError

from .box import INTERLOCKS, Box, alias_of, formatted

__all__ = ["soak"]

LINK_FAULTS = ("silence", "mute", "late", "garbage", "truncated", "split", "reset", "power-cycle")
LEAK, TIGHT, BAD_MBAR = 1e-3, 1e-5, 1e-5
LASTS_S = (0.5, 6.0)
"""How long a trouble lasts: at least, at most."""
RECOVERS_S = 90.0
"""All has to be well again after so long; the longest pause of a reconnect is 30 s."""
UNSAFE_S = 15.0
"""High voltage in bad vacuum may not last so long, while its supply can be reached."""
LOOK_S = 0.1


@dataclass
class Report:
    """What has happened."""

    troubles: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    """Longest recovery."""
    unsafe_s: float = 0.0
    """Longest time of high voltage in bad vacuum, with the supply in reach."""
    failures: list[str] = field(default_factory=list)


class Soak:
    """One run."""

    def __init__(self, box: Box, seed: int, say: Callable[[str], None]) -> None:
        self.box = box
        self.report = Report()
        self._say = say
        self._chance = random.Random(seed)
        self._unsafe_since: float | None = None
        self._can_act = True

    def round(self) -> None:
        """Let one or two troubles begin, and end; wait until all is well."""
        self._work()
        ends, names = [], []
        for _ in range(self._chance.choice((1, 1, 2))):
            name, end = self._begin()
            names.append(name)
            ends.append(end)
            self.report.troubles[name.partition(" ")[0]] += 1
        # Nobody can switch off what cannot be reached.
        hindered = {"psu", "power", INTERLOCKS}
        self._can_act = not any(hindered & set(name.split()) for name in names)
        self._look_for(self._chance.uniform(*LASTS_S))
        for end in ends:
            end()
        began = time.monotonic()
        while troubles := self._unwell():
            if time.monotonic() - began > RECOVERS_S:
                self.report.failures.append(f"after {', '.join(names)}: {'; '.join(troubles)}")
                return
            self._look_for(0.5)
        took_s = time.monotonic() - began
        self.report.longest_s = max(self.report.longest_s, took_s)
        self._say(f"{', '.join(names)}: all is well again after {took_s:.1f} s")

    def _work(self) -> None:
        """Do what people do, so that the interlocks have something to hold back."""
        for key, value in (("safety.hv_on", True), ("dome.open_shutter", True)):
            try:
                mktl.get(key).set(value, timeout=5)
            except MktlError as error:
                self._say(f"{key} is not set: {error}")

    def _begin(self) -> tuple[str, Callable[[], None]]:
        """Begin a trouble; return its name, and what ends it."""
        chance, twins = self._chance, self.box.twins
        kind = chance.choice(("cut", "fault", "fault", "kill", "air", "rain"))
        if kind == "kill":
            name = chance.choice(list(self.box.processes))
            self.report.killed[name] += 1
            self.box.kill(name)
            return f"kill {name}", lambda: None
        if kind == "air":
            twins["gauges"].set(chamber_leak=LEAK)
            return "air", lambda: twins["gauges"].set(chamber_leak=TIGHT)
        if kind == "rain":
            twins["io"].set(rain=1)
            return "rain", lambda: twins["io"].set(rain=0)
        name = chance.choice(list(twins))
        if kind == "cut":
            twins[name].cut()
            return f"cut {name}", twins[name].restore
        fault = chance.choice(LINK_FAULTS)
        twins[name].fault(fault)
        return f"{fault} {name}", twins[name].clear_faults

    def _look_for(self, duration_s: float) -> None:
        """Look at the hardware for a while: is there high voltage in bad vacuum?"""
        deadline = time.monotonic() + duration_s
        while (now := time.monotonic()) < deadline:
            is_on = self.box.twins["psu"].get("ch2_on")["ch2_on"]
            mbar = self.box.twins["gauges"].get("chamber_mbar")["chamber_mbar"]
            if not (is_on and mbar > BAD_MBAR and self._can_act):
                self._unsafe_since = None
            elif self._unsafe_since is None:
                self._unsafe_since = now
            else:
                self.report.unsafe_s = max(self.report.unsafe_s, now - self._unsafe_since)
            time.sleep(LOOK_S)

    def _unwell(self) -> list[str]:
        """Return what is not as it should be."""
        found = [
            f"{name} does not run" for name, one in self.box.processes.items() if not one.is_running
        ]
        found += [
            f"{key} is {state or 'not known'}"
            for key in self.box.links.values()
            if (state := formatted(key)) != "Up"
        ]
        found += [
            f"{INTERLOCKS}.{key} is {state or 'not known'}"
            for key in ("shutter", "high_voltage")
            if (state := formatted(f"{INTERLOCKS}.{key}")) != "Armed"
        ]
        return found or [text for store in self.box.stores for text in _invalid_items(store)]

    def end(self) -> int:
        """Print the report; return the exit code."""
        report = self.report
        for name, one in self.box.processes.items():
            others = len(one.deaths) - report.killed[name]
            if others > 0:
                report.failures.append(f"{name} ended by itself {others} times: see its log")
        if report.unsafe_s > UNSAFE_S:
            report.failures.append(f"high voltage in bad vacuum for {report.unsafe_s:.1f} s")
        lines = {name: one.log.read_text().count("\n") for name, one in self.box.processes.items()}
        print("\ntroubles:             ", ", ".join(f"{k} {n}" for k, n in report.troubles.items()))
        print("longest recovery:     ", f"{report.longest_s:.1f} s")
        print("HV in bad vacuum:     ", f"{report.unsafe_s:.1f} s at most")
        print("memory of the daemons:", ", ".join(f"{k} {n} MB" for k, n in self._memory().items()))
        print("lines in their logs:  ", ", ".join(f"{name} {n}" for name, n in lines.items()))
        for text in report.failures:
            print("FAILED:", text)
        return 1 if report.failures else 0

    def _memory(self) -> dict[str, int]:
        found = {}
        for name in (*self.box.stores, INTERLOCKS):
            found[name] = round(float(mktl.get(f"{name}._{alias_of(name)}mem").value) / 1024)
        return found


def _invalid_items(name: str) -> list[str]:
    store = mktl.get(name)
    keys = [key for key in store if not key.startswith("_") and store[key].description.gettable]
    return [
        f"{name}.{key}: {found if isinstance(found, Exception) else found.reason}"
        for key, found in store.read(keys, timeout=5).items()
        if isinstance(found, Exception) or found.quality == "invalid"
    ]


def soak(box: Box, duration_s: float, seed: int | None, say: Callable[[str], None]) -> int:
    """Break things at random for *duration_s*, report, and return the exit code."""
    seed = random.randrange(10_000) if seed is None else seed
    say(f"things break at random for {duration_s:g} s; the same again: --seed {seed}")
    run = Soak(box, seed, say)
    box.twins["station"].set(steady=1)
    mktl.get("power.hv_limit").set(0.3)
    mktl.get("power.hv_setpoint").set(24)
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline and not run.report.failures:
        run.round()
    return run.end()
