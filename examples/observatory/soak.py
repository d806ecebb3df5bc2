"""``make soak``: breaks things at random for long, and sees whether all comes back, and is true.

Whether it was safe all the time, and whether values were true, is looked up in the simulated
instruments, and not in the items: those could be what is wrong.
"""

from __future__ import annotations

import logging
import os
import random
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import mktl
from mktl.errors import MktlError

from ._soak_clients import Churn
from ._soak_counts import Counting
from ._soak_growth import Growth
from ._soak_truth import Watch
from .box import INTERLOCKS, ROOT, Box, formatted

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
COUNTS = "counts"
SPARED = 3
"""So many daemons are left alone, others in each run, to see whether they grow."""
ASKED_FOR = (
    "cryo.detector_temp", "vacuum.chamber", "filters.slide", "power.hv_voltage", "dome.air_temp",
    "weather.pressure", "counts.n0", "safety.shutter",
)  # fmt: skip
BAD_LINE = re.compile(
    rb"Traceback \(most recent call last\)|Exception in thread|Fatal Python error"
)


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


class Mishaps(logging.Handler):
    """Exceptions of this process, which is a client of all daemons, that nobody has handled."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note what was logged with a traceback."""
        if record.exc_info:
            self.found.append(self.format(record))

    def note_thread(self, ended: threading.ExceptHookArgs) -> None:
        """Note a thread that was ended by an exception."""
        name = ended.thread.name if ended.thread else "a thread"
        self.found.append(f"{name} was ended by {ended.exc_type.__name__}: {ended.exc_value}")


class Soak:
    """One run."""

    def __init__(self, box: Box, seed: int, say: Callable[[str], None]) -> None:
        self.box = box
        self.report = Report()
        self._say = say
        self._chance = random.Random(seed)
        self._unsafe_since: float | None = None
        self._can_act = True
        self._slide_is_lost = False
        names = [*box.processes, COUNTS]
        self._spared = set(self._chance.sample(names, SPARED) if len(names) > SPARED else ())
        self._growth = Growth()
        self._counting = Counting()
        self._watch = Watch(box.twins)
        self._churn = Churn(box.environment, ASKED_FOR, self._ports, seed)
        self._mishaps = Mishaps()
        self._hook = threading.excepthook

    def start(self) -> None:
        """Set all to work."""
        logging.getLogger().addHandler(self._mishaps)
        threading.excepthook = self._mishaps.note_thread
        self.box.keep(COUNTS, "markd", str(ROOT / "examples/observatory/counts.toml"))
        self._counting.start()
        self._watch.start()
        self._churn.start()

    def stop(self) -> None:
        """End what :meth:`start` has begun; the daemons go on. May be called twice."""
        self._churn.stop()
        self._watch.stop()
        self._counting.stop()
        logging.getLogger().removeHandler(self._mishaps)
        threading.excepthook = self._hook

    def _ports(self) -> list[int]:
        stores = (*self.box.stores, COUNTS)
        blocks = [block for name in stores for block in mktl.get(name).blocks]
        return [block.daemon.rep for block in blocks if block.daemon is not None]

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
        for key, value in (
            ("safety.hv_on", True),
            ("dome.open_shutter", True),
            # It may have been switched off and on since.
            *((("filters.home", 1),) if self._slide_is_lost else ()),
            ("filters.slide", round(self._chance.uniform(2, 40), 1)),
            ("cryo.setpoint", round(self._chance.uniform(70, 90), 1)),
        ):
            try:
                mktl.get(key).set(value, timeout=20)
            except MktlError as error:
                self._say(f"{key} is not set: {error}")
                self._slide_is_lost |= key == "filters.slide"
            else:
                self._slide_is_lost &= key != "filters.home"

    def _begin(self) -> tuple[str, Callable[[], None]]:
        """Begin a trouble; return its name, and what ends it."""
        chance, twins = self._chance, self.box.twins
        kind = chance.choice(("cut", "fault", "fault", "kill", "stop", "count", "air", "rain"))
        if kind in ("kill", "stop", "count"):
            return self._kill(kind)
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

    def _kill(self, kind: str) -> tuple[str, Callable[[], None]]:
        """Kill a daemon, or ask it to stop; the one that counts more often than others."""
        names = sorted(self.box.processes.keys() - self._spared)
        name = COUNTS if kind == "count" and COUNTS in names else self._chance.choice(names)
        self.report.killed[name] += 1
        self.box.kill(name, gently=kind == "stop")
        return f"{'stop' if kind == 'stop' else 'kill'} {name}", lambda: None

    def _look_for(self, duration_s: float) -> None:
        """Look at the hardware for a while: is there high voltage in bad vacuum?"""
        deadline = time.monotonic() + duration_s
        self._sample()
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

    def _sample(self) -> None:
        pids = {name: one.process.pid for name, one in self.box.processes.items() if one.process}
        self._growth.look({**pids, "client": os.getpid()})

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
        stores = (*self.box.stores, COUNTS)
        return found or [text for store in stores for text in _invalid_items(store)]

    @property
    def failed(self) -> bool:
        """Whether it need not go on."""
        mishaps = self._watch.wrong or self._churn.failures or self._mishaps.found
        return bool(self.report.failures or mishaps)

    def end(self) -> int:
        """Print the report; return the exit code."""
        self.stop()
        report = self.report
        report.failures += [
            *self._counting.check(),
            *self._watch.wrong,
            *self._churn.failures,
            *self._mishaps.found,
            *self._growth.grown(),
            *self._ended_by_themselves(),
            *self._tracebacks(),
        ]
        if report.unsafe_s > UNSAFE_S:
            report.failures.append(f"high voltage in bad vacuum for {report.unsafe_s:.1f} s")
        lines = {name: one.log.read_text().count("\n") for name, one in self.box.processes.items()}
        print("\ntroubles:          ", ", ".join(f"{k} {n}" for k, n in report.troubles.items()))
        print("longest recovery:  ", f"{report.longest_s:.1f} s")
        print("HV in bad vacuum:  ", f"{report.unsafe_s:.1f} s at most")
        print("acknowledged SETs: ", self._counting.done)
        print("values compared:   ", self._watch.looked_at)
        print("slowest simulators:", f"{self._watch.slowest_s:.1f} s")
        print("clients, strangers:", f"{self._churn.clients}, {self._churn.strangers}")
        print("lines in the logs: ", ", ".join(f"{name} {n}" for name, n in lines.items()))
        print("longest lives:\n ", "\n  ".join(self._growth.report()))
        for text in report.failures:
            print("FAILED:", text)
        if report.failures:
            print("the logs are kept in", self._keep_logs())
        return 1 if report.failures else 0

    def _keep_logs(self) -> str:
        directory = tempfile.mkdtemp(prefix="mktl-soak-")
        for one in self.box.processes.values():
            shutil.copy(one.log, directory)
        return directory

    def _ended_by_themselves(self) -> list[str]:
        return [
            f"{name} ended by itself {others} times: see its log"
            for name, one in self.box.processes.items()
            if (others := len(one.deaths) - self.report.killed[name]) > 0
        ]

    def _tracebacks(self) -> list[str]:
        """Return what the logs of the daemons have of exceptions that nobody has handled."""
        found = []
        for name, one in self.box.processes.items():
            log = one.log.read_bytes()
            if match := BAD_LINE.search(log):
                shown = log[match.start() : match.start() + 2000].decode(errors="replace")
                found.append(f"{name} has a traceback in its log: {shown}")
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
    try:
        run.start()
        deadline = time.monotonic() + duration_s
        while time.monotonic() < deadline and not run.failed:
            run.round()
        return run.end()
    finally:
        run.stop()
